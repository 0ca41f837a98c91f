//! Request bodies, compressed where the operator says so; and sent again as they are where the upstream does not take it.

use std::{
    io::{self, Write},
    sync::atomic::Ordering,
};

use flate2::write::GzEncoder;
use futures::{StreamExt as _, stream};
use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_LENGTH},
};

use super::{
    Upstream,
    transport::{ByteStream, SendOptions, Transport, TransportError, read_whole},
};
use crate::dialect::Pieces;

/// What is smaller than this is sent as it is, in bytes: it would not become much smaller.
const WORTH_IT: usize = 1024;
/// Of zstd's levels 1 to 22, gzip's 0 to 9 and brotli's 0 to 11: fast ones.
const ZSTD_LEVEL: i32 = 3;
const GZIP_LEVEL: u32 = 5;
const BROTLI_LEVEL: u32 = 4;
/// The longest refusal that is read to see what it is about, in bytes.
const MAX_REFUSAL: usize = 256 << 10;

/// How request bodies are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    Zstd,
    Gzip,
    Brotli,
}

impl Packing {
    /// The word in `content-encoding`.
    const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::Brotli => "br",
        }
    }

    fn pack(self, body: &Pieces) -> io::Result<Vec<u8>> {
        match self {
            Self::Zstd => {
                let mut encoder = zstd::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
                write_all(body, &mut encoder)?;
                encoder.finish()
            }
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL));
                write_all(body, &mut encoder)?;
                encoder.finish()
            }
            Self::Brotli => {
                let mut out = Vec::new();
                // 22: a window of 4 MiB, the usual one.
                let mut encoder = brotli::CompressorWriter::new(&mut out, 64 << 10, BROTLI_LEVEL, 22);
                write_all(body, &mut encoder)?;
                drop(encoder);
                Ok(out)
            }
        }
    }
}

fn write_all(body: &Pieces, to: &mut impl Write) -> io::Result<()> {
    body.iter().try_for_each(|it| to.write_all(it))
}

impl Upstream {
    /// Sends a request, its body compressed if this upstream is asked so and has not refused it yet. One that refuses is sent
    /// the same again at once as it is; if that was it, it is not sent anything compressed until the next reload.
    pub async fn send(
        &self,
        transport: &dyn Transport,
        request: Request<Pieces>,
        options: &SendOptions,
    ) -> Result<Response<ByteStream>, TransportError> {
        let packing = self.packing.filter(|_| {
            request.body().len() >= WORTH_IT
                && !request.headers().contains_key(CONTENT_ENCODING)
                && !self.refuses_packed.load(Ordering::Acquire)
        });
        let Some((packing, packed)) = packing.and_then(|it| Some((it, packed(it, &request)?))) else {
            return transport.send(request, options).await;
        };
        let answer = transport.send(packed, options).await?;
        let first = answer.status();
        let (answer, is_about_it) = is_about_packing(answer, packing).await?;
        if !is_about_it {
            return Ok(answer);
        }
        let answer = transport.send(request, options).await?;
        if answer.status() != first {
            self.refuses_packed.store(true, Ordering::Release);
            tracing::warn!(
                upstream = %self.name,
                encoding = packing.name(),
                "This upstream takes no compressed requests: set `request-compression: none`"
            );
        }
        Ok(answer)
    }
}

/// The request with its body compressed; `None`: that would gain nothing.
fn packed(packing: Packing, request: &Request<Pieces>) -> Option<Request<Pieces>> {
    let body = packing.pack(request.body()).ok().filter(|it| it.len() < request.body().len())?;
    let mut packed = request.clone().map(|_| body.into());
    packed.headers_mut().remove(CONTENT_LENGTH);
    packed.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(packing.name()));
    Some(packed)
}

