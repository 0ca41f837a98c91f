//! Where credentials are kept: the port. What the configuration file declares is not in a store.

use std::path::Path;

use async_trait::async_trait;
use secrecy::SecretString;

use super::Credential;
use crate::kernel::id::CredentialId;

/// Which version of a credential is meant; it grows by 1 with every change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    /// Of a credential that was just made.
    pub const FIRST: Self = Self(1);

    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Something that differs whenever anything in the store was changed, by whichever process. Good for comparing only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(pub u64);

/// A credential as it is kept.
#[derive(Debug, Clone)]
pub struct StoredCredential {
    pub credential: Credential,
    pub revision: Revision,
}

/// What a store holds.
#[derive(Debug, Default)]
pub struct Holdings {
    /// Sorted by id, which is by age.
    pub credentials: Vec<StoredCredential>,
    /// What is there and cannot be used. It is left as it is.
    pub damaged: Vec<Damage>,
}

/// Something in a store that cannot be used. Never says what a secret is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{place}`: {reason}")]
pub struct Damage {
    /// A file's name, or a row's id.
    pub place: String,
    pub reason: String,
}

/// What went wrong with a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else was faster: read again, then decide again.
    #[error("the credential was changed by somebody else")]
    Conflict { found: Option<Revision> },
    #[error("there is no credential `{0}`")]
    NotFound(CredentialId),
    /// It is there but cannot be read, so it is not written over either.
    #[error("the credential is damaged")]
    Damaged(#[source] Damage),
    #[error("the credentials' store did not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Credentials, kept sealed. Every write says which version it was made from, and one of two that say the same loses.
///
/// Changes are noticed by asking for the `stamp` now and then, and at once where `watch_path` can be watched.
#[async_trait]
pub trait CredentialStore: Send + Sync {
    async fn list(&self) -> Result<Holdings, StoreError>;
    /// Keeps a credential with all its settings: a new one (`expected` is `None`), or in place of that version.
    async fn put(&self, credential: &Credential, expected: Option<Revision>) -> Result<Revision, StoreError>;
    /// Replaces the secret alone.
    async fn replace_secret(
        &self,
        id: CredentialId,
        expected: Revision,
        secret: &SecretString,
    ) -> Result<Revision, StoreError>;
    async fn remove(&self, id: CredentialId) -> Result<(), StoreError>;
    /// Returns a value that differs from the one before if anything was changed in between.
    async fn stamp(&self) -> Result<Stamp, StoreError>;
    /// Returns the directory in which every change shows, if there is one.
    fn watch_path(&self) -> Option<&Path>;
}
