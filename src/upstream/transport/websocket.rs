//! WebSockets (RFC 6455): the handshake's headers, and messages in both directions once it is done.

use std::pin::Pin;

use ::http::{
    HeaderMap, HeaderName, HeaderValue, Response,
    header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE},
};
use bytes::Bytes;
use futures::{Sink, SinkExt as _, StreamExt as _, future, stream::BoxStream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message, Utf8Bytes,
        error::CapacityError,
        handshake::{client::generate_key, derive_accept_key},
        protocol::{CloseFrame, Role, WebSocketConfig},
    },
};

use super::{ByteStream, Cause, TransportError};

/// A message, or the end of them. Pings are answered where they arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// UTF-8.
    Text(Bytes),
    Binary(Bytes),
    Close(Option<Farewell>),
}

/// Why a side closes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Farewell {
    pub code: u16,
    pub reason: String,
}

pub type FrameSink = Pin<Box<dyn Sink<Frame, Error = TransportError> + Send>>;
pub type FrameStream = BoxStream<'static, Result<Frame, TransportError>>;

/// An open WebSocket. Dropping both halves ends the connection.
pub struct Socket {
    pub outgoing: FrameSink,
    pub incoming: FrameStream,
}

/// What came of asking for a WebSocket.
pub enum Opened {
    Socket(Socket),
    /// An answer of HTTP: mostly an error.
    Refused(Response<ByteStream>),
}

/// Adds what a request for a WebSocket says; returns the key that the answer must know.
pub(super) fn ask(headers: &mut HeaderMap) -> String {
    let key = generate_key();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::try_from(&key).expect("base64 fits into a header"));
    for name in ["accept", "accept-encoding", "content-type"] {
        headers.remove(HeaderName::from_static(name));
    }
    key
}

/// That the other side understood what it was asked.
pub(super) fn check(headers: &HeaderMap, key: &str) -> Result<(), TransportError> {
    let is_understood = headers
        .get(SEC_WEBSOCKET_ACCEPT)
        .is_some_and(|it| it.as_bytes() == derive_accept_key(key.as_bytes()).as_bytes());
    if is_understood {
        return Ok(());
    }
    Err(TransportError::Closed { source: "the answer to the WebSocket's key is wrong".into() })
}

/// Speaks WebSocket on a connection whose handshake is done.
pub(super) async fn socket<L>(line: L, max_frame: usize) -> Socket
where
    L: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let config = WebSocketConfig::default().max_message_size(Some(max_frame)).max_frame_size(Some(max_frame));
    let (sink, stream) = WebSocketStream::from_raw_socket(line, Role::Client, Some(config)).await.split();
    let outgoing = sink.sink_map_err(failed).with(|frame| future::ready(message(frame)));
    let incoming = stream.filter_map(|it| future::ready(it.map(frame).map_err(failed).transpose()));
    Socket { outgoing: Box::pin(outgoing), incoming: incoming.boxed() }
}

fn message(frame: Frame) -> Result<Message, TransportError> {
    Ok(match frame {
        Frame::Text(text) => Message::Text(
            Utf8Bytes::try_from(text).map_err(|it| TransportError::Request { source: Box::new(it) })?,
        ),
        Frame::Binary(bytes) => Message::Binary(bytes),
        Frame::Close(farewell) => {
            Message::Close(farewell.map(|it| CloseFrame { code: it.code.into(), reason: it.reason.into() }))
        }
    })
}

fn frame(message: Message) -> Option<Frame> {
    match message {
        Message::Text(text) => Some(Frame::Text(text.into())),
        Message::Binary(bytes) => Some(Frame::Binary(bytes)),
        Message::Close(close) => Some(Frame::Close(
            close.map(|it| Farewell { code: it.code.into(), reason: it.reason.as_str().to_owned() }),
        )),
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => None,
    }
}

fn failed(error: Error) -> TransportError {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { max_size, .. }) => {
            TransportError::TooLarge { limit: max_size }
        }
        error => TransportError::Body { source: Cause::from(error) },
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(
        max_frame: usize,
    ) -> (impl Future<Output = Socket>, impl Future<Output = WebSocketStream<tokio::io::DuplexStream>>) {
        let (near, far) = tokio::io::duplex(1 << 16);
        (socket(near, max_frame), WebSocketStream::from_raw_socket(far, Role::Server, None))
    }

    #[test]
    fn the_answer_must_know_the_key() {
        // The example of RFC 6455 §1.3.
        let mut headers = HeaderMap::new();
        headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert!(check(&headers, "dGhlIHNhbXBsZSBub25jZQ==").is_ok());
        assert!(check(&headers, "another").is_err());
        assert!(check(&HeaderMap::new(), "dGhlIHNhbXBsZSBub25jZQ==").is_err());
    }

    #[tokio::test]
    async fn messages_pass_both_ways_and_the_farewell_too() {
        let (near, far) = pair(1 << 10);
        let (mut near, mut far) = futures::join!(near, far);
        near.outgoing.send(Frame::Text(Bytes::from_static("héllo".as_bytes()))).await.unwrap();
        near.outgoing.send(Frame::Binary(Bytes::from_static(b"\xff"))).await.unwrap();
        assert_eq!(far.next().await.unwrap().unwrap(), Message::text("héllo"));
        assert_eq!(far.next().await.unwrap().unwrap(), Message::binary(&b"\xff"[..]));
        far.send(Message::Ping(Bytes::new())).await.unwrap();
        far.send(Message::text("there")).await.unwrap();
        assert_eq!(near.incoming.next().await.unwrap().unwrap(), Frame::Text(Bytes::from_static(b"there")));
        let bye = Farewell { code: 1001, reason: "off".to_owned() };
        near.outgoing.send(Frame::Close(Some(bye))).await.unwrap();
        let pong = far.next().await.unwrap().unwrap();
        assert_eq!(pong, Message::Pong(Bytes::new()));
        let Message::Close(Some(close)) = far.next().await.unwrap().unwrap() else { panic!("it closed") };
        assert_eq!((u16::from(close.code), close.reason.as_str()), (1001, "off"));
    }

    #[tokio::test]
    async fn a_message_that_is_too_long_is_an_error() {
        let (near, far) = pair(16);
        let (mut near, mut far) = futures::join!(near, far);
        far.send(Message::text("longer than sixteen bytes")).await.unwrap();
        let error = near.incoming.next().await.unwrap().unwrap_err();
        assert!(matches!(error, TransportError::TooLarge { limit: 16 }), "{error:?}");
    }
}
