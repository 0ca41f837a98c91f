//! An upstream's stream that is waited for to its end: some only stream, and the client wants a whole answer.

use bytes::Bytes;
use futures::StreamExt as _;
use http::HeaderMap;
use tokio::time::Instant;

use super::{
    Pipeline, Reply, Trail,
    attempt::{Failed, Flight},
    course::{Progress, observe_event},
    pulse::Pulse,
};
use crate::{
    dialect::{
        ChatEvent, ChatResponse, DialectId, EventDecoder, Excerpt, Recall, SseFrame, WireError,
        collect::Collector, framing::sse::SseDecoder, verbatim::Fold,
    },
    kernel::error::ErrorKind,
    upstream::{
        Failure,
        transport::{ByteStream, TimeoutKind, TransportError},
    },
    usage::Meter,
};

impl Pipeline {
    /// The answer comes as a stream, but the client wants it whole: it is waited for to its end. Until then the client has
    /// got nothing, so whatever goes wrong may still be another's success.
    pub(super) async fn gather(
        &self,
        mut flight: Flight<'_>,
        headers: HeaderMap,
        mut body: ByteStream,
        trail: &Trail,
    ) -> Result<Reply, Failed> {
        let mut gathering = flight.lane.gathering();
        let mut size = 0;
        let mut pulse = Pulse::new(flight.upstream.dead_after(), Instant::now());
        let broken = loop {
            if gathering.is_over() {
                break None;
            }
            let next = tokio::select! {
                next = body.next() => next,
                () = self.stop.cancelled() => return Err(flight.interrupted()),
            };
            match next {
                None => break None,
                Some(Err(it)) => break Some(it),
                Some(Ok(chunk)) if !pulse.hears(&chunk, Instant::now()) => {
                    break Some(TransportError::Timeout(TimeoutKind::Idle));
                }
                Some(Ok(chunk)) => {
                    size += chunk.len();
                    if size > self.bounds.max_answer {
                        break Some(TransportError::TooLarge { limit: self.bounds.max_answer });
                    }
                    gathering.push(chunk);
                    gathering.tell(&mut flight.meter);
                    if gathering.progress.has_content {
                        flight.meter.first_byte();
                    }
                }
            }
        };
        let finished = gathering.finish();
        // What was made is paid for, even if nobody gets it.
        gathering.tell(&mut flight.meter);
        let failure = match (finished, broken) {
            // What came before the connection broke may have been the end.
            (Ok(response), _) => {
                let context = flight.lane.context(flight.inbound, &*self.clock);
                // The meter has its text already, piece by piece.
                let mut answer = flight.lane.encode_whole(response, Excerpt::default(), &context, false);
                if let Some(own) = gathering.folded() {
                    answer.body = own;
                }
                return Ok(flight.answered(answer, headers, trail));
            }
            (Err(_), Some(broken)) => Failure::Transport(broken),
            (Err(wire), None) => Failure::Stream(wire),
        };
        Err(flight.failed(&failure))
    }
}

/// A whole answer in the making.
pub(super) struct Gathering {
    sse: SseDecoder,
    decoder: Box<dyn EventDecoder>,
    /// For a client that may have the upstream's own words.
    fold: Option<Fold>,
    frames: Vec<SseFrame>,
    events: Vec<ChatEvent>,
    collector: Collector,
    progress: Progress,
    /// Whether the meter knows the answer's id.
    is_named: bool,
}

impl Gathering {
    pub(super) fn new(upstream: DialectId, recall: &Recall, fold: Option<Fold>, max_frame: usize) -> Self {
        Self {
            sse: SseDecoder::new(max_frame),
            decoder: upstream.client().event_decoder(recall),
            fold,
            frames: Vec::new(),
            events: Vec::new(),
            collector: Collector::new(),
            progress: Progress::default(),
            is_named: false,
        }
    }

    /// Tells the meter what is known so far: the client may leave before the end.
    fn tell(&mut self, meter: &mut Meter) {
        meter.usage(&self.progress.usage);
        meter.text(&mut self.progress.text);
        if !self.is_named && self.progress.id.is_some() {
            meter.answered(self.progress.id.as_deref(), self.progress.model.as_deref());
            self.is_named = true;
        }
    }

    /// Whether nothing more is waited for: the stream said its end, or that it failed.
    fn is_over(&self) -> bool {
        self.progress.ended || self.progress.error.is_some()
    }

    /// Takes bytes as they came.
    fn push(&mut self, chunk: Bytes) {
        let pushed = self.sse.push(chunk, &mut self.frames);
        self.decode();
        if let Err(it) = pushed {
            self.progress.error.get_or_insert_with(|| unreadable(&it.to_string()));
        }
    }

    /// The upstream's bytes have ended, or are not waited for any more: the answer, or why there is none. What is known of
    /// it by then can still be told.
    fn finish(&mut self) -> Result<ChatResponse, WireError> {
        if !self.is_over() {
            self.sse.finish(&mut self.frames);
            self.decode();
        }
        if self.progress.error.is_none() {
            if let Err(it) = self.decoder.finish(&mut self.events) {
                self.progress.error = Some(unreadable(&it.message));
            }
            self.take_events();
        }
        match self.progress.error.take() {
            Some(wire) => Err(wire),
            None => std::mem::take(&mut self.collector).finish(),
        }
    }

    /// The answer in the upstream's own words, if the client may have them and they could be folded.
    fn folded(&mut self) -> Option<Bytes> {
        self.fold.take()?.finish()
    }

    fn decode(&mut self) {
        for frame in std::mem::take(&mut self.frames) {
            if self.is_over() {
                return;
            }
            if let Some(fold) = &mut self.fold {
                fold.push(&frame);
            }
            if let Err(it) = self.decoder.decode(&frame, &mut self.events) {
                self.progress.error = Some(unreadable(&it.message));
            }
            self.take_events();
        }
    }

    fn take_events(&mut self) {
        for event in self.events.drain(..) {
            observe_event(&event, &mut self.progress);
            self.collector.push(event);
        }
    }
}

fn unreadable(message: &str) -> WireError {
    let message = format!("the upstream's stream cannot be read: {message}");
    WireError { kind: ErrorKind::UpstreamFailed, message, error_type: None, code: None, param: None }
}
