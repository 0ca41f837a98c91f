//! Streams of each dialect, in pieces of any size: they mean what they mean in one piece, and reach every client well formed.
//!
//! Input: a letter for the dialect, a byte for where it is cut, then the stream.
#![no_main]

mod dialects;
#[expect(dead_code, reason = "it is the integration tests' and holds more than is needed here")]
#[path = "../../it/support"]
mod support {
    pub(crate) mod grammar;
    pub(crate) mod trip;
}

use dragoman::dialect::{ChatEvent, canonical::BlockKind};
use libfuzzer_sys::{Corpus, fuzz_target};
use support::{grammar, trip};

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((dialect, [seed, stream @ ..])) = dialects::split(input) else { return Corpus::Reject };
    let events = trip::read(dialect, &[stream]);
    let in_pieces = trip::read(dialect, &pieces(stream, *seed));
    let same = without_minted(in_pieces, stream) == without_minted(events.clone(), stream);
    assert!(same, "the pieces of the stream matter");
    for client in dialects::ALL {
        let out = trip::write(client, events.clone());
        if let Err(rule) = grammar::check_form(client, &out) {
            panic!("to {}: {rule}\n{}", client.name(), String::from_utf8_lossy(&out));
        }
    }
    Corpus::Keep
});

/// Leaves out the ids of calls that are nowhere in the stream: they were minted, anew each time it is read.
fn without_minted(mut events: Vec<ChatEvent>, stream: &[u8]) -> Vec<ChatEvent> {
    for event in &mut events {
        if let ChatEvent::BlockStart { kind: BlockKind::ToolCall { id, .. }, .. } = event
            && !stream.windows(id.len().max(1)).any(|it| it == id.as_bytes())
        {
            id.clear();
        }
    }
    events
}

/// Cuts a stream into pieces of sizes that a seed decides, the smallest of one byte.
fn pieces(stream: &[u8], seed: u8) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let (mut rest, mut size) = (stream, usize::from(seed));
    while !rest.is_empty() {
        size = (size * 5 + 3) % (usize::from(seed) + 2) + 1;
        let (piece, after) = rest.split_at(size.min(rest.len()));
        found.push(piece);
        rest = after;
    }
    found
}
