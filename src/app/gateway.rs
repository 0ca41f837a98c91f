//! A gateway that runs: started from a configuration, reloaded, drained, stopped. Signals and files are `serve`'s.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use super::{
    compile::{self, Standing},
    declared,
    discovery::Discovered,
    foundation::Foundation,
};
use crate::{
    config::{
        Config, Faults,
        server::{Compression, Server},
    },
    credential::{CredentialStatus, store::CredentialStore},
    operator::OperatorSecret,
    pipeline::Pipeline,
    server::{self, Doors, Manner},
    telemetry::metrics::{self, Exporter},
    usage::{Spool, Writer},
    worker::Workers,
};

/// How often models are asked for again.
const DISCOVER: Duration = Duration::from_mins(10);
/// How often it is written down when keys were last used.
const TOUCH: Duration = Duration::from_secs(30);
/// How often stored answers that have expired are removed.
const EXPIRE: Duration = Duration::from_mins(10);
/// How long the database may take for a farewell.
const FAREWELL: Duration = Duration::from_secs(2);

/// What a gateway is given beside its configuration.
pub struct Surroundings {
    /// The process's counters: there is one recorder for all gateways of a process.
    pub prometheus: Exporter,
    /// Asked of whoever reads `/metrics`; absent: everyone may.
    pub operator: Option<Arc<OperatorSecret>>,
}

/// A gateway that runs.
pub struct Gateway {
    foundation: Arc<Foundation>,
    standing: Standing,
    doors: Arc<Doors>,
    discovered: Arc<Discovered>,
    config: Config,
    /// Of tenants and keys, as the gateway knows them.
    revision: i64,
    /// Whether the database did not answer when it was last asked.
    is_alone: bool,
    running: server::Running,
    serving: Workers,
    writing: Workers,
    workers: Workers,
}

