//! Whole answers, both ways, and what they share with streams.

mod call;
mod decode;
mod encode;
pub(super) mod finish;
pub(super) mod grounding;
pub(super) mod logprobs;
pub(super) mod part;
pub(super) mod sources;
pub(super) mod write;

pub(super) use call::Calls;
pub(super) use decode::{block_reason, decode, seconds};
pub(super) use encode::{answer_id, encode, timestamp};
pub(super) use finish::reason as finish_reason;

#[cfg(test)]
mod tests;
