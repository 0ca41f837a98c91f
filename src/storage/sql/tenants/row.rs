//! Rows of tenants and keys.

use chrono::{DateTime, Utc};

use crate::{
    kernel::id::{TenantId, TenantKeyId},
    tenant::{KeyHash, LossPolicy, Source, Tenant, TenantKey},
};

#[derive(sqlx::FromRow)]
pub(super) struct TenantRow {
    id: TenantId,
    name: String,
    enabled: bool,
    #[sqlx(try_from = "String")]
    source: SourceColumn,
    losses: Option<String>,
    created_at: DateTime<Utc>,
}

impl From<TenantRow> for Tenant {
    fn from(row: TenantRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            enabled: row.enabled,
            source: row.source.0,
            losses: policy(row.losses.as_deref()),
            created_at: row.created_at,
        }
    }
}

/// A word that a later version wrote is taken for the strictest.
fn policy(word: Option<&str>) -> Option<LossPolicy> {
    word.map(|it| LossPolicy::parse(it).unwrap_or(LossPolicy::Strict))
}

#[derive(sqlx::FromRow)]
pub(super) struct KeyRow {
    tenant_id: TenantId,
    id: TenantKeyId,
    name: String,
    #[sqlx(try_from = "Vec<u8>")]
    hash: HashColumn,
    hint: String,
    enabled: bool,
    #[sqlx(try_from = "String")]
    source: SourceColumn,
    losses: Option<String>,
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
            losses: policy(row.losses.as_deref()),
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
