//! Errors in Google's shape (`google.rpc.Status`): ours written, upstreams' read.

mod delay;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::ID;
use crate::{
    dialect::{DialectId, WireError, fields::dotted, openai_error, upstream_words},
    kernel::error::{ErrorKind, GatewayError},
};

pub use delay::retry_delay;

/// Writes an error. One of an upstream that speaks Gemini is passed on as it came, unless it is about our own credential.
pub(super) fn encode(error: &GatewayError) -> (StatusCode, Bytes) {
    if let Some(original) = error.original.as_ref().filter(|it| it.dialect == ID.name())
        && error.kind != ErrorKind::UpstreamRefused
        && let Ok(status) = StatusCode::from_u16(original.status)
    {
        return (status, original.body.clone());
    }
    let status = StatusCode::from_u16(status(error)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Bytes::from(body(error).to_string()))
}

/// `{"error": {…}}`, with what Google's clients look for in `details`.
pub(super) fn body(error: &GatewayError) -> Value {
    let mut details = Vec::new();
    if error.kind == ErrorKind::Unauthenticated {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
        }));
    }
    if let Some(field) = error.at.as_deref().and_then(dotted) {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{ "field": field, "description": error.message }],
        }));
    }
    if let Some(wait) = error.retry_after {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{}s", wait.as_secs().max(1)),
        }));
    }
    told_as(status(error), class(error.kind).1, &error.message, details)
}

/// An upstream's error in a stream.
pub(super) fn wire_body(error: &WireError) -> Value {
    let (status, word) = class(error.kind);
    told_as(status, word, &error.message, Vec::new())
}

fn told_as(status: u16, word: &str, message: &str, details: Vec<Value>) -> Value {
    let mut error = json!({ "code": status, "message": message, "status": word });
    if !details.is_empty() {
        error["details"] = details.into();
    }
    json!({ "error": error })
}

/// The HTTP status of each kind, and its name among `google.rpc.Code`.
fn class(kind: ErrorKind) -> (u16, &'static str) {
    match kind {
        ErrorKind::BadRequest | ErrorKind::ContextTooLong | ErrorKind::Unsupported => {
            (400, "INVALID_ARGUMENT")
        }
        ErrorKind::Unauthenticated => (401, "UNAUTHENTICATED"),
        ErrorKind::Forbidden => (403, "PERMISSION_DENIED"),
        ErrorKind::NotFound | ErrorKind::UnknownModel => (404, "NOT_FOUND"),
        ErrorKind::MethodNotAllowed => (405, "UNIMPLEMENTED"),
        ErrorKind::SlowRequest => (408, "DEADLINE_EXCEEDED"),
        ErrorKind::Conflict => (409, "ABORTED"),
        ErrorKind::TooLarge => (413, "INVALID_ARGUMENT"),
        ErrorKind::UnsupportedMediaType => (415, "INVALID_ARGUMENT"),
        ErrorKind::RateLimited | ErrorKind::QuotaExhausted => (429, "RESOURCE_EXHAUSTED"),
        ErrorKind::ClientGone => (499, "CANCELLED"),
        ErrorKind::Internal => (500, "INTERNAL"),
        // The gateway's own credential was refused: a 401 here would make a client log its user out.
        ErrorKind::UpstreamRefused | ErrorKind::UpstreamFailed | ErrorKind::Truncated => (502, "INTERNAL"),
        ErrorKind::Overloaded | ErrorKind::Unavailable => (503, "UNAVAILABLE"),
        ErrorKind::Timeout => (504, "DEADLINE_EXCEEDED"),
    }
}

/// The upstream's status where Google has it for this kind, else the kind's own.
fn status(error: &GatewayError) -> u16 {
    match (error.kind, error.status) {
        (ErrorKind::UpstreamFailed, Some(it @ 500..=504)) => it,
        (kind, _) => class(kind).0,
    }
}

/// Reads an upstream's error: in Google's shape, or in whatever shape it comes.
pub(super) fn decode(status: StatusCode, body: &[u8]) -> WireError {
    let read = serde_json::from_slice(body).ok().and_then(|it| google(status.as_u16(), &it));
    read.unwrap_or_else(|| DialectId::OpenaiChat.client().decode_error(status, body))
}

/// The error that an answer of status 200, or a piece of one, holds.
pub(in crate::dialect) fn told(fields: &Map<String, Value>) -> Option<WireError> {
    let error = fields.get("error").filter(|it| !it.is_null())?;
    google(200, &json!({ "error": error })).or_else(|| openai_error::told(fields, "candidates"))
}

