//! Writes a request as its upstream's abilities allow; what cannot be said is noted.

use serde_json::{Map, Number, Value, json};

use super::thinking;
use crate::{
    catalog::{
        Abilities, UpstreamModel,
        model::{MaxTokensField, SamplingFields},
    },
    dialect::{
        ChatRequest, EncodeError, Encoded, Loss, Recall, Severity,
        canonical::{
            names::{NameMap, NameRule, clean_user},
            pairing,
        },
        foreign,
        openai_chat::{CHAT, extra, format, messages, tools},
    },
};

/// The longest id of an end user OpenAI takes, in characters.
const LONGEST_USER: usize = 128;

pub(in crate::dialect::openai_chat) fn encode(
    request: &ChatRequest,
    model: &UpstreamModel,
    abilities: &Abilities,
) -> Result<Encoded, EncodeError> {
    foreign::refuse_stateful(request)?;
    let names = NameMap::of(request, NameRule::plain(abilities.max_tool_name));
    let mut recall = Recall { names: names.recall(), think_tags: abilities.think_tags, ..Recall::default() };
    let (conversation, mut losses) = pairing::repair(&request.conversation);
    let asked = format::encode(request, abilities, &mut losses);
    let messages = messages::encode::write(
        &conversation,
        &messages::encode::Context { request, abilities, names: &names, prompt: asked.prompt },
        &mut losses,
    );
    if messages.is_empty() {
        return Err(EncodeError {
            at: "/messages".to_owned(),
            message: "no message is left that this model can be told".to_owned(),
        });
    }
    let mut body = Map::new();
    body.insert("model".to_owned(), model.as_str().into());
    body.insert("messages".to_owned(), Value::Array(messages));
    match asked.tool {
        Some(schema) => tools::encode::write_json_tool(&schema, &mut body, &mut recall),
        None => tools::encode::write(request, abilities, &names, &mut body, &mut recall, &mut losses),
    }
    if let Some(format) = asked.response_format {
        body.insert("response_format".to_owned(), format);
    }
    limits(request, abilities, &mut body, &mut losses)?;
    sampling(request, abilities, &mut body, &mut losses);
    thinking::encode(&request.reasoning, abilities, &mut body, &mut losses);
    bookkeeping(request, &mut body, &mut losses);
    extra::write(&request.extra, &mut body, abilities, &mut losses);
    stream(request, abilities, &mut body);
    Ok(Encoded { body: Value::Object(body).to_string().into(), losses, recall, betas: Vec::new() })
}

fn limits(
    request: &ChatRequest,
    abilities: &Abilities,
    body: &mut Map<String, Value>,
    losses: &mut Vec<Loss>,
) -> Result<(), EncodeError> {
    if let Some(asked) = request.max_tokens {
        if asked == 0 {
            return Err(EncodeError {
                at: "/max_tokens".to_owned(),
                message: "`max_tokens` must be 1 or more for this model".to_owned(),
            });
        }
        let most = asked.min(abilities.max_output_tokens.unwrap_or(asked));
        if most < asked {
            let reason = format!("the model answers with {most} tokens at most");
            losses.push(Loss::approximated("/max_tokens", Severity::Cosmetic, reason));
        }
        let key = match abilities.max_tokens_field {
            MaxTokensField::MaxTokens => "max_tokens",
            MaxTokensField::MaxCompletionTokens => "max_completion_tokens",
        };
        body.insert(key.to_owned(), most.into());
    }
    let kept = request.stop.len().min(abilities.max_stops);
    if kept < request.stop.len() {
        let reason = format!("the upstream takes {kept} stop sequences at most");
        losses.push(Loss::dropped("/stop", Severity::Semantic, reason));
    }
    if kept > 0 {
        body.insert("stop".to_owned(), json!(request.stop[..kept]));
    }
    Ok(())
}

