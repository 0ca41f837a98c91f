//! Reads a request. What is absent stays absent; what we do not know is kept as `Extra`.

use serde_json::{Map, Value};

use super::thinking;
use crate::{
    catalog::ModelName,
    dialect::{
        ChatRequest, DecodeError,
        canonical::{Conversation, Extra, Part, Role, Sampling, StreamRequest, Tool, ToolChoice, Turn},
        fields::{Fields, wrong},
        json,
        openai_chat::{CHAT, extra, format, messages, tools},
    },
};

pub(in crate::dialect::openai_chat) fn decode(body: &[u8]) -> Result<ChatRequest, DecodeError> {
    let mut fields = Fields::of(json::parse(body)?, "")?;
    let model = model(&mut fields)?;
    let responses_shape = !fields.has("messages") && fields.has("input");
    let mut turns = messages::decode::take(&mut fields)?;
    if responses_shape && let Some(text) = fields.string("instructions")? {
        turns.insert(0, instructions(text));
    }
    let (mut tools, legacy_functions) = tools(&mut fields)?;
    tools.extend(tools::decode::search(&mut fields)?);
    let tool_choice = tool_choice(&mut fields)?;
    let parallel_tool_calls = fields.bool("parallel_tool_calls")?;
    let (output, format_rest) = format::decode(&mut fields)?;
    let (stream, stream_rest) = stream(&mut fields)?;
    let reasoning = thinking::decode(&mut fields)?;
    let request = ChatRequest {
        model,
        conversation: Conversation { turns },
        tools,
        tool_choice,
        parallel_tool_calls,
        output,
        sampling: sampling(&mut fields)?,
        max_tokens: max_tokens(&mut fields)?,
        stop: stop(&mut fields)?,
        reasoning,
        end_user: end_user(&mut fields)?,
        metadata: metadata(&mut fields)?,
        service_tier: fields.string("service_tier")?,
        prompt_cache_key: fields.string("prompt_cache_key")?,
        store: fields.bool("store")?,
        previous_response: None,
        stream,
        legacy_functions,
        extra: Extra::default(),
    };
    let rest = extra::nest(fields.rest(CHAT), "response_format", &format_rest);
    Ok(ChatRequest { extra: extra::nest(rest, "stream_options", &stream_rest), ..request })
}

fn model(fields: &mut Fields) -> Result<ModelName, DecodeError> {
    let name = fields.required_string("model")?;
    ModelName::parse(&name).map_err(|error| DecodeError::new(fields.at("model"), error.to_string()))
}

/// The `instructions` of Responses.
fn instructions(text: String) -> Turn {
    Turn {
        role: Role::System,
        parts: vec![Part::text(text)],
        plain: true,
        name: None,
        at: "/instructions".to_owned(),
        extra: Extra::default(),
    }
}

/// Takes the tools, and says whether they came as legacy `functions`.
fn tools(fields: &mut Fields) -> Result<(Vec<Tool>, bool), DecodeError> {
    let at = fields.at("tools");
    let tools = tools::decode::tools(fields.array("tools")?.unwrap_or_default(), &at)?;
    let at = fields.at("functions");
    let functions = tools::decode::functions(fields.array("functions")?.unwrap_or_default(), &at)?;
    let legacy = tools.is_empty() && !functions.is_empty();
    Ok((if legacy { functions } else { tools }, legacy))
}

fn tool_choice(fields: &mut Fields) -> Result<Option<ToolChoice>, DecodeError> {
    let at = fields.at("tool_choice");
    let choice = fields.any("tool_choice").map(|it| tools::decode::choice(it, &at)).transpose()?;
    let at = fields.at("function_call");
    let legacy = fields.any("function_call").map(|it| tools::decode::legacy_choice(it, &at)).transpose()?;
    Ok(choice.or(legacy))
}

fn stream(fields: &mut Fields) -> Result<(StreamRequest, Extra), DecodeError> {
    let enabled = fields.bool("stream")?.unwrap_or(false);
    let Some(mut options) = fields.object("stream_options")? else {
        return Ok((StreamRequest { enabled, include_usage: false }, Extra::default()));
    };
    let include_usage = options.bool("include_usage")?.unwrap_or(false);
    Ok((StreamRequest { enabled, include_usage }, options.rest(CHAT)))
}

fn sampling(fields: &mut Fields) -> Result<Sampling, DecodeError> {
    let choices = fields.count("n")?;
    if choices == Some(0) {
        return Err(DecodeError::new(fields.at("n"), "`n` must be 1 or more"));
    }
    Ok(Sampling {
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        top_k: fields.count("top_k")?,
        frequency_penalty: fields.number("frequency_penalty")?,
        presence_penalty: fields.number("presence_penalty")?,
        seed: fields.number("seed")?,
        logit_bias: fields.any("logit_bias"),
        logprobs: fields.bool("logprobs")?,
        top_logprobs: fields.count("top_logprobs")?,
        choices,
        verbosity: fields.string("verbosity")?,
    })
}

/// `max_completion_tokens` wins over the older `max_tokens`.
fn max_tokens(fields: &mut Fields) -> Result<Option<u64>, DecodeError> {
    let older = fields.count("max_tokens")?;
    Ok(fields.count("max_completion_tokens")?.or(older))
}

fn stop(fields: &mut Fields) -> Result<Vec<String>, DecodeError> {
    let at = fields.at("stop");
    match fields.any("stop") {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text]),
        Some(Value::Array(values)) => {
            let text = |(index, value)| match value {
                Value::String(text) => Ok(text),
                other => Err(wrong(format!("{at}/{index}"), "a string", &other)),
            };
            values.into_iter().enumerate().map(text).collect()
        }
        Some(other) => Err(wrong(at, "a string or an array of strings", &other)),
    }
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
