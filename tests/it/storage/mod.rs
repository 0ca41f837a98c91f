//! The ports' contracts, run on every engine, each test on a fresh database.

/// Makes one test for each engine of `async fn name(fresh: &TestDatabase) { … }`.
macro_rules! contract {
    ($(async fn $name:ident($fresh:ident: &TestDatabase) $body:block)+) => { $(
        async fn $name($fresh: &crate::storage::support::TestDatabase) $body

        mod $name {
            #[tokio::test]
            async fn sqlite() {
                let fresh = crate::storage::support::fresh_sqlite().await;
                super::$name(&fresh).await;
                fresh.remove().await;
            }

            #[tokio::test]
            #[ignore = "needs DRAGOMAN_TEST_POSTGRES"]
            async fn postgres() {
                let fresh = crate::storage::support::fresh_postgres().await;
                super::$name(&fresh).await;
                fresh.remove().await;
            }
        }
    )+ };
}

mod credentials;
mod ledger;
mod migrations;
mod objects;
mod responses;
pub(crate) mod support;
mod tenants;
