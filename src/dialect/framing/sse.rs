//! Server-sent events (WHATWG HTML, "Server-sent events").

use bytes::Bytes;

/// One event: its `event:` name, if it had one, and its `data:` lines joined with `\n`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SseFrame {
    pub event: Option<String>,
    pub data: Bytes,
}
