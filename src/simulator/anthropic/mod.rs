//! Anthropic Messages, played.

mod history;
mod judge;
mod read;
mod write;

use std::time::SystemTime;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::simulator::{
    quota::Allowance,
    scenario::{Dialect, ErrorReply},
    vendor::{Headers, Vendor},
};

pub(super) static VENDOR: Vendor = Vendor {
    dialect: Dialect::AnthropicMessages,
    read: read::read,
    judge: judge::judge,
    whole: write::whole,
    frames: write::frames,
    error,
    error_event,
    id_prefix: "msg_",
    request_id_header: "request-id",
    rate_headers,
};

/// `GET /v1/models`.
pub(super) fn models(names: &[String]) -> Value {
    json!({
        "data": names.iter().map(|it| model(it)).collect::<Vec<_>>(),
        "has_more": false,
        "first_id": names.first(),
        "last_id": names.last(),
    })
}

/// `GET /v1/models/{id}`.
pub(super) fn model(name: &str) -> Value {
    json!({
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": "2026-01-01T00:00:00Z",
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
    })
}

/// `POST /v1/messages/count_tokens`.
pub(super) fn count(tokens: u64) -> Value {
    json!({"input_tokens": tokens})
}

fn error(reply: &ErrorReply, request_id: &str) -> String {
    json!({"type": "error", "error": inner(reply), "request_id": request_id}).to_string()
}

fn error_event(reply: &ErrorReply, _sent: &[Bytes]) -> Bytes {
    let event = json!({"type": "error", "error": inner(reply)});
    format!("event: error\ndata: {event}\n\n").into()
}

fn inner(reply: &ErrorReply) -> Value {
    let (kind, message) = match reply.status {
        401 => ("authentication_error", "invalid x-api-key"),
        402 => ("billing_error", "Your credit balance is too low."),
        403 => ("permission_error", "You are not allowed to do this."),
        404 => ("not_found_error", "Not found"),
        413 => ("request_too_large", "Request exceeds the maximum size"),
        429 => ("rate_limit_error", "This request would exceed your rate limit."),
        504 => ("timeout_error", "The request timed out."),
        529 => ("overloaded_error", "Overloaded"),
        500.. => ("api_error", "Internal server error"),
        _ => ("invalid_request_error", "The request is invalid."),
    };
    json!({
        "type": reply.kind.as_deref().unwrap_or(kind),
        "message": reply.message.as_deref().unwrap_or(message),
    })
}

fn rate_headers(allowance: &Allowance) -> Headers {
    let reset = DateTime::<Utc>::from(SystemTime::now() + allowance.reset);
    [
        ("anthropic-ratelimit-requests-limit", allowance.limit.to_string()),
        ("anthropic-ratelimit-requests-remaining", allowance.remaining.to_string()),
        ("anthropic-ratelimit-requests-reset", reset.to_rfc3339_opts(SecondsFormat::Secs, true)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}
