//! JSON schemas of tools, as Anthropic takes them: draft 2020-12, with an object at the root.

use serde_json::{Map, Value, json};

use crate::dialect::schema::walk::{NAMED, each};

/// Returns a schema for a tool's arguments, and what had to be changed of it that the model may notice.
pub(super) fn arguments(schema: Option<&Value>) -> (Value, Option<&'static str>) {
    let Some(Value::Object(schema)) = schema else {
        return (json!({"type": "object", "properties": {}}), None);
    };
    let mut schema = schema.clone();
    repair(&mut schema);
    let note = root(&mut schema);
    (Value::Object(schema), note)
}

/// Makes the root an object's schema.
fn root(schema: &mut Map<String, Value>) -> Option<&'static str> {
    let union = ["anyOf", "oneOf", "allOf"].into_iter().find(|it| schema.contains_key(*it));
    if let Some(union) = union {
        merge_union(schema, union);
        return Some("a union at the root of a schema became one object");
    }
    match schema.get("type") {
        Some(Value::String(it)) if it == "object" => None,
        None if is_bare_properties(schema) => {
            let properties = std::mem::take(schema);
            schema.insert("type".to_owned(), json!("object"));
            schema.insert("properties".to_owned(), Value::Object(properties));
            Some("a map of properties became a schema")
        }
        None => {
            schema.insert("type".to_owned(), json!("object"));
            schema.entry("properties").or_insert_with(|| json!({}));
            None
        }
        Some(Value::Array(types)) if types.contains(&json!("object")) => {
            schema.insert("type".to_owned(), json!("object"));
            None
        }
        Some(_) => {
            let inner = std::mem::take(schema);
            schema.insert("type".to_owned(), json!("object"));
            schema.insert("properties".to_owned(), json!({"value": inner}));
            schema.insert("required".to_owned(), json!(["value"]));
            Some("arguments that are no object were wrapped in one, as `value`")
        }
    }
}

/// Puts the alternatives' properties together; required is what all of them require (`allOf`: any of them).
fn merge_union(schema: &mut Map<String, Value>, union: &str) {
    let variants = match schema.shift_remove(union) {
        Some(Value::Array(variants)) => variants,
        _ => Vec::new(),
    };
    let mut properties = match schema.shift_remove("properties") {
        Some(Value::Object(it)) => it,
        _ => Map::new(),
    };
    let mut shared: Option<Vec<Value>> = None;
    for variant in &variants {
        for (name, property) in variant.get("properties").and_then(Value::as_object).into_iter().flatten() {
            properties.entry(name.clone()).or_insert_with(|| property.clone());
        }
        let required = variant.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        shared = Some(match shared {
            None => required,
            Some(old) if union == "allOf" => old.into_iter().chain(required).collect(),
            Some(old) => old.into_iter().filter(|it| required.contains(it)).collect(),
        });
    }
    let mut required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    for name in shared.unwrap_or_default() {
        if !required.contains(&name) {
            required.push(name);
        }
    }
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), Value::Object(properties));
    if !required.is_empty() {
        schema.insert("required".to_owned(), Value::Array(required));
    }
}

/// Whether this is a map of properties that lacks the schema around it: `{"path": {"type": "string"}}`.
fn is_bare_properties(schema: &Map<String, Value>) -> bool {
    let looks_like_schema = |it: &Value| it.get("type").is_some() || it.get("anyOf").is_some();
    !schema.is_empty()
        && schema.values().all(looks_like_schema)
        && !NAMED.iter().any(|it| schema.contains_key(*it))
}

/// Puts right what other dialects and older drafts write otherwise.
pub(super) fn repair(schema: &mut Map<String, Value>) {
    each(schema, &mut |place, _| {
        lower_types(place);
        nullable(place);
        for (flag, limit) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
            exclusive(place, flag, limit);
        }
        promote_required(place);
    });
}

/// `STRING` → `string`, as Gemini writes types.
fn lower_types(schema: &mut Map<String, Value>) {
    let lower = |it: &mut Value| {
        if let Value::String(text) = it {
            text.make_ascii_lowercase();
        }
    };
    match schema.get_mut("type") {
        Some(Value::Array(types)) => types.iter_mut().for_each(lower),
        Some(it) => lower(it),
        None => {}
    }
}

