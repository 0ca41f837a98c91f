//! Items of an answer, as they come from upstreams, into parts.

use serde_json::{Map, Value};

use crate::dialect::{
    Recall,
    callee::{Callee, callee, custom_input},
    canonical::{
        Arguments, Citation, Extra, Media, MediaKind, MediaSource, Namespaced, OpaqueState, Part, PartKind,
        ServerStep, StateKind, ToolCall, WebResult, names::minted_id,
    },
    openai_logprobs,
    openai_responses::ID,
};

use super::{finish::Held, item};

/// Reads the items of one answer.
#[derive(Debug)]
pub(in crate::dialect::openai_responses) struct Reader {
    recall: Recall,
    /// Makes the same ids in every reading of the same answer.
    pub(in crate::dialect::openai_responses) seed: String,
    /// The ids of calls that were given out.
    ids: Vec<String>,
    pub(in crate::dialect::openai_responses) held: Held,
}

impl Reader {
    pub(in crate::dialect::openai_responses) fn new(recall: &Recall) -> Self {
        Self { recall: recall.clone(), seed: String::new(), ids: Vec::new(), held: Held::default() }
    }

    /// Reads an item. One that is not as it should be is kept as it came.
    pub(in crate::dialect::openai_responses) fn item(&mut self, item: Value) -> Vec<Part> {
        let kind = item.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let Value::Object(fields) = item else {
            return vec![Part::new(PartKind::Opaque { dialect: ID, raw: item })];
        };
        match kind.as_str() {
            "message" => self.message(fields),
            "reasoning" => reasoning(fields).into_iter().collect(),
            "function_call" => self.call(fields, false).into_iter().collect(),
            "custom_tool_call" => self.call(fields, true).into_iter().collect(),
            "web_search_call" => web_search(fields),
            "code_interpreter_call" => code(fields),
            "image_generation_call" => vec![image(fields)],
            _ if is_hosted(&kind) => {
                vec![Part::new(PartKind::ServerTool { dialect: ID, raw: Value::Object(fields), step: None })]
            }
            _ => vec![Part::new(PartKind::Opaque { dialect: ID, raw: Value::Object(fields) })],
        }
    }

    /// Text that is empty says nothing; a refusal that is empty is one.
    fn message(&mut self, mut fields: Map<String, Value>) -> Vec<Part> {
        let content = match fields.shift_remove("content") {
            Some(Value::Array(content)) => content,
            Some(text @ Value::String(_)) => vec![serde_json::json!({ "type": "output_text", "text": text })],
            _ => Vec::new(),
        };
        let mut rest = rest(fields, &["type", "role", "status"]);
        let mut parts = Vec::new();
        for part in content {
            let Value::Object(mut part) = part else { continue };
            let mut logprobs = None;
            let kind = match part.get("type").and_then(Value::as_str) {
                Some("output_text" | "text") => {
                    let text = text(&mut part, "text");
                    let citations = array(&mut part, "annotations").into_iter().map(citation).collect();
                    logprobs = part.shift_remove("logprobs").and_then(|it| openai_logprobs::read(&it));
                    if text.is_empty() {
                        continue;
                    }
                    PartKind::Text { text, citations }
                }
                Some("refusal") => {
                    self.held.refusal = true;
                    match text(&mut part, "refusal") {
                        text if text.is_empty() => continue,
                        text => PartKind::Refusal { text },
                    }
                }
                // What is of thoughts cannot be said in a message.
                None | Some("" | "summary_text" | "reasoning_text") => continue,
                Some(_) => {
                    parts.push(unknown_content(part, std::mem::take(&mut rest)));
                    continue;
                }
            };
            // What is of the whole message rides on its first part.
            let mut extra = std::mem::take(&mut rest);
            extra.extend(self::rest(part, &["type", "text", "refusal"]));
            extra.retain(|_, it| !it.as_array().is_some_and(Vec::is_empty));
            let logprobs = logprobs.unwrap_or_default();
            parts.push(Part { logprobs, extra: Extra::new(ID, "", extra), ..Part::new(kind) });
        }
        parts
    }

