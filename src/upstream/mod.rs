//! The providers: how each is called, and what its failures mean.

pub mod limits;
pub mod models;
pub mod redact;
pub mod transport;
