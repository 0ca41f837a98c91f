//! What is watched of a stream or an answer of Gemini.

use serde_json::{Map, Value};

use super::Tap;
use crate::dialect::{SseFrame, WireError, scan::Scan};

impl Tap {
    pub(super) fn watch_gemini(&mut self, _frame: &SseFrame) {}
}

/// Why a whole answer ended, in the upstream's own word.
pub(super) fn finish(_scan: &Scan, _body: &[u8]) -> Option<String> {
    None
}

/// The error that a body of status 200 holds.
pub(super) fn error(_fields: &Map<String, Value>) -> Option<WireError> {
    None
}
