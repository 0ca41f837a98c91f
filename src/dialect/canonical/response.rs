//! A whole answer.

use super::{Extra, Part, TokenUsage};

/// What was answered. `collect` makes one from a stream's events; both have the same meaning.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChatResponse {
    /// The upstream's own id.
    pub id: Option<String>,
    /// The upstream's own name for the model.
    pub model: Option<String>,
    /// Unix seconds.
    pub created: Option<i64>,
    /// One for each answer asked for, by index.
    pub choices: Vec<Choice>,
    pub usage: Option<TokenUsage>,
    pub extra: Extra,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    pub index: u32,
    pub parts: Vec<Part>,
    pub finish: Finish,
    pub extra: Extra,
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finish {
    pub reason: FinishReason,
    /// The stop sequence that was met, where the upstream says which.
    pub stop_sequence: Option<String>,
    /// The upstream's own word.
    pub raw: Option<String>,
}

impl Finish {
    pub fn new(reason: FinishReason) -> Self {
        Self { reason, stop_sequence: None, raw: None }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FinishReason {
    Stop,
    StopSequence,
    Length,
    /// The context window is full.
    ContextFull,
    ToolCalls,
    /// The provider paused a long turn; the client may send it back to go on.
    Pause,
    Refusal,
    ContentFilter,
    /// The model called a tool in a way nobody can read (Gemini's `MALFORMED_FUNCTION_CALL`).
    Malformed,
    Other,
}

impl FinishReason {
    /// The name used in the ledger.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::StopSequence => "stop_sequence",
            Self::Length => "length",
            Self::ContextFull => "context_full",
            Self::ToolCalls => "tool_calls",
            Self::Pause => "pause",
            Self::Refusal => "refusal",
            Self::ContentFilter => "content_filter",
            Self::Malformed => "malformed",
            Self::Other => "other",
        }
    }
}
