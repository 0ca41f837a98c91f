//! What the model thought, among the items.

use serde_json::Value;

use super::{super::super::ID, items::Item};
use crate::dialect::{
    DecodeError,
    canonical::{OpaqueState, Part, PartKind, Role, StateKind},
    fields::Fields,
};

/// Between the parts of a summary that became one text.
pub(in super::super) const JOINT: &str = "\n\n";

/// Reads a `reasoning` item. A summary of one part is its text; one of several, and `content`, are kept beside it.
pub(super) fn read(value: Value, at: &str) -> Result<Item, DecodeError> {
    let mut fields = Fields::of(value, at)?;
    fields.any("type");
    let summary = fields.array("summary")?.unwrap_or_default();
    let encrypted = fields.string("encrypted_content")?;
    let content = fields.peek("content").and_then(Value::as_array).map(|it| texts(it)).unwrap_or_default();
    let mut text = texts(&summary);
    if text.is_empty() {
        text = content;
    }
    let mut extra = fields.rest(ID).get().map(|it| it.fields.clone()).unwrap_or_default();
    if !is_simple(&summary) {
        extra.insert("summary".to_owned(), Value::Array(summary));
    }
    let state = encrypted.map(|data| OpaqueState { dialect: ID, kind: StateKind::Encrypted, data });
    let mut part = Part::new(PartKind::Reasoning { text, state });
    part.extra = crate::dialect::canonical::Extra::new(ID, at, extra);
    Ok(Item::one(Role::Assistant, part))
}

/// All texts of a list of parts.
pub(in super::super) fn texts(parts: &[Value]) -> String {
    let texts = parts.iter().filter_map(|it| it.get("text").and_then(Value::as_str));
    texts.collect::<Vec<_>>().join(JOINT)
}

/// Whether the text alone says all that the summary does.
fn is_simple(summary: &[Value]) -> bool {
    match summary {
        [] => true,
        [only] => {
            let text = only.get("text").and_then(Value::as_str).unwrap_or_default();
            let plain = only.as_object().is_some_and(|it| it.len() == 2 && it.get("type").is_some());
            plain && !text.is_empty() && only["type"] == "summary_text"
        }
        _ => false,
    }
}
