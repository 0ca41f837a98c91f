//! The one way from the spool to the ledger: in sorted batches, as often as needed, until it has them.

use std::{io, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Ledger, LedgerError, Spool, SpoolError, UsageRecord, UsageSink,
    recovery::Recovery,
    spool::{Entry, FULL_BATCH, Intents, Tail},
};

/// How the writer spends its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How long a settlement may wait for others to be shipped with.
    pub linger: Duration,
    /// The first wait after a failure; each further one is twice as long, with jitter.
    pub retry: Duration,
    /// The longest wait after a failure.
    pub retry_most: Duration,
    /// How long the ledger may take for a batch.
    pub settle: Duration,
    /// How often to look for runs whose process has died.
    pub look_for_dead: Duration,
    /// How long to go on shipping when told to stop.
    pub flush: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            linger: Duration::from_millis(200),
            retry: Duration::from_millis(100),
            retry_most: Duration::from_secs(10),
            settle: Duration::from_secs(30),
            look_for_dead: Duration::from_secs(30),
            flush: Duration::from_secs(10),
        }
    }
}

/// Ships what is settled into the ledger, of this process and of dead ones.
pub struct Writer {
    spool: Arc<Spool>,
    ledger: Arc<dyn Ledger>,
    sinks: Vec<Arc<dyn UsageSink>>,
    pace: Pace,
    tail: Tail,
    /// Read, and not known to be committed.
    batch: Vec<UsageRecord>,
    recovery: Vec<Recovery>,
    /// Of the recovery that is worked on: read, and not known to be committed.
    recovered: Vec<UsageRecord>,
    looked: Option<Instant>,
}

