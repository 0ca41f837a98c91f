//! Hourly sums: attempts, added up by everything a report can be by.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::row::{count, money, text};
use crate::{
    kernel::{
        id::{CredentialId, TenantId, TenantKeyId},
        money::NanoUsd,
    },
    usage::{Ending, UsageRecord},
};

/// The columns that are summed, in the order of `Sums`.
pub(super) const SUMS: [&str; 26] = [
    "attempts",
    "completed",
    "failed",
    "abandoned",
    "truncated",
    "interrupted",
    "estimated",
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "cache_write_other",
    "output",
    "reasoning",
    "audio_input",
    "audio_output",
    "image_input",
    "prediction_accepted",
    "prediction_rejected",
    "web_searches",
    "web_fetches",
    "cost_nano_usd",
    "unpriced",
    "duration_ms",
    "first_byte_ms",
    "first_bytes",
];

/// What a row of `usage_hour` is about: its primary key, in its order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    pub(super) hour: i64,
    pub(super) tenant: TenantId,
    pub(super) key: TenantKeyId,
    pub(super) model_name: String,
    pub(super) upstream_model: String,
    pub(super) upstream: String,
    pub(super) credential: CredentialId,
}

pub(super) type Sums = [i64; SUMS.len()];

/// Adds attempts up, in order of the groups: whoever writes them in this order cannot deadlock with another who does.
pub(super) fn roll_up<'a>(records: impl Iterator<Item = &'a UsageRecord>) -> Vec<(Group, Sums)> {
    let mut groups: BTreeMap<Group, Sums> = BTreeMap::new();
    for record in records {
        let sums = groups.entry(group(record)).or_insert([0; SUMS.len()]);
        for (sum, figure) in sums.iter_mut().zip(figures(record)) {
            *sum += figure;
        }
    }
    groups.into_iter().collect()
}

/// Hours since 1970.
pub(super) fn hour(at: DateTime<Utc>) -> i64 {
    at.timestamp().div_euclid(3600)
}

fn group(record: &UsageRecord) -> Group {
    let intent = &record.intent;
    Group {
        hour: hour(intent.started_at),
        tenant: intent.tenant,
        key: intent.key,
        model_name: text(&intent.model_name),
        upstream_model: text(&intent.upstream_model),
        upstream: text(&intent.upstream),
        credential: intent.credential,
    }
}

fn figures(record: &UsageRecord) -> Sums {
    let usage = &record.usage;
    let ended = |ending: Ending| i64::from(record.ending == ending);
    let tokens = |tokens: Option<u64>| tokens.map_or(0, count);
    [
        1,
        ended(Ending::Completed),
        ended(Ending::Failed),
        ended(Ending::Abandoned),
        ended(Ending::Truncated),
        ended(Ending::Interrupted),
        i64::from(record.estimated),
        tokens(usage.input),
        tokens(usage.cache_read),
        tokens(usage.cache_write_5m),
        tokens(usage.cache_write_1h),
        tokens(usage.cache_write_other),
        tokens(usage.output),
        tokens(usage.reasoning),
        tokens(usage.audio_input),
        tokens(usage.audio_output),
        tokens(usage.image_input),
        tokens(usage.prediction_accepted),
        tokens(usage.prediction_rejected),
        tokens(usage.web_searches),
        tokens(usage.web_fetches),
        money(record.cost.unwrap_or(NanoUsd::ZERO)),
        i64::from(record.cost.is_none()),
        count(record.duration_ms),
        tokens(record.first_byte_ms),
        i64::from(record.first_byte_ms.is_some()),
    ]
}