fn sampling(
    request: &ChatRequest,
    abilities: &Abilities,
    body: &mut Map<String, Value>,
    losses: &mut Vec<Loss>,
) {
    let it = &request.sampling;
    let number = |it: &Option<Number>| it.clone().map(Value::Number);
    let both = it.temperature.is_some() && it.top_p.is_some();
    let fields: [(&str, Option<Value>, bool); 11] = [
        ("temperature", it.temperature.as_ref().map(|it| temperature(it, abilities, losses)), false),
        ("top_p", number(&it.top_p), both && abilities.sampling == SamplingFields::One),
        ("top_k", it.top_k.map(Value::from), !abilities.unknown_fields),
        ("frequency_penalty", number(&it.frequency_penalty), false),
        ("presence_penalty", number(&it.presence_penalty), false),
        ("logit_bias", it.logit_bias.clone(), false),
        ("logprobs", it.logprobs.map(Value::from), false),
        ("top_logprobs", it.top_logprobs.map(Value::from), false),
        ("seed", number(&it.seed), false),
        ("n", it.choices.map(Value::from), false),
        ("verbosity", it.verbosity.as_deref().map(Value::from), false),
    ];
    // OpenAI's reasoning models refuse the fields up to `top_logprobs`.
    let refused = if abilities.sampling == SamplingFields::None { 8 } else { 0 };
    for (index, (key, value, dropped)) in fields.into_iter().enumerate() {
        let Some(value) = value else { continue };
        if dropped || index < refused {
            let reason = format!("the model does not take `{key}`");
            losses.push(Loss::dropped(format!("/{key}"), Severity::Semantic, reason));
        } else {
            body.insert(key.to_owned(), value);
        }
    }
}

fn temperature(asked: &Number, abilities: &Abilities, losses: &mut Vec<Loss>) -> Value {
    let most = f64::from(abilities.max_temperature_tenths) / 10.0;
    let within = asked.as_f64().is_none_or(|it| it <= most);
    if within || abilities.sampling == SamplingFields::None {
        return Value::Number(asked.clone());
    }
    let reason = format!("the model takes a temperature of {most} at most");
    losses.push(Loss::approximated("/temperature", Severity::Semantic, reason));
    json!(most)
}

fn bookkeeping(request: &ChatRequest, body: &mut Map<String, Value>, losses: &mut Vec<Loss>) {
    if let Some(user) = &request.end_user {
        // The successor of `user` is among the extra fields, where the client used it.
        let newer = request.extra.field(CHAT, "safety_identifier").and_then(Value::as_str);
        if newer != Some(user) {
            let told = clean_user(user, LONGEST_USER);
            if told != user.as_str() {
                losses.push(Loss::approximated(
                    "/user",
                    Severity::Cosmetic,
                    "a long id was told as its hash",
                ));
            }
            body.insert("user".to_owned(), told.as_ref().into());
        }
    }
    if let Some(metadata) = &request.metadata {
        body.insert("metadata".to_owned(), Value::Object(metadata.clone()));
    }
    if let Some(tier) = &request.service_tier {
        let told = if tier == "standard_only" { "default" } else { tier };
        if told != tier {
            losses.push(Loss::approximated("/service_tier", Severity::Cosmetic, "it was told as `default`"));
        }
        body.insert("service_tier".to_owned(), told.into());
    }
    // Responses keeps answers unless it is told not to; Chat does not, and its clones do not know the word.
    let of_responses = request.conversation.turns.iter().any(|it| it.at.starts_with("/in"));
    if let Some(store) = request.store.filter(|it| *it || !of_responses) {
        body.insert("store".to_owned(), store.into());
    }
    if let Some(key) = &request.prompt_cache_key {
        body.insert("prompt_cache_key".to_owned(), key.as_str().into());
    }
}

/// Usage is always asked for: the ledger needs it. The answer's encoder hides it from a client that did not ask.
fn stream(request: &ChatRequest, abilities: &Abilities, body: &mut Map<String, Value>) {
    if !request.stream.enabled {
        body.shift_remove("stream_options");
        return;
    }
    body.insert("stream".to_owned(), true.into());
    if !abilities.stream_options {
        body.shift_remove("stream_options");
        return;
    }
    let mut options = Map::from_iter([("include_usage".to_owned(), Value::from(true))]);
    if let Some(Value::Object(asked)) = body.shift_remove("stream_options") {
        options.extend(asked.into_iter().filter(|(key, _)| key != "include_usage"));
    }
    body.insert("stream_options".to_owned(), Value::Object(options));
}
