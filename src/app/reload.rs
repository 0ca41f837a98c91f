//! A change of the file, of the database or of the stored credentials becomes a new pipeline; what is under way keeps the old.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// How long to wait after a change for those that come with it.
const DEBOUNCE: Duration = Duration::from_millis(500);

/// Tells of changes in the directories of `files`: editors and orchestrators replace files, so the directory is watched.
///
/// Lives as long as it is kept.
pub struct FileWatch {
    changes: mpsc::UnboundedReceiver<()>,
    _watcher: Option<notify::RecommendedWatcher>,
}

impl FileWatch {
    /// Watches. What cannot be watched is logged and left to SIGHUP.
    pub fn on(paths: &[PathBuf]) -> Self {
        let (tell, changes) = mpsc::unbounded_channel();
        let names: Arc<Vec<PathBuf>> = Arc::new(paths.to_vec());
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
                return Self { changes, _watcher: None };
            }
        };
        for path in names.iter() {
            let directory = if path.is_dir() { path.as_path() } else { parent(path) };
            if let Err(error) = watcher.watch(directory, RecursiveMode::NonRecursive) {
                tracing::warn!(%error, path = %directory.display(), "This directory cannot be watched");
            }
        }
        Self { changes, _watcher: Some(watcher) }
    }

    /// Waits for a change, and until no more come for half a second.
    pub async fn changed(&mut self) {
        if self.changes.recv().await.is_none() {
            // Nobody will ever tell.
            std::future::pending::<()>().await;
        }
        while let Ok(Some(())) = tokio::time::timeout(DEBOUNCE, self.changes.recv()).await {}
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
