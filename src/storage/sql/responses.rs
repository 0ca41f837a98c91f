//! Answers of Responses, sealed.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::{
    kernel::id::TenantId,
    session::{Chain, ResponseStore, StoreFailure, StoredResponse, responses::Content},
    storage::{
        Cipher,
        database::{Database, on},
    },
    tenant::TenantScope,
};

/// `ResponseStore`, kept in SQL. What was said is sealed for its tenant and its row.
#[derive(Debug, Clone)]
pub struct SqlResponses {
    database: Database,
    cipher: Arc<Cipher>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    previous_id: Option<String>,
    sealed: String,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl SqlResponses {
    pub const fn new(database: Database, cipher: Arc<Cipher>) -> Self {
        Self { database, cipher }
    }

    fn seal(&self, tenant: TenantId, response: &StoredResponse) -> String {
        let plain = serde_json::to_vec(&response.content).expect("JSON is written as JSON");
        self.cipher.seal(&plain, &place(tenant, &response.id))
    }

    fn open(&self, tenant: TenantId, row: Row) -> Result<StoredResponse, StoreFailure> {
        let plain = self.cipher.open(&row.sealed, &place(tenant, &row.id));
        let plain = plain.map_err(|it| StoreFailure::Damaged(Box::new(it)))?;
        let content: Content =
            serde_json::from_slice(&plain).map_err(|it| StoreFailure::Damaged(Box::new(it)))?;
        Ok(StoredResponse {
            id: row.id,
            previous: row.previous_id,
            content,
            created_at: row.created_at,
            expires_at: row.expires_at,
        })
    }
}

/// What a row is sealed for.
fn place(tenant: TenantId, id: &str) -> Vec<u8> {
    format!("response/{tenant}/{id}").into_bytes()
}

const UPSERT: &str = "INSERT INTO response (tenant_id, id, previous_id, sealed, created_at, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6) \
     ON CONFLICT (tenant_id, id) DO UPDATE SET previous_id = excluded.previous_id, sealed = excluded.sealed, \
     created_at = excluded.created_at, expires_at = excluded.expires_at";

const UPSERT_ITEM: &str = "INSERT INTO response_item (tenant_id, id, response_id) VALUES ($1, $2, $3) \
     ON CONFLICT (tenant_id, id) DO UPDATE SET response_id = excluded.response_id";

/// Those an answer goes on from live as long as it does. A chain is cut after a thousand: nobody's conversation is longer.
const EXTEND: &str = "UPDATE response SET expires_at = $3 WHERE tenant_id = $1 AND expires_at < $3 AND id IN ( \
     WITH RECURSIVE chain (id, previous_id, depth) AS ( \
         SELECT id, previous_id, 0 FROM response WHERE tenant_id = $1 AND id = $2 \
         UNION ALL \
         SELECT response.id, response.previous_id, chain.depth + 1 FROM response \
         JOIN chain ON response.id = chain.previous_id \
         WHERE response.tenant_id = $1 AND chain.depth < 1000 \
     ) SELECT id FROM chain)";

impl SqlResponses {
    async fn write(&self, tenant: TenantId, response: &StoredResponse) -> Result<(), sqlx::Error> {
        let sealed = self.seal(tenant, response);
        // In one order everywhere, so that writers wait for each other instead of deadlocking.
        let mut items: Vec<&str> = response.item_ids().collect();
        items.sort_unstable();
        items.dedup();
        on!(&self.database, pool => {
            let mut transaction = pool.begin_with(self.database.begin_write()).await?;
            sqlx::query(UPSERT)
                .bind(tenant)
                .bind(&response.id)
                .bind(&response.previous)
                .bind(&sealed)
                .bind(response.created_at)
                .bind(response.expires_at)
                .execute(&mut *transaction)
                .await?;
            for item in items {
                sqlx::query(UPSERT_ITEM)
                    .bind(tenant)
                    .bind(item)
                    .bind(&response.id)
                    .execute(&mut *transaction)
                    .await?;
            }
            if let Some(previous) = &response.previous {
                sqlx::query(EXTEND)
                    .bind(tenant)
                    .bind(previous)
                    .bind(response.expires_at)
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await
        })
    }
}

const CHAIN: &str = "WITH RECURSIVE chain (id, previous_id, sealed, created_at, expires_at, depth) AS ( \
         SELECT id, previous_id, sealed, created_at, expires_at, 0 FROM response \
         WHERE tenant_id = $1 AND id = $2 AND expires_at > $3 \
         UNION ALL \
         SELECT response.id, response.previous_id, response.sealed, response.created_at, response.expires_at, \
             chain.depth + 1 \
         FROM response JOIN chain ON response.id = chain.previous_id \
         WHERE response.tenant_id = $1 AND response.expires_at > $3 AND chain.depth < 1000 \
     ) SELECT id, previous_id, sealed, created_at, expires_at FROM chain ORDER BY depth DESC";

const FIND: &str = "SELECT id, previous_id, sealed, created_at, expires_at FROM response \
     WHERE tenant_id = $1 AND id = $2 AND expires_at > $3";

const FIND_BY_ITEM: &str = "SELECT response.id, response.previous_id, response.sealed, response.created_at, \
         response.expires_at \
     FROM response_item JOIN response \
         ON response.tenant_id = response_item.tenant_id AND response.id = response_item.response_id \
     WHERE response_item.tenant_id = $1 AND response_item.id = $2 AND response.expires_at > $3";

const REMOVE: &str = "DELETE FROM response WHERE tenant_id = $1 AND id = $2";

const REMOVE_EXPIRED: &str = "DELETE FROM response WHERE expires_at <= $1";

impl SqlResponses {
    async fn one(
        &self,
        statement: &'static str,
        tenant: TenantId,
        id: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<StoredResponse>, StoreFailure> {
        let row: Option<Row> = on!(&self.database, pool => {
            sqlx::query_as(statement).bind(tenant).bind(id).bind(now).fetch_optional(pool).await
        })
        .map_err(unavailable)?;
        row.map(|it| self.open(tenant, it)).transpose()
    }
}

#[async_trait]
impl ResponseStore for SqlResponses {
    async fn keep(&self, scope: &TenantScope, response: &StoredResponse) -> Result<(), StoreFailure> {
        self.write(scope.tenant(), response).await.map_err(unavailable)
    }

