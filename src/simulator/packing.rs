//! Compressed bodies, both ways.

use std::io::{self, Read, Write};

use bytes::Bytes;
use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};

/// Largest body after it is unpacked, in bytes.
const LARGEST: u64 = 256 << 20;

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Packing {
    fn of(name: &str) -> Option<Self> {
        Some(match name.trim() {
            "gzip" | "x-gzip" => Self::Gzip,
            "deflate" => Self::Deflate,
            "br" => Self::Brotli,
            "zstd" => Self::Zstd,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// The best one that `accept-encoding` takes.
    pub(super) fn accepted(accept: &str) -> Option<Self> {
        let taken: Vec<&str> = accept
            .split(',')
            .filter(|it| !it.replace(' ', "").ends_with(";q=0"))
            .filter_map(|it| it.split(';').next())
            .map(str::trim)
            .collect();
        [Self::Zstd, Self::Brotli, Self::Gzip].into_iter().find(|it| taken.contains(&it.name()))
    }
}

/// The bytes behind `content-encoding`; nothing if it is unknown or they are broken or too many.
pub(super) fn unpacked(encoding: &str, body: &[u8]) -> Option<Bytes> {
    if encoding.is_empty() || encoding == "identity" {
        return Some(Bytes::copy_from_slice(body));
    }
    let unpacked = match Packing::of(encoding)? {
        Packing::Gzip => all(MultiGzDecoder::new(body)),
        Packing::Deflate => all(flate2::read::ZlibDecoder::new(body)),
        Packing::Brotli => all(brotli::Decompressor::new(body, 4096)),
        Packing::Zstd => zstd::Decoder::new(body).and_then(all),
    };
    unpacked.ok().map(Bytes::from)
}

fn all(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST { Err(io::Error::other("too large")) } else { Ok(bytes) }
}

/// The pieces, each packed so far that it can be read when it comes.
pub(super) fn packed(packing: Packing, pieces: &[Bytes]) -> io::Result<Vec<Bytes>> {
    match packing {
        Packing::Gzip | Packing::Deflate => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            let mut packed = flushed(&mut encoder, pieces, |it| it.get_mut())?;
            packed.push(encoder.finish()?.into());
            Ok(packed)
        }
        Packing::Brotli => {
            let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 4, 18);
            let mut packed = flushed(&mut encoder, pieces, |it| it.get_mut())?;
            packed.push(encoder.into_inner().into());
            Ok(packed)
        }
        Packing::Zstd => {
            let mut encoder = zstd::Encoder::new(Vec::new(), 1)?;
            let mut packed = flushed(&mut encoder, pieces, |it| it.get_mut())?;
            packed.push(encoder.finish()?.into());
            Ok(packed)
        }
    }
}

fn flushed<W: Write>(
    encoder: &mut W,
    pieces: &[Bytes],
    sink: impl Fn(&mut W) -> &mut Vec<u8>,
) -> io::Result<Vec<Bytes>> {
    let mut packed = Vec::with_capacity(pieces.len() + 1);
    for piece in pieces {
        encoder.write_all(piece)?;
        encoder.flush()?;
        packed.push(std::mem::take(sink(encoder)).into());
    }
    Ok(packed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_piece_by_piece_is_unpacked_alike() {
        let pieces = [Bytes::from_static(b"data: one\n\n"), Bytes::from_static(b"data: two\n\n")];
        for packing in [Packing::Gzip, Packing::Brotli, Packing::Zstd] {
            let sent = packed(packing, &pieces).unwrap();
            assert_eq!(sent.len(), 3);
            let got = unpacked(packing.name(), &sent.concat()).unwrap();
            assert_eq!(got, pieces.concat(), "{packing:?}");
        }
    }

    #[test]
    fn the_best_accepted_packing_is_taken() {
        assert_eq!(Packing::accepted("gzip, br;q=0.5"), Some(Packing::Brotli));
        assert_eq!(Packing::accepted("zstd;q=0, gzip"), Some(Packing::Gzip));
        assert_eq!(Packing::accepted("identity"), None);
    }

    #[test]
    fn what_is_broken_or_unknown_is_not_unpacked() {
        assert_eq!(unpacked("gzip", b"no gzip"), None);
        assert_eq!(unpacked("lzma", b""), None);
        assert_eq!(unpacked("", b"plain").unwrap(), "plain");
    }
}
