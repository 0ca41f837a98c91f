//! Tools, and which of them must be called.

pub(super) mod decode;
pub(super) mod encode;
mod search;
