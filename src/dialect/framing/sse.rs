//! Server-sent events (WHATWG HTML, "Server-sent events").

use bytes::{BufMut, Bytes, BytesMut};
use memchr::{memchr, memchr2};

/// One event: its `event:` name, if it had one, and its `data:` lines joined with `\n`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SseFrame {
    pub event: Option<String>,
    pub data: Bytes,
}

/// Why no more frames can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("an event of the stream is larger than {limit} bytes")]
    TooLarge { limit: usize },
}

/// Bytes in, frames out, however the bytes are cut.
///
/// Follows the standard with one exception: an event that is not followed by a blank line when the stream ends is
/// still given out by `finish`. A frame whose data is one line, whole in one chunk, shares that chunk's memory.
#[derive(Debug)]
pub struct SseDecoder {
    limit: usize,
    /// The beginning of a line whose end has not come.
    line: BytesMut,
    /// Bytes of the current event so far, line ends and comments included.
    size: usize,
    /// Whether the last chunk ended in CR, so that an LF at the next one's start belongs to it.
    after_cr: bool,
    /// Whether a byte order mark may still come.
    at_start: bool,
    event: Option<String>,
    data: Option<Data>,
}

/// The data of the current event: shared as long as it is one line.
#[derive(Debug)]
enum Data {
    One(Bytes),
    Many(BytesMut),
}

impl SseDecoder {
    /// `max_frame_bytes` bounds one event with everything in it, and so what is ever held in memory.
    pub fn new(max_frame_bytes: usize) -> Self {
        Self {
            limit: max_frame_bytes,
            line: BytesMut::new(),
            size: 0,
            after_cr: false,
            at_start: true,
            event: None,
            data: None,
        }
    }

    /// Reads on. After an error the decoder is of no more use; the frames before it are in `frames`.
    #[expect(clippy::needless_pass_by_value, reason = "the frames share the chunk's memory")]
    pub fn push(&mut self, chunk: Bytes, frames: &mut Vec<SseFrame>) -> Result<(), FrameError> {
        self.push_each(&chunk, |frame, _| frames.extend(frame))
    }

