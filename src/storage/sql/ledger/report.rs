//! Reports, from the hourly sums alone.

use std::collections::HashSet;

use chrono::DateTime;
use sqlx::{FromRow, QueryBuilder};
use uuid::Uuid;

use super::{
    rollup::{SUMS, hour},
    row::whole,
    unavailable,
};
use crate::{
    kernel::{
        id::{CredentialId, TenantId, TenantKeyId},
        money::NanoUsd,
    },
    storage::database::{Database, on},
    usage::{Cell, Dimension, GroupValue, LedgerError, ReportQuery, ReportRow, Totals},
};

pub(super) async fn report(database: &Database, query: &ReportQuery) -> Result<Vec<ReportRow>, LedgerError> {
    if query.by.iter().collect::<HashSet<_>>().len() != query.by.len() {
        return Err(LedgerError::Query("each dimension may be given once"));
    }
    if query.after.as_ref().is_some_and(|it| it.len() != query.by.len()) {
        return Err(LedgerError::Query("the page does not fit the dimensions"));
    }
    let rows = select(database, query).await.map_err(unavailable)?;
    Ok(rows.into_iter().map(|row| row.into_report(&query.by)).collect())
}

/// The expression a dimension stands for; a constant, never what somebody wrote.
const fn expression(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Key => "u.key_id",
        Dimension::Tenant => "u.tenant_id",
        Dimension::Model => "u.model_name",
        Dimension::UpstreamModel => "u.upstream_model",
        Dimension::Upstream => "u.upstream",
        Dimension::Credential => "u.credential_id",
        Dimension::Day => "u.hour / 24",
        Dimension::Hour => "u.hour",
    }
}

/// The column of `SumRow` a dimension is read into.
const fn column(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Key => "key_id",
        Dimension::Tenant => "tenant_id",
        Dimension::Model => "model_name",
        Dimension::UpstreamModel => "upstream_model",
        Dimension::Upstream => "upstream",
        Dimension::Credential => "credential_id",
        Dimension::Day => "day",
        Dimension::Hour => "hour",
    }
}

const FROM: &str = " FROM usage_hour u LEFT JOIN tenant t ON t.id = u.tenant_id \
     LEFT JOIN tenant_key k ON k.id = u.key_id AND k.tenant_id = u.tenant_id WHERE ";

/// Builds the statement and runs it. The names ride along in `GROUP BY`: they depend on the ids.
async fn select(database: &Database, wanted: &ReportQuery) -> Result<Vec<SumRow>, sqlx::Error> {
    on!(database, pool => {
        let mut query = QueryBuilder::new("SELECT ");
        for &dimension in &wanted.by {
            query.push(expression(dimension)).push(" AS ").push(column(dimension)).push(", ");
        }
        for name in names(&wanted.by) {
            query.push(name.expression).push(" AS ").push(name.column).push(", ");
        }
        let mut sums = query.separated(", ");
        for name in SUMS {
            // Postgres sums BIGINT to NUMERIC.
            sums.push("COALESCE(CAST(SUM(u.").push_unseparated(name);
            sums.push_unseparated(") AS BIGINT), 0) AS ").push_unseparated(name);
        }
        query.push(FROM);
        if let Some(tenant) = wanted.tenant {
            query.push("u.tenant_id = ").push_bind(tenant).push(" AND ");
        }
        query.push("u.hour >= ").push_bind(hour(wanted.since));
        // The hour that has begun by `until` counts; the one that begins with it does not.
        query.push(" AND u.hour <= ").push_bind(hour(wanted.until - chrono::TimeDelta::nanoseconds(1)));
        if let Some(after) = wanted.after.as_ref().filter(|it| !it.is_empty()) {
            query.push(" AND (");
            let mut left = query.separated(", ");
            for &dimension in &wanted.by {
                left.push(expression(dimension));
            }
            left.push_unseparated(") > (");
            let mut right = query.separated(", ");
            for value in after {
                match value {
                    GroupValue::Id(id) => right.push_bind(*id),
                    GroupValue::Text(text) => right.push_bind(text.clone()),
                    GroupValue::Number(number) => right.push_bind(*number),
                };
            }
            right.push_unseparated(")");
        }
        if !wanted.by.is_empty() {
            query.push(" GROUP BY ");
            let mut groups = query.separated(", ");
            for &dimension in &wanted.by {
                groups.push(expression(dimension));
            }
            for name in names(&wanted.by) {
                groups.push(name.expression);
            }
            query.push(" ORDER BY ");
            let mut order = query.separated(", ");
            for &dimension in &wanted.by {
                order.push(expression(dimension));
            }
        }
        query.push(" LIMIT ").push_bind(i64::from(wanted.limit));
        query.build_query_as().fetch_all(pool).await
    })
}

/// A name that is shown in place of an id.
struct Name {
    expression: &'static str,
    column: &'static str,
}

