//! Running as a process: the file and its changes, signals, the demo.

use std::{
    io::Write as _,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use super::{
    compile,
    gateway::{Gateway, Surroundings},
    operator,
    reload::FileWatch,
};
use crate::{
    config::{Config, Environment, Faults, Secret, Source, server::LogFormat},
    telemetry::{logs, metrics},
    tenant::PlainKey,
};

/// How often other processes' changes of tenants, keys and stored credentials are looked for.
const LOOK: Duration = Duration::from_millis(500);

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

    /// The files whose change is a reload: the configuration, the secrets it names, the stored credentials.
    fn watched(&self, config: &Config) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        if let Source::File(path) = &self.source {
            paths.push(path.clone());
        }
        paths.push(config.data_dir.join("credentials"));
        let keys = config.tenants.iter().flat_map(|it| &it.keys).map(|it| &it.key);
        let credentials = config.upstreams.iter().flat_map(|it| &it.credentials).map(|it| &it.api_key);
        let secrets = config.api_keys.iter().chain(keys).chain(credentials);
        paths.extend(secrets.filter_map(Secret::file).map(PathBuf::from));
        paths
    }
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
    let listener = TcpListener::bind(config.server.listen)
        .with_context(|| format!("cannot listen on `{}`", config.server.listen))?;
    listener.set_nonblocking(true)?;
    let prometheus = metrics::start().context("metrics cannot be started")?;
    warn_of_unused(&config);
    super::foundation::prepare_directory(&config.data_dir)?;
    let operator = operator::secret(&config.data_dir)?;
    let operator = (!config.server.listen.ip().is_loopback()).then(|| Arc::new(operator));
    let mut gateway = Gateway::start(config, listener, Surroundings { prometheus, operator }).await?;
    if let Some(demo) = &demo {
        demo.announce(gateway.address());
    }
    run(&mut gateway, &serve, demo.as_ref()).await?;
    gateway.drain(told_to_stop()).await;
    tokio::select! {
        () = gateway.stop() => {}
        () = told_to_stop() => tracing::warn!("Another signal: leaving at once; the next start ships what is left"),
    }
    #[cfg(feature = "simulator")]
    if let Some(demo) = demo {
        demo.simulator.stop().await;
    }
    Ok(())
}

/// Serves, reloading on every change, until a signal says to stop. The signal is heard whatever else is being waited for:
/// a database that is away must not hold up the end.
async fn run(gateway: &mut Gateway, serve: &Serve, demo: Option<&Demo>) -> anyhow::Result<()> {
    tokio::select! {
        biased;
        () = told_to_stop() => Ok(()),
        failed = tend(gateway, serve, demo) => failed,
    }
}

/// Reloads on every change, for ever.
async fn tend(gateway: &mut Gateway, serve: &Serve, demo: Option<&Demo>) -> anyhow::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut watch = FileWatch::on(&serve.watched(gateway.config()));
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = hangup.recv() => reload(gateway, serve, demo, &mut watch).await,
            () = watch.changed() => reload(gateway, serve, demo, &mut watch).await,
            () = gateway.discovers() => report(gateway.recompile().await),
            _ = look.tick() => gateway.refresh_keys().await,
        }
    }
}

/// Reads everything again. A bad file is refused, and the old state goes on.
async fn reload(gateway: &mut Gateway, serve: &Serve, demo: Option<&Demo>, watch: &mut FileWatch) {
    let mut config = match serve.load() {
        Ok(config) => config,
        Err(faults) => {
            for fault in &faults.0 {
                tracing::error!(path = fault.path, "Refused the new configuration: {fault}");
            }
            return;
        }
    };
    if let Some(demo) = demo {
        super::demo::add(&mut config, demo.address, &demo.key);
    }
    let before = serve.watched(gateway.config());
    report(gateway.reload(config).await);
    let after = serve.watched(gateway.config());
    if after != before {
        *watch = FileWatch::on(&after);
    }
}

fn report(installed: anyhow::Result<()>) {
    match installed {
        Ok(()) => tracing::info!("Loaded the configuration"),
        Err(error) => tracing::error!(error = format!("{error:#}"), "Refused the new configuration"),
    }
}

/// Waits for a signal that says to stop. One that cannot be waited for never comes.
async fn told_to_stop() {
    let heard = |kind| async move {
        match signal(kind) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(error) => {
                tracing::error!(%error, "A signal cannot be waited for");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = heard(SignalKind::terminate()) => {}
        () = heard(SignalKind::interrupt()) => {}
    }
}

impl Demo {
    #[expect(clippy::print_stdout, reason = "the demo's key and command are for a person to copy")]
    fn announce(&self, address: SocketAddr) {
        let key = self.key.reveal();
        println!(
            "\nDragoman runs at http://{address}, with a simulated upstream for each dialect.\nYour key: {key}\n"
        );
        let models = super::demo::MODELS.join(", ");
        println!("Models, each in any dialect: {models}\n\nTry it:\n");
        println!("  curl http://{address}/v1/chat/completions \\");
        println!("    -H 'authorization: Bearer {key}' -H 'content-type: application/json' \\");
        println!(
            "    -d '{{\"model\": \"{}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'\n",
            super::demo::MESSAGES_MODEL
        );
        let _ = std::io::stdout().flush();
    }
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
#[expect(clippy::unused_async, reason = "the same signature as with the simulator")]
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
