//! Writes content parts, and says what the upstream cannot be shown.

use serde_json::{Map, Value, json};

use crate::{
    catalog::Abilities,
    dialect::{
        DialectId, Loss, Severity,
        canonical::{
            Media, MediaKind, MediaSource, Part, PartKind,
            media::{audio_format, data_url},
        },
        foreign,
        openai_chat::{CHAT, extra},
    },
};

/// Writes the parts of one turn.
pub(in crate::dialect::openai_chat) struct Writer<'a> {
    pub abilities: &'a Abilities,
    /// JSON pointer of the turn, for losses.
    pub at: &'a str,
    pub losses: &'a mut Vec<Loss>,
}

impl Writer<'_> {
    /// Writes a part; nothing if it cannot be told.
    pub(in crate::dialect::openai_chat) fn part(&mut self, part: &Part) -> Vec<Value> {
        let values = match &part.kind {
            PartKind::Text { text, citations } => {
                if !citations.is_empty() {
                    self.lose(Severity::Cosmetic, "citations cannot be told in a history");
                }
                vec![text_part(text)]
            }
            PartKind::Refusal { text } => vec![object([("type", "refusal"), ("refusal", text)])],
            PartKind::Media(media) => self.media(media),
            PartKind::Opaque { dialect: CHAT, raw } => return vec![raw.clone()],
            PartKind::Opaque { dialect, raw } => self.opaque(*dialect, raw),
            PartKind::ServerTool { dialect, .. } => {
                self.lose(Severity::Semantic, &format!("a tool that {} ran cannot be told", dialect.name()));
                Vec::new()
            }
            PartKind::Reasoning { .. } | PartKind::ToolCall(_) | PartKind::ToolResult(_) => Vec::new(),
        };
        self.with_extra(part, values)
    }

    fn with_extra(&mut self, part: &Part, mut values: Vec<Value>) -> Vec<Value> {
        match values.first_mut() {
            Some(Value::Object(first)) => extra::write(&part.extra, first, self.abilities, self.losses),
            _ => part.extra.lose(self.losses),
        }
        values
    }

    /// Blocks of other dialects that hold text (search results) keep it.
    fn opaque(&mut self, dialect: DialectId, raw: &Value) -> Vec<Value> {
        let kind = raw.get("type").and_then(Value::as_str).unwrap_or("a part without type");
        let text = texts(raw);
        if text.is_empty() {
            let reason = format!("`{kind}` is known to {} alone", dialect.name());
            self.lose(foreign::severity(dialect, raw), &reason);
            return Vec::new();
        }
        self.losses.push(Loss::approximated(
            self.at,
            Severity::Semantic,
            format!("`{kind}` was told as text"),
        ));
        vec![text_part(&text)]
    }

    pub(in crate::dialect::openai_chat) fn media(&mut self, media: &Media) -> Vec<Value> {
        let able = match media.kind {
            MediaKind::Image => self.abilities.images,
            MediaKind::Document => self.abilities.documents || media.source.is_text(),
            MediaKind::Audio => self.abilities.audio,
            MediaKind::Video => self.abilities.unknown_fields,
        };
        if !able {
            let kind = media.kind.name();
            self.lose(Severity::Semantic, &format!("the model takes no {kind}"));
            return vec![text_part(&format!("[{kind} left out: the model takes none]"))];
        }
        match (media.kind, &media.source) {
            (MediaKind::Image, MediaSource::Inline(data)) => {
                let url = data_url(media.media_type.as_deref().unwrap_or("image/png"), data);
                image(url, self.detail(media))
            }
            (MediaKind::Image, MediaSource::Url(url)) => image(url.clone(), self.detail(media)),
            (MediaKind::Document, MediaSource::Inline(data)) => vec![file(media, data)],
            (MediaKind::Document, MediaSource::FileId(id)) if !is_anthropics(id) => {
                let mut inner = Map::new();
                inner.insert("file_id".to_owned(), id.as_str().into());
                vec![named_file(media, inner)]
            }
            (MediaKind::Document, MediaSource::Text(text)) => {
                self.losses.push(Loss::approximated(
                    self.at,
                    Severity::Cosmetic,
                    "a document of plain text was told as text",
                ));
                vec![text_part(&titled(media, text))]
            }
            (MediaKind::Document, MediaSource::Parts(parts)) => {
                self.losses.push(Loss::approximated(
                    self.at,
                    Severity::Cosmetic,
                    "a document made of parts was told as its parts",
                ));
                parts.iter().flat_map(|it| self.part(it)).collect()
            }
            (MediaKind::Audio, MediaSource::Inline(data)) => vec![audio(media, data)],
            (MediaKind::Video, MediaSource::Url(url)) => vec![video(url)],
            (MediaKind::Video, MediaSource::Inline(data)) => {
                vec![video(&data_url(media.media_type.as_deref().unwrap_or("video/mp4"), data))]
            }
            (kind, source) => {
                let (kind, how) = (kind.name(), how(source));
                self.lose(Severity::Semantic, &format!("this upstream takes no {kind} by {how}"));
                vec![text_part(&format!("[{kind} left out: it cannot be given by {how}]"))]
            }
        }
    }

    /// How closely an image is to be looked at, in the words all of Chat's servers know.
    fn detail<'m>(&mut self, media: &'m Media) -> Option<&'m str> {
        let asked = media.detail.as_deref()?;
        if matches!(asked, "auto" | "low" | "high") {
            return Some(asked);
        }
        self.losses.push(Loss::approximated(
            self.at,
            Severity::Cosmetic,
            format!("detail `{asked}` was told as `high`"),
        ));
        Some("high")
    }

    fn lose(&mut self, severity: Severity, reason: &str) {
        self.losses.push(Loss::dropped(self.at, severity, reason));
    }
}

