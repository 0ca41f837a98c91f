//! The answer on its way out: status, headers, and a body that is whole, in pieces or a stream; an error likewise.

use std::collections::HashSet;

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    body::SizedStream,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY},
    },
    web::Bytes,
};
use futures::stream;

use super::{
    Doors, InFlight, TRANSLATION,
    compression::{self, Packer, Packing},
    patience::Overdue,
};
use crate::{
    dialect::DialectId,
    kernel::{error::GatewayError, id::RequestId},
    pipeline::{Relay, Reply, ReplyBody, ReplyForm, Trail},
};

/// The longest `x-dragoman-translation` header, in bytes.
const MAX_TRANSLATION: usize = 1024;

/// The most of a whole answer that is given to be written at once, in bytes.
const PIECE: usize = 64 << 10;

/// What of answers is compressed, and how this client likes it.
#[derive(Clone, Copy)]
pub(super) struct Pack {
    packing: Option<Packing>,
    streams: bool,
}

impl Pack {
    pub(super) fn of(request: &HttpRequest, doors: &Doors) -> Self {
        let packing = doors.manner.pack_whole.then(|| Packing::accepted(request)).flatten();
        Self { packing, streams: doors.manner.pack_streams }
    }
}

/// An answer whose status is told before it is known what it will be.
pub(super) fn begun(overdue: Overdue, id: RequestId, guard: InFlight) -> HttpResponse {
    let form = match (overdue.is_stream, overdue.json_array) {
        (false, _) => ReplyForm::Json,
        (true, false) => ReplyForm::Events,
        (true, true) => ReplyForm::JsonArray,
    };
    let mut builder = HttpResponse::Ok();
    trail_headers(&mut builder, id, &Trail::default());
    stream_headers(&mut builder, form);
    builder.streaming(overdue.into_stream(guard))
}

/// Gives the answer to the client.
pub(super) fn deliver(reply: Reply, id: RequestId, guard: InFlight, pack: Pack) -> HttpResponse {
    let mut builder = HttpResponse::build(status(reply.status));
    for (name, value) in &reply.headers {
        builder.append_header((name.as_str(), value.as_bytes()));
    }
    trail_headers(&mut builder, id, &reply.trail);
    match reply.body {
        ReplyBody::Whole(body) => {
            builder.insert_header((CONTENT_TYPE, content_type(reply.form)));
            let packed = pack.packing.and_then(|it| Some((it, compression::pack(&body, it)?)));
            let body = match packed {
                Some((packing, packed)) => {
                    builder.insert_header((CONTENT_ENCODING, packing.name()));
                    builder.insert_header((VARY, "accept-encoding"));
                    packed
                }
                None => body,
            };
            if body.len() <= PIECE {
                return builder.body(body);
            }
            builder.body(SizedStream::new(body.len() as u64, pieces_of(body, guard)))
        }
        ReplyBody::Stream(relay) => {
            stream_headers(&mut builder, reply.form);
            let packer =
                pack.packing.filter(|_| pack.streams).and_then(|it| Some((it, Packer::new(it).ok()?)));
            match packer {
                Some((packing, packer)) => builder
                    .insert_header((CONTENT_ENCODING, packing.name()))
                    .insert_header((VARY, "accept-encoding"))
                    .streaming(packed_bytes_of(relay, guard, packer)),
                None => builder.streaming(bytes_of(relay, guard)),
            }
        }
    }
}

const fn content_type(form: ReplyForm) -> &'static str {
    match form {
        ReplyForm::Json | ReplyForm::JsonArray => "application/json",
        ReplyForm::Events => "text/event-stream; charset=utf-8",
    }
}

fn stream_headers(builder: &mut HttpResponseBuilder, form: ReplyForm) {
    builder
        .insert_header((CONTENT_TYPE, content_type(form)))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header(("x-accel-buffering", "no"));
}

/// A large answer in pieces: it counts as under way until the last of them is taken to be written.
fn pieces_of(
    body: Bytes,
    guard: InFlight,
) -> impl futures::Stream<Item = Result<Bytes, std::convert::Infallible>> {
    stream::unfold((body, guard), |(mut rest, guard)| async move {
        let piece = rest.split_to(rest.len().min(PIECE));
        (!piece.is_empty()).then_some((Ok(piece), (rest, guard)))
    })
}

