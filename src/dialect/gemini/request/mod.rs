//! Requests, both ways.

mod decode;
mod encode;
mod proto;
mod results;

pub(super) use decode::request as decode;
pub(super) use encode::request as encode;
