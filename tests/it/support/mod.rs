//! What tests of several modules share.

pub(crate) mod facts;
pub(crate) mod fixtures;
pub(crate) mod gateway;
pub(crate) mod generate;
pub(crate) mod grammar;
pub(crate) mod http;
pub(crate) mod pairs;
pub(crate) mod scripted;
pub(crate) mod socket;
pub(crate) mod trip;
pub(crate) mod upstream;
