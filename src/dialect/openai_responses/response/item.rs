//! The items of an answer as clients read them: every one with its id, type and status, every list there though it be empty.

use serde_json::{Map, Value, json};

use crate::{
    dialect::{
        ReplyContext,
        canonical::{Citation, Media, MediaKind, MediaSource, ToolCall, WebResult},
        openai_responses::ID,
    },
    kernel::id::RequestId,
};

/// What an item is; the API checks that an id that comes back begins with its kind's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dialect::openai_responses) enum Kind {
    Message,
    Function,
    Custom,
    Reasoning,
    WebSearch,
    Code,
    Image,
    /// Known by its own type alone.
    Other,
}

impl Kind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Message => "msg",
            Self::Function => "fc",
            Self::Custom => "ctc",
            Self::Reasoning => "rs",
            Self::WebSearch => "ws",
            Self::Code => "ci",
            Self::Image => "ig",
            Self::Other => "item",
        }
    }
}

/// How far an item has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dialect::openai_responses) enum Status {
    InProgress,
    Completed,
    Incomplete,
}

impl Status {
    pub(in crate::dialect::openai_responses) const fn name(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
        }
    }
}

/// The id of an item, by its place in the answer.
pub(in crate::dialect::openai_responses) fn id(kind: Kind, request: RequestId, place: usize) -> String {
    format!("{}_{}{place:04x}", kind.prefix(), request.as_uuid().simple())
}

pub(in crate::dialect::openai_responses) fn output_text(text: &str, annotations: &[Value]) -> Value {
    json!({ "type": "output_text", "annotations": annotations, "logprobs": [], "text": text })
}

pub(in crate::dialect::openai_responses) fn refusal(text: &str) -> Value {
    json!({ "type": "refusal", "refusal": text })
}

pub(in crate::dialect::openai_responses) fn message(id: &str, status: Status, content: &[Value]) -> Value {
    json!({
        "type": "message", "id": id, "status": status.name(), "role": "assistant", "content": content,
    })
}

/// What may be shown is a summary; `encrypted` is what the client sends back.
pub(in crate::dialect::openai_responses) fn reasoning(
    id: &str,
    status: Status,
    text: &str,
    encrypted: Option<&str>,
) -> Value {
    let summary = if text.is_empty() { json!([]) } else { json!([summary_text(text)]) };
    json!({
        "type": "reasoning", "id": id, "status": status.name(), "summary": summary, "encrypted_content": encrypted,
    })
}

pub(in crate::dialect::openai_responses) fn summary_text(text: &str) -> Value {
    json!({ "type": "summary_text", "text": text })
}

/// A call of a client's tool. A tool that the client keeps in a namespace is called by its name there.
pub(in crate::dialect::openai_responses) fn call(
    id: &str,
    status: Status,
    call: &ToolCall,
    context: &ReplyContext,
) -> Value {
    let (kind, field) =
        if call.custom { ("custom_tool_call", "input") } else { ("function_call", "arguments") };
    let place = context.namespaced.get(&call.name);
    let mut item = Map::new();
    item.insert("type".to_owned(), kind.into());
    item.insert("id".to_owned(), id.into());
    item.insert("call_id".to_owned(), call.id.as_str().into());
    item.insert("name".to_owned(), place.map_or(call.name.as_str(), |it| it.name.as_str()).into());
    if let Some(place) = place {
        item.insert("namespace".to_owned(), place.namespace.as_str().into());
    }
    item.insert(field.to_owned(), call.arguments.0.as_str().into());
    item.insert("status".to_owned(), status.name().into());
    Value::Object(item)
}

/// A search of the web; what it found is its sources.
pub(in crate::dialect::openai_responses) fn web_search(
    id: &str,
    status: Status,
    queries: &[String],
    found: Option<&[WebResult]>,
) -> Value {
    let mut action = json!({
        "type": "search", "query": queries.first().map_or("", String::as_str), "queries": queries,
    });
    if let Some(found) = found {
        action["sources"] = found.iter().map(|it| json!({ "type": "url", "url": it.url })).collect();
    }
    json!({ "type": "web_search_call", "id": id, "status": status.name(), "action": action })
}

/// Code that the provider ran; whose container it was, others do not say.
pub(in crate::dialect::openai_responses) fn code(
    id: &str,
    status: Status,
    code: &str,
    output: Option<&str>,
) -> Value {
    let outputs = output.map(|it| json!([{ "type": "logs", "logs": it }]));
    json!({
        "type": "code_interpreter_call", "id": id, "status": status.name(), "code": code,
        "container_id": "", "outputs": outputs,
    })
}

/// An image that was made. Other media has no item.
pub(in crate::dialect::openai_responses) fn image(id: &str, media: &Media) -> Option<Value> {
    let (MediaKind::Image, MediaSource::Inline(data)) = (media.kind, &media.source) else { return None };
    let format = media.media_type.as_deref().and_then(|it| it.strip_prefix("image/")).unwrap_or("png");
    Some(json!({
        "type": "image_generation_call", "id": id, "status": "completed", "result": data,
        "output_format": format,
    }))
}

/// An item as it came, if it can be told: it has a type. It is given an id if it has none.
pub(in crate::dialect::openai_responses) fn raw(
    id: impl FnOnce() -> String,
    raw: &Value,
) -> Option<Map<String, Value>> {
    let mut item = raw.as_object()?.clone();
    item.get("type")?.as_str()?;
    if !item.get("id").is_some_and(Value::is_string) {
        item.insert("id".to_owned(), id().into());
    }
    Some(item)
}

/// A citation as an annotation of a part whose text has `length` characters. Responses' own are passed on.
///
/// Anthropic cites with a whole block; what it cites without a URL (a page of a document) Responses cannot say.
pub(in crate::dialect::openai_responses) fn annotation(citation: &Citation, length: usize) -> Option<Value> {
    // Clients tell annotations apart by their type: one that lost it is told by its address.
    if citation.dialect == ID && citation.raw.get("type").is_some_and(Value::is_string) {
        return Some(citation.raw.clone());
    }
    let url = citation.url.as_deref()?;
    let (start, end) = match &citation.span {
        Some(span) => (span.start.min(length), span.end.min(length)),
        None => (0, length),
    };
    Some(json!({
        "type": "url_citation", "start_index": start, "end_index": end,
        "title": citation.title.as_deref().unwrap_or_default(), "url": url,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_without_its_type_is_told_by_its_address_or_not_at_all() {
        let cited = Citation::plain(ID, json!({"url": "u"}));
        assert_eq!(annotation(&cited, 3), None);
        let named = Citation { url: Some("u".to_owned()), ..cited };
        assert_eq!(annotation(&named, 3).unwrap()["type"], "url_citation");
        let whole = Citation::plain(ID, json!({"type": "file_citation", "file_id": "f"}));
        assert_eq!(annotation(&whole, 3), Some(whole.raw.clone()));
    }
}
