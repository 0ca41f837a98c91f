//! OpenAI Responses, played.

mod events;
mod history;
mod item;
mod judge;
mod read;
mod tools;
mod write;

pub(super) use read::items;
pub(super) use write::compacted;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::simulator::{
    openai,
    scenario::{Dialect, ErrorReply},
    vendor::Vendor,
};

pub(super) static VENDOR: Vendor = Vendor {
    dialect: Dialect::OpenaiResponses,
    read: read::read,
    judge: judge::judge,
    whole: write::whole,
    frames: events::frames,
    error: openai::error,
    error_event,
    id_prefix: "resp_",
    request_id_header: "x-request-id",
    rate_headers: openai::rate_headers,
};

/// `POST /v1/responses/input_tokens`.
pub(super) fn counted(tokens: u64) -> Value {
    json!({"object": "response.input_tokens", "input_tokens": tokens})
}

/// The flat `error` event, as the service sends it for what is wrong with a stream.
pub(super) fn flat_error(reply: &ErrorReply, sent: &[Bytes]) -> Bytes {
    let (_, number) = last(sent);
    let error = inner(reply);
    let event = json!({"type": "error", "sequence_number": number, "code": error["code"],
        "message": error["message"], "param": reply.param});
    format!("event: error\ndata: {event}\n\n").into()
}

/// `response.failed`: the response as it was announced, with the error.
fn error_event(reply: &ErrorReply, sent: &[Bytes]) -> Bytes {
    let (mut response, number) = last(sent);
    if response.is_null() {
        return flat_error(reply, sent);
    }
    let error = inner(reply);
    response["status"] = json!("failed");
    response["error"] = json!({"code": error["code"], "message": error["message"]});
    let event = json!({"type": "response.failed", "sequence_number": number, "response": response});
    format!("event: response.failed\ndata: {event}\n\n").into()
}

fn inner(reply: &ErrorReply) -> Value {
    let body: Value = serde_json::from_str(&openai::error(reply, "")).unwrap_or_default();
    let mut error = body["error"].clone();
    if error["code"].is_null() {
        error["code"] = if reply.status == 400 { json!("invalid_prompt") } else { json!("server_error") };
    }
    error
}

/// The response as the first event told it, and the number of the next event.
fn last(sent: &[Bytes]) -> (Value, u64) {
    let all = sent.concat();
    let text = String::from_utf8_lossy(&all);
    let mut events = text
        .lines()
        .filter_map(|it| it.strip_prefix("data:"))
        .filter_map(|it| serde_json::from_str::<Value>(it).ok());
    let Some(first) = events.next() else { return (Value::Null, 0) };
    let last = events.next_back().and_then(|it| it["sequence_number"].as_u64());
    (first["response"].clone(), last.map_or(1, |it| it + 1))
}
