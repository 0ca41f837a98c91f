//! What survives each path from a client's dialect to an upstream's: tried, and written down in `docs/FIDELITY.md`.

mod answered;
mod asked;
mod page;
mod remembered;

use std::{collections::BTreeSet, fs, path::Path};

use dragoman::dialect::DialectId;

use crate::support::fixtures;

/// What became of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Survives,
    /// Told in another way, and noted.
    Changed,
    /// Left out or refused, and noted.
    Lost,
    /// The one who would say it has no words for it.
    Unsaid,
}

impl Mark {
    const fn sign(self) -> &'static str {
        match self {
            Self::Survives => "✓",
            Self::Changed => "~",
            Self::Lost => "✗",
            Self::Unsaid => "·",
        }
    }
}

/// What became of a feature on one path, in one mode.
#[derive(Debug, Clone, PartialEq)]
struct Cell {
    mark: Mark,
    /// Why it is not as it was.
    notes: BTreeSet<String>,
}

impl Cell {
    fn new(mark: Mark) -> Self {
        Self { mark, notes: BTreeSet::new() }
    }

    fn noted(mark: Mark, notes: impl IntoIterator<Item = String>) -> Self {
        Self { mark, notes: notes.into_iter().collect() }
    }
}

/// One line of a table: each path whole and streamed.
struct Row {
    feature: String,
    cells: Vec<[Cell; 2]>,
}

/// Client and upstream, in the order of the table.
fn paths() -> Vec<(DialectId, DialectId)> {
    let from = fixtures::DIALECTS.into_iter();
    from.flat_map(|client| fixtures::DIALECTS.map(|upstream| (client, upstream))).collect()
}

/// A dialect's letter.
const fn letter(dialect: DialectId) -> &'static str {
    match dialect {
        DialectId::OpenaiChat => "C",
        DialectId::OpenaiResponses => "R",
        DialectId::AnthropicMessages => "A",
        DialectId::Gemini => "G",
    }
}

#[test]
fn the_page_says_what_survives() {
    let mut wrong = Vec::new();
    let requests = asked::rows(&mut wrong);
    let mut answers = answered::rows(&mut wrong);
    assert!(wrong.is_empty(), "a loss is not noted, or is listed and does not happen: {wrong:#?}");
    answers.push(remembered::row());
    answers.extend(answered::errors());
    let made = page::write(&requests, &answers);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/FIDELITY.md");
    if std::env::var_os("DRAGOMAN_BLESS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let kept = fs::read_to_string(path).unwrap_or_default();
    assert!(kept == made, "docs/FIDELITY.md is stale: run `DRAGOMAN_BLESS=1 cargo test --test it fidelity`");
}
