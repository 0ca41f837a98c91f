//! The spool: what was begun and what was settled, on the local disk, before anybody else is told.
//!
//! Each life of a process (a *run*) appends to its own directory (`run`): numbered segments of lines (`frame`), of which
//! only the last is written. [`append_intent`](Spool::append_intent) returns once the intent is handed to the kernel, by
//! one write; so it survives `kill -9`. With [`Durability::Disk`] one also waits for [`durable`](Spool::durable).
//!
//! # Why nothing is lost and nothing counts twice
//!
//! 1. *An intent's last copy stands before its settlement.* Intents are copied forward only while they are open, under the
//!    lock under which settlements are appended; a settlement is taken only for an open intent, and closes it only once
//!    its line is written (until then it waits in memory, and the intent stays open).
//! 2. *Segments die from the front, and a segment dies only when* every settlement in it is committed in the ledger, and
//!    no open intent has its last copy in it. With `Disk`, everything written so far is made durable first.
//! 3. So whenever the process dies, what is left of its run is an end piece of what it wrote, perhaps with a torn last
//!    line. An intent whose settlement is not in this piece was not settled: by (1) the settlement would stand behind it.
//!    It is settled as interrupted by the one who gets the lock of the dead run. An intent that is not in the piece died
//!    with its segment: by (2) it was settled, and its settlement is either in the piece or committed.
//! 4. *The ledger takes an attempt once*, by its primary key, rows and sums in one transaction. So everything may be
//!    shipped again: after a lost answer, after a crash between commit and deletion, by two processes at once.
//!
//! What remains is the disk itself: a damaged line is reported, skipped, and its segment kept aside in `damaged/`; if it
//! was a settlement of a dead run, its intent is settled as interrupted. So is a line that is sound and not understood:
//! new fields of `Intent` and `UsageRecord` must have a `#[serde(default)]`, or an update would strand what waits here.

mod frame;
mod release;
mod run;
mod sync;
mod tail;

#[cfg(test)]
mod tests;

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap, VecDeque},
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use self::{
    frame::EntryRef,
    run::{RunDir, segment_path},
    sync::Syncer,
};
use super::{Intent, UsageRecord};
use crate::kernel::{clock::Clock, id::AttemptId};

pub(crate) use self::{
    frame::Entry,
    run::DeadRun,
    tail::{Intents, Tail},
};

/// A batch is worth shipping at once from this many settlements on.
pub(crate) const FULL_BATCH: usize = 500;
/// A line buffer that grew beyond this is not kept.
const LINE_BUFFER: usize = 64 * 1024;

thread_local! {
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What an entry must survive before the work it announces may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The death of the process: handed to the kernel.
    Process,
    /// The death of the machine: confirmed by the disk, many entries at once.
    Disk,
}

/// How large the spool may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Beyond this many bytes nothing new may begin.
    pub max_bytes: u64,
    /// A segment of this many bytes is followed by a new one.
    pub segment_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: 1 << 30, segment_bytes: 8 << 20 }
    }
}

/// What went wrong with the spool.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Nothing may begin until the ledger has taken some.
    #[error("the usage spool is full: {bytes} of {limit} bytes wait for the ledger")]
    Full { bytes: u64, limit: u64 },
    #[error("the disk refused the usage spool")]
    Io(#[source] io::Error),
    #[error("the usage spool is closed")]
    Closed,
    /// It was settled before, or never begun.
    #[error("attempt {0} is not open")]
    NotOpen(AttemptId),
    #[error("the usage spool `{path}` cannot be opened")]
    Open {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The number of an entry in its run; 0: before the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// How the spool does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolStats {
    /// Settlements of this run the ledger does not have yet.
    pub depth: u64,
    /// Attempts begun and not settled.
    pub open: u64,
    /// Settlements the disk refused, waiting in memory.
    pub unwritten: u64,
    /// Size on disk, dead runs included.
    pub bytes: u64,
    /// How long the oldest settlement being shipped has waited.
    pub lag: Duration,
}

/// The spool of this process.
pub struct Spool {
    root: PathBuf,
    run: RunDir,
    limits: Limits,
    clock: Arc<dyn Clock>,
    syncer: Option<Syncer>,
    state: Mutex<State>,
    /// Bytes of other runs, as last seen.
    foreign: AtomicU64,
    written: AtomicU64,
    committed: AtomicU64,
    /// When the oldest settlement being shipped ended, in Unix milliseconds; 0: none is.
    oldest: AtomicI64,
    some: Notify,
    full: Notify,
}

struct State {
    file: Arc<File>,
    number: u64,
    len: u64,
    /// Whether the end of the file is not the end of a line, and could not be made so.
    torn: bool,
    /// The segments before the current one that still exist, and their sizes.
    earlier: BTreeMap<u64, u64>,
    earlier_bytes: u64,
    last: Ticket,
    open: HashMap<AttemptId, Place>,
    /// Settlements the disk refused; at most one for each open intent.
    unwritten: VecDeque<(AttemptId, Box<[u8]>)>,
    /// Whether the last intent was refused.
    refuses: bool,
    closed: bool,
}

/// Where the last copy of an open intent stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    segment: u64,
    offset: u64,
    len: u64,
    /// Whether it is settled and only the line is not written yet.
    settled: bool,
}

