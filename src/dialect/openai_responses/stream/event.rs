//! One event of a stream, with only the fields we read; what a delta does not have stays unparsed.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::dialect::{canonical::TokenLogprob, openai_logprobs};

#[derive(Debug, Deserialize)]
pub(super) struct Event<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<Cow<'a, str>>,
    #[serde(default)]
    pub output_index: Option<u64>,
    #[serde(default)]
    pub content_index: Option<u64>,
    #[serde(default)]
    pub summary_index: Option<u64>,
    #[serde(borrow, default)]
    pub item_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub logprobs: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub refusal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub arguments: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub part: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub item: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub annotation: Option<&'a RawValue>,
    #[serde(default)]
    pub annotation_index: Option<usize>,
    #[serde(borrow, default)]
    pub response: Option<&'a RawValue>,
}

/// The text of a field, if it is one; an object as its JSON (clones send arguments so).
pub(super) fn text(raw: Option<&RawValue>) -> Option<String> {
    match raw?.get() {
        json if json.starts_with('"') => serde_json::from_str(json).ok(),
        json if json.starts_with('{') => Some(json.to_owned()),
        _ => None,
    }
}

/// How likely the tokens were, as far as it is said well.
pub(super) fn logprobs(raw: Option<&RawValue>) -> Vec<TokenLogprob> {
    match raw {
        Some(raw) if raw.get().len() > "[]".len() => {
            value(Some(raw)).as_ref().and_then(openai_logprobs::read).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// A field as a value; `null` counts as absent.
pub(super) fn value(raw: Option<&RawValue>) -> Option<Value> {
    serde_json::from_str::<Value>(raw?.get()).ok().filter(|it| !it.is_null())
}
