//! Clients that ask, listen, and sometimes leave, for as long as there is a gateway.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    sync::{
        Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use dragoman::kernel::id::RequestId;

use super::{
    dice::Dice,
    gateway::{KEYS, TURNS},
};

/// How long the load may make no progress at all.
const PATIENCE: Duration = Duration::from_mins(1);

/// How far the load is, and whether there is somebody to ask.
#[derive(Debug, Default)]
pub(super) struct Progress {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Questions sent, answers begun, answers ended.
    steps: u64,
    answers: u64,
    /// How many gateways were started.
    life: u64,
    over: bool,
}

impl Progress {
    /// Waits for `count` further steps.
    pub(super) fn steps(&self, count: u64) {
        self.further(count, |it| it.steps);
    }

    /// Waits for `count` further answers that are whole.
    pub(super) fn answers(&self, count: u64) {
        self.further(count, |it| it.answers);
    }

    fn further(&self, count: u64, of: fn(&State) -> u64) {
        let state = self.state.lock().unwrap();
        let goal = of(&state) + count;
        let (state, waited) = self.changed.wait_timeout_while(state, PATIENCE, |it| of(it) < goal).unwrap();
        drop(state);
        assert!(!waited.timed_out(), "the load stands still");
    }

    /// A gateway listens. Returns which life of it this is.
    pub(super) fn lives(&self) -> u64 {
        self.change(|it| it.life += 1);
        self.state.lock().unwrap().life
    }

    /// No further exchange begins.
    pub(super) fn end(&self) {
        self.change(|it| it.over = true);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    fn step(&self) {
        self.change(|it| it.steps += 1);
    }

    fn answer(&self) {
        self.change(|it| it.answers += 1);
    }

    /// The life of the gateway, once it is later than `life`; none when the load is over.
    fn later_than(&self, life: u64) -> Option<u64> {
        let state = self.state.lock().unwrap();
        let state = self.changed.wait_while(state, |it| !it.over && it.life <= life).unwrap();
        (!state.over).then_some(state.life)
    }
}

/// What became of an exchange, as its client saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Saw {
    /// The whole answer.
    Whole(RequestId),
    /// An error, before or in the answer.
    Error(u16, RequestId),
    /// Only what came before the client left.
    Left,
    /// The connection broke, in this life of the gateway.
    Broken(u64),
}

/// One client: exchanges, one after the other.
pub(super) fn client(seed: u64, port: u16, numbers: &AtomicU64, progress: &Progress) -> Vec<Saw> {
    let mut seen = Vec::new();
    let mut tried = 0;
    while let Some(life) = progress.later_than(tried) {
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        if number >= TURNS {
            break;
        }
        let Ok(connection) = TcpStream::connect(("127.0.0.1", port)) else {
            // It is dead: the next life will do.
            tried = life;
            continue;
        };
        let saw = Exchange::new(seed, number).run(connection, progress);
        seen.push(saw.unwrap_or(Saw::Broken(life)));
    }
    seen
}

/// One question and how it is asked.
struct Exchange {
    path: &'static str,
    key: &'static str,
    body: String,
    leaves: bool,
}

impl Exchange {
    fn new(seed: u64, number: u64) -> Self {
        let mut dice = Dice::new(seed ^ number.wrapping_mul(0x1_0001));
        let streams = dice.below(2) == 0;
        // A tenth is said by a client of Chat to an upstream of Messages, a tenth is Messages on both sides.
        let (path, model) = match dice.below(10) {
            0 => ("/v1/chat/completions", format!("turn-{number}")),
            1 => ("/v1/messages", format!("turn-{number}")),
            2..6 => ("/v1/chat/completions", "quick".to_owned()),
            _ => ("/v1/chat/completions", "late".to_owned()),
        };
        let limit = if path == "/v1/messages" { r#""max_tokens":4096,"# } else { "" };
        let words = "and so on ".repeat(usize::try_from(dice.below(40)).unwrap());
        let body = format!(
            r#"{{"model":"{model}",{limit}"stream":{streams},"messages":[{{"role":"user","content":"Exchange {number} {words}"}}]}}"#
        );
        let key = KEYS[usize::try_from(dice.below(KEYS.len() as u64)).unwrap()];
        Self { path, key, body, leaves: streams && dice.below(12) == 0 }
    }

    fn run(&self, mut connection: TcpStream, progress: &Progress) -> io::Result<Saw> {
        connection.set_read_timeout(Some(PATIENCE))?;
        let Self { path, key, body, .. } = self;
        let length = body.len();
        write!(
            connection,
            "POST {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )?;
        progress.step();
        let mut answer = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            let read = connection.read(&mut chunk)?;
            if read == 0 {
                break;
            }
            if answer.is_empty() {
                progress.step();
            }
            answer.extend_from_slice(&chunk[..read]);
            if self.leaves && has(&answer, "data: ") {
                connection.shutdown(Shutdown::Both)?;
                return Ok(Saw::Left);
            }
        }
        progress.step();
        let saw = read(&answer).ok_or_else(|| io::Error::other("the answer broke off"))?;
        if matches!(saw, Saw::Whole(_)) {
            progress.answer();
        }
        Ok(saw)
    }
}

/// What an answer says; none if it is not whole.
fn read(answer: &[u8]) -> Option<Saw> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let header = |name: &str| head.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(": "));
    let status: u16 = head.split(' ').nth(1)?.parse().ok()?;
    let request = header("x-dragoman-request-id")?.parse().ok()?;
    let is_whole = match header("content-length") {
        Some(length) => length.parse() == Ok(body.len()),
        None => body.ends_with("0\r\n\r\n"),
    };
    if !is_whole {
        return None;
    }
    let is_error = status != 200 || body.contains("\"error\"");
    Some(if is_error { Saw::Error(status, request) } else { Saw::Whole(request) })
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|it| it == text.as_bytes())
}

/// Asks `GET path` and returns the status and the body.
pub(super) fn get(port: u16, path: &str) -> (u16, String) {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(connection, "GET {path} HTTP/1.1\r\nhost: somebody\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}
