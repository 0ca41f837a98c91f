//! The ports, kept in SQL: statements and rows.

pub mod ledger;
pub mod objects;
pub mod responses;
pub mod tenants;

pub use ledger::SqlLedger;
pub use objects::SqlObjects;
pub use responses::SqlResponses;
pub use tenants::SqlTenants;

use crate::tenant::RepositoryError;

/// Tells what a failed write means to the caller; `name` is what was to be written.
fn write_failure(error: sqlx::Error, name: &str) -> RepositoryError {
    match error.as_database_error().map(sqlx::error::DatabaseError::kind) {
        Some(sqlx::error::ErrorKind::UniqueViolation) => RepositoryError::Exists(name.to_owned()),
        Some(sqlx::error::ErrorKind::ForeignKeyViolation) => RepositoryError::NotFound(name.to_owned()),
        _ => unavailable(error),
    }
}

fn unavailable(error: sqlx::Error) -> RepositoryError {
    RepositoryError::Unavailable(Box::new(error))
}
