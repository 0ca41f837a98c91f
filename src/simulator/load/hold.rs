//! Streams held open, so that what they cost in memory can be read.

use std::{cell::Cell, rc::Rc, time::Instant};

use serde::Serialize;
use tokio::{
    sync::{Semaphore, mpsc},
    task::{JoinSet, LocalSet},
    time::timeout,
};

use crate::simulator::load::{
    Options,
    connection::{Connection, Watch, request},
};

/// Streams that are being opened at the same time.
const OPENING: usize = 64;

/// How it went.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Held {
    /// Streams of which the first byte has come.
    pub held: usize,
    /// Streams that broke or ended before that.
    pub failed: usize,
    pub first_error: Option<String>,
    /// From the first request to the last first byte.
    pub seconds: f64,
}

/// Opens `streams` streams, tells `opened` how that went, and reads them until `release` or until the duration of
/// `options` is over; pace and number of connections are not heeded. Must be polled on one thread.
pub async fn hold(
    options: Options,
    streams: usize,
    opened: impl FnOnce(&Held),
    release: impl Future<Output = ()>,
) -> Held {
    let limit = options.duration;
    let workers = LocalSet::new();
    let holding = async {
        let held = open(options, streams, &workers).await;
        opened(&held.0);
        release.await;
        held.0
    };
    workers.run_until(timeout(limit, holding)).await.unwrap_or_default()
}

/// The streams stay open for as long as the second value lives.
async fn open(options: Options, streams: usize, workers: &LocalSet) -> (Held, JoinSet<()>) {
    let start = Instant::now();
    let (request, options) = (Rc::new(request(&options)), Rc::new(options));
    let turns = Rc::new(Semaphore::new(OPENING));
    let (told, mut outcomes) = mpsc::unbounded_channel();
    let mut reading = JoinSet::new();
    for _ in 0..streams {
        let stream = read(options.clone(), request.clone(), turns.clone(), told.clone());
        reading.spawn_local_on(stream, workers);
    }
    drop(told);
    let mut held = Held::default();
    while held.held + held.failed < streams
        && let Some(outcome) = outcomes.recv().await
    {
        match outcome {
            Ok(()) => held.held += 1,
            Err(why) => {
                held.failed += 1;
                held.first_error.get_or_insert(why);
            }
        }
    }
    held.seconds = start.elapsed().as_secs_f64();
    (held, reading)
}

type Outcome = Result<(), String>;

async fn read(
    options: Rc<Options>,
    request: Rc<Vec<u8>>,
    turns: Rc<Semaphore>,
    outcomes: mpsc::UnboundedSender<Outcome>,
) {
    let Ok(turn) = turns.acquire().await else { return };
    let turn = Cell::new(Some(turn));
    let mut watch = FirstByte(|| {
        turn.take();
        let _ = outcomes.send(Ok(()));
    });
    let read = async {
        let mut connection = Connection::open(options.target.address).await?;
        connection.ask(&request, options.expect, &mut watch).await
    };
    let ended = read.await;
    if turn.take().is_some() {
        let why = ended.err().map_or_else(|| "the answer was empty".to_owned(), |it| it.to_string());
        let _ = outcomes.send(Err(why));
    }
}

struct FirstByte<F>(F);

impl<F: FnMut()> Watch for FirstByte<F> {
    fn first_byte(&mut self) {
        (self.0)();
    }

    fn arrived(&mut self, _bytes: u64, _chunks: u64) {}
}
