//! What a turn is made of.

use std::ops::Range;

use serde_json::Value;

use super::{super::DialectId, Extra, ToolCall};

/// One piece of a turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    pub kind: PartKind,
    pub cache: Option<CacheMark>,
    /// State that rides on a text or a call (Gemini's `thoughtSignature`); a thought has its own.
    pub state: Option<OpaqueState>,
    pub extra: Extra,
}

impl Part {
    pub fn new(kind: PartKind) -> Self {
        Self { kind, cache: None, state: None, extra: Extra::default() }
    }

    pub fn text(text: impl Into<String>) -> Self {
        Self::new(PartKind::Text { text: text.into(), citations: Vec::new() })
    }

    pub fn as_text(&self) -> Option<&str> {
        match &self.kind {
            PartKind::Text { text, .. } => Some(text),
            _ => None,
        }
    }
}

/// The kinds of pieces.
#[derive(Debug, Clone, PartialEq)]
pub enum PartKind {
    Text {
        text: String,
        citations: Vec<Citation>,
    },
    /// What the model thought. `text` is what may be shown (empty if redacted or hidden), `state` what only its maker can read.
    Reasoning {
        text: String,
        state: Option<OpaqueState>,
    },
    ToolCall(ToolCall),
    /// Always in a user turn, wherever its dialect puts it.
    ToolResult(ToolResult),
    Media(Media),
    Refusal {
        text: String,
    },
    /// A call of a tool that the provider runs itself, or its result: `raw` is the block as it came.
    /// `step` is what happened, where other dialects have words for it.
    ServerTool {
        dialect: DialectId,
        raw: Value,
        step: Option<ServerStep>,
    },
    /// A part of a type we do not know.
    Opaque {
        dialect: DialectId,
        raw: Value,
    },
}

/// A step of a tool that the provider ran, in nobody's dialect.
#[derive(Debug, Clone, PartialEq)]
pub enum ServerStep {
    /// The web was asked.
    WebSearch { id: String, queries: Vec<String> },
    /// What the web answered.
    WebSearchResults { call_id: String, results: Vec<WebResult> },
    /// Code was run.
    Code { id: String, language: Option<String>, code: String },
    /// What the code printed.
    CodeOutput { call_id: String, succeeded: bool, output: String },
}

/// A page that a search found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebResult {
    pub url: String,
    pub title: Option<String>,
}

/// Where a text has it from.
#[derive(Debug, Clone, PartialEq)]
pub struct Citation {
    pub dialect: DialectId,
    /// In the words of `dialect`.
    pub raw: Value,
    pub url: Option<String>,
    pub title: Option<String>,
    /// The words that are cited.
    pub quote: Option<String>,
    /// Which characters (not bytes) of its part's text it is for; absent: all of it.
    pub span: Option<Range<usize>>,
}

impl Citation {
    /// A citation that only its own dialect can read.
    pub fn plain(dialect: DialectId, raw: Value) -> Self {
        Self { dialect, raw, url: None, title: None, quote: None, span: None }
    }
}

/// What came of a tool call.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolResult {
    pub call_id: String,
    pub content: Vec<Part>,
    /// Whether `content` was written as one plain string.
    pub plain: bool,
    pub is_error: Option<bool>,
}

/// An image, a document, a sound, a film.
#[derive(Debug, Clone, PartialEq)]
pub struct Media {
    pub kind: MediaKind,
    pub source: MediaSource,
    /// As declared (`image/png`).
    pub media_type: Option<String>,
    /// A file's name or a document's title.
    pub name: Option<String>,
    /// Chat's `detail`: `auto`, `low`, `high`.
    pub detail: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaKind {
    Image,
    Document,
    Audio,
    Video,
}

impl MediaKind {
    /// The word for it in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Document => "document",
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }
}

/// Where media is.
#[derive(Debug, Clone, PartialEq)]
pub enum MediaSource {
    /// Standard base64 with padding.
    Inline(String),
    Url(String),
    /// An id in the files of the dialect's provider.
    FileId(String),
    /// A document that is plain text.
    Text(String),
    /// A document made of parts.
    Parts(Vec<Part>),
}

impl MediaSource {
    /// Whether it is text that any model can read.
    pub const fn is_text(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Parts(_))
    }
}

/// "The prompt up to here may be cached."
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheMark {
    /// `5m`, `1h`; absent: the provider's default.
    pub ttl: Option<String>,
}

/// State only the provider that made it can read; must come back to it byte by byte, and go to nobody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpaqueState {
    pub dialect: DialectId,
    pub kind: StateKind,
    pub data: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StateKind {
    /// Anthropic's `thinking.signature`.
    Signature,
    /// Anthropic's `redacted_thinking.data`.
    Redacted,
    /// `encrypted_content` of a Responses `reasoning` item.
    Encrypted,
    /// Gemini's `thoughtSignature`.
    ThoughtSignature,
    /// `OpenRouter`'s `reasoning_details`: a JSON array's text.
    Details,
}

impl StateKind {
    /// Whose it is.
    pub const fn dialect(self) -> DialectId {
        match self {
            Self::Signature | Self::Redacted => DialectId::AnthropicMessages,
            Self::Encrypted => DialectId::OpenaiResponses,
            Self::ThoughtSignature => DialectId::Gemini,
            Self::Details => DialectId::OpenaiChat,
        }
    }
}
