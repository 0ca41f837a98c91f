//! Citations of an answer's text ⇄ `annotations`.

use serde_json::{Value, json};

use super::CHAT;
use crate::dialect::canonical::Citation;

/// Reads an annotation.
pub(super) fn decode(raw: Value) -> Citation {
    let cited = raw.get("url_citation");
    let text = |key: &str| cited?.get(key)?.as_str().map(str::to_owned);
    let place = |key: &str| usize::try_from(cited?.get(key)?.as_u64()?).ok();
    let span = match (place("start_index"), place("end_index")) {
        (Some(start), Some(end)) if start <= end => Some(start..end),
        _ => None,
    };
    Citation { dialect: CHAT, url: text("url"), title: text("title"), quote: None, span, raw }
}

/// Writes a citation as an annotation; `start` and `end` are the characters of the text it is of. Chat's own are passed on.
///
/// Anthropic cites with a whole block; what it cites without a URL (a page of a document) Chat cannot say.
pub(super) fn encode(citation: &Citation, start: usize, end: usize) -> Option<Value> {
    if citation.dialect == CHAT {
        return Some(citation.raw.clone());
    }
    let url = citation.url.as_deref()?;
    let title = citation.title.as_deref().unwrap_or_default();
    let (start, end) = match &citation.span {
        Some(span) => (start + span.start, (start + span.end).min(end)),
        None => (start, end),
    };
    Some(json!({
        "type": "url_citation",
        "url_citation": { "start_index": start, "end_index": end, "title": title, "url": url },
    }))
}
