//! Requests, both ways.

use crate::{
    catalog::{Abilities, UpstreamModel},
    dialect::{ChatRequest, DecodeError, EncodeError, Encoded},
};

pub(super) fn decode(_body: &[u8]) -> Result<ChatRequest, DecodeError> {
    Err(DecodeError::new("", "this dialect cannot be read yet"))
}

pub(super) fn encode(
    _request: &ChatRequest,
    _model: &UpstreamModel,
    _abilities: &Abilities,
) -> Result<Encoded, EncodeError> {
    Err(EncodeError { at: String::new(), message: "this dialect cannot be written yet".to_owned() })
}
