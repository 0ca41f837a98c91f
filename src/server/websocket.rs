//! Responses over a WebSocket (`GET /v1/responses`, upgraded): several turns on one connection, one at a time.
//!
//! Wire facts: OpenAI's guide "WebSocket mode". A turn is a `response.create` with the body of a request inline; its events
//! come as text messages in the order and form of a stream; errors are events too. Each turn is an exchange of its own.

mod held;
mod message;

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method,
        header::{CONNECTION, HeaderMap, UPGRADE},
    },
    web::{Bytes, Payload},
};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason, ProtocolError, Session};
use serde_json::Value;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use self::{
    held::Held,
    message::{Create, error_event},
};
use super::{
    Doors,
    delivery::refuse,
    door::Entry,
    inference::{admit, losses, not_admitted, plain_headers, text_header},
};
use crate::{
    dialect::{DialectId, SseFrame, framing::sse::SseDecoder},
    kernel::{
        error::{ErrorKind, GatewayError},
        id::RequestId,
    },
    pipeline::{Inbound, Pipeline, Refusal, Relay, Reply, ReplyBody, Told, Trail, conversation::sent_again},
    telemetry::{metrics, names},
    tenant::{LossPolicy, TenantScope},
};

const DIALECT: DialectId = DialectId::OpenaiResponses;
/// How long a connection lives: what OpenAI allows.
const LIFETIME: Duration = Duration::from_hours(1);
/// How often a silent client is asked for a sign of life; one that gives none in this time has gone.
const PULSE: Duration = Duration::from_secs(20);
/// How many turns may wait for the one that runs.
const MOST_WAITING: usize = 16;

/// Whether a request wants a WebSocket.
pub(super) fn is_asked(request: &HttpRequest) -> bool {
    let has = |headers: &HeaderMap, name, wanted: &str| {
        let mut words = headers.get_all(name).filter_map(|it| it.to_str().ok()).flat_map(|it| it.split(','));
        words.any(|it| it.trim().eq_ignore_ascii_case(wanted))
    };
    request.method() == Method::GET
        && has(request.headers(), UPGRADE, "websocket")
        && has(request.headers(), CONNECTION, "upgrade")
}

/// Lets a caller in and opens the connection; the turns are served beside it, on this thread.
pub(super) fn open(
    request: &HttpRequest,
    payload: Payload,
    doors: Arc<Doors>,
    entry: Entry,
    id: RequestId,
) -> HttpResponse {
    let refused = |error: &GatewayError| refuse(DIALECT, id, error, &Trail::default());
    let scope = match admit(request, &doors) {
        Ok(scope) => scope,
        Err(error) => return refused(&error),
    };
    if doors.is_draining() {
        return refused(&stopping());
    }
    let losses = match losses(request) {
        Ok(losses) => losses,
        Err(error) => return refused(&error),
    };
    let (response, session, messages) = match actix_ws::handle(request, payload) {
        Ok(opened) => opened,
        Err(error) => {
            let message = format!("no WebSocket can be opened: {error}");
            return refused(&GatewayError::new(ErrorKind::BadRequest, message));
        }
    };
    let limit = doors.body_limit;
    let messages = messages.max_frame_size(limit).aggregate_continuations().max_continuation_size(limit);
    let mut pulse = interval(PULSE);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stop = doors.pipeline.load().stop.clone();
    let socket = Socket {
        held: Held::new(limit),
        caller: Caller {
            scope,
            headers: plain_headers(request),
            upstream: entry.upstream.or_else(|| text_header(request, "model-provider")),
            losses,
        },
        doors,
        session,
        waiting: VecDeque::new(),
        waiting_bytes: 0,
        opened_at: Instant::now(),
        is_alive: true,
        pulse,
        stop,
    };
    actix_web::rt::spawn(socket.serve(messages));
    response
}

/// Who is on the other side.
struct Caller {
    scope: TenantScope,
    headers: http::HeaderMap,
    upstream: Option<String>,
    losses: Option<LossPolicy>,
}

/// An open connection.
struct Socket {
    doors: Arc<Doors>,
    caller: Caller,
    session: Session,
    /// Turns that wait.
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    held: Held,
    opened_at: Instant,
    /// Whether the client has been heard since the last pulse.
    is_alive: bool,
    pulse: Interval,
    stop: CancellationToken,
}

/// The connection is over; why, if the client is still there to be told.
struct Over(Option<CloseReason>);

impl Over {
    const GONE: Self = Self(None);

    fn because(code: CloseCode) -> Self {
        Self(Some(code.into()))
    }
}

impl Socket {
    async fn serve(mut self, mut messages: AggregatedMessageStream) {
        let Over(reason) = loop {
            if let Err(over) = self.next_turn(&mut messages).await {
                break over;
            }
        };
        let _ = self.session.close(reason).await;
    }

