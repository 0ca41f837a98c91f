//! An answer that passes as it comes: sounds, images, files, events; looked at on the way for what it cost.
//!
//! When the client leaves, the passage is dropped, and with it the upstream call, the lease and the meter.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::{launch::Voyage, usage};
use crate::{
    credential::{Lease, Outcome},
    dialect::{
        DialectId, EventEncoder, Excerpt, ReplyContext,
        framing::sse::SseDecoder,
        verbatim::{Tap, TapEnd},
    },
    kernel::error::{ErrorKind, GatewayError},
    pipeline::error,
    upstream::transport::{ByteStream, TransportError},
    usage::{Ending, Meter},
};

/// An answer on its way to the client.
pub struct Passage {
    upstream: Option<ByteStream>,
    ready: VecDeque<Bytes>,
    watch: Watch,
    meter: Option<Meter>,
    lease: Lease,
    stop: CancellationToken,
    /// In bytes, if the upstream said.
    length: Option<u64>,
    broken: bool,
}

/// The answer broke off: the client must see that it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the upstream's answer broke off before its end")]
pub struct BrokenOff;

/// What is looked at.
pub(super) enum Watch {
    Nothing,
    /// Events that may hold usage; too long a one ends the watch, not the answer.
    Events(Option<SseDecoder>),
    /// The events of legacy completions, which are Chat's: passed whole, so that an error can follow.
    Completions {
        tap: Box<Tap>,
        encoder: Box<dyn EventEncoder>,
    },
}

impl Watch {
    pub(super) fn events(max_frame: usize) -> Self {
        Self::Events(Some(SseDecoder::new(max_frame)))
    }

    pub(super) fn completions(hide_usage: bool, max_frame: usize, context: &ReplyContext) -> Self {
        Self::Completions {
            tap: Box::new(Tap::new(DialectId::OpenaiChat, hide_usage, max_frame)),
            encoder: DialectId::OpenaiChat.server().event_encoder(context),
        }
    }

    /// Looks at a piece; what may pass is added to `out`.
    fn push(&mut self, piece: Bytes, meter: &mut Meter, out: &mut VecDeque<Bytes>) {
        match self {
            Self::Nothing => out.push_back(piece),
            Self::Events(decoder) => {
                if let Some(events) = decoder {
                    let mut frames = Vec::new();
                    if events.push(piece.clone(), &mut frames).is_err() {
                        *decoder = None;
                    }
                    frames.iter().filter_map(|it| usage::of_event(&it.data)).for_each(|it| meter.usage(&it));
                }
                out.push_back(piece);
            }
            Self::Completions { tap, .. } => {
                let mut passed = Vec::new();
                // A frame that is too long ends as an answer without its end.
                let _ = tap.push(piece, &mut passed);
                out.extend(passed);
                tell(tap, meter);
            }
        }
    }

    /// The bytes have ended: whether that was the end, and if not, what the client is told.
    fn finish(&mut self, meter: &mut Meter, out: &mut VecDeque<Bytes>) -> Result<(), ErrorKind> {
        let Self::Completions { tap, .. } = self else { return Ok(()) };
        let mut passed = Vec::new();
        let end = tap.finish(&mut passed);
        out.extend(passed);
        tell(tap, meter);
        match end {
            TapEnd::Complete => Ok(()),
            TapEnd::Truncated => {
                self.abort(&error::truncated(), out);
                Err(ErrorKind::Truncated)
            }
            TapEnd::Errored(wire) => Err(wire.kind),
        }
    }

    /// Says an error in the client's words, where there is a form for it.
    fn abort(&mut self, error: &GatewayError, out: &mut VecDeque<Bytes>) -> bool {
        let Self::Completions { encoder, .. } = self else { return false };
        let mut bytes = BytesMut::new();
        encoder.abort(error, &mut bytes);
        out.push_back(bytes.freeze());
        true
    }
}

fn tell(tap: &mut Tap, meter: &mut Meter) {
    let mut text = Excerpt::default();
    tap.take_text(&mut text);
    meter.text(&mut text);
    let seen = tap.seen();
    meter.usage(&seen.usage);
    meter.answered(seen.id.as_deref(), seen.model.as_deref());
    if let Some(finish) = &seen.finish {
        meter.finish(DialectId::OpenaiChat.client().finish_reason(finish));
    }
}

impl Passage {
    /// `ready` is what has come already.
    pub(super) fn new(
        voyage: Voyage<'_>,
        ready: Vec<Bytes>,
        upstream: Option<ByteStream>,
        watch: Watch,
        length: Option<u64>,
        stop: CancellationToken,
    ) -> Self {
        let mut passage = Self {
            upstream,
            ready: VecDeque::new(),
            watch,
            meter: Some(voyage.meter),
            lease: voyage.lease,
            stop,
            length,
            broken: false,
        };
        for piece in ready {
            passage.take(piece);
        }
        if passage.upstream.is_none() {
            passage.end();
        }
        passage
    }

    /// In bytes, if it is known.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// The next bytes for the client; `None` at the proper end.
    pub async fn next(&mut self) -> Option<Result<Bytes, BrokenOff>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some(Ok(bytes));
            }
            if std::mem::take(&mut self.broken) {
                return Some(Err(BrokenOff));
            }
            let upstream = self.upstream.as_mut()?;
            let stop = self.stop.clone();
            tokio::select! {
                biased;
                next = upstream.next() => match next {
                    Some(Ok(piece)) => self.take(piece),
                    Some(Err(it)) => self.broke(&it),
                    None => {
                        self.upstream = None;
                        self.end();
                    }
                },
                () = stop.cancelled() => {
                    self.break_off(&error::stopping(), Ending::Interrupted, &Outcome::Unharmed);
                }
            }
        }
    }

    fn take(&mut self, piece: Bytes) {
        let Some(meter) = &mut self.meter else { return };
        meter.first_byte();
        self.watch.push(piece, meter, &mut self.ready);
    }

    fn end(&mut self) {
        let Some(mut meter) = self.meter.take() else { return };
        match self.watch.finish(&mut meter, &mut self.ready) {
            Ok(()) => {
                self.lease.report(&Outcome::Success);
                meter.end(Ending::Completed, None);
            }
            Err(kind) => {
                self.lease.report(&Outcome::Failing { after: None });
                let ending = if kind == ErrorKind::Truncated { Ending::Truncated } else { Ending::Failed };
                meter.end(ending, Some(kind));
            }
        }
    }

    fn broke(&mut self, error: &TransportError) {
        let told = match error {
            TransportError::Timeout(_) => GatewayError::new(ErrorKind::Timeout, error.to_string()),
            _ => error::truncated(),
        };
        self.break_off(&told, Ending::Truncated, &Outcome::Failing { after: None });
    }

    fn break_off(&mut self, error: &GatewayError, ending: Ending, outcome: &Outcome) {
        self.upstream = None;
        self.broken = !self.watch.abort(error, &mut self.ready);
        self.lease.report(outcome);
        if let Some(meter) = self.meter.take() {
            meter.end(ending, Some(error.kind));
        }
    }
}

impl std::fmt::Debug for Passage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passage").field("length", &self.length).finish_non_exhaustive()
    }
}
