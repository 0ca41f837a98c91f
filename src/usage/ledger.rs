//! The ports through which usage leaves the process: the ledger, which decides what counts, and sinks, which are told.

use std::error::Error;

use async_trait::async_trait;

use super::{ReportQuery, ReportRow, UsageRecord};
use crate::kernel::id::{AttemptId, RequestId, TenantId};

/// What went wrong with the ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// It may work later: nothing was settled, or all of it (the answer was lost on the way), so settle the same again.
    #[error("the ledger did not answer")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// What was asked makes no sense.
    #[error("{0}")]
    Query(&'static str),
    /// What the ledger holds cannot be read back.
    #[error("the ledger holds an attempt that cannot be read")]
    Unreadable(#[source] Box<dyn Error + Send + Sync>),
}

/// What a `settle` did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// The attempts the ledger did not know before, in order of their ids.
    pub inserted: Vec<AttemptId>,
}

/// Which attempts to list, a page at a time, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptQuery {
    /// Absent: every tenant's, for operators.
    pub tenant: Option<TenantId>,
    pub request: Option<RequestId>,
    /// The last attempt of the page before.
    pub after: Option<AttemptId>,
    /// How many at most.
    pub limit: u32,
}

/// Where usage is kept for good.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Records attempts and their hourly sums, all or nothing. The same attempt twice is once: the first counts.
    async fn settle(&self, records: &[UsageRecord]) -> Result<Settled, LedgerError>;
    /// Sums usage from the hourly sums, in order of the groups.
    async fn report(&self, query: &ReportQuery) -> Result<Vec<ReportRow>, LedgerError>;
    /// Lists attempts in order of their ids.
    async fn attempts(&self, query: &AttemptQuery) -> Result<Vec<UsageRecord>, LedgerError>;
}

/// Why a sink did not take a batch. Nothing is sent twice because of it: the ledger is what counts.
#[derive(Debug, thiserror::Error)]
#[error("a usage sink refused a batch")]
pub struct SinkError(#[source] pub Box<dyn Error + Send + Sync>);

/// Somebody who is told of usage once the ledger has it.
#[async_trait]
pub trait UsageSink: Send + Sync {
    /// Takes attempts the ledger did not know before.
    async fn record(&self, batch: &[UsageRecord]) -> Result<(), SinkError>;
}
