//! The one form between dialects: richer than each, so that the only place where something can be lost is an encoder.
//!
//! Decoders are faithful: they keep the order, the form and the unknown fields of what they read (`Extra`, `plain`).
//! Encoders normalise for their target, and note each difference as a `Loss`.

pub mod effort;
pub mod event;
pub mod logprob;
pub mod media;
pub mod names;
pub mod pairing;
pub mod part;
pub mod request;
pub mod response;
pub mod tool;
pub mod usage;

use serde_json::{Map, Value};

pub use event::{BlockKind, ChatEvent, Delta};
pub use logprob::{Likelihood, TokenLogprob};
pub use part::{
    CacheMark, Citation, Media, MediaKind, MediaSource, OpaqueState, Part, PartKind, ServerStep, StateKind,
    ToolResult, WebResult,
};
pub use request::{
    ChatRequest, Conversation, OutputFormat, Reasoning, ReasoningMode, ReasoningShow, Role, Sampling,
    StreamRequest, Turn,
};
pub use response::{ChatResponse, Choice, Finish, FinishReason};
pub use tool::{
    Arguments, Builtin, Location, Namespaced, Tool, ToolCall, ToolChoice, ToolKind, WEB_SEARCH_OPTIONS,
    WebSearch,
};
pub use usage::TokenUsage;

use super::{DialectId, Loss, Severity};

/// Fields that only one dialect knows: sent on to an upstream of that dialect, noted as lost to any other.
///
/// A key that begins with `@` is no field of the client's: it is what a decoder notes for the encoder of its own dialect (the
/// form in which something was said that is told all the same). It is nobody's loss.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extra(Option<Box<ExtraFields>>);

/// The fields of an `Extra`.
#[derive(Debug, Clone, PartialEq)]
pub struct ExtraFields {
    pub dialect: DialectId,
    /// JSON pointer of the object they stood in.
    pub at: String,
    pub fields: Map<String, Value>,
}

impl Extra {
    pub fn new(dialect: DialectId, at: impl Into<String>, fields: Map<String, Value>) -> Self {
        if fields.is_empty() {
            Self(None)
        } else {
            Self(Some(Box::new(ExtraFields { dialect, at: at.into(), fields })))
        }
    }

    /// What the key of a decoder's own note begins with.
    pub const NOTE: char = '@';

    pub fn get(&self) -> Option<&ExtraFields> {
        self.0.as_deref()
    }

    /// A field, if it is of `dialect`.
    pub fn field(&self, dialect: DialectId, key: &str) -> Option<&Value> {
        self.get().filter(|it| it.dialect == dialect)?.fields.get(key)
    }

    /// Puts the fields into `object` if they are of `dialect`; otherwise notes each of them as lost.
    /// Never overwrites a field that is there.
    pub fn write(&self, dialect: DialectId, object: &mut Map<String, Value>, losses: &mut Vec<Loss>) {
        let Some(extra) = self.get() else { return };
        if extra.dialect == dialect {
            for (key, value) in &extra.fields {
                if !object.contains_key(key) {
                    object.insert(key.clone(), value.clone());
                }
            }
        } else {
            self.lose(losses);
        }
    }

    /// Notes each field as lost.
    pub fn lose(&self, losses: &mut Vec<Loss>) {
        let Some(extra) = self.get() else { return };
        for key in extra.fields.keys().filter(|it| !it.starts_with(Self::NOTE)) {
            let at = format!("{}/{}", extra.at, key.replace('~', "~0").replace('/', "~1"));
            losses.push(Loss::dropped(
                at,
                Severity::Cosmetic,
                format!("`{key}` is a field of {} alone", extra.dialect.name()),
            ));
        }
    }
}
