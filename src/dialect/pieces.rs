//! A body in pieces: what is long is shared with the body it came from, not copied.

use std::fmt;

use bytes::{Bytes, BytesMut};

/// What is at least this long is worth a piece of its own, in bytes.
pub const SHARED: usize = 16 << 10;

/// A body, in one piece or several. Its `Debug` form says how long it is: it holds what people wrote.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Pieces {
    first: Bytes,
    rest: Vec<Bytes>,
}

impl Pieces {
    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.iter().map(Bytes::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn iter(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    /// The body in one piece: a copy only if it has several.
    pub fn whole(&self) -> Bytes {
        if self.rest.is_empty() {
            return self.first.clone();
        }
        let mut whole = BytesMut::with_capacity(self.len());
        self.iter().for_each(|it| whole.extend_from_slice(it));
        whole.freeze()
    }

    fn push(&mut self, piece: Bytes) {
        if self.first.is_empty() {
            self.first = piece;
        } else {
            self.rest.push(piece);
        }
    }
}

impl fmt::Debug for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(Bytes::len)).finish()
    }
}

impl From<Bytes> for Pieces {
    fn from(body: Bytes) -> Self {
        Self { first: body, rest: Vec::new() }
    }
}

impl From<Vec<u8>> for Pieces {
    fn from(body: Vec<u8>) -> Self {
        Bytes::from(body).into()
    }
}

impl IntoIterator for Pieces {
    type Item = Bytes;
    type IntoIter = std::iter::Chain<std::iter::Once<Bytes>, std::vec::IntoIter<Bytes>>;

    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(self.first).chain(self.rest)
    }
}

/// Writes a body: short runs are gathered in one piece, long ones of another body are shared.
#[derive(Default)]
pub struct Writer {
    done: Pieces,
    open: BytesMut,
}

impl Writer {
    /// `copied` is how many bytes will be copied, as far as that is known.
    pub fn with_capacity(copied: usize) -> Self {
        Self { done: Pieces::default(), open: BytesMut::with_capacity(copied) }
    }

    /// Appends bytes that nobody else has.
    pub fn copy(&mut self, bytes: &[u8]) {
        self.open.extend_from_slice(bytes);
    }

    /// Appends a piece of another body.
    pub fn share(&mut self, piece: Bytes) {
        if piece.len() < SHARED {
            return self.copy(&piece);
        }
        self.close();
        self.done.push(piece);
    }

    pub fn finish(mut self) -> Pieces {
        self.close();
        self.done
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.done.push(self.open.split().freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_is_shared_and_what_is_short_is_gathered() {
        let long = Bytes::from(vec![b'x'; SHARED]);
        let mut writer = Writer::default();
        writer.copy(b"ab");
        writer.share(Bytes::from_static(b"cd"));
        writer.share(long.clone());
        writer.copy(b"ef");
        let pieces = writer.finish();
        let lengths: Vec<usize> = pieces.iter().map(Bytes::len).collect();
        assert_eq!(lengths, [4, SHARED, 2]);
        assert_eq!(pieces.iter().nth(1).unwrap().as_ptr(), long.as_ptr());
        assert_eq!(pieces.len(), SHARED + 6);
        assert_eq!(pieces.whole(), [b"abcd", &long[..], b"ef"].concat());
    }

    #[test]
    fn one_piece_is_not_copied() {
        let body = Bytes::from_static(b"{}");
        let pieces = Pieces::from(body.clone());
        assert_eq!(pieces.whole().as_ptr(), body.as_ptr());
        assert!(Writer::default().finish().is_empty());
    }
}