impl Gateway {
    /// Starts to answer on `listener`, which is bound before anything is opened: a second process on the same address
    /// must not touch the first one's files.
    pub async fn start(
        config: Config,
        listener: TcpListener,
        surroundings: Surroundings,
    ) -> anyhow::Result<Self> {
        let foundation = Arc::new(Foundation::open(&config).await?);
        let (spool, accounts) = foundation.open_spool(&config)?;
        let discovered = Arc::new(Discovered::default());
        let standing = Standing { accounts, stop: CancellationToken::new() };
        let (pipeline, revision) = install(&config, &foundation, &standing, &discovered, None).await?;
        let in_flight = Arc::new(AtomicUsize::new(0));
        let doors = Arc::new(Doors {
            pipeline: ArcSwap::from_pointee(pipeline),
            keys: Arc::clone(&foundation.keys),
            hasher: foundation.hasher.clone(),
            clock: Arc::clone(&foundation.clock),
            body_limit: usize::try_from(config.server.body_limit.0).unwrap_or(usize::MAX),
            upload_limit: config.server.upload_limit.0,
            body_timeout: config.server.body_timeout.0,
            manner: manner(&config.server),
            metrics: render_metrics(&foundation, &spool, &in_flight, surroundings.prometheus),
            operator: surroundings.operator,
            spool: Arc::clone(&spool),
            draining: AtomicBool::new(false),
            in_flight,
        });
        let writer = Writer::new(spool, Arc::clone(&foundation.ledger), Vec::new());
        let writing = Workers::default();
        writing.start("usage writer", writer.run(writing.token()));
        let threads = config.server.workers.map_or_else(num_threads, usize::from);
        let (running, server) = server::listen(Arc::clone(&doors), listener, threads)?;
        let serving = Workers::default();
        serving.start("server", async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "The server failed");
            }
        });
        tracing::info!(address = %running.address, database = foundation.database.engine(), "Dragoman listens");
        let workers = Workers::default();
        let gateway = Self {
            foundation,
            standing,
            doors,
            discovered,
            config,
            revision,
            is_alone: false,
            running,
            serving,
            writing,
            workers,
        };
        gateway.start_workers();
        Ok(gateway)
    }

    /// Returns the bound address, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.running.address
    }

    pub fn foundation(&self) -> &Arc<Foundation> {
        &self.foundation
    }

    /// Returns the configuration that is in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns where usage waits for the ledger.
    pub fn spool(&self) -> &Arc<Spool> {
        &self.doors.spool
    }

    /// Counts the exchanges under way.
    pub fn in_flight(&self) -> usize {
        self.doors.in_flight.load(Ordering::Acquire)
    }

    /// Takes another configuration for new exchanges. If it cannot be used, the old one stays in force.
    pub async fn reload(&mut self, config: Config) -> anyhow::Result<()> {
        self.install(&config).await?;
        self.config = config;
        self.discovered.ask_soon();
        Ok(())
    }

    /// Compiles the same configuration with the models and stored credentials of now.
    pub async fn recompile(&mut self) -> anyhow::Result<()> {
        let config = self.config.clone();
        self.install(&config).await
    }

    async fn install(&mut self, config: &Config) -> anyhow::Result<()> {
        let before = self.doors.pipeline.load_full();
        let (pipeline, revision) =
            install(config, &self.foundation, &self.standing, &self.discovered, Some(&before)).await?;
        self.doors.pipeline.store(Arc::new(pipeline));
        self.revision = revision;
        Ok(())
    }

    /// Reads tenants and keys again if anyone, in whichever process, has changed them. While the database is away those
    /// that are known go on.
    pub async fn refresh_keys(&mut self) {
        let asked = self.foundation.tenants.revision().await;
        if asked.is_err() != self.is_alone {
            self.is_alone = asked.is_err();
            match &asked {
                Ok(_) => tracing::info!("The database answers again"),
                Err(error) => {
                    tracing::warn!(%error, "The database does not answer: going on with the keys that are known");
                }
            }
        }
        if asked.is_ok_and(|now| now != self.revision) {
            match self.foundation.load_keys().await {
                Ok(loaded) => self.revision = loaded,
                Err(error) => tracing::warn!(error = format!("{error:#}"), "Keys cannot be read again"),
            }
        }
    }

    /// Waits until an upstream lists other models than before: a reason to `recompile`.
    pub async fn discovers(&self) {
        self.discovered.changed().await;
    }

    /// Takes no new work. What has begun gets its grace, then an end in its own dialect; `hurry` cuts the grace short.
    pub async fn drain(&self, hurry: impl Future<Output = ()>) {
        self.doors.draining.store(true, Ordering::Release);
        let grace = self.config.shutdown.grace.0;
        tracing::info!(in_flight = self.in_flight(), "Stopping");
        tokio::select! {
            () = self.idle() => {}
            () = tokio::time::sleep(grace) => tracing::warn!("The grace is over: ending the answers that are left"),
            () = hurry => tracing::warn!("A second signal: ending now"),
        }
        self.standing.stop.cancel();
        // Long enough for an error to be written to each of them.
        let _ = tokio::time::timeout(Duration::from_secs(2), self.idle()).await;
    }

    /// Stops what runs, the writer of usage last, and closes the database.
    pub async fn stop(self) {
        // Gracefully: the last bytes of an answer that has ended may still wait to be written.
        self.running.handle.stop(true).await;
        self.serving.stop(Duration::from_secs(5)).await;
        self.workers.stop(Duration::from_secs(5)).await;
        if !self.writing.stop(Duration::from_secs(15)).await {
            tracing::warn!("Usage is left in the spool: the next start ships it");
        }
        let farewell = async {
            self.foundation.touch_keys().await;
            self.foundation.database.close().await;
        };
        if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
            tracing::debug!("The database did not take leave in time");
        }
        tracing::info!("Dragoman has stopped");
    }

    async fn idle(&self) {
        while self.in_flight() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn start_workers(&self) {
        let foundation = Arc::clone(&self.foundation);
        self.workers.every("key touch", TOUCH, move || {
            let foundation = Arc::clone(&foundation);
            async move { foundation.touch_keys().await }
        });
        let foundation = Arc::clone(&self.foundation);
        self.workers.every("response expiry", EXPIRE, move || {
            let foundation = Arc::clone(&foundation);
            async move { foundation.remove_expired().await }
        });
        let doors = Arc::clone(&self.doors);
        let discovered = Arc::clone(&self.discovered);
        let cancel = self.workers.token();
        self.workers.start("model discovery", async move {
            loop {
                let pipeline = doors.pipeline.load_full();
                tokio::select! {
                    () = cancel.cancelled() => return,
                    () = discovered.ask(&pipeline) => {}
                }
                drop(pipeline);
                tokio::select! {
                    () = cancel.cancelled() => return,
                    () = discovered.asked_soon() => {}
                    () = tokio::time::sleep(discovered.pause(DISCOVER)) => {}
                }
            }
        });
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("address", &self.running.address).finish_non_exhaustive()
    }
}

