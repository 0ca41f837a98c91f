//! Alive, ready, and what the numbers are.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse};

use super::{Doors, presented};
use crate::operator::OperatorSecret;

/// `/healthz`: the process runs.
pub(super) fn alive() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({ "status": "ok" }))
}

/// `/readyz`: the process takes work.
pub(super) fn ready(doors: &Doors) -> HttpResponse {
    if doors.is_draining() {
        return HttpResponse::ServiceUnavailable().json(serde_json::json!({ "status": "stopping" }));
    }
    if doors.spool.is_full() {
        return HttpResponse::ServiceUnavailable()
            .json(serde_json::json!({ "status": "usage spool is full" }));
    }
    HttpResponse::Ok().json(serde_json::json!({ "status": "ready" }))
}

/// `/metrics`, in Prometheus's text format. Beyond loopback it wants the operator's secret.
pub(super) async fn metrics(doors: &Doors, request: &HttpRequest) -> HttpResponse {
    if let Some(operator) = &doors.operator
        && !is_operator(operator, presented::key(request.headers(), "")).await
    {
        return HttpResponse::Unauthorized()
            .insert_header(("www-authenticate", "Bearer"))
            .json(serde_json::json!({ "error": "the operator's secret is wanted as a bearer token" }));
    }
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body((doors.metrics)())
}

/// Whether the operator's secret was shown. Checking one takes its time, so not on a thread that serves.
async fn is_operator(operator: &Arc<OperatorSecret>, shown: Option<String>) -> bool {
    let Some(shown) = shown else { return false };
    let operator = Arc::clone(operator);
    actix_web::web::block(move || operator.is(&shown)).await.unwrap_or(false)
}
