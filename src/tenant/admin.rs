//! Managing tenants and their keys: what the command line and the management API do.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use super::{KeyHasher, LossPolicy, PlainKey, RepositoryError, Source, Tenant, TenantKey, TenantRepository};
use crate::kernel::{
    clock::Clock,
    id::{TenantId, TenantKeyId},
};

const LONGEST_NAME: usize = 64;

/// Why a tenant or key was not changed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error(
        "`{0}` is not a name: 1 to {LONGEST_NAME} letters, digits, `.`, `_` and `-`, a letter or digit first"
    )]
    InvalidName(String),
    #[error("`{0}` is declared in the configuration file: change it there")]
    Declared(String),
    #[error("the key `{0}` is disabled: create a new one")]
    KeyDisabled(String),
    #[error("the time at which `{0}` should expire is in the past")]
    AlreadyExpired(String),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

/// Changes tenants and keys. What the configuration file declares is changed there only.
///
/// The caller tells the `KeyTable` of its process: `revoke` at once, or a `load`.
#[derive(Clone, Copy)]
pub struct TenantAdmin<'a> {
    pub repository: &'a dyn TenantRepository,
    pub clock: &'a dyn Clock,
    pub hasher: &'a KeyHasher,
}

impl TenantAdmin<'_> {
    pub async fn create_tenant(&self, name: &str) -> Result<Tenant, AdminError> {
        check_name(name)?;
        let tenant = Tenant {
            id: TenantId::new(),
            name: name.to_owned(),
            enabled: true,
            source: Source::Database,
            losses: None,
            created_at: self.now(),
        };
        self.repository.create_tenant(&tenant).await?;
        Ok(tenant)
    }

    /// Shuts a tenant out, with all its keys, or lets it in again.
    pub async fn set_tenant_enabled(&self, name: &str, enabled: bool) -> Result<Tenant, AdminError> {
        let mut tenant = self.tenant(name).await?;
        check_changeable(tenant.source, name)?;
        self.repository.set_tenant_enabled(tenant.id, enabled).await?;
        tenant.enabled = enabled;
        Ok(tenant)
    }

    /// Says what is done about what a translation of the tenant's requests cannot say.
    pub async fn set_tenant_losses(&self, name: &str, losses: Option<LossPolicy>) -> Result<(), AdminError> {
        let tenant = self.tenant(name).await?;
        check_changeable(tenant.source, name)?;
        Ok(self.repository.set_tenant_losses(tenant.id, losses).await?)
    }

    /// The same for one key; `None`: as the tenant.
    pub async fn set_key_losses(
        &self,
        tenant: &str,
        name: &str,
        losses: Option<LossPolicy>,
    ) -> Result<(), AdminError> {
        let key = self.key(tenant, name).await?;
        check_changeable(key.source, name)?;
        Ok(self.repository.set_key_losses(key.tenant, key.id, losses).await?)
    }

    /// Makes a key. The `PlainKey` is shown to the operator now or never: it is not kept.
    pub async fn create_key(
        &self,
        tenant: &str,
        name: &str,
        expires_at: Option<DateTime<Utc>>,
    ) -> Result<(TenantKey, PlainKey), AdminError> {
        check_name(name)?;
        if expires_at.is_some_and(|at| at <= self.now()) {
            return Err(AdminError::AlreadyExpired(name.to_owned()));
        }
        let tenant = self.tenant(tenant).await?;
        let (key, plain) = self.new_key(&tenant, name, expires_at);
        self.repository.create_key(&key).await?;
        Ok((key, plain))
    }

    /// Disables a key for good.
    pub async fn revoke_key(&self, tenant: &str, name: &str) -> Result<TenantKey, AdminError> {
        let mut key = self.key(tenant, name).await?;
        check_changeable(key.source, name)?;
        self.repository.set_key_enabled(key.tenant, key.id, false).await?;
        key.enabled = false;
        Ok(key)
    }

    /// Makes a new key of the same name; the old one goes on for `grace`, under a name that says so.
    ///
    /// A key that would expire gets a successor that lives as long as it was given.
    pub async fn rotate_key(
        &self,
        tenant: &str,
        name: &str,
        grace: TimeDelta,
    ) -> Result<(TenantKey, PlainKey), AdminError> {
        let tenant = self.tenant(tenant).await?;
        let old = self.key_of(&tenant, name).await?;
        check_changeable(old.source, name)?;
        if !old.enabled {
            return Err(AdminError::KeyDisabled(name.to_owned()));
        }
        let now = self.now();
        let lifetime = old.expires_at.map(|at| at - old.created_at);
        let (new, plain) = self.new_key(&tenant, name, lifetime.map(|it| now + it));
        let end = now + grace.max(TimeDelta::zero());
        let end = old.expires_at.map_or(end, |at| at.min(end));
        self.repository.replace_key(tenant.id, old.id, &retired_name(&old, now), end, &new).await?;
        Ok((new, plain))
    }

    /// Returns every tenant with its keys, both by name.
    pub async fn list(&self) -> Result<Vec<(Tenant, Vec<TenantKey>)>, AdminError> {
        let mut listed: Vec<(Tenant, Vec<TenantKey>)> =
            self.repository.list_tenants().await?.into_iter().map(|tenant| (tenant, Vec::new())).collect();
        listed.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
        let mut keys: Vec<_> = self.repository.load_keys().await?;
        keys.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
        for (tenant, key) in keys {
            if let Ok(at) = listed.binary_search_by(|(it, _)| it.name.cmp(&tenant.name)) {
                listed[at].1.push(key);
            }
        }
        Ok(listed)
    }

    /// Returns the keys of one tenant.
    pub async fn list_keys(&self, tenant: &str) -> Result<Vec<TenantKey>, AdminError> {
        let tenant = self.tenant(tenant).await?;
        Ok(self.repository.list_keys(tenant.id).await?)
    }

    async fn tenant(&self, name: &str) -> Result<Tenant, AdminError> {
        let tenant = self.repository.find_tenant(name).await?;
        Ok(tenant.ok_or_else(|| RepositoryError::NotFound(name.to_owned()))?)
    }

    async fn key(&self, tenant: &str, name: &str) -> Result<TenantKey, AdminError> {
        let tenant = self.tenant(tenant).await?;
        self.key_of(&tenant, name).await
    }

    async fn key_of(&self, tenant: &Tenant, name: &str) -> Result<TenantKey, AdminError> {
        let key = self.repository.find_key(tenant.id, name).await?;
        Ok(key.ok_or_else(|| RepositoryError::NotFound(format!("{}/{name}", tenant.name)))?)
    }

    fn new_key(
        &self,
        tenant: &Tenant,
        name: &str,
        expires_at: Option<DateTime<Utc>>,
    ) -> (TenantKey, PlainKey) {
        let plain = PlainKey::generate();
        let key = TenantKey {
            id: TenantKeyId::new(),
            tenant: tenant.id,
            name: name.to_owned(),
            hash: self.hasher.hash(&plain),
            hint: plain.hint(),
            enabled: true,
            source: Source::Database,
            losses: None,
            created_at: self.now(),
            expires_at,
            last_used_at: None,
        };
        (key, plain)
    }

    /// To the microsecond, which is what every database keeps.
    fn now(&self) -> DateTime<Utc> {
        self.clock.now().trunc_subsecs(6)
    }
}

fn check_name(name: &str) -> Result<(), AdminError> {
    let is_name = name.len() <= LONGEST_NAME
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '.' | '_' | '-'));
    is_name.then_some(()).ok_or_else(|| AdminError::InvalidName(name.to_owned()))
}

fn check_changeable(source: Source, name: &str) -> Result<(), AdminError> {
    match source {
        Source::Database => Ok(()),
        Source::File => Err(AdminError::Declared(name.to_owned())),
    }
}

/// `ci (rotated 2026-01-02, 9f3a21)`: the end of the id keeps two rotations of one day apart. No operator can take such a
/// name.
fn retired_name(old: &TenantKey, now: DateTime<Utc>) -> String {
    let id = old.id.as_uuid().simple().to_string();
    format!("{} (rotated {}, {})", old.name, now.format("%Y-%m-%d"), &id[id.len() - 6..])
}

#[cfg(test)]
mod tests;
