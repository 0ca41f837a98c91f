//! Errors of both of OpenAI's dialects: ours in OpenAI's shape, and upstreams' in whatever shape they come.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::{
    dialect::{DialectId, WireError, fields::dotted, gemini, upstream_words},
    kernel::error::{ErrorKind, GatewayError},
};

/// Writes an error. One of an upstream that speaks the client's dialect is passed on as it came, unless it is about our
/// own credential.
pub(super) fn encode(error: &GatewayError, dialect: DialectId) -> (StatusCode, Bytes) {
    if let Some(original) = error.original.as_ref().filter(|it| it.dialect == dialect.name())
        && error.kind != ErrorKind::UpstreamRefused
        && let Ok(status) = StatusCode::from_u16(original.status)
    {
        return (status, original.body.clone());
    }
    (status(error), Bytes::from(body(error).to_string()))
}

/// `{"error": {…}}`.
pub(super) fn body(error: &GatewayError) -> Value {
    let (_, kind, code) = words(error.kind);
    told_as(
        &error.message,
        kind,
        error.code.as_deref().or(code),
        error.at.as_deref().and_then(dotted).as_deref(),
    )
}

/// An upstream's error in a stream.
pub(super) fn wire_body(error: &WireError) -> Value {
    let (_, kind, code) = words(error.kind);
    let kind = error.error_type.as_deref().unwrap_or(kind);
    told_as(&error.message, kind, error.code.as_deref().or(code), error.param.as_deref())
}

fn told_as(message: &str, kind: &str, code: Option<&str>, param: Option<&str>) -> Value {
    json!({ "error": { "message": message, "type": kind, "param": param, "code": code } })
}

/// The status, `type` and `code` of each kind.
fn words(kind: ErrorKind) -> (u16, &'static str, Option<&'static str>) {
    const INVALID: &str = "invalid_request_error";
    const SERVER: &str = "server_error";
    match kind {
        ErrorKind::BadRequest => (400, INVALID, None),
        ErrorKind::Unauthenticated => (401, INVALID, Some("invalid_api_key")),
        ErrorKind::Forbidden => (403, "permission_error", None),
        ErrorKind::NotFound => (404, INVALID, Some("not_found")),
        ErrorKind::UnknownModel => (404, INVALID, Some("model_not_found")),
        ErrorKind::MethodNotAllowed => (405, INVALID, Some("method_not_allowed")),
        ErrorKind::Conflict => (409, "conflict", None),
        ErrorKind::TooLarge => (413, INVALID, Some("request_too_large")),
        ErrorKind::UnsupportedMediaType => (415, INVALID, Some("unsupported_media_type")),
        ErrorKind::SlowRequest => (408, INVALID, Some("request_timeout")),
        ErrorKind::ContextTooLong => (400, INVALID, Some("context_length_exceeded")),
        ErrorKind::Unsupported => (400, INVALID, Some("unsupported_parameter")),
        ErrorKind::RateLimited => (429, "rate_limit_error", Some("rate_limit_exceeded")),
        ErrorKind::QuotaExhausted => (429, "insufficient_quota", Some("insufficient_quota")),
        ErrorKind::UpstreamRefused => (502, SERVER, Some("upstream_refused")),
        ErrorKind::UpstreamFailed => (502, SERVER, Some("upstream_failed")),
        ErrorKind::Overloaded => (503, SERVER, Some("server_is_overloaded")),
        ErrorKind::Timeout => (504, SERVER, Some("timeout")),
        ErrorKind::Truncated => (502, SERVER, Some("truncated")),
        ErrorKind::Unavailable => (503, SERVER, Some("unavailable")),
        ErrorKind::Internal => (500, SERVER, Some("internal_error")),
        ErrorKind::ClientGone => (499, INVALID, Some("client_gone")),
    }
}

