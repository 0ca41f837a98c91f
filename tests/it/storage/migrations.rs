//! Bringing tables up to date.

use std::collections::BTreeSet;

use dragoman::storage::Database;

use super::support::{TestDatabase, empty_postgres, empty_sqlite, fresh_postgres, fresh_sqlite};

/// Eight processes, each with connections of its own, that start together.
async fn eight_migrate_together(empty: TestDatabase) {
    let opened = futures::future::join_all((0..8).map(|_| empty.open_again())).await;
    for outcome in futures::future::join_all(opened.iter().map(Database::migrate)).await {
        outcome.unwrap();
    }
    for database in opened {
        database.ping().await.unwrap();
        database.close().await;
    }
    empty.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_start_together_migrate_once_on_sqlite() {
    eight_migrate_together(empty_sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs DRAGOMAN_TEST_POSTGRES"]
async fn processes_that_start_together_migrate_once_on_postgres() {
    eight_migrate_together(empty_postgres().await).await;
}

contract! {
    async fn migrating_again_changes_nothing(fresh: &TestDatabase) {
        fresh.database.migrate().await.unwrap();
        fresh.database.ping().await.unwrap();
    }

    async fn an_older_version_starts_on_the_tables_of_a_newer_one(fresh: &TestDatabase) {
        const FROM_THE_FUTURE: &str = "INSERT INTO _sqlx_migrations \
             (version, description, success, checksum, execution_time) VALUES (9999, 'new', TRUE, $1, 0)";
        let checksum = vec![0_u8];
        match &fresh.database {
            Database::Postgres(pool) => {
                sqlx::query(FROM_THE_FUTURE).bind(checksum).execute(pool).await.unwrap();
            }
            Database::Sqlite(pool) => {
                sqlx::query(FROM_THE_FUTURE).bind(checksum).execute(pool).await.unwrap();
            }
        }
        fresh.database.migrate().await.unwrap();
    }
}

const SQLITE_COLUMNS: &str = "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c \
     WHERE m.type = 'table' AND substr(m.name, 1, 1) <> '_' AND substr(m.name, 1, 7) <> 'sqlite_'";

const POSTGRES_COLUMNS: &str = "SELECT table_name::text, column_name::text FROM information_schema.columns \
     WHERE table_schema = 'public' AND substr(table_name, 1, 1) <> '_'";

#[tokio::test]
#[ignore = "needs DRAGOMAN_TEST_POSTGRES"]
async fn both_engines_have_the_same_tables_and_columns() {
    let (sqlite, postgres) = (fresh_sqlite().await, fresh_postgres().await);
    let (Database::Sqlite(files), Database::Postgres(server)) = (&sqlite.database, &postgres.database) else {
        unreachable!("that is how they were opened");
    };
    let files: Vec<(String, String)> = sqlx::query_as(SQLITE_COLUMNS).fetch_all(files).await.unwrap();
    let server: Vec<(String, String)> = sqlx::query_as(POSTGRES_COLUMNS).fetch_all(server).await.unwrap();
    assert!(!files.is_empty());
    assert_eq!(files.into_iter().collect::<BTreeSet<_>>(), server.into_iter().collect::<BTreeSet<_>>());
    sqlite.remove().await;
    postgres.remove().await;
}
