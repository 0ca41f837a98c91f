//! A request in Anthropic's words, written: for any request, as far as the model's abilities go. What they do not reach is noted.

mod answer;
mod cache;
mod extras;
mod hosted;
mod output;
mod parts;
mod sampling;
mod schema;
mod thinking;
mod tools;
mod turns;

use serde_json::{Map, Value, json};

use super::wire;
use crate::{
    catalog::{Abilities, UpstreamModel},
    dialect::{
        EncodeError, Encoded, Loss, Recall, Severity,
        canonical::{
            ChatRequest,
            names::{NameMap, NameRule},
        },
        foreign,
    },
};

/// The longest answer that is asked for where neither the client nor the catalogue says one, in tokens.
const FALLBACK_MAX_TOKENS: u64 = 8192;

/// What writing a request needs and gathers.
struct Writer<'a> {
    request: &'a ChatRequest,
    abilities: &'a Abilities,
    names: NameMap,
    losses: Vec<Loss>,
    /// Header values that the tools need.
    betas: Vec<String>,
}

pub(super) fn request(
    request: &ChatRequest,
    model: &UpstreamModel,
    abilities: &Abilities,
) -> Result<Encoded, EncodeError> {
    foreign::refuse_stateful(request)?;
    let names = NameMap::of(request, NameRule::plain(abilities.max_tool_name));
    let mut writer = Writer { request, abilities, names, losses: Vec::new(), betas: Vec::new() };
    let (body, recall) = writer.body(model)?;
    let mut betas = extras::betas(&request.extra);
    betas.extend(writer.betas);
    Ok(Encoded { body: wire::bytes(&body), losses: writer.losses, recall, betas })
}

impl Writer<'_> {
    fn body(&mut self, model: &UpstreamModel) -> Result<(Map<String, Value>, Recall), EncodeError> {
        let request = self.request;
        if request.sampling.choices.is_some_and(|it| it > 1) {
            return Err(EncodeError {
                at: "/n".to_owned(),
                message: "this model gives one answer at a time: ask with `n: 1`, or several times"
                    .to_owned(),
            });
        }
        let max_tokens = self.max_tokens();
        let mut talk = self.talk()?;
        let thinking = self.thinking(max_tokens, &talk);
        let thinks = thinking.is_on();
        self.drop_prefill(&mut talk, thinks);
        let output = self.output(thinks);
        if let Some(instruction) = &output.instruction {
            talk.instruct(instruction);
        }
        let mut tools = self.tools(&talk, &output);
        let choice = self.tool_choice(&mut tools, &output, thinks);

        let mut body = Map::new();
        body.insert("model".to_owned(), json!(model.as_str()));
        body.insert("max_tokens".to_owned(), json!(max_tokens));
        talk.write(&mut body);
        if !tools.is_empty() {
            body.insert("tools".to_owned(), Value::Array(tools));
        }
        if let Some(choice) = choice {
            body.insert("tool_choice".to_owned(), choice);
        }
        thinking.write(output.format, &mut body);
        self.sampling(thinks, &mut body);
        self.stop(&mut body);
        self.bookkeeping(&mut body);
        if request.stream.enabled {
            body.insert("stream".to_owned(), json!(true));
        }
        self.request_extra(&mut body);
        cache::settle(&mut body, self.abilities.cache_control, &mut self.losses);
        let custom_tools = self.custom_tools();
        Ok((
            body,
            Recall {
                names: self.names.recall(),
                json_tool: output.tool_name,
                custom_tools,
                ..Recall::default()
            },
        ))
    }

    fn max_tokens(&mut self) -> u64 {
        match (self.request.max_tokens, self.abilities.max_output_tokens) {
            (Some(asked), Some(most)) if asked > most => {
                let reason = format!("the model gives {most} tokens at most");
                self.approximate("/max_tokens", Severity::Cosmetic, reason);
                most
            }
            (Some(asked), _) => asked,
            (None, Some(most)) => most,
            (None, None) => {
                let reason =
                    format!("the dialect needs a limit and none is known: {FALLBACK_MAX_TOKENS} was set");
                self.losses.push(Loss::synthesized("/max_tokens", Severity::Cosmetic, reason));
                FALLBACK_MAX_TOKENS
            }
        }
    }

    /// Writes who asks and how urgent it is, and notes what the dialect has no words for.
    fn bookkeeping(&mut self, body: &mut Map<String, Value>) {
        let request = self.request;
        if let Some(user) = &request.end_user {
            body.insert("metadata".to_owned(), json!({"user_id": user}));
        }
        if request.metadata.is_some() {
            self.drop("/metadata", Severity::Cosmetic, "the dialect has no metadata but `user_id`");
        }
        if request.store == Some(true) {
            self.drop("/store", Severity::Cosmetic, "the dialect keeps no answers");
        }
        if request.prompt_cache_key.is_some() {
            self.drop("/prompt_cache_key", Severity::Cosmetic, "the dialect has no cache keys");
        }
        let tier = match request.service_tier.as_deref() {
            None => return,
            Some("auto" | "default") => "auto",
            Some("standard_only") => "standard_only",
            Some(other) => {
                self.drop("/service_tier", Severity::Cosmetic, format!("there is no tier `{other}`"));
                return;
            }
        };
        body.insert("service_tier".to_owned(), json!(tier));
    }

    fn drop(&mut self, at: impl Into<String>, severity: Severity, reason: impl Into<String>) {
        self.losses.push(Loss::dropped(at, severity, reason));
    }

    fn approximate(&mut self, at: impl Into<String>, severity: Severity, reason: impl Into<String>) {
        self.losses.push(Loss::approximated(at, severity, reason));
    }
}

#[cfg(test)]
mod tests;
