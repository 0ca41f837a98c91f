//! Running: start, serve, reload, stop.

use std::{
    io::Write as _,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use arc_swap::ArcSwap;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{
    compile::{self, Standing},
    declared,
    discovery::Discovered,
    foundation::Foundation,
    operator,
    reload::FileWatch,
};
use crate::{
    config::{Config, Environment, Faults, Secret, Source, server::LogFormat},
    credential::{CredentialStatus, store::CredentialStore},
    pipeline::Pipeline,
    server::{self, Doors},
    telemetry::{logs, metrics},
    tenant::PlainKey,
    usage::{Spool, Writer},
    worker::Workers,
};

/// How often other processes' changes of tenants, keys and stored credentials are looked for.
const LOOK: Duration = Duration::from_millis(500);
/// How often models are asked for again.
const DISCOVER: Duration = Duration::from_secs(600);
/// How often it is written down when keys were last used.
const TOUCH: Duration = Duration::from_secs(30);

/// What `dragoman serve` was told.
#[derive(Debug, Clone)]
pub struct Serve {
    pub source: Source,
    pub data_dir: Option<PathBuf>,
    pub listen: Option<SocketAddr>,
    pub demo: bool,
}

impl Serve {
    /// Loads the configuration as the flags would have it.
    fn load(&self) -> Result<Config, Faults> {
        let mut config = compile::load(&self.source, &Environment::of_process())?;
        if let Some(listen) = self.listen {
            config.server.listen = listen;
        }
        if let Some(path) = &self.data_dir {
            config.data_dir.clone_from(path);
        }
        Ok(config)
    }
}

/// A gateway that runs.
struct Gateway {
    serve: Serve,
    foundation: Arc<Foundation>,
    standing: Standing,
    doors: Arc<Doors>,
    discovered: Arc<Discovered>,
    workers: Workers,
    demo: Option<Demo>,
    config: Config,
}

/// The demo's parts, which every reload must keep.
struct Demo {
    #[cfg(feature = "simulator")]
    simulator: crate::simulator::Running,
    address: SocketAddr,
    key: PlainKey,
}

/// Runs the gateway until it is told to stop.
pub async fn serve(serve: Serve) -> anyhow::Result<()> {
    let mut config = serve.load()?;
    logs::start(
        match config.log.format {
            LogFormat::Pretty => logs::Format::Pretty,
            LogFormat::Json => logs::Format::Json,
        },
        &config.log.level,
    );
    let demo = start_demo(&serve, &mut config).await?;
    // Bound first: a second process on the same address must not touch anything.
    let listener = TcpListener::bind(config.server.listen)
        .with_context(|| format!("cannot listen on `{}`", config.server.listen))?;
    listener.set_nonblocking(true)?;
    let foundation = Arc::new(Foundation::open(&config).await?);
    let prometheus = metrics::start().context("metrics cannot be started")?;
    let operator = operator::secret(&config.data_dir)?;
    let (spool, accounts) = foundation.open_spool(&config)?;
    warn_of_unused(&config);
    let discovered = Arc::new(Discovered::default());
    let standing = Standing { accounts, stop: CancellationToken::new() };
    let pipeline = install(&config, &foundation, &standing, &discovered, None).await?;
    let in_flight = Arc::new(AtomicUsize::new(0));
    let doors = Arc::new(Doors {
        pipeline: ArcSwap::from_pointee(pipeline),
        keys: Arc::clone(&foundation.keys),
        hasher: foundation.hasher.clone(),
        clock: Arc::clone(&foundation.clock),
        body_limit: usize::try_from(config.server.body_limit.0).unwrap_or(usize::MAX),
        body_timeout: config.server.body_timeout.0,
        metrics: render_metrics(&foundation, &spool, &in_flight, prometheus),
        operator: (!config.server.listen.ip().is_loopback()).then(|| Arc::new(operator)),
        spool: Arc::clone(&spool),
        draining: AtomicBool::new(false),
        in_flight,
    });
    let workers = Workers::default();
    let writer = Writer::new(Arc::clone(&spool), Arc::clone(&foundation.ledger), Vec::new());
    let writing = Workers::default();
    writing.start("usage writer", writer.run(writing.token()));
    let threads = config.server.workers.map_or_else(num_threads, usize::from);
    let (running, serving) = server::listen(Arc::clone(&doors), listener, threads)?;
    let server_workers = Workers::default();
    server_workers.start("server", async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "The server failed");
        }
    });
    tracing::info!(address = %running.address, database = foundation.database.engine(), "Dragoman listens");
    let gateway = Gateway { serve, foundation, standing, doors, discovered, workers, demo, config };
    gateway.announce(running.address);
    let gateway = gateway.run().await?;
    gateway.drain().await;
    running.handle.stop(false).await;
    server_workers.stop(Duration::from_secs(5)).await;
    gateway.workers.stop(Duration::from_secs(5)).await;
    if !writing.stop(Duration::from_secs(15)).await {
        tracing::warn!("Usage is left in the spool: the next start ships it");
    }
    gateway.foundation.touch_keys().await;
    gateway.foundation.database.close().await;
    gateway.end_demo().await;
    tracing::info!("Dragoman has stopped");
    Ok(())
}

