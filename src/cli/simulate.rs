//! `dragoman simulate`.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context;
use clap::Args;

use crate::simulator::{self, Options, Scenario};

/// Plays upstreams: Chat, Responses, Messages, Gemini (also on Vertex's paths, with `/token`), and the operations around
/// them, on one port. What it was asked is told at `/_sim/log` and `/_sim/requests/{seq}`.
#[derive(Debug, Args)]
pub(super) struct SimulateArgs {
    /// Address and port to listen on.
    #[arg(long, default_value = "127.0.0.1:8318")]
    listen: SocketAddr,
    /// What to play, as YAML; absent: a polite echo in every dialect.
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Threads that answer.
    #[arg(long, default_value_t = 2)]
    workers: usize,
}

pub(super) async fn run(args: SimulateArgs) -> anyhow::Result<()> {
    let scenario = match &args.scenario {
        Some(path) => Scenario::load(path).with_context(|| format!("the scenario `{}`", path.display()))?,
        None => Scenario::default(),
    };
    let running = simulator::serve(Options { listen: args.listen, scenario, workers: args.workers }).await?;
    println!("the simulator listens on {}", running.url());
    tokio::signal::ctrl_c().await?;
    running.stop().await;
    Ok(())
}
