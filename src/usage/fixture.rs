//! What the tests of this floor share: attempts, and a ledger in memory that can be told to fail.

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    sync::Arc,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    AttemptQuery, Durability, Ending, Intent, Ledger, LedgerError, Limits, ReportQuery, ReportRow, Settled,
    SinkError, Spool, UsageRecord, UsageSink,
    spool::{Entry, Intents, Tail},
};
use crate::{
    dialect::TokenUsage,
    kernel::{
        clock::ManualClock,
        id::{AttemptId, CredentialId, RequestId, TenantId, TenantKeyId},
    },
};

pub(super) fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

/// Attempt `number`; ids are in order of their numbers.
pub(super) fn intent(number: u128) -> Intent {
    Intent {
        attempt: AttemptId::from_uuid(Uuid::from_u128(number)),
        request: RequestId::from_uuid(Uuid::from_u128(number)),
        number: 1,
        tenant: TenantId::declared("t"),
        key: TenantKeyId::declared("k"),
        credential: CredentialId::declared("c"),
        upstream: "u".to_owned(),
        client_dialect: "openai-chat".to_owned(),
        upstream_dialect: "openai-chat".to_owned(),
        model_name: "m".to_owned(),
        upstream_model: "um".to_owned(),
        streamed: false,
        operation: "chat".to_owned(),
        estimated_input: 12,
        started_at: start(),
        losses: None,
    }
}

pub(super) fn record(intent: Intent, ending: Ending) -> UsageRecord {
    UsageRecord {
        ending,
        error: None,
        status: Some(200),
        finish: None,
        upstream_id: None,
        answered_model: None,
        usage: TokenUsage { input: Some(3), output: Some(5), ..TokenUsage::default() },
        estimated: false,
        cost: None,
        first_byte_ms: None,
        duration_ms: 1,
        ended_at: start(),
        intent,
    }
}

pub(super) fn spool_in(root: &Path) -> Spool {
    open_spool(root, Durability::Process, Limits { segment_bytes: 100_000, ..Limits::default() })
}

pub(super) fn open_spool(root: &Path, durability: Durability, limits: Limits) -> Spool {
    Spool::open(root, durability, limits, Arc::new(ManualClock::at(start()))).unwrap()
}

/// Leaves a run in `root` whose process is gone.
pub(super) fn dead_run(root: &Path, life: impl FnOnce(&Spool)) {
    let spool = spool_in(root);
    life(&spool);
}

/// Every settlement in the spool at `root`, in the order it was written, run by run.
pub(super) fn written(root: &Path) -> Vec<UsageRecord> {
    let mut records = Vec::new();
    for run in std::fs::read_dir(root).unwrap() {
        let run = run.unwrap().path();
        let segments: Vec<(u64, u64)> = (1..100)
            .filter_map(|number| {
                Some((number, std::fs::metadata(run.join(format!("{number:08}.seg"))).ok()?.len()))
            })
            .collect();
        let entries = Tail::new(&run).read(&segments, usize::MAX, Intents::Skip).unwrap();
        records.extend(entries.into_iter().filter_map(|it| match it {
            Entry::Settled(record) => Some(record),
            Entry::Intent(_) => None,
        }));
    }
    records
}

/// How a ledger takes one call.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mood {
    /// Nothing is settled.
    Refuses,
    /// Everything is settled, and nobody learns of it.
    LosesTheAnswer,
}

#[derive(Default)]
pub(super) struct MemoryLedger {
    rows: Mutex<BTreeMap<AttemptId, UsageRecord>>,
    batches: Mutex<Vec<Vec<AttemptId>>>,
    moods: Mutex<VecDeque<Mood>>,
    changed: Notify,
}

impl MemoryLedger {
    /// A ledger that takes its first calls in these moods, and then behaves.
    pub(super) fn moody(moods: impl IntoIterator<Item = Mood>) -> Self {
        Self { moods: Mutex::new(moods.into_iter().collect()), ..Self::default() }
    }

    pub(super) fn rows(&self) -> Vec<UsageRecord> {
        self.rows.lock().values().cloned().collect()
    }

    pub(super) fn batches(&self) -> Vec<Vec<AttemptId>> {
        self.batches.lock().clone()
    }

    /// Waits until `attempt` is settled.
    pub(super) async fn settled(&self, attempt: AttemptId) {
        while !self.rows.lock().contains_key(&attempt) {
            self.changed.notified().await;
        }
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn settle(&self, records: &[UsageRecord]) -> Result<Settled, LedgerError> {
        let mood = self.moods.lock().pop_front();
        if matches!(mood, Some(Mood::Refuses)) {
            return Err(LedgerError::Unavailable("refused".into()));
        }
        let mut inserted = Vec::new();
        for record in records {
            let attempt = record.intent.attempt;
            self.rows.lock().entry(attempt).or_insert_with(|| {
                inserted.push(attempt);
                record.clone()
            });
        }
        self.batches.lock().push(records.iter().map(|it| it.intent.attempt).collect());
        self.changed.notify_one();
        if mood.is_some() {
            return Err(LedgerError::Unavailable("lost".into()));
        }
        Ok(Settled { inserted })
    }

    async fn report(&self, _: &ReportQuery) -> Result<Vec<ReportRow>, LedgerError> {
        Ok(Vec::new())
    }

    async fn attempts(&self, _: &AttemptQuery) -> Result<Vec<UsageRecord>, LedgerError> {
        Ok(self.rows())
    }
}

#[derive(Default)]
pub(super) struct MemorySink(Mutex<Vec<AttemptId>>);

impl MemorySink {
    pub(super) fn told(&self) -> Vec<AttemptId> {
        self.0.lock().clone()
    }
}

#[async_trait]
impl UsageSink for MemorySink {
    async fn record(&self, batch: &[UsageRecord]) -> Result<(), SinkError> {
        self.0.lock().extend(batch.iter().map(|it| it.intent.attempt));
        Ok(())
    }
}