    /// A call without a name cannot be made, and is none.
    fn call(&mut self, mut fields: Map<String, Value>, custom: bool) -> Option<Part> {
        let name = text(&mut fields, "name");
        let namespace = text(&mut fields, "namespace");
        let id = text(&mut fields, "call_id");
        let arguments = match fields.shift_remove(if custom { "input" } else { "arguments" }) {
            Some(Value::String(text)) => text,
            Some(value @ Value::Object(_)) => value.to_string(),
            _ => String::new(),
        };
        let (name, form) = self.callee(&name, &namespace, custom)?;
        let extra = Extra::new(ID, "", rest(fields, &["type", "status"]));
        let kind = match form {
            Form::Answer => return Some(Part { extra, ..Part::text(arguments) }),
            form => PartKind::ToolCall(ToolCall {
                id: self.call_id(id),
                name,
                custom: form != Form::Function,
                arguments: Arguments(form.whole(arguments)),
            }),
        };
        Some(Part { extra, ..Part::new(kind) })
    }

    /// Whom a call means; nobody if it has no name.
    pub(in crate::dialect::openai_responses) fn callee(
        &mut self,
        name: &str,
        namespace: &str,
        custom: bool,
    ) -> Option<(String, Form)> {
        if name.is_empty() {
            return None;
        }
        let told = match Namespaced::key(namespace, name) {
            _ if namespace.is_empty() => callee(&self.recall, name),
            key if self.recall.names.contains_key(&key) => callee(&self.recall, &key),
            _ => callee(&self.recall, &Namespaced::flat_name(namespace, name)),
        };
        self.held.calls |= told != Callee::Answer;
        Some(match told {
            Callee::Answer => (String::new(), Form::Answer),
            Callee::Custom(name) if !custom => (name, Form::Wrapped),
            Callee::Custom(name) | Callee::Function(name) => {
                (name, if custom { Form::Custom } else { Form::Function })
            }
        })
    }

    /// The id of a call: its own, if it has one that no other call has.
    pub(in crate::dialect::openai_responses) fn call_id(&mut self, told: String) -> String {
        let id = if told.is_empty() || self.ids.contains(&told) {
            minted_id(&format!("{}/{}", self.seed, self.ids.len()))
        } else {
            told
        };
        self.ids.push(id.clone());
        id
    }
}

/// What a call is told as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dialect::openai_responses) enum Form {
    Function,
    /// Its input is free text.
    Custom,
    /// Its arguments wrap a free text.
    Wrapped,
    /// Its arguments are the answer's text.
    Answer,
}

impl Form {
    /// The arguments of a call, all of them.
    pub(in crate::dialect::openai_responses) fn whole(self, arguments: String) -> String {
        match self {
            Self::Function if arguments.trim().is_empty() => "{}".to_owned(),
            Self::Wrapped => custom_input(arguments),
            Self::Function | Self::Custom | Self::Answer => arguments,
        }
    }
}

/// A part of a message, of a type we do not know: kept as it came. `own`: what is of the whole message.
pub(in crate::dialect::openai_responses) fn unknown_content(
    part: Map<String, Value>,
    mut own: Map<String, Value>,
) -> Part {
    own.insert(item::IN_MESSAGE.to_owned(), true.into());
    let kind = PartKind::Opaque { dialect: ID, raw: Value::Object(part) };
    Part { extra: Extra::new(ID, "", own), ..Part::new(kind) }
}

/// Whether the provider runs the tool itself. (What the client must run, and nobody else's client knows, is not.)
fn is_hosted(kind: &str) -> bool {
    matches!(
        kind,
        "file_search_call"
            | "mcp_call"
            | "mcp_list_tools"
            | "tool_search_call"
            | "tool_search_output"
            | "program"
            | "program_output"
    )
}

/// Thoughts of which nothing is shown and nothing comes back say nothing.
fn reasoning(mut fields: Map<String, Value>) -> Option<Part> {
    let summary = texts(&array(&mut fields, "summary"));
    let content = texts(&array(&mut fields, "content"));
    let parts = if summary.is_empty() { content } else { summary };
    let state = match text(&mut fields, "encrypted_content") {
        data if data.is_empty() => None,
        data => Some(OpaqueState { dialect: ID, kind: StateKind::Encrypted, data }),
    };
    if parts.is_empty() && state.is_none() {
        return None;
    }
    let kind = PartKind::Reasoning { text: parts.join(PARAGRAPH), state };
    Some(Part { extra: Extra::new(ID, "", rest(fields, &["type", "status"])), ..Part::new(kind) })
}

