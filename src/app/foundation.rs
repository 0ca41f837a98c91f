//! What outlives every reload: the database, the keys, the credentials' states, the spool.

use std::{path::Path, sync::Arc};

use anyhow::Context;
use chrono::TimeDelta;
use secrecy::ExposeSecret;

use crate::{
    config::{self, Config, storage::Durability as ConfiguredDurability},
    credential::{CredentialPool, ObjectRepository},
    dialect::state::Envelope,
    kernel::clock::{Clock, SystemClock},
    session::{CallMemory, Keeping, Memory, RecentCalls, ResponseStore},
    storage::{
        Cipher, Database, DatabaseOptions, SealingKey, SqlLedger, SqlObjects, SqlResponses, SqlTenants,
        file::FileCredentials,
    },
    telemetry::metrics,
    tenant::{KeyHasher, KeyTable, TenantRepository},
    upstream::{
        token::Tokens,
        transport::{HttpTransport, Transport},
    },
    usage::{Accounts, Durability, Ledger, Limits, Spool},
};

/// How long it is remembered what was thought before a tool call, for clients that cannot say it.
const REMEMBER_CALLS: TimeDelta = TimeDelta::hours(6);
/// The most that is remembered of such calls, in bytes.
const MAX_CALLS: usize = 64 << 20;

/// The parts of a running gateway that a reload keeps.
pub struct Foundation {
    pub clock: Arc<dyn Clock>,
    pub database: Database,
    pub tenants: Arc<dyn TenantRepository>,
    pub ledger: Arc<dyn Ledger>,
    pub objects: Arc<dyn ObjectRepository>,
    pub keys: Arc<KeyTable>,
    pub hasher: KeyHasher,
    pub credentials: Arc<FileCredentials>,
    pub pool: Arc<CredentialPool>,
    pub transport: Arc<dyn Transport>,
    /// Seals reasoning state into the histories of clients.
    pub envelope: Envelope,
    pub calls: Arc<dyn CallMemory>,
    pub responses: Arc<dyn ResponseStore>,
    pub tokens: Arc<Tokens>,
}

impl Foundation {
    /// Opens everything but the spool: what the commands need too.
    pub async fn open(config: &Config) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        prepare_directory(&config.data_dir)?;
        let sealing = sealing_key(config)?;
        let database = open_database(config).await?;
        database.migrate().await.context("the database cannot be brought up to date")?;
        let hasher = KeyHasher::new(&sealing.derive("tenant-key"));
        let cipher = Arc::new(Cipher::new(&sealing));
        let credentials =
            Arc::new(FileCredentials::open(&config.data_dir.join("credentials"), Arc::clone(&cipher))?);
        let transport: Arc<dyn Transport> = Arc::new(HttpTransport::new(None)?);
        Ok(Self {
            tenants: Arc::new(SqlTenants::new(database.clone())),
            ledger: Arc::new(SqlLedger::new(database.clone())),
            objects: Arc::new(SqlObjects::new(database.clone())),
            keys: Arc::new(KeyTable::new()),
            hasher,
            credentials,
            pool: CredentialPool::new(Arc::clone(&clock)),
            envelope: Envelope::new(sealing.derive("state")),
            calls: Arc::new(RecentCalls::new(Arc::clone(&clock), REMEMBER_CALLS, MAX_CALLS)),
            responses: Arc::new(SqlResponses::new(database.clone(), cipher)),
            tokens: Arc::new(Tokens::new(Arc::clone(&transport), Arc::clone(&clock))),
            transport,
            database,
            clock,
        })
    }

    /// Opens the spool of this run. One process at a time writes a run; dead runs are shipped by the writer.
    pub fn open_spool(&self, config: &Config) -> anyhow::Result<(Arc<Spool>, Arc<Accounts>)> {
        let durability = match config.usage.durability {
            ConfiguredDurability::Process => Durability::Process,
            ConfiguredDurability::Disk => Durability::Disk,
        };
        let limits = Limits { max_bytes: config.usage.spool_limit.0, ..Limits::default() };
        let spool = Arc::new(Spool::open(
            &config.data_dir.join("spool"),
            durability,
            limits,
            Arc::clone(&self.clock),
        )?);
        let accounts =
            Accounts::new(Arc::clone(&spool), Arc::clone(&self.clock)).observed_by(metrics::settled);
        Ok((spool, Arc::new(accounts)))
    }

    /// What conversations need, as the configuration has it.
    pub fn memory(&self, config: &config::responses::Responses) -> Memory {
        let responses = config.store.then(|| Keeping {
            store: Arc::clone(&self.responses),
            expiry: config.expiry.0,
            max_size: usize::try_from(config.max_size.0).unwrap_or(usize::MAX),
        });
        Memory { envelope: self.envelope.clone(), calls: Arc::clone(&self.calls), responses }
    }

    /// Reads every key into the table that authentication reads.
    pub async fn load_keys(&self) -> anyhow::Result<i64> {
        let revision = self.tenants.revision().await?;
        self.keys.load(self.tenants.load_keys().await?);
        Ok(revision)
    }
}

impl std::fmt::Debug for Foundation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Foundation").field("database", &self.database.engine()).finish_non_exhaustive()
    }
}

/// Makes the data directory, for its owner alone.
pub(super) fn prepare_directory(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if path.is_dir() {
        return Ok(());
    }
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("the data directory `{}` cannot be made", path.display()))
}

fn sealing_key(config: &Config) -> anyhow::Result<SealingKey> {
    match &config.sealing_key {
        Some(secret) => {
            let text = secret.read().map_err(anyhow::Error::msg).context("sealing-key")?;
            SealingKey::from_text(text.expose_secret()).context("sealing-key")
        }
        None => SealingKey::load_or_create(&config.data_dir.join("sealing.key"))
            .context("the sealing key in the data directory cannot be used"),
    }
}

async fn open_database(config: &Config) -> anyhow::Result<Database> {
    let options = DatabaseOptions::default();
    if let Some(secret) = &config.database.url {
        let url = secret.read().map_err(anyhow::Error::msg).context("database.url")?;
        return Ok(Database::open(url.expose_secret(), &options).await?);
    }
    let path = config.data_dir.join("dragoman.db");
    Ok(Database::open(&format!("sqlite://{}", path.display()), &options).await?)
}
