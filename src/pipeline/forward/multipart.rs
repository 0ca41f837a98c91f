//! Finding `model` in `multipart/form-data` (RFC 7578) while it comes, holding back only what may be part of it.

use std::ops::Range;

use bytes::BytesMut;

/// The most bytes of a part's head, in bytes.
const MAX_HEAD: usize = 16 << 10;
/// The longest value of `model` that is read, in bytes.
const MAX_VALUE: usize = 1 << 10;
/// The longest boundary (RFC 2046 §5.1.1).
const MAX_BOUNDARY: usize = 70;

/// What is wrong with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum MultipartFault {
    #[error("`content-type` must name the boundary of the parts: `multipart/form-data; boundary=…`")]
    Boundary,
    #[error("the head of a part is too long")]
    Head,
    #[error("the value of `model` is not a model's name")]
    Value,
    #[error("`model` is given twice: give it once")]
    Twice,
}

/// Where `model` is, counted from the body's first byte, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub span: Range<usize>,
    pub value: String,
}

/// Reads on piece by piece; the same pieces cut differently give the same.
#[derive(Debug)]
pub(super) struct Finder {
    /// The line's end before a boundary, and the boundary.
    delimiter: Vec<u8>,
    /// What is not understood yet. The body is read as if a line's end stood before it: the first boundary needs none.
    pending: BytesMut,
    /// How many bytes were understood, those two included.
    offset: usize,
    state: State,
    is_found: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In a part, or before the first one.
    Body {
        is_model: bool,
    },
    /// Right behind a boundary.
    Boundary,
    Head,
    Done,
}

impl Finder {
    /// `content_type` is the header's value.
    pub(super) fn new(content_type: &str) -> Result<Self, MultipartFault> {
        let boundary = boundary(content_type).ok_or(MultipartFault::Boundary)?;
        let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
        let state = State::Body { is_model: false };
        Ok(Self { delimiter, pending: BytesMut::from(&b"\r\n"[..]), offset: 0, state, is_found: false })
    }

    /// Whether `model` was seen; says where once.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<Option<Found>, MultipartFault> {
        if self.state == State::Done {
            return Ok(None);
        }
        self.pending.extend_from_slice(piece);
        let mut found = None;
        while let Some(it) = self.step()? {
            if let Some(it) = it {
                if self.is_found {
                    return Err(MultipartFault::Twice);
                }
                self.is_found = true;
                found = Some(it);
            }
        }
        Ok(found)
    }

    /// Understands one thing more. `None`: more bytes are needed.
    fn step(&mut self) -> Result<Option<Option<Found>>, MultipartFault> {
        match self.state {
            State::Body { is_model } => self.body(is_model),
            State::Boundary => {
                if self.pending.len() < 2 {
                    return Ok(None);
                }
                if self.pending.starts_with(b"--") {
                    self.state = State::Done;
                    self.pending.clear();
                    return Ok(None);
                }
                // Behind a boundary there may be white space.
                match memchr::memmem::find(&self.pending, b"\r\n") {
                    // The line's end stays: a part may have no head at all.
                    Some(at) => self.advance(at, State::Head),
                    None => self.bounded(MAX_HEAD, MultipartFault::Head),
                }
            }
            State::Head => match memchr::memmem::find(&self.pending, b"\r\n\r\n") {
                Some(at) => {
                    let is_model = is_model(&self.pending[..at]);
                    self.advance(at + 4, State::Body { is_model })
                }
                None => self.bounded(MAX_HEAD, MultipartFault::Head),
            },
            State::Done => Ok(None),
        }
    }

    fn body(&mut self, is_model: bool) -> Result<Option<Option<Found>>, MultipartFault> {
        let Some(at) = memchr::memmem::find(&self.pending, &self.delimiter) else {
            if is_model {
                return self.bounded(MAX_VALUE + self.delimiter.len(), MultipartFault::Value);
            }
            let understood = self.pending.len().saturating_sub(self.delimiter.len() - 1);
            self.take(understood);
            return Ok(None);
        };
        let found = if is_model {
            let value = std::str::from_utf8(&self.pending[..at]).map_err(|_| MultipartFault::Value)?;
            let from = self.offset - 2;
            Some(Found { span: from..from + at, value: value.to_owned() })
        } else {
            None
        };
        self.take(at + self.delimiter.len());
        self.state = State::Boundary;
        Ok(Some(found))
    }

    fn advance(&mut self, by: usize, state: State) -> Result<Option<Option<Found>>, MultipartFault> {
        self.take(by);
        self.state = state;
        Ok(Some(None))
    }

    fn take(&mut self, count: usize) {
        let _ = self.pending.split_to(count);
        self.offset += count;
    }

    fn bounded(&self, limit: usize, fault: MultipartFault) -> Result<Option<Option<Found>>, MultipartFault> {
        if self.pending.len() > limit { Err(fault) } else { Ok(None) }
    }
}

/// Whether a content type is that of a form with files.
pub(super) fn is_multipart(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("multipart/form-data")
}

fn boundary(content_type: &str) -> Option<String> {
    if !is_multipart(content_type) {
        return None;
    }
    let boundary = parameter(content_type.split_once(';')?.1, "boundary")?;
    (!boundary.is_empty() && boundary.len() <= MAX_BOUNDARY).then_some(boundary)
}

/// Whether a part's head says that it is the field `model`, and no file of that name.
fn is_model(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head);
    head.split("\r\n").filter_map(|it| it.split_once(':')).any(|(name, value)| {
        name.trim().eq_ignore_ascii_case("content-disposition")
            && value.split_once(';').is_some_and(|(_, rest)| {
                parameter(rest, "name").is_some_and(|it| it.trim() == "model")
                    && parameter(rest, "filename").is_none()
            })
    })
}

