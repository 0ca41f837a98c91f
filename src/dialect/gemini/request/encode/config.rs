//! How the next token is chosen, how long the answer may be, and where it stops.

use serde_json::{Map, Number, Value, json};

use super::{Writer, refuse};
use crate::{
    catalog::model::SamplingFields,
    dialect::{EncodeError, Severity},
};

/// The most logarithms of probabilities that Google gives for a token.
const MOST_LOGPROBS: u64 = 20;

impl Writer<'_> {
    pub(super) fn limits(&mut self, config: &mut Map<String, Value>) -> Result<(), EncodeError> {
        let request = self.request;
        if let Some(asked) = request.max_tokens {
            if asked == 0 {
                return Err(refuse("/max_tokens", "`max_tokens` must be 1 or more for this model"));
            }
            let most = asked.min(self.abilities.max_output_tokens.unwrap_or(asked));
            if most < asked {
                let reason = format!("the model answers with {most} tokens at most");
                self.approximate("/max_tokens", Severity::Cosmetic, reason);
            }
            config.insert("maxOutputTokens".to_owned(), json!(most));
        }
        let mut stops: Vec<&str> =
            request.stop.iter().map(String::as_str).filter(|it| !it.is_empty()).collect();
        if stops.len() < request.stop.len() {
            self.drop("/stop", Severity::Cosmetic, "an empty stop sequence stops nothing");
        }
        let most = self.abilities.max_stops;
        if stops.len() > most {
            stops.truncate(most);
            self.drop("/stop", Severity::Semantic, format!("the model takes {most} stop sequences at most"));
        }
        if !stops.is_empty() {
            config.insert("stopSequences".to_owned(), json!(stops));
        }
        if let Some(choices) = request.sampling.choices {
            config.insert("candidateCount".to_owned(), json!(choices));
        }
        Ok(())
    }

    pub(super) fn sampling(&mut self, config: &mut Map<String, Value>) {
        let asked = &self.request.sampling;
        let number = |it: &Option<Number>| it.clone().map(Value::Number);
        let one = self.abilities.sampling == SamplingFields::One && asked.temperature.is_some();
        let temperature = asked.temperature.as_ref().map(|it| self.temperature(it));
        let logprobs = asked.top_logprobs.map(|it| self.top_logprobs(it));
        let seed = asked.seed.as_ref().map(|it| self.seed(it));
        let fields = [
            ("temperature", "temperature", temperature, false),
            ("top_p", "topP", number(&asked.top_p), one),
            ("top_k", "topK", asked.top_k.map(Value::from), false),
            ("presence_penalty", "presencePenalty", number(&asked.presence_penalty), false),
            ("frequency_penalty", "frequencyPenalty", number(&asked.frequency_penalty), false),
            ("seed", "seed", seed, false),
            ("logprobs", "responseLogprobs", asked.logprobs.map(Value::from), false),
            ("top_logprobs", "logprobs", logprobs, false),
        ];
        for (theirs, ours, value, dropped) in fields {
            let Some(value) = value else { continue };
            if dropped || self.abilities.sampling == SamplingFields::None {
                let reason = format!("the model does not take `{theirs}`");
                self.drop(format!("/{theirs}"), Severity::Semantic, reason);
            } else {
                config.insert(ours.to_owned(), value);
            }
        }
        if asked.logit_bias.is_some() {
            self.drop("/logit_bias", Severity::Semantic, "the dialect has no `logit_bias`");
        }
        if asked.verbosity.is_some() {
            self.drop("/verbosity", Severity::Cosmetic, "the dialect has no `verbosity`");
        }
    }

    fn temperature(&mut self, asked: &Number) -> Value {
        let most = f64::from(self.abilities.max_temperature_tenths) / 10.0;
        if asked.as_f64().is_none_or(|it| it <= most) {
            return Value::Number(asked.clone());
        }
        let reason = format!("the model takes a temperature of {most} at most");
        self.approximate("/temperature", Severity::Semantic, reason);
        json!(most)
    }

    fn top_logprobs(&mut self, asked: u64) -> Value {
        if asked > MOST_LOGPROBS {
            let reason = format!("the model gives {MOST_LOGPROBS} at most");
            self.approximate("/top_logprobs", Severity::Cosmetic, reason);
        }
        json!(asked.min(MOST_LOGPROBS))
    }

    /// A seed has 31 bits here: a longer one becomes one of them, the same each time.
    fn seed(&mut self, asked: &Number) -> Value {
        let fits = asked.as_i64().is_some_and(|it| i32::try_from(it).is_ok());
        if fits {
            return Value::Number(asked.clone());
        }
        self.approximate("/seed", Severity::Cosmetic, "a seed has 31 bits: it was shortened");
        let bits = asked.as_i64().map_or_else(|| asked.as_u64().unwrap_or_default(), i64::unsigned_abs);
        json!(bits & u64::from(i32::MAX.unsigned_abs()))
    }
}
