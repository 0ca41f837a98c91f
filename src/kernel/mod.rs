//! Floor 0: ids, time, money, errors. Imports nothing of ours.

pub mod clock;
pub mod error;
pub mod id;
pub mod money;
