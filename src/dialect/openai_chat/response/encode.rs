//! Writes a whole answer with every field official SDKs and strict clients insist on.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::{
    dialect::{
        ChatResponse, ReplyContext,
        canonical::{Choice, Media, MediaSource, PartKind, ToolCall, media::data_url},
        openai_chat::{annotations, extra, finish, usage},
    },
    kernel::id::RequestId,
};

pub(in crate::dialect::openai_chat) fn encode(response: &ChatResponse, context: &ReplyContext) -> Bytes {
    let choices: Vec<Value> =
        response.choices.iter().map(|it| choice(it, context.legacy_functions)).collect();
    let mut body = Map::new();
    body.insert("id".to_owned(), answer_id(response.id.as_deref(), context.request).into());
    body.insert("object".to_owned(), "chat.completion".into());
    body.insert("created".to_owned(), response.created.unwrap_or(context.created).into());
    body.insert("model".to_owned(), response.model.as_deref().unwrap_or(&context.model).into());
    body.insert("choices".to_owned(), Value::Array(choices));
    if let Some(usage) = &response.usage {
        body.insert("usage".to_owned(), usage::encode(usage));
    }
    extra::write_answer(&response.extra, &mut body);
    Bytes::from(Value::Object(body).to_string())
}

/// The upstream's id if it is one of Chat's, else one made from the request's.
pub(in crate::dialect::openai_chat) fn answer_id(upstream: Option<&str>, request: RequestId) -> String {
    match upstream {
        Some(id) if id.starts_with("chatcmpl-") => id.to_owned(),
        _ => format!("chatcmpl-{}", request.as_uuid().simple()),
    }
}

/// A message being put together from an answer's parts.
#[derive(Default)]
struct Message {
    text: Option<String>,
    /// In characters.
    length: usize,
    thought: String,
    refusal: Option<String>,
    calls: Vec<Value>,
    annotations: Vec<Value>,
    images: Vec<Value>,
}

fn choice(choice: &Choice, legacy: bool) -> Value {
    let mut message = Message::default();
    for part in &choice.parts {
        message.add(&part.kind);
    }
    let reason = finish::encode(choice.finish.reason, message.refusal.is_some(), legacy);
    let mut object = Map::new();
    object.insert("index".to_owned(), choice.index.into());
    object.insert("message".to_owned(), Value::Object(message.write(legacy)));
    object.insert("logprobs".to_owned(), Value::Null);
    object.insert("finish_reason".to_owned(), reason.into());
    extra::write_answer(&choice.extra, &mut object);
    Value::Object(object)
}

impl Message {
    fn add(&mut self, part: &PartKind) {
        match part {
            PartKind::Text { text, citations } => {
                let start = self.length;
                self.length += text.chars().count();
                self.text.get_or_insert_default().push_str(text);
                let told = citations.iter().filter_map(|it| annotations::encode(it, start, self.length));
                self.annotations.extend(told);
            }
            PartKind::Reasoning { text, .. } => self.thought.push_str(text),
            PartKind::Refusal { text } => self.refusal.get_or_insert_default().push_str(text),
            PartKind::ToolCall(call) => self.calls.push(tool_call(call)),
            PartKind::Media(Media { source: MediaSource::Inline(data), media_type, .. }) => {
                let url = data_url(media_type.as_deref().unwrap_or("image/png"), data);
                self.images.push(json!({ "type": "image_url", "image_url": { "url": url } }));
            }
            // What only another dialect's clients can read.
            PartKind::Media(_)
            | PartKind::ToolResult(_)
            | PartKind::ServerTool { .. }
            | PartKind::Opaque { .. } => {}
        }
    }

    fn write(self, legacy: bool) -> Map<String, Value> {
        let mut message = Map::new();
        message.insert("role".to_owned(), "assistant".into());
        let content = match self.text {
            Some(text) => text.into(),
            None if self.calls.is_empty() && self.refusal.is_none() => "".into(),
            None => Value::Null,
        };
        message.insert("content".to_owned(), content);
        message.insert("refusal".to_owned(), self.refusal.map_or(Value::Null, Value::from));
        if !self.thought.is_empty() {
            message.insert("reasoning_content".to_owned(), self.thought.into());
        }
        if !self.annotations.is_empty() {
            message.insert("annotations".to_owned(), Value::Array(self.annotations));
        }
        if !self.images.is_empty() {
            message.insert("images".to_owned(), Value::Array(self.images));
        }
        if legacy {
            if let Some(function) =
                self.calls.into_iter().find_map(|mut it| it.get_mut("function").map(Value::take))
            {
                message.insert("function_call".to_owned(), function);
            }
        } else if !self.calls.is_empty() {
            message.insert("tool_calls".to_owned(), Value::Array(self.calls));
        }
        message
    }
}

fn tool_call(call: &ToolCall) -> Value {
    if call.custom {
        return json!({
            "id": call.id, "type": "custom", "custom": { "name": call.name, "input": call.arguments.0 },
        });
    }
    let arguments = if call.arguments.0.trim().is_empty() { "{}" } else { call.arguments.0.as_str() };
    json!({ "id": call.id, "type": "function", "function": { "name": call.name, "arguments": arguments } })
}
