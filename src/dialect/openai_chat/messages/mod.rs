//! Messages: one turn each.

pub(super) mod decode;
pub(super) mod encode;
