//! Whole answers, read and written.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    ID, decode, error, hosted,
    stop::{self, Called, Seen},
    usage::{Usage, WireUsage},
    wire,
};
pub(super) use crate::dialect::callee::{Callee, callee, custom_input};
use crate::dialect::{
    DecodeError, Recall, ReplyContext,
    canonical::{
        Arguments, ChatResponse, Choice, Citation, Finish, FinishReason, OpaqueState, Part, PartKind,
        StateKind, TokenUsage, ToolCall,
    },
    fields::Fields,
    json,
};

/// Reads a `message` object.
pub(super) fn decode(body: &[u8], recall: &Recall) -> Result<ChatResponse, DecodeError> {
    let mut fields = Fields::of(json::parse(body)?, "")?;
    if fields.peek("type").and_then(Value::as_str) == Some("error") || fields.has("error") {
        let error = error::from_stream(fields.peek("error").unwrap_or(&Value::Null));
        return Err(DecodeError::new("/error", error.message));
    }
    fields.any("type");
    fields.any("role");
    let blocks = fields.array("content")?.ok_or_else(|| fields.missing("content"))?;
    let parts: Vec<Part> = blocks.into_iter().filter_map(|it| part(it, recall)).collect();
    let called = parts.iter().any(|it| matches!(it.kind, PartKind::ToolCall(_)));
    let reason = fields.string("stop_reason")?;
    let finish = stop::decode(reason.as_deref(), fields.string("stop_sequence")?, called.into());
    Ok(ChatResponse {
        id: fields.string("id")?,
        model: fields.string("model")?,
        created: None,
        usage: fields.any("usage").map(|it| WireUsage::read(&it).buckets()),
        choices: vec![Choice { index: 0, parts, finish, extra: crate::dialect::canonical::Extra::default() }],
        extra: fields.rest(ID),
    })
}

/// Reads a block of an answer. Of one that is not as it should be, what clients can read is kept; of one that says nothing,
/// nothing.
pub(super) fn read_block(raw: Value) -> Option<Part> {
    let mut part = decode::block(raw.clone(), String::new()).ok().or_else(|| mended(raw))?;
    if let PartKind::ToolCall(call) = &mut part.kind {
        // Nobody could be called: a call without a name is none.
        if call.name.is_empty() {
            return None;
        }
        if call.id.is_empty() {
            call.id = minted_id();
        }
    }
    Some(part)
}

fn mended(raw: Value) -> Option<Part> {
    let text = |key: &str| raw.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let state =
        |kind: StateKind, data: String| (!data.is_empty()).then_some(OpaqueState { dialect: ID, kind, data });
    let kind = match text("type").as_str() {
        "" => return None,
        "text" => PartKind::Text { text: text("text"), citations: Vec::new() },
        "thinking" => {
            let state = state(StateKind::Signature, text("signature"));
            PartKind::Reasoning { text: text("thinking"), state }
        }
        "redacted_thinking" => {
            let state = Some(state(StateKind::Redacted, text("data"))?);
            PartKind::Reasoning { text: String::new(), state }
        }
        "tool_use" => {
            let arguments = raw.get("input").map_or_else(|| Arguments("{}".to_owned()), Arguments::of);
            PartKind::ToolCall(ToolCall { id: text("id"), name: text("name"), arguments, custom: false })
        }
        _ => PartKind::Opaque { dialect: ID, raw },
    };
    match &kind {
        PartKind::Text { text, .. } | PartKind::Reasoning { text, state: None } if text.is_empty() => None,
        _ => Some(Part::new(kind)),
    }
}

fn minted_id() -> String {
    format!("toolu_{}", uuid::Uuid::new_v4().simple())
}

fn part(value: Value, recall: &Recall) -> Option<Part> {
    let mut part = read_block(value)?;
    if let PartKind::ToolCall(call) = &mut part.kind {
        match callee(recall, &call.name) {
            Callee::Answer => return Some(Part::text(std::mem::take(&mut call.arguments.0))),
            Callee::Function(name) => call.name = name,
            Callee::Custom(name) => {
                call.name = name;
                call.custom = true;
                call.arguments = Arguments(custom_input(std::mem::take(&mut call.arguments.0)));
            }
        }
    }
    Some(part)
}

/// Returns the upstream's id if it is a message's, else one made from the request's.
pub(super) fn message_id(upstream: Option<&str>, context: &ReplyContext) -> String {
    match upstream {
        Some(id) if id.starts_with("msg_") => id.to_owned(),
        _ => format!("msg_{}", context.request.as_uuid().simple()),
    }
}

