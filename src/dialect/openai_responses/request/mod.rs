//! Requests, both ways.

mod decode;
mod encode;

pub(super) use decode::request as decode;
pub(super) use encode::request as encode;
