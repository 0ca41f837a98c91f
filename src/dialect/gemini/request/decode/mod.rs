//! A request in Gemini's words, read. Faithful: order and unknown fields are kept; names are in camel case from here on.

mod config;
mod pairs;
mod parts;
mod tools;

use serde_json::{Map, Value, json};

pub(super) use parts::{FILES, guess, is_film, note};

use super::{super::ID, proto};
use crate::{
    catalog::ModelName,
    dialect::{
        DecodeError,
        canonical::{ChatRequest, Conversation, Extra, Role, StreamRequest, Turn},
        fields::{Fields, wrong},
        json,
    },
};

/// The model of a request whose body names none: the path does, and the caller knows it.
const UNNAMED: &str = "gemini";

/// What is kept of a request for an upstream of this dialect, beside what nobody took.
#[derive(Debug, Default)]
struct Kept(Map<String, Value>);

impl Kept {
    /// Keeps what is left of a message.
    fn rest(&mut self, key: &str, rest: Map<String, Value>) {
        if !rest.is_empty() {
            self.0.insert(key.to_owned(), Value::Object(rest));
        }
    }

    /// Notes in which form something was said (see `Extra`).
    fn note(&mut self, key: &str, value: Value) {
        self.0.insert(format!("{}{key}", Extra::NOTE), value);
    }

    fn join(self, fields: Fields) -> Extra {
        let at = fields.here().to_owned();
        let mut rest = proto::rest(fields);
        rest.extend(self.0);
        Extra::new(ID, at, rest)
    }
}

pub(in super::super) fn request(body: &[u8]) -> Result<ChatRequest, DecodeError> {
    let mut fields = proto::open(json::parse(body)?, "")?;
    let mut kept = Kept::default();
    let model = model(&mut fields)?;
    let conversation = conversation(&mut fields)?;
    let tools = tools::tools(&mut fields)?;
    let tool_choice = tools::choice(&mut fields, &mut kept)?;
    let config = config::read(&mut fields, &mut kept)?;
    let tier = fields.string("serviceTier")?.map(|it| it.to_ascii_lowercase());
    Ok(ChatRequest {
        model,
        conversation,
        tools,
        tool_choice,
        parallel_tool_calls: None,
        output: config.output,
        sampling: config.sampling,
        max_tokens: config.max_tokens,
        stop: config.stop,
        reasoning: config.reasoning,
        end_user: None,
        metadata: None,
        service_tier: tier,
        prompt_cache_key: None,
        store: None,
        previous_response: None,
        stream: StreamRequest::default(),
        legacy_functions: false,
        extra: kept.join(fields),
    })
}

fn model(fields: &mut Fields) -> Result<ModelName, DecodeError> {
    let at = fields.at("model");
    let name = fields.string("model")?;
    let name = name.as_deref().map_or(UNNAMED, |it| it.strip_prefix("models/").unwrap_or(it));
    ModelName::parse(name).map_err(|it| DecodeError::new(at, it.to_string()))
}

fn conversation(fields: &mut Fields) -> Result<Conversation, DecodeError> {
    let mut turns = Vec::new();
    if let Some(system) = fields.any("systemInstruction") {
        turns.push(system_turn(system)?);
    }
    let at = fields.at("contents");
    match fields.any("contents") {
        None => return Err(fields.missing("contents")),
        Some(one @ Value::Object(_)) => turns.push(turn(one, at)?),
        Some(Value::Array(them)) => {
            if them.is_empty() && turns.is_empty() {
                return Err(DecodeError::new(at, "`contents` is empty: it needs one content at least"));
            }
            for (index, it) in them.into_iter().enumerate() {
                turns.push(turn(it, format!("{at}/{index}"))?);
            }
        }
        Some(other) => return Err(wrong(at, "an array of contents", &other)),
    }
    pairs::pair(&mut turns);
    Ok(Conversation { turns })
}

/// The system prompt: a content whose role says nothing (it is noted, and goes back to Gemini as it was), or a plain text.
fn system_turn(value: Value) -> Result<Turn, DecodeError> {
    let at = "/systemInstruction".to_owned();
    if let Value::String(text) = value {
        let parts = vec![crate::dialect::canonical::Part::text(text)];
        return Ok(Turn { role: Role::System, parts, plain: true, name: None, at, extra: Extra::default() });
    }
    let mut fields = proto::open(value, &at)?;
    let role = fields.string("role")?.map(|it| noted("role", json!(it)));
    let parts = parts::parts(&mut fields)?;
    let extra = extended(&fields.rest(ID), &at, role);
    Ok(Turn { role: Role::System, parts, plain: false, name: None, at, extra })
}

fn turn(value: Value, at: String) -> Result<Turn, DecodeError> {
    let mut fields = proto::open(value, &at)?;
    let role = match fields.string("role")?.as_deref() {
        None | Some("" | "user" | "function" | "tool") => Role::User,
        Some("model" | "assistant") => Role::Assistant,
        Some("system") => Role::System,
        Some(_) => {
            return Err(DecodeError::new(fields.at("role"), "`role` must be `user` or `model`"));
        }
    };
    let parts = parts::parts(&mut fields)?;
    Ok(Turn { role, parts, plain: false, name: None, at, extra: fields.rest(ID) })
}

/// A note of one fact.
fn noted(key: &str, value: Value) -> (String, Value) {
    (format!("{}{key}", Extra::NOTE), value)
}

/// Adds fields and notes to what is kept of a part.
fn extended(extra: &Extra, at: &str, more: impl IntoIterator<Item = (String, Value)>) -> Extra {
    let mut fields = extra.get().map(|it| it.fields.clone()).unwrap_or_default();
    fields.extend(more);
    Extra::new(ID, at, fields)
}

/// A note that something was so.
fn yes(key: &str) -> (String, Value) {
    noted(key, json!(true))
}

#[cfg(test)]
mod tests;
