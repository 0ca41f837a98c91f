//! What the operator wrote: plain data. Read by floor 5 only; everyone else is given what they need.
//!
//! The value of a key comes from, in this order: a flag, a variable (`server.listen` → `DRAGOMAN_SERVER_LISTEN`), the file,
//! the default. The defaults are written once, in `Default`, and `docker/dragoman.example.yaml` is tested against them.

pub mod check;
pub mod fault;
pub mod load;
pub mod media;
pub mod models;
pub mod responses;
pub mod secret;
pub mod server;
pub mod storage;
pub mod tenants;
pub mod unit;
pub mod upstreams;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use fault::{Fault, Faults};
pub use load::{Environment, Source, load, load_with_faults, schema};
pub use secret::Secret;

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Config {
    pub server: server::Server,
    pub shutdown: server::Shutdown,
    pub log: server::Log,
    /// Holds the SQLite database, the spool, sealed credentials and the sealing key.
    pub data_dir: PathBuf,
    /// Seals credentials and hashes keys; share it between instances. Absent: made once in `data-dir`.
    pub sealing_key: Option<Secret>,
    pub database: storage::Database,
    pub redis: storage::Redis,
    pub credential_store: storage::CredentialStoreKind,
    pub usage: storage::Usage,
    pub responses: responses::Responses,
    /// Keys of the tenant `default`: all that a single user needs.
    pub api_keys: Vec<Secret>,
    pub tenants: Vec<tenants::Tenant>,
    pub upstreams: Vec<upstreams::Upstream>,
    pub aliases: Vec<models::Alias>,
    pub routing: models::Routing,
    pub media: media::Media,
    /// What models can do that the gateway does not know or knows wrongly: `model`, a name or a glob, and what it can. Later
    /// rows go over earlier ones.
    pub abilities: Vec<Map<String, Value>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server: server::Server::default(),
            shutdown: server::Shutdown::default(),
            log: server::Log::default(),
            data_dir: PathBuf::from("./data"),
            sealing_key: None,
            database: storage::Database::default(),
            redis: storage::Redis::default(),
            credential_store: storage::CredentialStoreKind::default(),
            usage: storage::Usage::default(),
            responses: responses::Responses::default(),
            api_keys: Vec::new(),
            tenants: Vec::new(),
            upstreams: Vec::new(),
            aliases: Vec::new(),
            routing: models::Routing::default(),
            media: media::Media::default(),
            abilities: Vec::new(),
        }
    }
}
