//! How an entry is written: one line, `<crc32 of the JSON, 8 hex digits> <JSON>\n`.
//!
//! JSON on one line holds no raw line feed, so after damage the next line feed is where reading goes on.

use serde::{Deserialize, Serialize};

use crate::usage::{Intent, UsageRecord};

/// The check sum and the space behind it.
const PREFIX: usize = 9;
const INTENT: &[u8] = br#"{"intent":"#;

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "nearly every entry kept in memory is of the large kind")]
pub(crate) enum Entry {
    Intent(Intent),
    Settled(UsageRecord),
}

/// An entry to be written.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum EntryRef<'a> {
    Intent(&'a Intent),
    Settled(&'a UsageRecord),
}

/// Writes the line of `entry` into `line`, in place of what was there.
pub(super) fn encode(entry: EntryRef<'_>, line: &mut Vec<u8>) {
    line.clear();
    line.extend_from_slice(b"00000000 ");
    serde_json::to_writer(&mut *line, &entry).expect("plain data always serialises");
    let sum = hex(crc32fast::hash(&line[PREFIX..]));
    line[..sum.len()].copy_from_slice(&sum);
    line.push(b'\n');
}

/// Reads a line, with or without its line feed. `None`: it is damaged, or torn.
pub(super) fn decode(line: &[u8]) -> Option<Entry> {
    serde_json::from_slice(payload(line)?).ok()
}

/// Whether the line, if it is sound, is an intent: told without parsing it.
pub(super) fn is_intent(line: &[u8]) -> bool {
    line.get(PREFIX..).is_some_and(|json| json.starts_with(INTENT)) && payload(line).is_some()
}

fn payload(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let (sum, json) = line.split_at_checked(PREFIX)?;
    let expected = hex(crc32fast::hash(json));
    (sum[..expected.len()] == expected && sum[expected.len()] == b' ').then_some(json)
}

fn hex(sum: u32) -> [u8; 8] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    std::array::from_fn(|at| DIGITS[(sum >> (28 - 4 * at)) as usize & 15])
}
