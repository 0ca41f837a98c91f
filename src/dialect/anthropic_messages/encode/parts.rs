//! Parts as blocks.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{
    super::{ID, hosted},
    Writer, cache,
    extras::Level,
};
use crate::dialect::{
    EncodeError, Severity,
    canonical::{
        Citation, Media, MediaKind, MediaSource, OpaqueState, Part, PartKind, StateKind, ToolCall,
        ToolResult, media,
        names::{clean_id, is_plain},
    },
    foreign,
};

/// The longest id of a tool call that is kept, in characters. None is documented; ids that are longer are hashed.
const LONGEST_ID: usize = 256;

/// Citations of this dialect all name a location.
const CITATION_SUFFIX: &str = "_location";

type Block = Map<String, Value>;

fn block(value: Value) -> Block {
    match value {
        Value::Object(map) => map,
        _ => Block::new(),
    }
}

fn refuse(at: &str, message: impl Into<String>) -> EncodeError {
    EncodeError { at: at.to_owned(), message: message.into() }
}

impl Writer<'_> {
    /// Writes a part; `None` if there is nothing to say. `at`: where it stood in the client's request.
    pub(super) fn part(&mut self, part: &Part, at: &str) -> Result<Option<Value>, EncodeError> {
        let written = match &part.kind {
            PartKind::Text { text, citations } => self.text(text, citations, at),
            PartKind::Refusal { text } => self.text(text, &[], at),
            PartKind::Reasoning { text, state } => self.reasoning(text, state.as_ref(), at),
            PartKind::ToolCall(call) => Some(self.call(call, at)),
            PartKind::ToolResult(result) => Some(self.result(result, at)?),
            PartKind::Media(media) => self.media(media, at)?,
            PartKind::ServerTool { dialect, raw, .. } | PartKind::Opaque { dialect, raw } => {
                if hosted::is_ours(raw) {
                    self.drop(at, Severity::Cosmetic, "what another provider's tool did: the answer has it");
                    return Ok(None);
                }
                if *dialect == ID {
                    return Ok(Some(raw.clone()));
                }
                let reason = format!("only {} knows this part", dialect.name());
                self.drop(at, foreign::severity(*dialect, raw), reason);
                None
            }
        };
        let Some(mut written) = written else {
            if part.extra.get().is_some_and(|it| it.dialect != ID) {
                part.extra.lose(&mut self.losses);
            }
            return Ok(None);
        };
        if let Some(mark) = &part.cache {
            written.insert("cache_control".to_owned(), cache::mark(mark));
        }
        self.extra(&part.extra, Level::Part, &mut written);
        Ok(Some(Value::Object(written)))
    }

    /// A text of nothing but white space is refused by Anthropic: it is left out.
    fn text(&mut self, text: &str, citations: &[Citation], at: &str) -> Option<Block> {
        if text.trim().is_empty() {
            if !text.is_empty() {
                self.drop(at, Severity::Cosmetic, "a text block must have more than white space");
            }
            return None;
        }
        let mut written = block(json!({"type": "text", "text": text}));
        let ours = |it: &&Citation| {
            let kind = it.raw.get("type").and_then(Value::as_str);
            it.dialect == ID
                && kind.is_some_and(|it| it.ends_with(CITATION_SUFFIX))
                && !hosted::is_ours(&it.raw)
        };
        let kept: Vec<&Value> = citations.iter().filter(ours).map(|it| &it.raw).collect();
        if kept.len() < citations.len() {
            self.drop(at, Severity::Cosmetic, "citations of another dialect");
        }
        if !kept.is_empty() {
            written.insert("citations".to_owned(), json!(kept));
        }
        Some(written)
    }

    /// Thinking goes back to its maker with its signature; unsigned thinking only to a clone that wants it back.
    fn reasoning(&mut self, text: &str, state: Option<&OpaqueState>, at: &str) -> Option<Block> {
        match state.filter(|it| it.dialect == ID && !it.data.is_empty()) {
            Some(OpaqueState { kind: StateKind::Signature, data, .. }) => {
                Some(block(json!({"type": "thinking", "thinking": text, "signature": data})))
            }
            Some(OpaqueState { kind: StateKind::Redacted, data, .. }) => {
                Some(block(json!({"type": "redacted_thinking", "data": data})))
            }
            _ if self.abilities.wants_reasoning_back && !text.is_empty() => {
                Some(block(json!({"type": "thinking", "thinking": text})))
            }
            _ => {
                self.drop(at, Severity::Cosmetic, "thinking without a signature of this dialect");
                None
            }
        }
    }

    fn call(&mut self, call: &ToolCall, at: &str) -> Block {
        let input = if call.custom {
            block(json!({"input": call.arguments.0}))
        } else {
            let (input, whole) = call.arguments.to_object();
            if !whole {
                self.approximate(
                    at,
                    Severity::Semantic,
                    "the arguments are no object and were wrapped in one",
                );
            }
            input
        };
        let id = clean_id(&call.id, is_plain, LONGEST_ID);
        block(json!({"type": "tool_use", "id": id, "name": self.names.wire(&call.name), "input": input}))
    }

    fn result(&mut self, result: &ToolResult, at: &str) -> Result<Block, EncodeError> {
        let id = clean_id(&result.call_id, is_plain, LONGEST_ID);
        let mut written = block(json!({"type": "tool_result", "tool_use_id": id}));
        let unwrapped = foreign::stringified(&result.content);
        let content = match result.content.as_slice() {
            [] => (!result.plain).then(|| json!([])),
            [only]
                if result.plain
                    && unwrapped.is_none()
                    && only.cache.is_none()
                    && only.as_text().is_some() =>
            {
                only.as_text().map(|it| json!(it))
            }
            parts => {
                let mut blocks = Vec::new();
                for (index, part) in unwrapped.as_deref().unwrap_or(parts).iter().enumerate() {
                    blocks.extend(self.part(part, &format!("{at}/content/{index}"))?);
                }
                Some(Value::Array(blocks))
            }
        };
        if let Some(content) = content {
            written.insert("content".to_owned(), content);
        }
        if let Some(is_error) = result.is_error {
            written.insert("is_error".to_owned(), json!(is_error));
        }
        Ok(written)
    }

    fn media(&mut self, media: &Media, at: &str) -> Result<Option<Block>, EncodeError> {
        if media.detail.as_deref().is_some_and(|it| it != "auto") {
            self.drop(format!("{at}/image_url/detail"), Severity::Cosmetic, "the dialect has no `detail`");
        }
        let (kind, able) = match media.kind {
            MediaKind::Image => ("image", self.abilities.images),
            MediaKind::Document => ("document", self.abilities.documents),
            MediaKind::Audio => return Err(refuse(at, "this model takes no audio: send its text")),
            MediaKind::Video => return Err(refuse(at, "this model takes no video: send images of it")),
        };
        if !able {
            self.drop(at, Severity::Semantic, format!("the model takes no {kind}s"));
            return Ok(Some(block(json!({"type": "text", "text": format!("[{kind} left out]")}))));
        }
        let source = self.source(media, at)?;
        let mut written = block(json!({"type": kind, "source": source}));
        match (&media.name, media.kind) {
            (Some(name), MediaKind::Document) => drop(written.insert("title".to_owned(), json!(name))),
            (Some(_), _) => self.drop(at, Severity::Cosmetic, "an image has no name"),
            (None, _) => {}
        }
        Ok(Some(written))
    }

    fn source(&mut self, media: &Media, at: &str) -> Result<Value, EncodeError> {
        let declared = media.media_type.as_deref();
        Ok(match &media.source {
            MediaSource::Inline(data) => self.inline(media.kind, declared, data, at)?,
            MediaSource::Url(url) if url.starts_with("https://") || url.starts_with("http://") => {
                json!({"type": "url", "url": url})
            }
            MediaSource::Url(_) => {
                return Err(refuse(at, "only `http`, `https` and `data` URLs can be sent to this model"));
            }
            // Anthropic's ids begin so; OpenAI's begin with `file-`.
            MediaSource::FileId(id) if id.starts_with("file_") => json!({"type": "file", "file_id": id}),
            MediaSource::FileId(_) => {
                // Chat nests the id, Responses does not.
                let key = if at.starts_with("/input/") { "file_id" } else { "file/file_id" };
                return Err(refuse(
                    &format!("{at}/{key}"),
                    "`file_id` names a file this model's provider does not have: send the file itself",
                ));
            }
            MediaSource::Text(text) if declared.is_none() => json!({"type": "content", "content": text}),
            MediaSource::Text(text) => json!({"type": "text", "media_type": "text/plain", "data": text}),
            MediaSource::Parts(parts) => {
                let mut blocks = Vec::new();
                for (index, part) in parts.iter().enumerate() {
                    blocks.extend(self.part(part, &format!("{at}/source/content/{index}"))?);
                }
                json!({"type": "content", "content": blocks})
            }
        })
    }

    /// Bytes in the request: their type is what their first bytes say. Text of any kind is sent as text.
    fn inline(
        &mut self,
        kind: MediaKind,
        declared: Option<&str>,
        data: &str,
        at: &str,
    ) -> Result<Value, EncodeError> {
        let data = media::normalize_base64(data)
            .ok_or_else(|| refuse(at, "the data is not valid base64: send it in the standard alphabet"))?;
        let Some(settled) = media::settle_type(declared, &data) else {
            return Err(refuse(at, "the data has no media type: say one, such as `image/png`"));
        };
        if declared.is_some_and(|it| it != settled) {
            self.approximate(at, Severity::Cosmetic, format!("the data is `{settled}`"));
        }
        if kind == MediaKind::Document && settled != "application/pdf" {
            let text = STANDARD.decode(data.as_bytes()).ok().and_then(|it| String::from_utf8(it).ok());
            return match text {
                Some(text) => Ok(json!({"type": "text", "media_type": "text/plain", "data": text})),
                None => Err(refuse(at, format!("this model takes PDF and text, not `{settled}`"))),
            };
        }
        Ok(json!({"type": "base64", "media_type": settled, "data": data}))
    }
}
