//! Parts: one of several kinds of data each, and what is said of it.

use serde_json::{Map, Value, json};

use super::{
    super::{super::ID, proto, results},
    extended, noted, yes,
};
use crate::dialect::{
    DecodeError,
    canonical::{
        Arguments, Extra, Media, MediaKind, MediaSource, OpaqueState, Part, PartKind, ServerStep, StateKind,
        ToolCall, ToolResult, media,
    },
    fields::{Fields, wrong},
};

/// Where Gemini keeps the files that clients gave it.
pub(in super::super) const FILES: &str = "https://generativelanguage.googleapis.com/";

type More = Map<String, Value>;

/// Takes `parts`: a list, or one alone.
pub(super) fn parts(fields: &mut Fields) -> Result<Vec<Part>, DecodeError> {
    let at = fields.at("parts");
    match fields.any("parts") {
        None => Ok(Vec::new()),
        Some(Value::Array(them)) => {
            them.into_iter().enumerate().map(|(index, it)| part(it, &format!("{at}/{index}"))).collect()
        }
        Some(one @ Value::Object(_)) => Ok(vec![part(one, &at)?]),
        Some(other) => Err(wrong(at, "an array of parts", &other)),
    }
}

fn part(value: Value, at: &str) -> Result<Part, DecodeError> {
    if let Value::String(text) = value {
        return Ok(Part::text(text));
    }
    let mut fields = proto::open(value, at)?;
    if let Some(kind) = server_tool(&fields) {
        return Ok(Part::new(kind));
    }
    let known =
        ["text", "inlineData", "fileData", "functionCall", "functionResponse", "thought", "thoughtSignature"];
    if !known.iter().any(|it| fields.has(it)) {
        return Ok(Part::new(PartKind::Opaque { dialect: ID, raw: fields.raw() }));
    }
    let thought = fields.bool("thought")?;
    let state = state(&mut fields)?;
    let mut more = More::new();
    let mut own_state = None;
    let kind = if let Some(mut call) = proto::message(&mut fields, "functionCall")? {
        let kind = function_call(&mut call, &mut more)?;
        keep(&mut more, "functionCall", call);
        kind
    } else if let Some(mut response) = proto::message(&mut fields, "functionResponse")? {
        let kind = function_response(&mut response, &mut more)?;
        keep(&mut more, "functionResponse", response);
        kind
    } else if let Some(mut blob) = proto::message(&mut fields, "inlineData")? {
        more.extend(blob.has("displayName").then(|| yes("named")));
        let kind = inline(&mut blob)?;
        keep(&mut more, "inlineData", blob);
        kind
    } else if let Some(mut file) = proto::message(&mut fields, "fileData")? {
        more.extend(file.has("displayName").then(|| yes("named")));
        let kind = file_of(&mut file)?;
        keep(&mut more, "fileData", file);
        kind
    } else {
        let text = fields.string("text")?.unwrap_or_default();
        if thought == Some(true) {
            own_state.clone_from(&state);
            more.extend([yes("thought")]);
            PartKind::Reasoning { text, state: state.clone() }
        } else {
            PartKind::Text { text, citations: Vec::new() }
        }
    };
    if thought == Some(true) && !matches!(kind, PartKind::Reasoning { .. }) {
        more.insert("thought".to_owned(), json!(true));
    }
    let state = if own_state.is_some() { None } else { state };
    Ok(Part { state, extra: extended(&fields.rest(ID), at, more), ..Part::new(kind) })
}

fn keep(more: &mut More, key: &str, message: Fields) {
    let rest = proto::rest(message);
    if !rest.is_empty() {
        more.insert(key.to_owned(), Value::Object(rest));
    }
}

fn state(fields: &mut Fields) -> Result<Option<OpaqueState>, DecodeError> {
    let data = fields.string("thoughtSignature")?.filter(|it| !it.is_empty());
    Ok(data.map(|data| OpaqueState { dialect: ID, kind: StateKind::ThoughtSignature, data }))
}

/// Tools that Google ran: kept whole.
fn server_tool(fields: &Fields) -> Option<PartKind> {
    let keys = ["executableCode", "codeExecutionResult", "toolCall", "toolResponse"];
    let key = keys.into_iter().find(|it| fields.has(it))?;
    let inner = fields.peek(key)?.clone();
    let inner = proto::open(inner, "").ok()?;
    let text = |key: &str| inner.peek(key).and_then(Value::as_str).map(str::to_owned);
    let id = text("id").unwrap_or_default();
    let step = match key {
        "executableCode" => Some(ServerStep::Code {
            id,
            language: text("language").map(|it| it.to_ascii_lowercase()),
            code: text("code").unwrap_or_default(),
        }),
        "codeExecutionResult" => Some(ServerStep::CodeOutput {
            call_id: id,
            succeeded: text("outcome").is_none_or(|it| it.eq_ignore_ascii_case("OUTCOME_OK")),
            output: text("output").unwrap_or_default(),
        }),
        _ => None,
    };
    Some(PartKind::ServerTool { dialect: ID, raw: fields.raw(), step })
}

