//! Tenants and their keys.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{unavailable, write_failure};
use crate::{
    kernel::id::{TenantId, TenantKeyId},
    storage::database::{Database, on},
    tenant::{KeyHash, RepositoryError, Source, Tenant, TenantKey, TenantRepository},
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
    "INSERT INTO tenant (id, name, enabled, source, created_at) VALUES ($1, $2, $3, $4, $5)";

impl SqlTenants {
    async fn insert_tenant(&self, tenant: &Tenant) -> Result<(), sqlx::Error> {
        change!(self, transaction => {
            sqlx::query(INSERT_TENANT)
                .bind(tenant.id)
                .bind(&tenant.name)
                .bind(tenant.enabled)
                .bind(tenant.source.name())
                .bind(tenant.created_at)
                .execute(&mut *transaction)
                .await?;
        })
    }
}

const FIND_TENANT: &str = "SELECT id, name, enabled, source, created_at FROM tenant WHERE name = $1";

const LIST_TENANTS: &str = "SELECT id, name, enabled, source, created_at FROM tenant ORDER BY name";

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
     (tenant_id, id, name, hash, hint, enabled, source, created_at, expires_at, last_used_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

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
    };
}

impl SqlTenants {
    async fn insert_key(&self, key: &TenantKey) -> Result<(), sqlx::Error> {
        change!(self, transaction => {
            bind_key!(INSERT_KEY, key).execute(&mut *transaction).await?;
        })
    }
}

const FIND_KEY: &str = "SELECT tenant_id, id, name, hash, hint, enabled, source, created_at, expires_at, last_used_at \
     FROM tenant_key WHERE tenant_id = $1 AND name = $2";

const LIST_KEYS: &str = "SELECT tenant_id, id, name, hash, hint, enabled, source, created_at, expires_at, last_used_at \
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

const LOAD_KEYS: &str = "SELECT tenant_id, id, name, hash, hint, enabled, source, created_at, expires_at, last_used_at \
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

const DISABLE_DECLARED_TENANTS: &str = "UPDATE tenant SET enabled = FALSE WHERE source = 'file'";

const DISABLE_DECLARED_KEYS: &str = "UPDATE tenant_key SET enabled = FALSE WHERE source = 'file'";

const UPSERT_DECLARED_TENANT: &str = "INSERT INTO tenant (id, name, enabled, source, created_at) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (id) DO UPDATE SET name = excluded.name, enabled = excluded.enabled";

const UPSERT_DECLARED_KEY: &str = "INSERT INTO tenant_key \
     (tenant_id, id, name, hash, hint, enabled, source, created_at, expires_at, last_used_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
     ON CONFLICT (id) DO UPDATE SET name = excluded.name, hash = excluded.hash, hint = excluded.hint, \
     enabled = excluded.enabled, expires_at = excluded.expires_at";

impl SqlTenants {
    /// Disables all that was declared, then writes what is: what is gone stays disabled, and nobody sees the time between.
    async fn write_declared(&self, tenants: &[Tenant], keys: &[TenantKey]) -> Result<(), DeclaredFailure> {
        change!(self, transaction => {
            sqlx::query(DISABLE_DECLARED_TENANTS).execute(&mut *transaction).await?;
            sqlx::query(DISABLE_DECLARED_KEYS).execute(&mut *transaction).await?;
            for tenant in tenants {
                sqlx::query(UPSERT_DECLARED_TENANT)
                    .bind(tenant.id)
                    .bind(&tenant.name)
                    .bind(tenant.enabled)
                    .bind(Source::File.name())
                    .bind(tenant.created_at)
                    .execute(&mut *transaction)
                    .await
                    .map_err(|error| DeclaredFailure { at: Some(tenant.name.clone()), error })?;
            }
            for key in keys {
                bind_key!(UPSERT_DECLARED_KEY, key)
                    .execute(&mut *transaction)
                    .await
                    .map_err(|error| DeclaredFailure { at: Some(key.name.clone()), error })?;
            }
        })
    }

