//! The doors: the only place that knows actix. Paths, headers, bodies; then one call to the pipeline.

mod around;
mod body;
mod compression;
mod delivery;
pub mod door;
pub mod health;
pub mod inference;
pub mod openapi;
mod patience;
pub mod presented;
mod realtime;
mod responses;
mod upload;
mod websocket;

use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::{App, HttpServer, dev::ServerHandle, web};
use arc_swap::ArcSwap;

use crate::{
    kernel::clock::Clock,
    pipeline::Pipeline,
    tenant::{KeyHasher, KeyTable},
    usage::Spool,
};

/// In a request: what is to be done about losses. In an answer: what was lost.
const TRANSLATION: &str = "x-dragoman-translation";

/// What the doors need.
pub struct Doors {
    pub pipeline: ArcSwap<Pipeline>,
    pub keys: Arc<KeyTable>,
    pub hasher: KeyHasher,
    pub clock: Arc<dyn Clock>,
    pub body_limit: usize,
    /// The largest body that is passed on while it comes, in bytes.
    pub upload_limit: u64,
    pub body_timeout: Duration,
    pub manner: Manner,
    /// Renders `/metrics`.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
    /// Whether `/metrics` wants the operator's secret, and which it is.
    pub operator: Option<Arc<crate::operator::OperatorSecret>>,
    pub spool: Arc<Spool>,
    /// Whether the gateway takes no new work.
    pub draining: AtomicBool,
    /// Exchanges under way.
    pub in_flight: Arc<AtomicUsize>,
}

impl Doors {
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Counts one exchange until the guard is dropped.
    pub(crate) fn enter(&self) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        InFlight(Arc::clone(&self.in_flight))
    }
}

impl std::fmt::Debug for Doors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Doors").finish_non_exhaustive()
    }
}

/// How answers are given.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner {
    /// When an answer that is not streamed begins with white space.
    pub nonstream_keep_alive: Option<Duration>,
    /// When a stream begins with a sign of life.
    pub stream_start_after: Option<Duration>,
    /// How often a silent stream is given one.
    pub keep_alive: Duration,
    pub pack_whole: bool,
    pub pack_streams: bool,
}

impl Manner {
    /// Whether clients wait for the answer's beginning as long as it takes.
    pub(crate) const fn is_patient(&self) -> bool {
        self.nonstream_keep_alive.is_none() && self.stream_start_after.is_none()
    }
}

/// One exchange under way.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<AtomicUsize>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A listening server.
#[derive(Debug)]
pub struct Running {
    pub address: SocketAddr,
    pub handle: ServerHandle,
}

/// Listens. The returned future serves until the handle stops it; it must be run by the caller.
///
/// Signals are the caller's: actix's own handling is off.
pub fn listen(
    doors: Arc<Doors>,
    listener: TcpListener,
    workers: usize,
) -> std::io::Result<(Running, impl Future<Output = std::io::Result<()>>)> {
    let address = listener.local_addr()?;
    let data = web::Data::from(doors);
    let server = HttpServer::new(move || {
        App::new().app_data(data.clone()).default_service(web::to(inference::answer))
    })
    .workers(workers)
    .disable_signals()
    .shutdown_timeout(1)
    .client_request_timeout(Duration::from_secs(30))
    .keep_alive(Duration::from_secs(75))
    // Without it the pieces of a stream wait for the client's acknowledgement, 40 ms each time.
    .tcp_nodelay(true)
    // Without it a client that leaves while we wait for its upstream is not noticed.
    .h1_allow_half_closed(false)
    .listen_auto_h2c(listener)?
    .run();
    let handle = server.handle();
    Ok((Running { address, handle }, server))
}
