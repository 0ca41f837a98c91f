//! Content: a string, or parts. The parts of Chat are understood too: some clients send them here.

use std::ops::Range;

use serde_json::{Map, Value};

use super::super::super::ID;
use crate::dialect::{
    DecodeError,
    canonical::{CacheMark, Citation, Extra, Media, MediaKind, MediaSource, Part, PartKind, media},
    fields::{Fields, wrong},
};

/// Content, and whether it was one plain string.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub parts: Vec<Part>,
    pub plain: bool,
}

/// Takes content; `None` if there is none.
pub(super) fn take(fields: &mut Fields, key: &str) -> Result<Option<Content>, DecodeError> {
    let at = fields.at(key);
    match fields.any(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(Content { parts: vec![Part::text(text)], plain: true })),
        Some(Value::Array(values)) => {
            let read = |(index, value)| part(value, format!("{at}/{index}"));
            let parts = values.into_iter().enumerate().map(read).collect::<Result<_, _>>()?;
            Ok(Some(Content { parts, plain: false }))
        }
        Some(other) => Err(wrong(at, "a string or an array of parts", &other)),
    }
}

/// Reads one part. A part of a type we do not know is kept as it is.
fn part(value: Value, at: String) -> Result<Part, DecodeError> {
    let Value::Object(map) = &value else { return Err(wrong(at, "a part (an object)", &value)) };
    let read = match map.get("type").and_then(Value::as_str) {
        Some("input_text" | "output_text" | "text" | "summary_text" | "reasoning_text") => text,
        Some("refusal") => refusal,
        Some("input_image" | "image_url") => image,
        Some("input_file" | "file") => file,
        Some("input_audio") => audio,
        Some(_) => return Ok(unknown(value, at)),
        None => {
            return Err(DecodeError::new(
                format!("{at}/type"),
                "a part needs a `type`, such as `input_text`",
            ));
        }
    };
    let whole = value.clone();
    let mut fields = Fields::of(value, at.clone())?;
    let cache = cache_mark(&fields);
    fields.any("type");
    match read(&mut fields)? {
        Some(kind) => Ok(Part { cache, extra: fields.rest(ID), ..Part::new(kind) }),
        None => Ok(unknown(whole, at)),
    }
}

/// Keeps a part as it is. Its type beside it tells it from an item that is kept so.
fn unknown(raw: Value, at: String) -> Part {
    let kind = raw.get("type").cloned().unwrap_or_default();
    let extra = Extra::new(ID, at, Map::from_iter([("type".to_owned(), kind)]));
    Part { extra, ..Part::new(PartKind::Opaque { dialect: ID, raw }) }
}

/// Reads a cache mark and leaves it in its place.
fn cache_mark(fields: &Fields) -> Option<CacheMark> {
    let mark = fields.peek("prompt_cache_breakpoint")?;
    let ttl = match mark.get("ttl").and_then(Value::as_str) {
        Some("5m" | "30m") => Some("5m".to_owned()),
        Some("1h" | "12h" | "24h") => Some("1h".to_owned()),
        _ => None,
    };
    Some(CacheMark { ttl })
}

type Read = Result<Option<PartKind>, DecodeError>;

fn text(fields: &mut Fields) -> Read {
    let text = fields.required_string("text")?;
    let annotations = fields.array("annotations")?.unwrap_or_default();
    if fields.peek("logprobs").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        fields.any("logprobs");
    }
    Ok(Some(PartKind::Text { text, citations: annotations.into_iter().map(citation).collect() }))
}

/// Reads an annotation of a text.
fn citation(raw: Value) -> Citation {
    let text = |key: &str| raw.get(key).and_then(Value::as_str).map(str::to_owned);
    let place = |key: &str| raw.get(key).and_then(Value::as_u64).and_then(|it| usize::try_from(it).ok());
    let span = match (place("start_index"), place("end_index")) {
        (Some(start), Some(end)) if start <= end => Some(Range { start, end }),
        _ => None,
    };
    let title = text("title").or_else(|| text("filename"));
    Citation { dialect: ID, url: text("url"), title, quote: None, span, raw }
}

