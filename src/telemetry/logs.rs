//! Structured logs on standard error.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Starts logging. `directives` is a level or a list of directives; what cannot be read counts as `info`.
/// A second call changes nothing.
pub fn start(format: Format, directives: &str) {
    // The database driver logs statements, some with values: only its warnings are wanted.
    let filter = EnvFilter::try_new(format!(
        "{directives},sqlx=warn,hyper=warn,h2=warn,actix_http=warn,actix_server=warn"
    ))
    .unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter);
    let _ = match format {
        Format::Pretty => {
            let color = std::io::stderr().is_terminal();
            let layer = fmt::layer().with_writer(std::io::stderr).with_target(false).with_ansi(color);
            registry.with(layer).try_init()
        }
        Format::Json => {
            registry.with(fmt::layer().json().flatten_event(true).with_writer(std::io::stderr)).try_init()
        }
    };
}
