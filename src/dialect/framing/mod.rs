//! Bytes ⇄ frames, however the bytes are cut.

pub mod sse;
