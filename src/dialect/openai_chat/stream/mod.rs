//! Streamed answers: read from upstreams, written to clients.

mod chunk;
pub(super) mod decoder;
pub(super) mod encoder;
mod fragments;
mod kind;

#[cfg(test)]
mod tests;
