//! Content: a string, or an array of parts.

pub(super) mod decode;
pub(super) mod encode;
