//! A request in the words of Responses, read. Faithful: order, form and unknown fields are kept.

mod calls;
mod config;
mod items;
mod message;
mod parts;
mod reasoning;
mod tools;

use serde_json::{Map, Value};

pub(super) use message::{FIRST_PART, SAME_ITEM};
pub(super) use reasoning::texts;
use tools::Toolbox;
pub(super) use tools::is_revealed;

use super::super::ID;
use crate::{
    catalog::ModelName,
    dialect::{
        ChatRequest, DecodeError, DialectId,
        canonical::{Conversation, Extra, Role, Sampling, StreamRequest, Turn},
        fields::{Fields, wrong},
        json,
    },
};

/// The parameter of `include` that asks for the chances of each token.
const LOGPROBS: &str = "message.output_text.logprobs";

/// The parameters of `include` that every upstream is asked for in its own words, or whose answer clients are always told.
const UNDERSTOOD: [&str; 4] = [
    LOGPROBS,
    "reasoning.encrypted_content",
    "web_search_call.action.sources",
    "code_interpreter_call.outputs",
];

/// The note that stands for an `include` of which all is understood.
pub(in super::super) const INCLUDED: &str = "@include";

/// What makes a request whole without an `input`.
const INSTEAD_OF_INPUT: [&str; 3] = ["previous_response_id", "conversation", "prompt"];

/// Objects that were understood only in part: what is left of each, to be said again to an upstream of this dialect.
#[derive(Debug, Default)]
struct Leftovers(Map<String, Value>);

impl Leftovers {
    fn keep(&mut self, key: &str, rest: Map<String, Value>) {
        if !rest.is_empty() {
            self.0.insert(key.to_owned(), Value::Object(rest));
        }
    }

    /// Adds them to what nobody took.
    fn join(self, rest: &Extra) -> Extra {
        let mut fields = rest.get().map(|it| it.fields.clone()).unwrap_or_default();
        fields.extend(self.0);
        let is_understood = |it: &Value| it.as_str().is_some_and(|it| UNDERSTOOD.contains(&it));
        if fields.get("include").and_then(Value::as_array).is_some_and(|it| it.iter().all(is_understood))
            && let Some(include) = fields.shift_remove("include")
        {
            fields.insert(INCLUDED.to_owned(), include);
        }
        Extra::new(ID, "", fields)
    }
}

/// What nobody took of an object, bare.
fn rest_of(fields: Fields) -> Map<String, Value> {
    fields.rest(ID).get().map(|it| it.fields.clone()).unwrap_or_default()
}

/// Reads a request. One with `messages` and no `input` is Chat's, sent to the wrong path.
pub(in super::super) fn request(body: &[u8]) -> Result<ChatRequest, DecodeError> {
    let mut fields = Fields::of(json::parse(body)?, "")?;
    if fields.has("messages") && !fields.has("input") {
        return DialectId::OpenaiChat.server().decode_request(body);
    }
    let mut left = Leftovers::default();
    let model = fields.required_string("model")?;
    let model = ModelName::parse(&model).map_err(|it| DecodeError::new("/model", it.to_string()))?;
    let toolbox = Toolbox::read(&mut fields)?;
    let turns = turns(&mut fields, &toolbox)?;
    let (output, verbosity) = config::text(&mut fields, &mut left)?;
    let reasoning = config::reasoning(&mut fields, &mut left)?;
    let tool_choice = toolbox.choice(&mut fields)?;
    Ok(ChatRequest {
        model,
        conversation: Conversation { turns },
        tool_choice,
        parallel_tool_calls: fields.bool("parallel_tool_calls")?,
        output,
        sampling: Sampling {
            temperature: fields.number("temperature")?,
            top_p: fields.number("top_p")?,
            logprobs: includes(&fields, LOGPROBS).then_some(true),
            top_logprobs: fields.count("top_logprobs")?,
            verbosity,
            ..Sampling::default()
        },
        max_tokens: fields.count("max_output_tokens")?,
        stop: Vec::new(),
        reasoning,
        end_user: end_user(&mut fields)?,
        metadata: metadata(&mut fields)?,
        service_tier: fields.string("service_tier")?,
        prompt_cache_key: fields.string("prompt_cache_key")?,
        store: fields.bool("store")?,
        previous_response: fields.string("previous_response_id")?,
        stream: StreamRequest { enabled: fields.bool("stream")?.unwrap_or(false), include_usage: false },
        legacy_functions: false,
        tools: toolbox.tools,
        extra: left.join(&fields.rest(ID)),
    })
}

fn turns(fields: &mut Fields, toolbox: &Toolbox) -> Result<Vec<Turn>, DecodeError> {
    let mut turns = instructions(fields, toolbox)?;
    let at = fields.at("input");
    match fields.any("input") {
        Some(Value::String(text)) => turns.push(items::plain(Role::User, text, at)),
        Some(Value::Array(values)) => items::read(values, &at, toolbox, &mut turns)?,
        Some(other) => return Err(wrong(at, "a string or an array of items", &other)),
        None if INSTEAD_OF_INPUT.iter().any(|it| fields.has(it)) => {}
        None => return Err(DecodeError::new(at, "`input` is missing: give a string or an array of items")),
    }
    if turns.is_empty() && !INSTEAD_OF_INPUT.iter().any(|it| fields.has(it)) {
        return Err(DecodeError::new("/input", "`input` must hold at least one item"));
    }
    Ok(turns)
}

/// `instructions`: a string, or items as an answer repeats them.
fn instructions(fields: &mut Fields, toolbox: &Toolbox) -> Result<Vec<Turn>, DecodeError> {
    let at = fields.at("instructions");
    let mut turns = Vec::new();
    match fields.any("instructions") {
        None => {}
        Some(Value::String(text)) => turns.push(items::plain(Role::System, text, at)),
        Some(Value::Array(values)) => items::read(values, &at, toolbox, &mut turns)?,
        Some(other) => return Err(wrong(at, "a string or an array of items", &other)),
    }
    Ok(turns)
}

fn includes(fields: &Fields, word: &str) -> bool {
    fields.peek("include").and_then(Value::as_array).is_some_and(|it| it.iter().any(|it| it == word))
}

/// `user`, or its successor; that one stays where it is too, for an upstream that knows it.
fn end_user(fields: &mut Fields) -> Result<Option<String>, DecodeError> {
    let newer = match fields.peek("safety_identifier") {
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => return Err(wrong(fields.at("safety_identifier"), "a string", other)),
        None => None,
    };
    Ok(fields.string("user")?.or(newer))
}

fn metadata(fields: &mut Fields) -> Result<Option<Map<String, Value>>, DecodeError> {
    match fields.any("metadata") {
        None => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(other) => Err(wrong(fields.at("metadata"), "an object", &other)),
    }
}

#[cfg(test)]
mod tests;
