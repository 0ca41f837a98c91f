//! Attempts as rows, there and back.

use chrono::{DateTime, Utc};
use sqlx::FromRow;

use crate::{
    dialect::TokenUsage,
    kernel::{
        id::{AttemptId, CredentialId, RequestId, TenantId, TenantKeyId},
        money::NanoUsd,
    },
    usage::{Intent, LedgerError, Losses, UsageRecord},
};

/// Longer names are cut: what a client or an upstream calls a model must not outgrow an index.
const TEXT_BYTES: usize = 256;
/// The most tokens, milliseconds and the like one attempt may add: sums of whatever an upstream says stay far from the
/// end of 64 bits, so that a batch is never refused for its figures.
const MOST: u64 = 1_000_000_000_000;
/// Likewise for money: a million dollars.
const MOST_NANO_USD: i64 = 1_000_000_000_000_000;

/// A text as both engines can keep it: bounded, and without NUL, which Postgres refuses.
pub(super) fn text(text: &str) -> String {
    let clean = text.replace('\0', "\u{fffd}");
    clean[..clean.floor_char_boundary(TEXT_BYTES)].to_owned()
}

pub(super) fn optional_text(value: Option<&String>) -> Option<String> {
    value.map(|it| text(it))
}

pub(super) fn count(count: u64) -> i64 {
    count.min(MOST).cast_signed()
}

pub(super) fn optional_count(value: Option<u64>) -> Option<i64> {
    value.map(count)
}

/// What was lost, as JSON: it is read as a whole, and never searched.
pub(super) fn losses(losses: Option<&Losses>) -> Option<String> {
    losses.map(|it| serde_json::to_string(it).expect("plain data always serialises"))
}

pub(super) fn money(money: NanoUsd) -> i64 {
    money.0.clamp(-MOST_NANO_USD, MOST_NANO_USD)
}

/// Binds the columns of `INSERT`, in their order.
macro_rules! bind_attempt {
    ($values:ident, $record:expr) => {{
        use $crate::storage::sql::ledger::row::{count, losses, money, optional_count, optional_text, text};
        let (record, intent, usage) = (&$record, &$record.intent, &$record.usage);
        $values
            .push_bind(intent.attempt)
            .push_bind(intent.request)
            .push_bind(i64::from(intent.number))
            .push_bind(intent.tenant)
            .push_bind(intent.key)
            .push_bind(intent.credential)
            .push_bind(text(&intent.upstream))
            .push_bind(text(&intent.client_dialect))
            .push_bind(text(&intent.upstream_dialect))
            .push_bind(text(&intent.model_name))
            .push_bind(text(&intent.upstream_model))
            .push_bind(optional_text(record.answered_model.as_ref()))
            .push_bind(optional_text(record.upstream_id.as_ref()))
            .push_bind(intent.streamed)
            .push_bind(text(&intent.operation))
            .push_bind(count(intent.estimated_input))
            .push_bind(record.ending.name())
            .push_bind(optional_text(record.error.as_ref()))
            .push_bind(record.status.map(i64::from))
            .push_bind(optional_text(record.finish.as_ref()))
            .push_bind(optional_count(usage.input))
            .push_bind(optional_count(usage.cache_read))
            .push_bind(optional_count(usage.cache_write_5m))
            .push_bind(optional_count(usage.cache_write_1h))
            .push_bind(optional_count(usage.cache_write_other))
            .push_bind(optional_count(usage.output))
            .push_bind(optional_count(usage.reasoning))
            .push_bind(optional_count(usage.audio_input))
            .push_bind(optional_count(usage.audio_output))
            .push_bind(optional_count(usage.image_input))
            .push_bind(optional_count(usage.prediction_accepted))
            .push_bind(optional_count(usage.prediction_rejected))
            .push_bind(optional_count(usage.web_searches))
            .push_bind(optional_count(usage.web_fetches))
            .push_bind(record.estimated)
            .push_bind(record.cost.map(money))
            .push_bind(optional_count(record.first_byte_ms))
            .push_bind(count(record.duration_ms))
            .push_bind(intent.started_at)
            .push_bind(record.ended_at)
            .push_bind(losses(intent.losses.as_deref()));
    }};
}
pub(super) use bind_attempt;