    /// Reads on, and says after each blank line which frame it ended (none, if there was no data) and at which offset
    /// of the chunk.
    pub fn push_each(
        &mut self,
        chunk: &Bytes,
        mut each: impl FnMut(Option<SseFrame>, usize),
    ) -> Result<(), FrameError> {
        let mut at = 0;
        if self.after_cr && !chunk.is_empty() {
            self.after_cr = false;
            at = usize::from(chunk[0] == b'\n');
        }
        while let Some(length) = memchr2(b'\n', b'\r', &chunk[at..]) {
            let end = at + length;
            self.grow(length + 1)?;
            let line = if self.line.is_empty() {
                chunk.slice(at..end)
            } else {
                self.line.extend_from_slice(&chunk[at..end]);
                self.line.split().freeze()
            };
            at = end + 1;
            if chunk[end] == b'\r' {
                match chunk.get(at) {
                    Some(b'\n') => at += 1,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            if self.read_line(line) {
                each(self.take_frame(), at);
            }
        }
        self.grow(chunk.len() - at)?;
        self.line.extend_from_slice(&chunk[at..]);
        Ok(())
    }

    /// Whether the bytes so far end in CR, so that an LF may still come that belongs to it.
    pub fn is_after_cr(&self) -> bool {
        self.after_cr
    }

    /// The stream has ended: gives out what was not followed by a blank line.
    pub fn finish(&mut self, frames: &mut Vec<SseFrame>) {
        if !self.line.is_empty() {
            let line = self.line.split().freeze();
            self.read_line(line);
        }
        frames.extend(self.take_frame());
    }

    fn grow(&mut self, by: usize) -> Result<(), FrameError> {
        self.size += by;
        if self.size > self.limit { Err(FrameError::TooLarge { limit: self.limit }) } else { Ok(()) }
    }

    /// Reads one line without its end, and says whether it was blank.
    fn read_line(&mut self, mut line: Bytes) -> bool {
        if self.at_start {
            self.at_start = false;
            if line.starts_with(b"\xEF\xBB\xBF") {
                line = line.slice(3..);
            }
        }
        if line.is_empty() {
            return true;
        }
        let colon = memchr(b':', &line).unwrap_or(line.len());
        let mut from = (colon + 1).min(line.len());
        if line.get(from) == Some(&b' ') {
            from += 1;
        }
        match &line[..colon] {
            b"data" => self.add_data(line.slice(from..)),
            b"event" => self.event = Some(String::from_utf8_lossy(&line[from..]).into_owned()),
            _ => {}
        }
        false
    }

    fn add_data(&mut self, line: Bytes) {
        self.data = Some(match self.data.take() {
            None => Data::One(line),
            Some(Data::One(first)) => {
                let mut all = BytesMut::with_capacity(first.len() + 1 + line.len());
                all.extend_from_slice(&first);
                Data::Many(append(all, &line))
            }
            Some(Data::Many(all)) => Data::Many(append(all, &line)),
        });
    }

    fn take_frame(&mut self) -> Option<SseFrame> {
        self.size = 0;
        let event = self.event.take().filter(|it| !it.is_empty());
        let data = match self.data.take()? {
            Data::One(line) => line,
            Data::Many(all) => all.freeze(),
        };
        Some(SseFrame { event, data })
    }
}

fn append(mut all: BytesMut, line: &[u8]) -> BytesMut {
    all.put_u8(b'\n');
    all.extend_from_slice(line);
    all
}

/// Writes a frame without a name. `json` is one JSON text; see `escape_separators`.
pub fn write_data(out: &mut BytesMut, json: &[u8]) {
    out.reserve(json.len() + 8);
    out.extend_from_slice(b"data: ");
    escape_separators(out, json);
    out.extend_from_slice(b"\n\n");
}

/// Writes a frame with a name. `json` is one JSON text; see `escape_separators`.
pub fn write_event(out: &mut BytesMut, event: &str, json: &[u8]) {
    out.reserve(event.len() + json.len() + 16);
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(event.as_bytes());
    out.put_u8(b'\n');
    write_data(out, json);
}

/// Writes a JSON text so that it is one line for every reader.
///
/// Some clients split a stream at every character that Unicode calls a line's end, and not only at CR and LF: U+0085,
/// U+2028 and U+2029, which in JSON can only stand inside of strings, are written as escapes. CR and LF, which can only
/// stand between its tokens, become spaces.
pub fn escape_separators(out: &mut BytesMut, json: &[u8]) {
    let mut rest = json;
    while let Some(at) = find_separator(rest) {
        out.extend_from_slice(&rest[..at]);
        let (written, length): (&[u8], usize) = match rest[at] {
            b'\n' | b'\r' => (b" ", 1),
            0xC2 => (b"\\u0085", 2),
            _ if rest[at + 2] == 0xA8 => (b"\\u2028", 3),
            _ => (b"\\u2029", 3),
        };
        out.extend_from_slice(written);
        rest = &rest[at + length..];
    }
    out.extend_from_slice(rest);
}

/// Finds the first byte of a line's end of any kind.
fn find_separator(text: &[u8]) -> Option<usize> {
    let plain = memchr2(b'\n', b'\r', text);
    let before = &text[..plain.unwrap_or(text.len())];
    let mut from = 0;
    while let Some(found) = memchr2(0xC2, 0xE2, &before[from..]) {
        let at = from + found;
        match &before[at..] {
            [0xC2, 0x85, ..] | [0xE2, 0x80, 0xA8 | 0xA9, ..] => return Some(at),
            _ => from = at + 1,
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(chunks: &[&[u8]]) -> Vec<(Option<String>, String)> {
        let mut decoder = SseDecoder::new(1 << 20);
        let mut frames = Vec::new();
        for chunk in chunks {
            decoder.push(Bytes::copy_from_slice(chunk), &mut frames).unwrap();
        }
        decoder.finish(&mut frames);
        frames.into_iter().map(|it| (it.event, String::from_utf8_lossy(&it.data).into_owned())).collect()
    }

    fn data(texts: &[&str]) -> Vec<(Option<String>, String)> {
        texts.iter().map(|it| (None, (*it).to_owned())).collect()
    }

    #[test]
    fn a_frame_has_its_name_and_its_lines() {
        let frames = read(&[b"event: a\ndata: 1\ndata:2\nid: 7\nretry: 9\n\ndata:  3\n\n"]);
        assert_eq!(frames, [(Some("a".into()), "1\n2".into()), (None, " 3".into())]);
    }

    #[test]
    fn comments_and_frames_without_data_are_passed_over() {
        assert_eq!(read(&[b": hello\n\nevent: x\n\n:\ndata: 1\n: between\n\n"]), data(&["1"]));
    }

    #[test]
    fn a_data_line_may_be_empty_or_lack_its_colon() {
        assert_eq!(read(&[b"data:\n\ndata\n\ndata\ndata\n\n"]), data(&["", "", "\n"]));
    }

    #[test]
    fn a_byte_order_mark_is_passed_over_once() {
        assert_eq!(read(&[b"\xEF", b"\xBB\xBFdata: 1\n\n\xEF\xBB\xBFdata: 2\n\n"]), data(&["1"]));
    }

    #[test]
    fn ec_077_split_in_utf8_or_between_cr_and_lf() {
        assert_eq!(
            read(&[b"data: \xC3", b"\xA9\r", b"\n\r", b"\ndata: 2\r\r", b"data: 3\n\n"]),
            data(&["é", "2", "3"])
        );
    }

    #[test]
    fn ec_078_last_event_without_blank_line() {
        assert_eq!(read(&[b"data: 1\n\ndata: 2\n"]), data(&["1", "2"]));
        assert_eq!(read(&[b"data: 1\n\ndata: 2"]), data(&["1", "2"]));
    }

    #[test]
    fn ec_191_an_endless_event_is_an_error() {
        let mut decoder = SseDecoder::new(100);
        let mut frames = Vec::new();
        decoder.push(Bytes::from_static(b"data: fits\n\n"), &mut frames).unwrap();
        let error = (0..20).find_map(|_| decoder.push(Bytes::from_static(b"data: 12345"), &mut frames).err());
        assert_eq!(error, Some(FrameError::TooLarge { limit: 100 }));
        assert_eq!(frames.len(), 1);
    }

    #[test]
    fn the_limit_is_for_one_event_and_not_for_the_stream() {
        let mut decoder = SseDecoder::new(20);
        let mut frames = Vec::new();
        for _ in 0..100 {
            decoder.push(Bytes::from_static(b"data: 12345\n\n"), &mut frames).unwrap();
        }
        assert_eq!(frames.len(), 100);
    }

    #[test]
    fn a_frame_of_one_line_shares_its_chunk() {
        let chunk = Bytes::from_static(b"data: {\"a\":1}\n\n");
        let mut frames = Vec::new();
        SseDecoder::new(100).push(chunk.clone(), &mut frames).unwrap();
        assert_eq!(frames[0].data.as_ptr(), chunk[6..].as_ptr());
    }

    #[test]
    fn line_separators_of_unicode_are_escaped() {
        let mut out = BytesMut::new();
        write_event(&mut out, "x", "{\"a\":\"é\u{2028}…\u{2029}\u{85}\",\r\n\"b\":1}".as_bytes());
        assert_eq!(
            std::str::from_utf8(&out).unwrap(),
            "event: x\ndata: {\"a\":\"é\\u2028…\\u2029\\u0085\",  \"b\":1}\n\n"
        );
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_frames(
            lines in prop::collection::vec("(data: ?[a-zé\u{2028}]{0,6}|event: [a-c]|: c|id: 1|)(\n|\r\n|\r)", 0..30),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let text = lines.concat();
            let whole = read(&[text.as_bytes()]);
            let mut at: Vec<usize> = cuts.iter().map(|it| it.index(text.len() + 1)).collect();
            at.extend([0, text.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|it| &text.as_bytes()[it[0]..it[1]]).collect();
            prop_assert_eq!(read(&pieces), whole);
        }

        #[test]
        fn what_is_written_is_read_back(text in any::<String>(), event in "[a-z_]{1,9}") {
            let json = serde_json::to_vec(&text).unwrap();
            let mut out = BytesMut::new();
            write_event(&mut out, &event, &json);
            let frames = read(&[&out]);
            prop_assert_eq!(frames.len(), 1);
            prop_assert_eq!(frames[0].0.as_deref(), Some(event.as_str()));
            prop_assert_eq!(serde_json::from_str::<String>(&frames[0].1).unwrap(), text);
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut frames = Vec::new();
            let mut decoder = SseDecoder::new(64);
            let _ = decoder.push(bytes.into(), &mut frames);
            decoder.finish(&mut frames);
            prop_assert!(frames.iter().all(|it| it.data.len() <= 64));
        }
    }
}
