//! Where names lead: aliases, strategies, retries.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::unit::Period;

/// A name of your own for one or several models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Alias {
    /// A name, or a glob such as `claude-*`.
    pub name: String,
    /// Ordered: the first that can answer.
    #[schemars(length(min = 1))]
    pub targets: Vec<String>,
}

/// How credentials and targets are chosen.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Routing {
    pub strategy: Strategy,
    pub session_affinity: SessionAffinity,
    pub retry: Retry,
    /// If a model cannot answer, this one is tried.
    pub model_fallback: BTreeMap<String, String>,
    /// Whether clients must write `prefix/model`.
    pub force_model_prefix: bool,
    /// What is done about what a translation cannot say, unless a tenant, a key or a request says otherwise.
    pub losses: Losses,
}

/// What is done about what a translation between dialects cannot say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Losses {
    /// The request is refused if the model would be asked something else than the client meant.
    Strict,
    /// The client is told in the header `x-dragoman-translation`.
    #[default]
    Warn,
    /// The client is told nothing.
    Quiet,
}

/// Which of several ready credentials is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    FillFirst,
    #[default]
    RoundRobin,
    WeightedRoundRobin,
    LeastRecentlyUsed,
    LeastBusy,
}

/// Keeps a conversation with one credential.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct SessionAffinity {
    pub enabled: bool,
    pub ttl: Period,
}

impl Default for SessionAffinity {
    fn default() -> Self {
        Self { enabled: false, ttl: Period::seconds(3600) }
    }
}

/// How often an exchange is tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Retry {
    /// Attempts for one request, the first included.
    #[schemars(range(min = 1, max = 20))]
    pub attempts: u32,
    /// No further attempt begins after this time.
    pub max_wait: Period,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 3, max_wait: Period::seconds(30) }
    }
}