/// A row of `attempt`.
#[derive(Debug, FromRow)]
pub(super) struct AttemptRow {
    id: AttemptId,
    request_id: RequestId,
    number: i64,
    tenant_id: TenantId,
    key_id: TenantKeyId,
    credential_id: CredentialId,
    upstream: String,
    client_dialect: String,
    upstream_dialect: String,
    model_name: String,
    upstream_model: String,
    answered_model: Option<String>,
    upstream_id: Option<String>,
    streamed: bool,
    operation: String,
    estimated_input: i64,
    ending: String,
    error: Option<String>,
    status: Option<i64>,
    finish: Option<String>,
    input: Option<i64>,
    cache_read: Option<i64>,
    cache_write_5m: Option<i64>,
    cache_write_1h: Option<i64>,
    cache_write_other: Option<i64>,
    output: Option<i64>,
    reasoning: Option<i64>,
    audio_input: Option<i64>,
    audio_output: Option<i64>,
    image_input: Option<i64>,
    prediction_accepted: Option<i64>,
    prediction_rejected: Option<i64>,
    web_searches: Option<i64>,
    web_fetches: Option<i64>,
    estimated: bool,
    cost_nano_usd: Option<NanoUsd>,
    first_byte_ms: Option<i64>,
    duration_ms: i64,
    started_at: DateTime<Utc>,
    ended_at: DateTime<Utc>,
    losses: Option<String>,
}

impl TryFrom<AttemptRow> for UsageRecord {
    type Error = LedgerError;

    fn try_from(row: AttemptRow) -> Result<Self, LedgerError> {
        Ok(Self {
            ending: row.ending.parse().map_err(unreadable)?,
            error: row.error,
            status: row.status.map(u16::try_from).transpose().map_err(unreadable)?,
            finish: row.finish,
            upstream_id: row.upstream_id,
            answered_model: row.answered_model,
            usage: TokenUsage {
                input: row.input.map(whole),
                cache_read: row.cache_read.map(whole),
                cache_write_5m: row.cache_write_5m.map(whole),
                cache_write_1h: row.cache_write_1h.map(whole),
                cache_write_other: row.cache_write_other.map(whole),
                output: row.output.map(whole),
                reasoning: row.reasoning.map(whole),
                audio_input: row.audio_input.map(whole),
                audio_output: row.audio_output.map(whole),
                image_input: row.image_input.map(whole),
                prediction_accepted: row.prediction_accepted.map(whole),
                prediction_rejected: row.prediction_rejected.map(whole),
                web_searches: row.web_searches.map(whole),
                web_fetches: row.web_fetches.map(whole),
            },
            estimated: row.estimated,
            cost: row.cost_nano_usd,
            first_byte_ms: row.first_byte_ms.map(whole),
            duration_ms: whole(row.duration_ms),
            ended_at: row.ended_at,
            intent: Intent {
                attempt: row.id,
                request: row.request_id,
                number: row.number.try_into().map_err(unreadable)?,
                tenant: row.tenant_id,
                key: row.key_id,
                credential: row.credential_id,
                upstream: row.upstream,
                client_dialect: row.client_dialect,
                upstream_dialect: row.upstream_dialect,
                model_name: row.model_name,
                upstream_model: row.upstream_model,
                streamed: row.streamed,
                operation: row.operation,
                estimated_input: whole(row.estimated_input),
                started_at: row.started_at,
                losses: row.losses.map(|it| serde_json::from_str(&it)).transpose().map_err(unreadable)?,
            },
        })
    }
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> LedgerError {
    LedgerError::Unreadable(Box::new(error))
}

/// A count as it was written: never negative.
pub(super) fn whole(count: i64) -> u64 {
    count.try_into().unwrap_or(0)
}
