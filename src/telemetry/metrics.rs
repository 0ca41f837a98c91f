//! Numbers for Prometheus. Labels are bounded: configured names, dialects, statuses; never a tenant, a key or a model.

use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::names;
use crate::{
    dialect::{Loss, TokenUsage},
    usage::{Ending, UsageRecord},
};

/// Seconds: from a cached answer to a long think.
const SECONDS: [f64; 16] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0];

/// What was counted, in Prometheus's text format.
#[derive(Clone)]
pub struct Exporter(PrometheusHandle);

impl Exporter {
    pub fn render(&self) -> String {
        self.0.render()
    }
}

/// Starts counting for the whole process.
pub fn start() -> Result<Exporter, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .install_recorder()
        .map(Exporter)
}

/// Counts an answered request.
pub fn answered(dialect: &'static str, status: u16) {
    counter!(names::REQUESTS, "dialect" => dialect, "status" => status.to_string()).increment(1);
}

/// Counts one thing that a translation could not say.
pub fn lost(client: &'static str, upstream: &'static str, loss: &Loss) {
    counter!(
        names::LOSSES,
        "client" => client,
        "upstream" => upstream,
        "action" => loss.action.name(),
        "severity" => loss.severity.name()
    )
    .increment(1);
}

/// Counts a request without a good key.
pub fn refused_key() {
    counter!(names::REFUSED_KEYS).increment(1);
}

/// Counts a settled attempt.
pub fn settled(record: &UsageRecord) {
    let upstream = record.intent.upstream.clone();
    let ending = ending(record.ending);
    let error = record.error.clone().unwrap_or_default();
    counter!(names::ATTEMPTS, "upstream" => upstream.clone(), "ending" => ending, "error" => error)
        .increment(1);
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a request fit")]
    let seconds = |milliseconds: u64| milliseconds as f64 / 1000.0;
    histogram!(names::DURATION, "upstream" => upstream.clone()).record(seconds(record.duration_ms));
    if let Some(first) = record.first_byte_ms {
        histogram!(names::FIRST_BYTE, "upstream" => upstream.clone()).record(seconds(first));
    }
    tokens(&upstream, &record.usage);
}

fn tokens(upstream: &str, usage: &TokenUsage) {
    for (bucket, count) in [
        ("input", usage.input.unwrap_or(0)),
        ("cache_read", usage.cache_read.unwrap_or(0)),
        ("cache_write", usage.cache_write()),
        ("output", usage.output.unwrap_or(0)),
        ("reasoning", usage.reasoning.unwrap_or(0)),
    ] {
        if count > 0 {
            counter!(names::TOKENS, "upstream" => upstream.to_owned(), "bucket" => bucket).increment(count);
        }
    }
}

/// Sets what is measured at the moment of asking.
#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
pub fn measure(in_flight: usize, spool_records: u64, spool_bytes: u64, cooling: &[(String, usize)]) {
    gauge!(names::IN_FLIGHT).set(in_flight as f64);
    gauge!(names::SPOOL_RECORDS).set(spool_records as f64);
    gauge!(names::SPOOL_BYTES).set(spool_bytes as f64);
    for (upstream, count) in cooling {
        gauge!(names::COOLING, "upstream" => upstream.clone()).set(*count as f64);
    }
}

const fn ending(ending: Ending) -> &'static str {
    match ending {
        Ending::Completed => "completed",
        Ending::Failed => "failed",
        Ending::Abandoned => "abandoned",
        Ending::Truncated => "truncated",
        Ending::Interrupted => "interrupted",
    }
}
