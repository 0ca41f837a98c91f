//! With which secret.

pub mod object;
pub mod pool;
pub mod quota;
pub mod selector;
pub mod store;

use std::{fmt, time::Duration};

use chrono::{DateTime, Utc};
use secrecy::SecretString;

use crate::{catalog::UpstreamName, kernel::id::CredentialId};

pub use object::{KeptObject, ObjectRepository, Shelf};
pub use pool::{CredentialPool, CredentialStatus, Lease, NoCredential, NoCredentialReason, PoolConfig, Rest};
pub use quota::QuotaState;
pub use selector::{Selector, Strategy};
pub use store::{CredentialStore, StoreError};

/// One secret an upstream is called with, and how it may be used.
#[derive(Clone)]
pub struct Credential {
    pub id: CredentialId,
    pub upstream: UpstreamName,
    pub name: String,
    pub secret: SecretString,
    /// Higher is drawn first; equal ones share.
    pub priority: i32,
    /// Its share among equals: 1 or more.
    pub weight: u32,
    /// `direct`, or a proxy's URL; absent: the upstream's.
    pub proxy_url: Option<String>,
    /// Only these models (globs); empty: all.
    pub models: Vec<String>,
    /// Never these models (globs).
    pub excluded_models: Vec<String>,
    pub enabled: bool,
    pub declared: bool,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("id", &self.id)
            .field("upstream", &self.upstream)
            .finish_non_exhaustive()
    }
}

/// What an attempt did to the credential it was made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It worked.
    Success,
    /// The request was at fault, or nobody: the credential is as good as before.
    Unharmed,
    /// Too many requests; `after` is what the upstream asked for.
    RateLimited { after: Option<Duration> },
    /// Nothing left until `resets_at`.
    Exhausted { resets_at: Option<DateTime<Utc>> },
    /// The upstream failed, timed out or was overloaded.
    Failing { after: Option<Duration> },
    /// 401: refused.
    Unauthorized,
    /// 402, 403: no money, or forbidden.
    Forbidden,
    /// The upstream does not have this model for this credential.
    ModelMissing,
}
