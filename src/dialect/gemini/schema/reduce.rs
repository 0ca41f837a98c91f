//! The walk over a schema: place by place, from the root down, within bounds.

use serde_json::{Map, Value, json};

use super::{
    Note,
    keywords::{self, is_format},
    merge::{self, Flat, References},
    unions::{self, Null},
};

/// How deep schemas may nest; what lies deeper is any object.
const DEEPEST: usize = 64;
/// How many schemas one may hold, references followed.
const MOST_NODES: usize = 20_000;
/// The longest constraint that is told in a description, in bytes.
const LONGEST_CONSTRAINT: usize = 200;
/// Values of an `enum` that count as one schema.
const VALUES_A_NODE: usize = 16;

/// Reduces a schema; what is no object is taken as one that says nothing.
pub(super) fn reduce(schema: &Value) -> (Map<String, Value>, Vec<Note>) {
    let mut walk = Walk { references: References::new(schema), nodes: 0, notes: Vec::new() };
    let reduced = walk.schema(schema, 0, &[]).unwrap_or_else(any_object);
    let mut notes: Vec<Note> = Vec::new();
    for note in walk.notes {
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    (reduced, notes)
}

fn any_object() -> Map<String, Value> {
    Map::from_iter([("type".to_owned(), json!("OBJECT"))])
}

/// What stands for a schema that contains itself.
fn cut(map: &Map<String, Value>) -> Map<String, Value> {
    let mut object = any_object();
    if let Some(it) = map.get("description").filter(|it| it.is_string()) {
        object.insert("description".to_owned(), it.clone());
    }
    object
}

struct Walk<'a> {
    references: References<'a>,
    nodes: usize,
    notes: Vec<Note>,
}

