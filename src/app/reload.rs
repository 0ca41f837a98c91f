//! A change of the file, of the database or of the stored credentials becomes a new pipeline; what is under way keeps the old.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::{RecursiveMode, Watcher};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

/// How long to wait after a change for those that come with it.
const DEBOUNCE: Duration = Duration::from_millis(500);

/// Tells of changes in the directories of `files`: editors and orchestrators replace files, so the directory is watched.
///
/// Lives as long as it is kept.
pub struct FileWatch {
    changes: mpsc::UnboundedReceiver<()>,
    /// When a change that has been seen counts as the last of its kind.
    settles: Option<Instant>,
    _watcher: Option<notify::RecommendedWatcher>,
}

impl FileWatch {
    /// Watches. What cannot be watched is logged and left to SIGHUP.
    pub fn on(paths: &[PathBuf]) -> Self {
        let (tell, changes) = mpsc::unbounded_channel();
        // Changes are told with absolute paths.
        let absolute = |it: &PathBuf| std::path::absolute(it).unwrap_or_else(|_| it.clone());
        let names: Arc<Vec<PathBuf>> = Arc::new(paths.iter().map(absolute).collect());
        let watched = Arc::clone(&names);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|it| !it.kind.is_access() && concerns(&watched, &it.paths)) {
                let _ = tell.send(());
            }
        });
        let mut watcher = match watcher {
            Ok(watcher) => watcher,
            Err(error) => {
                tracing::warn!(%error, "Files cannot be watched: send SIGHUP after a change");
                return Self { changes, settles: None, _watcher: None };
            }
        };
        for path in names.iter() {
            let directory = if path.is_dir() { path.as_path() } else { parent(path) };
            if let Err(error) = watcher.watch(directory, RecursiveMode::NonRecursive) {
                tracing::warn!(%error, path = %directory.display(), "This directory cannot be watched");
            }
        }
        Self { changes, settles: None, _watcher: Some(watcher) }
    }

    /// Waits for a change, and until no more come for half a second. Dropping the future loses no change.
    pub async fn changed(&mut self) {
        loop {
            let next = match self.settles {
                Some(at) => match timeout_at(at, self.changes.recv()).await {
                    Ok(next) => next,
                    Err(_) => {
                        self.settles = None;
                        return;
                    }
                },
                None => self.changes.recv().await,
            };
            if next.is_none() {
                // Nobody will ever tell.
                std::future::pending::<()>().await;
            }
            self.settles = Some(Instant::now() + DEBOUNCE);
        }
    }
}

/// Whether one of the changed paths is watched, is in a watched directory, or is a link a watched file hangs on
/// (Kubernetes swaps `..data`).
fn concerns(watched: &[PathBuf], changed: &[PathBuf]) -> bool {
    changed.iter().any(|path| {
        watched.iter().any(|it| {
            path.file_name() == it.file_name()
                || parent(path) == it
                || path.file_name().is_some_and(|name| name == "..data")
        })
    })
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(it) if !it.as_os_str().is_empty() => it,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_is_not_lost_by_who_waits_for_something_else_too() {
        let (tell, changes) = mpsc::unbounded_channel();
        let mut watch = FileWatch { changes, settles: None, _watcher: None };
        tell.send(()).unwrap();
        tokio::select! {
            biased;
            () = watch.changed() => panic!("more may come"),
            () = std::future::ready(()) => {}
        }
        watch.changed().await;
    }

    #[test]
    fn only_what_is_watched_concerns_us() {
        let watched = [PathBuf::from("/etc/d/dragoman.yaml"), PathBuf::from("/data/credentials")];
        for path in ["/etc/d/dragoman.yaml", "/etc/d/..data", "/data/credentials/one.json"] {
            assert!(concerns(&watched, &[PathBuf::from(path)]), "{path}");
        }
        assert!(!concerns(&watched, &[PathBuf::from("/etc/d/other.yaml")]));
    }
}
