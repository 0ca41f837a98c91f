//! Tenants and their keys.

mod row;

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use self::row::{KeyRow, TenantRow};
use super::{unavailable, write_failure};
use crate::{
    kernel::id::{TenantId, TenantKeyId},
    storage::database::{Database, on},
    tenant::{LossPolicy, RepositoryError, Tenant, TenantKey, TenantRepository},
};

/// `TenantRepository`, kept in SQL.
///
/// Every change first counts the revision up: that row's lock puts changes of several processes in an order, so that they
/// cannot deadlock, and who reads a revision and then the keys never misses a change.
#[derive(Debug, Clone)]
pub struct SqlTenants {
    database: Database,
}

const BUMP_REVISION: &str = "UPDATE revision SET value = value + 1 WHERE name = 'tenant'";

/// Runs statements in one transaction that counts the revision up: `$transaction` is what they execute on. Its body may
/// return early with an `sqlx::Error`, and then nothing has happened.
macro_rules! change {
    ($self:expr, $transaction:ident => $body:expr) => {
        on!(&$self.database, pool => {
            let mut begun = pool.begin_with($self.database.begin_write()).await?;
            let $transaction = &mut *begun;
            sqlx::query(BUMP_REVISION).execute(&mut *$transaction).await?;
            let outcome = $body;
            begun.commit().await?;
            Ok(outcome)
        })
    };
}

impl SqlTenants {
    pub const fn new(database: Database) -> Self {
        Self { database }
    }
}

const INSERT_TENANT: &str =
    "INSERT INTO tenant (id, name, enabled, source, created_at, losses) VALUES ($1, $2, $3, $4, $5, $6)";

impl SqlTenants {
    async fn insert_tenant(&self, tenant: &Tenant) -> Result<(), sqlx::Error> {
        change!(self, transaction => {
            sqlx::query(INSERT_TENANT)
                .bind(tenant.id)
                .bind(&tenant.name)
                .bind(tenant.enabled)
                .bind(tenant.source.name())
                .bind(tenant.created_at)
                .bind(tenant.losses.map(LossPolicy::name))
                .execute(&mut *transaction)
                .await?;
        })
    }
}

const FIND_TENANT: &str = "SELECT id, name, enabled, source, created_at, losses FROM tenant WHERE name = $1";

const LIST_TENANTS: &str = "SELECT id, name, enabled, source, created_at, losses FROM tenant ORDER BY name";

const SET_TENANT_ENABLED: &str = "UPDATE tenant SET enabled = $2 WHERE id = $1";

impl SqlTenants {
    async fn update_tenant_enabled(&self, id: TenantId, enabled: bool) -> Result<u64, sqlx::Error> {
        change!(self, transaction => {
            sqlx::query(SET_TENANT_ENABLED)
                .bind(id)
                .bind(enabled)
                .execute(&mut *transaction)
                .await?
                .rows_affected()
        })
    }
}

const INSERT_KEY: &str = "INSERT INTO tenant_key \
     (tenant_id, id, name, hash, hint, enabled, source, created_at, expires_at, last_used_at, losses) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";

/// Binds what `INSERT_KEY` and `UPSERT_DECLARED_KEY` insert.
macro_rules! bind_key {
    ($statement:expr, $key:expr) => {
        sqlx::query($statement)
            .bind($key.tenant)
            .bind($key.id)
            .bind(&$key.name)
            .bind(&$key.hash.0[..])
            .bind(&$key.hint)
            .bind($key.enabled)
            .bind($key.source.name())
            .bind($key.created_at)
            .bind($key.expires_at)
            .bind($key.last_used_at)
            .bind($key.losses.map(LossPolicy::name))
    };
}

// Below the macros, which it uses.
mod declared;

impl SqlTenants {
    async fn insert_key(&self, key: &TenantKey) -> Result<(), sqlx::Error> {
        change!(self, transaction => {
            bind_key!(INSERT_KEY, key).execute(&mut *transaction).await?;
        })
    }
}

const FIND_KEY: &str = "SELECT tenant_id, id, name, hash, hint, enabled, source, created_at, expires_at, last_used_at, losses \
     FROM tenant_key WHERE tenant_id = $1 AND name = $2";

const LIST_KEYS: &str = "SELECT tenant_id, id, name, hash, hint, enabled, source, created_at, expires_at, last_used_at, losses \
     FROM tenant_key WHERE tenant_id = $1 ORDER BY name";

const SET_KEY_ENABLED: &str = "UPDATE tenant_key SET enabled = $3 WHERE tenant_id = $1 AND id = $2";

const SET_KEY_EXPIRY: &str = "UPDATE tenant_key SET expires_at = $3 WHERE tenant_id = $1 AND id = $2";