/// The relay as a body; dropping it is leaving.
fn bytes_of(
    relay: Box<Relay>,
    guard: InFlight,
) -> impl futures::Stream<Item = Result<Bytes, std::convert::Infallible>> {
    stream::unfold((relay, guard), |(mut relay, guard)| async move {
        let bytes = relay.next().await?;
        Some((Ok(bytes), (relay, guard)))
    })
}

/// The relay as a packed body: each piece is packed as it comes, and the packing is ended with the stream.
fn packed_bytes_of(
    relay: Box<Relay>,
    guard: InFlight,
    packer: Packer,
) -> impl futures::Stream<Item = std::io::Result<Bytes>> {
    stream::unfold((relay, guard, Some(packer)), |(mut relay, guard, packer)| async move {
        let mut packer = packer?;
        Some(match relay.next().await {
            Some(bytes) => (packer.push(&bytes), (relay, guard, Some(packer))),
            None => (packer.finish(), (relay, guard, None)),
        })
    })
}

/// Says an error in the client's dialect.
pub(super) fn refuse(dialect: DialectId, id: RequestId, error: &GatewayError, trail: &Trail) -> HttpResponse {
    let (code, body) = dialect.server().encode_error(error, id);
    let mut builder = HttpResponse::build(status(code));
    if let Some(after) = error.retry_after {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        builder.insert_header(("retry-after", seconds.max(1).to_string()));
    }
    trail_headers(&mut builder, id, trail);
    builder.insert_header((CONTENT_TYPE, "application/json")).body(body)
}

pub(super) fn json(code: StatusCode, body: Bytes, id: RequestId) -> HttpResponse {
    let mut builder = HttpResponse::build(code);
    trail_headers(&mut builder, id, &Trail::default());
    builder.insert_header((CONTENT_TYPE, "application/json")).body(body)
}

pub(super) fn trail_headers(builder: &mut HttpResponseBuilder, id: RequestId, trail: &Trail) {
    builder.insert_header(("x-dragoman-request-id", id.to_string()));
    if trail.attempts > 0 {
        builder.insert_header(("x-dragoman-attempts", trail.attempts.to_string()));
    }
    if let Some(upstream) = &trail.upstream {
        builder.insert_header(("x-dragoman-upstream", upstream.as_str()));
    }
    if let Some(model) = &trail.model {
        builder.insert_header(("x-dragoman-model", model.as_str()));
    }
    if !trail.losses.is_empty() {
        builder.insert_header((TRANSLATION, translation(trail)));
    }
}

/// `dropped=/seed,/top_k; approximated=/temperature`. Each place is named once for what became of it.
fn translation(trail: &Trail) -> String {
    let mut text = String::new();
    let mut last = "";
    let mut losses: Vec<_> = trail.losses.iter().collect();
    let mut named = HashSet::new();
    losses.retain(|it| named.insert((it.action, it.at.as_str())));
    losses.sort_by_key(|it| it.action.name());
    for loss in losses {
        let before = text.len();
        if loss.action.name() == last {
            text.push(',');
        } else {
            text.push_str(if text.is_empty() { "" } else { "; " });
            text.push_str(loss.action.name());
            text.push('=');
            last = loss.action.name();
        }
        text.extend(loss.at.chars().filter(|it| it.is_ascii_graphic() && *it != ',' && *it != ';'));
        if text.len() > MAX_TRANSLATION {
            text.truncate(before);
            text.push_str("; more");
            break;
        }
    }
    text
}

pub(super) fn status(code: http::StatusCode) -> StatusCode {
    StatusCode::from_u16(code.as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{Loss, Severity};

    #[test]
    fn a_place_is_named_once_for_what_became_of_it() {
        let dropped = |at: &str| Loss::dropped(at, Severity::Cosmetic, "why");
        let approximated = Loss::approximated("/thinking", Severity::Semantic, "why");
        let losses = vec![dropped("/thinking"), dropped("/seed"), approximated, dropped("/thinking")];
        let trail = Trail { losses, ..Trail::default() };
        assert_eq!(translation(&trail), "approximated=/thinking; dropped=/thinking,/seed");
    }
}
