//! The upstreams, played: answers, delays, faults and quotas as a scenario says, on a port of its own.
//!
//! Judges what the gateway sends, so it shares nothing with it: it imports none of our modules and writes every byte itself.

mod anthropic;
mod around;
mod ask;
mod bench;
mod delivery;
mod door;
mod echo;
mod example;
mod gemini;
pub mod load;
mod log;
mod memory;
mod openai;
mod packing;
mod place;
mod quota;
mod realtime;
mod reply;
mod responses;
mod rule;
pub mod scenario;
mod seal;
mod stage;
#[cfg(test)]
mod tests;
mod token;
mod vendor;

pub use scenario::{Scenario, ScenarioError};

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use actix_web::{App, HttpServer, dev::ServerHandle, rt::System, web};
use tokio::sync::oneshot;

use crate::simulator::stage::Stage;

/// How to play.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    pub scenario: Scenario,
    /// Threads that answer.
    pub workers: usize,
}

impl Options {
    /// Plays `scenario` on a free loopback port with one thread: what a test wants.
    pub fn local(scenario: Scenario) -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 0)), scenario, workers: 1 }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    #[error("cannot listen on `{address}`")]
    Listen {
        address: SocketAddr,
        #[source]
        cause: io::Error,
    },
    #[error("the simulator's server failed")]
    Server(#[source] io::Error),
}

/// A simulator that answers until it is stopped.
#[derive(Debug)]
pub struct Running {
    /// The bound address, with the real port.
    pub address: SocketAddr,
    handle: ServerHandle,
    ended: oneshot::Receiver<io::Result<()>>,
}

impl Running {
    /// The base URL, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Closes every connection and frees the port.
    pub async fn stop(self) {
        self.handle.stop(false).await;
        let _ = self.ended.await;
    }

    /// Waits until the server ends by itself.
    pub async fn wait(self) -> Result<(), SimulatorError> {
        self.ended.await.unwrap_or(Ok(())).map_err(SimulatorError::Server)
    }
}

/// Starts to play in the background, on threads of its own; the caller's runtime only waits for the start.
pub async fn serve(options: Options) -> Result<Running, SimulatorError> {
    start(options, Signals::Ignored).await
}

/// Plays until the process is told to end.
pub async fn run(listen: SocketAddr, scenario: Scenario) -> Result<(), SimulatorError> {
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    start(Options { listen, scenario, workers }, Signals::Heeded).await?.wait().await
}

#[derive(Clone, Copy, PartialEq)]
enum Signals {
    Heeded,
    Ignored,
}

async fn start(options: Options, signals: Signals) -> Result<Running, SimulatorError> {
    let address = options.listen;
    let listener = TcpListener::bind(address).map_err(|cause| SimulatorError::Listen { address, cause })?;
    let address = listener.local_addr().map_err(SimulatorError::Server)?;
    let (started, start) = oneshot::channel();
    let (ending, ended) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = ending.send(System::new().block_on(play(options, listener, signals, started)));
    });
    match start.await {
        Ok(handle) => Ok(Running { address, handle, ended }),
        Err(_) => Err(SimulatorError::Server(
            ended.await.ok().and_then(Result::err).unwrap_or_else(|| io::Error::other("it did not start")),
        )),
    }
}

async fn play(
    options: Options,
    listener: TcpListener,
    signals: Signals,
    started: oneshot::Sender<ServerHandle>,
) -> io::Result<()> {
    let stage = web::Data::new(Stage::new(options.scenario));
    let server =
        HttpServer::new(move || App::new().app_data(stage.clone()).default_service(web::to(door::answer)))
            .workers(options.workers)
            .backlog(4096)
            .max_connections(100_000)
            .tcp_nodelay(true)
            .h1_allow_half_closed(false)
            .shutdown_timeout(1);
    let server = if signals == Signals::Ignored { server.disable_signals() } else { server };
    let server = server.listen(listener)?.run();
    let _ = started.send(server.handle());
    server.await
}
