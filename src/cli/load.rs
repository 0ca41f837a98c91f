//! `dragoman load`: asks a server the same thing over and over, for `scripts/bench`. Hidden: it measures, it serves nobody.

use std::{fs, future::Future, io::Read, path::PathBuf, time::Duration};

use anyhow::{Context, anyhow};
use clap::Args;
use tokio::sync::oneshot;

use crate::simulator::load::{self, Client, Expect, Options, Pace, Target};

#[derive(Debug, Args)]
pub(super) struct LoadArgs {
    /// Where to: `http://ADDRESS:PORT/path`; with `--client` the path is the dialect's.
    url: Target,
    /// The body of every request.
    #[arg(long, value_name = "FILE", required_unless_present = "client")]
    body: Option<PathBuf>,
    /// Instead of a body: ask as a client of `chat`, `responses`, `messages` or `gemini` does.
    #[arg(long, conflicts_with = "body", requires = "model")]
    client: Option<Client>,
    /// The model such a client asks.
    #[arg(long)]
    model: Option<String>,
    /// The API key such a client sends.
    #[arg(long, default_value = "bench")]
    key: String,
    /// How many bytes such a client asks.
    #[arg(long, default_value_t = 200)]
    bytes: usize,
    /// Sent with every request: `name: value`.
    #[arg(long = "header", value_name = "HEADER", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Expect event streams that end as they should.
    #[arg(long)]
    stream: bool,
    /// Connections, each with one request at a time.
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Requests in a second, whether answered or not; absent: each after the answer to the one before.
    #[arg(long, value_parser = rate)]
    rate: Option<f64>,
    /// Asked before anything is recorded.
    #[arg(long, default_value = "500ms", value_parser = humantime::parse_duration)]
    warm_up: Duration,
    /// Recorded for so long; with `--hold`, held at most so long.
    #[arg(long, default_value = "4s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// Open so many streams instead and hold them until standard input ends.
    #[arg(long, value_name = "STREAMS")]
    hold: Option<usize>,
}

/// Prints one line of JSON.
pub(super) async fn run(args: LoadArgs) -> anyhow::Result<()> {
    // A runtime of its own, on one thread: handing sockets between threads would be measured too.
    tokio::task::spawn_blocking(|| {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(ask(args))
    })
    .await?
}

async fn ask(args: LoadArgs) -> anyhow::Result<()> {
    let expect = if args.stream { Expect::Stream } else { Expect::Whole };
    let (mut target, mut headers, mut body) = (args.url, args.headers, Vec::new());
    if let (Some(client), Some(model)) = (args.client, &args.model) {
        let question = client.question(model, &args.key, expect, args.bytes);
        target.path = question.path;
        headers.extend(question.headers);
        body = question.body;
    } else if let Some(file) = &args.body {
        body = fs::read(file).with_context(|| format!("the body `{}`", file.display()))?;
    }
    let options = Options {
        body,
        target,
        headers,
        expect,
        connections: args.connections.max(1),
        pace: args.rate.map_or(Pace::Closed, Pace::Open),
        warm_up: args.warm_up,
        duration: args.duration,
        grace: Duration::from_secs(10),
    };
    match args.hold {
        Some(streams) => {
            load::hold(options, streams, |it| println!("{}", json(it)), end_of_input()).await;
        }
        None => println!("{}", json(&load::run(options).await?)),
    }
    Ok(())
}

fn json(report: &impl serde::Serialize) -> String {
    serde_json::to_string(report).expect("a report is plain data")
}

/// Ends with standard input. On a thread that nobody waits for: a read of a terminal cannot be called off.
fn end_of_input() -> impl Future<Output = ()> {
    let (ended, end) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        drop(ended);
    });
    async {
        let _ = end.await;
    }
}

fn header(text: &str) -> anyhow::Result<(String, String)> {
    let (name, value) = text.split_once(':').ok_or_else(|| anyhow!("a header is written `name: value`"))?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn rate(text: &str) -> anyhow::Result<f64> {
    let rate: f64 = text.parse()?;
    if rate.is_finite() && rate > 0.0 { Ok(rate) } else { Err(anyhow!("a rate is more than 0")) }
}
