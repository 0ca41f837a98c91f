//! Tenants and their keys, as far as the file declares them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{models::Losses, secret::Secret};

/// A tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tenant {
    pub name: String,
    /// What is done about what a translation cannot say; absent: `routing.losses`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub losses: Option<Losses>,
    #[serde(default)]
    pub keys: Vec<TenantKey>,
}

/// A key a tenant calls with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TenantKey {
    pub name: String,
    /// 20 characters or more; kept as a hash only.
    pub key: Secret,
    /// Absent: the tenant's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub losses: Option<Losses>,
}
