//! Seeing it: logs and numbers, without secrets, prompts or people.

pub mod logs;
pub mod metrics;
pub mod names;
