//! What the simulator received and what became of it: a bounded list, read over HTTP by tests.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use serde::Serialize;

use crate::simulator::scenario::{Dialect, LogSettings, Tokens};

/// One request. Holds no secret: of the credential only the last four characters.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Entry {
    /// Counts from 1.
    pub seq: u64,
    /// Milliseconds since 1970.
    pub at: u64,
    pub dialect: Dialect,
    pub path: String,
    pub model: String,
    pub credential: String,
    pub headers: Vec<(String, String)>,
    pub rule: String,
    pub status: u16,
    pub streamed: bool,
    pub outcome: Outcome,
    pub usage: Option<Tokens>,
    /// As the client sees it; none without an answer.
    pub answer_id: Option<String>,
    #[serde(skip)]
    pub body: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    Open,
    /// All was written.
    Finished,
    /// The scenario broke it off.
    Cut,
    /// The peer left before the end.
    Aborted,
}

/// The list.
pub(super) struct Log {
    settings: LogSettings,
    entries: Mutex<VecDeque<Entry>>,
}

impl Log {
    pub(super) fn new(settings: LogSettings) -> Arc<Self> {
        Arc::new(Self { settings, entries: Mutex::default() })
    }

    /// Writes an entry down; it stays open until the ticket says how it ended.
    pub(super) fn open(self: &Arc<Self>, mut entry: Entry, body: &Bytes) -> Ticket {
        let seq = entry.seq;
        if self.settings.bodies {
            entry.body = Some(body.clone());
        }
        let mut entries = self.entries();
        // Requests race from the counter to this lock, so an entry may arrive a few places late.
        let place = entries.iter().rposition(|it| it.seq < seq).map_or(0, |it| it + 1);
        entries.insert(place, entry);
        while entries.len() > self.settings.capacity.max(1) {
            entries.pop_front();
        }
        drop(entries);
        Ticket { log: self.clone(), seq, ended: false }
    }

    /// At most `limit` entries after `since`.
    pub(super) fn since(&self, since: u64, limit: usize) -> Vec<Entry> {
        let entries = self.entries();
        let start = entries.partition_point(|it| it.seq <= since);
        entries.iter().skip(start).take(limit).cloned().collect()
    }

    pub(super) fn body(&self, seq: u64) -> Option<Bytes> {
        let entries = self.entries();
        let place = entries.binary_search_by_key(&seq, |it| it.seq).ok()?;
        entries[place].body.clone()
    }

    pub(super) fn clear(&self) {
        self.entries().clear();
    }

    fn change(&self, seq: u64, change: impl FnOnce(&mut Entry)) {
        let mut entries = self.entries();
        if let Ok(place) = entries.binary_search_by_key(&seq, |it| it.seq) {
            change(&mut entries[place]);
        }
    }

    fn entries(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open entry. Dropped without an end, the peer has left.
pub(super) struct Ticket {
    log: Arc<Log>,
    seq: u64,
    ended: bool,
}

impl Ticket {
    pub(super) fn note(&self, change: impl FnOnce(&mut Entry)) {
        self.log.change(self.seq, change);
    }

    pub(super) fn end(&mut self, outcome: Outcome) {
        if !self.ended {
            self.ended = true;
            self.log.change(self.seq, |it| it.outcome = outcome);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.end(Outcome::Aborted);
    }
}
