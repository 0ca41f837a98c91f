//! Events as bytes: numbered, in one line each. Deltas, which are nearly all of them, are written by hand.

use bytes::{BufMut as _, Bytes, BytesMut};
use serde_json::Value;

use crate::dialect::wire;

/// The events of one stream and their numbers.
#[derive(Debug, Default)]
pub(super) struct Frames {
    next: u64,
}

/// An event's kind and the fields that are the same in all deltas of a block, up to its number.
#[derive(Debug, Clone)]
pub(super) struct Head(Bytes);

impl Head {
    /// `fields`: an object.
    pub(super) fn new(kind: &str, fields: &Value) -> Self {
        let mut out = BytesMut::new();
        begin(kind, &mut out);
        let fields = wire::bytes(fields);
        let inner = &fields[1..fields.len() - 1];
        if !inner.is_empty() {
            out.put_slice(b",");
            out.put_slice(inner);
        }
        out.put_slice(b",\"sequence_number\":");
        Self(out.freeze())
    }
}

fn begin(kind: &str, out: &mut BytesMut) {
    out.put_slice(b"event: ");
    out.put_slice(kind.as_bytes());
    out.put_slice(b"\ndata: {\"type\":\"");
    out.put_slice(kind.as_bytes());
    out.put_slice(b"\"");
}

impl Frames {
    /// Writes an event with these fields: an object.
    pub(super) fn put(&mut self, kind: &str, fields: &Value, out: &mut BytesMut) {
        self.put_head(&Head::new(kind, fields), out);
        out.put_slice(b"}\n\n");
    }

    /// Writes an event with one more field, whose value is JSON already.
    pub(super) fn put_with(
        &mut self,
        kind: &str,
        fields: &Value,
        key: &str,
        write: impl FnOnce(&mut BytesMut),
        out: &mut BytesMut,
    ) {
        self.put_head(&Head::new(kind, fields), out);
        out.put_slice(b",\"");
        out.put_slice(key.as_bytes());
        out.put_slice(b"\":");
        write(out);
        out.put_slice(b"}\n\n");
    }

    /// Writes a delta. `tail` is what follows it in the object.
    pub(super) fn put_delta(&mut self, head: &Head, text: &str, tail: &[u8], out: &mut BytesMut) {
        self.put_head(head, out);
        out.put_slice(b",\"delta\":");
        wire::write(text, out);
        out.put_slice(tail);
        out.put_slice(b"}\n\n");
    }

    fn put_head(&mut self, head: &Head, out: &mut BytesMut) {
        out.put_slice(&head.0);
        put_number(self.next, out);
        self.next += 1;
    }
}

fn put_number(number: u64, out: &mut BytesMut) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut left = number;
    loop {
        at -= 1;
        let digit = (left % 10) as u8;
        digits[at] = b'0' + digit;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.put_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_named_and_numbered() {
        let (mut frames, mut out) = (Frames { next: 99 }, BytesMut::new());
        frames.put("a.b", &json!({"x": 1}), &mut out);
        frames.put("c", &json!({}), &mut out);
        frames.put_delta(&Head::new("d", &json!({})), "\u{2028}\"", b",\"logprobs\":[]", &mut out);
        assert_eq!(
            std::str::from_utf8(&out).unwrap(),
            "event: a.b\ndata: {\"type\":\"a.b\",\"x\":1,\"sequence_number\":99}\n\n\
             event: c\ndata: {\"type\":\"c\",\"sequence_number\":100}\n\n\
             event: d\ndata: {\"type\":\"d\",\"sequence_number\":101,\"delta\":\"\\u2028\\\"\",\"logprobs\":[]}\n\n"
        );
    }
}