/// The upstream's status where OpenAI has it for this kind, else the kind's own.
fn status(error: &GatewayError) -> StatusCode {
    let (own, _, _) = words(error.kind);
    let status = match (error.kind, error.status) {
        (ErrorKind::BadRequest, Some(422)) => 422,
        (ErrorKind::QuotaExhausted, Some(402)) => 402,
        (ErrorKind::UpstreamFailed, Some(it @ 500..=504)) => it,
        _ => own,
    };
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Reads an upstream's error by its shape. Whatever the body is, there is an answer.
pub(super) fn decode(status: StatusCode, body: &[u8]) -> WireError {
    let read = serde_json::from_slice(body).ok().and_then(|it| read(status.as_u16(), &it));
    read.unwrap_or_else(|| {
        let message = excerpt(status, body);
        let kind = kind_of(status.as_u16(), None, None, &message);
        WireError { kind, message, error_type: None, code: None, param: None }
    })
}

/// Reads an error that came in a stream: only its words say what it is.
pub(super) fn from_stream(error: &Value) -> WireError {
    read(200, error).unwrap_or_else(without_words)
}

fn without_words() -> WireError {
    WireError {
        kind: ErrorKind::UpstreamFailed,
        message: "the upstream told of an error without words".to_owned(),
        error_type: None,
        code: None,
        param: None,
    }
}

/// The error an answer of status 200 holds, if it holds one; `answer` is the field that an answer has.
pub(super) fn told(fields: &Map<String, Value>, answer: &str) -> Option<WireError> {
    let error = match fields.get("error") {
        Some(Value::Null | Value::Bool(false)) | None => None,
        Some(Value::String(text)) if text.is_empty() => None,
        Some(Value::Object(object)) if object.is_empty() => None,
        Some(error) => Some(error),
    };
    if let Some(error) = error {
        let whole = json!({ "error": error });
        return Some(from_stream(&whole));
    }
    // vLLM and SGLang tell so, and gateways that fail early: no answer, but a message.
    let answered = fields.get(answer).is_some_and(|it| !it.is_null());
    let is_error = fields.get("object").and_then(Value::as_str) == Some("error")
        || ["message", "detail"].iter().any(|it| fields.get(*it).is_some_and(|it| !it.is_null()));
    (!answered && is_error && fields.get("usage").is_none())
        .then(|| read(200, &Value::Object(fields.clone())))
        .flatten()
}

fn read(status: u16, value: &Value) -> Option<WireError> {
    // Gemini's Chat endpoint, and clones that stand before Gemini, tell errors in Google's shape.
    if let Some(error) = gemini::error::google(status, value) {
        return Some(error);
    }
    let value = match value {
        Value::Array(values) => values.first()?,
        other => other,
    };
    let inner = match value.get("error") {
        Some(inner @ Value::Object(_)) => match inner.get("error") {
            Some(deeper @ Value::Object(_)) => deeper,
            _ => inner,
        },
        Some(Value::String(message)) => return Some(wire(status, message.clone(), value)),
        _ => value,
    };
    message_of(inner).map(|message| wire(status, message, inner))
}

fn wire(status: u16, message: String, object: &Value) -> WireError {
    let error_type = string(object, "type");
    let code = string(object, "code");
    let own = code.as_deref().and_then(|it| it.parse().ok()).filter(|it| (400..600).contains(it));
    let status = if status < 400 { own.unwrap_or(status) } else { status };
    let kind = kind_of(status, error_type.as_deref(), code.as_deref(), &message);
    WireError { kind, message, error_type, code, param: string(object, "param") }
}

/// A field as text, were it a number.
fn string(object: &Value, key: &str) -> Option<String> {
    match object.get(key)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn message_of(object: &Value) -> Option<String> {
    for key in ["message", "detail", "error_description", "msg", "errors"] {
        match object.get(key) {
            Some(Value::String(text)) if !text.is_empty() => return Some(text.clone()),
            // FastAPI: `[{"loc": […], "msg": "…"}]`.
            Some(Value::Array(items)) => {
                let texts: Vec<String> = items.iter().filter_map(message_of).collect();
                if !texts.is_empty() {
                    return Some(texts.join("; "));
                }
            }
            Some(inner @ Value::Object(_)) => {
                if let Some(text) = message_of(inner) {
                    return Some(text);
                }
            }
            _ => {}
        }
    }
    None
}

fn kind_of(status: u16, error_type: Option<&str>, code: Option<&str>, message: &str) -> ErrorKind {
    const NO_QUOTA: [&str; 5] = [
        "insufficient_quota",
        "billing_error",
        "billing_not_active",
        "usage_limit_reached",
        "usage_not_included",
    ];
    let said = |word: &str| error_type == Some(word) || code == Some(word);
    let lower = message.to_ascii_lowercase();
    if matches!(status, 0..=299 | 400 | 413 | 422 | 500)
        && (said("context_length_exceeded") || upstream_words::say_too_long(&lower))
    {
        return ErrorKind::ContextTooLong;
    }
    if NO_QUOTA.into_iter().any(said) {
        return ErrorKind::QuotaExhausted;
    }
    if said("model_not_found") && matches!(status, 0..=299 | 400 | 404) {
        return ErrorKind::UnknownModel;
    }
    match status {
        400 | 422 => ErrorKind::BadRequest,
        401 | 403 => ErrorKind::UpstreamRefused,
        402 => ErrorKind::QuotaExhausted,
        404 if lower.contains("model") => ErrorKind::UnknownModel,
        404 => ErrorKind::NotFound,
        405 => ErrorKind::MethodNotAllowed,
        408 | 504 | 524 => ErrorKind::Timeout,
        409 => ErrorKind::Conflict,
        413 => ErrorKind::TooLarge,
        415 => ErrorKind::UnsupportedMediaType,
        429 if lower.contains("exceeded your current quota") || lower.contains("insufficient balance") => {
            ErrorKind::QuotaExhausted
        }
        429 => ErrorKind::RateLimited,
        503 | 529 => ErrorKind::Overloaded,
        0..=399 => [code, error_type]
            .into_iter()
            .flatten()
            .find_map(kind_of_word)
            .unwrap_or(ErrorKind::UpstreamFailed),
        _ => ErrorKind::UpstreamFailed,
    }
}

/// In a stream there is no status: the `code` must do, or the `type`.
fn kind_of_word(word: &str) -> Option<ErrorKind> {
    Some(match word {
        "invalid_request_error" | "invalid_request" | "invalid_prompt" | "BadRequestError" => {
            ErrorKind::BadRequest
        }
        // `cyber_policy`, `bio_policy`, `misalignment_policy_violation`, `invalid_image_url`: the request is at fault.
        it if it.ends_with("_policy") || it.contains("policy_violation") || it.contains("_image") => {
            ErrorKind::BadRequest
        }
        "authentication_error" | "permission_error" | "invalid_api_key" => ErrorKind::UpstreamRefused,
        "rate_limit_error" | "rate_limit_exceeded" | "too_many_requests" | "requests" | "tokens" => {
            ErrorKind::RateLimited
        }
        "overloaded_error" | "overloaded" | "server_is_overloaded" | "slow_down" => ErrorKind::Overloaded,
        "timeout" | "timeout_error" => ErrorKind::Timeout,
        _ => return None,
    })
}

/// What can be shown of a body that is no JSON we know.
fn excerpt(status: StatusCode, body: &[u8]) -> String {
    let short = upstream_words::excerpt(body);
    if short.is_empty() {
        let reason = status.canonical_reason().unwrap_or("unknown");
        return format!("the upstream answered {} ({reason}) and said nothing more", status.as_u16());
    }
    short
}

#[cfg(test)]
mod tests;