    async fn next_turn(&mut self, messages: &mut AggregatedMessageStream) -> Result<(), Over> {
        let stop = self.stop.clone();
        while self.waiting.is_empty() {
            tokio::select! {
                message = messages.recv() => self.hear(message).await?,
                _ = self.pulse.tick() => self.beat().await?,
                () = stop.cancelled() => return Err(Over::because(CloseCode::Away)),
            }
            if self.doors.is_draining() && self.waiting.is_empty() {
                return Err(Over::because(CloseCode::Away));
            }
        }
        let Some(text) = self.waiting.pop_front() else { return Ok(()) };
        self.waiting_bytes -= text.len();
        if self.opened_at.elapsed() >= LIFETIME {
            let mut error = GatewayError::new(
                ErrorKind::BadRequest,
                "this WebSocket has been open for an hour, which is the limit: open another one",
            );
            error.code = Some("websocket_connection_limit_reached".to_owned());
            self.say_error(&error).await?;
            return Err(Over::because(CloseCode::Normal));
        }
        let id = RequestId::new();
        let span = tracing::info_span!(
            "exchange",
            { names::REQUEST_ID } = %id,
            { names::DIALECT } = DIALECT.name(),
            { names::TENANT_ID } = %self.caller.scope.tenant()
        );
        self.turn(id, text, messages).instrument(span).await
    }

    /// Takes what the client says; a turn waits until it is its own.
    async fn hear(&mut self, message: Option<Result<AggregatedMessage, ProtocolError>>) -> Result<(), Over> {
        self.is_alive = true;
        match message {
            Some(Ok(AggregatedMessage::Text(text))) => self.line_up(text.into_bytes()).await,
            Some(Ok(AggregatedMessage::Ping(bytes))) => {
                self.session.pong(&bytes).await.map_err(|_| Over::GONE)
            }
            Some(Ok(AggregatedMessage::Pong(_))) => Ok(()),
            Some(Ok(AggregatedMessage::Binary(_))) => Err(Over::because(CloseCode::Unsupported)),
            Some(Ok(AggregatedMessage::Close(reason))) => Err(Over(reason)),
            Some(Err(ProtocolError::Overflow)) => Err(Over::because(CloseCode::Size)),
            Some(Err(ProtocolError::Io(_))) | None => Err(Over::GONE),
            Some(Err(_)) => Err(Over::because(CloseCode::Protocol)),
        }
    }

    async fn line_up(&mut self, text: Bytes) -> Result<(), Over> {
        if self.waiting.len() >= MOST_WAITING || self.waiting_bytes + text.len() > self.doors.body_limit {
            let message = "too much waits for the response that is being made: wait for its end";
            return self.say_error(&GatewayError::new(ErrorKind::RateLimited, message)).await;
        }
        self.waiting_bytes += text.len();
        self.waiting.push_back(text);
        Ok(())
    }

    async fn beat(&mut self) -> Result<(), Over> {
        if !std::mem::take(&mut self.is_alive) {
            return Err(Over::GONE);
        }
        self.session.ping(b"").await.map_err(|_| Over::GONE)
    }

