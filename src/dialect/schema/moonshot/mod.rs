//! Moonshot's own subset of JSON Schema ("MFJS"), as far as its service refuses what is not in it.
//!
//! Wire facts: `MoonshotAI/walle` at its level `strict`, which is "required by Moonshot AI server": keywords it does not know
//! are passed over there, and stay.

mod references;
mod words;

use serde_json::{Map, Value, json};

use self::words::{is_of, refers, type_names, type_of, types_of};
use super::{Subject, walk};
use crate::dialect::{Loss, Severity};

/// What only describes: taken beside anything.
const COMMON: [&str; 2] = ["description", "title"];
/// What stands at the root beside anything.
const ROOT: [&str; 2] = ["$defs", "$id"];
pub(super) const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "integer", "string"];
/// Keywords that hold schemas and that the service passes over, unless it meets a reference in them.
const WITHOUT_REFERENCES: [&str; 11] = [
    "not",
    "if",
    "then",
    "else",
    "contains",
    "propertyNames",
    "patternProperties",
    "dependentSchemas",
    "additionalItems",
    "unevaluatedItems",
    "unevaluatedProperties",
];

pub(super) fn fit(root: &mut Map<String, Value>, subject: Subject, losses: &mut Vec<Loss>) {
    if subject == Subject::Arguments
        && root.get("type").and_then(Value::as_array).is_some_and(|it| it.contains(&json!("object")))
    {
        root.insert("type".to_owned(), json!("object"));
    }
    walk::each_under(root, is_known, &mut |place, at| Place { map: place, at, losses }.hidden());
    references::gather(root, losses);
    walk::each_under(root, is_known, &mut |place, at| {
        let mut place = Place { map: place, at, losses };
        if place.reference() {
            return;
        }
        place.hidden();
        place.known();
        place.booleans();
        place.items();
        place.union();
        place.values();
        place.types();
        place.required();
    });
}

/// Whether the service reads the schemas under a keyword. What it passes over says the same as before, whatever it is.
pub(super) fn is_known(keyword: &str) -> bool {
    matches!(keyword, "properties" | "items" | "additionalProperties" | "anyOf" | "$defs")
}

/// One place of a schema.
struct Place<'a> {
    map: &'a mut Map<String, Value>,
    at: &'a str,
    losses: &'a mut Vec<Loss>,
}

