//! Errors: what a client is told, and what an upstream said, whatever its shape.

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;

use super::{ID, wire};
use crate::{
    dialect::{WireError, gemini, upstream_words},
    kernel::{
        error::{ErrorKind, GatewayError},
        id::RequestId,
    },
};

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    error: Inner<'a>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct Inner<'a> {
    r#type: &'static str,
    message: &'a str,
}

/// Returns the status and `error.type` a kind is told with.
fn class(kind: ErrorKind) -> (u16, &'static str) {
    match kind {
        ErrorKind::BadRequest | ErrorKind::ContextTooLong | ErrorKind::Unsupported => {
            (400, "invalid_request_error")
        }
        ErrorKind::Unauthenticated => (401, "authentication_error"),
        ErrorKind::QuotaExhausted => (402, "billing_error"),
        ErrorKind::Forbidden => (403, "permission_error"),
        ErrorKind::NotFound | ErrorKind::UnknownModel => (404, "not_found_error"),
        ErrorKind::MethodNotAllowed => (405, "invalid_request_error"),
        ErrorKind::Conflict => (409, "conflict_error"),
        ErrorKind::TooLarge => (413, "request_too_large"),
        ErrorKind::SlowRequest => (408, "invalid_request_error"),
        ErrorKind::UnsupportedMediaType => (415, "invalid_request_error"),
        ErrorKind::RateLimited => (429, "rate_limit_error"),
        ErrorKind::ClientGone => (499, "api_error"),
        ErrorKind::Internal => (500, "api_error"),
        // The gateway's own credential was refused: a 401 here would make a client log its user out.
        ErrorKind::UpstreamRefused | ErrorKind::UpstreamFailed | ErrorKind::Truncated => (502, "api_error"),
        ErrorKind::Unavailable => (503, "overloaded_error"),
        ErrorKind::Timeout => (504, "timeout_error"),
        ErrorKind::Overloaded => (529, "overloaded_error"),
    }
}

pub(super) fn encode(error: &GatewayError, request: RequestId) -> (StatusCode, Bytes) {
    if let Some(original) = error.original.as_ref().filter(|it| it.dialect == ID.name())
        && may_pass(error, &original.body)
        && let Ok(status) = StatusCode::from_u16(original.status)
    {
        return (status, original.body.clone());
    }
    let (status, error_type) = class(error.kind);
    let body = body(error_type, &message(error), &request.to_string());
    (StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY), body)
}

/// Whether an upstream's own words may go to the client: not about our credential, and not if Claude Code would not
/// understand them (it compacts on "prompt is too long").
fn may_pass(error: &GatewayError, body: &[u8]) -> bool {
    match error.kind {
        ErrorKind::UpstreamRefused => false,
        ErrorKind::ContextTooLong => memchr::memmem::find(body, TOO_LONG.as_bytes()).is_some(),
        _ => true,
    }
}

