//! The ledger: attempts, each once, and their hourly sums.

mod report;
mod rollup;
mod row;

use async_trait::async_trait;
use sqlx::QueryBuilder;

use self::{
    rollup::{SUMS, roll_up},
    row::{AttemptRow, bind_attempt},
};
use crate::{
    kernel::id::AttemptId,
    storage::database::{Database, on},
    usage::{AttemptQuery, Ledger, LedgerError, ReportQuery, ReportRow, Settled, UsageRecord},
};

/// Rows of one statement: 500 attempts are 20,500 binds, and SQLite takes 32,766.
const ROWS: usize = 500;

/// `Ledger`, kept in SQL.
///
/// One transaction inserts all attempts, in order of their ids, learns which of them were new, and then adds those to the
/// hourly sums, in order of their groups. So the same attempt from two processes at once counts once, and two writers
/// that meet wait for each other in the same order: they cannot deadlock.
#[derive(Debug, Clone)]
pub struct SqlLedger {
    database: Database,
}

impl SqlLedger {
    pub const fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Ledger for SqlLedger {
    async fn settle(&self, records: &[UsageRecord]) -> Result<Settled, LedgerError> {
        let mut sorted: Vec<&UsageRecord> = records.iter().collect();
        sorted.sort_by_key(|it| it.intent.attempt);
        sorted.dedup_by_key(|it| it.intent.attempt);
        if sorted.is_empty() {
            return Ok(Settled::default());
        }
        self.settle_sorted(&sorted).await.map(|inserted| Settled { inserted }).map_err(unavailable)
    }

    async fn report(&self, query: &ReportQuery) -> Result<Vec<ReportRow>, LedgerError> {
        report::report(&self.database, query).await
    }

    async fn attempts(&self, query: &AttemptQuery) -> Result<Vec<UsageRecord>, LedgerError> {
        let rows = self.select(query).await.map_err(unavailable)?;
        rows.into_iter().map(UsageRecord::try_from).collect()
    }
}

const INSERT: &str = "INSERT INTO attempt \
     (id, request_id, number, tenant_id, key_id, credential_id, upstream, client_dialect, \
     upstream_dialect, model_name, upstream_model, answered_model, upstream_id, streamed, operation, \
     estimated_input, ending, error, status, finish, input, cache_read, cache_write_5m, \
     cache_write_1h, cache_write_other, output, reasoning, audio_input, audio_output, image_input, \
     prediction_accepted, prediction_rejected, web_searches, web_fetches, estimated, cost_nano_usd, \
     first_byte_ms, duration_ms, started_at, ended_at, losses) ";

const ADD: &str = "INSERT INTO usage_hour \
     (hour, tenant_id, key_id, model_name, upstream_model, upstream, credential_id, ";

const OR_ADD_TO: &str = " ON CONFLICT (hour, tenant_id, key_id, model_name, upstream_model, upstream, credential_id) \
     DO UPDATE SET ";

impl SqlLedger {
    async fn settle_sorted(&self, records: &[&UsageRecord]) -> Result<Vec<AttemptId>, sqlx::Error> {
        on!(&self.database, pool => {
            let mut transaction = pool.begin_with(self.database.begin_write()).await?;
            let mut inserted: Vec<AttemptId> = Vec::with_capacity(records.len());
            for some in records.chunks(ROWS) {
                let mut query = QueryBuilder::new(INSERT);
                query.push_values(some, |mut values, record| bind_attempt!(values, record));
                query.push(" ON CONFLICT (id) DO NOTHING RETURNING id");
                // Statements of every other length would only crowd the cache of prepared ones.
                let insert = query.build_query_scalar::<AttemptId>().persistent(some.len() == ROWS);
                inserted.extend(insert.fetch_all(&mut *transaction).await?);
            }
            inserted.sort_unstable();
            let new = records.iter().filter(|it| inserted.binary_search(&it.intent.attempt).is_ok());
            for some in roll_up(new.copied()).chunks(ROWS) {
                let mut query = QueryBuilder::new(ADD);
                let mut names = query.separated(", ");
                for name in SUMS {
                    names.push(name);
                }
                names.push_unseparated(") ");
                query.push_values(some, |mut values, (group, sums)| {
                    values
                        .push_bind(group.hour)
                        .push_bind(group.tenant)
                        .push_bind(group.key)
                        .push_bind(group.model_name.clone())
                        .push_bind(group.upstream_model.clone())
                        .push_bind(group.upstream.clone())
                        .push_bind(group.credential);
                    for sum in sums {
                        values.push_bind(*sum);
                    }
                });
                query.push(OR_ADD_TO);
                let mut sums = query.separated(", ");
                for name in SUMS {
                    sums.push(name).push_unseparated(" = usage_hour.").push_unseparated(name);
                    sums.push_unseparated(" + excluded.").push_unseparated(name);
                }
                query.build().persistent(some.len() == ROWS).execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
            Ok(inserted)
        })
    }
}

const SELECT: &str = "SELECT id, request_id, number, tenant_id, key_id, credential_id, upstream, client_dialect, \
     upstream_dialect, model_name, upstream_model, answered_model, upstream_id, streamed, operation, \
     estimated_input, ending, error, status, finish, input, cache_read, cache_write_5m, \
     cache_write_1h, cache_write_other, output, reasoning, audio_input, audio_output, image_input, \
     prediction_accepted, prediction_rejected, web_searches, web_fetches, estimated, cost_nano_usd, \
     first_byte_ms, duration_ms, started_at, ended_at, losses \
     FROM attempt WHERE ";

impl SqlLedger {
    async fn select(&self, wanted: &AttemptQuery) -> Result<Vec<AttemptRow>, sqlx::Error> {
        on!(&self.database, pool => {
            let mut query = QueryBuilder::new(SELECT);
            if let Some(tenant) = wanted.tenant {
                query.push("tenant_id = ").push_bind(tenant).push(" AND ");
            }
            if let Some(request) = wanted.request {
                query.push("request_id = ").push_bind(request).push(" AND ");
            }
            if let Some(after) = wanted.after {
                query.push("id > ").push_bind(after).push(" AND ");
            }
            query.push("1 = 1 ORDER BY id LIMIT ").push_bind(i64::from(wanted.limit));
            query.build_query_as().fetch_all(pool).await
        })
    }
}

fn unavailable(error: sqlx::Error) -> LedgerError {
    LedgerError::Unavailable(Box::new(error))
}
