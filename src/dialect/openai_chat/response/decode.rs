//! Reads a whole answer, as faithfully as its stream would be read.

use serde_json::{Map, Value};

use crate::dialect::{
    ChatResponse, DecodeError, Recall,
    canonical::{Arguments, Choice, Extra, Part, PartKind, ToolCall, names::minted_id},
    fields::as_count,
    json,
    openai_chat::{
        CHAT, annotations, error, finish, logprobs,
        think_tags::{Said, Splitter},
        usage,
    },
};

pub(in crate::dialect::openai_chat) fn decode(
    body: &[u8],
    recall: &Recall,
) -> Result<ChatResponse, DecodeError> {
    let Value::Object(mut fields) = json::parse(body)? else {
        return Err(DecodeError::new("", "the answer is not an object"));
    };
    if let Some(told) = error::told(&fields, "choices") {
        return Err(DecodeError::new("/error", told.message));
    }
    fields.remove("object");
    let id = text(&mut fields, "id");
    let model = text(&mut fields, "model");
    let created = fields.shift_remove("created").and_then(|it| seconds(&it));
    let usage = fields.shift_remove("usage").filter(Value::is_object).map(|it| usage::decode(&it));
    let choices = match fields.shift_remove("choices") {
        Some(Value::Array(choices)) if !choices.is_empty() => choices,
        _ => return Err(DecodeError::new("/choices", "the answer has no choices")),
    };
    let seed = id.clone().unwrap_or_default();
    let choices = choices
        .into_iter()
        .enumerate()
        .map(|(index, value)| choice(value, index, &seed, recall))
        .collect::<Result<_, _>>()?;
    fields.retain(|_, it| !it.is_null());
    Ok(ChatResponse { id, model, created, choices, usage, extra: Extra::new(CHAT, "", fields) })
}

/// Takes a text; an empty one says nothing.
fn text(fields: &mut Map<String, Value>, key: &str) -> Option<String> {
    match fields.shift_remove(key) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// Unix seconds, whole or not.
fn seconds(value: &Value) -> Option<i64> {
    let number = value.as_number()?;
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and a time is not that large")]
    number.as_i64().or_else(|| number.as_f64().map(|it| it as i64))
}

fn choice(value: Value, position: usize, seed: &str, recall: &Recall) -> Result<Choice, DecodeError> {
    let at = format!("/choices/{position}");
    let Value::Object(mut fields) = value else {
        return Err(DecodeError::new(at, "a choice is not an object"));
    };
    let index = match fields.shift_remove("index") {
        Some(Value::Number(it)) => as_count(&it).and_then(|it| u32::try_from(it).ok()),
        _ => None,
    };
    let index = index.or_else(|| u32::try_from(position).ok()).unwrap_or_default();
    let Some(Value::Object(message)) = fields.shift_remove("message") else {
        return Err(DecodeError::new(format!("{at}/message"), "the choice has no message"));
    };
    let mut reader = Message { seed: format!("{seed}/{index}"), recall, ids: Vec::new(), parts: Vec::new() };
    let message = reader.read(message);
    let held = finish::Held {
        calls: reader.parts.iter().any(|it| matches!(it.kind, PartKind::ToolCall(_))),
        refusal: reader.parts.iter().any(|it| matches!(it.kind, PartKind::Refusal { .. })),
    };
    let raw = text(&mut fields, "finish_reason");
    let matched = text(&mut fields, "stop_reason").or_else(|| text(&mut fields, "matched_stop"));
    fields.retain(|_, it| !it.is_null());
    likely(&mut fields, &mut reader.parts);
    if !message.is_empty() {
        fields.insert("message".to_owned(), Value::Object(message));
    }
    Ok(Choice {
        index,
        parts: reader.parts,
        finish: finish::decode(raw.as_deref(), matched, held),
        extra: Extra::new(CHAT, at, fields),
    })
}

/// Puts the log probabilities where the texts are that they are of. Those of no text stay where they stood.
fn likely(fields: &mut Map<String, Value>, parts: &mut [Part]) {
    let Some(told) = fields.get("logprobs") else { return };
    let logprobs::Logprobs { content, refusal } = logprobs::read(told);
    let text = parts.iter().position(|it| matches!(it.kind, PartKind::Text { .. }));
    let refused = parts.iter().position(|it| matches!(it.kind, PartKind::Refusal { .. }));
    if (content.is_empty() && refusal.is_empty())
        || (text.is_none() && !content.is_empty())
        || (refused.is_none() && !refusal.is_empty())
    {
        return;
    }
    fields.shift_remove("logprobs");
    for (place, tokens) in [(text, content), (refused, refusal)] {
        if let Some(at) = place {
            parts[at].logprobs = tokens;
        }
    }
}

/// Reads a message's fields into parts, in the order thinking, text, refusal, calls.
struct Message<'a> {
    seed: String,
    recall: &'a Recall,
    ids: Vec<String>,
    parts: Vec<Part>,
}

