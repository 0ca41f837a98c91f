//! Errors, both ways.

use bytes::Bytes;
use http::StatusCode;

use crate::{
    dialect::{DialectId, WireError},
    kernel::error::GatewayError,
};

pub(super) fn encode(error: &GatewayError) -> (StatusCode, Bytes) {
    DialectId::OpenaiChat.server().encode_error(error, crate::kernel::id::RequestId::new())
}

pub(super) fn decode(status: StatusCode, body: &[u8]) -> WireError {
    DialectId::OpenaiChat.client().decode_error(status, body)
}
