//! How likely an answer's tokens were: `logprobs` of a choice.

use serde_json::{Value, json};

use crate::dialect::{
    canonical::TokenLogprob,
    openai_logprobs::{self, Bytes},
};

/// Those of a choice's text and of its refusal.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::dialect::openai_chat) struct Logprobs {
    pub(in crate::dialect::openai_chat) content: Vec<TokenLogprob>,
    pub(in crate::dialect::openai_chat) refusal: Vec<TokenLogprob>,
}

impl Logprobs {
    pub(in crate::dialect::openai_chat) fn extend(&mut self, more: Self) {
        self.content.extend(more.content);
        self.refusal.extend(more.refusal);
    }
}

/// Reads what is well formed.
pub(in crate::dialect::openai_chat) fn read(told: &Value) -> Logprobs {
    let list = |key: &str| told.get(key).and_then(openai_logprobs::read).unwrap_or_default();
    Logprobs { content: list("content"), refusal: list("refusal") }
}

/// Writes the field: `null` if nothing is known.
pub(in crate::dialect::openai_chat) fn write(content: &[TokenLogprob], refusal: &[TokenLogprob]) -> Value {
    if content.is_empty() && refusal.is_empty() {
        return Value::Null;
    }
    let list = |tokens: &[TokenLogprob]| match tokens {
        [] => Value::Null,
        tokens => openai_logprobs::write(tokens, Bytes::AsKnown),
    };
    json!({ "content": list(content), "refusal": list(refusal) })
}
