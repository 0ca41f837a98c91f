//! A body that passes while it comes: held back only until it is known which model it is for.

use std::sync::Arc;

use bytes::Bytes;
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use parking_lot::Mutex;

use super::multipart::{self, Finder, Found, MultipartFault};
use crate::{
    kernel::error::{ErrorKind, GatewayError},
    upstream::transport::{Cause, UploadStream},
};

/// A body on its way in.
pub struct Upload {
    pub content_type: String,
    /// In bytes, if the client said.
    pub length: Option<u64>,
    /// An error is the client's fault, or ours; it is what the client is told.
    pub pieces: BoxStream<'static, Result<Bytes, GatewayError>>,
}

impl Upload {
    /// Whether a body of this type is passed on while it comes.
    pub fn suits(content_type: &str) -> bool {
        multipart::is_multipart(content_type)
    }
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload").field("length", &self.length).finish_non_exhaustive()
    }
}

/// What broke an upload off, if it was not the upstream.
pub(super) type Broken = Arc<Mutex<Option<GatewayError>>>;

/// A body as it is sent.
pub(super) struct Freight {
    pub content_type: String,
    pub length: Option<u64>,
    pub pieces: UploadStream,
    pub broken: Broken,
}

/// A body whose model is known; what came before it was known is here.
pub(super) struct Opened {
    upload: Upload,
    finder: Finder,
    head: Vec<Bytes>,
    found: Found,
}

impl Opened {
    /// Reads until the model is known, holding at most `limit` bytes.
    pub(super) async fn read(mut upload: Upload, limit: usize) -> Result<Self, GatewayError> {
        let mut finder = Finder::new(&upload.content_type).map_err(fault)?;
        let (mut head, mut held) = (Vec::new(), 0);
        while let Some(piece) = upload.pieces.next().await {
            let piece = piece?;
            held += piece.len();
            let found = finder.push(&piece).map_err(fault)?;
            head.push(piece);
            if let Some(found) = found {
                return Ok(Self { upload, finder, head, found });
            }
            if held > limit {
                let message = format!("`model` did not come within {limit} bytes: put it before the files");
                return Err(GatewayError::new(ErrorKind::BadRequest, message).at("/model"));
            }
        }
        Err(GatewayError::new(ErrorKind::BadRequest, "`model` is missing").at("/model"))
    }

    pub(super) fn model(&self) -> &str {
        &self.found.value
    }

    /// The body with the model's name as the upstream knows it.
    pub(super) fn into_freight(self, model: &str) -> Freight {
        let Self { upload, mut finder, head, found } = self;
        let length = upload.length.map(|it| it.saturating_sub(found.span.len() as u64) + model.len() as u64);
        let head = replaced(head, &found, model);
        let rest = upload.pieces.map(move |piece| {
            let piece = piece?;
            finder.push(&piece).map_err(fault)?;
            Ok(piece)
        });
        let pieces = stream::iter(head.into_iter().map(Ok)).chain(rest).boxed();
        Freight::new(Upload { content_type: upload.content_type, length, pieces })
    }
}

impl Freight {
    /// A body that is sent as it comes.
    pub(super) fn new(upload: Upload) -> Self {
        let broken = Broken::default();
        let tell = Arc::clone(&broken);
        let pieces = upload.pieces.map(move |piece| {
            piece.map_err(|error| {
                *tell.lock() = Some(error.clone());
                Cause::from(error)
            })
        });
        Self { content_type: upload.content_type, length: upload.length, pieces: pieces.boxed(), broken }
    }
}

/// The pieces with other bytes at the place of the model; no piece is copied.
fn replaced(pieces: Vec<Bytes>, found: &Found, model: &str) -> Vec<Bytes> {
    let mut out = Vec::with_capacity(pieces.len() + 2);
    let mut offset = 0;
    for piece in pieces {
        let end = offset + piece.len();
        let within = |at: usize| at.clamp(offset, end) - offset;
        if (offset..=end).contains(&found.span.start) && offset <= found.span.start {
            let before = piece.slice(..within(found.span.start));
            if !before.is_empty() {
                out.push(before);
            }
            if found.span.start < end || found.span.is_empty() {
                out.push(Bytes::copy_from_slice(model.as_bytes()));
            }
        } else if end <= found.span.start {
            out.push(piece.clone());
        }
        if end > found.span.end {
            let after = piece.slice(within(found.span.end)..);
            if !after.is_empty() {
                out.push(after);
            }
        }
        offset = end;
    }
    out
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn fault(fault: MultipartFault) -> GatewayError {
    let error = GatewayError::new(ErrorKind::BadRequest, fault.to_string());
    match fault {
        MultipartFault::Value | MultipartFault::Twice => error.at("/model"),
        MultipartFault::Boundary | MultipartFault::Head => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n0123456789\r\n\
        --XX\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nalias\r\n\
        --XX\r\nContent-Disposition: form-data; name=\"language\"\r\n\r\nen\r\n--XX--\r\n";

    fn upload(body: &str, length: usize) -> Upload {
        let pieces: Vec<_> =
            body.as_bytes().chunks(length).map(|it| Ok(Bytes::copy_from_slice(it))).collect();
        Upload {
            content_type: "multipart/form-data; boundary=XX".to_owned(),
            length: Some(body.len() as u64),
            pieces: stream::iter(pieces).boxed(),
        }
    }

    async fn sent(freight: Freight) -> Result<Vec<u8>, Broken> {
        let Freight { mut pieces, broken, .. } = freight;
        let mut body = Vec::new();
        while let Some(piece) = pieces.next().await {
            match piece {
                Ok(piece) => body.extend_from_slice(&piece),
                Err(_) => return Err(broken),
            }
        }
        Ok(body)
    }

    #[tokio::test]
    async fn the_body_differs_in_the_models_name_alone() {
        for model in ["whisper-large-v3", "m", "alias"] {
            let expected = FORM.replace("alias", model);
            for length in 1..FORM.len() + 1 {
                let opened = Opened::read(upload(FORM, length), 1 << 20).await.unwrap();
                assert_eq!(opened.model(), "alias");
                let freight = opened.into_freight(model);
                assert_eq!(freight.length, Some(expected.len() as u64));
                let body = sent(freight).await.ok().unwrap();
                assert_eq!(String::from_utf8(body).unwrap(), expected, "{length}");
            }
        }
    }

    #[tokio::test]
    async fn a_body_without_a_model_is_not_held_for_ever() {
        let without = FORM.replace("\"model\"", "\"other\"");
        let error = Opened::read(upload(&without, 10), 1 << 20).await.err().unwrap();
        assert_eq!(error.message, "`model` is missing");
        let error = Opened::read(upload(FORM, 10), 40).await.err().unwrap();
        assert!(error.message.contains("within 40 bytes"), "{error}");
    }

    #[tokio::test]
    async fn a_second_model_breaks_the_upload_off() {
        let twice = FORM.replace("\"language\"", "\"model\"");
        // The second model comes after the first was acted upon.
        let opened = Opened::read(upload(&twice, 1), 1 << 20).await.unwrap();
        let broken = sent(opened.into_freight("m")).await.err().unwrap();
        assert!(broken.lock().as_ref().unwrap().message.contains("given twice"));
    }
}
