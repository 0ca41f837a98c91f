//! Google Gemini, played: the Gemini API and the same on Vertex.

mod form;
mod history;
mod judge;
mod read;
mod schema;
mod write;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::simulator::{
    quota::Allowance,
    scenario::{Dialect, ErrorReply},
    vendor::{Headers, Vendor},
};

pub(super) static VENDOR: Vendor = Vendor {
    dialect: Dialect::Gemini,
    read: read::read,
    judge: judge::judge,
    whole: write::whole,
    frames: write::frames,
    error,
    error_event,
    id_prefix: "",
    request_id_header: "x-gemini-request",
    rate_headers,
};

/// `GET /v1beta/models`.
pub(super) fn models(names: &[String]) -> Value {
    json!({"models": names.iter().map(|it| model(it)).collect::<Vec<_>>()})
}

/// `GET /v1beta/models/{id}`.
pub(super) fn model(name: &str) -> Value {
    json!({
        "name": format!("models/{name}"),
        "version": "001",
        "displayName": name,
        "description": "A model of the simulator",
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens", "embedContent"],
        "temperature": 1,
        "topP": 0.95,
        "topK": 64,
        "thinking": true,
    })
}

/// `:countTokens`.
pub(super) fn counted(tokens: u64) -> Value {
    json!({"totalTokens": tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}]})
}

fn error(reply: &ErrorReply, _request_id: &str) -> String {
    json!({"error": inner(reply)}).to_string()
}

fn error_event(reply: &ErrorReply, _sent: &[Bytes]) -> Bytes {
    format!("data: {}\r\n\r\n", error(reply, "")).into()
}

fn inner(reply: &ErrorReply) -> Value {
    let (status, message) = match reply.status {
        401 => ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
        403 => ("PERMISSION_DENIED", "The caller does not have permission."),
        404 => ("NOT_FOUND", "The model is not found, or is not supported for this method."),
        409 => ("ABORTED", "The operation was aborted."),
        429 => ("RESOURCE_EXHAUSTED", "You exceeded your current quota."),
        499 => ("CANCELLED", "The operation was cancelled."),
        501 => ("UNIMPLEMENTED", "The method is not implemented."),
        503 | 529 => ("UNAVAILABLE", "The model is overloaded. Please try again later."),
        504 => ("DEADLINE_EXCEEDED", "The deadline expired before the operation could complete."),
        500.. => ("INTERNAL", "An internal error has occurred."),
        _ => ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    };
    let mut details = Vec::new();
    if let Some(wait) = reply.retry_after {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{}s", wait.as_secs_f64()),
        }));
    }
    if let Some(code) = &reply.code {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": code, "domain": "googleapis.com",
        }));
    }
    let mut error = json!({
        "code": reply.status,
        "message": reply.message.as_deref().unwrap_or(message),
        "status": reply.kind.as_deref().unwrap_or(status),
    });
    if !details.is_empty() {
        error["details"] = json!(details);
    }
    error
}

/// Google tells no limits.
fn rate_headers(_allowance: &Allowance) -> Headers {
    Headers::new()
}
