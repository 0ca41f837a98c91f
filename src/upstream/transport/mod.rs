//! Sending a request and getting bytes back: the port, and how a call may be made.

mod body;
pub mod guard;
mod http;
mod proxy;
pub mod websocket;

#[cfg(test)]
mod tests;

use std::time::Duration;

use ::http::{Request, Response};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, stream::BoxStream};

use crate::dialect::Pieces;

pub use self::http::{HttpTransport, InvalidCertificates};
pub use proxy::{InvalidProxy, Proxy, ProxyUrl};
pub use websocket::{Frame, Opened, Socket};

/// A body on its way to the other side, in pieces. An error among them ends the call.
pub type UploadStream = BoxStream<'static, Result<Bytes, Cause>>;

/// The body of an answer, as it comes. Dropping it ends the call at once.
pub type ByteStream = BoxStream<'static, Result<Bytes, TransportError>>;

/// Sends requests.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Gives the answer once its headers are here, whatever its status. Redirects are not followed.
    async fn send(
        &self,
        request: Request<Pieces>,
        options: &SendOptions,
    ) -> Result<Response<ByteStream>, TransportError>;

    /// The same with a body that is sent as it comes. Waiting for the answer begins anew with each piece.
    ///
    /// A transport for whole requests alone refuses.
    async fn upload(
        &self,
        _request: Request<UploadStream>,
        _options: &SendOptions,
    ) -> Result<Response<ByteStream>, TransportError> {
        Err(TransportError::Request { source: "this transport sends whole requests alone".into() })
    }

    /// Opens a WebSocket; the other side may answer with something else instead. Frames have at most `max_frame` bytes.
    ///
    /// A transport for whole requests alone refuses.
    async fn open(
        &self,
        _request: Request<()>,
        _options: &SendOptions,
        _max_frame: usize,
    ) -> Result<Opened, TransportError> {
        Err(TransportError::Request { source: "this transport opens no WebSockets".into() })
    }
}

/// How a call is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SendOptions {
    /// `Default` goes straight.
    pub proxy: Proxy,
    pub timeouts: Timeouts,
    pub http: HttpMode,
    pub reach: Reach,
}

/// How long a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection stands.
    pub connect: Duration,
    /// Until the answer's headers are here.
    pub first_byte: Duration,
    /// Between two pieces of the answer, as long as we are waiting for one.
    pub idle: Duration,
    /// For the whole call.
    pub total: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_mins(5),
            idle: Duration::from_mins(2),
            total: None,
        }
    }
}

/// Which HTTP is spoken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum HttpMode {
    /// HTTP/2 where the other side offers it in TLS.
    #[default]
    Auto,
    Http1,
    /// HTTP/2 from the first byte, also without TLS.
    Http2,
}

/// Which addresses may be called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Any: the operator wrote the address.
    #[default]
    Anywhere,
    /// Public ones only: somebody else wrote it.
    PublicOnly,
}

/// Which wait was too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeoutKind {
    Connect,
    FirstByte,
    Idle,
    Total,
}

/// Where an error comes from; says nothing of addresses.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why there is no answer, or no end of it. None of these names an address, a query or a secret.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    #[error("the connection could not be made")]
    Connect { source: Cause },
    #[error("the other side's TLS could not be trusted or understood")]
    Tls { source: Cause },
    /// The way through the proxy failed; which side of it, the proxy does not always say.
    #[error("the proxy could not be reached, or could not connect")]
    Proxy { source: Cause },
    #[error("{}", .0.message())]
    Timeout(TimeoutKind),
    #[error("the connection was closed before the answer")]
    Closed { source: Cause },
    #[error("the answer broke off, or could not be decompressed")]
    Body { source: Cause },
    #[error("the answer is longer than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the address is not a public one")]
    NotPublic,
    #[error("the request could not be made")]
    Request { source: Cause },
}

impl TimeoutKind {
    const fn message(self) -> &'static str {
        match self {
            Self::Connect => "connecting took too long",
            Self::FirstByte => "the answer took too long to begin",
            Self::Idle => "nothing came for too long in the midst of the answer",
            Self::Total => "the whole answer took too long",
        }
    }
}

/// Reads a body to its end, if it has no more than `limit` bytes.
pub async fn read_whole(mut stream: ByteStream, limit: usize) -> Result<Bytes, TransportError> {
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        if first.len() + whole.len() + chunk.len() > limit {
            return Err(TransportError::TooLarge { limit });
        }
        if first.is_empty() && whole.is_empty() {
            first = chunk;
            continue;
        }
        if whole.is_empty() {
            whole.extend_from_slice(&std::mem::take(&mut first));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}