/// Why a round did not succeed. Nothing is lost by it: the same is tried again.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error("the ledger did not take usage")]
    Ledger(#[source] LedgerError),
    #[error("the ledger did not answer in time")]
    Late,
    #[error("the usage spool cannot be read")]
    Read(#[source] io::Error),
    #[error("the usage spool cannot be cleared")]
    Release(#[source] SpoolError),
}

/// What a round did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    Shipped,
    Idle,
}

impl Writer {
    pub fn new(spool: Arc<Spool>, ledger: Arc<dyn Ledger>, sinks: Vec<Arc<dyn UsageSink>>) -> Self {
        let tail = Tail::new(spool.dir());
        Self {
            spool,
            ledger,
            sinks,
            pace: Pace::default(),
            tail,
            batch: Vec::new(),
            recovery: Vec::new(),
            recovered: Vec::new(),
            looked: None,
        }
    }

    #[must_use]
    pub fn with_pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Ships until told to stop, and then what is left, for a while. What is still left stays in the spool for the next
    /// process.
    pub async fn run(mut self, cancel: CancellationToken) {
        let mut failures = 0;
        // A round may be left at any await: what it did not finish is done again.
        while let Some(round) = cancel.run_until_cancelled(self.round()).await {
            if round.is_ok() && std::mem::take(&mut failures) > 0 {
                tracing::info!(usage.depth = self.spool.depth(), "The ledger takes usage again");
            }
            match round {
                Ok(Round::Shipped) => {}
                Ok(Round::Idle) => {
                    cancel.run_until_cancelled(self.work()).await;
                }
                Err(error) => {
                    let wait = self.wait_after(failures);
                    failures += 1;
                    warn(&error, failures, wait);
                    cancel.run_until_cancelled(sleep(wait)).await;
                }
            }
        }
        self.flush(self.pace.flush).await;
    }

    /// Ships everything there is, for at most `within`, and removes the run if that succeeded and nothing is open.
    async fn flush(&mut self, within: Duration) {
        let finished = timeout(within, async {
            let mut failures = 0;
            loop {
                match self.round().await {
                    Ok(Round::Shipped) => failures = 0,
                    Ok(Round::Idle) => break,
                    Err(error) => {
                        let wait = self.wait_after(failures);
                        failures += 1;
                        warn(&error, failures, wait);
                        sleep(wait).await;
                    }
                }
            }
        });
        if finished.await.is_err() {
            tracing::warn!(
                usage.depth = self.spool.depth(),
                "Stopping with usage unshipped: the next start ships it"
            );
            return;
        }
        match self.spool.close_if_done(&self.tail) {
            Ok(true) => tracing::info!("Shipped all usage"),
            Ok(false) => {
                tracing::warn!("Stopping with attempts open: the next start settles them as interrupted");
            }
            Err(error) => tracing::warn!(%error, "Cannot remove the usage spool of this run"),
        }
    }

    /// Waits until there is enough to do.
    async fn work(&self) {
        let settled = async {
            self.spool.some().await;
            let _ = timeout(self.pace.linger, self.spool.full()).await;
        };
        let _ = timeout(self.pace.look_for_dead, settled).await;
    }

    /// Ships one batch of this run and one of a dead run, as far as there are any.
    async fn round(&mut self) -> Result<Round, RoundError> {
        if self.looked.is_none_or(|at| at.elapsed() >= self.pace.look_for_dead) {
            self.look_for_dead().await.map_err(RoundError::Read)?;
        }
        let own = self.ship_own().await?;
        let dead = self.ship_dead().await?;
        Ok(if own == Round::Idle { dead } else { own })
    }

    async fn look_for_dead(&mut self) -> io::Result<()> {
        let spool = Arc::clone(&self.spool);
        let dead = blocking(move || spool.dead_runs()).await?;
        for run in dead {
            tracing::info!(spool.bytes = run.bytes(), "Recovering usage of a process that has ended");
            self.recovery.push(Recovery::new(run));
        }
        self.looked = Some(Instant::now());
        Ok(())
    }

    async fn ship_own(&mut self) -> Result<Round, RoundError> {
        if self.batch.is_empty() {
            self.spool.retry_unwritten();
            self.read_own().await.map_err(RoundError::Read)?;
        }
        let count = self.batch.len();
        if count > 0 {
            self.spool.shipping(oldest(&self.batch));
            self.settle(&self.batch).await?;
            self.batch.clear();
            self.spool.committed(count);
            self.spool.shipping(None);
        }
        self.spool.release(&self.tail).await.map_err(RoundError::Release)?;
        Ok(if count > 0 { Round::Shipped } else { Round::Idle })
    }

    async fn read_own(&mut self) -> io::Result<()> {
        let mut tail = self.tail.clone();
        let segments = self.spool.segments();
        let (tail, entries) = blocking(move || {
            let entries = tail.read(&segments, FULL_BATCH, Intents::Skip)?;
            Ok((tail, entries))
        })
        .await?;
        self.tail = tail;
        self.batch = entries.into_iter().filter_map(settled).collect();
        self.batch.sort_unstable_by_key(|it| it.intent.attempt);
        Ok(())
    }

    async fn ship_dead(&mut self) -> Result<Round, RoundError> {
        if self.recovered.is_empty() {
            let Some(recovery) = self.recovery.last_mut() else { return Ok(Round::Idle) };
            // Short enough to do here: a batch, from files the kernel mostly remembers.
            self.recovered = recovery.next().map_err(RoundError::Read)?;
        }
        if self.recovered.is_empty() {
            if let Some(recovery) = self.recovery.pop() {
                self.spool.recovered(recovery.bytes());
                recovery.finish().map_err(RoundError::Read)?;
            }
        } else {
            self.settle(&self.recovered).await?;
            self.recovered.clear();
        }
        Ok(Round::Shipped)
    }

    /// Settles a batch, and tells the sinks of what was new.
    async fn settle(&self, batch: &[UsageRecord]) -> Result<(), RoundError> {
        let settling = timeout(self.pace.settle, self.ledger.settle(batch));
        let done = settling.await.map_err(|_| RoundError::Late)?.map_err(RoundError::Ledger)?;
        if self.sinks.is_empty() || done.inserted.is_empty() {
            return Ok(());
        }
        let is_new = |it: &&UsageRecord| done.inserted.binary_search(&it.intent.attempt).is_ok();
        let new: Vec<UsageRecord> = batch.iter().filter(is_new).cloned().collect();
        for sink in &self.sinks {
            if let Err(error) = sink.record(&new).await {
                tracing::warn!(%error, "A usage sink missed a batch");
            }
        }
        Ok(())
    }

    fn wait_after(&self, failures: u32) -> Duration {
        let most = self.pace.retry.saturating_mul(1 << failures.min(16)).min(self.pace.retry_most);
        most.mul_f64(rand::random_range(0.5..=1.0))
    }
}

fn settled(entry: Entry) -> Option<UsageRecord> {
    match entry {
        Entry::Settled(record) => Some(record),
        Entry::Intent(_) => None,
    }
}

fn oldest(batch: &[UsageRecord]) -> Option<DateTime<Utc>> {
    batch.iter().map(|it| it.ended_at).min()
}

/// Says it the first time, and then ever more rarely.
fn warn(error: &RoundError, failures: u32, wait: Duration) {
    if failures.is_power_of_two() {
        let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(%error, %cause, failures, wait_ms, "Usage waits in the spool");
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::{
        Ending,
        fixture::{MemoryLedger, MemorySink, Mood, dead_run, intent, record, spool_in},
    };

    const EAGER: Pace = Pace {
        linger: Duration::ZERO,
        retry: Duration::from_millis(1),
        retry_most: Duration::from_millis(1),
        settle: Duration::from_secs(30),
        look_for_dead: Duration::from_secs(30),
        flush: Duration::from_mins(1),
    };

    fn stopped() -> CancellationToken {
        let token = CancellationToken::new();
        token.cancel();
        token
    }

    fn begin_and_settle(spool: &Spool, count: u128) {
        for number in 1..=count {
            spool.append_intent(&intent(number)).unwrap();
            spool.append_settled(&record(intent(number), Ending::Completed)).unwrap();
        }
    }

    #[tokio::test]
    async fn what_is_settled_reaches_the_ledger_and_the_run_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Arc::new(spool_in(dir.path()));
        let ledger = Arc::new(MemoryLedger::default());
        begin_and_settle(&spool, 1203);
        Writer::new(Arc::clone(&spool), ledger.clone(), vec![]).with_pace(EAGER).run(stopped()).await;
        assert_eq!(ledger.rows().len(), 1203);
        assert!(ledger.batches().iter().all(|batch| batch.is_sorted() && batch.len() <= FULL_BATCH));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(matches!(spool.append_intent(&intent(9999)), Err(SpoolError::Closed)));
    }

    #[tokio::test]
    async fn a_ledger_that_fails_or_loses_its_answer_gets_everything_once() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Arc::new(spool_in(dir.path()));
        let ledger = Arc::new(MemoryLedger::moody([Mood::Refuses, Mood::LosesTheAnswer, Mood::Refuses]));
        let sink = Arc::new(MemorySink::default());
        begin_and_settle(&spool, 700);
        let sinks: Vec<Arc<dyn UsageSink>> = vec![sink.clone()];
        Writer::new(spool, ledger.clone(), sinks).with_pace(EAGER).run(stopped()).await;
        assert_eq!(ledger.rows().len(), 700);
        // The first batch was committed by the try whose answer was lost: nobody may be told of it twice.
        assert_eq!(sink.told().len(), 200);
    }

    #[tokio::test]
    async fn a_running_writer_ships_what_is_settled_while_it_waits() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Arc::new(spool_in(dir.path()));
        let ledger = Arc::new(MemoryLedger::default());
        let cancel = CancellationToken::new();
        let writer = Writer::new(Arc::clone(&spool), ledger.clone(), vec![]).with_pace(EAGER);
        let traffic = async {
            for number in 1..=3 {
                spool.append_intent(&intent(number)).unwrap();
                spool.append_settled(&record(intent(number), Ending::Completed)).unwrap();
                ledger.settled(intent(number).attempt).await;
            }
            cancel.cancel();
        };
        tokio::join!(writer.run(cancel.clone()), traffic);
        assert_eq!(ledger.rows().len(), 3);
        assert_eq!(spool.stats().depth, 0);
    }

    #[tokio::test]
    async fn a_dead_run_is_shipped_and_its_open_intents_are_interrupted() {
        let dir = tempfile::tempdir().unwrap();
        dead_run(dir.path(), |old| {
            begin_and_settle(old, 2);
            old.append_intent(&intent(3)).unwrap();
        });
        let spool = Arc::new(spool_in(dir.path()));
        let ledger = Arc::new(MemoryLedger::moody([Mood::Refuses]));
        Writer::new(spool, ledger.clone(), vec![]).with_pace(EAGER).run(stopped()).await;
        let rows = ledger.rows();
        let endings: Vec<Ending> = rows.iter().map(|it| it.ending).collect();
        assert_eq!(endings, [Ending::Completed, Ending::Completed, Ending::Interrupted]);
        assert!(rows[2].estimated);
        assert_eq!(rows[2].usage.input, Some(rows[2].intent.estimated_input));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn an_attempt_that_is_open_at_the_end_is_left_for_the_next_process() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Arc::new(MemoryLedger::default());
        let first = Arc::new(spool_in(dir.path()));
        first.append_intent(&intent(1)).unwrap();
        Writer::new(first, ledger.clone(), vec![]).with_pace(EAGER).run(stopped()).await;
        assert!(ledger.rows().is_empty());
        let second = Arc::new(spool_in(dir.path()));
        Writer::new(second, ledger.clone(), vec![]).with_pace(EAGER).run(stopped()).await;
        assert_eq!(ledger.rows()[0].ending, Ending::Interrupted);
    }

    #[test]
    fn the_wait_grows_to_its_bound() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Arc::new(MemoryLedger::default());
        let writer = Writer::new(Arc::new(spool_in(dir.path())), ledger, vec![]);
        assert!(writer.wait_after(0) <= writer.pace.retry);
        assert!(writer.wait_after(3) > writer.pace.retry);
        assert!(writer.wait_after(u32::MAX) <= writer.pace.retry_most);
    }
}
