//! Requests: read from clients, written to upstreams.

pub(super) mod decode;
pub(super) mod encode;
mod thinking;

#[cfg(test)]
mod tests;
