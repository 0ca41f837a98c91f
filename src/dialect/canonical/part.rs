//! What a turn is made of.

use serde_json::Value;

use super::{super::DialectId, Extra, ToolCall};

/// One piece of a turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    pub kind: PartKind,
    pub cache: Option<CacheMark>,
    pub extra: Extra,
}

impl Part {
    pub fn new(kind: PartKind) -> Self {
        Self { kind, cache: None, extra: Extra::default() }
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
        /// Citations in the words of the dialect they came from.
        citations: Vec<Value>,
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
    ServerTool {
        dialect: DialectId,
        raw: Value,
    },
    /// A part of a type we do not know.
    Opaque {
        dialect: DialectId,
        raw: Value,
    },
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateKind {
    /// Anthropic's `thinking.signature`.
    Signature,
    /// Anthropic's `redacted_thinking.data`.
    Redacted,
}
