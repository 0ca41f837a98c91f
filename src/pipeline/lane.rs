//! The two ways an answer comes home: its bytes as they are, or through the canonical form.

use std::{collections::HashMap, sync::Arc};

use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value};

use super::{
    Inbound,
    attempt::WholeAnswer,
    error,
    gather::Gathering,
    question::Question,
    travel::{Sealing, StreamSealing},
};
use crate::{
    dialect::{
        ChatEvent, ChatResponse, DialectId, Encoded, EventDecoder, EventEncoder, Excerpt, Loss, Pieces,
        Recall, ReplyContext, SseFrame, TokenUsage, WireError,
        beside::Lightened,
        canonical::{BlockKind, FinishReason, Namespaced},
        collect::{self, Serializer},
        framing::sse::SseDecoder,
        verbatim::{Fold, Tap, TapEnd, Tapped},
    },
    kernel::{
        clock::Clock,
        error::{ErrorKind, GatewayError},
    },
    upstream::Failure,
};

/// A question in an upstream's words, and the way back.
pub(super) struct Spoken {
    pub body: Pieces,
    pub betas: Vec<String>,
    pub losses: Vec<Loss>,
    pub lane: Lane,
}

/// The way an answer comes home.
#[derive(Debug)]
pub(super) struct Lane {
    client: DialectId,
    upstream: DialectId,
    way: Way,
    /// The model as the client wrote it.
    model: String,
    include_usage: bool,
    legacy_functions: bool,
    /// What the answer repeats of the question.
    echo: Arc<Map<String, Value>>,
    namespaced: Arc<HashMap<String, Namespaced>>,
    /// For a client of another dialect.
    sealing: Option<Sealing>,
    /// Whether the upstream's own words are the client's, if only they come in the form it wants.
    is_own: bool,
    max_frame: usize,
}

#[derive(Debug)]
enum Way {
    Verbatim,
    Translated(Recall),
}

impl Spoken {
    pub(super) fn verbatim(dialect: DialectId, body: Pieces, question: &Question, max_frame: usize) -> Self {
        let lane = Lane {
            client: dialect,
            upstream: dialect,
            way: Way::Verbatim,
            model: question.model.as_str().to_owned(),
            include_usage: question.include_usage,
            legacy_functions: false,
            echo: Arc::default(),
            namespaced: Arc::default(),
            sealing: None,
            is_own: true,
            max_frame,
        };
        Self { body, betas: Vec::new(), losses: Vec::new(), lane }
    }

    pub(super) fn translated(
        upstream: DialectId,
        encoded: Encoded,
        question: &Question,
        sealing: Option<Sealing>,
        max_frame: usize,
    ) -> Self {
        let lane = Lane {
            client: question.dialect,
            upstream,
            way: Way::Translated(encoded.recall),
            model: question.model.as_str().to_owned(),
            include_usage: question.include_usage,
            legacy_functions: question.decoded().is_ok_and(|it| it.legacy_functions),
            echo: question.echo(),
            namespaced: question.namespaced(),
            sealing,
            is_own: false,
            max_frame,
        };
        Self { body: question.restored(encoded.body), betas: encoded.betas, losses: encoded.losses, lane }
    }
}

impl Lane {
    /// The client would get the upstream's own words, if the upstream answered in the form that the client wants.
    pub(super) fn be_own(&mut self) {
        self.is_own = matches!(&self.way, Way::Translated(recall) if *recall == Recall::default());
    }

    pub(super) fn client(&self) -> DialectId {
        self.client
    }

    pub(super) fn context(&self, inbound: &Inbound, clock: &dyn Clock) -> ReplyContext {
        ReplyContext {
            request: inbound.id,
            model: self.model.clone(),
            created: clock.now().timestamp(),
            include_usage: self.include_usage,
            legacy_functions: self.legacy_functions,
            json_array: inbound.told.json_array,
            echo: Arc::clone(&self.echo),
            namespaced: Arc::clone(&self.namespaced),
        }
    }

