//! The fixtures: `tests/fixtures/<dialect>/<kind>/<name>.<json|sse>`; what they hold is made up, its shape is not.

use std::{fs, path::PathBuf};

use dragoman::dialect::DialectId;
use serde_json::Value;

pub(crate) const DIALECTS: [DialectId; 4] =
    [DialectId::OpenaiChat, DialectId::OpenaiResponses, DialectId::AnthropicMessages, DialectId::Gemini];

/// One file.
pub(crate) struct Fixture {
    pub(crate) dialect: DialectId,
    /// The file's name without its ending.
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

impl Fixture {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }

    /// For messages of failed assertions.
    pub(crate) fn title(&self) -> String {
        format!("{}/{}", self.dialect.name(), self.name)
    }
}

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Reads every fixture of a kind (`requests`, `answers`, `streams`, `errors`), in the order of names.
pub(crate) fn all(kind: &str) -> Vec<Fixture> {
    let dialects = if kind == "requests" { &DIALECTS[..] } else { &DIALECTS };
    let found: Vec<Fixture> = dialects.iter().flat_map(|dialect| of(*dialect, kind)).collect();
    assert!(!found.is_empty(), "there are no fixtures of kind {kind}");
    found
}

pub(crate) fn of(dialect: DialectId, kind: &str) -> Vec<Fixture> {
    let folder = root().join(dialect.name()).join(kind);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    files
        .into_iter()
        .map(|path| Fixture {
            dialect,
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            bytes: fs::read(path).unwrap(),
        })
        .collect()
}

/// The streams that end well.
pub(crate) fn whole_streams() -> Vec<Fixture> {
    let mut streams = all("streams");
    streams.retain(|it| !it.name.starts_with("error-") && !it.name.starts_with("cut-"));
    streams
}
