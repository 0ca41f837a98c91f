//! What it cost: one record for each attempt, exactly once.
//!
//! The way of a record: `Accounts::begin` writes the *intent* into the local [`spool`] before anything goes upstream; the
//! [`Meter`] counts, and settles when it ends or is dropped; the [`writer`] ships what is settled into the [`Ledger`], and
//! settles for processes that died. Why nothing is lost and nothing counts twice is argued in [`spool`].

pub mod explain;
#[cfg(test)]
mod fixture;
pub mod hold;
pub mod ledger;
pub mod losses;
pub mod meter;
mod recovery;
pub mod report;
pub mod spool;
pub mod writer;

use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    dialect::TokenUsage,
    kernel::{
        id::{AttemptId, CredentialId, RequestId, TenantId, TenantKeyId},
        money::NanoUsd,
    },
};

pub use explain::Explanation;
pub use hold::Hold;
pub use ledger::{AttemptQuery, Ledger, LedgerError, Settled, SinkError, UsageSink};
pub use losses::{KeptLoss, Losses};
pub use meter::{Accounts, Meter};
pub use report::{Cell, Dimension, Format, GroupValue, ReportQuery, ReportRow, Totals};
pub use spool::{Durability, Limits, Spool, SpoolError, SpoolStats};
pub use writer::{Pace, Writer};

/// What is written down before the first byte goes upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    pub attempt: AttemptId,
    pub request: RequestId,
    /// 1 for the first attempt of the exchange.
    pub number: u32,
    pub tenant: TenantId,
    pub key: TenantKeyId,
    pub credential: CredentialId,
    pub upstream: String,
    pub client_dialect: String,
    pub upstream_dialect: String,
    /// As the client wrote it.
    pub model_name: String,
    /// As the upstream was told.
    pub upstream_model: String,
    pub streamed: bool,
    pub operation: String,
    /// Our own estimate of the prompt, for when the upstream never says.
    pub estimated_input: u64,
    pub started_at: DateTime<Utc>,
    /// What the upstream is not told as the client said it, whatever the client is told of that. Of the request alone: no
    /// codec notes what an answer loses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub losses: Option<Box<Losses>>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    Completed,
    /// The upstream refused or failed.
    Failed,
    /// The client left.
    Abandoned,
    /// The upstream's answer broke off.
    Truncated,
    /// The process died, or stopped before the answer's end.
    Interrupted,
}

impl Ending {
    pub const ALL: [Self; 5] =
        [Self::Completed, Self::Failed, Self::Abandoned, Self::Truncated, Self::Interrupted];

    /// The name used in the ledger, metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
            Self::Truncated => "truncated",
            Self::Interrupted => "interrupted",
        }
    }
}

/// A word that should be an ending's name and is not.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an ending")]
pub struct UnknownEnding(pub String);

impl FromStr for Ending {
    type Err = UnknownEnding;

    fn from_str(name: &str) -> Result<Self, UnknownEnding> {
        Self::ALL.into_iter().find(|it| it.name() == name).ok_or_else(|| UnknownEnding(name.to_owned()))
    }
}

/// An attempt, settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRecord {
    pub intent: Intent,
    pub ending: Ending,
    /// `ErrorKind::name`.
    pub error: Option<String>,
    /// The upstream's HTTP status.
    pub status: Option<u16>,
    /// `FinishReason::name`.
    pub finish: Option<String>,
    /// The upstream's own id of the answer.
    pub upstream_id: Option<String>,
    /// The upstream's own name for the model, if it differs.
    pub answered_model: Option<String>,
    pub usage: TokenUsage,
    /// Whether `usage` is our own estimate, wholly or in part.
    pub estimated: bool,
    pub cost: Option<NanoUsd>,
    pub first_byte_ms: Option<u64>,
    pub duration_ms: u64,
    pub ended_at: DateTime<Utc>,
}
