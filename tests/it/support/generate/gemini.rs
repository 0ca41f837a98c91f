//! Requests of Gemini.

use proptest::prelude::*;
use serde_json::{Value, json};

pub(super) fn request() -> impl Strategy<Value = Value> {
    Just(json!({}))
}