/// A parameter of a header's value: `a=b; c="d;\"e"`.
fn parameter(text: &str, wanted: &str) -> Option<String> {
    let mut rest = text;
    loop {
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => match after.split_once(';') {
                Some((value, left)) => (value.trim_end().to_owned(), left),
                None => (after.trim_end().to_owned(), ""),
            },
        };
        if name.trim_matches(|it: char| it == ';' || it.is_whitespace()).eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = left;
    }
}

/// Reads a quoted string to its end; returns it and what follows.
fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, it)) = characters.next() {
        match it {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(characters.next().map(|it| it.1)),
            it => value.push(it),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=XX";

    /// Sends a body in pieces of one length; says what was found, and after how many bytes.
    fn run(content_type: &str, body: &[u8], length: usize) -> Result<Option<Found>, MultipartFault> {
        let mut finder = Finder::new(content_type)?;
        let mut found = None;
        for piece in body.chunks(length) {
            found = finder.push(piece)?.or(found);
        }
        Ok(found)
    }

    fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (head, value) in parts {
            body.extend_from_slice(
                format!("--XX\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes(),
            );
            body.extend_from_slice(value);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--XX--\r\n");
        body
    }

    #[test]
    fn the_model_is_found_wherever_it_stands() {
        let file: (&str, &[u8]) =
            ("name=\"file\"; filename=\"a;b.wav\"\r\nContent-Type: audio/wav", b"\r\n--X\r\n-- data");
        for parts in [[("name=\"model\"", &b"whisper-1"[..]), file], [file, ("name=model", b"whisper-1")]] {
            let body = form(&parts);
            for length in 1..body.len() {
                let found = run(TYPE, &body, length).unwrap().unwrap();
                assert_eq!(found.value, "whisper-1");
                assert_eq!(&body[found.span], b"whisper-1");
            }
        }
    }

    #[test]
    fn what_is_not_the_model_is_not_taken_for_it() {
        for head in [
            "name=\"model\"; filename=\"model\"",
            "name=\"models\"",
            "filename=\"model\"; x=\"; name=model\"",
        ] {
            assert_eq!(run(TYPE, &form(&[(head, b"gpt")]), 7), Ok(None), "{head}");
        }
        assert_eq!(run(TYPE, b"--XX--\r\nname=\"model\"\r\n\r\n", 5), Ok(None));
        assert_eq!(run(TYPE, b"", 1), Ok(None));
    }

    #[test]
    fn a_second_model_is_refused() {
        let body = form(&[
            ("name=\"model\"", b"a"),
            ("name=\"file\"; filename=\"f\"", b"x"),
            ("name=\"model\"", b"b"),
        ]);
        for length in [1, 10, 1000] {
            assert_eq!(run(TYPE, &body, length), Err(MultipartFault::Twice));
        }
    }

    #[test]
    fn boundaries_are_read_as_clients_write_them() {
        for content_type in [
            "multipart/form-data; boundary=XX",
            "Multipart/Form-Data;charset=utf-8; BOUNDARY=\"XX\"",
            "multipart/form-data; boundary=XX; charset=utf-8",
        ] {
            let found = run(content_type, &form(&[("name=\"model\"", b"m")]), 3).unwrap();
            assert_eq!(found.map(|it| it.value).as_deref(), Some("m"), "{content_type}");
        }
        for content_type in
            ["multipart/form-data", "multipart/form-data; boundary=", "application/json; boundary=XX"]
        {
            assert_eq!(Finder::new(content_type).err(), Some(MultipartFault::Boundary), "{content_type}");
        }
    }

    #[test]
    fn a_preamble_white_space_and_a_part_without_a_head_are_borne() {
        let body = b"preamble\r\n--XX \t\r\n\r\nno head\r\n--XX\r\ncontent-disposition:form-data;name=\"model\"\r\n\r\nm\r\n--XX--";
        let found = run(TYPE, body, 4).unwrap().unwrap();
        assert_eq!((&body[found.span.clone()], found.value.as_str()), (&b"m"[..], "m"));
    }

    #[test]
    fn nothing_is_held_without_a_bound() {
        let mut finder = Finder::new(TYPE).unwrap();
        finder
            .push(b"--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n")
            .unwrap();
        for _ in 0..64 {
            finder.push(&[b'a'; 4096]).unwrap();
            assert!(finder.pending.len() <= 4096);
        }
        let mut finder = Finder::new(TYPE).unwrap();
        finder.push(b"--XX\r\n").unwrap();
        let grown = (0..64).find_map(|_| finder.push(&[b'a'; 1024]).err());
        assert_eq!(grown, Some(MultipartFault::Head));
        let long = form(&[("name=\"model\"", &[b'a'; 4096])]);
        assert_eq!(run(TYPE, &long, 512), Err(MultipartFault::Value));
    }

    proptest! {
        #[test]
        fn any_cutting_finds_the_same(
            file in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'X'), any::<u8>()], 0..200),
            length in 1..64_usize,
            model_first in any::<bool>(),
        ) {
            let model: (&str, &[u8]) = ("name=\"model\"", b"m-1");
            let file: (&str, &[u8]) = ("name=\"file\"; filename=\"f\"", &file);
            let body = form(&if model_first { [model, file] } else { [file, model] });
            prop_assert_eq!(run(TYPE, &body, length), run(TYPE, &body, body.len()));
        }
    }
}
