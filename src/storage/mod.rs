//! The ports, kept.

pub mod cipher;
pub mod database;
pub mod file;
pub mod sql;

pub use cipher::{Cipher, OpenFailure, SealingKey, SealingKeyError};
pub use database::{Database, DatabaseOptions, OpenError};
pub use file::FileCredentials;
pub use sql::{SqlLedger, SqlObjects, SqlResponses, SqlTenants};
