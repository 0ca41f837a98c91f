//! Watching an answer that passes: what it cost, whether it ended.

mod gemini;
mod responses;

use std::{collections::BTreeSet, sync::LazyLock};

use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value};

use super::peek::{self, Keys};
use crate::{
    dialect::{
        DialectId, Excerpt, SseFrame, TokenUsage, WireError,
        anthropic_messages::{self, usage::WireUsage},
        framing::sse::{FrameError, SseDecoder},
        gemini as gemini_dialect, json, openai_chat, openai_error, openai_responses,
        scan::{self, Scan, ValueKind},
    },
    kernel::error::ErrorKind,
};

static KEYS: LazyLock<Keys> = LazyLock::new(Keys::new);

/// What was seen of an answer.
#[derive(Debug, Clone, Default)]
pub struct Tapped {
    /// The upstream's own id of the answer.
    pub id: Option<String>,
    /// The upstream's own name for the model.
    pub model: Option<String>,
    /// Why it ended, in the upstream's own word.
    pub finish: Option<String>,
    pub usage: TokenUsage,
    pub error: Option<WireError>,
    /// Whether something that the client can show has come.
    pub content_seen: bool,
    /// Text, thoughts, what tools are called and with what: to count if usage never comes. Not of a whole answer.
    pub text: Excerpt,
}

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TapEnd {
    Complete,
    /// The bytes ended before the answer did: the client must be told so by an error.
    Truncated,
    /// The upstream said an error; it has been passed on.
    Errored(WireError),
}

/// Passes a stream on, whole events at a time, and watches it.
///
/// The bytes of an event that is not complete are held back, so that an error of our own can always follow well formed.
/// What comes after the stream's terminal, or after an error, is dropped.
#[derive(Debug)]
pub struct Tap {
    dialect: DialectId,
    hide_usage: bool,
    frames: SseDecoder,
    held: BytesMut,
    seen: Tapped,
    usage: Counted,
    /// Chat, Gemini: choices that have begun and not ended; of Chat as far as frames tell without being read.
    unfinished: BTreeSet<u64>,
    /// Gemini: candidates that said why they ended, which others may not have done yet.
    finished: BTreeSet<u64>,
    /// Whether `[DONE]` or `message_stop` was seen.
    terminal: bool,
    /// Responses: an `error` event, after which `response.failed` may still come.
    failing: Option<WireError>,
    /// Which of the keys of texts the last one had; Gemini: whether it was a thought; Responses: whether there was one.
    text_of: usize,
    /// What became of the last event, if the last chunk ended between its CR and an LF.
    cut_end: Option<CutEnd>,
}

#[derive(Debug, Clone, Copy)]
enum CutEnd {
    Passed,
    Withheld,
}

impl Tap {
    /// `hide_usage` withholds Chat's chunk that holds nothing but usage, for a client that did not ask for it.
    pub fn new(dialect: DialectId, hide_usage: bool, max_frame_bytes: usize) -> Self {
        Self {
            dialect,
            hide_usage,
            frames: SseDecoder::new(max_frame_bytes),
            held: BytesMut::new(),
            seen: Tapped::default(),
            usage: Counted::new(dialect),
            unfinished: BTreeSet::new(),
            finished: BTreeSet::new(),
            terminal: false,
            failing: None,
            text_of: 0,
            cut_end: None,
        }
    }

    /// What was seen so far.
    pub fn seen(&self) -> &Tapped {
        &self.seen
    }

    /// Gives away what is kept of the text since the last time.
    pub fn take_text(&mut self, taker: &mut Excerpt) {
        taker.append(&mut self.seen.text);
    }

    /// Whether the upstream has said its last word: what follows is dropped.
    pub fn is_over(&self) -> bool {
        self.terminal || self.seen.error.is_some()
    }

