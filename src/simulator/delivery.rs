//! How an answer travels: delays, pieces, breaks.

use std::{future::pending, io, time::Duration};

use actix_web::{
    HttpResponse,
    body::SizedStream,
    http::{StatusCode, header::CONTENT_TYPE},
};
use bytes::{Bytes, BytesMut};
use futures::stream;
use tokio::{task::yield_now, time::sleep};

use crate::simulator::{
    log::{Outcome, Ticket},
    packing::{Packing, packed},
    responses,
    scenario::{Delay, Fault, FaultKind, Pace, Quirk},
    vendor::{Headers, Vendor},
};

/// An answer, ready to go.
pub(super) struct Delivery {
    pub status: u16,
    pub content_type: String,
    pub headers: Headers,
    pub body: Body,
    pub delay: Delay,
    pub ending: Ending,
}

pub(super) enum Body {
    /// Sent with its length.
    Whole(Bytes),
    /// Sent with this length, of which only the pieces come.
    Short(u64, Vec<Bytes>),
    /// Sent in chunks.
    Pieces(Vec<Bytes>),
    /// Not even headers, forever.
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Done,
    /// Ends properly, but too early: in the log it is cut.
    Early,
    Close,
    Hang,
    Heartbeat,
}

impl Delivery {
    pub(super) fn whole(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type: content_type.to_owned(),
            headers: Vec::new(),
            body: Body::Whole(body.into()),
            delay: Delay::default(),
            ending: Ending::Done,
        }
    }

    pub(super) fn never() -> Self {
        Self { body: Body::Never, ..Self::whole(0, "", Bytes::new()) }
    }

    pub(super) fn stream(frames: Vec<Bytes>) -> Self {
        let mut delivery = Self::whole(200, "text/event-stream; charset=utf-8", Bytes::new());
        delivery.headers.push(("cache-control".into(), "no-cache".into()));
        delivery.body = Body::Pieces(frames);
        delivery
    }

    /// Breaks the answer as the fault says.
    pub(super) fn break_off(&mut self, fault: &Fault, vendor: &Vendor, quirks: &[Quirk]) {
        self.ending = match fault.kind {
            FaultKind::Close => Ending::Close,
            FaultKind::Hang => Ending::Hang,
            FaultKind::Heartbeat => Ending::Heartbeat,
            FaultKind::End | FaultKind::Error | FaultKind::Garbage => Ending::Early,
        };
        let body = std::mem::replace(&mut self.body, Body::Whole(Bytes::new()));
        self.body = match body {
            Body::Whole(whole) => {
                let kept = fault.after_bytes.unwrap_or(whole.len() / 2).min(whole.len());
                Body::Short(whole.len() as u64, vec![whole.slice(..kept)])
            }
            unchanged @ (Body::Short(..) | Body::Never) => unchanged,
            Body::Pieces(frames) => Body::Pieces(shortened(frames, fault, vendor, quirks)),
        };
    }

    /// Cuts a stream into the pieces the pace asks for.
    pub(super) fn set_pace(&mut self, pace: &Pace) {
        let Body::Pieces(frames) = &mut self.body else { return };
        if pace.crlf {
            for frame in frames.iter_mut() {
                *frame = with_crlf(frame);
            }
        }
        if let Some(size) = pace.chunk_bytes {
            let all: Bytes = frames.concat().into();
            *frames = (0..all.len())
                .step_by(size.max(1))
                .map(|at| all.slice(at..all.len().min(at + size.max(1))))
                .collect();
        }
    }

    /// Packs the answer, each piece so that it can be read when it comes.
    pub(super) fn pack(&mut self, packing: Packing) {
        let packed = match &self.body {
            Body::Whole(whole) => {
                packed(packing, std::slice::from_ref(whole)).map(|it| Body::Whole(it.concat().into()))
            }
            Body::Pieces(pieces) => packed(packing, pieces).map(Body::Pieces),
            Body::Short(..) | Body::Never => return,
        };
        if let Ok(packed) = packed {
            self.body = packed;
            self.headers.push(("content-encoding".into(), packing.name().into()));
            self.headers.push(("vary".into(), "accept-encoding".into()));
        }
    }

    /// Sends the answer off; the ticket learns how that ended.
    pub(super) async fn send(self, mut ticket: Ticket) -> HttpResponse {
        pause(self.delay.headers).await;
        let mut response = HttpResponse::build(StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK));
        response.insert_header((CONTENT_TYPE, self.content_type));
        for (name, value) in &self.headers {
            response.insert_header((name.as_str(), value.as_str()));
        }
        match self.body {
            Body::Never => pending().await,
            Body::Whole(whole) => {
                pause(self.delay.first_chunk).await;
                ticket.end(Outcome::Finished);
                response.body(whole)
            }
            Body::Short(length, pieces) => {
                response.body(SizedStream::new(length, travel(pieces, self.delay, self.ending, ticket)))
            }
            Body::Pieces(pieces) => response.streaming(travel(pieces, self.delay, self.ending, ticket)),
        }
    }
}

