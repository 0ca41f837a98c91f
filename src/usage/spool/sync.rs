//! Group commit: one thread makes what was written durable, as often as the disk allows, for everybody who waits.

use std::{fs::File, io, sync::Arc, thread};

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use super::{SpoolError, Ticket};

/// Makes written entries durable. Its thread ends with it.
#[derive(Debug)]
pub(super) struct Syncer {
    shared: Arc<Shared>,
    done: watch::Receiver<Done>,
}

#[derive(Debug, Default)]
struct Shared {
    wanted: Mutex<Wanted>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Wanted {
    /// Files with entries that are not durable yet.
    files: Vec<Arc<File>>,
    /// The last entry written to any of them.
    up_to: Ticket,
    stop: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Done {
    /// Every entry up to here was tried.
    up_to: Ticket,
    /// The last entry of a try that failed. Those before it are doubted too: that costs a 503, the opposite a record.
    failed: Ticket,
}

impl Syncer {
    pub(super) fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (report, done) = watch::channel(Done::default());
        let worker = Arc::clone(&shared);
        thread::Builder::new().name("usage-sync".to_owned()).spawn(move || worker.run(&report))?;
        Ok(Self { shared, done })
    }

    /// Asks for `entry`, just written to `file`, to be made durable.
    pub(super) fn written(&self, file: &Arc<File>, entry: Ticket) {
        let mut wanted = self.shared.wanted.lock();
        if !wanted.files.last().is_some_and(|last| Arc::ptr_eq(last, file)) {
            wanted.files.push(Arc::clone(file));
        }
        wanted.up_to = entry;
        self.shared.wake.notify_one();
    }

    /// Waits until everything up to `entry` is durable.
    pub(super) async fn durable(&self, entry: Ticket) -> Result<(), SpoolError> {
        let gone = || SpoolError::Io(io::Error::other("the thread that syncs the spool has ended"));
        let done = *self.done.clone().wait_for(|done| done.up_to >= entry).await.map_err(|_| gone())?;
        if entry <= done.failed {
            return Err(SpoolError::Io(io::Error::other("the disk did not confirm the write")));
        }
        Ok(())
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.shared.wanted.lock().stop = true;
        self.shared.wake.notify_one();
    }
}

impl Shared {
    fn run(&self, report: &watch::Sender<Done>) {
        let mut done = Done::default();
        while let Some((files, up_to)) = self.next(done.up_to) {
            done.up_to = up_to;
            for file in files {
                if let Err(error) = file.sync_data() {
                    tracing::error!(%error, "The disk did not confirm writes to the usage spool");
                    done.failed = up_to;
                }
            }
            report.send_replace(done);
        }
    }

    /// Waits for something to do; `None`: it is over, and everything is done.
    fn next(&self, done: Ticket) -> Option<(Vec<Arc<File>>, Ticket)> {
        let mut wanted = self.wanted.lock();
        while wanted.up_to == done {
            if wanted.stop {
                return None;
            }
            self.wake.wait(&mut wanted);
        }
        Some((std::mem::take(&mut wanted.files), wanted.up_to))
    }
}