    /// Reads on; what may be passed on is added to `out`. After an error the tap is of no more use.
    #[expect(clippy::needless_pass_by_value, reason = "what is passed on shares the chunk's memory")]
    pub fn push(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), FrameError> {
        if chunk.is_empty() {
            return Ok(());
        }
        let line_feed = usize::from(chunk[0] == b'\n');
        let (mut from, mut passed) = match self.cut_end.take() {
            Some(CutEnd::Passed) => (0, line_feed),
            Some(CutEnd::Withheld) => (line_feed, line_feed),
            None => (0, 0),
        };
        if self.is_over() {
            self.release(&chunk, from..passed, out);
            return Ok(());
        }
        let mut last = CutEnd::Passed;
        let mut ends = Vec::new();
        self.frames.push_each(&chunk, |frame, end| ends.push((frame, end)))?;
        for (frame, end) in ends {
            if self.is_over() {
                break;
            }
            let withheld = frame.is_some_and(|it| self.watch(&it));
            last = if withheld { CutEnd::Withheld } else { CutEnd::Passed };
            if withheld {
                self.release_or_drop(&chunk, from..passed, out);
                from = end;
            }
            passed = end;
        }
        self.release(&chunk, from..passed, out);
        let at_end = passed == chunk.len() && self.held.is_empty();
        self.cut_end = Some(last).filter(|_| at_end && self.frames.is_after_cr());
        if !self.is_over() {
            self.held.extend_from_slice(&chunk[passed..]);
        }
        Ok(())
    }

