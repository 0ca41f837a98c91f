//! The providers: how each is called, and what its failures mean.

pub mod transport;
