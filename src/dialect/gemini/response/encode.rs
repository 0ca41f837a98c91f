//! Writes a whole answer as `GenerateContentResponse`.

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value, json};

use super::{
    super::{ID, usage},
    finish::{self, Held},
    logprobs,
    sources::{Cited, Sources},
    write,
};
use crate::{
    dialect::{
        ChatResponse, ReplyContext,
        canonical::{Choice, FinishReason, PartKind, TokenLogprob},
    },
    kernel::id::RequestId,
};

pub(in crate::dialect::gemini) fn encode(response: &ChatResponse, context: &ReplyContext) -> Bytes {
    let mut body = Map::new();
    match blocked(response) {
        Some(reason) => {
            body.insert("promptFeedback".to_owned(), json!({ "blockReason": reason }));
        }
        None => {
            let candidates = response.choices.iter().map(candidate).collect();
            body.insert("candidates".to_owned(), candidates);
        }
    }
    if let Some(usage) = &response.usage {
        body.insert("usageMetadata".to_owned(), usage::encode(usage));
    }
    body.insert("modelVersion".to_owned(), response.model.as_deref().unwrap_or(&context.model).into());
    if let Some(time) = response.created.and_then(timestamp) {
        body.insert("createTime".to_owned(), time.into());
    }
    body.insert("responseId".to_owned(), answer_id(response.id.as_deref(), context.request).into());
    if let Some(Value::Object(feedback)) = response.extra.field(ID, "promptFeedback") {
        body.insert("promptFeedback".to_owned(), Value::Object(feedback.clone()));
    }
    response.extra.write(ID, &mut body, &mut Vec::new());
    Bytes::from(Value::Object(body).to_string())
}

/// The upstream's id, unless it is one that another dialect marks as its own: then one made from the request's.
pub(in crate::dialect::gemini) fn answer_id(upstream: Option<&str>, request: RequestId) -> String {
    match upstream {
        Some(id) if !["chatcmpl-", "msg_", "resp_"].iter().any(|it| id.starts_with(it)) => id.to_owned(),
        _ => request.as_uuid().simple().to_string(),
    }
}

/// Unix seconds as RFC 3339.
pub(in crate::dialect::gemini) fn timestamp(seconds: i64) -> Option<String> {
    DateTime::from_timestamp(seconds, 0).map(|it| it.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// Why the prompt was blocked, if that is all there is to say.
fn blocked(response: &ChatResponse) -> Option<&str> {
    match response.choices.as_slice() {
        [only] if only.parts.is_empty() => finish::block_reason(&only.finish),
        _ => None,
    }
}

fn candidate(choice: &Choice) -> Value {
    let mut content = Content { cut: choice.finish.reason == FinishReason::Length, ..Content::default() };
    for part in &choice.parts {
        content.add(part);
    }
    let Content { mut parts, sources, held, .. } = content;
    if parts.is_empty() {
        parts.push(json!({ "text": "" }));
    }
    let mut fields = Map::new();
    fields.insert("content".to_owned(), json!({ "parts": parts, "role": "model" }));
    fields.insert("finishReason".to_owned(), finish::encode(&choice.finish, held).into());
    fields.insert("index".to_owned(), choice.index.into());
    fields.extend(sources.write().map(|it| ("groundingMetadata".to_owned(), it)));
    choice.extra.write(ID, &mut fields, &mut Vec::new());
    if !fields.contains_key("logprobsResult") {
        let tokens: Vec<TokenLogprob> = choice.parts.iter().flat_map(|it| it.logprobs.clone()).collect();
        fields.extend(logprobs::write(&tokens).map(|it| ("logprobsResult".to_owned(), it)));
    }
    Value::Object(fields)
}

/// A candidate's content being put together.
#[derive(Default)]
struct Content {
    parts: Vec<Value>,
    sources: Sources,
    held: Held,
    /// Whether the answer was cut by its limit.
    cut: bool,
}

impl Content {
    fn add(&mut self, part: &crate::dialect::canonical::Part) {
        match &part.kind {
            PartKind::ToolCall(call) => {
                let args = match write::arguments(&call.arguments.0, call.custom) {
                    Ok(args) => args,
                    // Gemini does not tell of a call that the limit cut.
                    Err(write::Malformed) if self.cut => return,
                    Err(write::Malformed) => {
                        self.held.malformed = true;
                        json!({})
                    }
                };
                self.parts.push(Value::Object(write::call(call, args, part.state.as_ref())));
                return;
            }
            PartKind::Text { text, citations } => {
                let cited = Cited { text, from: 0, part: self.parts.len() };
                self.sources.cite(citations, cited);
            }
            PartKind::Refusal { .. } => self.held.refusal = true,
            kind if self.sources.take(kind) => return,
            _ => {}
        }
        self.parts.extend(write::part(part).map(Value::Object));
    }
}
