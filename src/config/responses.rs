//! Whether answers of the Responses API are kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::unit::{Period, Size};

/// Answers that clients come back to with `previous_response_id`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Responses {
    /// Whether answers are kept, sealed, unless the request says `store: false`.
    pub store: bool,
    /// How long an answer is kept after it, or one that goes on from it, was given.
    pub expiry: Period,
    /// The largest answer that is kept, with its question.
    pub max_size: Size,
}

impl Default for Responses {
    fn default() -> Self {
        Self { store: false, expiry: Period::seconds(30 * 24 * 60 * 60), max_size: Size::mib(8) }
    }
}
