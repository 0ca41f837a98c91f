//! How the next token is chosen, and where the answer stops.

use serde_json::{Map, Number, Value, json};

use super::Writer;
use crate::{catalog::model::SamplingFields, dialect::Severity};

/// The highest temperature the dialect has, in tenths.
const HOTTEST_TENTHS: u32 = 10;

/// The lowest `top_p` that may go with thinking.
const LEAST_TOP_P_THINKING: f64 = 0.95;

const NO_SAMPLING: &str = "the model takes no sampling fields";

impl Writer<'_> {
    pub(super) fn sampling(&mut self, thinks: bool, body: &mut Map<String, Value>) {
        let sampling = &self.request.sampling;
        let temperature = sampling.temperature.clone().and_then(|it| self.temperature(it, thinks));
        let top_p = sampling.top_p.clone().and_then(|it| self.top_p(it, thinks, temperature.is_some()));
        let top_k = sampling.top_k.and_then(|it| self.top_k(it, thinks));
        if let Some(it) = temperature {
            body.insert("temperature".to_owned(), Value::Number(it));
        }
        if let Some(it) = top_p {
            body.insert("top_p".to_owned(), Value::Number(it));
        }
        if let Some(it) = top_k {
            body.insert("top_k".to_owned(), json!(it));
        }
        self.unsayable();
    }

    fn temperature(&mut self, asked: Number, thinks: bool) -> Option<Number> {
        let at = "/temperature";
        if self.abilities.sampling == SamplingFields::None {
            self.drop(at, Severity::Cosmetic, NO_SAMPLING);
            return None;
        }
        let value = asked.as_f64().unwrap_or(1.0);
        if thinks && (value - 1.0).abs() > f64::EPSILON {
            self.drop(at, Severity::Cosmetic, "a model that thinks takes no temperature");
            return None;
        }
        let hottest = f64::from(self.abilities.max_temperature_tenths.min(HOTTEST_TENTHS)) / 10.0;
        if value > hottest {
            self.approximate(at, Severity::Cosmetic, format!("the model takes {hottest} at most"));
            return Number::from_f64(hottest);
        }
        Some(asked)
    }

    fn top_p(&mut self, asked: Number, thinks: bool, heated: bool) -> Option<Number> {
        let reason = match self.abilities.sampling {
            SamplingFields::None => NO_SAMPLING,
            SamplingFields::One if heated => "the model takes `temperature` or `top_p`, not both",
            _ if thinks && asked.as_f64().is_none_or(|it| it < LEAST_TOP_P_THINKING) => {
                "a model that thinks takes no `top_p` under 0.95"
            }
            _ => return Some(asked),
        };
        self.drop("/top_p", Severity::Cosmetic, reason);
        None
    }

    fn top_k(&mut self, asked: u64, thinks: bool) -> Option<u64> {
        let reason = match self.abilities.sampling {
            SamplingFields::None => NO_SAMPLING,
            _ if thinks => "a model that thinks takes no `top_k`",
            _ => return Some(asked),
        };
        self.drop("/top_k", Severity::Cosmetic, reason);
        None
    }

    /// Notes what the dialect has no words for, unless it asks for what happens anyway.
    fn unsayable(&mut self) {
        let sampling = &self.request.sampling;
        let matters = |it: &Option<Number>| it.as_ref().is_some_and(|it| !is_zero(it));
        let biased =
            sampling.logit_bias.as_ref().is_some_and(|it| it.as_object().is_none_or(|it| !it.is_empty()));
        let fields = [
            ("frequency_penalty", matters(&sampling.frequency_penalty), Severity::Semantic),
            ("presence_penalty", matters(&sampling.presence_penalty), Severity::Semantic),
            ("seed", sampling.seed.is_some(), Severity::Cosmetic),
            ("logit_bias", biased, Severity::Semantic),
            ("logprobs", sampling.logprobs == Some(true), Severity::Semantic),
            ("top_logprobs", sampling.top_logprobs.is_some_and(|it| it > 0), Severity::Semantic),
            ("verbosity", sampling.verbosity.is_some(), Severity::Cosmetic),
        ];
        for (field, _, severity) in fields.into_iter().filter(|it| it.1) {
            self.drop(format!("/{field}"), severity, format!("the dialect has no `{field}`"));
        }
    }

    pub(super) fn stop(&mut self, body: &mut Map<String, Value>) {
        let asked = &self.request.stop;
        let mut stops: Vec<&str> =
            asked.iter().map(String::as_str).filter(|it| !it.trim().is_empty()).collect();
        if stops.len() < asked.len() {
            self.drop("/stop", Severity::Semantic, "a stop sequence must have more than white space");
        }
        let most = self.abilities.max_stops;
        if stops.len() > most {
            stops.truncate(most);
            self.drop("/stop", Severity::Semantic, format!("the model takes {most} stop sequences at most"));
        }
        if !stops.is_empty() {
            body.insert("stop_sequences".to_owned(), json!(stops));
        }
    }
}

fn is_zero(number: &Number) -> bool {
    number.as_f64().is_some_and(|it| it.abs() < f64::EPSILON)
}
