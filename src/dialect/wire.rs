//! JSON as it is written to clients: compact, and with U+2028 and U+2029 escaped, which some clients take for line ends.

use std::io;

use bytes::{BufMut as _, Bytes, BytesMut};
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

struct OneLine;

impl Formatter for OneLine {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        // Both begin with the byte E2, which English and base64 do not have.
        if memchr::memchr(0xE2, fragment.as_bytes()).is_none() {
            return writer.write_all(fragment.as_bytes());
        }
        let mut rest = fragment;
        while let Some(at) = rest.find(['\u{2028}', '\u{2029}']) {
            writer.write_all(&rest.as_bytes()[..at])?;
            let escape: &[u8] = if rest[at..].starts_with('\u{2028}') { b"\\u2028" } else { b"\\u2029" };
            writer.write_all(escape)?;
            rest = &rest[at + '\u{2028}'.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}

/// Appends a value's JSON.
pub(super) fn write<T: Serialize + ?Sized>(value: &T, out: &mut BytesMut) {
    let mut serializer = Serializer::with_formatter(out.writer(), OneLine);
    value.serialize(&mut serializer).expect("memory takes every write and our keys are strings");
}

/// Returns a value's JSON.
pub(super) fn bytes<T: Serialize + ?Sized>(value: &T) -> Bytes {
    let mut out = BytesMut::with_capacity(256);
    write(value, &mut out);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_separators_are_escaped() {
        assert_eq!(&bytes("a\u{2028}b\u{2029}\"\n")[..], b"\"a\\u2028b\\u2029\\\"\\n\"");
    }
}
