//! An HTTP/1.1 client small enough to be believed: what it shows is what came over the wire.

use std::{fmt::Write, net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// No answer takes so long, unless something hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// A request, still being put together.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: &'static str,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn get(target: &str) -> Self {
        Self { method: "GET", target: target.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn post(target: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { method: "POST", body: body.into(), ..Self::get(target) }
            .header("content-type", "application/json")
    }

    pub(crate) fn delete(target: &str) -> Self {
        Self { method: "DELETE", ..Self::get(target) }
    }

    /// A form with files, whose boundary is `XX`.
    pub(crate) fn form(target: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { method: "POST", body: body.into(), ..Self::get(target) }
            .header("content-type", "multipart/form-data; boundary=XX")
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn bearer(self, key: &str) -> Self {
        self.header("authorization", &format!("Bearer {key}"))
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Sends it; the answer's head is here when this returns.
    pub(crate) async fn send(&self, address: SocketAddr) -> Reply {
        self.send_claiming(address, self.body.len()).await
    }

    /// Sends it with another `content-length` than the body has: the rest never comes.
    pub(crate) async fn send_claiming(&self, address: SocketAddr, length: usize) -> Reply {
        self.begin_claiming(address, length).await.head().await
    }

    /// Sends it and does not wait for anything.
    pub(crate) async fn begin(&self, address: SocketAddr) -> Waiting {
        self.begin_claiming(address, self.body.len()).await
    }

    /// `begin` with another `content-length` than the body has.
    pub(crate) async fn begin_claiming(&self, address: SocketAddr, length: usize) -> Waiting {
        Waiting { socket: self.start(address, length).await }
    }

    async fn start(&self, address: SocketAddr, length: usize) -> TcpStream {
        let mut text = format!("{} {} HTTP/1.1\r\nhost: {address}\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            write!(text, "{name}: {value}\r\n").unwrap();
        }
        if self.method == "POST" {
            write!(text, "content-length: {length}\r\n").unwrap();
        }
        text.push_str("\r\n");
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        socket.write_all(&[text.as_bytes(), &self.body].concat()).await.unwrap();
        socket
    }
}

/// A request that has been sent. Dropped, the client leaves.
pub(crate) struct Waiting {
    socket: TcpStream,
}

impl Waiting {
    /// Sends more of the body.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    /// Waits for the answer's head.
    pub(crate) async fn head(self) -> Reply {
        let mut wire = Wire { socket: self.socket, buffer: Vec::new() };
        let head = wire.until(b"\r\n\r\n").await;
        let text = String::from_utf8(head).unwrap();
        let mut lines = text.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|it| it.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let header = |name: &str| headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.clone());
        let framing = match header("content-length") {
            Some(length) => Framing::Length(length.parse().unwrap()),
            None if header("transfer-encoding").as_deref() == Some("chunked") => Framing::Chunked,
            None => Framing::Ended,
        };
        Reply { status, headers, framing, wire }
    }
}

/// An answer whose head is here. Dropped, the client leaves.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    framing: Framing,
    wire: Wire,
}

enum Framing {
    Length(usize),
    Chunked,
    Ended,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// The next piece as it came, `None` at the proper end of the answer.
    pub(crate) async fn piece(&mut self) -> Option<Vec<u8>> {
        match self.framing {
            Framing::Ended => None,
            Framing::Length(length) => {
                self.framing = Framing::Ended;
                Some(self.wire.exactly(length).await)
            }
            Framing::Chunked => {
                let size = self.wire.until(b"\r\n").await;
                let size = usize::from_str_radix(std::str::from_utf8(&size).unwrap(), 16).unwrap();
                let piece = self.wire.exactly(size).await;
                self.wire.until(b"\r\n").await;
                if size == 0 {
                    self.framing = Framing::Ended;
                    return None;
                }
                Some(piece)
            }
        }
    }

    /// Whether the connection ends before the answer does.
    pub(crate) async fn breaks_off(mut self) -> bool {
        loop {
            let mut buffer = Vec::new();
            match timeout(PATIENCE, self.wire.socket.read_buf(&mut buffer)).await.expect("an end in time") {
                Ok(0) | Err(_) => break,
                Ok(_) => self.wire.buffer.append(&mut buffer),
            }
        }
        match self.framing {
            Framing::Length(length) => self.wire.buffer.len() < length,
            Framing::Chunked => !self.wire.buffer.ends_with(b"0\r\n\r\n"),
            Framing::Ended => false,
        }
    }

    /// Reads pieces until `part` has come; returns all of them.
    pub(crate) async fn until(&mut self, part: &str) -> String {
        let mut text = String::new();
        while !text.contains(part) {
            let piece = self.piece().await.unwrap_or_else(|| panic!("`{part}` never came: {text}"));
            text.push_str(std::str::from_utf8(&piece).unwrap());
        }
        text
    }

    /// All that is left.
    pub(crate) async fn bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.piece().await {
            bytes.extend(piece);
        }
        bytes
    }

    pub(crate) async fn text(&mut self) -> String {
        String::from_utf8(self.bytes().await).unwrap()
    }

    pub(crate) async fn json(&mut self) -> Value {
        let text = self.text().await;
        serde_json::from_str(&text).unwrap_or_else(|it| panic!("{it}: {text}"))
    }
}

struct Wire {
    socket: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    /// All before `mark`, which is taken off too.
    async fn until(&mut self, mark: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.buffer.windows(mark.len()).position(|it| it == mark) {
                let before = self.buffer[..at].to_vec();
                self.buffer.drain(..at + mark.len());
                return before;
            }
            self.more().await;
        }
    }

    async fn exactly(&mut self, size: usize) -> Vec<u8> {
        while self.buffer.len() < size {
            self.more().await;
        }
        self.buffer.drain(..size).collect()
    }

    async fn more(&mut self) {
        let read = timeout(PATIENCE, self.socket.read_buf(&mut self.buffer));
        let size = read.await.expect("an answer in time").unwrap();
        assert!(size > 0, "the connection closed early: {}", String::from_utf8_lossy(&self.buffer));
    }
}
