//! An upstream's stream that is waited for to its end: some only stream, and the client wants a whole answer.

use bytes::Bytes;

use super::lane::{Progress, observe_event};
use crate::{
    dialect::{
        ChatEvent, ChatResponse, DialectId, EventDecoder, Recall, SseFrame, WireError, collect::Collector,
        framing::sse::SseDecoder,
    },
    kernel::error::ErrorKind,
};

/// A whole answer in the making.
pub(super) struct Gathering {
    sse: SseDecoder,
    decoder: Box<dyn EventDecoder>,
    frames: Vec<SseFrame>,
    events: Vec<ChatEvent>,
    collector: Collector,
    /// What is known so far, for the meter if the end never comes.
    pub progress: Progress,
}

impl Gathering {
    pub(super) fn new(upstream: DialectId, recall: &Recall, max_frame: usize) -> Self {
        Self {
            sse: SseDecoder::new(max_frame),
            decoder: upstream.client().event_decoder(recall),
            frames: Vec::new(),
            events: Vec::new(),
            collector: Collector::new(),
            progress: Progress::default(),
        }
    }

    /// Whether nothing more is waited for: the stream said its end, or that it failed.
    pub(super) fn is_over(&self) -> bool {
        self.progress.ended || self.progress.error.is_some()
    }

    /// Takes bytes as they came.
    pub(super) fn push(&mut self, chunk: Bytes) {
        let pushed = self.sse.push(chunk, &mut self.frames);
        self.decode();
        if let Err(it) = pushed {
            self.progress.error.get_or_insert_with(|| unreadable(it.to_string()));
        }
    }

    /// The upstream's bytes have ended, or are not waited for any more: the answer, or why there is none. What is known of
    /// it by then stays in `progress`.
    pub(super) fn finish(&mut self) -> Result<ChatResponse, WireError> {
        if !self.is_over() {
            self.sse.finish(&mut self.frames);
            self.decode();
        }
        if self.progress.error.is_none() {
            if let Err(it) = self.decoder.finish(&mut self.events) {
                self.progress.error = Some(unreadable(it.message));
            }
            self.take_events();
        }
        match self.progress.error.take() {
            Some(wire) => Err(wire),
            None => std::mem::take(&mut self.collector).finish(),
        }
    }

    fn decode(&mut self) {
        for frame in std::mem::take(&mut self.frames) {
            if self.is_over() {
                return;
            }
            if let Err(it) = self.decoder.decode(&frame, &mut self.events) {
                self.progress.error = Some(unreadable(it.message));
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

fn unreadable(message: String) -> WireError {
    let message = format!("the upstream's stream cannot be read: {message}");
    WireError { kind: ErrorKind::UpstreamFailed, message, error_type: None, code: None, param: None }
}