impl Spool {
    /// Opens the spool in `root` and begins a run.
    pub fn open(
        root: &Path,
        durability: Durability,
        limits: Limits,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SpoolError> {
        Self::try_open(root, durability, limits, clock)
            .map_err(|source| SpoolError::Open { path: root.to_owned(), source })
    }

    fn try_open(
        root: &Path,
        durability: Durability,
        limits: Limits,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(root)?;
        let run = RunDir::create(root)?;
        let syncer = match durability {
            Durability::Process => None,
            Durability::Disk => Some(Syncer::start()?),
        };
        let number = 1;
        let state = State {
            file: Arc::new(create_segment(&run.path, number)?),
            number,
            len: 0,
            torn: false,
            earlier: BTreeMap::new(),
            earlier_bytes: 0,
            last: Ticket::default(),
            open: HashMap::new(),
            unwritten: VecDeque::new(),
            refuses: false,
            closed: false,
        };
        if syncer.is_some() {
            sync_directory(&run.path)?;
            sync_directory(root)?;
        }
        Ok(Self {
            root: root.to_owned(),
            run,
            limits,
            clock,
            syncer,
            state: Mutex::new(state),
            foreign: AtomicU64::new(0),
            written: AtomicU64::new(0),
            committed: AtomicU64::new(0),
            oldest: AtomicI64::new(0),
            some: Notify::new(),
            full: Notify::new(),
        })
    }

    /// Writes down that an attempt begins. It must be settled, by exactly one `append_settled`.
    pub fn append_intent(&self, intent: &Intent) -> Result<Ticket, SpoolError> {
        with_line(EntryRef::Intent(intent), |line| {
            let mut state = self.state.lock();
            if state.closed {
                return Err(SpoolError::Closed);
            }
            let begun = self.begin(&mut state, intent.attempt, line);
            state.tell(begun.as_ref().err());
            begun
        })
    }

    fn begin(&self, state: &mut State, attempt: AttemptId, line: &[u8]) -> Result<Ticket, SpoolError> {
        self.check_room(state, line.len() as u64)?;
        self.write_waiting(state).map_err(SpoolError::Io)?;
        let place = self.write(state, line).map_err(SpoolError::Io)?;
        state.open.insert(attempt, place);
        Ok(state.last)
    }

    /// Writes down how an open attempt ended. If the disk refuses, the settlement is kept and tried again: it is accepted
    /// in any case, beyond the limit too.
    pub fn append_settled(&self, record: &UsageRecord) -> Result<(), SpoolError> {
        let attempt = record.intent.attempt;
        with_line(EntryRef::Settled(record), |line| {
            let mut state = self.state.lock();
            match state.open.get_mut(&attempt) {
                Some(place) if !place.settled => place.settled = true,
                _ => return Err(SpoolError::NotOpen(attempt)),
            }
            let written =
                self.write_waiting(&mut state).and_then(|()| self.write(&mut state, line).map(drop));
            match written {
                Ok(()) => self.close(&mut state, attempt),
                Err(error) => {
                    if state.unwritten.is_empty() {
                        tracing::error!(%error, "The disk refused the usage spool; keeping settlements in memory");
                    }
                    state.unwritten.push_back((attempt, line.into()));
                }
            }
            Ok(())
        })
    }

    /// Waits until everything up to `entry` is as durable as was asked for.
    pub async fn durable(&self, entry: Ticket) -> Result<(), SpoolError> {
        match &self.syncer {
            None => Ok(()),
            Some(syncer) => syncer.durable(entry).await,
        }
    }

    pub fn stats(&self) -> SpoolStats {
        let (open, unwritten, bytes) = {
            let state = self.state.lock();
            (state.open.len(), state.unwritten.len(), state.bytes())
        };
        let oldest = self.oldest.load(Ordering::Relaxed);
        let lag = if oldest == 0 { 0 } else { self.clock.now().timestamp_millis().saturating_sub(oldest) };
        SpoolStats {
            depth: self.depth(),
            open: open as u64,
            unwritten: unwritten as u64,
            bytes: bytes + self.foreign.load(Ordering::Relaxed),
            lag: Duration::from_millis(lag.try_into().unwrap_or(0)),
        }
    }

    /// Whether nothing new may begin until the ledger has taken some.
    pub fn is_full(&self) -> bool {
        self.stats().bytes >= self.limits.max_bytes
    }

    fn check_room(&self, state: &State, more: u64) -> Result<(), SpoolError> {
        let bytes = state.bytes() + self.foreign.load(Ordering::Relaxed);
        let limit = self.limits.max_bytes;
        if bytes + more > limit { Err(SpoolError::Full { bytes, limit }) } else { Ok(()) }
    }

    /// Marks an attempt as settled on disk, and wakes the writer.
    fn close(&self, state: &mut State, attempt: AttemptId) {
        state.open.remove(&attempt);
        self.written.fetch_add(1, Ordering::Relaxed);
        self.some.notify_one();
        if self.depth() >= FULL_BATCH as u64 {
            self.full.notify_one();
        }
    }

    /// Tries again what the disk refused before.
    fn write_waiting(&self, state: &mut State) -> io::Result<()> {
        while let Some((attempt, line)) = state.unwritten.pop_front() {
            if let Err(error) = self.write(state, &line) {
                state.unwritten.push_front((attempt, line));
                return Err(error);
            }
            self.close(state, attempt);
        }
        Ok(())
    }

    /// Appends lines to the current segment, all or nothing, and returns where they stand.
    fn write(&self, state: &mut State, lines: &[u8]) -> io::Result<Place> {
        let len = lines.len() as u64;
        if state.torn || (state.len > 0 && state.len + len > self.limits.segment_bytes) {
            self.rotate(state)?;
        }
        if let Err(error) = (&*state.file).write_all(lines) {
            state.torn = state.file.set_len(state.len).is_err();
            return Err(error);
        }
        let place = Place { segment: state.number, offset: state.len, len, settled: false };
        state.len += len;
        state.last.0 += 1;
        if let Some(syncer) = &self.syncer {
            syncer.written(&state.file, state.last);
        }
        Ok(place)
    }

    /// Goes on in a new segment; if there can be none, in the old one, as long as that is sound.
    fn rotate(&self, state: &mut State) -> io::Result<()> {
        let number = state.number + 1;
        match create_segment(&self.run.path, number) {
            Ok(file) => {
                if self.syncer.is_some() {
                    sync_directory(&self.run.path)?;
                }
                state.earlier.insert(state.number, state.len);
                state.earlier_bytes += state.len;
                state.file = Arc::new(file);
                (state.number, state.len, state.torn) = (number, 0, false);
                Ok(())
            }
            Err(error) if state.torn => Err(error),
            Err(error) => {
                tracing::warn!(%error, "Cannot begin a new segment of the usage spool; going on in the old one");
                Ok(())
            }
        }
    }
}

impl State {
    fn bytes(&self) -> u64 {
        self.len + self.earlier_bytes
    }

    /// Says that intents are refused when that begins and when it ends, not for each of them.
    fn tell(&mut self, refused: Option<&SpoolError>) {
        if self.refuses == refused.is_some() {
            return;
        }
        self.refuses = refused.is_some();
        if let Some(error) = refused {
            tracing::error!(%error, "Usage cannot be written down: requests are refused");
        } else {
            tracing::info!("Usage can be written down again");
        }
    }
}

fn with_line<T>(entry: EntryRef<'_>, then: impl FnOnce(&[u8]) -> T) -> T {
    LINE.with_borrow_mut(|line| {
        frame::encode(entry, line);
        let done = then(line);
        line.clear();
        line.shrink_to(LINE_BUFFER);
        done
    })
}

fn create_segment(dir: &Path, number: u64) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(segment_path(dir, number))
}

fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
