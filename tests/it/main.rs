//! Tests across modules; one binary, so that it links once.
#![expect(clippy::unwrap_used, reason = "`allow-unwrap-in-tests` does not reach helpers")]

mod architecture;
mod crash;
mod dialect;
mod process;
mod storage;
mod support;
mod trip;
