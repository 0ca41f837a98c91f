//! A key → a `TenantScope`.

use crate::kernel::id::{TenantId, TenantKeyId};

/// The proof that a caller showed a good key: nothing but authentication can make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TenantScope {
    tenant: TenantId,
    key: TenantKeyId,
}

impl TenantScope {
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    pub const fn key(&self) -> TenantKeyId {
        self.key
    }
}

/// Why a caller was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error("no key was given")]
    Missing,
    #[error("the key is not known")]
    Unknown,
    #[error("the key has expired")]
    Expired,
    #[error("the key is disabled")]
    Disabled,
    #[error("too many wrong keys came from this address")]
    Throttled,
}

/// Every key that may call, in memory.
#[derive(Debug, Default)]
pub struct KeyTable;
