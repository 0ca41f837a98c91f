//! A WebSocket client small enough to be believed: text messages, pings answered, a farewell.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// No event takes so long, unless something hangs.
const PATIENCE: Duration = Duration::from_mins(1);
/// Clients must mask what they send; with what is up to them.
const MASK: [u8; 4] = [1, 2, 3, 4];

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

pub(crate) struct Socket {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens a WebSocket; `Err` is the status of an answer that is none.
    pub(crate) async fn open(address: SocketAddr, path: &str, key: &str) -> Result<Self, u16> {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\nconnection: Upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut socket = Self { stream, buffer: Vec::new() };
        loop {
            if let Some(at) = socket.buffer.windows(4).position(|it| it == b"\r\n\r\n") {
                let head = String::from_utf8(socket.buffer.drain(..at + 4).collect()).unwrap();
                let status = head.split(' ').nth(1).unwrap().parse().unwrap();
                return if status == 101 { Ok(socket) } else { Err(status) };
            }
            assert!(socket.more().await, "the connection closed before its answer");
        }
    }

    pub(crate) async fn say(&mut self, message: &Value) {
        self.send(TEXT, message.to_string().as_bytes()).await;
    }

    /// The next event; `None`: the other side has closed.
    pub(crate) async fn event(&mut self) -> Option<Value> {
        loop {
            let (kind, payload) = self.frame().await?;
            match kind {
                TEXT => return Some(serde_json::from_slice(&payload).unwrap()),
                PING => self.send(PONG, &payload).await,
                CLOSE => return None,
                _ => {}
            }
        }
    }

    /// Asks for a response and reads its events, the last one included.
    pub(crate) async fn turn(&mut self, message: &Value) -> Vec<Value> {
        self.say(message).await;
        self.response().await
    }

    /// Reads events up to the one that ends a response.
    pub(crate) async fn response(&mut self) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let event = self.event().await.expect("an event that ends the response");
            let kind = event["type"].as_str().unwrap().to_owned();
            events.push(event);
            let ends = ["response.completed", "response.incomplete", "response.failed", "error"];
            if ends.contains(&kind.as_str()) {
                return events;
            }
        }
    }

    async fn send(&mut self, kind: u8, payload: &[u8]) {
        let mut frame = vec![0x80 | kind];
        match payload.len() {
            it @ 0..=125 => frame.push(0x80 | u8::try_from(it).unwrap()),
            it => {
                frame.push(0x80 | 127);
                frame.extend((it as u64).to_be_bytes());
            }
        }
        frame.extend(MASK);
        frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.stream.write_all(&frame).await.unwrap();
    }

    async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((kind, from, length)) = head(&self.buffer)
                && self.buffer.len() >= from + length
            {
                let payload = self.buffer[from..from + length].to_vec();
                self.buffer.drain(..from + length);
                return Some((kind, payload));
            }
            if !self.more().await {
                return None;
            }
        }
    }

    async fn more(&mut self) -> bool {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.buffer));
        read.await.expect("a message in time").is_ok_and(|it| it > 0)
    }
}

/// Kind, where the payload begins, and how long it is. Servers do not cut messages into pieces here.
fn head(buffer: &[u8]) -> Option<(u8, usize, usize)> {
    let (first, second) = (*buffer.first()?, *buffer.get(1)?);
    let (from, length) = match second & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes(buffer.get(2..4)?.try_into().unwrap()))),
        127 => (10, usize::try_from(u64::from_be_bytes(buffer.get(2..10)?.try_into().unwrap())).unwrap()),
        it => (2, usize::from(it)),
    };
    Some((first & 0x0f, from, length))
}