    /// The stream has ended: passes on a last event that lacked its blank line, and the terminal if only that is missing.
    pub fn finish(&mut self, out: &mut Vec<Bytes>) -> TapEnd {
        if !self.is_over() {
            let mut last = Vec::new();
            self.frames.finish(&mut last);
            for frame in last {
                let whole = &*frame.data == b"[DONE]" || scan::check(&frame.data).is_ok();
                if whole && !self.watch(&frame) {
                    let mut event = self.held.split();
                    event.extend_from_slice(b"\n\n");
                    out.push(event.freeze());
                }
            }
        }
        if !self.terminal && self.seen.error.is_none() {
            self.seen.error = self.failing.take();
        }
        if let Some(error) = &self.seen.error {
            return TapEnd::Errored(error.clone());
        }
        if self.terminal {
            return TapEnd::Complete;
        }
        // Some clones forget the terminal: an answer that said why it ended is whole.
        let is_whole = self.seen.finish.is_some() && self.unfinished.is_empty();
        if is_whole {
            let end: &'static [u8] = match self.dialect {
                DialectId::OpenaiChat => b"data: [DONE]\n\n",
                DialectId::AnthropicMessages => b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
                DialectId::OpenaiResponses | DialectId::Gemini => b"",
            };
            if !end.is_empty() {
                out.push(Bytes::from_static(end));
            }
            return TapEnd::Complete;
        }
        TapEnd::Truncated
    }

    /// Passes on a run of whole events, the first of which may have begun in an earlier chunk.
    fn release(&mut self, chunk: &Bytes, run: std::ops::Range<usize>, out: &mut Vec<Bytes>) {
        if run.is_empty() {
            return;
        }
        if !self.held.is_empty() {
            out.push(self.held.split().freeze());
        }
        out.push(chunk.slice(run));
    }

    /// Passes on the events before one that is withheld; if it is the chunk's first, what is held is its beginning.
    fn release_or_drop(&mut self, chunk: &Bytes, run: std::ops::Range<usize>, out: &mut Vec<Bytes>) {
        if run.is_empty() {
            self.held.clear();
        }
        self.release(chunk, run, out);
    }

    /// Takes note of a frame, and says whether it must be withheld.
    fn watch(&mut self, frame: &SseFrame) -> bool {
        match self.dialect {
            DialectId::OpenaiChat => {
                self.watch_texts(&frame.data);
                self.watch_chat(&frame.data)
            }
            DialectId::AnthropicMessages => {
                self.watch_texts(&frame.data);
                self.watch_messages(frame);
                false
            }
            DialectId::OpenaiResponses => {
                self.watch_responses(frame);
                false
            }
            DialectId::Gemini => {
                self.watch_gemini(frame);
                false
            }
        }
    }

    /// Takes the texts of a frame, wherever they stand. An empty one begins another of its kind and none of others: some
    /// upstreams say in every frame the texts that they do not have. A name alone is no content.
    fn watch_texts(&mut self, data: &[u8]) {
        for (index, key) in KEYS.texts.iter().enumerate() {
            for text in peek::values(data, key).filter_map(peek::string) {
                if !text.is_empty() {
                    self.take_text_of(index, text);
                    self.seen.content_seen |= index > 0;
                } else if index == self.text_of {
                    self.seen.text.cut();
                }
            }
        }
    }

    /// Takes a text; of another kind than the last one it is another.
    fn take_text_of(&mut self, kind: usize, text: &[u8]) {
        if std::mem::replace(&mut self.text_of, kind) != kind {
            self.seen.text.cut();
        }
        self.seen.text.push_escaped(text);
    }

    fn watch_chat(&mut self, data: &[u8]) -> bool {
        if data.trim_ascii() == b"[DONE]" {
            self.terminal = true;
            return false;
        }
        let error = peek::values(data, &KEYS.error).any(|it| !it.starts_with(b"null"));
        let usage = peek::begins(data, &KEYS.usage, b'{');
        let finish = peek::values(data, &KEYS.finish_reason)
            .any(|it| peek::string(it).is_some_and(|it| !it.is_empty()));
        let later_choice = peek::values(data, &KEYS.index).any(|it| matches!(it.first(), Some(b'1'..=b'9')));
        let plain = KEYS.choices.find(data).is_some() && !error && !usage && !finish && !later_choice;
        if self.seen.id.is_some() && plain {
            return false;
        }
        let Ok(Value::Object(chunk)) = json::parse(data) else { return false };
        self.seen.error = openai_error::told(&chunk, "choices");
        self.seen.name(&chunk);
        for choice in chunk.get("choices").and_then(Value::as_array).into_iter().flatten() {
            self.watch_choice(choice);
        }
        let Some(usage) = chunk.get("usage").filter(|it| it.is_object()) else { return false };
        self.seen.usage = self.usage.add(usage);
        self.hide_usage && chunk.get("choices").and_then(Value::as_array).is_some_and(Vec::is_empty)
    }

    fn watch_choice(&mut self, choice: &Value) {
        let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
        match choice.get("finish_reason").and_then(Value::as_str).filter(|it| !it.is_empty()) {
            Some(reason) => {
                self.unfinished.remove(&index);
                self.seen.finish = Some(reason.to_owned());
            }
            None => {
                self.unfinished.insert(index);
            }
        }
    }

    fn watch_messages(&mut self, frame: &SseFrame) {
        let data = &frame.data;
        let kind = match frame.event.as_deref() {
            Some("message") | None => kind_of(data),
            Some(event) => Some(event.to_owned()),
        };
        match kind.as_deref() {
            Some("content_block_start") => {
                self.seen.text.cut();
                self.seen.content_seen = true;
            }
            Some("content_block_delta" | "content_block_stop" | "ping") => {}
            Some("message_stop") => self.terminal = true,
            Some("message_start") => {
                if let Some(Value::Object(message)) = field(data, "message") {
                    self.seen.name(&message);
                    self.add_usage_of(message.get("usage"));
                }
            }
            Some("message_delta") => {
                self.add_usage_of(field(data, "usage").as_ref());
                if let Some(Value::Object(delta)) = field(data, "delta") {
                    self.seen.finish = text(&delta, "stop_reason").or(self.seen.finish.take());
                }
            }
            // An error, perhaps in another dialect's form; or something that was invented later.
            kind => {
                let told = field(data, "error").is_some_and(|it| !it.is_null());
                if (told || kind == Some("error"))
                    && let Ok(event) = json::parse(data)
                {
                    self.seen.error = Some(anthropic_messages::error::from_stream(&event));
                }
            }
        }
    }

    fn add_usage_of(&mut self, usage: Option<&Value>) {
        if let Some(usage) = usage.filter(|it| it.is_object()) {
            self.seen.usage = self.usage.add(usage);
        }
    }
}

impl Tapped {
    /// Looks at a whole answer; reads only what is needed of it.
    pub fn whole(dialect: DialectId, body: &[u8]) -> Self {
        let mut seen = Self::default();
        let scan = match scan::scan(body) {
            Ok(scan) => scan,
            Err(fault) => {
                seen.error = Some(WireError {
                    kind: ErrorKind::UpstreamFailed,
                    message: format!("the upstream's answer cannot be read: {}", fault.message),
                    error_type: None,
                    code: None,
                    param: None,
                });
                return seen;
            }
        };
        let part = |key: &str| scan.span(key).and_then(|it| json::parse(&body[it]).ok());
        let (id, model, usage) = match dialect {
            DialectId::Gemini => ("responseId", "modelVersion", "usageMetadata"),
            _ => ("id", "model", "usage"),
        };
        seen.id = scan.string(body, id).ok().flatten().map(Into::into);
        seen.model = scan.string(body, model).ok().flatten().map(Into::into);
        seen.error = whole_error(dialect, body, &scan);
        if let Some(usage) = part(usage).filter(Value::is_object) {
            seen.usage = Counted::new(dialect).add(&usage);
        }
        seen.finish = match dialect {
            DialectId::OpenaiChat => scan.span("choices").and_then(|it| first_finish(&body[it])),
            DialectId::AnthropicMessages => scan.string(body, "stop_reason").ok().flatten().map(Into::into),
            DialectId::OpenaiResponses => responses::finish(&scan, body),
            DialectId::Gemini => gemini::finish(&scan, body),
        };
        seen.content_seen = seen.error.is_none();
        seen
    }

