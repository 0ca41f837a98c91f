//! The smallest instance of a JSON schema.

use serde_json::{Map, Value, json};

/// Nesting beyond this ends in null: recursive schemas must end somewhere.
const DEEPEST: usize = 24;

/// Returns a value that `schema` describes: first enum member, shortest array, required and other properties of an object.
pub(super) fn of(schema: &Value) -> Value {
    build(schema, schema, 0)
}

fn build(schema: &Value, root: &Value, depth: usize) -> Value {
    if depth > DEEPEST {
        return Value::Null;
    }
    if let Some(pointer) = schema["$ref"].as_str().and_then(|it| it.strip_prefix('#')) {
        return root.pointer(pointer).map_or(Value::Null, |it| build(it, root, depth + 1));
    }
    if let Some(constant) = schema.get("const") {
        return constant.clone();
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    if let Some(first) = ["anyOf", "oneOf", "allOf"].iter().find_map(|it| schema[*it].get(0)) {
        return build(first, root, depth + 1);
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match kind.unwrap_or(if schema.get("properties").is_some() { "object" } else { "string" }) {
        "object" => object(schema, root, depth),
        "array" => array(schema, root, depth),
        "integer" => schema.get("minimum").cloned().unwrap_or(json!(1)),
        "number" => schema.get("minimum").cloned().unwrap_or(json!(1.5)),
        "boolean" => json!(true),
        "null" => Value::Null,
        _ => text(schema),
    }
}

fn object(schema: &Value, root: &Value, depth: usize) -> Value {
    let Some(properties) = schema["properties"].as_object() else { return json!({}) };
    let fields = properties.iter().map(|(name, it)| (name.clone(), build(it, root, depth + 1)));
    Value::Object(fields.collect::<Map<_, _>>())
}

fn array(schema: &Value, root: &Value, depth: usize) -> Value {
    let count = usize::try_from(schema["minItems"].as_u64().unwrap_or(1)).unwrap_or(1).min(16);
    match schema.get("items") {
        Some(items) if depth < DEEPEST => Value::Array(vec![build(items, root, depth + 1); count]),
        _ => json!([]),
    }
}

fn text(schema: &Value) -> Value {
    match schema["format"].as_str() {
        Some("date") => json!("2026-01-31"),
        Some("date-time") => json!("2026-01-31T12:00:00Z"),
        Some("email") => json!("someone@example.com"),
        Some("uri") => json!("https://example.com/"),
        Some("uuid") => json!("00000000-0000-4000-8000-000000000000"),
        _ => json!("text"),
    }
}
