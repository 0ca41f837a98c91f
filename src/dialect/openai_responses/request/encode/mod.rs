//! A request in the words of Responses, written: for any request, as far as the model's abilities go. What they do not
//! reach is noted.

mod assistant;
mod config;
mod extras;
mod parts;
mod talk;
mod tools;

use serde_json::{Map, Value};

use super::{super::ID, decode};
use crate::{
    catalog::{Abilities, UpstreamModel},
    dialect::{
        ChatRequest, EncodeError, Encoded, Loss, Recall, Severity,
        canonical::names::{NameMap, NameRule},
    },
};

/// What writing a request needs and gathers.
struct Writer<'a> {
    request: &'a ChatRequest,
    abilities: &'a Abilities,
    names: NameMap,
    /// Whether the client wrote it in this dialect: then what it left unsaid stays unsaid.
    ours: bool,
    losses: Vec<Loss>,
    recall: Recall,
}

pub(in super::super) fn request(
    request: &ChatRequest,
    model: &UpstreamModel,
    abilities: &Abilities,
) -> Result<Encoded, EncodeError> {
    let names = NameMap::of(request, NameRule::plain(abilities.max_tool_name));
    let recall = Recall { names: names.recall(), ..Recall::default() };
    let ours = is_ours(request);
    let mut writer = Writer { request, abilities, names, ours, losses: Vec::new(), recall };
    let body = writer.body(model)?;
    let Writer { losses, recall, .. } = writer;
    Ok(Encoded { body: Value::Object(body).to_string().into(), losses, recall, betas: Vec::new() })
}

/// Only this dialect's turns stand in `input` and `instructions`.
fn is_ours(request: &ChatRequest) -> bool {
    let place = request.conversation.turns.iter().any(|it| is_of_input(&it.at));
    let field = request.extra.get().is_some_and(|it| it.dialect == ID);
    (place && request.extra.get().is_none_or(|it| it.dialect == ID))
        || field
        || request.previous_response.is_some()
}

fn is_of_input(at: &str) -> bool {
    at.starts_with("/input") || at.starts_with("/instructions")
}

impl Writer<'_> {
    fn body(&mut self, model: &UpstreamModel) -> Result<Map<String, Value>, EncodeError> {
        self.refuse()?;
        let mut body = Map::new();
        body.insert("model".to_owned(), model.as_str().into());
        let format = self.format();
        self.talk(format.prompt.as_deref(), &mut body)?;
        self.tools(&mut body);
        if let Some(text) = format.text {
            body.insert("text".to_owned(), text);
        }
        self.limit(&mut body);
        self.sampling(&mut body);
        self.thinking(&mut body);
        self.bookkeeping(&mut body);
        if self.request.stream.enabled {
            body.insert("stream".to_owned(), true.into());
        }
        self.extras(&mut body);
        Ok(body)
    }

    fn refuse(&self) -> Result<(), EncodeError> {
        if self.request.sampling.choices.is_some_and(|it| it > 1) {
            return Err(EncodeError {
                at: "/n".to_owned(),
                message: "this model gives one answer at a time: ask with `n: 1`, or several times"
                    .to_owned(),
            });
        }
        if self.request.max_tokens == Some(0) {
            let at = "/max_tokens";
            return Err(EncodeError {
                at: at.to_owned(),
                message: format!("`{}` must be 1 or more for this model", &at[1..]),
            });
        }
        Ok(())
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
