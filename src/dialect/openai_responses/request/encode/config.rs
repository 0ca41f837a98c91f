//! How the answer must look, how long it may be, how its tokens are chosen and how much is thought before it.

use serde_json::{Map, Number, Value, json};

use super::{super::super::ID, Writer};
use crate::{
    catalog::model::{Effort, SamplingFields, StructuredOutput, ThinkingControl},
    dialect::{
        Severity,
        canonical::{OutputFormat, ReasoningMode, ReasoningShow, effort},
    },
};

/// The least `max_output_tokens` that is taken.
const LEAST_LIMIT: u64 = 16;

const PLEASE: &str = "Answer with one JSON object and nothing else.";

/// How the answer's form is asked for.
#[derive(Debug, Default)]
pub(super) struct Format {
    /// `text`.
    pub text: Option<Value>,
    /// What is added to the system prompt.
    pub prompt: Option<String>,
}

impl Writer<'_> {
    pub(super) fn format(&mut self) -> Format {
        let mut text = Map::new();
        let mut prompt = None;
        match (&self.request.output, self.abilities.structured_output) {
            (OutputFormat::Text, _) => {}
            (OutputFormat::JsonObject, StructuredOutput::Native | StructuredOutput::JsonObject) => {
                text.insert("format".to_owned(), json!({"type": "json_object"}));
            }
            (OutputFormat::JsonObject, _) => {
                self.lowered("the upstream cannot promise JSON and was asked for it in the prompt");
                prompt = Some(PLEASE.to_owned());
            }
            (output @ OutputFormat::JsonSchema { .. }, StructuredOutput::Native) => {
                text.insert("format".to_owned(), native(output));
            }
            (OutputFormat::JsonSchema { schema, .. }, able) => {
                self.lowered("the upstream was given the schema in the prompt");
                if able == StructuredOutput::JsonObject {
                    text.insert("format".to_owned(), json!({"type": "json_object"}));
                }
                prompt = Some(format!("{PLEASE} It must match this JSON Schema:\n{schema}"));
            }
        }
        if let Some(verbosity) = &self.request.sampling.verbosity {
            text.insert("verbosity".to_owned(), verbosity.as_str().into());
        }
        Format { text: (!text.is_empty()).then_some(Value::Object(text)), prompt }
    }

    fn lowered(&mut self, reason: &str) {
        let at = "/response_format";
        self.approximate(at, Severity::Semantic, reason);
    }

    pub(super) fn limit(&mut self, body: &mut Map<String, Value>) {
        let Some(asked) = self.request.max_tokens else { return };
        let at = "/max_tokens";
        let mut told = asked.min(self.abilities.max_output_tokens.unwrap_or(asked));
        if told < asked {
            self.approximate(at, Severity::Cosmetic, format!("the model answers with {told} tokens at most"));
        } else if asked < LEAST_LIMIT && !self.ours {
            told = LEAST_LIMIT;
            let reason = format!("the model may be limited to {LEAST_LIMIT} tokens at least");
            self.approximate(at, Severity::Cosmetic, reason);
        }
        body.insert("max_output_tokens".to_owned(), told.into());
    }

    pub(super) fn sampling(&mut self, body: &mut Map<String, Value>) {
        let it = &self.request.sampling;
        let number = |it: &Option<Number>| it.clone().map(Value::Number);
        let both = it.temperature.is_some() && it.top_p.is_some();
        let none = self.abilities.sampling == SamplingFields::None;
        let one = self.abilities.sampling == SamplingFields::One;
        let fields = [
            ("temperature", it.temperature.as_ref().map(|it| self.temperature(it)), none),
            ("top_p", number(&it.top_p), none || (both && one)),
            ("top_logprobs", it.top_logprobs.map(Value::from), none),
        ];
        for (key, value, refused) in fields {
            match value {
                Some(_) if refused => {
                    let reason = format!("the model does not take `{key}`");
                    self.drop(format!("/{key}"), Severity::Semantic, reason);
                }
                Some(value) => drop(body.insert(key.to_owned(), value)),
                None => {}
            }
        }
        self.unsayable();
    }

    fn temperature(&mut self, asked: &Number) -> Value {
        let most = f64::from(self.abilities.max_temperature_tenths) / 10.0;
        if asked.as_f64().is_none_or(|it| it <= most) || self.abilities.sampling == SamplingFields::None {
            return Value::Number(asked.clone());
        }
        let reason = format!("the model takes a temperature of {most} at most");
        self.approximate("/temperature", Severity::Semantic, reason);
        json!(most)
    }

    /// Notes what the dialect has no words for, unless it asks for what happens anyway.
    fn unsayable(&mut self) {
        let it = &self.request.sampling;
        let matters = |it: &Option<Number>| it.as_ref().and_then(Number::as_f64).is_some_and(|it| it != 0.0);
        let biased = it.logit_bias.as_ref().is_some_and(|it| it.as_object().is_none_or(|it| !it.is_empty()));
        let fields = [
            ("stop", !self.request.stop.is_empty(), Severity::Semantic),
            ("top_k", it.top_k.is_some(), Severity::Semantic),
            ("frequency_penalty", matters(&it.frequency_penalty), Severity::Semantic),
            ("presence_penalty", matters(&it.presence_penalty), Severity::Semantic),
            ("logit_bias", biased, Severity::Semantic),
            ("seed", it.seed.is_some(), Severity::Cosmetic),
        ];
        for (field, _, severity) in fields.into_iter().filter(|it| it.1) {
            self.drop(format!("/{field}"), severity, format!("the dialect has no `{field}`"));
        }
    }

    /// Says how much to think, and asks for a summary if the client shows thinking.
    pub(super) fn thinking(&mut self, body: &mut Map<String, Value>) {
        let reasoning = &self.request.reasoning;
        let mut told = Map::new();
        if self.abilities.thinking == ThinkingControl::None {
            return self.cannot_think(reasoning.mode, reasoning.show);
        }
        if let Some(word) = self.effort(reasoning.mode) {
            told.insert("effort".to_owned(), word.into());
        }
        // Who asks for thinking and does not say what is shown of it is shown it (Messages).
        let shows = match (reasoning.show, reasoning.mode) {
            (ReasoningShow::Summary, _) | (ReasoningShow::Default, ReasoningMode::Adaptive(_)) => true,
            (ReasoningShow::Default, ReasoningMode::Budget(it)) => it > 0,
            _ => false,
        };
        let kind = self.request.extra.field(ID, "reasoning").and_then(|it| it.get("summary"));
        if shows && kind.is_none() {
            told.insert("summary".to_owned(), "auto".into());
        }
        if !told.is_empty() {
            body.insert("reasoning".to_owned(), Value::Object(told));
        }
    }

    fn place_of_thinking(&self) -> &'static str {
        if self.ours { "/reasoning" } else { "/thinking" }
    }

    fn cannot_think(&mut self, mode: ReasoningMode, show: ReasoningShow) {
        let severity = match mode {
            ReasoningMode::Default if show == ReasoningShow::Default => return,
            ReasoningMode::Off | ReasoningMode::Budget(0) if self.abilities.thinking_can_be_off => return,
            ReasoningMode::Default | ReasoningMode::Off | ReasoningMode::Adaptive(_) => Severity::Cosmetic,
            ReasoningMode::Effort(_) | ReasoningMode::Budget(_) => Severity::Semantic,
        };
        self.drop(self.place_of_thinking(), severity, "the model cannot be told how much to think");
    }

    fn effort(&mut self, mode: ReasoningMode) -> Option<&'static str> {
        match mode {
            ReasoningMode::Default | ReasoningMode::Adaptive(None) => None,
            ReasoningMode::Off if self.abilities.thinking_can_be_off => Some("none"),
            ReasoningMode::Off => {
                let at = self.place_of_thinking();
                self.approximate(at, Severity::Semantic, "the model cannot be kept from thinking");
                self.abilities.efforts.iter().min().map(|it| effort::name(*it))
            }
            ReasoningMode::Effort(wanted) | ReasoningMode::Adaptive(Some(wanted)) => Some(self.level(wanted)),
            ReasoningMode::Budget(0) => self.effort(ReasoningMode::Off),
            ReasoningMode::Budget(tokens) => {
                let wanted = effort::effort_of(tokens)?;
                let reason = format!("a budget of {tokens} tokens was told as an effort");
                self.approximate(self.place_of_thinking(), Severity::Semantic, reason);
                Some(self.level(wanted))
            }
        }
    }

    /// The nearest level the model has; a model whose levels nobody wrote down is told what was asked.
    fn level(&mut self, wanted: Effort) -> &'static str {
        let given = effort::clamp(wanted, &self.abilities.efforts).unwrap_or(wanted);
        if given != wanted {
            let reason =
                format!("effort `{}` was lowered to `{}`", effort::name(wanted), effort::name(given));
            self.approximate(self.place_of_thinking(), Severity::Semantic, reason);
        }
        effort::name(given)
    }
}

fn native(output: &OutputFormat) -> Value {
    let OutputFormat::JsonSchema { name, description, schema, strict } = output else { return Value::Null };
    let mut format = Map::new();
    format.insert("type".to_owned(), "json_schema".into());
    format.insert("name".to_owned(), name.as_deref().unwrap_or("response").into());
    if let Some(description) = description {
        format.insert("description".to_owned(), description.as_str().into());
    }
    format.insert("schema".to_owned(), schema.clone());
    if let Some(strict) = strict {
        format.insert("strict".to_owned(), (*strict).into());
    }
    Value::Object(format)
}
