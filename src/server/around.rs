//! The doors around the dialects: embeddings, images, sounds, files, batches. One call to the pipeline for each.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    body::SizedStream,
    http::header::CACHE_CONTROL,
    web::{Bytes, Payload},
};
use futures::stream;

use super::{
    Doors, InFlight,
    body::read,
    delivery::{Pack, deliver, refuse, status, trail_headers},
    door::{Door, Entry},
    inference::{losses, plain_headers, text_header},
    upload,
};
use crate::{
    dialect::DialectId,
    kernel::{error::GatewayError, id::RequestId},
    pipeline::{
        Deed, Delivery, Goods, Inbound, Passage, Refusal, Reply, ReplyBody, ReplyForm, Upload,
        forward::BrokenOff,
    },
    tenant::TenantScope,
};

/// Answers on one of these doors.
pub(super) async fn answer(
    request: &HttpRequest,
    payload: Payload,
    doors: &Arc<Doors>,
    entry: Entry,
    (id, dialect): (RequestId, DialectId),
    scope: TenantScope,
    guard: InFlight,
) -> HttpResponse {
    let pack = Pack::of(request, doors);
    match ask(request, payload, doors, entry, (id, dialect), scope).await {
        Ok(delivery) => hand_over(delivery, id, guard, pack),
        Err(Refusal { error, trail }) => refuse(dialect, id, &error, &trail),
    }
}

async fn ask(
    request: &HttpRequest,
    payload: Payload,
    doors: &Arc<Doors>,
    entry: Entry,
    (id, dialect): (RequestId, DialectId),
    scope: TenantScope,
) -> Result<Delivery, Refusal> {
    let content_type = text_header(request, "content-type").unwrap_or_default();
    let has_form = request.method() == "POST" && Upload::suits(&content_type);
    let upstream = entry.upstream.clone().or_else(|| text_header(request, "model-provider"));
    let losses = losses(request)?;
    let inbound = |body| Inbound {
        id,
        scope,
        dialect,
        body,
        headers: plain_headers(request),
        upstream: upstream.clone(),
        told: entry.told.clone(),
        losses,
    };
    if has_form {
        let (upload, pump) = upload::bridge(request, payload, doors)?;
        let pumping = async {
            pump.await;
            // What is missing now is the answer.
            std::future::pending().await
        };
        return tokio::select! {
            biased;
            result = send(doors, &entry.door, inbound(Bytes::new()), request, Some(upload)) => result,
            never = pumping => never,
        };
    }
    let body = if request.method() == "POST" { read(request, payload, doors).await? } else { Bytes::new() };
    send(doors, &entry.door, inbound(body), request, None).await
}

async fn send(
    doors: &Doors,
    door: &Door,
    inbound: Inbound,
    request: &HttpRequest,
    upload: Option<Upload>,
) -> Result<Delivery, Refusal> {
    let pipeline = doors.pipeline.load_full();
    match door {
        Door::Forward(operation) => pipeline.forward(inbound, *operation, upload).await,
        Door::Objects(shelf, deed) => {
            let deed = match deed {
                Deed::List if request.method() == "POST" => Deed::Create,
                Deed::Read(id) if request.method() == "DELETE" => Deed::Delete(id.clone()),
                deed => deed.clone(),
            };
            pipeline.objects(inbound, *shelf, deed, request.query_string(), upload).await
        }
        _ => Err(GatewayError::new(
            crate::kernel::error::ErrorKind::Internal,
            "this path has no operation of its own",
        )
        .into()),
    }
}

/// Gives the answer to the client.
fn hand_over(delivery: Delivery, id: RequestId, guard: InFlight, pack: Pack) -> HttpResponse {
    let Delivery { status: code, headers, body, trail } = delivery;
    let passage = match body {
        Goods::Whole(body) => {
            let body = ReplyBody::Whole(body);
            let reply = Reply { status: code, headers, form: ReplyForm::Json, body, trail };
            return deliver(reply, id, guard, pack);
        }
        Goods::Passage(passage) => passage,
    };
    let mut builder = HttpResponse::build(status(code));
    for (name, value) in &headers {
        builder.append_header((name.as_str(), value.as_bytes()));
    }
    trail_headers(&mut builder, id, &trail);
    if headers.get("content-type").is_some_and(|it| it.as_bytes().starts_with(b"text/event-stream")) {
        builder.insert_header((CACHE_CONTROL, "no-cache")).insert_header(("x-accel-buffering", "no"));
    }
    let length = passage.length();
    let pieces = pieces_of(passage, guard);
    match length {
        Some(length) => builder.body(SizedStream::new(length, pieces)),
        None => builder.streaming(pieces),
    }
}

/// A passage as a body: what breaks off there, breaks off here; dropping it is leaving.
fn pieces_of(
    passage: Box<Passage>,
    guard: InFlight,
) -> impl futures::Stream<Item = Result<Bytes, BrokenOff>> {
    stream::unfold((passage, guard), |(mut passage, guard)| async move {
        let piece = passage.next().await?;
        Some((piece, (passage, guard)))
    })
}
