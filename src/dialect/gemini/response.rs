//! Whole answers, both ways.

use bytes::Bytes;

use crate::dialect::{ChatResponse, DecodeError, Recall, ReplyContext, canonical::FinishReason};

pub(super) fn encode(_response: &ChatResponse, _context: &ReplyContext) -> Bytes {
    Bytes::new()
}

pub(super) fn decode(_body: &[u8], _recall: &Recall) -> Result<ChatResponse, DecodeError> {
    Err(DecodeError::new("", "this dialect cannot be read yet"))
}

pub(super) fn finish_reason(_word: &str) -> FinishReason {
    FinishReason::Other
}