/// The names these dimensions need: a key's name says little without its tenant's.
fn names(by: &[Dimension]) -> impl Iterator<Item = Name> {
    let key = by.contains(&Dimension::Key);
    let tenant = key || by.contains(&Dimension::Tenant);
    let tenant = tenant.then_some(Name { expression: "t.name", column: "tenant_name" });
    let key = key.then_some(Name { expression: "k.name", column: "key_name" });
    tenant.into_iter().chain(key)
}

/// A row of sums; the dimensions that were not asked for are absent.
#[derive(Debug, Default, FromRow)]
#[sqlx(default)]
struct SumRow {
    key_id: Option<TenantKeyId>,
    tenant_id: Option<TenantId>,
    model_name: Option<String>,
    upstream_model: Option<String>,
    upstream: Option<String>,
    credential_id: Option<CredentialId>,
    day: Option<i64>,
    hour: Option<i64>,
    tenant_name: Option<String>,
    key_name: Option<String>,
    attempts: i64,
    completed: i64,
    failed: i64,
    abandoned: i64,
    truncated: i64,
    interrupted: i64,
    estimated: i64,
    input: i64,
    cache_read: i64,
    cache_write_5m: i64,
    cache_write_1h: i64,
    cache_write_other: i64,
    output: i64,
    reasoning: i64,
    audio_input: i64,
    audio_output: i64,
    image_input: i64,
    web_searches: i64,
    web_fetches: i64,
    cost_nano_usd: i64,
    unpriced: i64,
    duration_ms: i64,
    first_byte_ms: i64,
    first_bytes: i64,
}

impl SumRow {
    fn into_report(self, by: &[Dimension]) -> ReportRow {
        let whose = by.contains(&Dimension::Tenant);
        ReportRow { group: by.iter().map(|&it| self.cell(it, whose)).collect(), totals: self.totals() }
    }

    fn cell(&self, dimension: Dimension, tenant_is_shown: bool) -> Cell {
        let (value, label) = match dimension {
            Dimension::Key => identified(
                self.key_id.map(|it| (*it.as_uuid(), it.to_string())),
                self.key_label(tenant_is_shown),
            ),
            Dimension::Tenant => {
                identified(self.tenant_id.map(|it| (*it.as_uuid(), it.to_string())), self.tenant_name.clone())
            }
            Dimension::Credential => {
                identified(self.credential_id.map(|it| (*it.as_uuid(), it.to_string())), None)
            }
            Dimension::Model => named(self.model_name.as_ref()),
            Dimension::UpstreamModel => named(self.upstream_model.as_ref()),
            Dimension::Upstream => named(self.upstream.as_ref()),
            Dimension::Day => timed(self.day, 86_400, "%Y-%m-%d"),
            Dimension::Hour => timed(self.hour, 3600, "%Y-%m-%dT%H:00Z"),
        };
        Cell { dimension, value, label }
    }

    fn key_label(&self, tenant_is_shown: bool) -> Option<String> {
        let key = self.key_name.as_ref()?;
        match &self.tenant_name {
            Some(tenant) if !tenant_is_shown => Some(format!("{tenant}/{key}")),
            _ => Some(key.clone()),
        }
    }

    fn totals(&self) -> Totals {
        Totals {
            attempts: whole(self.attempts),
            completed: whole(self.completed),
            failed: whole(self.failed),
            abandoned: whole(self.abandoned),
            truncated: whole(self.truncated),
            interrupted: whole(self.interrupted),
            estimated: whole(self.estimated),
            input: whole(self.input),
            cache_read: whole(self.cache_read),
            cache_write: whole(self.cache_write_5m + self.cache_write_1h + self.cache_write_other),
            output: whole(self.output),
            reasoning: whole(self.reasoning),
            audio_input: whole(self.audio_input),
            audio_output: whole(self.audio_output),
            image_input: whole(self.image_input),
            web_searches: whole(self.web_searches),
            web_fetches: whole(self.web_fetches),
            cost: NanoUsd(self.cost_nano_usd),
            unpriced: whole(self.unpriced),
            duration_ms: whole(self.duration_ms),
            first_byte_ms: whole(self.first_byte_ms),
            first_bytes: whole(self.first_bytes),
        }
    }
}

fn identified(id: Option<(Uuid, String)>, name: Option<String>) -> (GroupValue, String) {
    let (id, text) = id.unwrap_or_default();
    (GroupValue::Id(id), name.unwrap_or(text))
}

fn named(name: Option<&String>) -> (GroupValue, String) {
    let name = name.cloned().unwrap_or_default();
    (GroupValue::Text(name.clone()), name)
}

fn timed(count: Option<i64>, seconds: i64, format: &str) -> (GroupValue, String) {
    let count = count.unwrap_or(0);
    let at = DateTime::from_timestamp(count.saturating_mul(seconds), 0).unwrap_or_default();
    (GroupValue::Number(count), at.format(format).to_string())
}
