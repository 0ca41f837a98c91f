//! Streamed answers: read from upstreams, written to clients.

mod chunk;
pub(super) mod decoder;
pub(super) mod encoder;
mod fragments;

#[cfg(test)]
mod tests;
