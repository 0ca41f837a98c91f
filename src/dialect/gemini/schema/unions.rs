//! Unions: of types, of values, of schemas.

use serde_json::{Map, Value, json};

use super::{
    Note,
    keywords::{self, type_name},
};

/// What a schema may also be.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Null(pub(super) bool);

/// Makes `oneOf` an `anyOf`, takes `null` out of it, and drops variants that name no values of their own.
pub(super) fn any_of(flat: &mut Map<String, Value>, null: &mut Null, notes: &mut Vec<Note>) -> Vec<Value> {
    let mut variants = Vec::new();
    for key in ["anyOf", "oneOf"] {
        if let Some(Value::Array(it)) = flat.shift_remove(key) {
            variants.extend(it);
        }
    }
    if variants.is_empty() {
        return variants;
    }
    variants.retain(|it| *it != Value::Bool(false));
    let all = variants.len();
    variants.retain(|it| !is_null(it));
    null.0 |= variants.len() < all;
    let before = variants.len();
    variants.retain(|it| it.as_object().is_none_or(names_values));
    let bare = variants.len() < before;
    // Variants of an object that has properties of its own only say how they go together.
    if bare || (flat.contains_key("properties") && !variants.is_empty()) {
        notes.push(Note {
            what: "variants of an object with properties were dropped".to_owned(),
            matters: true,
        });
        if flat.contains_key("properties") || flat.contains_key("type") {
            variants.clear();
        }
    }
    variants
}

fn is_null(schema: &Value) -> bool {
    let null_type = |it: &Value| it.as_str().is_some_and(|it| it.eq_ignore_ascii_case("null"));
    schema
        .get("type")
        .is_some_and(|it| null_type(it) || it.as_array().is_some_and(|it| it.iter().all(null_type)))
        || schema.as_object().is_some_and(|it| it.get("const").is_some_and(Value::is_null))
        || schema
            .get("enum")
            .and_then(Value::as_array)
            .is_some_and(|it| !it.is_empty() && it.iter().all(Value::is_null))
}

/// Whether a variant says which values it has, and not only what else must hold.
fn names_values(variant: &Map<String, Value>) -> bool {
    let keys = [
        "type",
        "properties",
        "items",
        "prefixItems",
        "enum",
        "const",
        "$ref",
        "anyOf",
        "oneOf",
        "allOf",
        "format",
        "pattern",
    ];
    variant.is_empty() || keys.iter().any(|it| variant.contains_key(*it))
}

/// The types of a schema, without `null`.
pub(super) fn types(
    flat: &mut Map<String, Value>,
    null: &mut Null,
    notes: &mut Vec<Note>,
) -> Vec<&'static str> {
    let words = match flat.shift_remove("type") {
        Some(Value::String(it)) => vec![it],
        Some(Value::Array(them)) => them.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    if flat.shift_remove("nullable") == Some(Value::Bool(true)) {
        null.0 = true;
    }
    let mut types = Vec::new();
    for word in words {
        match type_name(&word) {
            Some("NULL") => null.0 = true,
            Some(it) if !types.contains(&it) => types.push(it),
            Some(_) => {}
            None if word == "TYPE_UNSPECIFIED" || word == "any" => {}
            None => {
                notes.push(Note { what: "a type that nobody knows was dropped".to_owned(), matters: true });
            }
        }
    }
    types
}

/// Keeps an `enum` of texts; other values are told in the description. `const` is an `enum` of one.
pub(super) fn values(
    flat: &mut Map<String, Value>,
    types: &mut Vec<&'static str>,
    null: &mut Null,
    notes: &mut Vec<Note>,
) -> Option<String> {
    let constant = flat.shift_remove("const").map(|it| vec![it]);
    let listed = match flat.shift_remove("enum") {
        Some(Value::Array(it)) => Some(it),
        _ => None,
    };
    let mut values = constant.or(listed)?;
    let all = values.len();
    values.retain(|it| !it.is_null());
    null.0 |= values.len() < all;
    if values.iter().any(|it| it.as_str() == Some("")) {
        values.retain(|it| it.as_str() != Some(""));
        notes.push(Note { what: "an empty text among the values was dropped".to_owned(), matters: true });
    }
    if values.is_empty() {
        return None;
    }
    if values.iter().all(Value::is_string) && (types.is_empty() || types.contains(&"STRING")) {
        *types = vec!["STRING"];
        flat.insert("enum".to_owned(), Value::Array(values));
        return None;
    }
    if types.is_empty() {
        *types = values.iter().map(type_of).fold(Vec::new(), |mut all, it| {
            if !all.contains(&it) {
                all.push(it);
            }
            all
        });
    }
    notes.push(Note {
        what: "values that are no text are named in the description".to_owned(),
        matters: true,
    });
    Some(format!("one of: {}", Value::Array(values)))
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null | Value::String(_) => "STRING",
        Value::Bool(_) => "BOOLEAN",
        Value::Number(it) if it.is_i64() || it.is_u64() => "INTEGER",
        Value::Number(_) => "NUMBER",
        Value::Array(_) => "ARRAY",
        Value::Object(_) => "OBJECT",
    }
}

/// Makes a schema of several types a union of one schema for each; each has what is said of its type.
pub(super) fn by_type(flat: &mut Map<String, Value>, types: &[&'static str]) -> Vec<Value> {
    let specific: Vec<String> =
        flat.keys().filter(|it| !keywords::types_of(it).is_empty()).cloned().collect();
    let taken: Vec<(String, Value)> =
        specific.into_iter().filter_map(|key| flat.shift_remove_entry(&key)).collect();
    let variant = |kind: &&'static str| {
        let mut variant = Map::new();
        variant.insert("type".to_owned(), json!(kind));
        for (key, value) in taken.iter().filter(|(key, _)| keywords::types_of(key).contains(kind)) {
            variant.insert(key.clone(), value.clone());
        }
        Value::Object(variant)
    };
    types.iter().map(variant).collect()
}

/// The type of a schema that names none, by what else it says.
pub(super) fn inferred(flat: &Map<String, Value>) -> &'static str {
    let has = |keys: &[&str]| keys.iter().any(|it| flat.contains_key(*it));
    if has(&[
        "properties",
        "required",
        "additionalProperties",
        "patternProperties",
        "minProperties",
        "maxProperties",
    ]) {
        "OBJECT"
    } else if has(&["items", "prefixItems", "minItems", "maxItems", "uniqueItems"]) {
        "ARRAY"
    } else if has(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]) {
        "NUMBER"
    } else {
        "STRING"
    }
}

/// The variants of a union of reduced objects as one object; required is what all of them require.
pub(super) fn together(variants: &[Value]) -> Map<String, Value> {
    let mut properties = Map::new();
    let mut shared: Option<Vec<Value>> = None;
    for variant in variants {
        for (name, property) in variant.get("properties").and_then(Value::as_object).into_iter().flatten() {
            properties.entry(name.clone()).or_insert_with(|| property.clone());
        }
        let required = variant.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        shared = Some(match shared {
            None => required,
            Some(old) => old.into_iter().filter(|it| required.contains(it)).collect(),
        });
    }
    let mut object = Map::from_iter([("type".to_owned(), json!("OBJECT"))]);
    if !properties.is_empty() {
        object.insert("properties".to_owned(), Value::Object(properties));
    }
    if let Some(required) = shared.filter(|it| !it.is_empty()) {
        object.insert("required".to_owned(), Value::Array(required));
    }
    object
}
