//! Dragoman: one URL that any client of a language model may call in its own dialect, answered by whichever upstream the
//! team has credentials for.
//!
//! The floors, top to bottom; a module imports only from below (`tests/it/architecture.rs`):
//!
//! - 5 `cli`, `app`, `worker`: wiring, the only ones that know everyone
//! - 4 `server`: the doors, the only one that knows actix
//! - 3 `pipeline`: the trip
//! - 2 `upstream`, `storage`, `telemetry`: the outside
//! - 1 `tenant`, `operator`, `catalog`, `dialect`, `session`, `routing`, `credential`, `usage`: nouns and rules
//! - 0 `kernel`: ids, time, money, errors
//!
//! Beside them stand `config` (read by floor 5 only) and `simulator` (imports nothing of ours).

pub mod app;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod credential;
pub mod dialect;
pub mod kernel;
pub mod operator;
pub mod pipeline;
pub mod routing;
pub mod server;
pub mod session;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod storage;
pub mod telemetry;
pub mod tenant;
pub mod upstream;
pub mod usage;
pub mod worker;
