//! A body that is passed on while it comes: from the connection's thread, within its bounds, to whoever sends it.

use actix_web::{
    HttpRequest,
    web::{Bytes, Payload},
};
use futures::{SinkExt as _, StreamExt as _, channel::mpsc, stream};

use super::{Doors, inference::text_header};
use crate::{
    kernel::error::{ErrorKind, GatewayError},
    pipeline::Upload,
};

/// How many pieces may wait to be sent.
const WAITING: usize = 4;

/// A piece, or the proper end: a sender that merely goes away has left the body unfinished.
enum Event {
    Piece(Result<Bytes, GatewayError>),
    End,
}

/// The body as the pipeline takes it, and the work that brings it: to be done beside, until the answer is here.
pub(super) fn bridge(
    request: &HttpRequest,
    payload: Payload,
    doors: &Doors,
) -> Result<(Upload, impl Future<Output = ()>), GatewayError> {
    if text_header(request, "content-encoding").is_some_and(|it| !it.eq_ignore_ascii_case("identity")) {
        let message = "a compressed form is not understood: send it without `content-encoding`";
        return Err(GatewayError::new(ErrorKind::UnsupportedMediaType, message));
    }
    let length = text_header(request, "content-length").and_then(|it| it.parse::<u64>().ok());
    if length.is_some_and(|it| it > doors.upload_limit) {
        return Err(too_large(doors));
    }
    let (sender, receiver) = mpsc::channel(WAITING);
    let pieces = stream::unfold(Some(receiver), |receiver| async move {
        let mut receiver = receiver?;
        match receiver.next().await {
            Some(Event::Piece(Ok(piece))) => Some((Ok(piece), Some(receiver))),
            Some(Event::Piece(Err(error))) => Some((Err(error), None)),
            Some(Event::End) => None,
            None => Some((Err(broke_off()), None)),
        }
    });
    let content_type = text_header(request, "content-type").unwrap_or_default();
    Ok((Upload { content_type, length, pieces: pieces.boxed() }, pump(payload, sender, doors)))
}

async fn pump(mut payload: Payload, mut sender: mpsc::Sender<Event>, doors: &Doors) {
    let mut sent = 0_u64;
    loop {
        let next = tokio::time::timeout(doors.body_timeout, payload.next()).await;
        let event = match next {
            Ok(None) => Event::End,
            Ok(Some(Ok(piece))) => {
                sent += piece.len() as u64;
                Event::Piece(if sent > doors.upload_limit { Err(too_large(doors)) } else { Ok(piece) })
            }
            Ok(Some(Err(_))) => Event::Piece(Err(broke_off())),
            Err(_) => Event::Piece(Err(too_slow(doors))),
        };
        let is_last = !matches!(event, Event::Piece(Ok(_)));
        if sender.send(event).await.is_err() || is_last {
            return;
        }
    }
}

fn too_large(doors: &Doors) -> GatewayError {
    let message = format!("the body is larger than {} bytes", doors.upload_limit);
    GatewayError::new(ErrorKind::TooLarge, message)
}

fn broke_off() -> GatewayError {
    GatewayError::new(ErrorKind::BadRequest, "the body broke off")
}

fn too_slow(doors: &Doors) -> GatewayError {
    let limit = humantime::format_duration(doors.body_timeout);
    GatewayError::new(
        ErrorKind::SlowRequest,
        format!("nothing of the body came for {limit}: send it at once"),
    )
}
