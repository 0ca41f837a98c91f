//! Parts of an answer, written.

use bytes::{BufMut, BytesMut};
use serde_json::{Map, Value, json};

use super::super::ID;
use crate::dialect::{
    canonical::{Media, MediaSource, OpaqueState, Part, PartKind, ServerStep, StateKind, ToolCall},
    framing::sse::escape_separators,
};

/// Writes a part that stands alone; what only another dialect's clients can read is none. Calls are written by `call`.
pub(in crate::dialect::gemini) fn part(part: &Part) -> Option<Map<String, Value>> {
    let mut fields = match &part.kind {
        PartKind::Text { text, .. } | PartKind::Refusal { text } => one("text", text.as_str().into()),
        PartKind::Reasoning { text, state } => {
            let mut fields = one("text", text.as_str().into());
            fields.insert("thought".to_owned(), true.into());
            let signature = state.as_ref().and_then(signature);
            if text.is_empty() && signature.is_none() {
                return None;
            }
            fields.extend(signature.map(|it| ("thoughtSignature".to_owned(), it.into())));
            fields
        }
        PartKind::Media(media) => self::media(media)?,
        PartKind::ServerTool { dialect, raw, step } if *dialect != ID => {
            let _ = raw;
            step.as_ref().and_then(self::step)?
        }
        PartKind::ServerTool { raw, .. } => raw.as_object()?.clone(),
        PartKind::Opaque { dialect, raw } if *dialect == ID => raw.as_object()?.clone(),
        PartKind::ToolCall(_) | PartKind::ToolResult(_) | PartKind::Opaque { .. } => return None,
    };
    let state = part.state.as_ref().and_then(signature);
    if matches!(&part.kind, PartKind::Text { text, .. } | PartKind::Refusal { text } if text.is_empty())
        && state.is_none()
    {
        return None;
    }
    fields.extend(state.map(|it| ("thoughtSignature".to_owned(), it.into())));
    part.extra.write(ID, &mut fields, &mut Vec::new());
    Some(fields)
}

/// A call whose arguments are no object, which Gemini has no words for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dialect::gemini) struct Malformed;

/// The arguments of a call as an object; a free text is put under `input`.
pub(in crate::dialect::gemini) fn arguments(text: &str, custom: bool) -> Result<Value, Malformed> {
    if custom {
        return Ok(json!({ "input": text }));
    }
    match crate::dialect::canonical::Arguments(text.to_owned()).to_object() {
        (object, true) => Ok(Value::Object(object)),
        (_, false) => Err(Malformed),
    }
}

/// Writes a call.
pub(in crate::dialect::gemini) fn call(
    call: &ToolCall,
    args: Value,
    state: Option<&OpaqueState>,
) -> Map<String, Value> {
    let mut function = Map::new();
    if !call.id.is_empty() {
        function.insert("id".to_owned(), call.id.as_str().into());
    }
    function.insert("name".to_owned(), call.name.as_str().into());
    function.insert("args".to_owned(), args);
    let mut fields = one("functionCall", Value::Object(function));
    fields.extend(state.and_then(signature).map(|it| ("thoughtSignature".to_owned(), it.into())));
    fields
}

/// The signature, if the state is one of Gemini's.
pub(in crate::dialect::gemini) fn signature(state: &OpaqueState) -> Option<&str> {
    (state.kind == StateKind::ThoughtSignature).then_some(state.data.as_str())
}

fn one(key: &str, value: Value) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert(key.to_owned(), value);
    fields
}

fn media(media: &Media) -> Option<Map<String, Value>> {
    let (key, mut value) = match &media.source {
        MediaSource::Inline(data) => ("inlineData", json!({ "data": data })),
        MediaSource::Url(url) => ("fileData", json!({ "fileUri": url })),
        MediaSource::Text(text) => {
            return Some(one("text", text.as_str().into())).filter(|_| !text.is_empty());
        }
        MediaSource::FileId(_) | MediaSource::Parts(_) => return None,
    };
    if let Some(media_type) = &media.media_type {
        value["mimeType"] = media_type.as_str().into();
    } else if key == "inlineData" {
        value["mimeType"] = "image/png".into();
    }
    if let Some(name) = &media.name {
        value["displayName"] = name.as_str().into();
    }
    Some(one(key, value))
}

fn step(step: &ServerStep) -> Option<Map<String, Value>> {
    match step {
        ServerStep::Code { id, language, code } => {
            let is_python = language.as_deref().is_none_or(|it| it.eq_ignore_ascii_case("python"));
            let language = if is_python { "PYTHON" } else { "LANGUAGE_UNSPECIFIED" };
            Some(one("executableCode", json!({ "id": id, "language": language, "code": code })))
        }
        ServerStep::CodeOutput { call_id, succeeded, output } => {
            let outcome = if *succeeded { "OUTCOME_OK" } else { "OUTCOME_FAILED" };
            Some(one("codeExecutionResult", json!({ "id": call_id, "outcome": outcome, "output": output })))
        }
        // These are told in `groundingMetadata`.
        ServerStep::WebSearch { .. } | ServerStep::WebSearchResults { .. } => None,
    }
}

/// Appends a JSON string. What some clients take for the end of a line is escaped.
pub(in crate::dialect::gemini) fn put_string(out: &mut BytesMut, text: &str) {
    // Every such character begins with one of these bytes, which English and base64 do not have.
    if memchr::memchr2(0xC2, 0xE2, text.as_bytes()).is_none() {
        serde_json::to_writer(out.writer(), text).expect("a string is written to memory");
    } else {
        escape_separators(out, Value::from(text).to_string().as_bytes());
    }
}

/// Appends a JSON value; see `put_string`.
pub(in crate::dialect::gemini) fn put_value(out: &mut BytesMut, value: &Value) {
    escape_separators(out, value.to_string().as_bytes());
}
