//! What the configuration file declares, kept beside what is managed in the database.

use std::collections::HashMap;

use super::{BUMP_REVISION, SqlTenants};
use crate::{
    kernel::id::{TenantId, TenantKeyId},
    storage::{database::on, sql::unavailable},
    tenant::{LossPolicy, RepositoryError, Source, Tenant, TenantKey},
};

const DISABLE_DECLARED_TENANTS: &str = "UPDATE tenant SET enabled = FALSE WHERE source = 'file'";

const DISABLE_DECLARED_KEYS: &str = "UPDATE tenant_key SET enabled = FALSE WHERE source = 'file'";

const UPSERT_DECLARED_TENANT: &str = "INSERT INTO tenant (id, name, enabled, source, created_at, losses) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO UPDATE SET name = excluded.name, enabled = excluded.enabled, \
     losses = excluded.losses";

const UPSERT_DECLARED_KEY: &str = "INSERT INTO tenant_key \
     (tenant_id, id, name, hash, hint, enabled, source, created_at, expires_at, last_used_at, losses) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
     ON CONFLICT (id) DO UPDATE SET name = excluded.name, hash = excluded.hash, hint = excluded.hint, \
     enabled = excluded.enabled, expires_at = excluded.expires_at, losses = excluded.losses";

impl SqlTenants {
    /// Disables all that was declared, then writes what is: what is gone stays disabled, and nobody sees the time between.
    pub(super) async fn write_declared(
        &self,
        tenants: &[Tenant],
        keys: &[TenantKey],
    ) -> Result<(), DeclaredFailure> {
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
                    .bind(tenant.losses.map(LossPolicy::name))
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
    pub(super) async fn has_declared(
        &self,
        tenants: &[Tenant],
        keys: &[TenantKey],
    ) -> Result<bool, RepositoryError> {
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
                kept_tenants.get(&it.id).is_some_and(|kept| {
                    (&kept.name, kept.enabled, kept.losses) == (&it.name, it.enabled, it.losses)
                })
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
        && kept.losses == declared.losses
}

/// A failed write, and of what.
pub(super) struct DeclaredFailure {
    pub(super) at: Option<String>,
    pub(super) error: sqlx::Error,
}

impl From<sqlx::Error> for DeclaredFailure {
    fn from(error: sqlx::Error) -> Self {
        Self { at: None, error }
    }
}