    /// Whether the database has exactly these, so that starting again changes nothing.
    async fn has_declared(&self, tenants: &[Tenant], keys: &[TenantKey]) -> Result<bool, RepositoryError> {
        let (tenant_rows, key_rows) = self.read_all().await.map_err(unavailable)?;
        let kept_tenants: HashMap<TenantId, Tenant> =
            tenant_rows.into_iter().map(Tenant::from).map(|it| (it.id, it)).collect();
        let kept_keys: HashMap<TenantKeyId, TenantKey> =
            key_rows.into_iter().map(TenantKey::from).map(|it| (it.id, it)).collect();
        let enabled_tenants =
            kept_tenants.values().filter(|it| it.source == Source::File && it.enabled).count();
        let enabled_keys = kept_keys.values().filter(|it| it.source == Source::File && it.enabled).count();
        Ok(enabled_tenants == tenants.iter().filter(|it| it.enabled).count()
            && enabled_keys == keys.iter().filter(|it| it.enabled).count()
            && tenants.iter().all(|it| {
                kept_tenants
                    .get(&it.id)
                    .is_some_and(|kept| (&kept.name, kept.enabled) == (&it.name, it.enabled))
            })
            && keys.iter().all(|it| kept_keys.get(&it.id).is_some_and(|kept| is_same_declaration(kept, it))))
    }
}

/// What the file says of a key; the rest is known to the database only.
fn is_same_declaration(kept: &TenantKey, declared: &TenantKey) -> bool {
    kept.name == declared.name
        && kept.hash == declared.hash
        && kept.enabled == declared.enabled
        && kept.expires_at == declared.expires_at
}

/// A failed write, and of what.
struct DeclaredFailure {
    at: Option<String>,
    error: sqlx::Error,
}

impl From<sqlx::Error> for DeclaredFailure {
    fn from(error: sqlx::Error) -> Self {
        Self { at: None, error }
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

#[derive(sqlx::FromRow)]
struct TenantRow {
    id: TenantId,
    name: String,
    enabled: bool,
    #[sqlx(try_from = "String")]
    source: SourceColumn,
    created_at: DateTime<Utc>,
}

impl From<TenantRow> for Tenant {
    fn from(row: TenantRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            enabled: row.enabled,
            source: row.source.0,
            created_at: row.created_at,
        }
    }
}

#[derive(sqlx::FromRow)]
struct KeyRow {
    tenant_id: TenantId,
    id: TenantKeyId,
    name: String,
    #[sqlx(try_from = "Vec<u8>")]
    hash: HashColumn,
    hint: String,
    enabled: bool,
    #[sqlx(try_from = "String")]
    source: SourceColumn,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    last_used_at: Option<DateTime<Utc>>,
}

impl From<KeyRow> for TenantKey {
    fn from(row: KeyRow) -> Self {
        Self {
            id: row.id,
            tenant: row.tenant_id,
            name: row.name,
            hash: row.hash.0,
            hint: row.hint,
            enabled: row.enabled,
            source: row.source.0,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
        }
    }
}

struct SourceColumn(Source);

/// A column holds what this version did not write.
#[derive(Debug, thiserror::Error)]
#[error("the column holds an unknown value")]
struct UnknownValue;

impl TryFrom<String> for SourceColumn {
    type Error = UnknownValue;

    fn try_from(name: String) -> Result<Self, UnknownValue> {
        let known = [Source::File, Source::Database].into_iter().find(|source| source.name() == name);
        known.map(Self).ok_or(UnknownValue)
    }
}

struct HashColumn(KeyHash);

impl TryFrom<Vec<u8>> for HashColumn {
    type Error = UnknownValue;

    fn try_from(bytes: Vec<u8>) -> Result<Self, UnknownValue> {
        bytes.try_into().map(|bytes| Self(KeyHash(bytes))).map_err(|_| UnknownValue)
    }
}
