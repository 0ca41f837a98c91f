//! Whole answers: read from upstreams, written to clients.

mod decode;
mod echo;
mod encode;
pub(super) mod finish;
pub(super) mod item;
pub(super) mod parts;
pub(super) mod shell;

use crate::kernel::id::RequestId;

pub(super) use decode::{created, decode, text};
pub(super) use echo::collect as echo;
pub(super) use encode::encode;
pub(super) use finish::of_word as finish_reason;

/// The id of the answer to a request: the same wherever it is asked for.
pub fn response_id(request: RequestId) -> String {
    format!("resp_{}", request.as_uuid().simple())
}

#[cfg(test)]
mod tests;
