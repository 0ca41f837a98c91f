//! Config → pipeline, server, workers: the one place that names concrete types.

mod cloud;
pub mod compile;
pub mod declared;
pub mod demo;
pub mod discovery;
pub mod foundation;
pub mod gateway;
pub mod operator;
pub mod reload;
pub mod serve;

pub use foundation::Foundation;
pub use gateway::{Gateway, Surroundings};
pub use serve::{Serve, serve};

pub use crate::server::openapi::inference as openapi;
