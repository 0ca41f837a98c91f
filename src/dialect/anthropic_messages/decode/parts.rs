//! Content: a string, or blocks.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::super::ID;
use crate::dialect::{
    DecodeError,
    canonical::{
        Arguments, CacheMark, Citation, Extra, Media, MediaKind, MediaSource, OpaqueState, Part, PartKind,
        ServerStep, StateKind, ToolCall, ToolResult, WebResult, media,
    },
    fields::{Fields, wrong},
};

/// Reads content; the flag says whether it was one plain string.
pub(super) fn content(value: Value, at: &str) -> Result<(Vec<Part>, bool), DecodeError> {
    match value {
        Value::String(text) => Ok((vec![Part::text(text)], true)),
        Value::Array(blocks) => {
            let parts = blocks.into_iter().enumerate().map(|(index, it)| block(it, format!("{at}/{index}")));
            Ok((parts.collect::<Result<_, _>>()?, false))
        }
        other => Err(wrong(at, "a string or an array of blocks", &other)),
    }
}

/// Reads one block. A block of a type we do not know is kept as it is.
pub(in super::super) fn block(value: Value, at: String) -> Result<Part, DecodeError> {
    let Value::Object(map) = &value else { return Err(wrong(at, "a block (an object)", &value)) };
    match map.get("type").and_then(Value::as_str).unwrap_or_default() {
        "text" => known(value, at, text),
        "thinking" => known(value, at, thinking),
        "redacted_thinking" => known(value, at, redacted),
        "tool_use" => known(value, at, tool_use),
        "tool_result" => known(value, at, tool_result),
        "image" => pictured(value, at, MediaKind::Image),
        "document" => pictured(value, at, MediaKind::Document),
        "" => Err(DecodeError::new(format!("{at}/type"), "a block needs a `type`, such as `text`")),
        kind if is_server_tool(kind) => Ok(Part::new(server_tool(value))),
        _ => Ok(Part::new(PartKind::Opaque { dialect: ID, raw: value })),
    }
}

/// Whether blocks of this type belong to a tool that the provider runs itself.
pub(in super::super) fn is_server_tool(kind: &str) -> bool {
    kind == "server_tool_use" || kind == "mcp_tool_use" || kind.ends_with("_tool_result")
}

type ReadKind = fn(&mut Fields) -> Result<PartKind, DecodeError>;

/// Reads what all blocks we know have in common: a type, a cache mark, fields that are left.
fn known(value: Value, at: String, read: ReadKind) -> Result<Part, DecodeError> {
    let mut fields = Fields::of(value, at)?;
    fields.any("type");
    let (cache, odd) = cache_mark(&mut fields)?;
    let kind = read(&mut fields)?;
    Ok(Part { cache, extra: with_odd_mark(fields, odd), ..Part::new(kind) })
}

/// Takes `cache_control`; one with more in it than we know comes back whole as well.
pub(super) fn cache_mark(fields: &mut Fields) -> Result<(Option<CacheMark>, Option<Value>), DecodeError> {
    let Some(value) = fields.any("cache_control") else { return Ok((None, None)) };
    let whole = value.clone();
    let mut mark = Fields::of(value, fields.at("cache_control"))?;
    let kind = mark.string("type")?;
    let ttl = mark.string("ttl")?;
    let odd = kind.as_deref() != Some("ephemeral") || mark.rest(ID).get().is_some();
    Ok((Some(CacheMark { ttl }), odd.then_some(whole)))
}

/// What nobody took, and a cache mark that says more than `CacheMark` can.
pub(super) fn with_odd_mark(fields: Fields, odd: Option<Value>) -> Extra {
    let at = fields.here().to_owned();
    let rest = fields.rest(ID);
    let Some(odd) = odd else { return rest };
    let mut map = rest.get().map(|it| it.fields.clone()).unwrap_or_default();
    map.insert("cache_control".to_owned(), odd);
    Extra::new(ID, at, map)
}

/// Reads a citation: Anthropic cites with the whole block.
pub(in crate::dialect::anthropic_messages) fn citation(raw: Value) -> Citation {
    let text = |key: &str| raw.get(key).and_then(Value::as_str).map(str::to_owned);
    let (url, title) = (text("url"), text("title").or_else(|| text("document_title")));
    Citation { dialect: ID, url, title, quote: text("cited_text"), span: None, raw }
}

/// Reads a block of a tool that Anthropic ran.
fn server_tool(raw: Value) -> PartKind {
    PartKind::ServerTool { dialect: ID, step: step(&raw), raw }
}

