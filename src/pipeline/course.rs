//! A stream on its way home: what comes is passed or translated, and watched.

use bytes::{Bytes, BytesMut};

use super::{error, travel::StreamSealing};
use crate::{
    dialect::{
        ChatEvent, DialectId, EventDecoder, EventEncoder, Excerpt, Recall, SseFrame, TokenUsage, WireError,
        canonical::{BlockKind, FinishReason},
        collect::Serializer,
        framing::sse::SseDecoder,
        verbatim::{Tap, TapEnd},
    },
    kernel::error::{ErrorKind, GatewayError},
};

/// What is known of a stream so far.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Something a client shows has come.
    pub has_content: bool,
    /// The upstream said that it failed.
    pub error: Option<WireError>,
    /// Nothing more will come.
    pub ended: bool,
    pub usage: TokenUsage,
    pub id: Option<String>,
    pub model: Option<String>,
    pub finish: Option<FinishReason>,
    /// What came since the meter was told.
    pub text: Excerpt,
}

/// A stream on its way home.
pub(super) struct Course {
    way: CourseWay,
    /// The upstream's.
    dialect: DialectId,
    encoder: Box<dyn EventEncoder>,
    pub progress: Progress,
}

enum CourseWay {
    Verbatim(Box<Tap>),
    Translated(Box<Translation>),
}

pub(super) struct Translation {
    sse: SseDecoder,
    decoder: Box<dyn EventDecoder>,
    sealing: Option<StreamSealing>,
    sealed: Vec<ChatEvent>,
    serializer: Serializer,
    frames: Vec<SseFrame>,
    decoded: Vec<ChatEvent>,
    ordered: Vec<ChatEvent>,
}

impl Course {
    /// The upstream's bytes pass.
    pub(super) fn verbatim(tap: Tap, dialect: DialectId, encoder: Box<dyn EventEncoder>) -> Self {
        Self { way: CourseWay::Verbatim(Box::new(tap)), dialect, encoder, progress: Progress::default() }
    }

    /// The upstream's events are said in the client's words.
    pub(super) fn translated(
        translation: Translation,
        dialect: DialectId,
        encoder: Box<dyn EventEncoder>,
    ) -> Self {
        let way = CourseWay::Translated(Box::new(translation));
        Self { way, dialect, encoder, progress: Progress::default() }
    }

    /// Takes bytes as they came; what goes to the client is appended to `out`.
    pub(super) fn push(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) {
        match &mut self.way {
            CourseWay::Verbatim(tap) => {
                if let Err(it) = tap.push(chunk, out) {
                    self.progress.error = Some(failed(it.to_string()));
                }
                observe_tap(self.dialect, tap, &mut self.progress);
            }
            CourseWay::Translated(translation) => {
                let result = translation.sse.push(chunk, &mut translation.frames);
                translation.advance(&mut *self.encoder, &mut self.progress, out);
                if let Err(it) = result {
                    self.progress.error.get_or_insert_with(|| failed(it.to_string()));
                }
            }
        }
    }

    /// The upstream's bytes have ended: says the end, if it was one. Afterwards `progress.error` tells whether it was not.
    pub(super) fn end(&mut self, out: &mut Vec<Bytes>) {
        match &mut self.way {
            CourseWay::Verbatim(tap) => {
                let end = tap.finish(out);
                observe_tap(self.dialect, tap, &mut self.progress);
                match end {
                    TapEnd::Complete => {}
                    TapEnd::Truncated => self.progress.error = Some(truncated()),
                    TapEnd::Errored(wire) => self.progress.error = Some(wire),
                }
            }
            CourseWay::Translated(translation) => {
                translation.sse.finish(&mut translation.frames);
                translation.advance(&mut *self.encoder, &mut self.progress, out);
                if self.progress.error.is_none() {
                    if let Err(it) = translation.decoder.finish(&mut translation.decoded) {
                        self.progress.error = Some(failed(error::answer(&it).message));
                    }
                    translation.say(&mut *self.encoder, &mut self.progress, out);
                }
                if self.progress.error.is_none() {
                    let mut bytes = BytesMut::new();
                    self.encoder.finish(&mut bytes);
                    push_bytes(bytes, out);
                }
            }
        }
        self.progress.ended = true;
    }

