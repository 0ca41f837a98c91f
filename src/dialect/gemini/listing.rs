//! Lists of models, and counts.

use bytes::Bytes;

use crate::dialect::{DialectId, ModelEntry};

pub(super) fn models(models: &[ModelEntry]) -> Bytes {
    DialectId::OpenaiChat.server().encode_models(models)
}

pub(super) fn model(model: &ModelEntry) -> Bytes {
    DialectId::OpenaiChat.server().encode_model(model)
}

pub(super) fn count(tokens: u64) -> Bytes {
    DialectId::OpenaiChat.server().encode_count(tokens)
}
