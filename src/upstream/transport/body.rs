//! A body that is not waited for for ever.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures::Stream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{TimeoutKind, TransportError};

/// Ends in an error if nothing comes for too long, or the end is not reached in time.
///
/// Only waiting counts: while the reader is busy elsewhere, and the bytes lie ready, no time passes.
pub(super) struct TimedBody<S> {
    inner: S,
    idle: Duration,
    total: Option<Instant>,
    /// When the silence becomes too long; none while nobody waits.
    quiet_until: Option<Instant>,
    /// Armed late and moved seldom: it may go off too early, never too late.
    timer: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

impl<S> TimedBody<S> {
    pub(super) fn new(inner: S, idle: Duration, total: Option<Instant>) -> Self {
        Self { inner, idle, total, quiet_until: None, timer: None, ended: false }
    }

    /// Ready once a wait was too long.
    fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<TimeoutKind> {
        let idle = self.idle;
        let quiet_until = *self.quiet_until.get_or_insert_with(|| Instant::now() + idle);
        let (at, kind) = match self.total {
            Some(total) if total <= quiet_until => (total, TimeoutKind::Total),
            _ => (quiet_until, TimeoutKind::Idle),
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        loop {
            ready!(timer.as_mut().poll(cx));
            if at <= timer.deadline() {
                return Poll::Ready(kind);
            }
            timer.as_mut().reset(at);
        }
    }
}

impl<S> Stream for TimedBody<S>
where
    S: Stream<Item = Result<Bytes, TransportError>> + Unpin,
{
    type Item = Result<Bytes, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        loop {
            match Pin::new(&mut self.inner).poll_next(cx) {
                // An empty piece is no sign of life.
                Poll::Ready(Some(Ok(chunk))) if chunk.is_empty() => {}
                Poll::Ready(Some(Ok(chunk))) => {
                    self.quiet_until = None;
                    return Poll::Ready(Some(Ok(chunk)));
                }
                Poll::Ready(other) => {
                    self.ended = true;
                    return Poll::Ready(other);
                }
                Poll::Pending => break,
            }
        }
        let kind = ready!(self.poll_timeout(cx));
        self.ended = true;
        Poll::Ready(Some(Err(TransportError::Timeout(kind))))
    }
}
