//! One connection: a request goes out, its answer is read and judged.

use std::{fmt::Write as _, io, net::SocketAddr, str::FromStr};

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::simulator::load::{
    Expect, Options,
    answer::{Body, Head, Malformed},
    events::Events,
};

/// Where requests go: `http://ADDRESS:PORT/path`, names are not looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub address: SocketAddr,
    pub path: String,
}

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no URL such as `http://127.0.0.1:8317/v1/messages`")]
pub struct NoTarget(String);

impl FromStr for Target {
    type Err = NoTarget;

    fn from_str(url: &str) -> Result<Self, NoTarget> {
        let fault = || NoTarget(url.to_owned());
        let rest = url.strip_prefix("http://").ok_or_else(fault)?;
        let (address, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        Ok(Self { address: address.parse().map_err(|_| fault())?, path: path.to_owned() })
    }
}

/// Why a request counts as an error.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    #[error("the connection broke: {0}")]
    Broken(#[source] io::Error),
    #[error("the connection was closed before the answer was whole")]
    Closed,
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("status {0}")]
    Status(u16),
    #[error("the stream ended without its terminal")]
    NoTerminal,
    #[error("the stream told of an error")]
    ErrorEvent,
}

/// What is told while an answer arrives.
pub(super) trait Watch {
    fn first_byte(&mut self);
    /// So many bytes of the body and lines of data have come in one read.
    fn arrived(&mut self, bytes: u64, chunks: u64);
}

pub(super) struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
}

/// What becomes of the connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Afterwards {
    Stays,
    Closes,
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> Result<Self, Fault> {
        let stream = TcpStream::connect(address).await.map_err(Fault::Connect)?;
        stream.set_nodelay(true).map_err(Fault::Connect)?;
        Ok(Self { stream, buffer: BytesMut::with_capacity(16 << 10) })
    }

    /// Sends `request` and reads its answer to the end.
    pub(super) async fn ask(
        &mut self,
        request: &[u8],
        expect: Expect,
        watch: &mut impl Watch,
    ) -> Result<Afterwards, Fault> {
        self.stream.write_all(request).await.map_err(Fault::Broken)?;
        let mut head = self.head().await?;
        if head.status != 200 {
            return Err(Fault::Status(head.status));
        }
        let mut reading = Reading { expect, events: Events::default(), bytes: 0 };
        loop {
            let (bytes, data) = (reading.bytes, reading.events.data);
            let whole = head.body.take(&mut self.buffer, &mut |it| reading.read(it))?;
            if bytes == 0 && reading.bytes > 0 {
                watch.first_byte();
            }
            if reading.bytes > bytes {
                watch.arrived(reading.bytes - bytes, reading.events.data - data);
            }
            if whole {
                break;
            }
            match self.fill().await? {
                0 if head.body == Body::UntilClose => break,
                0 => return Err(Fault::Closed),
                _ => {}
            }
        }
        reading.judge()?;
        Ok(if head.keeps_alive { Afterwards::Stays } else { Afterwards::Closes })
    }

    async fn head(&mut self) -> Result<Head, Fault> {
        loop {
            if let Some(head) = Head::take(&mut self.buffer)? {
                return Ok(head);
            }
            if self.fill().await? == 0 {
                return Err(Fault::Closed);
            }
        }
    }

    /// Reads what there is; 0 bytes mean that the peer has closed.
    async fn fill(&mut self) -> Result<usize, Fault> {
        self.buffer.reserve(8 << 10);
        self.stream.read_buf(&mut self.buffer).await.map_err(Fault::Broken)
    }
}

struct Reading {
    expect: Expect,
    events: Events,
    bytes: u64,
}

impl Reading {
    fn read(&mut self, payload: &[u8]) {
        self.bytes += payload.len() as u64;
        if self.expect == Expect::Stream {
            self.events.read(payload);
        }
    }

    fn judge(&self) -> Result<(), Fault> {
        match self.expect {
            Expect::Stream if self.events.failed => Err(Fault::ErrorEvent),
            Expect::Stream if !self.events.ended => Err(Fault::NoTerminal),
            Expect::Stream | Expect::Whole => Ok(()),
        }
    }
}

/// The bytes of the request, the same each time.
pub(super) fn request(options: &Options) -> Vec<u8> {
    let Target { address, path } = &options.target;
    let mut head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n");
    for (name, value) in &options.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    let _ = write!(head, "content-length: {}\r\n\r\n", options.body.len());
    let mut request = head.into_bytes();
    request.extend_from_slice(&options.body);
    request
}
