//! What is fetched for upstreams that take no URLs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::unit::{Period, Size};

/// Images and files that a request names by URL, for upstreams that do not fetch them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Media {
    /// Whether the gateway fetches them; if not, such requests are refused.
    pub fetch: bool,
    /// The largest one.
    pub max_size: Size,
    /// The most of one request.
    pub max_count: u16,
    /// For each.
    pub timeout: Period,
    /// Whether addresses of private networks may be called. Whoever may call the gateway can then look into yours.
    pub allow_private: bool,
}

impl Default for Media {
    fn default() -> Self {
        Self {
            fetch: true,
            max_size: Size::mib(20),
            max_count: 20,
            timeout: Period::seconds(20),
            allow_private: false,
        }
    }
}
