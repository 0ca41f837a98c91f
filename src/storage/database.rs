//! The database: one of two engines, opened, migrated, asked.

use std::{
    io,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, Connection as _, PgPool, SqlitePool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

/// How long a SQLite connection waits for another one's write.
const SQLITE_BUSY_TIMEOUT: Duration = Duration::from_secs(15);
/// How long to wait before asking again for a SQLite file that another process is just creating.
const SQLITE_RETRY: Duration = Duration::from_millis(20);
/// How long a server that did not answer in time gets to say why.
const LAST_TRY: Duration = Duration::from_secs(1);
/// More connections to one file gain nothing: readers run beside the one writer, writers queue.
const SQLITE_MOST_CONNECTIONS: u32 = 4;

/// Runs `$query` on whichever engine is behind `$db` (a `&Database`). The body is checked once for each engine, so one
/// SQL text and one set of typed binds must suit both.
macro_rules! on {
    ($db:expr, $pool:ident => $query:expr) => {
        match $db {
            $crate::storage::database::Database::Postgres($pool) => $query,
            $crate::storage::database::Database::Sqlite($pool) => $query,
        }
    };
}
pub(crate) use on;

/// Connections to the database, cheap to clone.
#[derive(Debug, Clone)]
pub enum Database {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

/// How to open it.
#[derive(Debug, Clone)]
pub struct DatabaseOptions {
    pub max_connections: u32,
    /// How long a query waits for a connection before it fails.
    pub acquire_timeout: Duration,
}

impl Default for DatabaseOptions {
    fn default() -> Self {
        Self { max_connections: 8, acquire_timeout: Duration::from_secs(10) }
    }
}

/// Why it could not be opened or migrated. Never says the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("a database URL starts with `sqlite:`, `postgres://` or `postgresql://`")]
    UnknownScheme,
    #[error("the database URL cannot be read")]
    InvalidUrl(#[source] sqlx::Error),
    #[error("`{}` cannot be created", path.display())]
    CreateFile { path: PathBuf, source: io::Error },
    #[error("the database cannot be reached")]
    Connect(#[source] sqlx::Error),
    #[error("the database's tables cannot be brought up to date")]
    Migrate(#[source] sqlx::migrate::MigrateError),
}

impl Database {
    /// Opens `sqlite://path`, `sqlite::memory:` or `postgres://…`, and makes sure that somebody answers.
    ///
    /// A SQLite file that is missing is created, readable by its owner only, and so is its directory.
    pub async fn open(url: &str, options: &DatabaseOptions) -> Result<Self, OpenError> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => open_sqlite(url, options).await.map(Self::Sqlite),
            Some("postgres" | "postgresql") => open_postgres(url, options).await.map(Self::Postgres),
            _ => Err(OpenError::UnknownScheme),
        }
    }

    /// The engine's name, as logs and reports say it.
    pub const fn engine(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgres",
            Self::Sqlite(_) => "sqlite",
        }
    }

    /// Brings the tables up to date. Any number of processes may do so at the same time: one works, the others wait.
    ///
    /// Migrations of a newer version than this code knows are left alone: old code must run on the new schema.
    pub async fn migrate(&self) -> Result<(), OpenError> {
        match self {
            Self::Postgres(pool) => migrate_postgres(pool).await,
            Self::Sqlite(pool) => migrate_sqlite(pool).await,
        }
        .map_err(OpenError::Migrate)
    }

    /// Asks the database for a sign of life.
    pub async fn ping(&self) -> Result<(), sqlx::Error> {
        on!(self, pool => sqlx::query("SELECT 1").execute(pool).await.map(drop))
    }

    /// The statement that begins a transaction which will write: `pool.begin_with(db.begin_write())`.
    ///
    /// On SQLite it takes the write lock at once: two readers that both want to become the writer would otherwise fail.
    pub const fn begin_write(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "BEGIN",
            Self::Sqlite(_) => "BEGIN IMMEDIATE",
        }
    }

    /// Waits until every connection is given back and closed.
    pub async fn close(&self) {
        on!(self, pool => pool.close().await);
    }
}

async fn open_postgres(url: &str, options: &DatabaseOptions) -> Result<PgPool, OpenError> {
    let connect =
        PgConnectOptions::from_str(url).map_err(OpenError::InvalidUrl)?.application_name("dragoman");
    let pool = PgPoolOptions::new()
        .max_connections(options.max_connections)
        .acquire_timeout(options.acquire_timeout)
        .connect_with(connect.clone());
    match pool.await {
        // The pool has tried again and again, as the server may be just starting, and forgets why that failed.
        Err(sqlx::Error::PoolTimedOut) => Err(OpenError::Connect(why_unreachable(&connect).await)),
        outcome => outcome.map_err(OpenError::Connect),
    }
}

/// Connects once more, for the error.
async fn why_unreachable(connect: &PgConnectOptions) -> sqlx::Error {
    match tokio::time::timeout(LAST_TRY, connect.connect()).await {
        Ok(Err(error)) => error,
        Ok(Ok(_)) | Err(_) => sqlx::Error::PoolTimedOut,
    }
}

