//! The command line: serve, check, migrate, tenant, key, credential, report, explain, openapi, simulate.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks")]

mod credential;
mod explain;
mod key;
#[cfg(feature = "simulator")]
mod load;
mod report;
#[cfg(feature = "simulator")]
mod simulate;
mod table;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use crate::{
    app::{self, Foundation, Serve},
    config::{self, Config, Environment, Source, schema},
    telemetry::logs,
};

/// The configuration file that is read if none is named.
const DEFAULT_FILE: &str = "dragoman.yaml";

/// A gateway for language models: one URL, any client, any upstream.
#[derive(Debug, Parser)]
#[command(name = "dragoman", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args, Clone)]
pub(crate) struct ConfigArgs {
    /// The configuration file; `dragoman.yaml` if there is one.
    #[arg(long, short, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where SQLite, the spool and sealed credentials are kept.
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the gateway.
    Serve {
        #[command(flatten)]
        config: ConfigArgs,
        /// Address and port to listen on.
        #[arg(long, value_name = "ADDRESS")]
        listen: Option<SocketAddr>,
        /// Add the simulator as upstreams, a demo tenant and a key.
        #[arg(long)]
        demo: bool,
    },
    /// Check the configuration and report every fault at once.
    Check {
        #[command(flatten)]
        config: ConfigArgs,
        /// Print the JSON Schema of the file instead.
        #[arg(long)]
        schema: bool,
    },
    /// Bring the database's tables up to date.
    Migrate {
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Manage tenants.
    Tenant {
        #[command(flatten)]
        config: ConfigArgs,
        #[command(subcommand)]
        action: key::TenantAction,
    },
    /// Manage tenant keys.
    Key {
        #[command(flatten)]
        config: ConfigArgs,
        #[command(subcommand)]
        action: key::KeyAction,
    },
    /// Manage stored credentials (those that the file does not declare).
    Credential {
        #[command(flatten)]
        config: ConfigArgs,
        #[command(subcommand)]
        action: credential::CredentialAction,
    },
    /// Report usage.
    Report {
        #[command(flatten)]
        config: ConfigArgs,
        #[command(flatten)]
        report: report::ReportArgs,
    },
    /// Say what became of one request: each attempt, and what its upstream could not be told.
    Explain {
        #[command(flatten)]
        config: ConfigArgs,
        #[command(flatten)]
        explain: explain::ExplainArgs,
    },
    /// Print the inference paths as an OpenAPI document.
    Openapi,
    /// Play an upstream, for tests and demonstrations.
    #[cfg(feature = "simulator")]
    Simulate(simulate::SimulateArgs),
    /// Put load on a server, for `scripts/bench`.
    #[cfg(feature = "simulator")]
    #[command(hide = true)]
    Load(load::LoadArgs),
}

impl ConfigArgs {
    /// Where the configuration comes from: the named file, `dragoman.yaml` if it is there, or nothing.
    pub(crate) fn source(&self) -> Source {
        match &self.config {
            Some(path) => Source::File(path.clone()),
            None if std::path::Path::new(DEFAULT_FILE).is_file() => Source::File(PathBuf::from(DEFAULT_FILE)),
            None => Source::None,
        }
    }

    pub(crate) fn load(&self) -> anyhow::Result<Config> {
        let mut config = config::load(&self.source(), &Environment::of_process())?;
        if let Some(path) = &self.data_dir {
            config.data_dir.clone_from(path);
        }
        Ok(config)
    }

    /// Opens what a command needs, with logs kept to warnings.
    pub(crate) async fn open(&self) -> anyhow::Result<(Config, Foundation)> {
        let config = self.load()?;
        logs::start(logs::Format::Pretty, "warn");
        let foundation = Foundation::open(&config).await?;
        Ok((config, foundation))
    }
}

/// Runs the command the process was started with.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("dragoman: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    if let Command::Check { config, schema: print_schema } = &command {
        return Ok(check(config, *print_schema));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Serve { config, listen, demo } => {
                app::serve(Serve { source: config.source(), data_dir: config.data_dir, listen, demo })
                    .await?;
            }
            Command::Check { .. } => unreachable!("answered above"),
            Command::Openapi => print!("{}", app::openapi()),
            Command::Migrate { config } => {
                config.open().await?;
                println!("the database is up to date");
            }
            Command::Tenant { config, action } => key::tenant(&config, action).await?,
            Command::Key { config, action } => key::key(&config, action).await?,
            Command::Credential { config, action } => credential::run(&config, action).await?,
            Command::Report { config, report } => report::run(&config, report).await?,
            Command::Explain { config, explain } => explain::run(&config, &explain).await?,
            #[cfg(feature = "simulator")]
            Command::Simulate(args) => simulate::run(args).await?,
            #[cfg(feature = "simulator")]
            Command::Load(args) => load::run(args).await?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn check(config: &ConfigArgs, print_schema: bool) -> ExitCode {
    if print_schema {
        println!("{:#}", schema());
        return ExitCode::SUCCESS;
    }
    match app::compile::load(&config.source(), &Environment::of_process()) {
        Ok(_) => {
            println!("the configuration is good");
            ExitCode::SUCCESS
        }
        Err(faults) => {
            eprintln!("{faults}");
            ExitCode::FAILURE
        }
    }
}
