//! Where things are kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{secret::Secret, unit::Size};

/// The database.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Database {
    /// `postgres://user:password@host/name` or `sqlite:///path`; absent: SQLite in `data-dir`.
    pub url: Option<Secret>,
}

/// State shared between instances.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Redis {
    /// `redis://host:6379`; absent: state stays in the process.
    pub url: Option<Secret>,
}

/// Where credentials are kept that this file does not declare.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialStoreKind {
    /// Sealed files in `data-dir/credentials`.
    #[default]
    File,
    Postgres,
    Git,
    S3,
}

/// How usage is recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Usage {
    /// `process`: survives the death of the process; `disk`: survives that of the machine, at the price of an fsync.
    pub durability: Durability,
    /// The most the spool may hold while the database is away; then requests are refused with 503.
    pub spool_limit: Size,
}

impl Default for Usage {
    fn default() -> Self {
        Self { durability: Durability::Process, spool_limit: Size::mib(1024) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    Process,
    Disk,
}
