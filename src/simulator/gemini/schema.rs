//! The subset of JSON schema that `parameters` and `responseSchema` are.

use serde_json::Value;

use crate::simulator::{
    gemini::{
        form::{invalid, unknown},
        read::{get, snake},
    },
    vendor::Complaint,
};

const FIELDS: &[&str] = &[
    "anyOf",
    "default",
    "description",
    "enum",
    "example",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "nullable",
    "pattern",
    "properties",
    "propertyOrdering",
    "required",
    "title",
    "type",
];

const TYPES: &[&str] = &["STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"];

pub(super) fn judge(schema: &Value, at: &str) -> Result<(), Complaint> {
    let Some(fields) = schema.as_object() else { return invalid(at, schema, "an object") };
    if let Some(name) = fields.keys().find(|key| !FIELDS.iter().any(|it| it == key || snake(it) == **key)) {
        return unknown(name, at);
    }
    let kind = kind(schema, at)?;
    words(schema, at)?;
    if let Some(properties) = schema.get("properties") {
        let Some(properties) = properties.as_object() else {
            return invalid(&format!("{at}.properties"), properties, "an object");
        };
        for (name, it) in properties {
            judge(it, &format!("{at}.properties[{name}]"))?;
        }
    }
    for (number, it) in get(schema, "anyOf").as_array().into_iter().flatten().enumerate() {
        judge(it, &format!("{at}.any_of[{number}]"))?;
    }
    match schema.get("items") {
        Some(items) => judge(items, &format!("{at}.items"))?,
        None if kind == "ARRAY" => return Complaint::of(at, format!("{at}.items: missing field.")),
        None => {}
    }
    required(schema, at)
}

/// The type's name; the type is one word, in capitals or not.
fn kind(schema: &Value, at: &str) -> Result<String, Complaint> {
    match &schema["type"] {
        Value::String(kind) if TYPES.contains(&kind.to_uppercase().as_str()) => Ok(kind.to_uppercase()),
        Value::Array(_) => Complaint::of(
            at,
            format!(
                "Invalid JSON payload received. Unknown name \"type\" at '{at}': Proto field is not repeating, cannot start list."
            ),
        ),
        Value::Null if !get(schema, "anyOf").is_null() => Ok(String::new()),
        Value::Null => Complaint::of(at, format!("{at}.type: must be specified")),
        other => invalid(&format!("{at}.type"), other, "TYPE_ENUM"),
    }
}

/// Enums are of texts, none of them empty; formats are a few.
fn words(schema: &Value, at: &str) -> Result<(), Complaint> {
    let is_text = schema["type"].as_str().is_some_and(|it| it.eq_ignore_ascii_case("string"));
    for (number, it) in schema["enum"].as_array().into_iter().flatten().enumerate() {
        let at = format!("{at}.enum[{number}]");
        match it.as_str() {
            Some("") => return Complaint::of(at.clone(), format!("{at}: cannot be empty")),
            Some(_) if !is_text => {
                return Complaint::of(at.clone(), format!("{at}: only allowed for STRING type"));
            }
            Some(_) => {}
            None => return invalid(&at, it, "TYPE_STRING"),
        }
    }
    let formats: &[&str] = if is_text {
        &["enum", "date-time"]
    } else {
        &["float", "double", "int32", "int64", "enum", "date-time"]
    };
    match schema["format"].as_str() {
        Some(format) if !formats.contains(&format) => Complaint::of(
            at,
            format!("{at}.format: only 'enum' and 'date-time' are supported for STRING type"),
        ),
        _ => Ok(()),
    }
}

fn required(schema: &Value, at: &str) -> Result<(), Complaint> {
    for (number, it) in schema["required"].as_array().into_iter().flatten().enumerate() {
        let at = format!("{at}.required[{number}]");
        let Some(name) = it.as_str() else { return invalid(&at, it, "TYPE_STRING") };
        if schema["properties"].get(name).is_none() {
            return Complaint::of(at.clone(), format!("{at}: property is not defined"));
        }
    }
    Ok(())
}
