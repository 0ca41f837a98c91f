//! Server-sent events, counted but not read: how many, and whether the last one says that all is well.

use memchr::{memchr, memmem};

/// As much of a line as is looked at.
const LOOKED_AT: usize = 32;

/// What Gemini's last chunk holds, somewhere: it has no terminal.
const FINISHES: [&[u8]; 2] = [br#""finishReason""#, br#""blockReason""#];

/// How the data of the other dialects begins: it need not be searched.
const OTHERS: [&[u8]; 4] = [br#"data: {"id""#, br#"data: {"type""#, br#"data: {"object""#, b"data: [DONE]"];

#[derive(Debug, Default)]
pub(super) struct Events {
    /// Lines of data so far.
    pub data: u64,
    /// The dialect's terminal came: `[DONE]` of Chat, `response.completed` of Responses, `message_stop` of Messages, a
    /// finish of Gemini.
    pub ended: bool,
    /// An error came as an event.
    pub failed: bool,
    /// The start of the line that is not over yet.
    line: Vec<u8>,
    /// The end of what was searched of that line, in case a word is cut.
    tail: Vec<u8>,
}

impl Events {
    pub(super) fn read(&mut self, mut bytes: &[u8]) {
        while let Some(end) = memchr(b'\n', bytes) {
            self.keep(&bytes[..end]);
            self.judge();
            self.line.clear();
            self.tail.clear();
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LOOKED_AT - self.line.len();
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if !self.ended
            && !OTHERS.iter().any(|it| self.line.starts_with(it))
            && self.line.starts_with(b"data:")
        {
            self.search(bytes);
        }
    }

    /// Looks for a finish in the next bytes of a line, and across the last cut.
    fn search(&mut self, bytes: &[u8]) {
        const LONGEST: usize = FINISHES[0].len();
        self.tail.extend_from_slice(&bytes[..bytes.len().min(LONGEST)]);
        let found = |text: &[u8]| FINISHES.iter().any(|it| memmem::find(text, it).is_some());
        self.ended = found(&self.tail) || found(bytes);
        if bytes.len() > LONGEST {
            self.tail.clear();
            self.tail.extend_from_slice(&bytes[bytes.len() - LONGEST..]);
        } else {
            let surplus = self.tail.len().saturating_sub(LONGEST);
            self.tail.drain(..surplus);
        }
    }

    fn judge(&mut self) {
        if let Some(data) = self.line.strip_prefix(b"data:") {
            self.data += 1;
            let data = data.trim_ascii();
            self.ended |= data == b"[DONE]";
            self.failed |= data.starts_with(br#"{"error""#);
        } else if let Some(name) = self.line.strip_prefix(b"event:") {
            let name = name.trim_ascii();
            self.ended |=
                [b"message_stop".as_slice(), b"response.completed", b"response.incomplete"].contains(&name);
            self.failed |= [b"error".as_slice(), b"response.failed"].contains(&name);
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
        let responses = "event: response.created\ndata: {\"type\":\"response.created\"}\n\n\
                         event: response.completed\ndata: {\"type\":\"response.completed\"}\n\n";
        let gemini = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\r\n\r\n\
                      data: {\"candidates\":[{\"content\":{\"parts\":[]},\"finishReason\":\"STOP\"}]}\r\n\r\n";
        for step in 1..=gemini.len() {
            assert_eq!(read(responses, step), (2, true, false));
            assert_eq!(read(gemini, step), (2, true, false));
        }
        for step in 1..=chat.len() {
            assert_eq!(read(chat, step), (3, true, false));
            assert_eq!(read(messages, step), (2, true, false));
        }
    }

    #[test]
    fn an_error_or_a_missing_terminal_is_noticed() {
        assert_eq!(read("data: {\"error\":{}}\n\n", 9), (1, false, true));
        assert_eq!(read("event: error\ndata: {}\n\n", 9), (1, false, true));
        assert_eq!(read("event: response.failed\ndata: {}\n\n", 9), (1, false, true));
        assert_eq!(read("data: {\"candidates\":[]}\n\n", 9), (1, false, false));
        assert_eq!(read("data: {\"text\":\"[DONE]\"}\n\n", 9), (1, false, false));
    }
}
