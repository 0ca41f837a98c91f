//! The grammar of JSON, walked without building anything.

use std::{borrow::Cow, ops::Range};

use super::{Field, ValueKind};
use crate::dialect::DecodeError;

/// How deep arrays and objects may stand in one another: as deep as `serde_json` follows.
pub const MAX_DEPTH: usize = 127;

/// Where the text is wrong, and how.
struct Fault {
    at: usize,
    what: &'static str,
}

/// Walks one JSON text.
pub(super) struct Scanner<'b> {
    /// The body up to the end of the text.
    body: &'b [u8],
    at: usize,
    lone_surrogates: Vec<Range<usize>>,
}

impl<'b> Scanner<'b> {
    /// Begins with a whole body; a byte order mark is passed over.
    pub(super) fn of(body: &'b [u8]) -> Result<Self, DecodeError> {
        if let Err(error) = std::str::from_utf8(body) {
            let at = error.valid_up_to();
            return Err(DecodeError::new("", format!("the body is not valid UTF-8 at byte {at}")));
        }
        let at = if body.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
        Ok(Self { body, at, lone_surrogates: Vec::new() })
    }

    /// Begins with a value whose place in a body is known, and that is known to be UTF-8.
    pub(super) fn within(body: &'b [u8], span: Range<usize>) -> Self {
        Self { body: &body[..span.end], at: span.start, lone_surrogates: Vec::new() }
    }

    /// Walks the text to its end. Gives what it is, where, and, if it is an object, its fields.
    pub(super) fn document(&mut self) -> Result<(ValueKind, Range<usize>, Vec<Field>), DecodeError> {
        let mut fields = Vec::new();
        let walked = self.outermost(&mut fields);
        walked.map(|(kind, span)| (kind, span, fields)).map_err(|it| self.explain(&it))
    }

    pub(super) fn into_lone_surrogates(self) -> Vec<Range<usize>> {
        self.lone_surrogates
    }

    fn outermost(&mut self, fields: &mut Vec<Field>) -> Result<(ValueKind, Range<usize>), Fault> {
        self.skip_space();
        let from = self.at;
        let kind = if self.peek() == Some(b'{') {
            self.object(MAX_DEPTH, |field| fields.push(field))?;
            ValueKind::Object
        } else {
            self.value(MAX_DEPTH)?
        };
        let span = from..self.at;
        self.skip_space();
        if self.at < self.body.len() { Err(self.fault("something follows it")) } else { Ok((kind, span)) }
    }

