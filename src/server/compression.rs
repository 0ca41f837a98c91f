//! Compressed bodies: those of clients are unpacked within a bound, ours are packed if the client takes it.

use std::io::{self, Read, Write};

use actix_web::http::header::{AcceptEncoding, ContentEncoding, Encoding, Header as _};
use actix_web::{HttpRequest, web::Bytes};
use flate2::{
    Compression,
    read::{MultiGzDecoder, ZlibDecoder},
    write::GzEncoder,
};

use crate::kernel::error::{ErrorKind, GatewayError};

/// What is smaller than this is sent as it is, in bytes.
const WORTH_IT: usize = 1024;
/// Encodings upon encodings are nothing a client means.
const MOST_LAYERS: usize = 2;
/// Of brotli's levels 0 to 11 and zstd's 1 to 22: fast ones.
const BROTLI_LEVEL: u32 = 4;
const ZSTD_LEVEL: i32 = 1;

/// A way to make a body smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Packing {
    /// The word in `content-encoding`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Self::Gzip,
            "deflate" => Self::Deflate,
            "br" => Self::Brotli,
            "zstd" => Self::Zstd,
            _ => return None,
        })
    }

    /// What the client likes best of what we can write.
    pub(super) fn accepted(request: &HttpRequest) -> Option<Self> {
        let accepted = AcceptEncoding::parse(request).ok().filter(|it| !it.is_empty())?;
        let ours = [ContentEncoding::Zstd, ContentEncoding::Brotli, ContentEncoding::Gzip];
        let ours = ours.map(Encoding::Known);
        match accepted.negotiate(ours.iter())? {
            Encoding::Known(ContentEncoding::Zstd) => Some(Self::Zstd),
            Encoding::Known(ContentEncoding::Brotli) => Some(Self::Brotli),
            Encoding::Known(ContentEncoding::Gzip) => Some(Self::Gzip),
            _ => None,
        }
    }
}

/// The layers that `content-encoding` names, outermost last; none if it names nothing but `identity`.
pub(super) fn layers(header: &str) -> Result<Vec<Packing>, GatewayError> {
    let words = header.split(',').map(str::trim).filter(|it| !it.is_empty());
    let words: Vec<&str> = words.filter(|it| !it.eq_ignore_ascii_case("identity")).collect();
    let known: Option<Vec<Packing>> = words.iter().map(|it| Packing::parse(it)).collect();
    known.filter(|it| it.len() <= MOST_LAYERS).ok_or_else(|| {
        let message =
            "this `content-encoding` is not understood: send `gzip`, `deflate`, `br`, `zstd` or none";
        GatewayError::new(ErrorKind::UnsupportedMediaType, message)
    })
}

/// Unpacks a body to at most `most` bytes.
pub(super) fn unpack(body: Bytes, layers: &[Packing], most: usize) -> Result<Bytes, GatewayError> {
    let mut body = body;
    for packing in layers.iter().rev() {
        body = Bytes::from(match packing {
            Packing::Gzip => bounded(MultiGzDecoder::new(&body[..]), most),
            Packing::Deflate => inflate(&body, most),
            Packing::Brotli => bounded(brotli::Decompressor::new(&body[..], 4096), most),
            Packing::Zstd => {
                zstd::Decoder::new(&body[..]).map_err(|_| broken()).and_then(|it| bounded(it, most))
            }
        }?);
    }
    Ok(body)
}

/// `deflate` means zlib's format; many send the bare stream.
fn inflate(body: &[u8], most: usize) -> Result<Vec<u8>, GatewayError> {
    bounded(ZlibDecoder::new(body), most).or_else(|error| match error.kind {
        ErrorKind::BadRequest => bounded(flate2::read::DeflateDecoder::new(body), most),
        _ => Err(error),
    })
}

fn bounded(unpacked: impl Read, most: usize) -> Result<Vec<u8>, GatewayError> {
    let mut out = Vec::new();
    unpacked.take(most as u64 + 1).read_to_end(&mut out).map_err(|_| broken())?;
    if out.len() > most {
        let message = format!("the body is larger than {most} bytes when it is unpacked");
        return Err(GatewayError::new(ErrorKind::TooLarge, message));
    }
    Ok(out)
}

fn broken() -> GatewayError {
    let message = "the body is not packed as its `content-encoding` says";
    GatewayError::new(ErrorKind::BadRequest, message)
}

/// Packs a whole answer; `None` if it is not worth it.
pub(super) fn pack(body: &[u8], packing: Packing) -> Option<Bytes> {
    if body.len() < WORTH_IT {
        return None;
    }
    let mut packer = Packer::new(packing).ok()?;
    let mut packed = packer.push(body).ok()?.to_vec();
    packed.extend_from_slice(&packer.finish().ok()?);
    (packed.len() < body.len()).then(|| packed.into())
}

