//! Server-sent events, counted but not read: how many, and whether the last one says that all is well.

use memchr::memchr;

/// As much of a line as is looked at.
const LOOKED_AT: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Events {
    /// Lines of data so far.
    pub data: u64,
    /// The dialect's terminal came: `[DONE]` of Chat, `message_stop` of Messages.
    pub ended: bool,
    /// An error came as an event.
    pub failed: bool,
    /// The start of the line that is not over yet.
    line: Vec<u8>,
}

impl Events {
    pub(super) fn read(&mut self, mut bytes: &[u8]) {
        while let Some(end) = memchr(b'\n', bytes) {
            self.keep(&bytes[..end]);
            self.judge();
            self.line.clear();
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LOOKED_AT - self.line.len();
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn judge(&mut self) {
        if let Some(data) = self.line.strip_prefix(b"data:") {
            self.data += 1;
            let data = data.trim_ascii();
            self.ended |= data == b"[DONE]";
            self.failed |= data.starts_with(br#"{"error""#);
        } else if let Some(name) = self.line.strip_prefix(b"event:") {
            self.ended |= name.trim_ascii() == b"message_stop";
            self.failed |= name.trim_ascii() == b"error";
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, step: usize) -> (u64, bool, bool) {
        let mut events = Events::default();
        text.as_bytes().chunks(step).for_each(|it| events.read(it));
        (events.data, events.ended, events.failed)
    }

    #[test]
    fn events_are_counted_alike_in_any_pieces() {
        let chat =
            "data: {\"a\":1}\r\n\r\n: a comment\n\ndata:{\"text\":\"data: no event\"}\n\ndata: [DONE]\n\n";
        let messages = "event: ping\ndata: {\"type\":\"ping\"}\n\nevent: message_stop\ndata: {}\n\n";
        for step in 1..=chat.len() {
            assert_eq!(read(chat, step), (3, true, false));
            assert_eq!(read(messages, step), (2, true, false));
        }
    }

    #[test]
    fn an_error_or_a_missing_terminal_is_noticed() {
        assert_eq!(read("data: {\"error\":{}}\n\n", 9), (1, false, true));
        assert_eq!(read("event: error\ndata: {}\n\n", 9), (1, false, true));
        assert_eq!(read("data: {\"text\":\"[DONE]\"}\n\n", 9), (1, false, false));
    }
}
