//! An answer as it arrives: HTTP/1.1 heads and bodies, read piece by piece.

use bytes::{Buf, BytesMut};
use memchr::{memchr, memmem};

/// Heads and chunk sizes longer than this are refused.
const LONGEST_HEAD: usize = 64 << 10;
const LONGEST_SIZE: usize = 256;

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer is no HTTP/1.1: {0}")]
pub(super) struct Malformed(&'static str);

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub status: u16,
    /// The connection may be used again.
    pub keeps_alive: bool,
    pub body: Body,
}

/// What is still to come of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    Length(u64),
    Chunked(Chunk),
    /// Everything until the peer closes.
    UntilClose,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    Size,
    Data(u64),
    /// The line end after the data.
    DataEnd,
    Trailer,
}

impl Head {
    /// Takes the head off the buffer once it is whole.
    pub(super) fn take(buffer: &mut BytesMut) -> Result<Option<Self>, Malformed> {
        let Some(end) = memmem::find(buffer, b"\r\n\r\n") else {
            return if buffer.len() > LONGEST_HEAD { Err(Malformed("endless head")) } else { Ok(None) };
        };
        let head = buffer.split_to(end + 4);
        let text = std::str::from_utf8(&head).map_err(|_| Malformed("head is no text"))?;
        Self::parse(text).map(Some)
    }

    fn parse(text: &str) -> Result<Self, Malformed> {
        let (line, fields) = text.split_once("\r\n").unwrap_or((text, ""));
        let status = line
            .strip_prefix("HTTP/1.")
            .and_then(|it| it.get(2..5)?.parse().ok())
            .ok_or(Malformed("status line"))?;
        let mut head = Self { status, keeps_alive: line.starts_with("HTTP/1.1"), body: Body::UntilClose };
        for (name, value) in fields.lines().filter_map(|it| it.split_once(':')) {
            head.heed(name, value.trim())?;
        }
        head.keeps_alive &= head.body != Body::UntilClose;
        Ok(head)
    }

    fn heed(&mut self, name: &str, value: &str) -> Result<(), Malformed> {
        if name.eq_ignore_ascii_case("content-length") {
            self.body = Body::Length(value.parse().map_err(|_| Malformed("content-length"))?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked") {
            self.body = Body::Chunked(Chunk::Size);
        } else if name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close") {
            self.keeps_alive = false;
        }
        Ok(())
    }
}

impl Body {
    /// Takes what has arrived off the buffer and hands the payload to `sink`; true once the body is whole.
    pub(super) fn take(
        &mut self,
        buffer: &mut BytesMut,
        sink: &mut impl FnMut(&[u8]),
    ) -> Result<bool, Malformed> {
        match self {
            Self::Length(left) => {
                give(left, buffer, sink);
                Ok(*left == 0)
            }
            Self::Chunked(chunk) => take_chunks(chunk, buffer, sink),
            Self::UntilClose => {
                give(&mut u64::MAX.clone(), buffer, sink);
                Ok(false)
            }
        }
    }
}

fn take_chunks(
    chunk: &mut Chunk,
    buffer: &mut BytesMut,
    sink: &mut impl FnMut(&[u8]),
) -> Result<bool, Malformed> {
    loop {
        match chunk {
            Chunk::Data(left) => {
                give(left, buffer, sink);
                if *left > 0 {
                    return Ok(false);
                }
                *chunk = Chunk::DataEnd;
            }
            Chunk::Size | Chunk::DataEnd | Chunk::Trailer => {
                let Some(end) = memchr(b'\n', buffer) else {
                    return if buffer.len() > LONGEST_SIZE {
                        Err(Malformed("chunk size"))
                    } else {
                        Ok(false)
                    };
                };
                let line = buffer[..end].trim_ascii_end();
                let is_empty = line.is_empty();
                match chunk {
                    Chunk::Size => *chunk = size(line)?,
                    Chunk::DataEnd if is_empty => *chunk = Chunk::Size,
                    Chunk::DataEnd => return Err(Malformed("chunk longer than its size")),
                    Chunk::Data(_) | Chunk::Trailer => {}
                }
                let is_end = *chunk == Chunk::Trailer && is_empty;
                buffer.advance(end + 1);
                if is_end {
                    return Ok(true);
                }
            }
        }
    }
}

fn size(line: &[u8]) -> Result<Chunk, Malformed> {
    let digits = line.split(|it| *it == b';').next().unwrap_or_default().trim_ascii();
    let text = std::str::from_utf8(digits).map_err(|_| Malformed("chunk size"))?;
    match u64::from_str_radix(text, 16) {
        Ok(0) => Ok(Chunk::Trailer),
        Ok(size) => Ok(Chunk::Data(size)),
        Err(_) => Err(Malformed("chunk size")),
    }
}

/// Hands over at most `left` bytes.
fn give(left: &mut u64, buffer: &mut BytesMut, sink: &mut impl FnMut(&[u8])) {
    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
    if length > 0 {
        sink(&buffer[..length]);
        buffer.advance(length);
        *left -= length as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads an answer that comes in pieces of `step` bytes; the payload, and whether it was whole.
    fn read(wire: &str, step: usize) -> (String, bool) {
        let (mut buffer, mut head, mut payload, mut whole) = (BytesMut::new(), None, Vec::new(), false);
        for piece in wire.as_bytes().chunks(step) {
            buffer.extend_from_slice(piece);
            if head.is_none() {
                head = Head::take(&mut buffer).unwrap();
            }
            if let Some(Head { body, .. }) = &mut head {
                whole = body.take(&mut buffer, &mut |it| payload.extend_from_slice(it)).unwrap();
            }
        }
        (String::from_utf8(payload).unwrap(), whole)
    }

    #[test]
    fn a_body_is_the_same_in_any_pieces() {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                       5\r\nhello\r\n7;name=value\r\n, world\r\n0\r\nx-trailer: 1\r\n\r\n";
        let sized = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nhello, world";
        for wire in [chunked, sized] {
            for step in 1..=wire.len() {
                assert_eq!(read(wire, step), ("hello, world".to_owned(), true), "in pieces of {step}");
            }
        }
    }

    #[test]
    fn a_chunked_body_without_its_last_chunk_is_not_whole() {
        let wire = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
        assert_eq!(read(wire, 7), ("hello".to_owned(), false));
    }

    #[test]
    fn the_head_tells_whether_the_connection_stays() {
        let stays = |text: &str| Head::parse(text).unwrap().keeps_alive;
        assert!(stays("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
        assert!(!stays("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nConnection: close\r\n\r\n"));
        assert!(!stays("HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n"));
        assert!(!stays("HTTP/1.1 200 OK\r\n\r\n"), "a body that ends with the connection");
    }

    #[test]
    fn what_is_no_http_is_refused() {
        assert!(Head::parse("SSH-2.0-x\r\n\r\n").is_err());
        assert!(Head::parse("HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n").is_err());
        let mut body = Body::Chunked(Chunk::Size);
        assert!(body.take(&mut BytesMut::from("zz\r\n"), &mut |_| {}).is_err());
        let mut body = Body::Chunked(Chunk::Size);
        assert!(body.take(&mut BytesMut::from("1\r\nab\r\n"), &mut |_| {}).is_err());
    }
}
