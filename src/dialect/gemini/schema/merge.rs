//! References followed and `allOf` put together: one flat set of keywords for each place of a schema.

use serde_json::{Map, Value};

use super::{Note, keywords};

/// How many references are followed in one schema.
const MOST_EXPANSIONS: usize = 5000;
/// How many references may lead to one place, one after another.
const LONGEST_TRAIL: usize = 64;

/// Follows references within one document.
pub(super) struct References<'a> {
    root: &'a Value,
    expansions: usize,
}

/// The keywords of a place, and the references that led to it.
pub(super) struct Flat {
    pub(super) keywords: Map<String, Value>,
    pub(super) trail: Vec<String>,
}

impl<'a> References<'a> {
    pub(super) fn new(root: &'a Value) -> Self {
        Self { root, expansions: 0 }
    }

    /// Follows `$ref` and merges `allOf`. `None`: the schema contains itself, or more than we follow.
    pub(super) fn flatten(
        &mut self,
        schema: &Map<String, Value>,
        trail: &[String],
        notes: &mut Vec<Note>,
    ) -> Option<Flat> {
        let mut flat = Flat { keywords: understood(schema), trail: trail.to_vec() };
        while let Some(reference) = flat.keywords.shift_remove("$ref") {
            let Some(reference) = reference.as_str() else { continue };
            if flat.trail.iter().any(|it| it == reference) {
                notes.push(Note { what: "a schema that contains itself was cut".to_owned(), matters: true });
                return None;
            }
            self.expansions += 1;
            if self.expansions > MOST_EXPANSIONS || flat.trail.len() >= LONGEST_TRAIL {
                notes.push(Note { what: "it has too many references".to_owned(), matters: true });
                return None;
            }
            flat.trail.push(reference.to_owned());
            match self.find(reference) {
                Some(Value::Object(target)) => beneath(&mut flat.keywords, understood(target), notes),
                Some(Value::Bool(_)) => {}
                _ => {
                    let what = "a reference that leads nowhere was dropped".to_owned();
                    notes.push(Note { what, matters: true });
                }
            }
        }
        if let Some(Value::Array(all)) = flat.keywords.shift_remove("allOf") {
            for it in all.iter().filter_map(Value::as_object) {
                // An `allOf` is as deep as references can lead.
                let inner = self.flatten(it, &flat.trail, notes)?;
                flat.trail = inner.trail;
                all_of(&mut flat.keywords, inner.keywords, notes);
            }
        }
        Some(flat)
    }

    fn find(&self, reference: &str) -> Option<&'a Value> {
        let pointer = reference.strip_prefix('#')?;
        let decoded = percent_encoding::percent_decode_str(pointer).decode_utf8().ok()?;
        self.root.pointer(&decoded)
    }
}

/// The keywords of a schema that the walk understands: the others (`$defs`, `$schema`, `$comment`, `x-…`) say nothing to a model.
fn understood(schema: &Map<String, Value>) -> Map<String, Value> {
    let known = schema.iter().filter(|(key, value)| keywords::is_understood(key) && !value.is_null());
    known.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Puts what a reference leads to under what stands beside it: the nearer word wins.
fn beneath(keywords: &mut Map<String, Value>, target: Map<String, Value>, notes: &mut Vec<Note>) {
    let beside = std::mem::replace(keywords, target);
    let constrains = |key: &str| !matches!(key, "description" | "title" | "default" | "example" | "examples");
    let mut described = Map::new();
    let mut rest = Map::new();
    for (key, value) in beside {
        let to = if constrains(&key) { &mut rest } else { &mut described };
        to.insert(key, value);
    }
    keywords.extend(described);
    all_of(keywords, rest, notes);
}

/// Adds a schema that must hold as well.
fn all_of(keywords: &mut Map<String, Value>, more: Map<String, Value>, notes: &mut Vec<Note>) {
    for (key, value) in more {
        match (keywords.get_mut(&key), value) {
            (None, value) => drop(keywords.insert(key, value)),
            (Some(Value::Object(old)), Value::Object(new)) if key == "properties" => {
                for (name, property) in new {
                    if old.get(&name).is_some_and(|it| *it != property) {
                        notes.push(conflict(&format!("property `{name}`")));
                    }
                    old.entry(name).or_insert(property);
                }
            }
            (Some(Value::Array(old)), Value::Array(new)) if key == "required" => {
                for it in new {
                    if !old.contains(&it) {
                        old.push(it);
                    }
                }
            }
            (Some(old), value) if *old == value => {}
            (Some(_), _) if matches!(key.as_str(), "description" | "title") => {}
            (Some(_), _) => notes.push(conflict(&format!("`{key}`"))),
        }
    }
}

fn conflict(what: &str) -> Note {
    Note { what: format!("of several values of {what} the first was kept"), matters: true }
}

/// Makes `required: true` of a property (draft 3) a word of the object that has it.
pub(super) fn promote_required(keywords: &mut Map<String, Value>) {
    let Some(Value::Object(properties)) = keywords.get_mut("properties") else { return };
    let mut promoted = Vec::new();
    for (name, property) in properties.iter_mut() {
        let Value::Object(property) = property else { continue };
        if let Some(Value::Bool(required)) = property.get("required") {
            if *required {
                promoted.push(Value::from(name.as_str()));
            }
            property.shift_remove("required");
        }
    }
    if promoted.is_empty() {
        return;
    }
    match keywords.get_mut("required") {
        Some(Value::Array(required)) => promoted.retain(|it| !required.contains(it)),
        _ => drop(keywords.insert("required".to_owned(), Value::Array(Vec::new()))),
    }
    if let Some(Value::Array(required)) = keywords.get_mut("required") {
        required.append(&mut promoted);
    }
}

/// Whether this is a map of properties that lacks the schema around it: `{"path": {"type": "string"}}`.
pub(super) fn is_bare_properties(schema: &Map<String, Value>) -> bool {
    let looks_like_schema =
        |it: &Value| it.get("type").is_some_and(Value::is_string) || it.get("anyOf").is_some();
    let holds_schemas = ["properties", "patternProperties", "$defs", "definitions", "items"];
    !schema.is_empty()
        && schema.values().all(looks_like_schema)
        && !holds_schemas.iter().any(|it| schema.contains_key(*it))
}
