//! Load: many connections that ask the same question over and over, and how long the answers took.
//!
//! Speaks HTTP/1.1 over plain TCP with its own bytes, so that it costs little and measures the other side. Everything
//! runs on the caller's thread: give it a current-thread runtime.

mod answer;
mod client;
mod connection;
mod events;
mod histogram;
mod hold;
#[cfg(test)]
mod tests;

pub use client::{Client, NoClient, Question};
pub use connection::{NoTarget, Target};
pub use hold::{Held, hold};

use std::{cell::RefCell, rc::Rc, time::Duration};

use serde::Serialize;
use tokio::{
    task::{JoinSet, LocalSet},
    time::{Instant, sleep, sleep_until, timeout_at},
};

use crate::simulator::load::{
    connection::{Afterwards, Connection, Fault, Watch, request},
    histogram::Histogram,
};

/// How long a connection rests after an error, so that a dead target is not hammered.
const REST: Duration = Duration::from_millis(5);

/// What to ask, how often and for how long.
#[derive(Clone, Debug)]
pub struct Options {
    pub target: Target,
    /// Sent beside `host`, `content-type` and `content-length`.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub expect: Expect,
    /// Connections kept open, each with one request at a time.
    pub connections: usize,
    pub pace: Pace,
    /// Asked before anything is recorded.
    pub warm_up: Duration,
    /// Recorded for so long.
    pub duration: Duration,
    /// What is then still unanswered after this time is an error.
    pub grace: Duration,
}

/// What a good answer is, beside status 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Whole.
    Whole,
    /// A stream of events that ends with its dialect's terminal.
    Stream,
}

/// When the next request goes out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As soon as the connection has its answer.
    Closed,
    /// So many requests in a second, whatever the answers do. Each connection has its share of the schedule. A request
    /// whose connection is still busy when it is due counts from when it was due: slow answers hide nothing.
    Open(f64),
}

/// What came of it. Times are in microseconds, `ttfb` is the time to the first byte of the body.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Good answers that ended while recording.
    pub requests: u64,
    /// All good answers, those of the warm-up and the stragglers too.
    pub total: u64,
    pub errors: u64,
    /// What went wrong first.
    pub first_error: Option<String>,
    /// How long was recorded.
    pub seconds: f64,
    pub rps: f64,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub ttfb_p50_us: f64,
    pub ttfb_p99_us: f64,
    /// Lines of data of event streams, the terminal's too.
    pub chunks: u64,
    pub chunks_per_s: f64,
    /// Bytes of bodies.
    pub bytes: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("no request was answered: {0}")]
    NoAnswer(String),
}

/// Asks as `options` say. Must be polled on one thread.
pub async fn run(options: Options) -> Result<Report, LoadError> {
    let connections = options.connections;
    let load = Rc::new(Load::new(options));
    let give_up = load.end + load.options.grace;
    let workers = LocalSet::new();
    let mut running = JoinSet::new();
    for place in 0..connections {
        running.spawn_local_on(work(load.clone(), place), &workers);
    }
    let finished = workers.run_until(async { while running.join_next().await.is_some() {} });
    if timeout_at(give_up, finished).await.is_err() {
        load.tally.borrow_mut().fail(running.len() as u64, || "no answer in time".to_owned());
    }
    load.report()
}

struct Load {
    request: Vec<u8>,
    options: Options,
    start: Instant,
    /// Recording begins.
    begin: Instant,
    end: Instant,
    tally: RefCell<Tally>,
}

#[derive(Default)]
struct Tally {
    latency: Histogram,
    first_byte: Histogram,
    requests: u64,
    total: u64,
    errors: u64,
    first_error: Option<String>,
    chunks: u64,
    bytes: u64,
}

impl Tally {
    fn fail(&mut self, count: u64, why: impl FnOnce() -> String) {
        self.errors += count;
        self.first_error.get_or_insert_with(why);
    }
}

async fn work(load: Rc<Load>, place: usize) {
    let mut connection = None;
    for turn in 0.. {
        let Some(since) = load.wait_for_turn(place, turn).await else { return };
        match exchange(&load, &mut connection, since).await {
            Ok(()) => load.finish(since),
            Err(fault) => {
                connection = None;
                load.tally.borrow_mut().fail(1, || fault.to_string());
                sleep(REST).await;
            }
        }
    }
}

async fn exchange(load: &Load, connection: &mut Option<Connection>, since: Instant) -> Result<(), Fault> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => Connection::open(load.options.target.address).await?,
    };
    let mut watch = Watching { load, since };
    if open.ask(&load.request, load.options.expect, &mut watch).await? == Afterwards::Stays {
        *connection = Some(open);
    }
    Ok(())
}

impl Load {
    fn new(options: Options) -> Self {
        let start = Instant::now();
        let begin = start + options.warm_up;
        let end = begin + options.duration;
        Self { request: request(&options), options, start, begin, end, tally: RefCell::default() }
    }

    /// Waits until the request is due; from when it counts, or nothing once the time is up.
    async fn wait_for_turn(&self, place: usize, turn: u32) -> Option<Instant> {
        let now = Instant::now();
        let due = match self.options.pace {
            Pace::Closed => now,
            Pace::Open(rate) => self.start + self.offset(place, turn, rate),
        };
        if due >= self.end {
            return None;
        }
        if due <= now {
            return Some(due);
        }
        sleep_until(due).await;
        // The timer wakes up to a millisecond late, which is not the target's fault.
        Some(Instant::now())
    }

    #[expect(clippy::cast_precision_loss, reason = "a place among the connections is small")]
    fn offset(&self, place: usize, turn: u32, rate: f64) -> Duration {
        let slot = place as f64 + f64::from(turn) * self.options.connections as f64;
        Duration::from_secs_f64(slot / rate)
    }

    fn is_recording(&self, now: Instant) -> bool {
        (self.begin..self.end).contains(&now)
    }

    fn finish(&self, since: Instant) {
        let now = Instant::now();
        let mut tally = self.tally.borrow_mut();
        tally.total += 1;
        tally.requests += u64::from(self.is_recording(now));
        if since >= self.begin {
            tally.latency.record(now - since);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of one run are far below 2^52")]
    fn report(&self) -> Result<Report, LoadError> {
        let tally = self.tally.borrow();
        if tally.total == 0 {
            return Err(LoadError::NoAnswer(
                tally.first_error.clone().unwrap_or_else(|| "time was too short".into()),
            ));
        }
        let seconds = self.options.duration.as_secs_f64();
        Ok(Report {
            requests: tally.requests,
            total: tally.total,
            errors: tally.errors,
            first_error: tally.first_error.clone(),
            seconds,
            rps: tally.requests as f64 / seconds,
            p50_us: tally.latency.micros(0.50),
            p90_us: tally.latency.micros(0.90),
            p99_us: tally.latency.micros(0.99),
            ttfb_p50_us: tally.first_byte.micros(0.50),
            ttfb_p99_us: tally.first_byte.micros(0.99),
            chunks: tally.chunks,
            chunks_per_s: tally.chunks as f64 / seconds,
            bytes: tally.bytes,
        })
    }
}

struct Watching<'a> {
    load: &'a Load,
    since: Instant,
}

impl Watch for Watching<'_> {
    fn first_byte(&mut self) {
        if self.since >= self.load.begin {
            self.load.tally.borrow_mut().first_byte.record(self.since.elapsed());
        }
    }

    fn arrived(&mut self, bytes: u64, chunks: u64) {
        if self.load.is_recording(Instant::now()) {
            let mut tally = self.load.tally.borrow_mut();
            tally.bytes += bytes;
            tally.chunks += chunks;
        }
    }
}
