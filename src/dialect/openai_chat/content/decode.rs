//! Reads content parts. The parts of Responses and Anthropic are understood too: some clients send them here.

use serde_json::Value;

use crate::dialect::{
    DecodeError,
    canonical::{
        Arguments, CacheMark, Extra, Media, MediaKind, MediaSource, Part, PartKind, ToolCall, ToolResult,
        media,
    },
    fields::{Fields, wrong},
    openai_chat::{CHAT, extra, tools::decode::cache_mark},
};

/// Content, and whether it was one plain string.
#[derive(Debug, Default)]
pub(in crate::dialect::openai_chat) struct Content {
    pub parts: Vec<Part>,
    pub plain: bool,
}

/// Takes `content`; `None` if there is none.
pub(in crate::dialect::openai_chat) fn take(
    fields: &mut Fields,
    key: &str,
) -> Result<Option<Content>, DecodeError> {
    let at = fields.at(key);
    fields.any(key).map(|it| content(it, &at)).transpose()
}

fn content(value: Value, at: &str) -> Result<Content, DecodeError> {
    match value {
        Value::String(text) => Ok(Content { parts: vec![Part::text(text)], plain: true }),
        Value::Array(values) => {
            let read = |(index, value)| part(value, format!("{at}/{index}"));
            let parts = values.into_iter().enumerate().map(read).collect::<Result<_, _>>()?;
            Ok(Content { parts, plain: false })
        }
        other => Err(wrong(at, "a string or an array of parts", &other)),
    }
}

fn part(value: Value, at: String) -> Result<Part, DecodeError> {
    let value = match value {
        Value::String(text) => return Ok(Part::text(text)),
        other => other,
    };
    let kind = value.get("type").and_then(Value::as_str).map(str::to_owned);
    let kind = match kind {
        Some(it) => it,
        None if value.get("text").is_some() => "text".to_owned(),
        None if value.is_object() => {
            return Err(DecodeError::new(format!("{at}/type"), "`type` is missing"));
        }
        None => return Err(wrong(at, "an object with a `type`", &value)),
    };
    let read = match kind.as_str() {
        "text" | "input_text" | "output_text" => text,
        "refusal" => refusal,
        "image_url" | "input_image" => image,
        "input_audio" => audio,
        "file" | "input_file" => file,
        "video_url" => video,
        "image" | "document" if value.get("source").is_some_and(Value::is_object) => foreign_media,
        "tool_use" => tool_use,
        "tool_result" => tool_result,
        "thinking" => thinking,
        _ => {
            return Ok(Part::new(PartKind::Opaque { dialect: CHAT, raw: value }));
        }
    };
    let mut fields = Fields::of(value, at)?;
    let cache: Option<CacheMark> = cache_mark(&fields);
    fields.any("type");
    let (kind, nested) = read(&mut fields)?;
    let mut rest = fields.rest(CHAT);
    if let Some((key, inner)) = nested {
        rest = extra::nest(rest, key, &inner);
    }
    Ok(Part { cache, extra: rest, ..Part::new(kind) })
}

