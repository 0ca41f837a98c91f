//! A request in Anthropic's words, read. Faithful: order, form and unknown fields are kept.

mod client_tools;
mod parts;
mod reasoning;
mod tools;

use serde_json::{Map, Value};

#[cfg(test)]
pub(in crate::dialect) use client_tools::of as client_tool;
pub(super) use parts::{block, citation, is_server_tool};

use super::ID;
use crate::{
    catalog::ModelName,
    dialect::{
        DecodeError,
        canonical::{ChatRequest, Conversation, Extra, Role, Sampling, StreamRequest, Turn},
        fields::{Fields, wrong},
        json,
    },
};

/// Whether a request must say how long the answer may be: one for a token count need not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    Required,
    Optional,
}

/// Fields that were understood only in part: what is left of each, to be said again to an upstream of this dialect.
#[derive(Debug, Default)]
struct Leftovers(Map<String, Value>);

impl Leftovers {
    fn keep(&mut self, key: &str, rest: Map<String, Value>) {
        if !rest.is_empty() {
            self.0.insert(key.to_owned(), Value::Object(rest));
        }
    }

    fn keep_whole(&mut self, key: &str, value: Value) {
        self.0.insert(key.to_owned(), value);
    }

    /// Adds them to what nobody took.
    fn join(self, at: &str, extra: &Extra) -> Extra {
        let mut fields = extra.get().map(|it| it.fields.clone()).unwrap_or_default();
        fields.extend(self.0);
        Extra::new(ID, at, fields)
    }
}

/// What nobody took of an object, bare.
fn rest_of(fields: Fields) -> Map<String, Value> {
    fields.rest(ID).get().map(|it| it.fields.clone()).unwrap_or_default()
}

pub(super) fn request(body: &[u8], limit: Limit) -> Result<ChatRequest, DecodeError> {
    let mut fields = Fields::of(json::parse(body)?, "")?;
    let mut left = Leftovers::default();
    let model = fields.required_string("model")?;
    let model = ModelName::parse(&model).map_err(|it| DecodeError::new("/model", it.to_string()))?;
    let max_tokens = fields.count("max_tokens")?;
    if max_tokens.is_none() && limit == Limit::Required {
        return Err(DecodeError::new(
            "/max_tokens",
            "`max_tokens` is missing: say how many tokens the answer may have at most",
        ));
    }
    let conversation = conversation(&mut fields)?;
    let tools = tools::tools(&mut fields)?;
    let (tool_choice, parallel_tool_calls) = tools::choice(&mut fields)?;
    let (reasoning, output) = reasoning::reasoning(&mut fields, &mut left)?;
    let end_user = end_user(&mut fields, &mut left)?;
    Ok(ChatRequest {
        model,
        conversation,
        tools,
        tool_choice,
        parallel_tool_calls,
        output,
        sampling: Sampling {
            temperature: fields.number("temperature")?,
            top_p: fields.number("top_p")?,
            top_k: fields.count("top_k")?,
            ..Sampling::default()
        },
        max_tokens,
        stop: stop(&mut fields)?,
        reasoning,
        end_user,
        metadata: None,
        service_tier: fields.string("service_tier")?,
        prompt_cache_key: None,
        store: None,
        previous_response: None,
        stream: StreamRequest { enabled: fields.bool("stream")?.unwrap_or(false), include_usage: false },
        legacy_functions: false,
        extra: left.join("", &fields.rest(ID)),
    })
}

fn conversation(fields: &mut Fields) -> Result<Conversation, DecodeError> {
    let mut turns = Vec::new();
    if let Some(system) = fields.any("system") {
        let (parts, plain) = parts::content(system, "/system")?;
        let at = "/system".to_owned();
        turns.push(Turn { role: Role::System, parts, plain, name: None, at, extra: Extra::default() });
    }
    let messages = fields.array("messages")?.ok_or_else(|| fields.missing("messages"))?;
    if messages.is_empty() {
        return Err(DecodeError::new("/messages", "`messages` is empty: it needs one message at least"));
    }
    for (index, it) in messages.into_iter().enumerate() {
        turns.push(message(it, format!("/messages/{index}"))?);
    }
    Ok(Conversation { turns })
}

fn message(value: Value, at: String) -> Result<Turn, DecodeError> {
    let mut fields = Fields::of(value, &at)?;
    let role = match fields.required_string("role")?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        other => {
            return Err(DecodeError::new(
                fields.at("role"),
                format!("`role` must be `user`, `assistant` or `system`, not `{other}`"),
            ));
        }
    };
    let content = fields.any("content").ok_or_else(|| fields.missing("content"))?;
    let (parts, plain) = parts::content(content, &fields.at("content"))?;
    Ok(Turn { role, parts, plain, name: None, at, extra: fields.rest(ID) })
}

fn stop(fields: &mut Fields) -> Result<Vec<String>, DecodeError> {
    let at = fields.at("stop_sequences");
    let stops = fields.array("stop_sequences")?.unwrap_or_default();
    let text = |(index, it)| match it {
        Value::String(text) => Ok(text),
        other => Err(wrong(format!("{at}/{index}"), "a string", &other)),
    };
    stops.into_iter().enumerate().map(text).collect()
}

fn end_user(fields: &mut Fields, left: &mut Leftovers) -> Result<Option<String>, DecodeError> {
    let Some(mut metadata) = fields.object("metadata")? else { return Ok(None) };
    let user = metadata.string("user_id")?;
    left.keep("metadata", rest_of(metadata));
    Ok(user)
}

#[cfg(test)]
mod tests;
