//! The items of an answer as clients read them: every one with its id, type and status, every list there though it be empty.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use crate::{
    dialect::{
        ReplyContext,
        canonical::{Citation, Media, MediaKind, MediaSource, Part, TokenLogprob, ToolCall, WebResult},
        openai_logprobs,
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
    /// What an item of a type is.
    fn of(kind: &str) -> Self {
        match kind {
            "web_search_call" => Self::WebSearch,
            "code_interpreter_call" => Self::Code,
            "image_generation_call" => Self::Image,
            _ => Self::Other,
        }
    }

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

/// The longest id that the API takes.
const MAX_ID: usize = 64;

/// The ids of an answer's items: no two are the same, and each begins as those of its kind do.
#[derive(Debug)]
pub(in crate::dialect::openai_responses) struct Ids {
    request: RequestId,
    given: HashSet<String>,
}

impl Ids {
    pub(in crate::dialect::openai_responses) fn new(request: RequestId) -> Self {
        Self { request, given: HashSet::new() }
    }

    /// The id of the next item: the upstream's own, where it is one; else made from the request's and the item's place.
    pub(in crate::dialect::openai_responses) fn give(&mut self, kind: Kind, own: Option<&str>) -> String {
        let own = own.filter(|it| is_id(kind, it) && !self.given.contains(*it)).map(str::to_owned);
        let id = own.unwrap_or_else(|| {
            let request = self.request.as_uuid().simple();
            let made = |place: usize| format!("{}_{request}{place:04x}", kind.prefix());
            let mut places = (self.given.len()..).map(made);
            places.find(|it| !self.given.contains(it)).expect("only so many were given")
        });
        self.given.insert(id.clone());
        id
    }
}

/// Whether an upstream's id is one that its own API would take back.
fn is_id(kind: Kind, id: &str) -> bool {
    let begins_well =
        || kind == Kind::Other || id.strip_prefix(kind.prefix()).is_some_and(|it| it.starts_with('_'));
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|it| it.is_ascii_graphic()) && begins_well()
}

/// The fields of a part that only this dialect knows.
pub(in crate::dialect::openai_responses) fn own_fields(part: &Part) -> Map<String, Value> {
    part.extra.get().filter(|it| it.dialect == ID).map(|it| it.fields.clone()).unwrap_or_default()
}

/// The note on a part that came as a part of a message, not as an item.
pub(in crate::dialect::openai_responses) const IN_MESSAGE: &str = "@in_message";

/// Whether a part of a type we do not know came as a part of a message.
pub(in crate::dialect::openai_responses) fn is_content(part: &Part) -> bool {
    part.extra.field(ID, IN_MESSAGE).is_some()
}

/// Takes an item's own id out of its fields.
pub(in crate::dialect::openai_responses) fn take_id(fields: &mut Map<String, Value>) -> Option<String> {
    match fields.shift_remove("id") {
        Some(Value::String(id)) => Some(id),
        _ => None,
    }
}

pub(in crate::dialect::openai_responses) fn output_text(
    text: &str,
    annotations: &[Value],
    tokens: &[TokenLogprob],
) -> Value {
    json!({
        "type": "output_text", "annotations": annotations, "logprobs": logprobs(tokens), "text": text,
    })
}

/// How likely the tokens of a text were.
pub(in crate::dialect::openai_responses) fn logprobs(tokens: &[TokenLogprob]) -> Value {
    openai_logprobs::write(tokens, openai_logprobs::Bytes::Always)
}

pub(in crate::dialect::openai_responses) fn refusal(text: &str) -> Value {
    json!({ "type": "refusal", "refusal": text })
}