/// A part's kind, and what was left of the object within it.
type Read = (PartKind, Option<(&'static str, Extra)>);

fn text(fields: &mut Fields) -> Result<Read, DecodeError> {
    let text = fields.required_string("text")?;
    Ok((PartKind::Text { text, citations: Vec::new() }, None))
}

fn refusal(fields: &mut Fields) -> Result<Read, DecodeError> {
    Ok((PartKind::Refusal { text: fields.required_string("refusal")? }, None))
}

fn image(fields: &mut Fields) -> Result<Read, DecodeError> {
    let at = fields.at("image_url");
    match fields.any("image_url") {
        Some(Value::String(url)) => {
            let detail = fields.string("detail")?;
            Ok((media_of(MediaKind::Image, &url, &at, detail)?, None))
        }
        Some(value) => {
            let mut inner = Fields::of(value, at)?;
            let at = inner.at("url");
            let url = inner.required_string("url")?;
            let detail = inner.string("detail")?;
            Ok((media_of(MediaKind::Image, &url, &at, detail)?, Some(("image_url", inner.rest(CHAT)))))
        }
        None => match fields.string("file_id")? {
            Some(id) => Ok((new_media(MediaKind::Image, MediaSource::FileId(id), None), None)),
            None => Err(fields.missing("image_url")),
        },
    }
}

fn video(fields: &mut Fields) -> Result<Read, DecodeError> {
    let at = fields.at("video_url");
    match fields.any("video_url") {
        Some(Value::String(url)) => Ok((media_of(MediaKind::Video, &url, &at, None)?, None)),
        Some(value) => {
            let mut inner = Fields::of(value, at)?;
            let at = inner.at("url");
            let url = inner.required_string("url")?;
            Ok((media_of(MediaKind::Video, &url, &at, None)?, Some(("video_url", inner.rest(CHAT)))))
        }
        None => Err(fields.missing("video_url")),
    }
}

fn media_of(kind: MediaKind, url: &str, at: &str, detail: Option<String>) -> Result<PartKind, DecodeError> {
    let (source, media_type) = match media::parse_data_url(url) {
        Some(Ok(inline)) => (MediaSource::Inline(inline.data), inline.media_type),
        Some(Err(error)) => return Err(DecodeError::new(at, format!("`url` {error}"))),
        None => match media::parse_bare(url) {
            Some(inline) => (MediaSource::Inline(inline.data), inline.media_type),
            None => (MediaSource::Url(url.to_owned()), None),
        },
    };
    Ok(PartKind::Media(Media { kind, source, media_type, name: None, detail }))
}

fn new_media(kind: MediaKind, source: MediaSource, media_type: Option<String>) -> PartKind {
    PartKind::Media(Media { kind, source, media_type, name: None, detail: None })
}

fn audio(fields: &mut Fields) -> Result<Read, DecodeError> {
    let mut inner = fields.object("input_audio")?.ok_or_else(|| fields.missing("input_audio"))?;
    let format = inner.required_string("format")?;
    let media_type = if format == "mp3" { "audio/mpeg".to_owned() } else { format!("audio/{format}") };
    let data = inner.required_string("data")?;
    let data = match media::parse_data_url(&data) {
        Some(it) => it.map(|it| it.data),
        None => media::inline(None, &data).map(|it| it.data),
    };
    let data = data.map_err(|error| DecodeError::new(inner.at("data"), format!("`data` {error}")))?;
    let kind = new_media(MediaKind::Audio, MediaSource::Inline(data), Some(media_type));
    Ok((kind, Some(("input_audio", inner.rest(CHAT)))))
}

fn file(fields: &mut Fields) -> Result<Read, DecodeError> {
    let Some(mut inner) = fields.object("file")? else {
        let kind = file_of(fields)?;
        return Ok((kind, None));
    };
    let kind = file_of(&mut inner)?;
    Ok((kind, Some(("file", inner.rest(CHAT)))))
}

fn file_of(fields: &mut Fields) -> Result<PartKind, DecodeError> {
    let name = fields.string("filename")?;
    let (source, media_type) = if let Some(data) = fields.string("file_data")? {
        let inline = match media::parse_data_url(&data) {
            Some(it) => it,
            None => media::inline(None, &data),
        };
        let inline = inline
            .map_err(|error| DecodeError::new(fields.at("file_data"), format!("`file_data` {error}")))?;
        (MediaSource::Inline(inline.data), inline.media_type)
    } else if let Some(id) = fields.string("file_id")? {
        (MediaSource::FileId(id), None)
    } else if let Some(url) = fields.string("file_url")? {
        (MediaSource::Url(url), None)
    } else {
        return Err(DecodeError::new(fields.at("file_data"), "`file_data` or `file_id` is missing"));
    };
    Ok(PartKind::Media(Media { kind: MediaKind::Document, source, media_type, name, detail: None }))
}

/// Anthropic's `image` and `document`.
fn foreign_media(fields: &mut Fields) -> Result<Read, DecodeError> {
    let mut source = fields.object("source")?.ok_or_else(|| fields.missing("source"))?;
    let media_type = source.string("media_type")?;
    let (from, media_type) = match source.required_string("type")?.as_str() {
        "base64" => {
            let inline = media::inline(media_type.as_deref(), &source.required_string("data")?)
                .map_err(|error| DecodeError::new(source.at("data"), format!("`data` {error}")))?;
            (MediaSource::Inline(inline.data), inline.media_type)
        }
        "text" => (MediaSource::Text(source.required_string("data")?), media_type),
        "url" => (MediaSource::Url(source.required_string("url")?), media_type),
        "file" => (MediaSource::FileId(source.required_string("file_id")?), media_type),
        other => {
            return Err(DecodeError::new(
                source.at("type"),
                format!("`type` must be `base64`, `text`, `url` or `file`, not `{other}`"),
            ));
        }
    };
    let image = media_type.as_deref().is_some_and(|it| it.starts_with("image/"));
    let title = fields.string("title")?;
    let document =
        !image && (title.is_some() || matches!(from, MediaSource::Text(_)) || media_type.is_some());
    let kind = if document { MediaKind::Document } else { MediaKind::Image };
    Ok((PartKind::Media(Media { kind, source: from, media_type, name: title, detail: None }), None))
}

/// Anthropic's `tool_use`.
fn tool_use(fields: &mut Fields) -> Result<Read, DecodeError> {
    let call = ToolCall {
        id: fields.required_string("id")?,
        name: fields.required_string("name")?,
        arguments: fields.any("input").as_ref().map(Arguments::of).unwrap_or_default(),
        custom: false,
    };
    Ok((PartKind::ToolCall(call), None))
}

/// Anthropic's `tool_result`.
fn tool_result(fields: &mut Fields) -> Result<Read, DecodeError> {
    let content = take(fields, "content")?.unwrap_or_default();
    let result = ToolResult {
        call_id: fields.required_string("tool_use_id")?,
        content: content.parts,
        plain: content.plain,
        is_error: fields.bool("is_error")?,
    };
    Ok((PartKind::ToolResult(result), None))
}

/// A `thinking` part: Anthropic's holds a string, Mistral's an array of text parts.
fn thinking(fields: &mut Fields) -> Result<Read, DecodeError> {
    let content = take(fields, "thinking")?.unwrap_or_default();
    let text = content.parts.iter().filter_map(Part::as_text).collect();
    Ok((PartKind::Reasoning { text, state: None }, None))
}