    fn name(&mut self, object: &Map<String, Value>) {
        self.id = self.id.take().or_else(|| text(object, "id"));
        self.model = self.model.take().or_else(|| text(object, "model"));
    }
}

/// The error that a body of status 200 holds instead of an answer. Only then all of it is read.
fn whole_error(dialect: DialectId, body: &[u8], scan: &Scan) -> Option<WireError> {
    let answer = match dialect {
        DialectId::OpenaiChat => "choices",
        DialectId::AnthropicMessages => "content",
        DialectId::OpenaiResponses => "output",
        DialectId::Gemini => "candidates",
    };
    if scan.kind("error").is_none_or(|it| it == ValueKind::Null) && scan.kind(answer).is_some() {
        return None;
    }
    let Ok(Value::Object(fields)) = json::parse(body) else { return None };
    match dialect {
        DialectId::OpenaiChat => openai_error::told(&fields, "choices"),
        DialectId::AnthropicMessages => {
            let told = fields.get("error").is_some_and(|it| !it.is_null());
            told.then(|| anthropic_messages::error::from_stream(&Value::Object(fields)))
        }
        DialectId::OpenaiResponses => responses::error(&fields),
        DialectId::Gemini => gemini::error(&fields),
    }
}

/// Reads why the first choice ended, and nothing else.
fn first_finish(choices: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Ended {
        #[serde(default)]
        finish_reason: Option<String>,
    }
    serde_json::from_slice::<Vec<Ended>>(choices).ok()?.into_iter().next()?.finish_reason
}

/// The `type` of an event whose frame has no name.
fn kind_of(data: &[u8]) -> Option<String> {
    peek::values(data, &KEYS.kind).next()?;
    let scan = scan::scan(data).ok()?;
    scan.string(data, "type").ok()?.map(Into::into)
}

fn field(data: &[u8], key: &str) -> Option<Value> {
    let scan = scan::scan(data).ok()?;
    json::parse(&data[scan.span(key)?]).ok()
}

fn text(object: &Map<String, Value>, key: &str) -> Option<String> {
    object.get(key).and_then(Value::as_str).filter(|it| !it.is_empty()).map(ToOwned::to_owned)
}

/// Usage so far, as the upstream says it piece by piece.
#[derive(Debug)]
enum Counted {
    Chat(TokenUsage),
    Messages(WireUsage),
    Responses(TokenUsage),
    Gemini(TokenUsage),
}

impl Counted {
    fn new(dialect: DialectId) -> Self {
        match dialect {
            DialectId::OpenaiChat => Self::Chat(TokenUsage::default()),
            DialectId::AnthropicMessages => Self::Messages(WireUsage::default()),
            DialectId::OpenaiResponses => Self::Responses(TokenUsage::default()),
            DialectId::Gemini => Self::Gemini(TokenUsage::default()),
        }
    }

    /// Takes what a usage object says; gives all that is known now.
    fn add(&mut self, usage: &Value) -> TokenUsage {
        match self {
            Self::Chat(sum) => {
                sum.merge(&openai_chat::usage::decode(usage));
                *sum
            }
            Self::Responses(sum) => {
                sum.merge(&openai_responses::usage::decode(usage));
                *sum
            }
            Self::Gemini(sum) => {
                sum.merge(&gemini_dialect::usage::decode(usage));
                *sum
            }
            Self::Messages(sum) => {
                sum.merge(&WireUsage::read(usage));
                sum.buckets()
            }
        }
    }
}

#[cfg(test)]
mod tests;
