//! The ports, kept.

pub mod database;
pub mod sql;

pub use database::{Database, DatabaseOptions, OpenError};
