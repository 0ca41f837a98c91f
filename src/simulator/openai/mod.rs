//! OpenAI Chat Completions, played.

mod judge;
mod read;
mod write;

pub(super) use write::js;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::simulator::{
    quota::Allowance,
    scenario::{Dialect, ErrorReply},
    vendor::{Headers, Vendor},
};

pub(super) static VENDOR: Vendor = Vendor {
    dialect: Dialect::OpenaiChat,
    read: read::read,
    judge: judge::judge,
    whole: write::whole,
    frames: write::frames,
    error,
    error_event,
    id_prefix: "chatcmpl-",
    request_id_header: "x-request-id",
    rate_headers,
};

/// `GET /v1/models`.
pub(super) fn models(names: &[String]) -> Value {
    json!({"object": "list", "data": names.iter().map(|it| model(it)).collect::<Vec<_>>()})
}

/// `GET /v1/models/{id}`.
pub(super) fn model(name: &str) -> Value {
    json!({"id": name, "object": "model", "created": 1_767_225_600, "owned_by": "simulator"})
}

pub(super) fn error(reply: &ErrorReply, _request_id: &str) -> String {
    let (kind, code, message) = match reply.status {
        401 => ("invalid_request_error", Some("invalid_api_key"), "Incorrect API key provided."),
        403 => ("permission_error", None, "You are not allowed to do this."),
        404 => (
            "invalid_request_error",
            Some("model_not_found"),
            "The model does not exist or you have no access to it.",
        ),
        429 => ("rate_limit_error", Some("rate_limit_exceeded"), "Rate limit reached for requests."),
        503 => ("server_error", Some("overloaded"), "The engine is overloaded, try again later."),
        500.. => ("server_error", None, "The server had an error while processing your request."),
        _ => ("invalid_request_error", None, "The request is invalid."),
    };
    json!({"error": {
        "message": reply.message.as_deref().unwrap_or(message),
        "type": reply.kind.as_deref().unwrap_or(kind),
        "param": reply.param,
        "code": reply.code.as_deref().or(code),
    }})
    .to_string()
}

fn error_event(reply: &ErrorReply, _sent: &[Bytes]) -> Bytes {
    format!("data: {}\n\n", error(reply, "")).into()
}

pub(super) fn rate_headers(allowance: &Allowance) -> Headers {
    let reset = format!("{}ms", allowance.reset.as_millis());
    [
        ("x-ratelimit-limit-requests", allowance.limit.to_string()),
        ("x-ratelimit-remaining-requests", allowance.remaining.to_string()),
        ("x-ratelimit-reset-requests", reset),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}