impl Gateway {
    /// Serves, reloading on every change, until a signal says to stop.
    async fn run(mut self) -> anyhow::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut watched = self.watched();
        let mut watch = FileWatch::on(&watched);
        let mut revision = self.foundation.tenants.revision().await.unwrap_or_default();
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        self.start_workers();
        loop {
            tokio::select! {
                _ = terminate.recv() => return Ok(self),
                _ = interrupt.recv() => return Ok(self),
                _ = hangup.recv() => self.reload().await,
                () = watch.changed() => self.reload().await,
                () = self.discovered.changed() => self.recompile().await,
                _ = look.tick() => {
                    match self.foundation.tenants.revision().await {
                        Ok(now) if now != revision => match self.foundation.load_keys().await {
                            Ok(loaded) => revision = loaded,
                            Err(error) => tracing::warn!(error = format!("{error:#}"), "Keys cannot be read again"),
                        },
                        // The database is away: the keys that are known go on.
                        Ok(_) | Err(_) => {}
                    }
                }
            }
            let now = self.watched();
            if now != watched {
                watch = FileWatch::on(&now);
                watched = now;
            }
        }
    }

    /// The files whose change is a reload: the configuration, the secrets it names, the stored credentials.
    fn watched(&self) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        if let Source::File(path) = &self.serve.source {
            paths.push(path.clone());
        }
        paths.push(self.config.data_dir.join("credentials"));
        let keys = self.config.tenants.iter().flat_map(|it| &it.keys).map(|it| &it.key);
        let credentials = self.config.upstreams.iter().flat_map(|it| &it.credentials).map(|it| &it.api_key);
        let secrets = self.config.api_keys.iter().chain(keys).chain(credentials);
        paths.extend(secrets.filter_map(Secret::file).map(PathBuf::from));
        paths
    }

    fn start_workers(&self) {
        let foundation = Arc::clone(&self.foundation);
        self.workers.every("key touch", TOUCH, move || {
            let foundation = Arc::clone(&foundation);
            async move { foundation.touch_keys().await }
        });
        let doors = Arc::clone(&self.doors);
        let discovered = Arc::clone(&self.discovered);
        let cancel = self.workers.token();
        self.workers.start("model discovery", async move {
            loop {
                discovered.ask(&doors.pipeline.load_full()).await;
                tokio::select! {
                    () = cancel.cancelled() => return,
                    () = tokio::time::sleep(discovered.pause(DISCOVER)) => {}
                }
            }
        });
    }

    /// Reads everything again. A bad file is refused, and the old state goes on.
    async fn reload(&mut self) {
        let mut config = match self.serve.load() {
            Ok(config) => config,
            Err(faults) => {
                for fault in &faults.0 {
                    tracing::error!(path = fault.path, "Refused the new configuration: {fault}");
                }
                return;
            }
        };
        if let Some(demo) = &self.demo {
            super::demo::add(&mut config, demo.address, &demo.key);
        }
        self.config = config;
        self.recompile().await;
    }

    async fn recompile(&self) {
        let before = self.doors.pipeline.load_full();
        match install(&self.config, &self.foundation, &self.standing, &self.discovered, Some(&before)).await {
            Ok(pipeline) => {
                self.doors.pipeline.store(Arc::new(pipeline));
                tracing::info!("Loaded the configuration");
            }
            Err(error) => tracing::error!(error = format!("{error:#}"), "Refused the new configuration"),
        }
    }

    /// No new work; what has begun gets its grace, then an end in its own dialect. A second signal ends it now.
    async fn drain(&self) {
        self.doors.draining.store(true, Ordering::Release);
        let grace = self.config.shutdown.grace.0;
        tracing::info!(in_flight = self.doors.in_flight.load(Ordering::Acquire), "Stopping");
        let (Ok(mut terminate), Ok(mut interrupt)) =
            (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            return self.standing.stop.cancel();
        };
        tokio::select! {
            () = self.idle() => {}
            () = tokio::time::sleep(grace) => tracing::warn!("The grace is over: ending the answers that are left"),
            _ = terminate.recv() => tracing::warn!("A second signal: ending now"),
            _ = interrupt.recv() => tracing::warn!("A second signal: ending now"),
        }
        self.standing.stop.cancel();
        // Long enough for an error to be written to each of them.
        let _ = tokio::time::timeout(Duration::from_secs(2), self.idle()).await;
    }

    async fn idle(&self) {
        while self.doors.in_flight.load(Ordering::Acquire) > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[expect(clippy::print_stdout, reason = "the demo's key and command are for a person to copy")]
    fn announce(&self, address: SocketAddr) {
        let Some(demo) = &self.demo else { return };
        let key = demo.key.reveal();
        println!(
            "\nDragoman runs at http://{address}, with a simulated upstream for each dialect.\nYour key: {key}\n"
        );
        println!("Try it:\n");
        println!("  curl http://{address}/v1/chat/completions \\");
        println!("    -H 'authorization: Bearer {key}' -H 'content-type: application/json' \\");
        println!(
            "    -d '{{\"model\": \"{}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'\n",
            super::demo::MESSAGES_MODEL
        );
        let _ = std::io::stdout().flush();
    }

    async fn end_demo(self) {
        #[cfg(feature = "simulator")]
        if let Some(demo) = self.demo {
            demo.simulator.stop().await;
        }
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

/// Makes the declared tenants, keys and credentials what the configuration says, and compiles a pipeline.
async fn install(
    config: &Config,
    foundation: &Foundation,
    standing: &Standing,
    discovered: &Discovered,
    before: Option<&Pipeline>,
) -> anyhow::Result<Pipeline> {
    let now = foundation.clock.now();
    let (tenants, keys) = declared::tenants(config, &foundation.hasher, now).map_err(Faults)?;
    let stored = foundation.credentials.list().await.context("stored credentials cannot be read")?;
    for damage in &stored.damaged {
        tracing::error!(place = damage.place, reason = damage.reason, "A stored credential is damaged");
    }
    let compiled = compile::compile(config, &stored.credentials, discovered).map_err(Faults)?;
    foundation.tenants.sync_declared(&tenants, &keys).await.context("declared tenants cannot be kept")?;
    foundation.load_keys().await?;
    Ok(compiled.into_pipeline(foundation, standing, before))
}

#[cfg(feature = "simulator")]
async fn start_demo(serve: &Serve, config: &mut Config) -> anyhow::Result<Option<Demo>> {
    use crate::simulator::{self, Options, Scenario};
    if !serve.demo {
        return Ok(None);
    }
    let simulator = simulator::serve(Options::local(Scenario::default())).await?;
    let (address, key) = (simulator.address, PlainKey::generate());
    super::demo::add(config, address, &key);
    Ok(Some(Demo { simulator, address, key }))
}

#[cfg(not(feature = "simulator"))]
async fn start_demo(serve: &Serve, _: &mut Config) -> anyhow::Result<Option<Demo>> {
    anyhow::ensure!(!serve.demo, "this build has no simulator: `--demo` needs the feature `simulator`");
    Ok(None)
}

fn warn_of_unused(config: &Config) {
    if config.redis.url.is_some() {
        tracing::warn!("`redis.url` is set, but this version keeps shared state in the process");
    }
    if !config.server.listen.ip().is_loopback() {
        tracing::info!("Listening beyond loopback: `/metrics` wants the operator's secret");
    }
}

fn render_metrics(
    foundation: &Arc<Foundation>,
    spool: &Arc<Spool>,
    in_flight: &Arc<AtomicUsize>,
    prometheus: metrics_exporter_prometheus::PrometheusHandle,
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
