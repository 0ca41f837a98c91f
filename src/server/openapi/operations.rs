//! The paths for whoever runs the gateway.

#![expect(dead_code, reason = "only the annotations are read")]

use super::schemas::Status;

/// Says whether the process runs.
#[utoipa::path(
    get, path = "/healthz", tag = "operations",
    responses((status = 200, description = "It runs.", body = Status))
)]
fn healthz() {}

/// Says whether the process takes work.
#[utoipa::path(
    get, path = "/readyz", tag = "operations",
    responses(
        (status = 200, description = "It does.", body = Status),
        (status = 503, description = "It stops, or its usage spool is full.", body = Status)
    )
)]
fn readyz() {}

/// Tells the numbers, in Prometheus's text format.
#[utoipa::path(
    get, path = "/metrics", tag = "operations",
    responses(
        (status = 200, description = "The numbers.", body = String, content_type = "text/plain"),
        (status = 401, description = "The operator's secret is wanted.")
    ),
    security((), ("operator" = []))
)]
fn metrics() {}
