//! Tenants and their keys, as far as the file declares them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret::Secret;

/// A tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tenant {
    pub name: String,
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
}
