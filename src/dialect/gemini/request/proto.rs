//! Protobuf's JSON: names in both casings, enums in any case, numbers as text.

use serde_json::{Map, Number, Value};

use super::super::ID;
use crate::dialect::{
    DecodeError,
    fields::{Fields, as_count, wrong},
};

/// Opens a message. Names in snake case become those in camel case, unless both are there.
pub(super) fn open(value: Value, at: impl Into<String>) -> Result<Fields, DecodeError> {
    let value = match value {
        Value::Object(map) if map.keys().any(|it| it.contains('_')) => Value::Object(camel_keys(map)),
        other => other,
    };
    Fields::of(value, at)
}

/// Takes a field that is a message.
pub(super) fn message(fields: &mut Fields, key: &str) -> Result<Option<Fields>, DecodeError> {
    let at = fields.at(key);
    fields.any(key).map(|it| open(it, at)).transpose()
}

fn camel_keys(map: Map<String, Value>) -> Map<String, Value> {
    let mut out = Map::new();
    for (key, value) in map {
        let name = camel(&key);
        if name == key {
            out.insert(key, value);
        } else {
            // What is said in camel case too wins, wherever it stands.
            out.entry(name).or_insert(value);
        }
    }
    out
}

/// `inline_data` → `inlineData`; `_` at the beginning stays.
pub(super) fn camel(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    let mut upper = false;
    for it in key.chars() {
        if it == '_' && !out.is_empty() && out != "_" {
            upper = true;
        } else {
            out.push(if upper { it.to_ascii_uppercase() } else { it });
            upper = false;
        }
    }
    out
}

/// Takes a number, also one that is written as text.
pub(super) fn number(fields: &mut Fields, key: &str) -> Result<Option<Number>, DecodeError> {
    let at = fields.at(key);
    match fields.any(key) {
        None => Ok(None),
        Some(Value::Number(it)) => Ok(Some(it)),
        Some(Value::String(text)) => match text.parse() {
            Ok(it) => Ok(Some(it)),
            Err(_) => Err(DecodeError::new(at, format!("`{key}` must be a number, not a text"))),
        },
        Some(other) => Err(wrong(at, "a number", &other)),
    }
}

/// Takes a whole number of zero or more, also one that is written as text; `64.0` counts as 64.
pub(super) fn count(fields: &mut Fields, key: &str) -> Result<Option<u64>, DecodeError> {
    let at = fields.at(key);
    let Some(it) = number(fields, key)? else { return Ok(None) };
    match as_count(&it) {
        Some(it) => Ok(Some(it)),
        None => Err(DecodeError::new(at, format!("`{key}` must be a whole number of 0 or more, not {it}"))),
    }
}

/// Takes an enum's word, in upper case.
pub(super) fn word(fields: &mut Fields, key: &str) -> Result<Option<String>, DecodeError> {
    Ok(fields.string(key)?.map(|it| it.to_ascii_uppercase()))
}

/// Takes a list of texts.
pub(super) fn texts(fields: &mut Fields, key: &str) -> Result<Vec<String>, DecodeError> {
    let at = fields.at(key);
    let text = |(index, it)| match it {
        Value::String(it) => Ok(it),
        other => Err(wrong(format!("{at}/{index}"), "a string", &other)),
    };
    fields.array(key)?.unwrap_or_default().into_iter().enumerate().map(text).collect()
}

/// What nobody took, bare.
pub(super) fn rest(fields: Fields) -> Map<String, Value> {
    fields.rest(ID).get().map(|it| it.fields.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ec_103_names_in_snake_case_are_read() {
        for (snake, name) in [
            ("inline_data", "inlineData"),
            ("function_calling_config", "functionCallingConfig"),
            ("_response_json_schema", "_responseJsonSchema"),
            ("text", "text"),
            ("topK", "topK"),
        ] {
            assert_eq!(camel(snake), name);
        }
        let mut fields = open(json!({"mime_type": "a", "mimeType": "b"}), "").unwrap();
        assert_eq!(fields.string("mimeType").unwrap().as_deref(), Some("b"));
        assert!(fields.rest(ID).get().is_none());
    }

    #[test]
    fn numbers_may_be_texts() {
        let mut fields = open(json!({"a": "12", "b": 64.0, "c": "x", "d": -1}), "").unwrap();
        assert_eq!(count(&mut fields, "a").unwrap(), Some(12));
        assert_eq!(count(&mut fields, "b").unwrap(), Some(64));
        assert_eq!(count(&mut fields, "c").unwrap_err().at, "/c");
        assert_eq!(count(&mut fields, "d").unwrap_err().at, "/d");
    }
}