    /// Whether the client has already been told of the failure by the upstream's own bytes.
    pub(super) fn error_was_forwarded(&self) -> bool {
        matches!(&self.way, CourseWay::Verbatim(tap) if tap.seen().error.is_some())
    }

    /// Ends the stream with an error in the client's words.
    pub(super) fn abort(&mut self, error: &GatewayError, out: &mut Vec<Bytes>) {
        let mut bytes = BytesMut::new();
        self.encoder.abort(error, &mut bytes);
        push_bytes(bytes, out);
        self.progress.ended = true;
    }
}

impl Translation {
    pub(super) fn new(
        upstream: DialectId,
        recall: &Recall,
        sealing: Option<StreamSealing>,
        max_frame: usize,
    ) -> Self {
        Self {
            sse: SseDecoder::new(max_frame),
            decoder: upstream.client().event_decoder(recall),
            sealing,
            sealed: Vec::new(),
            serializer: Serializer::new(),
            frames: Vec::new(),
            decoded: Vec::new(),
            ordered: Vec::new(),
        }
    }

    /// Decodes the frames that are here and says what they mean.
    fn advance(&mut self, encoder: &mut dyn EventEncoder, progress: &mut Progress, out: &mut Vec<Bytes>) {
        for frame in self.frames.drain(..) {
            if progress.error.is_some() || progress.ended {
                break;
            }
            if let Err(it) = self.decoder.decode(&frame, &mut self.decoded) {
                progress.error = Some(failed(error::answer(&it).message));
            }
        }
        self.frames.clear();
        self.say(encoder, progress, out);
    }

    fn say(&mut self, encoder: &mut dyn EventEncoder, progress: &mut Progress, out: &mut Vec<Bytes>) {
        for event in self.decoded.drain(..) {
            match &mut self.sealing {
                Some(sealing) => sealing.push(event, &mut self.sealed),
                None => self.sealed.push(event),
            }
        }
        for event in self.sealed.drain(..) {
            self.serializer.push(event, &mut self.ordered);
        }
        let mut bytes = BytesMut::new();
        for event in self.ordered.drain(..) {
            observe_event(&event, progress);
            if !matches!(event, ChatEvent::Error(_) | ChatEvent::End) && progress.error.is_none() {
                encoder.encode(&event, &mut bytes);
            }
        }
        push_bytes(bytes, out);
    }
}

fn push_bytes(bytes: BytesMut, out: &mut Vec<Bytes>) {
    if !bytes.is_empty() {
        out.push(bytes.freeze());
    }
}

fn observe_tap(dialect: DialectId, tap: &mut Tap, progress: &mut Progress) {
    tap.take_text(&mut progress.text);
    let seen = tap.seen();
    progress.has_content |= seen.content_seen;
    progress.ended |= tap.is_over();
    progress.usage = seen.usage;
    if progress.id.is_none() {
        progress.id.clone_from(&seen.id);
    }
    if progress.model.is_none() {
        progress.model.clone_from(&seen.model);
    }
    if progress.finish.is_none() {
        progress.finish = seen.finish.as_deref().map(|it| dialect.client().finish_reason(it));
    }
    if progress.error.is_none() {
        progress.error.clone_from(&seen.error);
    }
}

pub(super) fn observe_event(event: &ChatEvent, progress: &mut Progress) {
    progress.text.watch(event);
    match event {
        ChatEvent::Start { id, model, .. } => {
            progress.id.clone_from(id);
            progress.model.clone_from(model);
        }
        ChatEvent::BlockStart { kind, .. } => {
            progress.has_content |= matches!(kind, BlockKind::ToolCall { .. } | BlockKind::Whole(_));
        }
        ChatEvent::Delta { .. } => progress.has_content = true,
        ChatEvent::BlockEnd { .. } => {}
        ChatEvent::Usage(usage) => progress.usage.merge(usage),
        ChatEvent::Finish { finish, .. } => {
            progress.has_content = true;
            progress.finish = Some(finish.reason);
        }
        ChatEvent::Error(wire) => progress.error = Some(wire.clone()),
        ChatEvent::End => progress.ended = true,
    }
}

fn failed(message: String) -> WireError {
    WireError { kind: ErrorKind::UpstreamFailed, message, error_type: None, code: None, param: None }
}

fn truncated() -> WireError {
    WireError {
        kind: ErrorKind::Truncated,
        message: error::truncated().message,
        error_type: None,
        code: None,
        param: None,
    }
}