/// `phase`: whether the message is a comment or the answer, where the upstream says it.
pub(in crate::dialect::openai_responses) fn message(
    id: &str,
    status: Status,
    content: &[Value],
    phase: Option<&Value>,
) -> Value {
    let mut message = json!({
        "type": "message", "id": id, "status": status.name(), "role": "assistant", "content": content,
    });
    if let Some(phase) = phase {
        message["phase"] = phase.clone();
    }
    message
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

/// An item as it came, without its id: that is given by `Ids`.
#[derive(Debug)]
pub(in crate::dialect::openai_responses) struct Raw {
    pub(in crate::dialect::openai_responses) kind: Kind,
    pub(in crate::dialect::openai_responses) id: Option<String>,
    pub(in crate::dialect::openai_responses) fields: Map<String, Value>,
}

/// Reads an item as it came, if it can be told: it has a type. What clients count on for its type, and it lacks, is added;
/// one that is told as done is not in progress.
pub(in crate::dialect::openai_responses) fn raw(raw: &Value) -> Option<Raw> {
    let mut fields = raw.as_object()?.clone();
    let name = fields.get("type")?.as_str().filter(|it| !it.is_empty())?.to_owned();
    let id = take_id(&mut fields);
    for (key, empty) in needed(&name) {
        let fits = fields.get(*key).is_some_and(|it| match empty {
            Empty::Text | Empty::Status => it.is_string(),
            Empty::List => it.is_array(),
            Empty::Action => it.get("type").is_some_and(Value::is_string),
        });
        if !fits {
            fields.insert((*key).to_owned(), empty.value());
        }
    }
    if let Some(status) = fields.get_mut("status")
        && matches!(status.as_str(), None | Some("in_progress"))
    {
        *status = Status::Completed.name().into();
    }
    Some(Raw { kind: Kind::of(&name), id, fields })
}

/// What stands for a field that is missing.
#[derive(Debug, Clone, Copy)]
enum Empty {
    Text,
    List,
    Status,
    /// What a search did.
    Action,
}

impl Empty {
    fn value(self) -> Value {
        match self {
            Self::Text => "".into(),
            Self::List => json!([]),
            Self::Status => Status::Completed.name().into(),
            Self::Action => json!({ "type": "search", "query": "", "queries": [] }),
        }
    }
}

/// The fields that an item of a type has by OpenAI's own schema, but for those that may be `null`.
fn needed(kind: &str) -> &'static [(&'static str, Empty)] {
    match kind {
        "web_search_call" => &[("status", Empty::Status), ("action", Empty::Action)],
        "file_search_call" => &[("status", Empty::Status), ("queries", Empty::List)],
        "code_interpreter_call" => &[("status", Empty::Status), ("container_id", Empty::Text)],
        "image_generation_call" => &[("status", Empty::Status)],
        "mcp_call" => &[("server_label", Empty::Text), ("name", Empty::Text), ("arguments", Empty::Text)],
        "mcp_list_tools" => &[("server_label", Empty::Text), ("tools", Empty::List)],
        _ => &[],
    }
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
    fn an_item_keeps_its_id_if_it_is_one_and_is_given_one_if_not() {
        let mut ids = Ids::new(RequestId::declared("r"));
        assert_eq!(ids.give(Kind::Message, Some("msg_1")), "msg_1");
        assert_eq!(ids.give(Kind::Other, Some("any/thing=")), "any/thing=");
        for odd in ["msg_1", "", "msg1", "rs_1", "msg_\u{e9}", "msg_ 1", &format!("msg_{}", "a".repeat(61))] {
            let given = ids.give(Kind::Message, Some(odd));
            assert!(given != odd && given.starts_with("msg_") && given.len() <= MAX_ID, "{odd}: {given}");
        }
        let mut others = Ids::new(RequestId::declared("r"));
        let second = Ids::new(RequestId::declared("r")).give(Kind::Message, None).replace("0000", "0001");
        assert_eq!(others.give(Kind::Message, Some(&second)), second);
        assert_ne!(others.give(Kind::Message, None), second, "an upstream guessed ours");
    }

    #[test]
    fn an_item_as_it_came_has_what_clients_count_on() {
        let read = |it: Value| Value::Object(raw(&it).unwrap().fields);
        assert_eq!(read(json!({"type": "new", "a": 1})), json!({"type": "new", "a": 1}));
        assert_eq!(read(json!({"type": "new", "status": "in_progress"}))["status"], "completed");
        assert_eq!(read(json!({"type": "new", "status": 1}))["status"], "completed");
        assert_eq!(read(json!({"type": "mcp_call", "status": "failed"}))["status"], "failed");
        let ran = read(json!({"type": "code_interpreter_call", "status": "completed", "code": "1"}));
        assert_eq!(ran["container_id"], "");
        let searched = read(json!({"type": "web_search_call", "action": {"query": "q"}}));
        assert_eq!(
            (&searched["status"], &searched["action"]["type"]),
            (&"completed".into(), &"search".into())
        );
        for odd in [json!(1), json!({}), json!({"type": 1}), json!({"type": ""})] {
            assert!(raw(&odd).is_none(), "{odd}");
        }
    }

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