    /// Does work while the client is listened to; when it leaves, the work is dropped.
    async fn during<T>(
        &mut self,
        work: impl Future<Output = T>,
        messages: &mut AggregatedMessageStream,
    ) -> Result<T, Over> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                message = messages.recv() => self.hear(message).await?,
                _ = self.pulse.tick() => self.beat().await?,
            }
        }
    }

    /// Serves one turn.
    async fn turn(
        &mut self,
        id: RequestId,
        text: Bytes,
        messages: &mut AggregatedMessageStream,
    ) -> Result<(), Over> {
        let guard = self.doors.enter();
        if self.doors.is_draining() {
            self.say_error(&stopping()).await?;
            return Err(Over::because(CloseCode::Away));
        }
        match self.doors.keys.readmit(&self.caller.scope, self.doors.clock.now()) {
            Ok(scope) => self.caller.scope = scope,
            Err(error) => {
                self.say_error(&not_admitted(error)).await?;
                return Err(Over::because(CloseCode::Policy));
            }
        }
        let mut create = match Create::read(&text) {
            Ok(create) => create,
            Err(error) => return self.say_error(&error).await,
        };
        drop(text);
        let previous = create.previous().map(str::to_owned);
        create.go_on_from(&self.held);
        let inbound = Inbound {
            id,
            scope: self.caller.scope,
            dialect: DIALECT,
            body: create.body(),
            headers: self.caller.headers.clone(),
            upstream: self.caller.upstream.clone(),
            told: Told::default(),
            losses: self.caller.losses,
        };
        let pipeline = self.doors.pipeline.load_full();
        let ended = if create.generates {
            let result = self.during(Box::pin(pipeline.run(inbound)), messages).await?;
            match result {
                Ok(reply) => self.answer(&pipeline, reply, &create, messages).await?,
                Err(Refusal { error, .. }) => self.refuse(&error).await?,
            }
        } else {
            match pipeline.check(&inbound) {
                Ok(()) => self.warm_up(&create, id).await?,
                Err(error) => self.refuse(&error).await?,
            }
        };
        if ended == Ended::Badly
            && let Some(previous) = previous
        {
            // As OpenAI does: what could not be gone on from is said anew.
            self.held.forget(&previous);
        }
        drop(guard);
        Ok(())
    }

    async fn refuse(&mut self, error: &GatewayError) -> Result<Ended, Over> {
        metrics::answered(DIALECT.name(), DIALECT.server().encode_error(error, RequestId::new()).0.as_u16());
        self.say_error(error).await.map(|()| Ended::Badly)
    }

    /// Gives an answer's events to the client, and holds what was said for the next turn.
    async fn answer(
        &mut self,
        pipeline: &Pipeline,
        reply: Reply,
        create: &Create,
        messages: &mut AggregatedMessageStream,
    ) -> Result<Ended, Over> {
        metrics::answered(DIALECT.name(), reply.status.as_u16());
        let is_native = pipeline.answered_in(&reply.trail) == Some(DIALECT);
        let mut events = Events { sse: SseDecoder::new(usize::MAX), frames: Vec::new(), last: None };
        match reply.body {
            ReplyBody::Whole(body) => self.say(events.of(body)).await?,
            ReplyBody::Stream(relay) => {
                let mut relay: Box<Relay> = relay;
                while let Some(bytes) = self.during(relay.next(), messages).await? {
                    let said = events.of(bytes);
                    self.say(said).await?;
                }
            }
        }
        self.say(events.rest()).await?;
        let Some(Value::Object(response)) = events.last.as_mut().map(|it| it["response"].take()) else {
            return Ok(Ended::Badly);
        };
        if let Some(id) = response.get("id").and_then(Value::as_str) {
            let output = response.get("output").and_then(Value::as_array).cloned().unwrap_or_default();
            let output = output.into_iter().filter_map(|it| sent_again(it, is_native));
            self.held.hold(id, create.base(), create.input().iter().cloned().chain(output).collect());
        }
        Ok(Ended::Well)
    }

    /// Answers without a model: what was sent is held for the turn that goes on from it.
    async fn warm_up(&mut self, create: &Create, id: RequestId) -> Result<Ended, Over> {
        let now = self.doors.clock.now().timestamp();
        let (response, events) = create.warmed_up(id, now);
        self.say(events).await?;
        self.held.hold(&response, create.base(), create.input().to_vec());
        Ok(Ended::Well)
    }

    async fn say(&mut self, events: Vec<Bytes>) -> Result<(), Over> {
        for event in events {
            // A stream of events is UTF-8.
            let Ok(text) = std::str::from_utf8(&event) else { continue };
            self.session.text(text.to_owned()).await.map_err(|_| Over::GONE)?;
        }
        Ok(())
    }

    async fn say_error(&mut self, error: &GatewayError) -> Result<(), Over> {
        self.say(vec![error_event(error)]).await
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Well,
    Badly,
}

/// A stream's events, taken out of its frames.
struct Events {
    sse: SseDecoder,
    frames: Vec<SseFrame>,
    /// The event that ended the response well.
    last: Option<Value>,
}

impl Events {
    fn of(&mut self, bytes: Bytes) -> Vec<Bytes> {
        // Frames of any size: they have been bounded on their way here.
        let _ = self.sse.push(bytes, &mut self.frames);
        self.taken()
    }

    fn rest(&mut self) -> Vec<Bytes> {
        self.sse.finish(&mut self.frames);
        self.taken()
    }

    fn taken(&mut self) -> Vec<Bytes> {
        let frames = std::mem::take(&mut self.frames).into_iter();
        frames
            .map(|frame| frame.data)
            .filter(|data| data.starts_with(b"{"))
            .inspect(|data| {
                if memchr::memmem::find(data, b"\"response.completed\"").is_some()
                    || memchr::memmem::find(data, b"\"response.incomplete\"").is_some()
                {
                    let event = serde_json::from_slice::<Value>(data).ok();
                    let is_end = |it: &Value| {
                        matches!(it["type"].as_str(), Some("response.completed" | "response.incomplete"))
                    };
                    self.last = event.filter(is_end).or(self.last.take());
                }
            })
            .collect()
    }
}

fn stopping() -> GatewayError {
    GatewayError::new(ErrorKind::Unavailable, "the gateway is stopping: try again")
        .retry_after(Some(Duration::from_secs(1)))
}
