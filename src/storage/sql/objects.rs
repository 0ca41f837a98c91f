//! What tenants keep at upstreams.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{unavailable, write_failure};
use crate::{
    catalog::UpstreamName,
    credential::{KeptObject, ObjectRepository, Shelf},
    kernel::id::CredentialId,
    storage::database::{Database, on},
    tenant::{RepositoryError, TenantScope},
};

/// `ObjectRepository`, kept in SQL.
#[derive(Debug, Clone)]
pub struct SqlObjects {
    database: Database,
}

impl SqlObjects {
    pub const fn new(database: Database) -> Self {
        Self { database }
    }
}

#[derive(sqlx::FromRow)]
struct ObjectRow {
    object_id: String,
    upstream: String,
    credential_id: CredentialId,
    created_at: DateTime<Utc>,
}

impl ObjectRow {
    fn on(self, shelf: Shelf) -> KeptObject {
        KeptObject {
            shelf,
            id: self.object_id,
            upstream: UpstreamName::new(&self.upstream),
            credential: self.credential_id,
            created_at: self.created_at,
        }
    }
}

const KEEP: &str = "INSERT INTO kept_object (tenant_id, shelf, object_id, upstream, credential_id, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant_id, shelf, object_id, upstream) \
     DO UPDATE SET credential_id = excluded.credential_id";

const FIND: &str = "SELECT object_id, upstream, credential_id, created_at FROM kept_object \
     WHERE tenant_id = $1 AND shelf = $2 AND object_id = $3 ORDER BY created_at DESC, upstream LIMIT 1";

const FIND_AT: &str = "SELECT object_id, upstream, credential_id, created_at FROM kept_object \
     WHERE tenant_id = $1 AND shelf = $2 AND object_id = $3 AND upstream = $4";

const LIST: &str = "SELECT object_id, upstream, credential_id, created_at FROM kept_object \
     WHERE tenant_id = $1 AND shelf = $2 AND upstream = $3 ORDER BY created_at DESC, object_id";

const FORGET: &str =
    "DELETE FROM kept_object WHERE tenant_id = $1 AND shelf = $2 AND object_id = $3 AND upstream = $4";

#[async_trait]
impl ObjectRepository for SqlObjects {
    async fn keep(&self, scope: &TenantScope, object: &KeptObject) -> Result<(), RepositoryError> {
        on!(&self.database, pool => {
            sqlx::query(KEEP)
                .bind(scope.tenant())
                .bind(object.shelf.name())
                .bind(&object.id)
                .bind(object.upstream.as_str())
                .bind(object.credential)
                .bind(object.created_at)
                .execute(pool)
                .await
                .map(drop)
        })
        .map_err(|error| write_failure(error, &object.id))
    }

    async fn find(
        &self,
        scope: &TenantScope,
        shelf: Shelf,
        id: &str,
        upstream: Option<&UpstreamName>,
    ) -> Result<Option<KeptObject>, RepositoryError> {
        let row: Option<ObjectRow> = match upstream {
            Some(upstream) => on!(&self.database, pool => {
                sqlx::query_as(FIND_AT)
                    .bind(scope.tenant())
                    .bind(shelf.name())
                    .bind(id)
                    .bind(upstream.as_str())
                    .fetch_optional(pool)
                    .await
            }),
            None => on!(&self.database, pool => {
                sqlx::query_as(FIND).bind(scope.tenant()).bind(shelf.name()).bind(id).fetch_optional(pool).await
            }),
        }
        .map_err(unavailable)?;
        Ok(row.map(|it| it.on(shelf)))
    }

    async fn list(
        &self,
        scope: &TenantScope,
        shelf: Shelf,
        upstream: &UpstreamName,
    ) -> Result<Vec<KeptObject>, RepositoryError> {
        let rows: Vec<ObjectRow> = on!(&self.database, pool => {
            sqlx::query_as(LIST)
                .bind(scope.tenant())
                .bind(shelf.name())
                .bind(upstream.as_str())
                .fetch_all(pool)
                .await
        })
        .map_err(unavailable)?;
        Ok(rows.into_iter().map(|it| it.on(shelf)).collect())
    }

    async fn forget(&self, scope: &TenantScope, object: &KeptObject) -> Result<(), RepositoryError> {
        on!(&self.database, pool => {
            sqlx::query(FORGET)
                .bind(scope.tenant())
                .bind(object.shelf.name())
                .bind(&object.id)
                .bind(object.upstream.as_str())
                .execute(pool)
                .await
                .map(drop)
        })
        .map_err(unavailable)
    }
}