impl Place<'_> {
    /// Beside a reference nothing that constrains is taken. Returns whether this is one.
    fn reference(&mut self) -> bool {
        match self.map.get("$ref") {
            None => return false,
            Some(Value::String(_)) => {}
            Some(_) => {
                self.drop("$ref", Severity::Semantic, "a reference is a text");
                return false;
            }
        }
        let is_kept =
            |key: &str| key == "$ref" || COMMON.contains(&key) || (self.at.is_empty() && ROOT.contains(&key));
        let beside: Vec<String> = self.map.keys().filter(|it| !is_kept(it)).cloned().collect();
        for key in beside {
            // The type of what is referred to is said there.
            let says_nothing = ["type", "default", "examples", "$schema", "$comment"].contains(&key.as_str());
            let severity = if says_nothing { Severity::Cosmetic } else { Severity::Semantic };
            self.drop(&key, severity, "the upstream takes nothing beside a `$ref`");
        }
        true
    }

    /// Where the service knows no keyword it takes no reference either.
    fn hidden(&mut self) {
        for key in WITHOUT_REFERENCES {
            if self.map.get(key).is_some_and(|it| it.is_object() && refers(it)) {
                self.drop(key, Severity::Semantic, "the upstream takes no references there");
            }
        }
    }

    /// Types are the seven of JSON Schema.
    fn known(&mut self) {
        if let Some(said) = self.map.get("type") {
            let names = type_names(said);
            let known: Vec<String> = names
                .iter()
                .map(|it| it.to_ascii_lowercase())
                .filter(|it| TYPES.contains(&it.as_str()))
                .collect();
            if known.is_empty() {
                self.drop("type", Severity::Semantic, "the upstream knows no such type");
            } else if known != names {
                let told = if said.is_array() { json!(known) } else { json!(known[0]) };
                let severity =
                    if known.len() < names.len() { Severity::Semantic } else { Severity::Cosmetic };
                self.map.insert("type".to_owned(), told);
                self.approximate("type", severity, "the types are told as the upstream knows them");
            }
        }
    }

    /// Schemas that are true or false are objects here, or nothing; what holds them has its form.
    fn booleans(&mut self) {
        if self.map.get("properties").is_some_and(|it| !it.is_object()) {
            self.drop("properties", Severity::Semantic, "properties are an object");
        }
        if self.map.get("anyOf").is_some_and(|it| !it.is_array()) {
            self.drop("anyOf", Severity::Semantic, "variants are a list");
        }
        if let Some(Value::Object(properties)) = self.map.get_mut("properties") {
            let (at, losses) = (self.at, &mut *self.losses);
            properties.retain(|name, it| {
                if *it == Value::Bool(true) {
                    *it = json!({});
                }
                if !it.is_object() {
                    let at = format!("{at}/properties/{}", walk::escaped(name));
                    losses.push(Loss::dropped(at, Severity::Semantic, "the upstream takes no such property"));
                }
                it.is_object()
            });
        }
        if let Some(Value::Array(variants)) = self.map.get_mut("anyOf") {
            for it in variants.iter_mut().filter(|it| **it == Value::Bool(true)) {
                *it = json!({});
            }
            // What nothing fits is no variant.
            variants.retain(Value::is_object);
            if variants.is_empty() {
                self.drop("anyOf", Severity::Semantic, "a union has variants");
            }
        }
    }

    /// Items have one schema in every place.
    fn items(&mut self) {
        match self.map.get_mut("items") {
            None | Some(Value::Object(_)) => {}
            Some(Value::Array(listed)) => {
                let mut kinds: Vec<Value> = Vec::new();
                for it in std::mem::take(listed).into_iter().filter(Value::is_object) {
                    if !kinds.contains(&it) {
                        kinds.push(it);
                    }
                }
                let one = match kinds.len() {
                    0 => return self.drop("items", Severity::Semantic, "items have one schema"),
                    1 => kinds.remove(0),
                    _ => json!({"anyOf": kinds}),
                };
                self.map.insert("items".to_owned(), one);
                let reason = "items in places of their own became items of any place";
                self.approximate("items", Severity::Semantic, reason);
            }
            Some(it) => {
                let anything = *it == Value::Bool(true);
                let severity = if anything { Severity::Cosmetic } else { Severity::Semantic };
                self.drop("items", severity, "items have one schema");
            }
        }
    }

    /// A union has neither a type nor anything else that its variants say too.
    fn union(&mut self) {
        let Some(Value::Array(variants)) = self.map.get("anyOf") else { return };
        let clashes: Vec<String> = self
            .map
            .keys()
            .filter(|it| !COMMON.contains(&it.as_str()) && *it != "anyOf")
            .filter(|it| variants.iter().any(|one| one.get(*it).is_some()))
            .cloned()
            .collect();
        let is_typed = self.map.contains_key("type");
        if self.map.contains_key("properties") && (is_typed || !clashes.is_empty()) {
            return self.drop("anyOf", Severity::Semantic, "an object with properties has no variants here");
        }
        if let Some(kind) = self.map.shift_remove("type") {
            let variants = self.map.get_mut("anyOf").and_then(Value::as_array_mut);
            for it in variants.into_iter().flatten().filter_map(Value::as_object_mut) {
                if !["type", "$ref", "anyOf"].iter().any(|key| it.contains_key(*key)) {
                    it.insert("type".to_owned(), kind.clone());
                }
            }
            self.note("type", "the type of a union is said by its variants");
        }
        for key in clashes.iter().filter(|it| *it != "type") {
            self.drop(key, Severity::Semantic, "what variants say cannot be said beside them");
        }
    }

    /// Values are of one type, or of one and null; the type is said, and all values are of it.
    fn values(&mut self) {
        let Some(listed) = self.map.get("enum") else { return };
        let Some(mut values) = listed.as_array().cloned() else {
            return self.drop("enum", Severity::Semantic, "values are a list");
        };
        if self.map.contains_key("anyOf") {
            return self.drop("enum", Severity::Semantic, "values cannot be listed beside variants");
        }
        let said: Option<Vec<String>> = self.map.get("type").map(type_names);
        if let Some(types) = &said {
            let all = values.len();
            values.retain(|it| types.iter().any(|kind| is_of(it, kind)));
            if values.len() < all && !values.is_empty() {
                self.map.insert("enum".to_owned(), json!(values));
                self.approximate("enum", Severity::Cosmetic, "values that their type excludes were left out");
            }
        }
        let mut types: Vec<&str> = Vec::new();
        for kind in values.iter().map(type_of) {
            if !types.contains(&kind) {
                types.push(kind);
            }
        }
        if types.contains(&"number") {
            types.retain(|it| *it != "integer");
        }
        let listable = !types.is_empty()
            && !types.contains(&"object")
            && !types.contains(&"array")
            && (types.len() == 1 || (types.len() == 2 && types.contains(&"null")));
        if !listable {
            return self.drop("enum", Severity::Semantic, "values of several types cannot be listed");
        }
        let is_listable_as_said =
            said.is_some_and(|it| it.len() == 1 || (it.len() == 2 && it.iter().any(|kind| kind == "null")));
        if !is_listable_as_said {
            let kind = if types.len() == 1 { json!(types[0]) } else { json!(types) };
            self.map.insert("type".to_owned(), kind);
            self.note("type", "the type of values is said");
        }
    }

    /// Beside several types nothing is said of one of them: they become a union.
    fn types(&mut self) {
        let Some(Value::Array(types)) = self.map.get("type") else { return };
        let types = types.clone();
        let says_more = |key: &String| {
            key != "type"
                && !COMMON.contains(&key.as_str())
                && !(self.at.is_empty() && ROOT.contains(&key.as_str()))
        };
        if types.len() < 2 || self.map.contains_key("enum") || !self.map.keys().any(says_more) {
            return;
        }
        let specific: Vec<String> = self.map.keys().filter(|it| !types_of(it).is_empty()).cloned().collect();
        let said: Vec<(String, Value)> =
            specific.into_iter().filter_map(|key| self.map.shift_remove_entry(&key)).collect();
        let variants = types.iter().map(|kind| {
            let mut variant = Map::from_iter([("type".to_owned(), kind.clone())]);
            let kind = kind.as_str().unwrap_or_default();
            let own = said.iter().filter(|(key, _)| types_of(key).contains(&kind));
            variant.extend(own.map(|(key, value)| (key.clone(), value.clone())));
            Value::Object(variant)
        });
        let variants: Vec<Value> = variants.collect();
        self.map.shift_remove("type");
        self.map.insert("anyOf".to_owned(), Value::Array(variants));
        self.note("type", "several types became a union");
    }

    /// What is required is a property.
    fn required(&mut self) {
        let names = match self.map.get("required") {
            None => return,
            Some(Value::Array(names)) => names.clone(),
            Some(_) => return self.drop("required", Severity::Cosmetic, "what is required is a list"),
        };
        let properties = self.map.get("properties").and_then(Value::as_object);
        let is_property = |it: &Value| {
            it.as_str().is_some_and(|name| properties.is_some_and(|them| them.contains_key(name)))
        };
        let known: Vec<Value> = names.iter().filter(|it| is_property(it)).cloned().collect();
        if known.len() == names.len() {
            return;
        }
        if known.is_empty() {
            self.drop("required", Severity::Cosmetic, "what is required is no property here");
        } else {
            self.map.insert("required".to_owned(), Value::Array(known));
            self.approximate("required", Severity::Cosmetic, "names that are no properties were left out");
        }
    }

    fn drop(&mut self, key: &str, severity: Severity, reason: &str) {
        self.map.shift_remove(key);
        self.losses.push(Loss::dropped(format!("{}/{}", self.at, walk::escaped(key)), severity, reason));
    }

    fn approximate(&mut self, key: &str, severity: Severity, reason: &str) {
        self.losses.push(Loss::approximated(format!("{}/{key}", self.at), severity, reason));
    }

    /// Notes that the same is said in other words.
    fn note(&mut self, key: &str, reason: &str) {
        self.approximate(key, Severity::Cosmetic, reason);
    }
}
