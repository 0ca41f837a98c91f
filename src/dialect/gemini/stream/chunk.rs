//! A chunk of a stream, read as far as it must be: most are one part of text.

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// What is read of every chunk; what is seldom needed stays text.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::dialect) struct Chunk<'f> {
    #[serde(borrow, default)]
    pub candidates: Option<Vec<Candidate<'f>>>,
    #[serde(borrow, default)]
    pub usage_metadata: Option<&'f RawValue>,
    #[serde(borrow, default)]
    pub response_id: Option<&'f RawValue>,
    #[serde(borrow, default)]
    pub model_version: Option<&'f RawValue>,
    #[serde(borrow, default)]
    pub create_time: Option<&'f RawValue>,
    #[serde(borrow, default)]
    pub prompt_feedback: Option<&'f RawValue>,
    #[serde(borrow, default)]
    pub error: Option<&'f RawValue>,
    /// Cloud Code puts the chunk in here.
    #[serde(borrow, default)]
    pub response: Option<&'f RawValue>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::dialect) struct Candidate<'f> {
    #[serde(borrow, default)]
    pub index: Option<&'f RawValue>,
    #[serde(borrow, default)]
    pub content: Option<Content<'f>>,
    #[serde(borrow, default)]
    pub finish_reason: Option<&'f RawValue>,
    #[serde(borrow, default)]
    pub grounding_metadata: Option<&'f RawValue>,
    #[serde(borrow, default)]
    pub logprobs_result: Option<&'f RawValue>,
}

#[derive(Debug, Deserialize)]
pub(in crate::dialect) struct Content<'f> {
    #[serde(borrow, default)]
    pub parts: Option<Vec<&'f RawValue>>,
}

/// A part that is text and nothing else.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TextPart {
    pub text: String,
    #[serde(default)]
    pub thought: bool,
    #[serde(default)]
    pub thought_signature: Option<String>,
}

impl<'f> Chunk<'f> {
    /// Reads a chunk, alone, in a list of one, or in what Cloud Code wraps it in.
    pub(in crate::dialect) fn read(data: &'f [u8]) -> Option<Self> {
        let data = data.trim_ascii();
        let chunk: Self = if data.starts_with(b"[") {
            let [chunk] = <[Self; 1]>::try_from(serde_json::from_slice::<Vec<Self>>(data).ok()?).ok()?;
            chunk
        } else {
            serde_json::from_slice(data).ok()?
        };
        match chunk.response {
            Some(inner) if inner.get().starts_with('{') => serde_json::from_str(inner.get()).ok(),
            _ => Some(chunk),
        }
    }

    /// What the error field says, if it says anything.
    pub(in crate::dialect) fn error(&self) -> Option<Value> {
        value(self.error).filter(|it| !it.is_null())
    }

    pub(in crate::dialect) fn usage(&self) -> Option<Value> {
        value(self.usage_metadata).filter(Value::is_object)
    }

    /// Why the prompt was blocked.
    pub(in crate::dialect) fn block_reason(&self) -> Option<String> {
        crate::dialect::gemini::response::block_reason(value(self.prompt_feedback).as_ref())
    }
}

impl Candidate<'_> {
    /// Its index; a candidate that has none is the first.
    pub(in crate::dialect) fn index(&self) -> u32 {
        self.index.and_then(|it| it.get().parse().ok()).unwrap_or(0)
    }

    /// Why it ended, if it says so.
    pub(in crate::dialect) fn finish(&self) -> Option<String> {
        text(self.finish_reason).filter(|it| crate::dialect::gemini::response::finish::is_said(it))
    }

    pub(in crate::dialect) fn parts(&self) -> &[&RawValue] {
        self.content.as_ref().and_then(|it| it.parts.as_deref()).unwrap_or_default()
    }
}

pub(in crate::dialect) fn value(raw: Option<&RawValue>) -> Option<Value> {
    serde_json::from_str(raw?.get()).ok()
}

/// A text that is not empty.
pub(in crate::dialect) fn text(raw: Option<&RawValue>) -> Option<String> {
    match value(raw) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    }
}
