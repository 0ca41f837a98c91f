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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dialect::{Loss, Severity},
        usage::{
            Ending, Losses,
            fixture::{intent, record},
        },
    };

    /// As they were written before losses were kept.
    const INTENT_BEFORE: &str = concat!(
        r#"d0e7fd97 {"intent":{"attempt":"att_00000000000000000000000000000001","#,
        r#""request":"req_00000000000000000000000000000001","number":1,"#,
        r#""tenant":"ten_45803d22e5985511b8e627cb78a2843c","#,
        r#""key":"key_1a2d604d56115565bffa7b234dacfa64","#,
        r#""credential":"cred_b4d0d7bdea175fb0b6268d11b5d6c237","upstream":"u","#,
        r#""client_dialect":"openai-chat","upstream_dialect":"openai-chat","model_name":"m","#,
        r#""upstream_model":"um","streamed":false,"operation":"chat","estimated_input":12,"#,
        r#""started_at":"2023-11-14T22:13:20Z"}}"#,
    );
    const SETTLED_BEFORE: &str = concat!(
        r#"8f66e23b {"settled":{"intent":{"attempt":"att_00000000000000000000000000000001","#,
        r#""request":"req_00000000000000000000000000000001","number":1,"#,
        r#""tenant":"ten_45803d22e5985511b8e627cb78a2843c","#,
        r#""key":"key_1a2d604d56115565bffa7b234dacfa64","#,
        r#""credential":"cred_b4d0d7bdea175fb0b6268d11b5d6c237","upstream":"u","#,
        r#""client_dialect":"openai-chat","upstream_dialect":"openai-chat","model_name":"m","#,
        r#""upstream_model":"um","streamed":false,"operation":"chat","estimated_input":12,"#,
        r#""started_at":"2023-11-14T22:13:20Z"},"ending":"completed","error":null,"status":200,"#,
        r#""finish":null,"upstream_id":null,"answered_model":null,"usage":{"input":3,"cache_read":null,"#,
        r#""cache_write_5m":null,"cache_write_1h":null,"cache_write_other":null,"output":5,"#,
        r#""reasoning":null,"audio_input":null,"audio_output":null,"image_input":null,"#,
        r#""prediction_accepted":null,"prediction_rejected":null,"web_searches":null,"#,
        r#""web_fetches":null},"estimated":false,"cost":null,"first_byte_ms":null,"duration_ms":1,"#,
        r#""ended_at":"2023-11-14T22:13:20Z"}}"#,
    );

    fn line(entry: EntryRef<'_>) -> String {
        let mut line = Vec::new();
        encode(entry, &mut line);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn an_attempt_that_lost_nothing_is_written_as_ever() {
        let intent = intent(1);
        assert_eq!(line(EntryRef::Intent(&intent)), format!("{INTENT_BEFORE}\n"));
        assert_eq!(
            line(EntryRef::Settled(&record(intent, Ending::Completed))),
            format!("{SETTLED_BEFORE}\n")
        );
    }

    #[test]
    fn what_waits_in_the_spool_of_an_older_version_is_read() {
        let intent = intent(1);
        assert_eq!(decode(INTENT_BEFORE.as_bytes()), Some(Entry::Intent(intent.clone())));
        let settled = record(intent, Ending::Completed);
        assert_eq!(decode(SETTLED_BEFORE.as_bytes()), Some(Entry::Settled(settled)));
    }

    #[test]
    fn losses_are_written_and_read_back() {
        let mut intent = intent(1);
        intent.losses = Losses::of(&[Loss::dropped("/seed", Severity::Semantic, "it cannot be\ntold")]);
        assert!(is_intent(line(EntryRef::Intent(&intent)).as_bytes()));
        assert_eq!(decode(line(EntryRef::Intent(&intent)).as_bytes()), Some(Entry::Intent(intent.clone())));
        let settled = record(intent, Ending::Interrupted);
        assert_eq!(decode(line(EntryRef::Settled(&settled)).as_bytes()), Some(Entry::Settled(settled)));
    }
}
