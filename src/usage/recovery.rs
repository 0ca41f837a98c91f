//! What a dead process left behind: its settlements are shipped, its open intents settled as interrupted.
//!
//! Nobody knows what an interrupted attempt used. It was probably sent, so its prompt counts with our estimate, flagged
//! `estimated`; its output is left unsaid. It ends with the run's last sign of life, so that recovering twice (the first
//! recoverer died too) says the same.

use std::{collections::HashMap, io};

use chrono::{DateTime, Utc};

use super::{
    Ending, Intent, UsageRecord,
    spool::{DeadRun, Entry, FULL_BATCH, Intents, Tail},
};
use crate::{dialect::TokenUsage, kernel::id::AttemptId};

/// A dead run being shipped, batch by batch.
pub(super) struct Recovery {
    run: DeadRun,
    tail: Tail,
    open: HashMap<AttemptId, Intent>,
    last_sign: DateTime<Utc>,
}

impl Recovery {
    pub(super) fn new(run: DeadRun) -> Self {
        let tail = Tail::new(run.path());
        Self { run, tail, open: HashMap::new(), last_sign: DateTime::UNIX_EPOCH }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.run.bytes()
    }

    /// Returns the next batch, in order of ids; empty: that was all, and once it is committed the run may go.
    pub(super) fn next(&mut self) -> io::Result<Vec<UsageRecord>> {
        let mut batch = self.settled()?;
        if batch.is_empty() {
            batch = self.interrupted();
        }
        batch.sort_unstable_by_key(|it| it.intent.attempt);
        Ok(batch)
    }

    /// Removes the run.
    pub(super) fn finish(self) -> io::Result<()> {
        self.run.remove(self.tail.damaged())
    }

    fn settled(&mut self) -> io::Result<Vec<UsageRecord>> {
        let mut settled = Vec::new();
        // What a read that fails half-way has passed is not read: the next one begins where this one did.
        let mut tail = self.tail.clone();
        let entries = tail.read(&self.run.segments, FULL_BATCH, Intents::Keep)?;
        self.tail = tail;
        for entry in entries {
            match entry {
                Entry::Intent(intent) => {
                    self.last_sign = self.last_sign.max(intent.started_at);
                    self.open.insert(intent.attempt, intent);
                }
                Entry::Settled(record) => {
                    self.last_sign = self.last_sign.max(record.ended_at);
                    self.open.remove(&record.intent.attempt);
                    settled.push(record);
                }
            }
        }
        Ok(settled)
    }

    fn interrupted(&mut self) -> Vec<UsageRecord> {
        let some: Vec<AttemptId> = self.open.keys().copied().take(FULL_BATCH).collect();
        let intents = some.iter().filter_map(|attempt| self.open.remove(attempt));
        intents.map(|intent| interrupted(intent, self.last_sign)).collect()
    }
}

fn interrupted(intent: Intent, at: DateTime<Utc>) -> UsageRecord {
    UsageRecord {
        ending: Ending::Interrupted,
        error: None,
        status: None,
        finish: None,
        upstream_id: None,
        answered_model: None,
        usage: TokenUsage { input: Some(intent.estimated_input), ..TokenUsage::default() },
        estimated: true,
        cost: None,
        first_byte_ms: None,
        duration_ms: (at - intent.started_at).num_milliseconds().try_into().unwrap_or(0),
        ended_at: at.max(intent.started_at),
        intent,
    }
}
