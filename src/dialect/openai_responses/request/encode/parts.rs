//! Content parts of those who speak to the model, and what its texts were cited from.

use serde_json::{Map, Value, json};

use super::{super::super::ID, Writer};
use crate::dialect::{
    EncodeError, Severity,
    canonical::{
        Citation, Media, MediaKind, MediaSource, Part, PartKind,
        media::{audio_format, data_url},
    },
    foreign,
};

impl Writer<'_> {
    /// Writes a part of a turn or of a tool's output; nothing if it cannot be told.
    pub(super) fn input_part(&mut self, part: &Part, at: &str) -> Result<Vec<Value>, EncodeError> {
        let mut values = match &part.kind {
            PartKind::Text { text, citations } => {
                if !citations.is_empty() {
                    self.drop(at, Severity::Cosmetic, "only the model's own texts have citations");
                }
                vec![input_text(text)]
            }
            PartKind::Refusal { text } => vec![input_text(text)],
            PartKind::Media(media) => self.media(media, at)?,
            PartKind::Opaque { dialect: ID, raw } | PartKind::ServerTool { dialect: ID, raw, .. } => {
                return Ok(vec![raw.clone()]);
            }
            PartKind::Opaque { dialect, raw } | PartKind::ServerTool { dialect, raw, .. } => {
                let reason = format!("only {} knows this part", dialect.name());
                self.drop(at, foreign::severity(*dialect, raw), reason);
                Vec::new()
            }
            PartKind::Reasoning { .. } | PartKind::ToolCall(_) | PartKind::ToolResult(_) => Vec::new(),
        };
        match values.first_mut() {
            Some(Value::Object(first)) => {
                part.extra.write(ID, first, &mut self.losses);
                self.cache_mark(part, first);
            }
            _ => part.extra.lose(&mut self.losses),
        }
        Ok(values)
    }

    /// A mark without one of this dialect's own stands for "up to here". Upstreams without marks are not told: they cache
    /// by themselves.
    fn cache_mark(&self, part: &Part, written: &mut Map<String, Value>) {
        let Some(mark) = part.cache.as_ref().filter(|_| self.abilities.cache_control && !self.ours) else {
            return;
        };
        let mut breakpoint = object(json!({"mode": "explicit"}));
        if let Some(ttl) = &mark.ttl {
            breakpoint.insert("ttl".to_owned(), if ttl == "5m" { "30m" } else { "12h" }.into());
        }
        written.insert("prompt_cache_breakpoint".to_owned(), Value::Object(breakpoint));
    }

    fn media(&mut self, media: &Media, at: &str) -> Result<Vec<Value>, EncodeError> {
        let able = match media.kind {
            MediaKind::Image => self.abilities.images,
            MediaKind::Document => self.abilities.documents || media.source.is_text(),
            MediaKind::Audio if !self.abilities.audio => {
                return Err(refuse(at, "this model takes no audio: send its text"));
            }
            MediaKind::Audio => true,
            MediaKind::Video => return Err(refuse(at, "this model takes no video: send images of it")),
        };
        if !able {
            let kind = media.kind.name();
            self.drop(at, Severity::Semantic, format!("the model takes no {kind}"));
            return Ok(vec![input_text(&format!("[{kind} left out: the model takes none]"))]);
        }
        Ok(match (media.kind, &media.source) {
            (MediaKind::Image, MediaSource::Inline(data)) => {
                let url = data_url(media.media_type.as_deref().unwrap_or("image/png"), data);
                vec![image("image_url", &url, media)]
            }
            (MediaKind::Image, MediaSource::Url(url)) => vec![image("image_url", url, media)],
            (MediaKind::Image, MediaSource::FileId(id)) => vec![image("file_id", self.own(id, at)?, media)],
            (MediaKind::Document, MediaSource::Inline(data)) => vec![file_of(media, data)],
            (MediaKind::Document, MediaSource::Url(url)) => vec![file("file_url", url, media)],
            (MediaKind::Document, MediaSource::FileId(id)) => vec![file("file_id", self.own(id, at)?, media)],
            (_, MediaSource::Text(text)) => {
                let reason = "a document of plain text was told as text";
                self.approximate(at, Severity::Cosmetic, reason);
                let titled = media.name.as_ref().map(|it| format!("{it}\n\n{text}"));
                vec![input_text(titled.as_deref().unwrap_or(text))]
            }
            (_, MediaSource::Parts(parts)) => {
                let reason = "a document made of parts was told as its parts";
                self.approximate(at, Severity::Cosmetic, reason);
                let mut written = Vec::new();
                for part in parts {
                    written.extend(self.input_part(part, at)?);
                }
                written
            }
            (MediaKind::Audio, MediaSource::Inline(data)) => vec![audio(media, data)],
            (MediaKind::Audio | MediaKind::Video, _) => {
                return Err(refuse(at, "this model takes audio only in the request itself: send its bytes"));
            }
        })
    }

    /// The id of a file that this provider has: Anthropic's begin with `file_`, OpenAI's with `file-`.
    fn own<'i>(&self, id: &'i str, at: &str) -> Result<&'i str, EncodeError> {
        if self.ours || !id.starts_with("file_") {
            Ok(id)
        } else {
            Err(refuse(at, "this file is one that the model's provider does not have: send the file itself"))
        }
    }

    /// What a text was cited from, as far as it can be said here.
    pub(super) fn annotations(&mut self, citations: &[Citation], at: &str) -> Vec<Value> {
        let mut annotations = Vec::new();
        for citation in citations {
            if citation.dialect == ID {
                annotations.push(citation.raw.clone());
                continue;
            }
            match (&citation.url, &citation.span) {
                (Some(url), Some(span)) => {
                    self.approximate(at, Severity::Cosmetic, "a citation was told by its URL and place");
                    let title = citation.title.as_deref().unwrap_or(url);
                    annotations.push(json!({"type": "url_citation", "url": url, "title": title,
                        "start_index": span.start, "end_index": span.end}));
                }
                _ => self.drop(at, Severity::Cosmetic, "citations of another dialect"),
            }
        }
        annotations
    }
}

fn refuse(at: &str, message: &str) -> EncodeError {
    EncodeError { at: at.to_owned(), message: message.to_owned() }
}

fn input_text(text: &str) -> Value {
    json!({"type": "input_text", "text": text})
}

fn image(key: &str, value: &str, media: &Media) -> Value {
    let detail = media.detail.as_deref().unwrap_or("auto");
    json!({"type": "input_image", key: value, "detail": detail})
}

fn file(key: &str, value: &str, media: &Media) -> Value {
    let mut file = object(json!({"type": "input_file", key: value}));
    if let Some(name) = &media.name {
        file.insert("filename".to_owned(), name.as_str().into());
    }
    if let Some(detail) = &media.detail {
        file.insert("detail".to_owned(), detail.as_str().into());
    }
    Value::Object(file)
}

/// A file in the request must have a name: one is made from its type.
fn file_of(media: &Media, data: &str) -> Value {
    let media_type = media.media_type.as_deref().unwrap_or("application/pdf");
    let extension = match media_type.rsplit(['/', '+']).next() {
        Some("plain") => "txt",
        Some(it) => it,
        None => "pdf",
    };
    let name = media.name.clone().unwrap_or_else(|| format!("file.{extension}"));
    file("file_data", &data_url(media_type, data), &Media { name: Some(name), ..media.clone() })
}

fn audio(media: &Media, data: &str) -> Value {
    let media_type = media.media_type.as_deref().unwrap_or("audio/wav");
    let format = audio_format(media_type);
    json!({"type": "input_audio", "input_audio": {"data": data, "format": format}})
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