    async fn chain(&self, scope: &TenantScope, id: &str, now: DateTime<Utc>) -> Result<Chain, StoreFailure> {
        let tenant = scope.tenant();
        let rows: Vec<Row> = on!(&self.database, pool => {
            sqlx::query_as(CHAIN).bind(tenant).bind(id).bind(now).fetch_all(pool).await
        })
        .map_err(unavailable)?;
        rows.into_iter().map(|it| self.open(tenant, it)).collect::<Result<_, _>>().map(Chain)
    }

    async fn find(
        &self,
        scope: &TenantScope,
        id: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<StoredResponse>, StoreFailure> {
        self.one(FIND, scope.tenant(), id, now).await
    }

    async fn find_item(
        &self,
        scope: &TenantScope,
        id: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Value>, StoreFailure> {
        let found = self.one(FIND_BY_ITEM, scope.tenant(), id, now).await?;
        Ok(found.and_then(|it| {
            let mut items = it.output().iter().chain(&it.content.input);
            items.find(|item| item["id"].as_str() == Some(id)).cloned()
        }))
    }

    async fn remove(&self, scope: &TenantScope, id: &str) -> Result<bool, StoreFailure> {
        let removed = on!(&self.database, pool => {
            sqlx::query(REMOVE).bind(scope.tenant()).bind(id).execute(pool).await.map(|it| it.rows_affected())
        });
        removed.map(|it| it > 0).map_err(unavailable)
    }

    async fn remove_expired(&self, now: DateTime<Utc>) -> Result<u64, StoreFailure> {
        on!(&self.database, pool => {
            sqlx::query(REMOVE_EXPIRED).bind(now).execute(pool).await.map(|it| it.rows_affected())
        })
        .map_err(unavailable)
    }
}

fn unavailable(error: sqlx::Error) -> StoreFailure {
    StoreFailure::Unavailable(Box::new(error))
}