fn shortened(mut frames: Vec<Bytes>, fault: &Fault, vendor: &Vendor, quirks: &[Quirk]) -> Vec<Bytes> {
    frames.truncate(fault.after_events.unwrap_or(usize::MAX));
    if let Some(bytes) = fault.after_bytes {
        let mut all = Bytes::from(frames.concat());
        all.truncate(bytes);
        frames = vec![all];
    }
    match (fault.kind, &fault.error) {
        (FaultKind::Error, Some(error)) => {
            let flat = quirks.contains(&Quirk::FlatError);
            let event = if flat {
                responses::flat_error(error, &frames)
            } else {
                (vendor.error_event)(error, &frames)
            };
            frames.push(event);
        }
        (FaultKind::Garbage, _) => {
            frames.push(Bytes::from_static(b"data: {\"this is\": no JSON\xFF\xFE\n\n\x00\x01"));
        }
        _ => {}
    }
    frames
}

fn with_crlf(frame: &Bytes) -> Bytes {
    let mut changed = BytesMut::with_capacity(frame.len() + 8);
    for line in frame.split_inclusive(|it| *it == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(text) => {
                changed.extend_from_slice(text);
                changed.extend_from_slice(b"\r\n");
            }
            None => changed.extend_from_slice(line),
        }
    }
    changed.freeze()
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}

struct Travel {
    pieces: std::vec::IntoIter<Bytes>,
    first: bool,
    delay: Delay,
    ending: Ending,
    ticket: Ticket,
}

/// The pieces, each flushed before the next, then the ending.
fn travel(
    pieces: Vec<Bytes>,
    delay: Delay,
    ending: Ending,
    ticket: Ticket,
) -> impl futures::Stream<Item = Result<Bytes, io::Error>> {
    let start = Travel { pieces: pieces.into_iter(), first: true, delay, ending, ticket };
    stream::unfold(start, |mut it| async move {
        let before = if it.first { it.delay.first_chunk } else { it.delay.between };
        match it.pieces.next() {
            Some(piece) => {
                pause(before).await;
                if !it.first {
                    // Gives the server the chance to write what it has.
                    yield_now().await;
                }
                it.first = false;
                Some((Ok(piece), it))
            }
            None => end(it).await,
        }
    })
}

async fn end(mut it: Travel) -> Option<(Result<Bytes, io::Error>, Travel)> {
    match it.ending {
        Ending::Done => it.ticket.end(Outcome::Finished),
        Ending::Early => it.ticket.end(Outcome::Cut),
        Ending::Hang => pending().await,
        Ending::Heartbeat => {
            // One that never rests would leave the server no time for anything else.
            pause(it.delay.between.max(Duration::from_millis(1))).await;
            return Some((Ok(Bytes::from_static(b": keepalive\n\n")), it));
        }
        Ending::Close => {
            // Else the server throws away what it has not written yet.
            yield_now().await;
            it.ticket.end(Outcome::Cut);
            return Some((Err(io::Error::other("the scenario closes the connection here")), it));
        }
    }
    None
}