fn step(raw: &Value) -> Option<ServerStep> {
    let text = |key: &str| raw.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    match (raw.get("type")?.as_str()?, raw.get("name").and_then(Value::as_str)) {
        ("server_tool_use", Some("web_search")) => {
            let one = raw.pointer("/input/query").into_iter();
            // Ours: other providers ask several at once.
            let several = raw.pointer("/input/queries").and_then(Value::as_array);
            let queries: Vec<&Value> = several.map_or_else(|| one.collect(), |it| it.iter().collect());
            let queries = queries.into_iter().filter_map(Value::as_str).map(str::to_owned).collect();
            Some(ServerStep::WebSearch { id: text("id"), queries })
        }
        ("web_search_tool_result", _) => {
            let found = raw.get("content").and_then(Value::as_array).into_iter().flatten();
            let results = found.filter_map(|it| {
                let title = it.get("title").and_then(Value::as_str).map(str::to_owned);
                Some(WebResult { url: it.get("url")?.as_str()?.to_owned(), title })
            });
            Some(ServerStep::WebSearchResults { call_id: text("tool_use_id"), results: results.collect() })
        }
        ("server_tool_use", Some("code_execution" | "bash_code_execution")) => {
            let code = raw.pointer("/input/code").or_else(|| raw.pointer("/input/command"));
            let code = code.and_then(Value::as_str).unwrap_or_default().to_owned();
            Some(ServerStep::Code { id: text("id"), language: None, code })
        }
        ("code_execution_tool_result" | "bash_code_execution_tool_result", _) => {
            let output = |key: &str| raw.pointer(&format!("/content/{key}")).and_then(Value::as_str);
            Some(ServerStep::CodeOutput {
                call_id: text("tool_use_id"),
                succeeded: raw.pointer("/content/return_code").and_then(Value::as_i64) == Some(0),
                output: [output("stdout"), output("stderr")].into_iter().flatten().collect(),
            })
        }
        _ => None,
    }
}

fn text(fields: &mut Fields) -> Result<PartKind, DecodeError> {
    let text = fields.required_string("text")?;
    let citations = fields.array("citations")?.unwrap_or_default();
    Ok(PartKind::Text { text, citations: citations.into_iter().map(citation).collect() })
}

fn thinking(fields: &mut Fields) -> Result<PartKind, DecodeError> {
    let text = fields.required_string("thinking")?;
    let state =
        fields.string("signature")?.map(|data| OpaqueState { dialect: ID, kind: StateKind::Signature, data });
    Ok(PartKind::Reasoning { text, state })
}

fn redacted(fields: &mut Fields) -> Result<PartKind, DecodeError> {
    let data = fields.required_string("data")?;
    let state = Some(OpaqueState { dialect: ID, kind: StateKind::Redacted, data });
    Ok(PartKind::Reasoning { text: String::new(), state })
}

fn tool_use(fields: &mut Fields) -> Result<PartKind, DecodeError> {
    let id = fields.required_string("id")?;
    let name = fields.required_string("name")?;
    let input = fields.any("input").unwrap_or_else(|| Value::Object(Map::new()));
    Ok(PartKind::ToolCall(ToolCall { id, name, arguments: Arguments::of(&input), custom: false }))
}

/// A result without content is `plain` and has no parts, one with an empty array is not `plain`.
fn tool_result(fields: &mut Fields) -> Result<PartKind, DecodeError> {
    let call_id = fields.required_string("tool_use_id")?;
    let (content, plain) = match fields.any("content") {
        None => (Vec::new(), true),
        Some(it) => content(it, &fields.at("content"))?,
    };
    let is_error = fields.bool("is_error")?;
    Ok(PartKind::ToolResult(ToolResult { call_id, content, plain, is_error }))
}

/// Reads an image or a document; one whose source is of no kind we know is kept as it is.
fn pictured(value: Value, at: String, kind: MediaKind) -> Result<Part, DecodeError> {
    let whole = value.clone();
    let mut fields = Fields::of(value, at)?;
    fields.any("type");
    let (cache, odd) = cache_mark(&mut fields)?;
    let source = fields.object("source")?.ok_or_else(|| fields.missing("source"))?;
    let Some((source, media_type)) = source_of(source, kind)? else {
        return Ok(Part::new(PartKind::Opaque { dialect: ID, raw: whole }));
    };
    let name = if kind == MediaKind::Document { fields.string("title")? } else { None };
    let media = Media { kind, source, media_type, name, detail: None };
    Ok(Part { cache, extra: with_odd_mark(fields, odd), ..Part::new(PartKind::Media(media)) })
}

/// A `content` source that is one string becomes text without a media type: so it is told from a `text` source.
fn source_of(
    mut source: Fields,
    kind: MediaKind,
) -> Result<Option<(MediaSource, Option<String>)>, DecodeError> {
    let read = match (source.required_string("type")?.as_str(), kind) {
        ("base64", _) => {
            let media_type = source.required_string("media_type")?;
            let data = source.required_string("data")?;
            let data = match media::normalize_base64(&data) {
                Some(Cow::Borrowed(_)) => data,
                Some(Cow::Owned(repaired)) => repaired,
                None => {
                    let message = "`data` is not valid base64: send it in the standard alphabet";
                    return Err(DecodeError::new(source.at("data"), message));
                }
            };
            (MediaSource::Inline(data), Some(media_type))
        }
        ("url", _) => (MediaSource::Url(source.required_string("url")?), None),
        ("file", _) => (MediaSource::FileId(source.required_string("file_id")?), None),
        ("text", MediaKind::Document) => {
            let media_type = source.string("media_type")?.unwrap_or_else(|| "text/plain".to_owned());
            (MediaSource::Text(source.required_string("data")?), Some(media_type))
        }
        ("content", MediaKind::Document) => {
            let value = source.any("content").ok_or_else(|| source.missing("content"))?;
            match content(value, &source.at("content"))? {
                (parts, false) => (MediaSource::Parts(parts), None),
                (parts, true) => {
                    let text = parts.iter().filter_map(Part::as_text).collect();
                    (MediaSource::Text(text), None)
                }
            }
        }
        _ => return Ok(None),
    };
    Ok(source.rest(ID).get().is_none().then_some(read))
}