impl SqlTenants {
    async fn update_key_enabled(
        &self,
        tenant: TenantId,
        id: TenantKeyId,
        enabled: bool,
    ) -> Result<u64, sqlx::Error> {
        change!(self, transaction => {
            sqlx::query(SET_KEY_ENABLED)
                .bind(tenant)
                .bind(id)
                .bind(enabled)
                .execute(&mut *transaction)
                .await?
                .rows_affected()
        })
    }

    async fn update_key_expiry(
        &self,
        tenant: TenantId,
        id: TenantKeyId,
        expires_at: Option<DateTime<Utc>>,
    ) -> Result<u64, sqlx::Error> {
        change!(self, transaction => {
            sqlx::query(SET_KEY_EXPIRY)
                .bind(tenant)
                .bind(id)
                .bind(expires_at)
                .execute(&mut *transaction)
                .await?
                .rows_affected()
        })
    }
}

const SET_TENANT_LOSSES: &str = "UPDATE tenant SET losses = $2 WHERE id = $1";

const SET_KEY_LOSSES: &str = "UPDATE tenant_key SET losses = $3 WHERE tenant_id = $1 AND id = $2";

impl SqlTenants {
    async fn update_tenant_losses(
        &self,
        id: TenantId,
        losses: Option<LossPolicy>,
    ) -> Result<u64, sqlx::Error> {
        change!(self, transaction => {
            sqlx::query(SET_TENANT_LOSSES)
                .bind(id)
                .bind(losses.map(LossPolicy::name))
                .execute(&mut *transaction)
                .await?
                .rows_affected()
        })
    }

    async fn update_key_losses(
        &self,
        tenant: TenantId,
        id: TenantKeyId,
        losses: Option<LossPolicy>,
    ) -> Result<u64, sqlx::Error> {
        change!(self, transaction => {
            sqlx::query(SET_KEY_LOSSES)
                .bind(tenant)
                .bind(id)
                .bind(losses.map(LossPolicy::name))
                .execute(&mut *transaction)
                .await?
                .rows_affected()
        })
    }
}

const RETIRE_KEY: &str = "UPDATE tenant_key SET name = $3, expires_at = $4 WHERE tenant_id = $1 AND id = $2";

impl SqlTenants {
    /// Returns whether the old key was there; if not, nothing has changed.
    async fn swap_key(
        &self,
        (tenant, old): (TenantId, TenantKeyId),
        retired_name: &str,
        expires_at: DateTime<Utc>,
        new: &TenantKey,
    ) -> Result<bool, sqlx::Error> {
        change!(self, transaction => {
            let retired = sqlx::query(RETIRE_KEY)
                .bind(tenant)
                .bind(old)
                .bind(retired_name)
                .bind(expires_at)
                .execute(&mut *transaction)
                .await?;
            if retired.rows_affected() == 0 {
                return Ok(false);
            }
            bind_key!(INSERT_KEY, new).execute(&mut *transaction).await?;
            true
        })
    }
}

const LOAD_KEYS: &str = "SELECT tenant_id, id, name, hash, hint, enabled, source, created_at, expires_at, last_used_at, losses \
     FROM tenant_key ORDER BY tenant_id, id";

const REVISION: &str = "SELECT value FROM revision WHERE name = 'tenant'";

impl SqlTenants {
    /// Tenants first: a key read later whose tenant is not among them is left for the next load, which its revision asks
    /// for.
    async fn read_all(&self) -> Result<(Vec<TenantRow>, Vec<KeyRow>), sqlx::Error> {
        on!(&self.database, pool => {
            let tenants = sqlx::query_as(LIST_TENANTS).fetch_all(pool).await?;
            let keys = sqlx::query_as(LOAD_KEYS).fetch_all(pool).await?;
            Ok((tenants, keys))
        })
    }
}

/// Time only moves forward: another instance may have seen the key later.
const TOUCH_KEY: &str =
    "UPDATE tenant_key SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)";

impl SqlTenants {
    async fn write_uses(&self, used: &[(TenantKeyId, DateTime<Utc>)]) -> Result<(), sqlx::Error> {
        // In one order everywhere, so that instances wait for each other instead of deadlocking.
        let mut used = used.to_vec();
        used.sort_unstable();
        on!(&self.database, pool => {
            let mut transaction = pool.begin_with(self.database.begin_write()).await?;
            for (id, at) in used {
                sqlx::query(TOUCH_KEY).bind(id).bind(at).execute(&mut *transaction).await?;
            }
            transaction.commit().await
        })
    }
}

#[async_trait]
impl TenantRepository for SqlTenants {
    async fn create_tenant(&self, tenant: &Tenant) -> Result<(), RepositoryError> {
        self.insert_tenant(tenant).await.map_err(|error| write_failure(error, &tenant.name))
    }

    async fn find_tenant(&self, name: &str) -> Result<Option<Tenant>, RepositoryError> {
        let row: Option<TenantRow> = on!(&self.database, pool => {
            sqlx::query_as(FIND_TENANT).bind(name).fetch_optional(pool).await
        })
        .map_err(unavailable)?;
        Ok(row.map(Tenant::from))
    }

