//! The doors around the dialects: embeddings, images, sounds, files, batches. One call to the pipeline for each.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web::{Bytes, Payload}};

use super::{
    Doors, InFlight,
    door::{Door, Entry},
    inference::{deliver, plain_headers, read, refuse, text_header},
    upload,
};
use crate::{
    dialect::DialectId,
    kernel::{error::GatewayError, id::RequestId},
    pipeline::{Deed, Inbound, Refusal, Reply, Upload},
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
    match ask(request, payload, doors, entry, (id, dialect), scope).await {
        Ok(reply) => deliver(reply, id, guard),
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
) -> Result<Reply, Refusal> {
    let content_type = text_header(request, "content-type").unwrap_or_default();
    let has_form = request.method() == "POST" && Upload::suits(&content_type);
    let upstream = entry.upstream.clone().or_else(|| text_header(request, "model-provider"));
    let inbound = |body| Inbound {
        id,
        scope,
        dialect,
        body,
        headers: plain_headers(request),
        upstream: upstream.clone(),
        told: entry.told.clone(),
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
) -> Result<Reply, Refusal> {
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