async fn open_sqlite(url: &str, options: &DatabaseOptions) -> Result<SqlitePool, OpenError> {
    let connect = SqliteConnectOptions::from_str(url)
        .map_err(OpenError::InvalidUrl)?
        .create_if_missing(true)
        .foreign_keys(true)
        .busy_timeout(SQLITE_BUSY_TIMEOUT)
        .journal_mode(SqliteJournalMode::Wal)
        // The spool lets go of what is committed, so that must survive the machine's death too.
        .synchronous(SqliteSynchronous::Full);
    let in_memory = url.contains(":memory:") || url.contains("mode=memory");
    let pool = SqlitePoolOptions::new().acquire_timeout(options.acquire_timeout.max(SQLITE_BUSY_TIMEOUT));
    let pool = if in_memory {
        // The database lives as long as this one connection.
        pool.min_connections(1).max_connections(1).idle_timeout(None).max_lifetime(None)
    } else {
        create_private(connect.get_filename()).await?;
        pool.max_connections(options.max_connections.clamp(1, SQLITE_MOST_CONNECTIONS))
    };
    connect_sqlite(pool, connect).await.map_err(OpenError::Connect)
}

/// Connects; asks again while another process is turning the new file to WAL, for which SQLite does not wait by itself.
async fn connect_sqlite(
    pool: SqlitePoolOptions,
    connect: SqliteConnectOptions,
) -> Result<SqlitePool, sqlx::Error> {
    let deadline = tokio::time::Instant::now() + SQLITE_BUSY_TIMEOUT;
    loop {
        match pool.clone().connect_with(connect.clone()).await {
            Err(error) if is_busy(&error) && tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(SQLITE_RETRY).await;
            }
            outcome => return outcome,
        }
    }
}

/// Whether SQLite said that another connection holds the lock: code 5, whatever its extension.
fn is_busy(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .and_then(|code| code.parse::<u32>().ok())
        .is_some_and(|code| code & 0xff == 5)
}

/// Creates `path` for its owner only, if it is missing; SQLite gives the files beside it (`-wal`, `-shm`) the same mode.
async fn create_private(path: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::CreateFile { path: path.to_owned(), source };
    if let Some(directory) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
        tokio::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).await.map_err(failed)?;
    }
    tokio::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .await
        .map(drop)
        .map_err(failed)
}

async fn migrate_postgres(pool: &PgPool) -> Result<(), sqlx::migrate::MigrateError> {
    let mut migrator = sqlx::migrate!("migrations/postgres");
    migrator.set_ignore_missing(true);
    // A connection of its own, closed at the end: the session's advisory lock must not outlive a failure in the pool.
    let mut connection = pool.acquire().await?.detach();
    migrator.run(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

async fn migrate_sqlite(pool: &SqlitePool) -> Result<(), sqlx::migrate::MigrateError> {
    let mut migrator = sqlx::migrate!("migrations/sqlite");
    migrator.set_ignore_missing(true);
    // sqlx has no lock for SQLite: the write lock is ours, and each migration becomes a savepoint.
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    migrator.run(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn a_new_sqlite_file_and_its_directory_are_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/er/dragoman.db");
        let url = format!("sqlite://{}", path.display());
        let database = Database::open(&url, &DatabaseOptions::default()).await.unwrap();
        database.migrate().await.unwrap();
        database.ping().await.unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&path.with_extension("db-wal")), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn processes_that_start_together_share_a_new_sqlite_file() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("dragoman.db").display());
        let options = DatabaseOptions::default();
        let starts = (0..8).map(|_| async {
            let database = Database::open(&url, &options).await?;
            database.migrate().await
        });
        for outcome in futures::future::join_all(starts).await {
            outcome.unwrap();
        }
    }

    #[tokio::test]
    async fn a_database_in_memory_keeps_its_tables() {
        let database = Database::open("sqlite::memory:", &DatabaseOptions::default()).await.unwrap();
        database.migrate().await.unwrap();
        database.migrate().await.unwrap();
        assert_eq!(database.engine(), "sqlite");
        let Database::Sqlite(pool) = &database else { unreachable!() };
        let value: i64 = sqlx::query_scalar("SELECT value FROM revision WHERE name = $1")
            .bind("tenant")
            .fetch_one(pool)
            .await
            .unwrap();
        assert_eq!(value, 0);
    }

    #[tokio::test]
    async fn a_server_that_is_away_is_said_to_refuse() {
        let options =
            DatabaseOptions { acquire_timeout: Duration::from_millis(50), ..DatabaseOptions::default() };
        let error = Database::open("postgres://me@127.0.0.1:1/db", &options).await.unwrap_err();
        let said = format!("{:#}", anyhow::Error::new(error));
        assert!(said.contains("cannot be reached") && said.contains("refused"), "{said}");
    }

    #[tokio::test]
    async fn an_error_never_says_the_password() {
        let options =
            DatabaseOptions { acquire_timeout: Duration::from_millis(50), ..DatabaseOptions::default() };
        for url in [
            "postgres://me:hunter2@127.0.0.1:1/db",
            "postgres://me:hunter2@127.0.0.1:notaport/db",
            "mysql://me:hunter2@localhost/db",
            "me:hunter2@localhost/db",
        ] {
            let error = Database::open(url, &options).await.unwrap_err();
            let said = format!("{error:?}") + &format!("{:#}", anyhow::Error::new(error));
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}
