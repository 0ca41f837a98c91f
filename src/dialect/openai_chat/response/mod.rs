//! Whole answers: read from upstreams, written to clients.

pub(super) mod decode;
pub(super) mod encode;

#[cfg(test)]
mod tests;
