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
    /// Documents anywhere in the conversation.
    pub documents: usize,
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
    /// Responses: reasoning may be told in words.
    pub summary: bool,
    /// Responses: reasoning comes with its opaque state.
    pub encrypted: bool,
    /// Responses: deltas are padded.
    pub obfuscated: bool,
    /// Responses: what the answer repeats of the request.
    pub echo: Value,
    /// Gemini: a stream is a JSON array, not events.
    pub array: bool,
    /// Gemini: the request came on a path of Vertex.
    pub vertex: bool,
}

impl Ask {
    /// The declared tool of this name; `space__name` also means the one of a namespace.
    pub(super) fn tool(&self, name: &str) -> Option<&Tool> {
        let spaced = |it: &&Tool| it.name.contains('.') && it.name.replacen('.', "__", 1) == name;
        self.tools.iter().find(|it| it.name == name).or_else(|| self.tools.iter().find(spaced))
    }
}

impl Default for Ask {
    fn default() -> Self {
        Self {
            dialect: Dialect::OpenaiChat,
            model: String::new(),
            stream: false,
            user_text: String::new(),
            images: 0,
            documents: 0,
            results: Vec::new(),
            rounds: 0,
            tools: Vec::new(),
            choice: Choice::Auto,
            single_call: false,
            schema: None,
            any_json: false,
            thinking: false,
            stops: Vec::new(),
            max_tokens: None,
            include_usage: true,
            choices: 1,
            cache_marks: false,
            prompt_tokens: 0,
            summary: true,
            encrypted: false,
            obfuscated: false,
            echo: Value::Null,
            array: false,
            vertex: false,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Tool {
    pub name: String,
    pub schema: Value,
    /// Takes free-form text, not JSON.
    pub custom: bool,
}

/// What the path says of a request, where the body does not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told<'a> {
    pub task: Task,
    /// The model (Gemini).
    pub model: &'a str,
    /// A stream is wanted (Gemini).
    pub stream: bool,
    /// The stream is a JSON array (Gemini).
    pub array: bool,
    /// The path is one of Vertex.
    pub vertex: bool,
}

/// What a vendor is asked to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Task {
    #[default]
    Answer,
    /// Only to count tokens.
    Count,
    /// To shorten a conversation (Responses).
    Compact,
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