fn refusal(fields: &mut Fields) -> Read {
    Ok(Some(PartKind::Refusal { text: fields.required_string("refusal")? }))
}

fn image(fields: &mut Fields) -> Read {
    let at = fields.at("image_url");
    let (url, detail) = match fields.any("image_url") {
        None => (None, fields.string("detail")?),
        Some(Value::String(url)) => (Some(url), fields.string("detail")?),
        // As Chat writes it.
        Some(other) => {
            let mut inner = Fields::of(other, at.clone())?;
            (Some(inner.required_string("url")?), inner.string("detail")?)
        }
    };
    let (source, media_type) = match (url, fields.string("file_id")?) {
        (Some(url), None) => located(url, &at, "image_url")?,
        (None, Some(id)) => (MediaSource::FileId(id), None),
        // Both: only this dialect knows which one counts.
        (Some(_), Some(_)) => return Ok(None),
        (None, None) => return Err(DecodeError::new(at, "`image_url` or `file_id` is missing")),
    };
    Ok(Some(PartKind::Media(Media { kind: MediaKind::Image, source, media_type, name: None, detail })))
}

/// Where media is that is told by a URL.
fn located(url: String, at: &str, key: &str) -> Result<(MediaSource, Option<String>), DecodeError> {
    match media::parse_data_url(&url) {
        Some(Ok(inline)) => Ok((MediaSource::Inline(inline.data), inline.media_type)),
        Some(Err(error)) => Err(DecodeError::new(at, format!("`{key}` {error}"))),
        None => match media::parse_bare(&url) {
            Some(inline) => Ok((MediaSource::Inline(inline.data), inline.media_type)),
            None => Ok((MediaSource::Url(url), None)),
        },
    }
}

fn file(fields: &mut Fields) -> Read {
    // As Chat writes it.
    if let Some(mut inner) = fields.object("file")? {
        let kind = file_of(&mut inner)?;
        return Ok(kind.filter(|_| inner.rest(ID) == Extra::default()));
    }
    file_of(fields)
}

fn file_of(fields: &mut Fields) -> Read {
    let name = fields.string("filename")?;
    let detail = fields.string("detail")?;
    let sources = ["file_data", "file_url", "file_id"].iter().filter(|it| fields.has(it)).count();
    if sources > 1 {
        return Ok(None);
    }
    let (source, media_type) = if let Some(data) = fields.string("file_data")? {
        let inline = match media::parse_data_url(&data) {
            Some(it) => it,
            None => media::inline(None, &data),
        };
        let wrong = |error| DecodeError::new(fields.at("file_data"), format!("`file_data` {error}"));
        let inline = inline.map_err(wrong)?;
        (MediaSource::Inline(inline.data), inline.media_type)
    } else if let Some(url) = fields.string("file_url")? {
        (MediaSource::Url(url), None)
    } else if let Some(id) = fields.string("file_id")? {
        (MediaSource::FileId(id), None)
    } else {
        return Err(DecodeError::new(
            fields.at("file_data"),
            "`file_data`, `file_url` or `file_id` is missing",
        ));
    };
    Ok(Some(PartKind::Media(Media { kind: MediaKind::Document, source, media_type, name, detail })))
}

fn audio(fields: &mut Fields) -> Read {
    let mut inner = fields.object("input_audio")?.ok_or_else(|| fields.missing("input_audio"))?;
    let format = inner.required_string("format")?;
    let media_type = if format == "mp3" { "audio/mpeg".to_owned() } else { format!("audio/{format}") };
    let data = inner.required_string("data")?;
    let data = match media::parse_data_url(&data) {
        Some(it) => it.map(|it| it.data),
        None => media::inline(None, &data).map(|it| it.data),
    };
    let data = data.map_err(|error| DecodeError::new(inner.at("data"), format!("`data` {error}")))?;
    if inner.rest(ID) != Extra::default() {
        return Ok(None);
    }
    let source = MediaSource::Inline(data);
    let media_type = Some(media_type);
    Ok(Some(PartKind::Media(Media { kind: MediaKind::Audio, source, media_type, name: None, detail: None })))
}