/// Whether an answer refuses the encoding: 415, or another fault of the request that speaks of it, or of a body that is no
/// JSON or no UTF-8: ours was both. The answer is given back whole.
async fn is_about_packing(
    answer: Response<ByteStream>,
    packing: Packing,
) -> Result<(Response<ByteStream>, bool), TransportError> {
    const WORDS: [&str; 9] = [
        "encoding",
        "compress",
        "utf-8",
        "utf8",
        "valid json",
        "invalid json",
        "malformed json",
        "parse the json",
        "parse json",
    ];
    match answer.status() {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => return Ok((answer, true)),
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {}
        _ => return Ok((answer, false)),
    }
    let (parts, body) = answer.into_parts();
    let body = read_whole(body, MAX_REFUSAL).await?;
    let text = String::from_utf8_lossy(&body).to_lowercase();
    let is_about_it = WORDS.iter().any(|it| text.contains(it))
        || (packing != Packing::Brotli && text.contains(packing.name()));
    Ok((Response::from_parts(parts, stream::iter([Ok(body)]).boxed()), is_about_it))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use async_trait::async_trait;
    use bytes::Bytes;
    use parking_lot::Mutex;

    use super::*;
    use crate::{
        catalog::UpstreamName,
        dialect::pieces::Writer,
        upstream::{UpstreamSpec, kinds},
    };

    /// Answers each request with the next status and body; keeps the encodings and bodies it was sent.
    struct Fussy {
        answers: Mutex<Vec<(u16, &'static str)>>,
        seen: Mutex<Vec<(Option<String>, Bytes)>>,
    }

    #[async_trait]
    impl Transport for Fussy {
        async fn send(
            &self,
            request: Request<Pieces>,
            _: &SendOptions,
        ) -> Result<Response<ByteStream>, TransportError> {
            let encoding = request.headers().get(CONTENT_ENCODING);
            let encoding = encoding.map(|it| it.to_str().unwrap().to_owned());
            self.seen.lock().push((encoding, request.body().whole()));
            let (status, body) = self.answers.lock().remove(0);
            let mut response = Response::new(stream::iter([Ok(Bytes::from_static(body.as_bytes()))]).boxed());
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            Ok(response)
        }
    }

    fn upstream(packing: Option<Packing>) -> Upstream {
        let spec = UpstreamSpec::new(UpstreamName::new("u"), kinds::find("openai").unwrap());
        Upstream::new(UpstreamSpec { packing, ..spec }).unwrap()
    }

    /// Sends `times` requests; what the last answer was, and which encodings the upstream saw.
    async fn run(
        packing: Packing,
        answers: &[(u16, &'static str)],
        times: usize,
    ) -> (u16, String, Vec<Option<String>>) {
        let fussy = Fussy { answers: Mutex::new(answers.to_vec()), seen: Mutex::default() };
        let upstream = upstream(Some(packing));
        let mut last = (0, String::new());
        for _ in 0..times {
            let request = Request::post("https://h/").body("a".repeat(5000).into_bytes().into()).unwrap();
            let answer = upstream.send(&fussy, request, &SendOptions::default()).await.unwrap();
            let status = answer.status().as_u16();
            let body = read_whole(answer.into_body(), 1 << 20).await.unwrap();
            last = (status, String::from_utf8(body.to_vec()).unwrap());
        }
        assert!(fussy.answers.lock().is_empty());
        let seen = fussy.seen.into_inner().into_iter().map(|it| it.0).collect();
        (last.0, last.1, seen)
    }

    /// A text in pieces.
    fn in_two(text: &str) -> Pieces {
        let mut writer = Writer::default();
        writer.copy(&text.as_bytes()[..9]);
        writer.share(Bytes::copy_from_slice(&text.as_bytes()[9..]));
        let pieces = writer.finish();
        assert_eq!(pieces.iter().count(), 2);
        pieces
    }

    #[tokio::test]
    async fn every_encoding_can_be_read_again() {
        let text = "what is said again and again ".repeat(700);
        for packing in [Packing::Zstd, Packing::Gzip, Packing::Brotli] {
            let fussy = Fussy { answers: Mutex::new(vec![(200, "")]), seen: Mutex::default() };
            let request = Request::post("https://h/").body(in_two(&text)).unwrap();
            upstream(Some(packing)).send(&fussy, request, &SendOptions::default()).await.unwrap();
            let (encoding, body) = fussy.seen.lock().remove(0);
            let mut read = String::new();
            match encoding.as_deref() {
                Some("zstd") => zstd::Decoder::new(&body[..]).unwrap().read_to_string(&mut read),
                Some("gzip") => flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut read),
                Some("br") => brotli::Decompressor::new(&body[..], 4096).read_to_string(&mut read),
                other => panic!("{other:?}"),
            }
            .unwrap();
            assert_eq!(read, text);
            assert!(body.len() * 10 < text.len());
        }
    }

    #[tokio::test]
    async fn what_is_short_or_not_asked_for_is_sent_as_it_is() {
        for (packing, length) in [(None, 5000), (Some(Packing::Zstd), WORTH_IT - 1)] {
            let fussy = Fussy { answers: Mutex::new(vec![(200, "")]), seen: Mutex::default() };
            let request = Request::post("https://h/").body("a".repeat(length).into_bytes().into()).unwrap();
            upstream(packing).send(&fussy, request, &SendOptions::default()).await.unwrap();
            let (encoding, body) = fussy.seen.lock().remove(0);
            assert_eq!((encoding, body.len()), (None, length));
        }
    }

    #[tokio::test]
    async fn an_upstream_that_refuses_is_asked_again_at_once_and_remembered() {
        for refusal in [
            (415, ""),
            (400, r#"{"error":{"message":"Unsupported Content-Encoding: zstd"}}"#),
            (400, r#"{"error":{"message":"We could not parse the JSON body of your request."}}"#),
            (422, "body is not valid UTF-8"),
        ] {
            let (status, body, seen) = run(Packing::Zstd, &[refusal, (200, "yes"), (200, "again")], 2).await;
            assert_eq!((status, body.as_str()), (200, "again"));
            assert_eq!(seen, [Some("zstd".to_owned()), None, None], "{refusal:?}");
        }
    }

    #[tokio::test]
    async fn a_request_that_is_at_fault_itself_says_nothing_of_compression() {
        let answers = [(400, "`temperature` is too high"), (200, "")];
        let (_, _, seen) = run(Packing::Gzip, &answers, 2).await;
        assert_eq!(seen, [Some("gzip".to_owned()), Some("gzip".to_owned())]);
        // Refused either way: it was not the encoding.
        let answers = [(415, ""), (415, "no"), (200, "")];
        let (_, _, seen) = run(Packing::Brotli, &answers, 2).await;
        assert_eq!(seen, [Some("br".to_owned()), None, Some("br".to_owned())]);
        let (status, body, _) = run(Packing::Gzip, &[(400, "`n` is too large")], 1).await;
        assert_eq!((status, body.as_str()), (400, "`n` is too large"));
    }
}