/// `nullable: true` → a second type (`OpenAPI` 3.0).
fn nullable(schema: &mut Map<String, Value>) {
    let (Some(Value::Bool(nullable)), Some(Value::String(kind))) =
        (schema.get("nullable"), schema.get("type"))
    else {
        return;
    };
    let types = nullable.then(|| json!([kind, "null"]));
    schema.shift_remove("nullable");
    if let Some(types) = types {
        schema.insert("type".to_owned(), types);
    }
}

/// `exclusiveMinimum: true` beside `minimum` → one number (draft 4).
fn exclusive(schema: &mut Map<String, Value>, flag: &str, limit: &str) {
    let Some(Value::Bool(exclusive)) = schema.get(flag) else { return };
    let exclusive = *exclusive;
    schema.shift_remove(flag);
    if exclusive && let Some(number) = schema.shift_remove(limit) {
        schema.insert(flag.to_owned(), number);
    }
}

/// `required: true` on a property → its name in the object's list (draft 3).
fn promote_required(schema: &mut Map<String, Value>) {
    let mut names = Vec::new();
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for (name, property) in properties.iter_mut() {
            let Value::Object(property) = property else { continue };
            if let Some(&Value::Bool(required)) = property.get("required") {
                property.shift_remove("required");
                names.extend(required.then(|| json!(name)));
            }
        }
    }
    if names.is_empty() {
        return;
    }
    match schema.get_mut("required") {
        Some(Value::Array(required)) => {
            names.retain(|it| !required.contains(it));
            required.append(&mut names);
        }
        _ => drop(schema.insert("required".to_owned(), Value::Array(names))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(schema: impl Into<Value>) -> Value {
        arguments(Some(&schema.into())).0
    }

    #[test]
    fn a_good_schema_is_left_as_it_is() {
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer", "minimum": 1.0}},
            "required": ["n"], "additionalProperties": false, "$defs": {"a": {"type": ["string", "null"]}}});
        assert_eq!(fixed(schema.clone()).to_string(), schema.to_string());
        assert_eq!(arguments(Some(&schema)).1, None);
    }

    #[test]
    fn ec_148_a_missing_schema_is_an_empty_object() {
        assert_eq!(arguments(None).0, json!({"type": "object", "properties": {}}));
        assert_eq!(fixed(json!({})), json!({"type": "object", "properties": {}}));
    }

    #[test]
    fn ec_147_flags_maps_and_unions_become_schemas() {
        assert_eq!(
            fixed(json!({"type": "object", "properties": {"a": {"type": "string", "required": true}}})),
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]})
        );
        assert_eq!(
            fixed(json!({"path": {"type": "string"}})),
            json!({"type": "object", "properties": {"path": {"type": "string"}}})
        );
        let union = json!({"anyOf": [
            {"type": "object", "properties": {"a": {"type": "string"}, "b": {}}, "required": ["a", "b"]},
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}]});
        assert_eq!(
            fixed(union),
            json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {}}, "required": ["a"]})
        );
        assert_eq!(
            fixed(json!({"type": "array", "items": {"type": "STRING"}})),
            json!({"type": "object", "properties": {"value": {"type": "array", "items": {"type": "string"}}},
                "required": ["value"]})
        );
        assert_eq!(
            fixed(
                json!({"type": "object", "properties": {"n": {"type": "number", "minimum": 1, "exclusiveMinimum": true}}})
            ),
            json!({"type": "object", "properties": {"n": {"type": "number", "exclusiveMinimum": 1}}})
        );
    }

    #[test]
    fn ec_102_upper_case_types_are_lowered_at_any_depth() {
        let schema = json!({"type": "OBJECT", "properties": {"a": {"type": "ARRAY",
            "items": {"type": "STRING", "nullable": true}}}});
        let expected = json!({"type": "object", "properties": {"a": {"type": "array",
            "items": {"type": ["string", "null"]}}}});
        assert_eq!(fixed(schema), expected);
    }

    #[test]
    fn ec_031_properties_named_like_keywords_are_names() {
        let schema = json!({"type": "object", "properties": {"type": {"type": "string"},
            "required": {"type": "boolean"}, "nullable": {"type": "boolean"}, "items": {"type": "STRING"}}});
        let mut expected = schema.clone();
        expected["properties"]["items"]["type"] = json!("string");
        assert_eq!(fixed(schema), expected);
    }
}