/// Writes a `message` object. Of several choices it says the first.
pub(super) fn encode(response: &ChatResponse, context: &ReplyContext) -> Bytes {
    let choice = response.choices.iter().find(|it| it.index == 0).or(response.choices.first());
    let parts = choice.map_or(&[][..], |it| &it.parts);
    let finish = choice.map_or_else(|| Finish::new(FinishReason::Other), |it| it.finish.clone());
    let blocks: Vec<Value> = parts.iter().filter_map(block).collect();
    let seen = Seen {
        called: Called::from(blocks.iter().any(|it| it.get("type") == Some(&json!("tool_use")))),
        refused: parts.iter().any(|it| matches!(&it.kind, PartKind::Refusal { text } if !text.is_empty())),
    };
    let (reason, sequence) = stop::encode(&finish, seen);
    let mut message = object(json!({
        "id": message_id(response.id.as_deref(), context),
        "type": "message",
        "role": "assistant",
        "model": response.model.as_deref().unwrap_or(&context.model),
        "content": blocks,
        "stop_reason": reason,
        "stop_sequence": sequence,
        "usage": serde_json::to_value(Usage::from(&response.usage.unwrap_or_default())).unwrap_or_default(),
    }));
    response.extra.write(ID, &mut message, &mut Vec::new());
    wire::bytes(&message)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Writes a part of an answer; `None` if the dialect has no words for it.
pub(super) fn block(part: &Part) -> Option<Value> {
    let mut block = object(match &part.kind {
        PartKind::Text { text, .. } | PartKind::Refusal { text } if text.is_empty() => return None,
        PartKind::Text { text, citations } => {
            let cited: Vec<Value> = citations.iter().filter_map(|it| citation(it, text)).collect();
            if cited.is_empty() {
                json!({"type": "text", "text": text})
            } else {
                json!({"type": "text", "text": text, "citations": cited})
            }
        }
        PartKind::Refusal { text } => json!({"type": "text", "text": text}),
        PartKind::Reasoning { text, state } => reasoning(text, state.as_ref())?,
        PartKind::ToolCall(call) => tool_use(call)?,
        PartKind::ServerTool { dialect, raw, .. } | PartKind::Opaque { dialect, raw } if *dialect == ID => {
            return Some(raw.clone());
        }
        PartKind::ServerTool { step, .. } => return step.as_ref().map(hosted::block),
        PartKind::Opaque { .. } | PartKind::Media(_) | PartKind::ToolResult(_) => return None,
    });
    part.extra.write(ID, &mut block, &mut Vec::new());
    Some(Value::Object(block))
}

/// Writes a citation of a block whose text is `text`.
pub(super) fn citation(citation: &Citation, text: &str) -> Option<Value> {
    if citation.dialect == ID {
        citation.raw.is_object().then(|| citation.raw.clone())
    } else {
        hosted::citation(citation, text)
    }
}

fn reasoning(text: &str, state: Option<&OpaqueState>) -> Option<Value> {
    match state.filter(|it| it.dialect == ID) {
        Some(OpaqueState { kind: StateKind::Redacted, data, .. }) => {
            Some(json!({"type": "redacted_thinking", "data": data}))
        }
        Some(OpaqueState { kind: StateKind::Signature, data, .. }) => {
            Some(json!({"type": "thinking", "thinking": text, "signature": data}))
        }
        _ if text.is_empty() => None,
        // SDKs need the field; the empty signature is recognised, and not sent on, when it comes back.
        _ => Some(json!({"type": "thinking", "thinking": text, "signature": ""})),
    }
}

/// Arguments that are no object go out as they can: a client of this dialect takes nothing else.
fn tool_use(call: &ToolCall) -> Option<Value> {
    if call.name.is_empty() {
        return None;
    }
    let input =
        if call.custom { object(json!({"input": call.arguments.0})) } else { call.arguments.to_object().0 };
    let id = if call.id.is_empty() { minted_id() } else { call.id.clone() };
    Some(json!({"type": "tool_use", "id": id, "name": call.name, "input": input}))
}

/// What a stream starts with.
pub(super) fn shell(id: &str, model: &str, usage: &TokenUsage) -> Value {
    json!({"type": "message_start", "message": {
        "id": id, "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": null, "stop_sequence": null,
        "usage": serde_json::to_value(Usage::from(usage)).unwrap_or_default(),
    }})
}

#[cfg(test)]
mod tests;