/// A text part.
pub(in crate::dialect::openai_chat) fn text_part(text: &str) -> Value {
    object([("type", "text"), ("text", text)])
}

fn object<const N: usize>(fields: [(&str, &str); N]) -> Value {
    Value::Object(fields.into_iter().map(|(key, value)| (key.to_owned(), Value::from(value))).collect())
}

fn image(url: String, detail: Option<&str>) -> Vec<Value> {
    let mut inner = Map::new();
    inner.insert("url".to_owned(), url.into());
    if let Some(detail) = detail {
        inner.insert("detail".to_owned(), detail.into());
    }
    vec![json!({ "type": "image_url", "image_url": inner })]
}

fn video(url: &str) -> Value {
    json!({ "type": "video_url", "video_url": { "url": url } })
}

fn audio(media: &Media, data: &str) -> Value {
    let media_type = media.media_type.as_deref().unwrap_or("audio/wav");
    let format = audio_format(media_type);
    json!({ "type": "input_audio", "input_audio": { "data": data, "format": format } })
}

fn file(media: &Media, data: &str) -> Value {
    let media_type = media.media_type.as_deref().unwrap_or("application/pdf");
    let mut inner = Map::new();
    let extension = media_type.rsplit(['/', '+']).next().unwrap_or("pdf");
    let extension = if extension == "plain" { "txt" } else { extension };
    let name = media.name.clone().unwrap_or_else(|| format!("file.{extension}"));
    inner.insert("filename".to_owned(), name.into());
    inner.insert("file_data".to_owned(), data_url(media_type, data).into());
    json!({ "type": "file", "file": inner })
}

fn named_file(media: &Media, mut inner: Map<String, Value>) -> Value {
    if let Some(name) = &media.name {
        inner.insert("filename".to_owned(), name.as_str().into());
    }
    json!({ "type": "file", "file": inner })
}

fn titled(media: &Media, text: &str) -> String {
    match &media.name {
        Some(name) => format!("{name}\n\n{text}"),
        None => text.to_owned(),
    }
}

/// Anthropic's file ids begin with `file_`, OpenAI's with `file-`.
fn is_anthropics(id: &str) -> bool {
    id.starts_with("file_")
}

fn how(source: &MediaSource) -> &'static str {
    match source {
        MediaSource::Inline(_) => "its bytes",
        MediaSource::Url(_) => "URL",
        MediaSource::FileId(_) => "the id of a file",
        MediaSource::Text(_) | MediaSource::Parts(_) => "text",
    }
}

/// All texts in an unknown block: its `title`, and the `text` of its `content`.
fn texts(raw: &Value) -> String {
    let title = raw.get("title").and_then(Value::as_str);
    let content = match raw.get("content") {
        Some(Value::String(text)) => vec![text.as_str()],
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|it| it.get("text").and_then(Value::as_str)).collect()
        }
        _ => Vec::new(),
    };
    if content.is_empty() {
        return String::new();
    }
    title.into_iter().chain(content).collect::<Vec<_>>().join("\n")
}
