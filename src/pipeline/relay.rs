//! Home again: the upstream's bytes become the client's, counted on the way.
//!
//! When the client leaves, the relay is dropped, and with it the upstream call, the lease and the meter.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use futures::StreamExt;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{
    Pipeline,
    attempt::{Failed, Flight},
    conversation::Keeper,
    course::Course,
    error,
    pulse::Pulse,
};
use crate::{
    credential::{Lease, Outcome},
    dialect::DialectId,
    kernel::error::{ErrorKind, GatewayError},
    upstream::{
        Failure, Verdict,
        transport::{ByteStream, TimeoutKind, TransportError},
    },
    usage::{Ending, Meter},
};

/// A stream on its way to the client.
pub struct Relay {
    upstream: Option<ByteStream>,
    course: Course,
    ready: VecDeque<Bytes>,
    meter: Option<Meter>,
    /// Whether the meter knows the answer's id.
    is_named: bool,
    lease: Lease,
    keeper: Option<Keeper>,
    client: DialectId,
    pulse: Pulse,
    keep_alive: Duration,
    commit_after: Duration,
    stop: CancellationToken,
}

impl Relay {
    pub(super) fn new(flight: Flight<'_>, upstream: ByteStream, pipeline: &Pipeline) -> Self {
        let context = flight.lane.context(flight.inbound, &*pipeline.clock);
        Self {
            upstream: Some(upstream),
            course: flight.lane.course(&context),
            ready: VecDeque::new(),
            meter: Some(flight.meter),
            is_named: false,
            lease: flight.lease,
            keeper: None,
            client: flight.lane.client(),
            pulse: Pulse::new(flight.upstream.dead_after(), Instant::now()),
            keep_alive: pipeline.bounds.keep_alive,
            commit_after: pipeline.bounds.commit_after,
            stop: pipeline.stop.clone(),
        }
    }

    /// Waits for the first content, so that a failure before it can still be another's success.
    pub(super) async fn prime(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + self.commit_after;
        loop {
            let Some(upstream) = &mut self.upstream else { return Ok(()) };
            let stop = self.stop.clone();
            let next = tokio::select! {
                next = timeout_at(deadline, upstream.next()) => next,
                () = stop.cancelled() => return Ok(()),
            };
            match next {
                Err(_) => return Ok(()),
                Ok(Some(Ok(chunk))) => self.take(chunk),
                Ok(Some(Err(it))) => return Err(Failure::Transport(it)),
                Ok(None) => self.take_end(),
            }
            if let Some(wire) = self.course.progress.error.take() {
                if !self.course.progress.has_content {
                    return Err(Failure::Stream(wire));
                }
                self.course.progress.error = Some(wire);
                return Ok(());
            }
            if self.course.progress.has_content || self.course.progress.ended {
                return Ok(());
            }
        }
    }

    pub(super) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Gives up before the client was told anything.
    pub(super) fn fail_before_commit(mut self, verdict: Verdict) -> Failed {
        self.lease.report(&verdict.outcome);
        self.tell();
        if let Some(meter) = self.meter.take() {
            meter.end(ending_of(verdict.error.kind), Some(verdict.error.kind));
        }
        Failed { error: verdict.error, next: verdict.next, state_refused: false }
    }

    /// Has what passes kept.
    pub(super) fn keep_by(&mut self, keeper: Keeper) {
        self.keeper = Some(keeper);
    }

    /// The next bytes for the client; `None` at the end.
    pub async fn next(&mut self) -> Option<Bytes> {
        let bytes = self.advance().await?;
        if let Some(keeper) = &mut self.keeper {
            keeper.watch(&bytes).await;
        }
        Some(bytes)
    }

    async fn advance(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some(bytes);
            }
            if self.course.progress.error.is_some() {
                self.fail();
                continue;
            }
            let upstream = self.upstream.as_mut()?;
            let silent_until = Instant::now() + self.keep_alive;
            let stop = self.stop.clone();
            let next = tokio::select! {
                biased;
                next = timeout_at(silent_until, upstream.next()) => next,
                () = stop.cancelled() => {
                    self.interrupt();
                    continue;
                }
            };
            match next {
                Err(_) => return Some(self.client.server().keep_alive()),
                Ok(Some(Ok(chunk))) => self.take(chunk),
                Ok(Some(Err(it))) => self.broke(&it),
                Ok(None) => self.take_end(),
            }
        }
    }

    fn take(&mut self, chunk: Bytes) {
        if !self.pulse.hears(&chunk, Instant::now()) {
            return self.broke(&TransportError::Timeout(TimeoutKind::Idle));
        }
        let mut out = Vec::new();
        self.course.push(chunk, &mut out);
        self.ready.extend(out);
        if self.course.progress.has_content
            && let Some(meter) = &mut self.meter
        {
            meter.first_byte();
        }
        self.tell();
        if self.course.progress.ended && self.course.progress.error.is_none() {
            self.settle();
        }
    }

    fn take_end(&mut self) {
        self.upstream = None;
        let mut out = Vec::new();
        self.course.end(&mut out);
        self.ready.extend(out);
        self.tell();
        if self.course.progress.error.is_none() {
            self.settle();
        }
    }

    /// Tells the meter what is known, so that it is right whenever the client leaves.
    fn tell(&mut self) {
        let Some(meter) = &mut self.meter else { return };
        let progress = &mut self.course.progress;
        meter.usage(&progress.usage);
        meter.text(&mut progress.text);
        if !self.is_named && progress.id.is_some() {
            meter.answered(progress.id.as_deref(), progress.model.as_deref());
            self.is_named = true;
        }
        if let Some(finish) = progress.finish {
            meter.finish(finish);
        }
    }

    /// The answer is complete, whether or not the client waits for the last bytes.
    fn settle(&mut self) {
        if let Some(meter) = self.meter.take() {
            self.lease.report(&Outcome::Success);
            meter.end(Ending::Completed, None);
        }
    }

    /// The connection broke off; what came before it may still have been the end.
    fn broke(&mut self, error: &TransportError) {
        self.take_end();
        if let Some(wire) = &mut self.course.progress.error
            && matches!(error, TransportError::Timeout(_))
        {
            wire.kind = ErrorKind::Timeout;
            wire.message = error.to_string();
        }
    }

    /// The upstream failed after the first byte: the client is told in its own words, and nobody else is asked.
    fn fail(&mut self) {
        let Some(wire) = self.course.progress.error.take() else { return };
        self.upstream = None;
        if !self.course.error_was_forwarded() {
            self.abort(&error::wire(&wire));
        }
        if let Some(meter) = self.meter.take() {
            self.lease.report(&Outcome::Failing { after: None });
            meter.end(ending_of(wire.kind), Some(wire.kind));
        }
    }

    fn interrupt(&mut self) {
        self.upstream = None;
        self.abort(&error::stopping());
        if let Some(meter) = self.meter.take() {
            meter.end(Ending::Interrupted, Some(ErrorKind::Unavailable));
        }
    }

    fn abort(&mut self, error: &GatewayError) {
        let mut out = Vec::new();
        self.course.abort(error, &mut out);
        self.ready.extend(out);
    }
}

const fn ending_of(kind: ErrorKind) -> Ending {
    match kind {
        ErrorKind::Truncated => Ending::Truncated,
        _ => Ending::Failed,
    }
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay").field("client", &self.client).finish_non_exhaustive()
    }
}
