//! JSON schemas of answers, as Anthropic takes them (`output_config.format`): every object closed, constraints told in
//! words. As its own SDKs put schemas right.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::schema;
use crate::dialect::schema::walk;

/// Constraints that are refused: the description tells them instead.
const TOLD: [&str; 20] = [
    "minLength",
    "maxLength",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "maxItems",
    "uniqueItems",
    "prefixItems",
    "contains",
    "minProperties",
    "maxProperties",
    "patternProperties",
    "propertyNames",
    "default",
    "not",
    "if",
    "example",
];
/// What says nothing of the value, or only together with what is told.
const SILENT: [&str; 8] =
    ["$schema", "$id", "$comment", "readOnly", "deprecated", "propertyOrdering", "then", "else"];

/// Returns the schema as it is taken, and whether an object was open that now is closed.
pub(super) fn closed(schema: &Value) -> (Value, bool) {
    let mut schema = schema.clone();
    let mut was_open = false;
    if let Value::Object(root) = &mut schema {
        schema::repair(root);
        walk::each(root, &mut |place, _| close(place, &mut was_open));
    }
    (schema, was_open)
}

fn close(schema: &mut Map<String, Value>, was_open: &mut bool) {
    if !schema.contains_key("anyOf")
        && let Some(variants) = schema.shift_remove("oneOf")
    {
        schema.insert("anyOf".to_owned(), variants);
    }
    tell(schema);
    let is_object = match schema.get("type") {
        Some(Value::Array(types)) => types.contains(&json!("object")),
        Some(kind) => kind == "object",
        None => schema.contains_key("properties"),
    };
    if is_object {
        let before = schema.insert("additionalProperties".to_owned(), json!(false));
        *was_open |= before.is_some_and(|it| it != json!(false));
    }
}

/// Moves constraints into the description: `A name. (maxLength: 3)`.
fn tell(schema: &mut Map<String, Value>) {
    let mut words = String::new();
    let few = |it: &Value| it.as_u64().is_some_and(|it| it <= 1);
    for key in TOLD.into_iter().chain(["minItems"]) {
        if (key == "minItems" && schema.get(key).is_some_and(few)) || !schema.contains_key(key) {
            continue;
        }
        if let Some(value) = schema.shift_remove(key) {
            let separator = if words.is_empty() { "" } else { ", " };
            let _ = write!(words, "{separator}{key}: {value}");
        }
    }
    for keyword in SILENT {
        schema.shift_remove(keyword);
    }
    if words.is_empty() {
        return;
    }
    let told = match schema.get("description").and_then(Value::as_str) {
        Some(said) => format!("{said} ({words})"),
        None => format!("({words})"),
    };
    schema.insert("description".to_owned(), json!(told));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_is_closed_wherever_it_stands() {
        let item = json!({"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}}});
        let (schema, was_open) = closed(&json!({"type": "object", "properties": {
            "properties": {"type": "array", "items": item}, "either": {"oneOf": [item, {"type": "null"}]},
        }}));
        let item = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": false});
        let expected = json!({"type": "object", "additionalProperties": false, "properties": {
            "properties": {"type": "array", "items": item}, "either": {"anyOf": [item, {"type": "null"}]},
        }});
        assert_eq!((schema, was_open), (expected, false));
    }

    #[test]
    fn an_open_object_is_reported() {
        let map = json!({"type": "object", "additionalProperties": {"type": "string"}});
        assert_eq!(closed(&map), (json!({"type": "object", "additionalProperties": false}), true));
    }

    #[test]
    fn constraints_become_words() {
        let asked = json!({"type": "string", "description": "A name.", "maxLength": 3, "pattern": "^a"});
        let expected = json!({"type": "string", "description": "A name. (maxLength: 3, pattern: \"^a\")"});
        assert_eq!(closed(&asked).0, expected);
        let list = json!({"type": "array", "items": {"type": "string"}, "minItems": 1});
        assert_eq!(closed(&list).0, list);
    }

    #[test]
    fn a_closed_schema_is_left_as_it_is() {
        let schema = json!({"type": "object", "properties": {"pattern": {"type": "string"}, "default": {"type": "null"}},
            "required": ["pattern"], "additionalProperties": false});
        assert_eq!(closed(&schema), (schema.clone(), false));
        assert_eq!(closed(&closed(&schema).0), (schema, false));
    }
}
