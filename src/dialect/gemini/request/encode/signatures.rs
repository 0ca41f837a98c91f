//! Thought signatures that are missing: Gemini 3 answers 400 to a call of the current turn that should have one.

use serde_json::{Value, json};

use super::{
    Writer,
    talk::{Content, Talk},
};
use crate::dialect::{Loss, Severity};

/// What Google takes in place of a signature of a call it did not make (its documentation of thought signatures).
pub(super) const SENTINEL: &str = "skip_thought_signature_validator";

impl Writer<'_> {
    /// Gives the first call of each step of the current turn a sentinel if it has no signature; its siblings have none anyway.
    pub(super) fn sign(&mut self, talk: &mut Talk) {
        if !self.abilities.thought_signatures {
            return;
        }
        let asked = |it: &Content| !it.is_model && it.results.is_empty();
        let current = talk.contents.iter().rposition(asked).unwrap_or(0);
        for content in talk.contents[current..].iter_mut().filter(|it| it.is_model) {
            let called = |it: &&mut Value| it.get("functionCall").is_some();
            let Some(Value::Object(first)) = content.parts.iter_mut().find(called) else { continue };
            if !first.contains_key("thoughtSignature") {
                first.insert("thoughtSignature".to_owned(), json!(SENTINEL));
                let reason = "a call that another model made was told without its thoughts";
                self.losses.push(Loss::synthesized(&content.at, Severity::Cosmetic, reason));
            }
        }
    }
}
