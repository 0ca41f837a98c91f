//! What is asked.

use serde_json::{Map, Number, Value};

use super::{Extra, Part, PartKind, Tool, ToolChoice};
use crate::catalog::{ModelName, model::Effort};

/// A request for an answer, in nobody's dialect. An absent field was absent: it is never filled with a default here.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatRequest {
    pub model: ModelName,
    pub conversation: Conversation,
    pub tools: Vec<Tool>,
    pub tool_choice: Option<ToolChoice>,
    pub parallel_tool_calls: Option<bool>,
    pub output: OutputFormat,
    pub sampling: Sampling,
    /// The most tokens the answer may have, thinking included.
    pub max_tokens: Option<u64>,
    pub stop: Vec<String>,
    pub reasoning: Reasoning,
    /// The person behind the request, as the client calls them (`user`, `safety_identifier`, `metadata.user_id`).
    pub end_user: Option<String>,
    /// Chat's `metadata`.
    pub metadata: Option<Map<String, Value>>,
    pub service_tier: Option<String>,
    pub prompt_cache_key: Option<String>,
    /// Whether the provider may keep the answer (Chat, Responses).
    pub store: Option<bool>,
    /// The answer this one goes on from (Responses' `previous_response_id`).
    pub previous_response: Option<String>,
    pub stream: StreamRequest,
    /// Whether Chat's legacy `functions` were used, so that the answer is in the legacy form too.
    pub legacy_functions: bool,
    pub extra: Extra,
}

impl ChatRequest {
    /// Where a tool stands.
    pub fn tool_at(&self, index: usize) -> String {
        match self.tools.get(index).and_then(Tool::field) {
            Some(field) => format!("/{field}"),
            None => format!("/tools/{index}"),
        }
    }

    /// Where the tools stand that are not among `allowed`.
    pub fn left_out<'a>(&'a self, allowed: &'a [String]) -> impl Iterator<Item = String> + 'a {
        let tools = self.tools.iter().enumerate().filter(|(_, it)| !allowed.contains(&it.name));
        tools.map(|(index, _)| self.tool_at(index))
    }
}

/// The turns so far. System prompts are turns too, where they stood: a leading one was the dialect's system prompt.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conversation {
    pub turns: Vec<Turn>,
}

/// One turn. Decoders do not merge or reorder: one message, one turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    pub role: Role,
    pub parts: Vec<Part>,
    /// Whether the content was written as one plain string.
    pub plain: bool,
    /// The speaker's name (Chat).
    pub name: Option<String>,
    /// JSON pointer of the message in the client's request, for losses (`/messages/3`, `/system`).
    pub at: String,
    pub extra: Extra,
}

impl Turn {
    /// A system turn as a part of the user's talk, for those who take no system prompt between turns.
    #[must_use]
    pub fn as_reminder(&self) -> Self {
        let mut reminder = self.clone();
        reminder.role = Role::User;
        for part in &mut reminder.parts {
            if let PartKind::Text { text, .. } = &mut part.kind
                && !text.trim().is_empty()
            {
                *text = format!("<system-reminder>\n{text}\n</system-reminder>");
            }
        }
        reminder
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    System,
    /// OpenAI's newer word for `system`.
    Developer,
    User,
    Assistant,
}

/// How the answer must look.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum OutputFormat {
    #[default]
    Text,
    /// Any JSON object.
    JsonObject,
    JsonSchema {
        name: Option<String>,
        description: Option<String>,
        schema: Value,
        strict: Option<bool>,
    },
}

/// How the next token is chosen. Numbers keep their text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sampling {
    pub temperature: Option<Number>,
    pub top_p: Option<Number>,
    pub top_k: Option<u64>,
    pub frequency_penalty: Option<Number>,
    pub presence_penalty: Option<Number>,
    pub seed: Option<Number>,
    pub logit_bias: Option<Value>,
    pub logprobs: Option<bool>,
    pub top_logprobs: Option<u64>,
    /// How many answers (`n`).
    pub choices: Option<u64>,
    pub verbosity: Option<String>,
}

/// How much the model should think, and what is shown of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reasoning {
    pub mode: ReasoningMode,
    pub show: ReasoningShow,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReasoningMode {
    /// The client did not say.
    #[default]
    Default,
    Off,
    Effort(Effort),
    /// At most so many tokens.
    Budget(u64),
    /// As the model sees fit, if given at an effort.
    Adaptive(Option<Effort>),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReasoningShow {
    #[default]
    Default,
    Hidden,
    Summary,
}

/// Whether and how the answer is streamed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StreamRequest {
    pub enabled: bool,
    /// Chat's `stream_options.include_usage`.
    pub include_usage: bool,
}
