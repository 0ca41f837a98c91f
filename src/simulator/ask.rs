//! What a request asks for, in words that fit both dialects: what rules and the echo look at.

use serde_json::Value;

use crate::simulator::scenario::Dialect;

/// One request, read leniently: strictness is judged elsewhere.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the wire")]
pub(super) struct Ask {
    pub dialect: Dialect,
    pub model: String,
    pub stream: bool,
    /// The text of the last user turn.
    pub user_text: String,
    /// Images anywhere in the conversation.
    pub images: usize,
    /// Texts of the tool results the conversation ends in.
    pub results: Vec<String>,
    /// How many rounds of tool calls the assistant has had.
    pub rounds: usize,
    pub tools: Vec<Tool>,
    pub choice: Choice,
    /// One tool call at most.
    pub single_call: bool,
    /// The JSON schema the answer must follow.
    pub schema: Option<Value>,
    /// Any JSON object will do.
    pub any_json: bool,
    pub thinking: bool,
    pub stops: Vec<String>,
    pub max_tokens: Option<u64>,
    /// Chat: usage at the end of a stream.
    pub include_usage: bool,
    /// Chat: how many choices.
    pub choices: u64,
    /// Cache marks (Messages).
    pub cache_marks: bool,
    /// Our estimate of the prompt.
    pub prompt_tokens: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Tool {
    pub name: String,
    pub schema: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Auto,
    Never,
    Any,
    Named(String),
}

/// Estimates tokens: four bytes each, rounded up.
pub(super) fn tokens(bytes: usize) -> u64 {
    bytes.div_ceil(4) as u64
}

/// The texts of a content that is a string or a list of parts, joined by line breaks.
pub(super) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|it| it["text"].as_str()).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}
