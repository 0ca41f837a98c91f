//! Answers that are long in coming: they begin with a sign of life, so that nobody between hangs up.

use std::{convert::Infallible, pin::Pin, time::Duration};

use actix_web::web::Bytes;
use bytes::BytesMut;
use futures::{Stream, stream};
use tokio::time::{sleep, timeout};

use super::{InFlight, Manner};
use crate::{
    dialect::{DialectId, ReplyContext},
    kernel::{clock::Clock, id::RequestId},
    pipeline::{Refusal, Relay, Reply, ReplyBody, Told, is_stream_asked},
};

/// A run of the pipeline, wherever it is.
pub(super) type Run = Pin<Box<dyn Future<Output = Result<Reply, Refusal>>>>;

/// What has become of a run.
pub(super) enum Waited {
    Answered(Result<Reply, Refusal>),
    /// It goes on behind an answer that has begun.
    Begun(Overdue),
}

/// What was asked, as far as signs of life depend on it.
pub(super) struct Asked {
    pub(super) dialect: DialectId,
    pub(super) request: RequestId,
    pub(super) body: Bytes,
    pub(super) told: Told,
}

/// A run whose answer has begun.
pub(super) struct Overdue {
    run: Run,
    sign: Bytes,
    every: Duration,
    /// How a failure is told, now that the status is gone.
    refuse: Box<dyn Fn(&Refusal) -> Bytes>,
    pub(super) is_stream: bool,
    pub(super) json_array: bool,
}

/// Waits for a run as long as the operator allows.
pub(super) async fn wait(mut run: Run, manner: Manner, asked: Asked, clock: &dyn Clock) -> Waited {
    let Some(first) = [manner.stream_start_after, manner.nonstream_keep_alive].into_iter().flatten().min()
    else {
        return Waited::Answered(run.await);
    };
    if let Ok(answered) = timeout(first, &mut run).await {
        return Waited::Answered(answered);
    }
    let is_stream = is_stream_asked(&asked.body, &asked.told);
    let own = if is_stream { manner.stream_start_after } else { manner.nonstream_keep_alive };
    let Some(own) = own else { return Waited::Answered(run.await) };
    if let Ok(answered) = timeout(own.saturating_sub(first), &mut run).await {
        return Waited::Answered(answered);
    }
    Waited::Begun(Overdue::new(run, manner, asked, is_stream, clock))
}

impl Overdue {
    fn new(run: Run, manner: Manner, asked: Asked, is_stream: bool, clock: &dyn Clock) -> Self {
        let Asked { dialect, request, told, .. } = asked;
        let json_array = told.json_array;
        let context =
            ReplyContext { json_array, ..ReplyContext::new(request, String::new(), clock.now().timestamp()) };
        let refuse = move |refusal: &Refusal| {
            if !is_stream {
                return dialect.server().encode_error(&refusal.error, request).1;
            }
            let mut out = BytesMut::new();
            dialect.server().event_encoder(&context).abort(&refusal.error, &mut out);
            out.freeze()
        };
        // White space before a JSON text is none of it.
        let sign =
            if is_stream && !json_array { dialect.server().keep_alive() } else { Bytes::from_static(b"\n") };
        let every =
            if is_stream { manner.keep_alive } else { manner.nonstream_keep_alive.unwrap_or_default() };
        let every = every.max(Duration::from_millis(100));
        Self { run, sign, every, refuse: Box::new(refuse), is_stream, json_array }
    }

    /// The answer's bytes: signs of life, then what came of the run.
    pub(super) fn into_stream(self, guard: InFlight) -> impl Stream<Item = Result<Bytes, Infallible>> {
        let first = self.sign.clone();
        stream::unfold((Phase::First(first, self), guard), |(phase, guard)| async move {
            let (bytes, phase) = phase.next().await?;
            Some((Ok(bytes), (phase, guard)))
        })
    }
}

enum Phase {
    First(Bytes, Overdue),
    Waiting(Overdue),
    Relaying(Box<Relay>),
    Over,
}

impl Phase {
    async fn next(self) -> Option<(Bytes, Self)> {
        match self {
            Self::First(sign, overdue) => Some((sign, Self::Waiting(overdue))),
            Self::Waiting(mut overdue) => {
                let answered = tokio::select! {
                    answered = &mut overdue.run => answered,
                    () = sleep(overdue.every) => return Some((overdue.sign.clone(), Self::Waiting(overdue))),
                };
                match answered {
                    Err(refusal) => Some(((overdue.refuse)(&refusal), Self::Over)),
                    Ok(Reply { body: ReplyBody::Whole(body), .. }) => Some((body, Self::Over)),
                    Ok(Reply { body: ReplyBody::Stream(relay), .. }) => relayed(relay).await,
                }
            }
            Self::Relaying(relay) => relayed(relay).await,
            Self::Over => None,
        }
    }
}

async fn relayed(mut relay: Box<Relay>) -> Option<(Bytes, Phase)> {
    let bytes = relay.next().await?;
    Some((bytes, Phase::Relaying(relay)))
}