impl Message<'_> {
    /// Returns the fields that are left.
    fn read(&mut self, mut fields: Map<String, Value>) -> Map<String, Value> {
        fields.shift_remove("role");
        let thought = text(&mut fields, "reasoning_content");
        let other = match fields.get("reasoning") {
            Some(Value::String(_)) => text(&mut fields, "reasoning"),
            _ => None,
        };
        let thought = thought.or(other).or_else(|| details(fields.get("reasoning_details")));
        if let Some(text) = thought {
            self.parts.push(Part::new(PartKind::Reasoning { text, state: None }));
        }
        self.content(fields.shift_remove("content"), fields.shift_remove("annotations"));
        if let Some(text) = text(&mut fields, "refusal") {
            self.parts.push(Part::new(PartKind::Refusal { text }));
        }
        if let Some(Value::Array(calls)) = fields.shift_remove("tool_calls") {
            for call in &calls {
                self.call(call);
            }
        }
        if let Some(call @ Value::Object(_)) = fields.shift_remove("function_call") {
            self.function(&call, None);
        }
        fields.retain(|_, it| !it.is_null());
        fields
    }

    /// A string, or Mistral's array of parts with `thinking` among them.
    fn content(&mut self, content: Option<Value>, told: Option<Value>) {
        let citations = match told {
            Some(Value::Array(it)) => it.into_iter().map(annotations::decode).collect(),
            _ => Vec::new(),
        };
        let mut whole = String::new();
        match content {
            Some(Value::String(text)) => whole = text,
            Some(Value::Array(parts)) => {
                for part in &parts {
                    if let Some(thought) = part.get("thinking") {
                        let text = texts(thought);
                        self.parts.push(Part::new(PartKind::Reasoning { text, state: None }));
                    } else {
                        whole.push_str(&texts(part));
                    }
                }
            }
            _ => {}
        }
        let is_told_apart = self.parts.iter().any(|it| matches!(it.kind, PartKind::Reasoning { .. }));
        if self.recall.think_tags && !is_told_apart {
            for said in Splitter::whole(&std::mem::take(&mut whole)) {
                match said {
                    Said::Reasoning(text) => {
                        self.parts.push(Part::new(PartKind::Reasoning { text, state: None }));
                    }
                    Said::Text(text) => whole.push_str(&text),
                }
            }
        }
        if !whole.is_empty() {
            self.parts.push(Part::new(PartKind::Text { text: whole, citations }));
        }
    }

    fn call(&mut self, call: &Value) {
        let id = call.get("id").and_then(Value::as_str).filter(|it| !it.is_empty());
        match call.get("custom") {
            Some(custom @ Value::Object(_)) => {
                let input = custom.get("input").and_then(Value::as_str).unwrap_or_default();
                self.push(custom, id, input.to_owned(), true);
            }
            _ => self.function(call.get("function").unwrap_or(&Value::Null), id),
        }
    }

    fn function(&mut self, function: &Value, id: Option<&str>) {
        let arguments = match function.get("arguments") {
            Some(Value::String(text)) => text.clone(),
            Some(value @ Value::Object(_)) => value.to_string(),
            _ => String::new(),
        };
        let name = function.get("name").and_then(Value::as_str).unwrap_or_default();
        if self.recall.json_tool.as_deref() == Some(name) {
            return self.parts.push(Part::text(arguments));
        }
        if self.recall.custom_tools.contains(name) {
            return self.push(function, id, unwrap_input(&arguments), true);
        }
        let arguments = if arguments.trim().is_empty() { "{}".to_owned() } else { arguments };
        self.push(function, id, arguments, false);
    }

    /// A call without a name cannot be made, and is none.
    fn push(&mut self, object: &Value, id: Option<&str>, arguments: String, custom: bool) {
        let Some(name) = object.get("name").and_then(Value::as_str).filter(|it| !it.is_empty()) else {
            return;
        };
        let name = self.recall.names.get(name).map_or(name, String::as_str).to_owned();
        let id = match id {
            Some(it) if !self.ids.iter().any(|used| used == it) => it.to_owned(),
            _ => minted_id(&format!("{}/{}", self.seed, self.ids.len())),
        };
        self.ids.push(id.clone());
        let call = ToolCall { id, name, arguments: Arguments(arguments), custom };
        self.parts.push(Part::new(PartKind::ToolCall(call)));
    }
}

/// The text of a free-text tool that was told as a function; whatever the model wrote, if it did not keep to that.
pub(in crate::dialect::openai_chat) fn unwrap_input(arguments: &str) -> String {
    match serde_json::from_str::<Value>(arguments) {
        Ok(Value::Object(map)) => match map.get("input") {
            Some(Value::String(text)) => text.clone(),
            _ => arguments.to_owned(),
        },
        _ => arguments.to_owned(),
    }
}

/// The text of a part, or of each part of an array.
pub(in crate::dialect::openai_chat) fn texts(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(texts).collect(),
        Value::Object(part) => part.get("text").and_then(Value::as_str).unwrap_or_default().to_owned(),
        _ => String::new(),
    }
}

/// The text of `OpenRouter`'s `reasoning_details`, if it came without `reasoning`.
pub(in crate::dialect::openai_chat) fn details(details: Option<&Value>) -> Option<String> {
    let text: String = details?
        .as_array()?
        .iter()
        .filter_map(|it| it.get("text").or_else(|| it.get("summary")).and_then(Value::as_str))
        .collect();
    Some(text).filter(|it| !it.is_empty())
}
