//! The writer's side of the spool: what there is to read, and letting go of what the ledger has.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    sync::atomic::Ordering,
};

use chrono::{DateTime, Utc};

use super::{
    FULL_BATCH, Place, Spool, SpoolError,
    run::{self, DeadRun, segment_path},
    tail::{Extent, Tail},
};
use crate::kernel::id::AttemptId;

/// Open intents copied forward under one lock.
const CARRIED_AT_ONCE: usize = 64;

impl Spool {
    pub(crate) fn dir(&self) -> &Path {
        &self.run.path
    }

    pub(crate) fn depth(&self) -> u64 {
        self.written.load(Ordering::Relaxed).saturating_sub(self.committed.load(Ordering::Relaxed))
    }

    /// The segments that can be read, and how far.
    pub(crate) fn segments(&self) -> Vec<Extent> {
        let state = self.state.lock();
        let earlier = state.earlier.iter().map(|(number, len)| (*number, *len));
        earlier.chain([(state.number, state.len)]).collect()
    }

    /// Waits until something is settled.
    pub(crate) async fn some(&self) {
        self.some.notified().await;
    }

    /// Waits until a full batch is settled.
    pub(crate) async fn full(&self) {
        if self.depth() < FULL_BATCH as u64 {
            self.full.notified().await;
        }
    }

    /// Notes when the oldest settlement being shipped ended.
    pub(crate) fn shipping(&self, oldest: Option<DateTime<Utc>>) {
        self.oldest.store(oldest.map_or(0, |it| it.timestamp_millis()), Ordering::Relaxed);
    }

    pub(crate) fn committed(&self, settlements: usize) {
        self.committed.fetch_add(settlements as u64, Ordering::Relaxed);
    }

    /// Tries again to write what the disk refused.
    pub(crate) fn retry_unwritten(&self) {
        let mut state = self.state.lock();
        if self.write_waiting(&mut state).is_err() && state.len > 0 {
            // A segment of its own can be deleted once it is shipped, which makes room.
            let _ = self.rotate(&mut state);
        }
    }

    /// Deletes the segments before `tail`, which has read and committed them, oldest first.
    pub(crate) async fn release(&self, tail: &Tail) -> Result<(), SpoolError> {
        let below = tail.segment();
        if self.state.lock().earlier.range(..below).next().is_none() {
            return Ok(());
        }
        self.carry_open(below)?;
        let last = self.state.lock().last;
        self.durable(last).await?;
        self.discard(below, tail.damaged()).map_err(SpoolError::Io)
    }

    /// Copies the intents that are still open forward, out of the segments before `below`.
    pub(super) fn carry_open(&self, below: u64) -> Result<(), SpoolError> {
        while self.carry_some(below).map_err(SpoolError::Io)? {}
        Ok(())
    }

    fn carry_some(&self, below: u64) -> io::Result<bool> {
        let mut state = self.state.lock();
        let mut old: Vec<(AttemptId, Place)> = state
            .open
            .iter()
            .filter(|(_, place)| place.segment < below)
            .take(CARRIED_AT_ONCE)
            .map(|(attempt, place)| (*attempt, *place))
            .collect();
        old.sort_unstable_by_key(|(_, place)| (place.segment, place.offset));
        for &(attempt, place) in &old {
            let line = self.read_line(place)?;
            let copy = self.write(&mut state, &line)?;
            state.open.insert(attempt, Place { settled: place.settled, ..copy });
        }
        Ok(!old.is_empty())
    }

    fn read_line(&self, place: Place) -> io::Result<Vec<u8>> {
        let mut file = File::open(segment_path(&self.run.path, place.segment))?;
        file.seek(SeekFrom::Start(place.offset))?;
        let mut line = Vec::new();
        file.take(place.len).read_to_end(&mut line)?;
        Ok(line)
    }

    pub(super) fn discard(&self, below: u64, damaged: &BTreeSet<u64>) -> io::Result<()> {
        let mut state = self.state.lock();
        while let Some((&number, &len)) = state.earlier.range(..below).next() {
            run::discard(&self.run.path, number, damaged)?;
            state.earlier.remove(&number);
            state.earlier_bytes -= len;
        }
        Ok(())
    }

    /// Finds runs whose process is dead; each is found by one recoverer only, until that lets go of it.
    pub(crate) fn dead_runs(&self) -> io::Result<Vec<DeadRun>> {
        let (dead, bytes) = run::find_dead(&self.root, &self.run.path)?;
        self.foreign.store(bytes, Ordering::Relaxed);
        Ok(dead)
    }

    /// Notes that a dead run was removed.
    pub(crate) fn recovered(&self, bytes: u64) {
        let _ = self
            .foreign
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |it| Some(it.saturating_sub(bytes)));
    }

    /// Closes the spool and removes the run, if `tail` has committed all of it and nothing is open.
    pub(crate) fn close_if_done(&self, tail: &Tail) -> io::Result<bool> {
        let mut state = self.state.lock();
        if !state.open.is_empty() || !tail.is_at((state.number, state.len)) {
            return Ok(false);
        }
        state.closed = true;
        for number in std::mem::take(&mut state.earlier).into_keys().chain([state.number]) {
            run::discard(&self.run.path, number, tail.damaged())?;
        }
        self.run.remove().map(|()| true)
    }
}