/// Reads an error if it has Google's shape, alone or in a list: clones of other dialects that stand before Gemini tell
/// its errors so too. The body counts for more than a status that is none of an error.
pub(in crate::dialect) fn google(status: u16, value: &Value) -> Option<WireError> {
    let value = match value {
        Value::Array(list) => list.first()?,
        other => other,
    };
    let error = value.get("error")?.as_object()?;
    let text = |key: &str| error.get(key).and_then(Value::as_str).filter(|it| !it.is_empty());
    let word = text("status").filter(|it| it.bytes().all(|it| it.is_ascii_uppercase() || it == b'_'));
    let details = error.get("details").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let code = error.get("code").and_then(Value::as_u64).and_then(|it| u16::try_from(it).ok());
    if word.is_none() && (details.is_empty() || code.is_none()) {
        return None;
    }
    let status = if status < 400 { code.unwrap_or(status) } else { status };
    let message = text("message").unwrap_or("the upstream reported an error without words").to_owned();
    let detail = |key: &str| details.iter().find_map(|it| it.get(key));
    let reason = detail("reason").and_then(Value::as_str);
    let violation = detail("fieldViolations").and_then(|it| it.get(0)?.get("field")?.as_str());
    Some(WireError {
        kind: kind(status, word.unwrap_or_default(), reason, &message, details),
        message,
        error_type: word.map(str::to_owned),
        code: reason.map(str::to_owned),
        param: violation.map(str::to_owned),
    })
}

fn kind(status: u16, word: &str, reason: Option<&str>, message: &str, details: &[Value]) -> ErrorKind {
    let lower = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|it| lower.contains(it));
    // Google tells of a bad key with 400.
    if matches!(reason, Some("API_KEY_INVALID" | "API_KEY_EXPIRED"))
        || says(&["api key not valid", "api key expired", "api key not found"])
    {
        return ErrorKind::UpstreamRefused;
    }
    if word != "RESOURCE_EXHAUSTED" && status != 429 && upstream_words::say_too_long(&lower) {
        return ErrorKind::ContextTooLong;
    }
    match word {
        "UNAUTHENTICATED" | "PERMISSION_DENIED" => ErrorKind::UpstreamRefused,
        // The place or the bill of the gateway's account, not the request.
        "FAILED_PRECONDITION" if says(&["location", "billing"]) => ErrorKind::UpstreamRefused,
        "INVALID_ARGUMENT" if status == 413 || says(&["payload size exceeds"]) => ErrorKind::TooLarge,
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" => ErrorKind::BadRequest,
        "NOT_FOUND" => not_found(&lower),
        "ALREADY_EXISTS" | "ABORTED" => ErrorKind::Conflict,
        "RESOURCE_EXHAUSTED" => exhausted(details),
        "UNAVAILABLE" => ErrorKind::Overloaded,
        "DEADLINE_EXCEEDED" => ErrorKind::Timeout,
        "INTERNAL" | "UNKNOWN" | "DATA_LOSS" | "CANCELLED" | "UNIMPLEMENTED" => ErrorKind::UpstreamFailed,
        _ => by_status(status, &lower, details),
    }
}

fn by_status(status: u16, message: &str, details: &[Value]) -> ErrorKind {
    match status {
        401 | 403 => ErrorKind::UpstreamRefused,
        402 => ErrorKind::QuotaExhausted,
        404 => not_found(message),
        408 | 504 => ErrorKind::Timeout,
        409 => ErrorKind::Conflict,
        413 => ErrorKind::TooLarge,
        429 => exhausted(details),
        503 | 529 => ErrorKind::Overloaded,
        400..=499 => ErrorKind::BadRequest,
        _ => ErrorKind::UpstreamFailed,
    }
}

fn not_found(message: &str) -> ErrorKind {
    if message.contains("model") { ErrorKind::UnknownModel } else { ErrorKind::NotFound }
}

/// A limit of a minute passes soon, one of a day does not; Google says "exceeded your current quota" of both.
fn exhausted(details: &[Value]) -> ErrorKind {
    let violations = details.iter().filter_map(|it| it.get("violations")?.as_array()).flatten();
    let is_daily = violations.filter_map(|it| it.get("quotaId")?.as_str()).any(|it| it.contains("PerDay"));
    if is_daily { ErrorKind::QuotaExhausted } else { ErrorKind::RateLimited }
}

#[cfg(test)]
mod tests;
