//! Messages streams: frames to canonical events, canonical events to frames.

mod blocks;
mod decode;
mod encode;

pub(super) use decode::MessageDecoder;
pub(super) use encode::MessageEncoder;

#[cfg(test)]
mod grammar;
#[cfg(test)]
mod tests;