fn function_call(fields: &mut Fields, more: &mut More) -> Result<PartKind, DecodeError> {
    let id = fields.string("id")?.filter(|it| !it.is_empty());
    if id.is_none() {
        more.extend([noted("id", json!(false))]);
    }
    let name = fields.required_string("name")?;
    let arguments = match fields.any("args") {
        None => Arguments::default(),
        Some(it @ Value::Object(_)) => Arguments::of(&it),
        Some(other) => return Err(wrong(fields.at("args"), "an object", &other)),
    };
    Ok(PartKind::ToolCall(ToolCall { id: id.unwrap_or_default(), name, arguments, custom: false }))
}

/// Reads what a function gave. The call it answers is found later (`pairs`), by the id and the name that are noted here.
fn function_response(fields: &mut Fields, more: &mut More) -> Result<PartKind, DecodeError> {
    let id = fields.string("id")?.filter(|it| !it.is_empty());
    let name = fields.string("name")?.unwrap_or_default();
    let mut is_error = None;
    let mut content = Vec::new();
    let response = match fields.any("response") {
        None => None,
        Some(Value::Object(it)) => Some(it),
        Some(other) => return Err(wrong(fields.at("response"), "an object", &other)),
    };
    if let Some(response) = response {
        let given = results::read(&response, &name);
        is_error = given.failed.then_some(true);
        if results::write(&given) != response {
            more.extend([noted("response", Value::Object(response))]);
        }
        content.push(Part::text(given.text));
    }
    let plain = !fields.has("parts");
    let at = fields.at("parts");
    for (index, it) in fields.array("parts")?.unwrap_or_default().into_iter().enumerate() {
        content.push(part(it, &format!("{at}/{index}"))?);
    }
    more.extend([noted("name", json!(name))]);
    Ok(PartKind::ToolResult(ToolResult { call_id: id.unwrap_or_default(), content, plain, is_error }))
}

fn inline(fields: &mut Fields) -> Result<PartKind, DecodeError> {
    let media_type = fields.string("mimeType")?.filter(|it| !it.is_empty());
    let name = fields.string("displayName")?;
    let data = fields.required_string("data")?;
    let data = media::normalize_base64(&data)
        .ok_or_else(|| DecodeError::new(fields.at("data"), "`data` is not valid base64"))?
        .into_owned();
    let settled = media_type.clone().or_else(|| media::settle_type(None, &data));
    let kind = kind_of(settled.as_deref().unwrap_or_default());
    Ok(PartKind::Media(Media {
        kind,
        source: MediaSource::Inline(data),
        media_type: settled,
        name,
        detail: None,
    }))
}

/// A file by its address. One that only Gemini's provider has is known to it alone.
fn file_of(fields: &mut Fields) -> Result<PartKind, DecodeError> {
    let media_type = fields.string("mimeType")?.filter(|it| !it.is_empty());
    let name = fields.string("displayName")?;
    let uri = fields.required_string("fileUri")?;
    let kind = match &media_type {
        Some(it) => kind_of(it),
        None => guess(&uri).map_or(MediaKind::Document, kind_of),
    };
    let own = uri.starts_with(FILES) || uri.starts_with("files/");
    let source = if own { MediaSource::FileId(uri) } else { MediaSource::Url(uri) };
    Ok(PartKind::Media(Media { kind, source, media_type, name, detail: None }))
}

fn kind_of(media_type: &str) -> MediaKind {
    match media_type.split('/').next().unwrap_or_default().to_ascii_lowercase().as_str() {
        "image" => MediaKind::Image,
        "audio" => MediaKind::Audio,
        "video" => MediaKind::Video,
        _ => MediaKind::Document,
    }
}

/// Whether an address is that of a film Gemini reads from its own site.
pub(in super::super) fn is_film(uri: &str) -> bool {
    ["https://www.youtube.com/", "https://youtube.com/", "https://youtu.be/"]
        .iter()
        .any(|it| uri.starts_with(it))
}

/// The type of a file by its address.
pub(in super::super) fn guess(uri: &str) -> Option<&'static str> {
    if is_film(uri) {
        return Some("video/mp4");
    }
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    let (_, ending) = path.rsplit('/').next()?.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "heic" => "image/heic",
        "pdf" => "application/pdf",
        "txt" | "md" => "text/plain",
        "html" | "htm" => "text/html",
        "csv" => "text/csv",
        "json" => "application/json",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "ogg" => "audio/ogg",
        "flac" => "audio/flac",
        "m4a" => "audio/mp4",
        "mp4" => "video/mp4",
        "mov" => "video/quicktime",
        "webm" => "video/webm",
        _ => return None,
    })
}

/// What was noted of a part, without its sign.
pub(in super::super) fn note<'e>(extra: &'e Extra, key: &str) -> Option<&'e Value> {
    extra.field(ID, &format!("{}{key}", Extra::NOTE))
}