    /// Brings a whole answer home; `stream` says that the client waits for a stream.
    pub(super) fn whole(
        &self,
        body: &Bytes,
        context: &ReplyContext,
        stream: bool,
    ) -> Result<WholeAnswer, Failure> {
        let tapped = Tapped::whole(self.upstream, body);
        if let Some(wire) = tapped.error {
            return Err(Failure::Stream(wire));
        }
        let recall = match &self.way {
            Way::Verbatim if !stream => {
                return Ok(WholeAnswer {
                    body: body.clone(),
                    usage: tapped.usage,
                    id: tapped.id,
                    model: tapped.model,
                    finish: tapped.finish.map(|it| self.upstream.client().finish_reason(&it)),
                    text: if tapped.usage.has_output() { Excerpt::default() } else { self.text_of(body) },
                });
            }
            Way::Verbatim => &Recall::default(),
            Way::Translated(recall) => recall,
        };
        let light = Lightened::of(body);
        let response = self
            .upstream
            .client()
            .decode_response(light.body(), recall)
            .map_err(|it| unreadable(&error::answer(&it)))?;
        let is_counted = response.usage.is_some_and(|it| it.has_output());
        let text = if is_counted { Excerpt::default() } else { Excerpt::of(&response) };
        let answer = self.encode_whole(response, text, context, stream);
        Ok(WholeAnswer { body: light.restore(answer.body).whole(), ..answer })
    }

    /// The text of an upstream's whole answer; nothing, if it cannot be read.
    fn text_of(&self, body: &Bytes) -> Excerpt {
        let read = self.upstream.client().decode_response(body, &Recall::default());
        read.map_or_else(|_| Excerpt::default(), |it| Excerpt::of(&it))
    }

    /// Opens the way for a stream that is waited for to its end.
    pub(super) fn gathering(&self) -> Gathering {
        let fold = self.is_own.then(|| Fold::new(self.upstream));
        match &self.way {
            Way::Verbatim => Gathering::new(self.upstream, &Recall::default(), fold, self.max_frame),
            Way::Translated(recall) => Gathering::new(self.upstream, recall, fold, self.max_frame),
        }
    }

    /// Says a whole answer in the client's words, its state sealed; `stream` says that the client waits for a stream, `text`
    /// is what has to be counted of it.
    pub(super) fn encode_whole(
        &self,
        mut response: ChatResponse,
        text: Excerpt,
        context: &ReplyContext,
        stream: bool,
    ) -> WholeAnswer {
        if let Some(sealing) = &self.sealing {
            sealing.whole(&mut response);
        }
        let (id, model) = (response.id.clone(), response.model.clone());
        let usage = response.usage.unwrap_or_default();
        let finish = response.choices.first().map(|it| it.finish.reason);
        let codec = self.client.server();
        let body = if stream {
            let mut encoder = codec.event_encoder(context);
            let mut out = BytesMut::new();
            for event in collect::unfold(response) {
                encoder.encode(&event, &mut out);
            }
            encoder.finish(&mut out);
            out.freeze()
        } else {
            codec.encode_response(&response, context)
        };
        WholeAnswer { body, usage, id, model, finish, text }
    }

    /// Opens the way for a stream.
    pub(super) fn course(&self, context: &ReplyContext) -> Course {
        let encoder = self.client.server().event_encoder(context);
        let way = match &self.way {
            Way::Verbatim => {
                let hide_usage = self.client == DialectId::OpenaiChat && !self.include_usage;
                CourseWay::Verbatim(Box::new(Tap::new(self.client, hide_usage, self.max_frame)))
            }
            Way::Translated(recall) => CourseWay::Translated(Box::new(Translation {
                sse: SseDecoder::new(self.max_frame),
                decoder: self.upstream.client().event_decoder(recall),
                sealing: self.sealing.as_ref().map(Sealing::stream),
                sealed: Vec::new(),
                serializer: Serializer::new(),
                frames: Vec::new(),
                decoded: Vec::new(),
                ordered: Vec::new(),
            })),
        };
        Course { way, dialect: self.upstream, encoder, progress: Progress::default() }
    }
}

fn unreadable(error: &GatewayError) -> Failure {
    Failure::Stream(WireError {
        kind: error.kind,
        message: error.message.clone(),
        error_type: None,
        code: None,
        param: None,
    })
}

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

struct Translation {
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
