//! A request in Gemini's words, written: for any request, as far as the model's abilities go. What they do not reach is noted.
//!
//! The model and whether to stream are said in the path, not here.

mod config;
mod extras;
mod media;
mod output;
mod parts;
mod signatures;
mod talk;
mod thinking;
mod tools;

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

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

/// What writing a request needs and gathers.
struct Writer<'a> {
    request: &'a ChatRequest,
    abilities: &'a Abilities,
    names: NameMap,
    /// The calls so far, by id.
    calls: HashMap<String, Called>,
    losses: Vec<Loss>,
}

/// A call of the history.
struct Called {
    /// As the upstream is told it.
    name: String,
    /// Its place among all calls.
    order: usize,
    /// Whether its id is told.
    has_id: bool,
}

pub(in super::super) fn request(
    request: &ChatRequest,
    _: &UpstreamModel,
    abilities: &Abilities,
) -> Result<Encoded, EncodeError> {
    foreign::refuse_stateful(request)?;
    let names = NameMap::of(request, NameRule::dotted(abilities.max_tool_name));
    let mut writer = Writer { request, abilities, names, calls: HashMap::new(), losses: Vec::new() };
    let body = writer.body()?;
    let recall =
        Recall { names: writer.names.recall(), custom_tools: writer.custom_tools(), ..Recall::default() };
    Ok(Encoded {
        body: Value::Object(body).to_string().into(),
        losses: writer.losses,
        recall,
        betas: Vec::new(),
    })
}

impl Writer<'_> {
    fn body(&mut self) -> Result<Map<String, Value>, EncodeError> {
        let mut talk = self.talk()?;
        let tools = self.tools();
        let mut config = Map::new();
        if let Some(instruction) = self.output(tools.functions(), &mut config) {
            talk.instruct(&instruction);
        }
        self.finish(&mut talk);
        self.sign(&mut talk);
        self.limits(&mut config)?;
        self.sampling(&mut config);
        if let Some(thinking) = self.thinking() {
            config.insert("thinkingConfig".to_owned(), Value::Object(thinking));
        }
        let choice = self.tool_config(&tools);

        let mut body = Map::new();
        talk.write(&mut body);
        let (tools, choice) = tools.narrowed(choice);
        if !tools.is_empty() {
            body.insert("tools".to_owned(), Value::Array(tools));
        }
        if !choice.is_empty() {
            body.insert("toolConfig".to_owned(), Value::Object(choice));
        }
        if !config.is_empty() {
            body.insert("generationConfig".to_owned(), Value::Object(config));
        }
        self.bookkeeping(&mut body);
        self.request_extra(&mut body);
        self.rely_on_cache(&mut body);
        Ok(body)
    }

    /// A cached prompt holds the system prompt and the tools: they must not be said again.
    fn rely_on_cache(&mut self, body: &mut Map<String, Value>) {
        if !body.contains_key("cachedContent") {
            return;
        }
        for key in ["systemInstruction", "tools", "toolConfig"] {
            if body.shift_remove(key).is_some() {
                let reason = "it must stand in the cached content, and not beside it";
                self.drop(format!("/{key}"), Severity::Semantic, reason);
            }
        }
    }

    /// Writes how urgent it is, and notes what the dialect has no words for.
    fn bookkeeping(&mut self, body: &mut Map<String, Value>) {
        let request = self.request;
        if request.end_user.is_some() {
            self.drop("/user", Severity::Cosmetic, "the dialect does not name the person who asks");
        }
        if request.metadata.is_some() {
            self.drop("/metadata", Severity::Cosmetic, "the dialect has no metadata");
        }
        if request.store == Some(true) {
            self.drop("/store", Severity::Cosmetic, "the dialect keeps no answers for their client");
        }
        if request.prompt_cache_key.is_some() {
            self.drop("/prompt_cache_key", Severity::Cosmetic, "the dialect has no cache keys");
        }
        let tier = match request.service_tier.as_deref() {
            None => return,
            Some("default" | "standard_only" | "standard") => "standard",
            Some(it @ ("flex" | "priority")) => it,
            Some(other) => {
                self.drop("/service_tier", Severity::Cosmetic, format!("there is no tier `{other}`"));
                return;
            }
        };
        if request.service_tier.as_deref() != Some(tier) {
            self.approximate("/service_tier", Severity::Cosmetic, format!("the tier is called `{tier}`"));
        }
        body.insert("serviceTier".to_owned(), json!(tier));
    }

    /// The tools of free text, by the name the upstream was told.
    fn custom_tools(&self) -> HashSet<String> {
        let custom = self.request.tools.iter().filter(|it| tools::is_custom(it));
        custom.map(|it| self.names.wire(&it.name).to_owned()).collect()
    }

    fn drop(&mut self, at: impl Into<String>, severity: Severity, reason: impl Into<String>) {
        self.losses.push(Loss::dropped(at, severity, reason));
    }

    fn approximate(&mut self, at: impl Into<String>, severity: Severity, reason: impl Into<String>) {
        self.losses.push(Loss::approximated(at, severity, reason));
    }
}

fn refuse(at: &str, message: impl Into<String>) -> EncodeError {
    EncodeError { at: at.to_owned(), message: message.into() }
}

#[cfg(test)]
mod tests;