/// What stands between the parts of one item's thoughts.
pub(in crate::dialect::openai_responses) const PARAGRAPH: &str = "\n\n";

/// The texts of a list of parts of thoughts.
pub(in crate::dialect::openai_responses) fn texts(parts: &[Value]) -> Vec<String> {
    let texts = parts.iter().filter_map(|it| it.get("text")?.as_str());
    texts.filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

/// A search and what it found are one item; the second part has no raw form, for the first has all of it.
fn web_search(fields: Map<String, Value>) -> Vec<Part> {
    let id = fields.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let raw = Value::Object(fields);
    let list = |at: &str| raw.pointer(at).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut queries: Vec<String> =
        list("/action/queries").iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if queries.is_empty() {
        queries.extend(raw.pointer("/action/query").and_then(Value::as_str).map(str::to_owned));
    }
    let opened = raw.pointer("/action/url").and_then(Value::as_str).map(str::to_owned);
    let sources = list("/action/sources");
    let urls = sources.iter().filter_map(|it| it.get("url")?.as_str()).map(str::to_owned).chain(opened);
    let results = urls.map(|url| WebResult { url, title: None }).collect();
    halves(
        raw,
        ServerStep::WebSearch { id: id.clone(), queries },
        ServerStep::WebSearchResults { call_id: id, results },
    )
}

fn code(fields: Map<String, Value>) -> Vec<Part> {
    let get = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (id, code) = (get("id"), get("code"));
    let succeeded = !matches!(get("status").as_str(), "failed" | "incomplete");
    let outputs = fields.get("outputs").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let output = outputs.iter().filter_map(|it| it.get("logs")?.as_str()).collect();
    halves(
        Value::Object(fields),
        ServerStep::Code { id: id.clone(), language: Some("python".to_owned()), code },
        ServerStep::CodeOutput { call_id: id, succeeded, output },
    )
}

fn halves(raw: Value, call: ServerStep, result: ServerStep) -> Vec<Part> {
    [(raw, call), (Value::Null, result)]
        .map(|(raw, step)| Part::new(PartKind::ServerTool { dialect: ID, raw, step: Some(step) }))
        .into()
}

/// An image that was made; one that was not yet, or could not be, is kept as it came.
fn image(mut fields: Map<String, Value>) -> Part {
    if fields.get("result").and_then(Value::as_str).is_none_or(str::is_empty) {
        let raw = Value::Object(fields);
        return Part::new(PartKind::ServerTool { dialect: ID, raw, step: None });
    }
    let format = fields.get("output_format").and_then(Value::as_str).unwrap_or("png");
    let media = Media {
        kind: MediaKind::Image,
        media_type: Some(format!("image/{format}")),
        source: MediaSource::Inline(text(&mut fields, "result")),
        name: None,
        detail: None,
    };
    let extra = Extra::new(ID, "", rest(fields, &["type", "status"]));
    Part { extra, ..Part::new(PartKind::Media(media)) }
}

/// Reads an annotation.
pub(in crate::dialect::openai_responses) fn citation(raw: Value) -> Citation {
    let text = |key: &str| raw.get(key).and_then(Value::as_str).map(str::to_owned);
    let place = |key: &str| usize::try_from(raw.get(key)?.as_u64()?).ok();
    let span = match (place("start_index"), place("end_index")) {
        (Some(start), Some(end)) if start <= end => Some(start..end),
        _ => None,
    };
    let (url, title) = (text("url"), text("title").or_else(|| text("filename")));
    Citation { dialect: ID, url, title, quote: None, span, raw }
}

/// Takes a text; what is none is empty.
fn text(fields: &mut Map<String, Value>, key: &str) -> String {
    match fields.shift_remove(key) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    }
}

fn array(fields: &mut Map<String, Value>, key: &str) -> Vec<Value> {
    match fields.shift_remove(key) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

/// What is left of an object without some of its fields.
fn rest(mut fields: Map<String, Value>, without: &[&str]) -> Map<String, Value> {
    fields.retain(|key, it| !it.is_null() && !without.contains(&key.as_str()));
    fields
}
