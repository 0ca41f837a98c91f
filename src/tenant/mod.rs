//! Who is calling.

pub mod admin;
pub mod authenticate;
pub mod key;
pub mod losses;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::kernel::id::{TenantId, TenantKeyId};

pub use authenticate::{AuthError, KeyTable, TenantScope};
pub use key::{KeyHash, KeyHasher, PlainKey};
pub use losses::LossPolicy;

/// One customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    pub id: TenantId,
    pub name: String,
    pub enabled: bool,
    /// Whether the configuration file declares it (read-only elsewhere) or it is managed in the database.
    pub source: Source,
    /// Absent: the configuration's own.
    pub losses: Option<LossPolicy>,
    pub created_at: DateTime<Utc>,
}

/// Where a resource is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    File,
    Database,
}

impl Source {
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Database => "database",
        }
    }
}

/// A tenant key as it is kept: never the key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantKey {
    pub id: TenantKeyId,
    pub tenant: TenantId,
    pub name: String,
    pub hash: KeyHash,
    /// The part that may be shown (`sk-dgm-AbC…`), to tell keys apart.
    pub hint: String,
    pub enabled: bool,
    pub source: Source,
    /// Absent: the tenant's.
    pub losses: Option<LossPolicy>,
    pub created_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    pub last_used_at: Option<DateTime<Utc>>,
}

/// What went wrong with a repository.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    #[error("`{0}` exists already")]
    Exists(String),
    #[error("there is no `{0}`")]
    NotFound(String),
    #[error("the database did not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Tenants and their keys, kept. The data plane never asks it: it reads a `KeyTable` filled from `load_keys`.
#[async_trait]
pub trait TenantRepository: Send + Sync {
    async fn create_tenant(&self, tenant: &Tenant) -> Result<(), RepositoryError>;
    async fn find_tenant(&self, name: &str) -> Result<Option<Tenant>, RepositoryError>;
    async fn list_tenants(&self) -> Result<Vec<Tenant>, RepositoryError>;
    async fn set_tenant_enabled(&self, id: TenantId, enabled: bool) -> Result<(), RepositoryError>;
    async fn create_key(&self, key: &TenantKey) -> Result<(), RepositoryError>;
    async fn find_key(&self, tenant: TenantId, name: &str) -> Result<Option<TenantKey>, RepositoryError>;
    async fn list_keys(&self, tenant: TenantId) -> Result<Vec<TenantKey>, RepositoryError>;
    async fn set_key_enabled(
        &self,
        tenant: TenantId,
        id: TenantKeyId,
        enabled: bool,
    ) -> Result<(), RepositoryError>;
    async fn set_tenant_losses(
        &self,
        id: TenantId,
        losses: Option<LossPolicy>,
    ) -> Result<(), RepositoryError>;
    async fn set_key_losses(
        &self,
        tenant: TenantId,
        id: TenantKeyId,
        losses: Option<LossPolicy>,
    ) -> Result<(), RepositoryError>;
    async fn set_key_expiry(
        &self,
        tenant: TenantId,
        id: TenantKeyId,
        expires_at: Option<DateTime<Utc>>,
    ) -> Result<(), RepositoryError>;
    /// Puts `new` in the place of the key `old`, which goes on as `retired_name` until `expires_at`. Both or neither.
    async fn replace_key(
        &self,
        tenant: TenantId,
        old: TenantKeyId,
        retired_name: &str,
        expires_at: DateTime<Utc>,
        new: &TenantKey,
    ) -> Result<(), RepositoryError>;
    /// Every key with its tenant, for the table authentication reads.
    async fn load_keys(&self) -> Result<Vec<(Tenant, TenantKey)>, RepositoryError>;
    /// A number that grows with every change of tenants and keys, by whichever process.
    async fn revision(&self) -> Result<i64, RepositoryError>;
    /// Makes the declared tenants and keys (`Source::File`) exactly these: adds, updates, and disables what is gone.
    async fn sync_declared(&self, tenants: &[Tenant], keys: &[TenantKey]) -> Result<(), RepositoryError>;
    /// Records when keys were last used.
    async fn touch_keys(&self, used: &[(TenantKeyId, DateTime<Utc>)]) -> Result<(), RepositoryError>;
}