impl Walk<'_> {
    /// Reduces the schema of one place; `None` if nothing fits it.
    fn schema(&mut self, schema: &Value, depth: usize, trail: &[String]) -> Option<Map<String, Value>> {
        let map = match schema {
            Value::Object(map) => map,
            Value::Bool(false) => {
                self.note("a schema that nothing fits was dropped", true);
                return None;
            }
            _ => return Some(any_object()),
        };
        let values = map.get("enum").and_then(Value::as_array).map_or(0, Vec::len);
        self.nodes += 1 + values / VALUES_A_NODE;
        if depth > DEEPEST || self.nodes > MOST_NODES {
            self.note("it is too large: what lies deeper may be any object", true);
            return Some(any_object());
        }
        let notes = &mut self.notes;
        let Some(mut flat) = self.references.flatten(map, trail, notes) else {
            return Some(cut(map));
        };
        merge::promote_required(&mut flat.keywords);
        Some(self.place(flat, depth))
    }

    fn place(&mut self, flat: Flat, depth: usize) -> Map<String, Value> {
        let Flat { keywords: mut flat, trail } = flat;
        let mut null = Null::default();
        let mut types = unions::types(&mut flat, &mut null, &mut self.notes);
        let named = unions::values(&mut flat, &mut types, &mut null, &mut self.notes);
        let mut variants = unions::any_of(&mut flat, &mut null, &mut self.notes);
        if variants.len() == 1 {
            if types.len() > 1 {
                self.note("variants beside a type replace it", false);
                types.clear();
            }
            let only = variants.remove(0);
            return self.only(flat, &types, only, null, depth, &trail);
        }
        let inferred = unions::inferred(&flat);
        let mut constraints: Vec<String> = named.into_iter().collect();
        constraints.extend(self.constraints(&mut flat));
        if !variants.is_empty() && !types.is_empty() {
            if types.len() > 1 || types[0] != "OBJECT" {
                self.note("variants beside a type replace it", false);
            }
            types.clear();
        }
        if types.len() > 1 {
            variants = unions::by_type(&mut flat, &types);
            types.clear();
        }
        let mut out = Map::new();
        if variants.is_empty() {
            let kind = types.first().copied().unwrap_or(inferred);
            out.insert("type".to_owned(), json!(kind));
            self.typed(kind, &mut flat, depth, &trail, &mut out, &mut constraints);
        } else {
            let reduced = variants.iter().filter_map(|it| self.schema(it, depth + 1, &trail));
            let reduced: Vec<Value> = reduced.map(Value::Object).collect();
            self.keep(&["title", "default", "example"], &mut flat, &mut out);
            self.drop_rest(&flat);
            out.insert("anyOf".to_owned(), Value::Array(reduced));
        }
        if null.0 {
            out.insert("nullable".to_owned(), json!(true));
        }
        describe(&flat, &constraints, &mut out);
        out
    }

    /// A union of one is that one, with what stood beside it.
    fn only(
        &mut self,
        mut beside: Map<String, Value>,
        types: &[&'static str],
        only: Value,
        null: Null,
        depth: usize,
        trail: &[String],
    ) -> Map<String, Value> {
        if let (Some(kind), false) = (types.first(), only.get("type").is_some() || only.get("$ref").is_some())
        {
            beside.insert("type".to_owned(), json!(kind));
        }
        beside.insert("allOf".to_owned(), Value::Array(vec![only]));
        let reduced = self.schema(&Value::Object(beside), depth + 1, trail);
        let mut reduced = reduced.unwrap_or_else(any_object);
        if null.0 {
            reduced.insert("nullable".to_owned(), json!(true));
        }
        reduced
    }

    /// Writes what is said of values of one type.
    fn typed(
        &mut self,
        kind: &'static str,
        flat: &mut Map<String, Value>,
        depth: usize,
        trail: &[String],
        out: &mut Map<String, Value>,
        constraints: &mut Vec<String>,
    ) {
        if kind == "ARRAY" {
            let items = self.items(flat, depth, trail);
            out.insert("items".to_owned(), Value::Object(items));
        }
        if kind == "OBJECT" {
            self.properties(flat, depth, trail, out);
        }
        match flat.shift_remove("format") {
            Some(Value::String(it)) if is_format(kind, &it) => {
                drop(out.insert("format".to_owned(), json!(it)));
            }
            Some(Value::String(it)) => {
                self.note("formats that Gemini has not are named in descriptions", false);
                constraints.push(format!("format: {it}"));
            }
            _ => {}
        }
        if let Some(Value::Array(examples)) = flat.shift_remove("examples")
            && let Some(first) = examples.into_iter().next()
        {
            flat.entry("example").or_insert(first);
        }
        let own = |key: &str| {
            let types = keywords::types_of(key);
            !matches!(key, "required" | "description" | "type" | "format")
                && (types.is_empty() || types.contains(&kind))
        };
        let all = keywords::KEPT.iter().chain(&keywords::VALUES);
        let keys: Vec<&str> = all.copied().filter(|it| own(it)).collect();
        self.keep(&keys, flat, out);
        self.drop_rest(flat);
    }

    /// Moves fields whose values have the right type.
    fn keep(&mut self, keys: &[&str], flat: &mut Map<String, Value>, out: &mut Map<String, Value>) {
        for key in keys {
            let Some(value) = flat.shift_remove(*key) else { continue };
            let fits = match *key {
                "title" | "pattern" => value.is_string(),
                "enum" => value.is_array(),
                "default" | "example" => true,
                _ => value.is_number() || value.as_str().is_some_and(|it| it.parse::<f64>().is_ok()),
            };
            if fits {
                out.insert((*key).to_owned(), value);
            } else {
                self.note("a keyword with a value of the wrong type was dropped", true);
            }
        }
    }

    /// Notes what is left over: it was said of another type than the schema's, or is not told.
    fn drop_rest(&mut self, flat: &Map<String, Value>) {
        let silent = ["description", "nullable", "propertyOrdering"];
        if flat.contains_key("additionalProperties") {
            self.note("`additionalProperties` is not told", false);
        }
        if flat.keys().any(|it| !silent.contains(&it.as_str()) && it != "additionalProperties") {
            self.note("keywords for values of another type were dropped", false);
        }
    }

    fn items(&mut self, flat: &mut Map<String, Value>, depth: usize, trail: &[String]) -> Map<String, Value> {
        let mut listed = match flat.shift_remove("prefixItems") {
            Some(Value::Array(it)) => it,
            _ => Vec::new(),
        };
        match flat.shift_remove("items") {
            Some(Value::Array(it)) => listed.extend(it),
            Some(it) if listed.is_empty() && it.is_object() => {
                return self.schema(&it, depth + 1, trail).unwrap_or_else(any_object);
            }
            Some(it @ Value::Object(_)) => listed.push(it),
            _ => {}
        }
        let mut kinds: Vec<Value> = Vec::new();
        for it in listed {
            if !kinds.contains(&it) {
                kinds.push(it);
            }
        }
        let items = match kinds.len() {
            0 => {
                self.note("items of an array that names none are texts", false);
                json!({"type": "string"})
            }
            1 => kinds.remove(0),
            _ => json!({"anyOf": kinds}),
        };
        if !kinds.is_empty() {
            self.note("items in places of their own are items of any place", true);
        }
        self.schema(&items, depth + 1, trail).unwrap_or_else(any_object)
    }

    /// Properties are names: whatever they are called, what stands under them is a schema.
    fn properties(
        &mut self,
        flat: &mut Map<String, Value>,
        depth: usize,
        trail: &[String],
        out: &mut Map<String, Value>,
    ) {
        let Some(Value::Object(named)) = flat.shift_remove("properties") else {
            flat.shift_remove("required");
            flat.shift_remove("propertyOrdering");
            return;
        };
        let mut properties = Map::new();
        for (name, schema) in &named {
            if let Some(reduced) = self.schema(schema, depth + 1, trail) {
                properties.insert(name.clone(), Value::Object(reduced));
            }
        }
        for key in ["required", "propertyOrdering"] {
            let Some(Value::Array(names)) = flat.shift_remove(key) else { continue };
            let all = names.len();
            let mut known: Vec<Value> = Vec::new();
            for it in names {
                if it.as_str().is_some_and(|it| properties.contains_key(it)) && !known.contains(&it) {
                    known.push(it);
                }
            }
            if known.len() < all {
                self.note("required names that are no properties were dropped", false);
            }
            if !known.is_empty() {
                out.insert(key.to_owned(), Value::Array(known));
            }
        }
        if !properties.is_empty() {
            out.insert("properties".to_owned(), Value::Object(properties));
        }
    }

    /// Takes the constraints Gemini has not, as words for the description.
    fn constraints(&mut self, flat: &mut Map<String, Value>) -> Vec<String> {
        let mut words = Vec::new();
        for key in keywords::CONSTRAINTS {
            let Some(value) = flat.shift_remove(key) else { continue };
            let text = value.to_string();
            if text.len() <= LONGEST_CONSTRAINT {
                self.note("constraints that Gemini has not are named in descriptions", false);
                words.push(format!("{key}: {text}"));
            } else {
                self.note("constraints that Gemini has not were dropped", true);
            }
        }
        words
    }

    fn note(&mut self, what: &str, matters: bool) {
        if !self.notes.iter().any(|it| it.what == what) {
            self.notes.push(Note { what: what.to_owned(), matters });
        }
    }
}

fn describe(flat: &Map<String, Value>, constraints: &[String], out: &mut Map<String, Value>) {
    let said = flat.get("description").and_then(Value::as_str).map(str::to_owned);
    let words = constraints.iter().map(|it| format!("({it})"));
    let words: Vec<String> = said.into_iter().chain(words).collect();
    if !words.is_empty() {
        out.insert("description".to_owned(), json!(words.join(" ")));
    }
}
