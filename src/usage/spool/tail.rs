//! Reading a run's segments in order, from where reading stopped the last time.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use super::{
    frame::{self, Entry},
    segment_path,
};

/// Bytes read at once; more only for a line that is longer.
const CHUNK: u64 = 256 * 1024;

/// A segment's number and how many of its bytes may be read.
pub(crate) type Extent = (u64, u64);

/// Whether to return the intents too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intents {
    Keep,
    /// The process that wrote them is alive and knows them.
    Skip,
}

/// A place in a run: everything before it was read.
#[derive(Debug, Clone)]
pub(crate) struct Tail {
    dir: PathBuf,
    segment: u64,
    offset: u64,
    /// Segments in which lines were skipped.
    damaged: BTreeSet<u64>,
}

impl Tail {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), segment: 0, offset: 0, damaged: BTreeSet::new() }
    }

    /// The first segment that is not yet read to its end.
    pub(crate) fn segment(&self) -> u64 {
        self.segment
    }

    /// Whether everything up to the end of this last segment is read.
    pub(crate) fn is_at(&self, (segment, end): Extent) -> bool {
        (self.segment, self.offset) == (segment, end)
    }

    pub(crate) fn damaged(&self) -> &BTreeSet<u64> {
        &self.damaged
    }

    /// Reads on until `wanted` settled records are found or `segments` (in order) end. Damaged lines are reported and
    /// skipped; a line without its end, at the end of a segment, is one whose write was cut off, and no damage.
    pub(crate) fn read(
        &mut self,
        segments: &[Extent],
        wanted: usize,
        intents: Intents,
    ) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut missing = wanted;
        for &(number, end) in segments {
            if number < self.segment {
                continue;
            }
            if number > self.segment {
                (self.segment, self.offset) = (number, 0);
            }
            while self.offset < end && missing > 0 {
                let chunk = self.chunk(end)?;
                if chunk.is_empty() {
                    tracing::error!(
                        spool.segment = number,
                        "A segment of the usage spool was cut short by someone"
                    );
                    self.offset = end;
                }
                self.read_lines(&chunk, &mut missing, intents, &mut entries);
            }
            if missing == 0 {
                break;
            }
        }
        Ok(entries)
    }

    fn read_lines(&mut self, chunk: &[u8], missing: &mut usize, intents: Intents, entries: &mut Vec<Entry>) {
        for line in chunk.split_inclusive(|it| *it == b'\n') {
            if *missing == 0 {
                break;
            }
            let at = self.offset;
            self.offset += line.len() as u64;
            if intents == Intents::Skip && frame::is_intent(line) {
                continue;
            }
            match frame::decode(line) {
                Some(entry) => {
                    *missing -= usize::from(matches!(entry, Entry::Settled(_)));
                    entries.push(entry);
                }
                None if line.ends_with(b"\n") => {
                    self.damaged.insert(self.segment);
                    tracing::error!(
                        spool.segment = self.segment,
                        spool.offset = at,
                        "Skipped a damaged line of the usage spool; its segment will be kept aside"
                    );
                }
                None => {}
            }
        }
    }

    /// Whole lines from the current offset, at least one; without a line feed only at `end`. Empty: the file has no more.
    fn chunk(&self, end: u64) -> io::Result<Vec<u8>> {
        let mut file = File::open(segment_path(&self.dir, self.segment))?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut chunk = Vec::new();
        loop {
            let left = end - self.offset - chunk.len() as u64;
            let read = Read::by_ref(&mut file).take(left.min(CHUNK)).read_to_end(&mut chunk)?;
            if read as u64 == left || read == 0 {
                return Ok(chunk);
            }
            if let Some(last) = memchr::memrchr(b'\n', &chunk) {
                chunk.truncate(last + 1);
                return Ok(chunk);
            }
        }
    }
}