    /// Walks a value that stands where `room` more levels are allowed.
    fn value(&mut self, room: usize) -> Result<ValueKind, Fault> {
        match self.peek() {
            Some(b'"') => self.string().map(|()| ValueKind::String),
            Some(b'{') => self.object(room, |_| {}).map(|()| ValueKind::Object),
            Some(b'[') => self.array(room).map(|()| ValueKind::Array),
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| ValueKind::Number),
            Some(b't') => self.literal(b"true").map(|()| ValueKind::Bool),
            Some(b'f') => self.literal(b"false").map(|()| ValueKind::Bool),
            Some(b'n') => self.literal(b"null").map(|()| ValueKind::Null),
            Some(_) => Err(self.fault("a value is expected")),
            None => Err(self.cut()),
        }
    }

    /// Walks an object. The names of fields are only read for the outermost one: the callback says so by being given
    /// them when `room` is whole.
    fn object(&mut self, room: usize, mut each: impl FnMut(Field)) -> Result<(), Fault> {
        let deeper = self.descend(room)?;
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let key = self.key()?;
            let from = self.at;
            let kind = self.value(deeper)?;
            if room == MAX_DEPTH {
                let name = string_text(&self.body[key.clone()]).into_owned();
                each(Field { name, key, value: from..self.at, kind });
            }
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(_) => return Err(self.fault("a comma or a closing brace is expected")),
                None => return Err(self.cut()),
            }
            self.skip_space();
        }
    }

    /// Walks a key, its colon, and the space around it.
    fn key(&mut self) -> Result<Range<usize>, Fault> {
        let from = self.at;
        match self.peek() {
            Some(b'"') => self.string()?,
            Some(_) => return Err(self.fault("a key is expected")),
            None => return Err(self.cut()),
        }
        let key = from..self.at;
        if is_reserved(&self.body[key.clone()]) {
            return Err(self.fault("this key is not allowed"));
        }
        self.skip_space();
        match self.peek() {
            Some(b':') => self.at += 1,
            Some(_) => return Err(self.fault("a colon is expected")),
            None => return Err(self.cut()),
        }
        self.skip_space();
        Ok(key)
    }

    fn array(&mut self, room: usize) -> Result<(), Fault> {
        let deeper = self.descend(room)?;
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(deeper)?;
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(_) => return Err(self.fault("a comma or a closing bracket is expected")),
                None => return Err(self.cut()),
            }
            self.skip_space();
        }
    }

    fn descend(&self, room: usize) -> Result<usize, Fault> {
        room.checked_sub(1).ok_or_else(|| self.fault("it is nested too deeply (at most 127 levels are read)"))
    }

    fn string(&mut self) -> Result<(), Fault> {
        self.at += 1;
        loop {
            self.at += plain_length(&self.body[self.at..]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(self.fault("a control character stands in a string")),
                None => return Err(self.cut()),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        match self.body.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => self.unicode_escape(),
            Some(_) => Err(self.fault("an escape is not known")),
            None => Err(self.cut()),
        }
    }

    fn unicode_escape(&mut self) -> Result<(), Fault> {
        let from = self.at;
        let unit = code_unit(&self.body[from..]).ok_or_else(|| self.bad_hex())?;
        self.at += 6;
        let low_follows =
            || code_unit(&self.body[from + 6..]).is_some_and(|it| (0xDC00..0xE000).contains(&it));
        match unit {
            0xD800..0xDC00 if low_follows() => self.at += 6,
            0xD800..0xE000 => self.lone_surrogates.push(from..from + 6),
            _ => {}
        }
        Ok(())
    }

    fn bad_hex(&self) -> Fault {
        if self.body.len() < self.at + 6 {
            self.cut()
        } else {
            self.fault("an escape is not four hex digits")
        }
    }

    fn number(&mut self) -> Result<(), Fault> {
        self.skip_if(|it| it == b'-');
        if !self.skip_if(|it| it == b'0') {
            self.digits()?;
        }
        if self.skip_if(|it| it == b'.') {
            self.digits()?;
        }
        if self.skip_if(|it| matches!(it, b'e' | b'E')) {
            self.skip_if(|it| matches!(it, b'+' | b'-'));
            self.digits()?;
        }
        Ok(())
    }

    /// Walks one digit or more.
    fn digits(&mut self) -> Result<(), Fault> {
        let length = self.body[self.at..].iter().take_while(|it| it.is_ascii_digit()).count();
        self.at += length;
        match (length, self.peek()) {
            (0, None) => Err(self.cut()),
            (0, Some(_)) => Err(self.fault("a digit is expected")),
            _ => Ok(()),
        }
    }

    fn literal(&mut self, word: &'static [u8]) -> Result<(), Fault> {
        let rest = &self.body[self.at..];
        if rest.starts_with(word) {
            self.at += word.len();
            Ok(())
        } else if word.starts_with(rest) {
            Err(self.cut())
        } else {
            Err(self.fault("a value is expected"))
        }
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn skip_if(&mut self, wanted: impl Fn(u8) -> bool) -> bool {
        let found = self.peek().is_some_and(wanted);
        self.at += usize::from(found);
        found
    }

    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    fn fault(&self, what: &'static str) -> Fault {
        Fault { at: self.at, what }
    }

    fn cut(&self) -> Fault {
        Fault { at: self.body.len(), what: "it ends too early" }
    }

    /// Says where a fault is without repeating anything of the body.
    fn explain(&self, fault: &Fault) -> DecodeError {
        let before = &self.body[..fault.at.min(self.body.len())];
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        let column = before.len() - memchr::memrchr(b'\n', before).map_or(0, |it| it + 1) + 1;
        let what = fault.what;
        DecodeError::new("", format!("the body is not valid JSON: {what}, at line {line} column {column}"))
    }
}

/// Counts the bytes before the first quote, backslash or control character; eight at a time.
fn plain_length(text: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let zero_bytes = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let mut words = text.chunks_exact(8);
    let mut length = 0;
    for word in &mut words {
        let word = u64::from_le_bytes(word.try_into().expect("chunks of eight are eight bytes long"));
        let quotes = zero_bytes(word ^ (ONES * u64::from(b'"')));
        let backslashes = zero_bytes(word ^ (ONES * u64::from(b'\\')));
        let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let found = quotes | backslashes | controls;
        if found != 0 {
            return length + (found.trailing_zeros() / 8) as usize;
        }
        length += 8;
    }
    let rest = words.remainder();
    length + rest.iter().position(|it| matches!(it, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len())
}

/// Reads `\uXXXX` at the beginning of a text.
fn code_unit(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))
}

/// Whether a key, in its quotes, is one that `serde_json` takes for its own sign: what it holds would be read as something
/// else than what stands there.
fn is_reserved(key: &[u8]) -> bool {
    (key.get(1) == Some(&b'$') || key.contains(&b'\\')) && string_text(key).starts_with("$serde_json::")
}

/// Reads a string that is known to be well formed, quotes included; borrowed if nothing in it is escaped.
pub(super) fn string_text(quoted: &[u8]) -> Cow<'_, str> {
    let inner = &quoted[1..quoted.len() - 1];
    if memchr::memchr(b'\\', inner).is_none() {
        return String::from_utf8_lossy(inner);
    }
    let mut text = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        text.extend_from_slice(&rest[..at]);
        let (character, length) = unescape(&rest[at..]);
        text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        rest = &rest[at + length..];
    }
    text.extend_from_slice(rest);
    Cow::Owned(String::from_utf8_lossy(&text).into_owned())
}

/// Reads the escape a text begins with: the character, and how long the escape is.
fn unescape(text: &[u8]) -> (char, usize) {
    let short = |it: char| (it, 2);
    match text.get(1) {
        Some(b'b') => short('\u{8}'),
        Some(b'f') => short('\u{c}'),
        Some(b'n') => short('\n'),
        Some(b'r') => short('\r'),
        Some(b't') => short('\t'),
        Some(b'u') => {
            let high = code_unit(text).unwrap_or(0xFFFD);
            let low = text.get(6..).and_then(code_unit).filter(|it| (0xDC00..0xE000).contains(it));
            match (high, low) {
                (0xD800..0xDC00, Some(low)) => {
                    let point = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                    (char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
                }
                _ => (char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER), 6),
            }
        }
        Some(other) => short(char::from(*other)),
        None => (char::REPLACEMENT_CHARACTER, 1),
    }
}
