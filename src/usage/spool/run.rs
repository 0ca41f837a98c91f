//! Runs: one directory for each life of a process, locked as long as it lives.
//!
//! `<spool>/<run>/lock` is locked exclusively by its process, and the kernel lets go when the process dies, however it
//! dies: who gets the lock of a run knows that its writer is dead, and is the only one to recover it. A directory gets
//! its name only once it is locked (`.new-…` before), so that no run looks dead while it is being born.

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use uuid::Uuid;

use super::tail::Extent;

const LOCK: &str = "lock";
const SEGMENT: &str = "seg";
const UNBORN: &str = ".new-";
/// Where segments with damaged lines go instead of being deleted.
const DAMAGED: &str = "damaged";

/// A run's directory, held by its lock.
#[derive(Debug)]
pub(super) struct RunDir {
    pub(super) path: PathBuf,
    _lock: File,
}

/// A dead run, which only its holder may recover.
#[derive(Debug)]
pub(crate) struct DeadRun {
    dir: RunDir,
    pub(crate) segments: Vec<Extent>,
}

impl RunDir {
    /// Makes the directory of a new run.
    pub(super) fn create(root: &Path) -> io::Result<Self> {
        const TRIES: usize = 5;
        let mut tries = 0;
        loop {
            tries += 1;
            match Self::try_create(root) {
                // Somebody who tidies up took the half-made directory for a leftover.
                Err(error) if tries < TRIES && error.kind() != io::ErrorKind::PermissionDenied => {}
                result => return result,
            }
        }
    }

    fn try_create(root: &Path) -> io::Result<Self> {
        let name = Uuid::now_v7().simple().to_string();
        let unborn = root.join(format!("{UNBORN}{name}"));
        DirBuilder::new().mode(0o700).create(&unborn)?;
        let lock =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(unborn.join(LOCK))?;
        lock.try_lock()?;
        let path = root.join(name);
        fs::rename(&unborn, &path)?;
        Ok(Self { path, _lock: lock })
    }

    /// Removes what is left of the run: no segment of it is needed any more.
    pub(super) fn remove(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.path)
    }
}

impl DeadRun {
    pub(crate) fn path(&self) -> &Path {
        &self.dir.path
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.segments.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Removes the run, oldest segment first, so that no intent outlives its settlement.
    pub(crate) fn remove(self, damaged: &BTreeSet<u64>) -> io::Result<()> {
        for &(number, _) in &self.segments {
            discard(&self.dir.path, number, damaged)?;
        }
        self.dir.remove()
    }
}

pub(super) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:08}.{SEGMENT}"))
}

/// Deletes a segment, or keeps it aside if lines of it could not be read.
pub(super) fn discard(dir: &Path, number: u64, damaged: &BTreeSet<u64>) -> io::Result<()> {
    let segment = segment_path(dir, number);
    if !damaged.contains(&number) {
        return match fs::remove_file(segment) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        };
    }
    let root = dir.parent().expect("a run stands in the spool");
    let run = dir.file_name().expect("a run has a name").to_string_lossy();
    DirBuilder::new().recursive(true).mode(0o700).create(root.join(DAMAGED))?;
    fs::rename(segment, root.join(DAMAGED).join(format!("{run}-{number:08}.{SEGMENT}")))
}

/// Takes hold of every run in `root` whose process is dead, oldest first, and counts the bytes of all runs but `own`.
pub(super) fn find_dead(root: &Path, own: &Path) -> io::Result<(Vec<DeadRun>, u64)> {
    let mut paths: Vec<PathBuf> = fs::read_dir(root)?.map(|it| Ok(it?.path())).collect::<io::Result<_>>()?;
    paths.retain(|it| it != own && it.join(LOCK).is_file());
    paths.sort_unstable();
    let mut dead = Vec::new();
    let mut bytes = 0;
    for path in paths {
        let Ok(segments) = segments(&path) else { continue };
        bytes += segments.iter().map(|(_, bytes)| bytes).sum::<u64>();
        if let Some(run) = claim(path)? {
            dead.push(run);
        }
    }
    Ok((dead, bytes))
}

fn claim(path: PathBuf) -> io::Result<Option<DeadRun>> {
    let Ok(lock) = File::open(path.join(LOCK)) else { return Ok(None) };
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // Read again behind the lock: who held it before may have recovered the run.
    let Ok(segments) = segments(&path) else { return Ok(None) };
    let dir = RunDir { path, _lock: lock };
    if dir.path.file_name().is_some_and(|it| it.to_string_lossy().starts_with(UNBORN)) {
        dir.remove()?;
        return Ok(None);
    }
    Ok(Some(DeadRun { dir, segments }))
}

/// The segments of a run in order, each with its size.
fn segments(dir: &Path) -> io::Result<Vec<Extent>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let number = path.file_stem().and_then(|it| it.to_str()?.parse().ok());
        if let (Some(number), Some(SEGMENT)) = (number, path.extension().and_then(|it| it.to_str())) {
            segments.push((number, fs::metadata(&path)?.len()));
        }
    }
    segments.sort_unstable();
    Ok(segments)
}