    async fn list_tenants(&self) -> Result<Vec<Tenant>, RepositoryError> {
        let rows: Vec<TenantRow> =
            on!(&self.database, pool => sqlx::query_as(LIST_TENANTS).fetch_all(pool).await)
                .map_err(unavailable)?;
        Ok(rows.into_iter().map(Tenant::from).collect())
    }

    async fn set_tenant_enabled(&self, id: TenantId, enabled: bool) -> Result<(), RepositoryError> {
        let changed = self.update_tenant_enabled(id, enabled).await.map_err(unavailable)?;
        found(changed > 0, &id.to_string())
    }

    async fn create_key(&self, key: &TenantKey) -> Result<(), RepositoryError> {
        self.insert_key(key).await.map_err(|error| write_failure(error, &key.name))
    }

    async fn find_key(&self, tenant: TenantId, name: &str) -> Result<Option<TenantKey>, RepositoryError> {
        let row: Option<KeyRow> = on!(&self.database, pool => {
            sqlx::query_as(FIND_KEY).bind(tenant).bind(name).fetch_optional(pool).await
        })
        .map_err(unavailable)?;
        Ok(row.map(TenantKey::from))
    }

    async fn list_keys(&self, tenant: TenantId) -> Result<Vec<TenantKey>, RepositoryError> {
        let rows: Vec<KeyRow> = on!(&self.database, pool => {
            sqlx::query_as(LIST_KEYS).bind(tenant).fetch_all(pool).await
        })
        .map_err(unavailable)?;
        Ok(rows.into_iter().map(TenantKey::from).collect())
    }

    async fn set_key_enabled(
        &self,
        tenant: TenantId,
        id: TenantKeyId,
        enabled: bool,
    ) -> Result<(), RepositoryError> {
        let name = id.to_string();
        let changed = self
            .update_key_enabled(tenant, id, enabled)
            .await
            .map_err(|error| write_failure(error, &name))?;
        found(changed > 0, &name)
    }

    async fn set_tenant_losses(
        &self,
        id: TenantId,
        losses: Option<LossPolicy>,
    ) -> Result<(), RepositoryError> {
        let changed = self.update_tenant_losses(id, losses).await.map_err(unavailable)?;
        found(changed > 0, &id.to_string())
    }

    async fn set_key_losses(
        &self,
        tenant: TenantId,
        id: TenantKeyId,
        losses: Option<LossPolicy>,
    ) -> Result<(), RepositoryError> {
        let changed = self.update_key_losses(tenant, id, losses).await.map_err(unavailable)?;
        found(changed > 0, &id.to_string())
    }

    async fn set_key_expiry(
        &self,
        tenant: TenantId,
        id: TenantKeyId,
        expires_at: Option<DateTime<Utc>>,
    ) -> Result<(), RepositoryError> {
        let changed = self.update_key_expiry(tenant, id, expires_at).await.map_err(unavailable)?;
        found(changed > 0, &id.to_string())
    }

    async fn replace_key(
        &self,
        tenant: TenantId,
        old: TenantKeyId,
        retired_name: &str,
        expires_at: DateTime<Utc>,
        new: &TenantKey,
    ) -> Result<(), RepositoryError> {
        let is_there = self
            .swap_key((tenant, old), retired_name, expires_at, new)
            .await
            .map_err(|error| write_failure(error, &new.name))?;
        found(is_there, &old.to_string())
    }

    async fn load_keys(&self) -> Result<Vec<(Tenant, TenantKey)>, RepositoryError> {
        let (tenants, keys) = self.read_all().await.map_err(unavailable)?;
        let tenants: HashMap<TenantId, Tenant> =
            tenants.into_iter().map(Tenant::from).map(|it| (it.id, it)).collect();
        let with_tenant = |key: TenantKey| Some((tenants.get(&key.tenant)?.clone(), key));
        Ok(keys.into_iter().map(TenantKey::from).filter_map(with_tenant).collect())
    }

    async fn revision(&self) -> Result<i64, RepositoryError> {
        on!(&self.database, pool => sqlx::query_scalar(REVISION).fetch_one(pool).await).map_err(unavailable)
    }

    async fn sync_declared(&self, tenants: &[Tenant], keys: &[TenantKey]) -> Result<(), RepositoryError> {
        if self.has_declared(tenants, keys).await? {
            return Ok(());
        }
        self.write_declared(tenants, keys).await.map_err(|failure| match failure.at {
            Some(name) => write_failure(failure.error, &name),
            None => unavailable(failure.error),
        })
    }

    async fn touch_keys(&self, used: &[(TenantKeyId, DateTime<Utc>)]) -> Result<(), RepositoryError> {
        self.write_uses(used).await.map_err(unavailable)
    }
}

fn found(is_there: bool, name: &str) -> Result<(), RepositoryError> {
    is_there.then_some(()).ok_or_else(|| RepositoryError::NotFound(name.to_owned()))
}
