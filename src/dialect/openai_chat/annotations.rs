//! Citations of an answer's text ⇄ `annotations`.

use serde_json::{Value, json};

/// Writes a citation as an annotation of the characters from `start` to `end`; Chat's own are passed on.
///
/// Anthropic cites with a whole block; what it cites without a URL (a page of a document) Chat cannot say.
pub(super) fn encode(citation: &Value, start: usize, end: usize) -> Option<Value> {
    if citation.get("type").and_then(Value::as_str) == Some("url_citation") {
        return Some(citation.clone());
    }
    let url = citation.get("url").and_then(Value::as_str)?;
    let title = citation.get("title").and_then(Value::as_str).unwrap_or_default();
    Some(json!({
        "type": "url_citation",
        "url_citation": { "start_index": start, "end_index": end, "title": title, "url": url },
    }))
}
