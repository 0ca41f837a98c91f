//! A vendor: how one dialect is read, judged and written.

use actix_web::http::header::HeaderMap;
use bytes::Bytes;
use serde_json::Value;

use crate::simulator::{
    ask::{Ask, Told},
    quota::Allowance,
    reply::{Answer, Manner},
    scenario::{Dialect, ErrorReply},
};

pub(super) type Headers = Vec<(String, String)>;

/// The parts in which the dialects differ.
pub(super) struct Vendor {
    pub dialect: Dialect,
    pub read: fn(&Value, Told<'_>) -> Ask,
    /// Refuses what the real one refuses.
    pub judge: fn(&Value, Call<'_>) -> Result<(), Complaint>,
    pub whole: fn(&Answer, &Ask, Manner<'_>) -> String,
    /// One frame for each event, in order.
    pub frames: fn(&Answer, &Ask, Manner<'_>) -> Vec<Bytes>,
    /// The body of an error; the second argument is the request's id.
    pub error: fn(&ErrorReply, &str) -> String,
    /// The error in a stream of which these frames are out already.
    pub error_event: fn(&ErrorReply, &[Bytes]) -> Bytes,
    /// What the ids of answers begin with.
    pub id_prefix: &'static str,
    pub request_id_header: &'static str,
    pub rate_headers: fn(&Allowance) -> Headers,
}

/// What a judge sees beside the body.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub headers: &'a HeaderMap,
    pub query: &'a str,
    pub told: Told<'a>,
    /// Whose opaque state is good here; empty: everybody's.
    pub account: &'a str,
}

/// Why a request is refused: 400 in the vendor's shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    /// Which field, as a path such as `messages[1].content`.
    pub at: String,
    pub message: String,
    /// The vendor's code, where it has one.
    pub code: Option<&'static str>,
}

impl Complaint {
    pub(super) fn of<T>(at: impl Into<String>, message: impl Into<String>) -> Result<T, Self> {
        Err(Self { at: at.into(), message: message.into(), code: None })
    }

    pub(super) fn coded<T>(
        code: &'static str,
        at: impl Into<String>,
        message: impl Into<String>,
    ) -> Result<T, Self> {
        Err(Self { at: at.into(), message: message.into(), code: Some(code) })
    }
}

/// Refuses with `message` at `at` unless `holds`.
pub(super) fn require(holds: bool, at: &str, message: &str) -> Result<(), Complaint> {
    if holds { Ok(()) } else { Complaint::of(at, message) }
}

/// Refuses fields that are not in `known`.
pub(super) fn only_known(object: &Value, known: &[&str], at: &str, words: &str) -> Result<(), Complaint> {
    let unknown = object.as_object().and_then(|it| it.keys().find(|key| !known.contains(&key.as_str())));
    match unknown {
        None => Ok(()),
        Some(key) => {
            let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            Complaint::of(at.clone(), format!("{at}: {words}"))
        }
    }
}

/// Refuses a number that is given and lies outside `low..=high`, or is no number.
pub(super) fn within(body: &Value, field: &str, low: f64, high: f64) -> Result<(), Complaint> {
    match body.get(field) {
        None | Some(Value::Null) => Ok(()),
        Some(value) => {
            let fits = value.as_f64().is_some_and(|it| (low..=high).contains(&it));
            require(fits, field, &format!("{field}: expected a number between {low} and {high}"))
        }
    }
}

/// Refuses an integer that is given and is below `low`, or is no integer.
pub(super) fn integer(body: &Value, field: &str, low: i64) -> Result<(), Complaint> {
    match body.get(field) {
        None | Some(Value::Null) => Ok(()),
        Some(value) => require(
            value.as_i64().is_some_and(|it| it >= low),
            field,
            &format!("{field}: expected an integer of at least {low}"),
        ),
    }
}

/// Whether `text` is `[a-zA-Z0-9_-]{1,longest}`.
pub(super) fn is_name(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len())
        && text.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_' || it == b'-')
}

/// Every object of a strict schema is closed; for some vendors all its properties are required too.
pub(super) fn closed_schema(schema: &Value, at: &str, demand: Closed) -> Result<(), Complaint> {
    match schema {
        Value::Object(fields) => {
            let is_object = schema["type"].as_str() == Some("object") || fields.contains_key("properties");
            if is_object {
                require(
                    schema["additionalProperties"] == Value::Bool(false),
                    at,
                    &format!("{at}: `additionalProperties` must be false on every object"),
                )?;
                if demand == Closed::WithAllRequired {
                    all_required(schema, at)?;
                }
            }
            fields
                .iter()
                .filter(|(key, _)| *key != "enum" && *key != "const" && *key != "default")
                .try_for_each(|(key, it)| closed_schema_inside(key, it, at, demand))
        }
        Value::Array(items) => items.iter().try_for_each(|it| closed_schema(it, at, demand)),
        _ => Ok(()),
    }
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Closed {
    Only,
    WithAllRequired,
}

/// Below `properties` and `$defs` the keys are names, not keywords.
fn closed_schema_inside(key: &str, value: &Value, at: &str, demand: Closed) -> Result<(), Complaint> {
    match (key, value) {
        ("properties" | "$defs" | "definitions", Value::Object(named)) => {
            named.values().try_for_each(|it| closed_schema(it, at, demand))
        }
        _ => closed_schema(value, at, demand),
    }
}

fn all_required(schema: &Value, at: &str) -> Result<(), Complaint> {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let missing = schema["properties"]
        .as_object()
        .and_then(|it| it.keys().find(|key| !required.contains(&key.as_str())));
    match missing {
        Some(key) => Complaint::of(
            at,
            format!("{at}: a strict schema must require every property, `{key}` is missing"),
        ),
        None => Ok(()),
    }
}

/// The first bytes of base64 data, if all of it is base64.
pub(super) fn base64(data: &str) -> Option<Vec<u8>> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.decode(data).ok()
}

/// What an image's first bytes say it is.
pub(super) fn sniff(image: &[u8]) -> Option<&'static str> {
    match image {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xFF, 0xD8, 0xFF, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}
