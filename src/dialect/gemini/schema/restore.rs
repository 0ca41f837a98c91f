//! Gemini's `Schema` as JSON Schema: what everyone else reads.

use serde_json::{Map, Number, Value, json};

/// Numbers that protobuf writes as text.
const COUNTS: [&str; 8] = [
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "minProperties",
    "maxProperties",
    "minimum",
    "maximum",
];

/// Returns the JSON Schema that says the same: types in lower case, `nullable` as a type, counts as numbers.
/// Recursion ends with the value's own depth, which its parser bounds.
pub(in super::super) fn restore(schema: &Value) -> Value {
    let Value::Object(map) = schema else { return schema.clone() };
    let mut out = Map::new();
    for (key, value) in map {
        let (key, value) = keyword(key, value);
        if let Some(value) = value {
            out.insert(key.to_owned(), value);
        }
    }
    if out.shift_remove("nullable") == Some(Value::Bool(true)) {
        make_nullable(&mut out);
    }
    Value::Object(out)
}

fn keyword<'k>(key: &'k str, value: &Value) -> (&'k str, Option<Value>) {
    let key = camel(key);
    let value = match (key, value) {
        ("type", Value::String(word)) if word == "TYPE_UNSPECIFIED" => return (key, None),
        ("type", Value::String(word)) => json!(word.to_ascii_lowercase()),
        ("propertyOrdering", _) => return (key, None),
        ("items" | "additionalProperties", it) => restore(it),
        ("anyOf", Value::Array(them)) => them.iter().map(restore).collect(),
        ("properties" | "$defs", Value::Object(named)) => {
            Value::Object(named.iter().map(|(name, it)| (name.clone(), restore(it))).collect())
        }
        ("example", it) => return ("examples", Some(json!([it]))),
        (key, Value::String(text)) if COUNTS.contains(&key) => match text.parse::<Number>() {
            Ok(number) => Value::Number(number),
            Err(_) => json!(text),
        },
        (_, it) => it.clone(),
    };
    (key, Some(value))
}

/// The keyword by its name in JSON, for those that protobuf also takes in snake case.
fn camel(key: &str) -> &str {
    match key {
        "any_of" => "anyOf",
        "additional_properties" => "additionalProperties",
        "property_ordering" => "propertyOrdering",
        "min_items" => "minItems",
        "max_items" => "maxItems",
        "min_length" => "minLength",
        "max_length" => "maxLength",
        "min_properties" => "minProperties",
        "max_properties" => "maxProperties",
        "defs" => "$defs",
        "ref" => "$ref",
        other => other,
    }
}

fn make_nullable(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(variants)) = schema.get_mut("anyOf") {
        variants.push(json!({"type": "null"}));
        return;
    }
    if let Some(kind @ Value::String(_)) = schema.get_mut("type") {
        *kind = json!([kind.clone(), "null"]);
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
}