/// The error object, as a body or as the data of an `error` event.
fn body(error_type: &'static str, message: &str, request_id: &str) -> Bytes {
    wire::bytes(&Body { r#type: "error", error: Inner { r#type: error_type, message }, request_id })
}

/// The data of an `error` event for an error of the gateway.
pub(super) fn event_of(error: &GatewayError, request_id: &str) -> Bytes {
    body(class(error.kind).1, &message(error), request_id)
}

/// The data of an `error` event for an error of the upstream.
pub(super) fn event_of_wire(error: &WireError, request_id: &str) -> Bytes {
    let message = told(error.kind, &error.message, None);
    body(class(error.kind).1, &message, request_id)
}

fn message(error: &GatewayError) -> String {
    told(error.kind, &error.message, error.at.as_deref())
}

/// The message with its place in front, as Anthropic writes it: `messages.0.content: …`.
fn told(kind: ErrorKind, message: &str, at: Option<&str>) -> String {
    if kind == ErrorKind::ContextTooLong {
        return too_long(message);
    }
    let place = at.map(|it| it.trim_start_matches('/').replace('/', ".")).unwrap_or_default();
    if place.is_empty() || message.starts_with(&place) {
        message.to_owned()
    } else {
        format!("{place}: {message}")
    }
}

/// The words by which Claude Code knows that it must compact.
const TOO_LONG: &str = "prompt is too long";

fn too_long(message: &str) -> String {
    if message.contains(TOO_LONG) {
        return message.to_owned();
    }
    match sizes(message) {
        Some((asked, most)) => format!("{TOO_LONG}: {asked} tokens > {most} maximum"),
        None => format!("{TOO_LONG}: {message}"),
    }
}

/// Finds in an upstream's message how many tokens were asked for and how many there may be.
fn sizes(message: &str) -> Option<(u64, u64)> {
    let (left, right) = message.split_once('>').unwrap_or((message, ""));
    if let Some(&most) = numbers(right).first() {
        let before = numbers(left);
        let asked = if left.contains('+') {
            before.iter().rev().take(2).fold(0, |sum: u64, it| sum.saturating_add(*it))
        } else {
            before.last().copied()?
        };
        return (asked > most).then_some((asked, most));
    }
    let mut found = numbers(message);
    found.sort_unstable();
    found.dedup();
    let asked = found.pop()?;
    Some((asked, found.pop()?))
}

/// The numbers in a text that may be token counts: of three digits or more, `128,000` counting as one.
fn numbers(text: &str) -> Vec<u64> {
    let joined = text.replace(',', "");
    joined
        .split(|it: char| !it.is_ascii_digit())
        .filter(|it| it.len() >= 3)
        .filter_map(|it| it.parse().ok())
        .collect()
}

/// Reads an upstream's error by its shape: Anthropic's, OpenAI's, those of others, HTML, nothing.
pub(super) fn decode(status: StatusCode, body: &[u8]) -> WireError {
    let parsed = serde_json::from_slice::<Value>(body).ok();
    if let Some(error) = parsed.as_ref().and_then(|it| gemini::error::google(status.as_u16(), it)) {
        return error;
    }
    let mut error = parsed.as_ref().map_or_else(|| from_text(body), from_value);
    if error.message.is_empty() {
        let reason = status.canonical_reason().unwrap_or("an error without words");
        error.message = format!("the upstream answered {}: {reason}", status.as_u16());
    }
    error.kind = kind(status.as_u16(), &error);
    error
}

/// Reads an error that came in a stream or with status 200: only its words say what it is.
pub(in crate::dialect) fn from_stream(value: &Value) -> WireError {
    let mut error = from_value(value);
    if error.message.is_empty() {
        "the upstream reported an error without words".clone_into(&mut error.message);
    }
    let code = error.code.as_deref().and_then(|it| it.parse().ok()).unwrap_or(502);
    error.kind = kind(code, &error);
    error
}

fn from_text(body: &[u8]) -> WireError {
    let message = upstream_words::excerpt(body);
    WireError { kind: ErrorKind::UpstreamFailed, message, error_type: None, code: None, param: None }
}

fn from_value(value: &Value) -> WireError {
    let value = value.as_array().and_then(|it| it.first()).unwrap_or(value);
    let inner = value.get("error").filter(|it| !it.is_null()).unwrap_or(value);
    let field = |key: &str| inner.get(key).or_else(|| value.get(key));
    let message = inner.as_str().map(str::to_owned).or_else(|| {
        ["message", "detail", "error_description", "msg"].into_iter().find_map(|it| word(field(it)?))
    });
    WireError {
        kind: ErrorKind::UpstreamFailed,
        message: message.unwrap_or_default(),
        error_type: inner.get("type").and_then(word).filter(|it| it != "error"),
        code: inner.get("code").and_then(word),
        param: inner.get("param").and_then(word),
    }
}

/// A text or a number, as text; anything else that is not empty, as JSON.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Bool(_) => None,
        Value::String(text) => Some(text.clone()).filter(|it| !it.is_empty()),
        other => Some(other.to_string()),
    }
}

/// Decides the kind: by the words where they are clear, else by the type, else by the status.
fn kind(status: u16, error: &WireError) -> ErrorKind {
    let message = error.message.to_ascii_lowercase();
    let code = error.code.as_deref().unwrap_or_default();
    if status < 500 || status == 502 {
        if code == "context_length_exceeded" || upstream_words::say_too_long(&message) {
            return ErrorKind::ContextTooLong;
        }
        if code == "insufficient_quota" || QUOTA_PHRASES.iter().any(|it| message.contains(it)) {
            return ErrorKind::QuotaExhausted;
        }
    }
    match error.error_type.as_deref().unwrap_or_default() {
        "authentication_error" | "permission_error" => ErrorKind::UpstreamRefused,
        "billing_error" | "insufficient_quota" => ErrorKind::QuotaExhausted,
        "not_found_error" => not_found(&message),
        "request_too_large" => ErrorKind::TooLarge,
        "rate_limit_error" => ErrorKind::RateLimited,
        "overloaded_error" => ErrorKind::Overloaded,
        "timeout_error" => ErrorKind::Timeout,
        "invalid_request_error" if !matches!(status, 401..=499) => ErrorKind::BadRequest,
        _ => by_status(status, &message),
    }
}

fn by_status(status: u16, message: &str) -> ErrorKind {
    match status {
        401 | 403 => ErrorKind::UpstreamRefused,
        402 => ErrorKind::QuotaExhausted,
        404 => not_found(message),
        405 => ErrorKind::MethodNotAllowed,
        408 | 504 => ErrorKind::Timeout,
        409 => ErrorKind::Conflict,
        413 => ErrorKind::TooLarge,
        415 => ErrorKind::UnsupportedMediaType,
        429 => ErrorKind::RateLimited,
        503 | 529 => ErrorKind::Overloaded,
        400..=499 => ErrorKind::BadRequest,
        _ => ErrorKind::UpstreamFailed,
    }
}

fn not_found(message: &str) -> ErrorKind {
    if message.contains("model") { ErrorKind::UnknownModel } else { ErrorKind::NotFound }
}

/// How upstreams say that an account has no money left, in lower case.
const QUOTA_PHRASES: [&str; 3] =
    ["credit balance is too low", "insufficient balance", "exceeded your current quota"];

#[cfg(test)]
mod tests;
