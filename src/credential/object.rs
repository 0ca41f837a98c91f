//! What tenants keep at upstreams (files, batches): whose it is, and which credential reaches it. The port.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{
    catalog::UpstreamName,
    kernel::id::CredentialId,
    tenant::{RepositoryError, TenantScope},
};

/// Which kind of thing is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shelf {
    Files,
    Batches,
}

impl Shelf {
    pub const ALL: [Self; 2] = [Self::Files, Self::Batches];

    /// The name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Files => "file",
            Self::Batches => "batch",
        }
    }
}

/// One thing that is kept at an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptObject {
    pub shelf: Shelf,
    /// The upstream's own id.
    pub id: String,
    pub upstream: UpstreamName,
    /// With which it was made: another account does not see it.
    pub credential: CredentialId,
    pub created_at: DateTime<Utc>,
}

/// Remembers what tenants keep. Nobody sees what is another tenant's.
#[async_trait]
pub trait ObjectRepository: Send + Sync {
    /// Remembers an object. Twice the same is once.
    async fn keep(&self, scope: &TenantScope, object: &KeptObject) -> Result<(), RepositoryError>;
    /// The object of that id; of several upstreams' the newest. `upstream`: only if it is there.
    async fn find(
        &self,
        scope: &TenantScope,
        shelf: Shelf,
        id: &str,
        upstream: Option<&UpstreamName>,
    ) -> Result<Option<KeptObject>, RepositoryError>;
    /// All that the tenant keeps at an upstream, the newest first.
    async fn list(
        &self,
        scope: &TenantScope,
        shelf: Shelf,
        upstream: &UpstreamName,
    ) -> Result<Vec<KeptObject>, RepositoryError>;
    /// Forgets an object. One that is not known is forgotten already.
    async fn forget(&self, scope: &TenantScope, object: &KeptObject) -> Result<(), RepositoryError>;
}