/// Packs a stream. What is pushed comes out at once: no event waits for the next one.
pub(super) enum Packer {
    Gzip(Box<GzEncoder<Vec<u8>>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(Box<zstd::Encoder<'static, Vec<u8>>>),
}

impl Packer {
    pub(super) fn new(packing: Packing) -> io::Result<Self> {
        Ok(match packing {
            Packing::Brotli => {
                Self::Brotli(Box::new(brotli::CompressorWriter::new(Vec::new(), 4096, BROTLI_LEVEL, 18)))
            }
            Packing::Zstd => Self::Zstd(Box::new(zstd::Encoder::new(Vec::new(), ZSTD_LEVEL)?)),
            Packing::Gzip | Packing::Deflate => {
                Self::Gzip(Box::new(GzEncoder::new(Vec::new(), Compression::fast())))
            }
        })
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<Bytes> {
        let out = match self {
            Self::Gzip(it) => {
                it.write_all(bytes)?;
                it.flush()?;
                it.get_mut()
            }
            Self::Brotli(it) => {
                it.write_all(bytes)?;
                it.flush()?;
                it.get_mut()
            }
            Self::Zstd(it) => {
                it.write_all(bytes)?;
                it.flush()?;
                it.get_mut()
            }
        };
        Ok(std::mem::take(out).into())
    }

    pub(super) fn finish(self) -> io::Result<Bytes> {
        Ok(match self {
            Self::Gzip(it) => it.finish()?,
            Self::Brotli(it) => it.into_inner(),
            Self::Zstd(it) => it.finish()?,
        }
        .into())
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use proptest::prelude::*;

    use super::*;

    const ALL: [Packing; 3] = [Packing::Gzip, Packing::Brotli, Packing::Zstd];

    fn packed(text: &[u8], packing: Packing) -> Bytes {
        let mut packer = Packer::new(packing).unwrap();
        let first = packer.push(text).unwrap();
        [first, packer.finish().unwrap()].concat().into()
    }

    fn accepted(header: &str) -> Option<Packing> {
        let request = TestRequest::default().insert_header(("accept-encoding", header)).to_http_request();
        Packing::accepted(&request)
    }

    #[test]
    fn ec_118_a_packed_body_is_unpacked() {
        for packing in ALL {
            let layers = layers(packing.name()).unwrap();
            assert_eq!(unpack(packed(b"{\"a\":1}", packing), &layers, 100).unwrap(), "{\"a\":1}");
        }
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(b"{}").unwrap();
        let mut bare = flate2::write::DeflateEncoder::new(Vec::new(), Compression::fast());
        bare.write_all(b"{}").unwrap();
        for body in [zlib.finish().unwrap(), bare.finish().unwrap()] {
            assert_eq!(unpack(body.into(), &[Packing::Deflate], 100).unwrap(), "{}");
        }
    }

    #[test]
    fn ec_190_a_body_that_grows_too_large_is_refused() {
        for packing in ALL {
            let bomb = packed(&vec![b' '; 1 << 20], packing);
            assert!(bomb.len() < 5000, "{packing:?}");
            let error = unpack(bomb, &[packing], 1 << 16).unwrap_err();
            assert_eq!(error.kind, ErrorKind::TooLarge);
        }
    }

    #[test]
    fn a_body_that_is_packed_otherwise_is_refused() {
        for packing in [Packing::Gzip, Packing::Deflate, Packing::Brotli, Packing::Zstd] {
            let error = unpack(Bytes::from_static(b"{\"plain\":true}"), &[packing], 100).unwrap_err();
            assert_eq!(error.kind, ErrorKind::BadRequest, "{packing:?}");
        }
        assert_eq!(layers("lzma").unwrap_err().kind, ErrorKind::UnsupportedMediaType);
        assert_eq!(layers("gzip, gzip, gzip").unwrap_err().kind, ErrorKind::UnsupportedMediaType);
        assert!(layers("identity").unwrap().is_empty());
    }

    #[test]
    fn layers_are_taken_off_from_the_outside() {
        let twice = packed(&packed(b"{}", Packing::Gzip), Packing::Zstd);
        assert_eq!(unpack(twice, &layers("gzip, zstd").unwrap(), 100).unwrap(), "{}");
    }

    #[test]
    fn the_client_chooses() {
        assert_eq!(accepted("gzip"), Some(Packing::Gzip));
        assert_eq!(accepted("br;q=0.5, gzip;q=0.1"), Some(Packing::Brotli));
        assert_eq!(accepted("identity"), None);
        assert_eq!(accepted("gzip;q=0"), None);
        assert_eq!(accepted(""), None);
        assert_eq!(Packing::accepted(&TestRequest::default().to_http_request()), None);
    }

    #[test]
    fn a_small_answer_is_left_alone_and_a_large_one_shrinks() {
        assert_eq!(pack(b"{}", Packing::Gzip), None);
        let large = vec![b'a'; 4096];
        for packing in ALL {
            let packed = pack(&large, packing).unwrap();
            assert!(packed.len() < 200);
            assert_eq!(unpack(packed, &[packing], 4096).unwrap(), large);
        }
    }

    proptest! {
        /// A reader that has every piece so far can read every event so far.
        #[test]
        fn no_event_waits_for_the_next(events in prop::collection::vec("[a-z]{1,200}", 1..8)) {
            for packing in ALL {
                let mut packer = Packer::new(packing).unwrap();
                let (mut sent, mut said) = (Vec::new(), String::new());
                for event in &events {
                    sent.extend_from_slice(&packer.push(event.as_bytes()).unwrap());
                    said.push_str(event);
                    prop_assert_eq!(read_so_far(&sent, packing), said.as_bytes());
                }
            }
        }
    }

    /// What can be read of a stream that has not ended.
    fn read_so_far(sent: &[u8], packing: Packing) -> Vec<u8> {
        let mut out = Vec::new();
        let mut reader: Box<dyn Read> = match packing {
            Packing::Gzip | Packing::Deflate => Box::new(MultiGzDecoder::new(sent)),
            Packing::Brotli => Box::new(brotli::Decompressor::new(sent, 64)),
            Packing::Zstd => Box::new(zstd::Decoder::new(sent).unwrap()),
        };
        let mut piece = [0; 64];
        while let Ok(read) = reader.read(&mut piece) {
            if read == 0 {
                break;
            }
            out.extend_from_slice(&piece[..read]);
        }
        out
    }
}
