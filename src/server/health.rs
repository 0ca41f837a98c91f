//! Alive, ready, and what the numbers are.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};

use super::{Doors, presented};

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
pub(super) async fn metrics(doors: &Arc<Doors>, request: &HttpRequest) -> HttpResponse {
    if doors.operator.is_some() {
        let shown = presented::key(request.headers(), "");
        let doors = Arc::clone(doors);
        // bcrypt is slow on purpose: not on a thread that serves.
        let is_operator = web::block(move || {
            shown.is_some_and(|it| doors.operator.as_ref().is_some_and(|operator| operator.is(&it)))
        });
        if !is_operator.await.unwrap_or(false) {
            return HttpResponse::Unauthorized()
                .insert_header(("www-authenticate", "Bearer"))
                .json(serde_json::json!({ "error": "the operator's secret is wanted as a bearer token" }));
        }
    }
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body((doors.metrics)())
}