impl Foundation {
    /// Writes down when keys were last used.
    async fn touch_keys(&self) {
        let used = self.keys.take_used();
        if !used.is_empty()
            && let Err(error) = self.tenants.touch_keys(&used).await
        {
            tracing::debug!(%error, "The last use of keys was not recorded");
        }
    }
}

impl Foundation {
    /// Removes stored answers whose time is over: also while none are stored any more.
    pub async fn remove_expired(&self) {
        match self.responses.remove_expired(self.clock.now()).await {
            Ok(0) => {}
            Ok(count) => tracing::debug!(count, "Stored responses have expired"),
            Err(error) => tracing::warn!(%error, "Expired responses were not removed"),
        }
    }
}

/// Makes the declared tenants, keys and credentials what the configuration says, and compiles a pipeline. Also returns the
/// revision of the keys that are now known.
async fn install(
    config: &Config,
    foundation: &Foundation,
    standing: &Standing,
    discovered: &Discovered,
    before: Option<&Pipeline>,
) -> anyhow::Result<(Pipeline, i64)> {
    let now = foundation.clock.now();
    let (tenants, keys) = declared::tenants(config, &foundation.hasher, now).map_err(Faults)?;
    let stored = foundation.credentials.list().await.context("stored credentials cannot be read")?;
    for damage in &stored.damaged {
        tracing::error!(place = damage.place, reason = damage.reason, "A stored credential is damaged");
    }
    let compiled = compile::compile(config, &stored.credentials, discovered).map_err(Faults)?;
    foundation.tenants.sync_declared(&tenants, &keys).await.context("declared tenants cannot be kept")?;
    let revision = foundation.load_keys().await?;
    Ok((compiled.into_pipeline(foundation, standing, before), revision))
}

fn render_metrics(
    foundation: &Arc<Foundation>,
    spool: &Arc<Spool>,
    in_flight: &Arc<AtomicUsize>,
    prometheus: Exporter,
) -> Box<dyn Fn() -> String + Send + Sync> {
    let (pool, clock) = (Arc::clone(&foundation.pool), Arc::clone(&foundation.clock));
    let (spool, in_flight) = (Arc::clone(spool), Arc::clone(in_flight));
    Box::new(move || {
        let now = clock.now();
        let mut cooling = std::collections::BTreeMap::<String, usize>::new();
        for status in pool.snapshot() {
            let CredentialStatus { upstream, state, .. } = &status;
            *cooling.entry(upstream.as_str().to_owned()).or_default() += usize::from(!state.is_due(now));
        }
        let stats = spool.stats();
        let cooling: Vec<_> = cooling.into_iter().collect();
        metrics::measure(in_flight.load(Ordering::Acquire), stats.depth, stats.bytes, &cooling);
        prometheus.render()
    })
}

fn num_threads() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// How answers are given, as the configuration says.
fn manner(server: &Server) -> Manner {
    Manner {
        nonstream_keep_alive: server.nonstream_keep_alive.map(|it| it.0),
        stream_start_after: server.stream_start_after.map(|it| it.0),
        keep_alive: server.keep_alive.0,
        pack_whole: server.compression != Compression::None,
        pack_streams: server.compression == Compression::All,
    }
}
