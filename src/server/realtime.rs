//! `/v1/realtime`: the client's WebSocket, joined to the upstream's.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_PROTOCOL},
    web::{Bytes, Payload},
};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason, ProtocolError, Session};
use futures::StreamExt as _;

use super::{
    Doors, InFlight,
    delivery::{refuse, trail_headers},
    door::Entry,
    inference::{plain_headers, text_header},
};
use crate::{
    dialect::DialectId,
    kernel::{
        error::{ErrorKind, GatewayError},
        id::RequestId,
    },
    pipeline::{
        Inbound, Refusal, Trail,
        forward::{Farewell, Frame, Hearing, Line, Speaking, beta_of_protocols},
    },
    tenant::TenantScope,
};

/// The largest message of a client, in bytes: sounds come in many small ones.
const MAX_MESSAGE: usize = 16 << 20;

/// The protocol that `OpenAI`'s clients for browsers offer and want to be agreed on.
const PROTOCOL: &str = "realtime";

/// Opens the upstream's side, then the client's; what the upstream refuses, the client is refused in HTTP.
pub(super) async fn answer(
    request: &HttpRequest,
    payload: Payload,
    doors: &Arc<Doors>,
    entry: Entry,
    (id, dialect): (RequestId, DialectId),
    scope: TenantScope,
    guard: InFlight,
) -> HttpResponse {
    if !is_upgrade(request.headers()) {
        let message = "this path wants a WebSocket: send `connection: upgrade` and `upgrade: websocket`";
        let error = GatewayError::new(ErrorKind::BadRequest, message);
        return refuse(dialect, id, &error, &Trail::default());
    }
    let protocols = protocols(request.headers());
    let mut inbound = Inbound {
        id,
        scope,
        dialect,
        body: Bytes::new(),
        headers: plain_headers(request),
        upstream: entry.upstream.or_else(|| text_header(request, "model-provider")),
        told: entry.told,
        losses: None,
    };
    beta_of_protocols(&mut inbound, &protocols);
    let line = match doors.pipeline.load_full().realtime(inbound, request.query_string()).await {
        Ok(line) => line,
        Err(Refusal { error, trail }) => return refuse(dialect, id, &error, &trail),
    };
    let (mut response, session, messages) = match actix_ws::handle(request, payload) {
        Ok(opened) => opened,
        Err(error) => {
            let error =
                GatewayError::new(ErrorKind::BadRequest, format!("no WebSocket can be opened: {error}"));
            return refuse(dialect, id, &error, &Trail::default());
        }
    };
    if protocols.split(',').any(|it| it.trim() == PROTOCOL) {
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    }
    let mut builder = HttpResponse::build(response.status());
    trail_headers(&mut builder, id, &line.trail);
    for (name, value) in builder.finish().headers() {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    let messages = messages.max_frame_size(MAX_MESSAGE).aggregate_continuations();
    // The answer's head must be on its way before messages are: the session goes on beside it, on this thread, and counts
    // as under way until it ends.
    actix_web::rt::spawn(relay(line, session, messages.max_continuation_size(MAX_MESSAGE), guard));
    response
}

/// Passes messages both ways until either side ends; dropping the rest ends the other.
async fn relay(line: Line, session: Session, messages: AggregatedMessageStream, guard: InFlight) {
    let Line { mut speaking, mut hearing, .. } = line;
    let left = {
        let up = std::pin::pin!(up(&mut speaking, messages, session.clone()));
        let down = std::pin::pin!(down(&mut hearing, session.clone()));
        match futures::future::select(up, down).await {
            futures::future::Either::Left((left, _)) => Some(left),
            futures::future::Either::Right(_) => None,
        }
    };
    match left {
        Some(Left::SaidGoodbye(reason)) => {
            hearing.hung_up();
            // The farewell passes on, and comes back.
            let _ = speaking.say(Frame::Close(reason.as_ref().map(farewell))).await;
            let _ = session.close(reason).await;
        }
        Some(Left::Refused(reason)) => {
            let _ = speaking.say(Frame::Close(None)).await;
            let _ = session.close(Some(reason)).await;
        }
        // The upstream has gone: `hearing` was about to say so.
        Some(Left::UpstreamGone) => {
            while !matches!(hearing.next().await, Frame::Close(_)) {}
            let _ = session.close(Some(CloseCode::Error.into())).await;
        }
        Some(Left::Gone) | None => {
            let _ = speaking.say(Frame::Close(None)).await;
        }
    }
    drop(guard);
}

/// How a client's side ended.
enum Left {
    SaidGoodbye(Option<CloseReason>),
    /// It said what cannot be passed on.
    Refused(CloseReason),
    UpstreamGone,
    Gone,
}

async fn up(speaking: &mut Speaking, mut messages: AggregatedMessageStream, mut session: Session) -> Left {
    while let Some(message) = messages.next().await {
        let frame = match message {
            Ok(AggregatedMessage::Text(text)) => Frame::Text(text.into_bytes()),
            Ok(AggregatedMessage::Binary(bytes)) => Frame::Binary(bytes),
            Ok(AggregatedMessage::Ping(bytes)) => {
                if session.pong(&bytes).await.is_err() {
                    return Left::Gone;
                }
                continue;
            }
            Ok(AggregatedMessage::Pong(_)) => continue,
            Ok(AggregatedMessage::Close(reason)) => return Left::SaidGoodbye(reason),
            Err(ProtocolError::Overflow) => return Left::Refused(CloseCode::Size.into()),
            Err(ProtocolError::Io(_)) => return Left::Gone,
            Err(_) => return Left::Refused(CloseCode::Protocol.into()),
        };
        if speaking.say(frame).await.is_err() {
            return Left::UpstreamGone;
        }
    }
    Left::Gone
}

async fn down(hearing: &mut Hearing, mut session: Session) {
    loop {
        let sent = match hearing.next().await {
            Frame::Text(text) => match std::str::from_utf8(&text) {
                Ok(text) => session.text(text.to_owned()).await,
                Err(_) => continue,
            },
            Frame::Binary(bytes) => session.binary(bytes).await,
            Frame::Close(farewell) => {
                let _ = session.close(farewell.map(reason)).await;
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

fn reason(farewell: Farewell) -> CloseReason {
    let description = Some(farewell.reason).filter(|it| !it.is_empty());
    CloseReason { code: CloseCode::from(farewell.code), description }
}

fn farewell(reason: &CloseReason) -> Farewell {
    Farewell { code: reason.code.into(), reason: reason.description.clone().unwrap_or_default() }
}

fn is_upgrade(headers: &HeaderMap) -> bool {
    let has = |name: &str, wanted: &str| {
        headers
            .get_all(name)
            .filter_map(|it| it.to_str().ok())
            .any(|it| it.split(',').any(|it| it.trim().eq_ignore_ascii_case(wanted)))
    };
    has("upgrade", "websocket") && has("connection", "upgrade")
}

fn protocols(headers: &HeaderMap) -> String {
    let name: HeaderName = SEC_WEBSOCKET_PROTOCOL;
    let all: Vec<&str> = headers.get_all(name).filter_map(|it| it.to_str().ok()).collect();
    all.join(",")
}
