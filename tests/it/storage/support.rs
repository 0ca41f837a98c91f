//! Fresh databases, gone after the test.

use std::time::Duration;

use dragoman::storage::{Database, DatabaseOptions};
use sqlx::{AssertSqlSafe, PgPool};

/// A database that nobody else uses.
pub(crate) struct TestDatabase {
    pub(crate) database: Database,
    url: String,
    home: Home,
}

/// What is removed in the end.
enum Home {
    Directory(#[expect(dead_code, reason = "removes itself when dropped")] tempfile::TempDir),
    Server { administration: PgPool, name: String },
}

/// A new SQLite file with all tables.
pub(crate) async fn fresh_sqlite() -> TestDatabase {
    migrated(empty_sqlite().await).await
}

/// A new database with all tables on the server of `DRAGOMAN_TEST_POSTGRES`.
pub(crate) async fn fresh_postgres() -> TestDatabase {
    migrated(empty_postgres().await).await
}

/// A new SQLite file without tables.
pub(crate) async fn empty_sqlite() -> TestDatabase {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("test.db").display());
    TestDatabase { database: open(&url).await, url, home: Home::Directory(directory) }
}

/// A new database without tables.
pub(crate) async fn empty_postgres() -> TestDatabase {
    let server = std::env::var_os("DRAGOMAN_TEST_POSTGRES").expect("run me by scripts/with-postgres");
    let mut url = url::Url::parse(server.to_str().unwrap()).unwrap();
    let administration = PgPool::connect(url.as_str()).await.unwrap();
    let name = format!("test_{}", uuid::Uuid::new_v4().simple());
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&administration).await.unwrap();
    url.set_path(&name);
    let url = url.to_string();
    TestDatabase { database: open(&url).await, url, home: Home::Server { administration, name } }
}

async fn open(url: &str) -> Database {
    let options = DatabaseOptions { max_connections: 4, acquire_timeout: Duration::from_secs(30) };
    Database::open(url, &options).await.unwrap()
}

async fn migrated(fresh: TestDatabase) -> TestDatabase {
    fresh.database.migrate().await.unwrap();
    fresh
}

impl TestDatabase {
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Opens the same database as another process would.
    pub(crate) async fn open_again(&self) -> Database {
        open(&self.url).await
    }

    /// Removes it; after a failed test the server's end does.
    pub(crate) async fn remove(self) {
        self.database.close().await;
        if let Home::Server { administration, name } = self.home {
            let drop = AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"));
            sqlx::query(drop).execute(&administration).await.unwrap();
            administration.close().await;
        }
    }
}
