//! The verbatim lane: same dialect on both sides, bytes pass, `model` is spliced.
//!
//! A request passes with its few edits made on the bytes (`splice`); a stream passes whole events at a time while its
//! usage and its end are watched (`Tap`); a whole answer passes after one look (`Tapped::whole`).

mod peek;
mod splice;
mod tap;

pub use splice::{IncludeUsage, needs_canonical, rename, splice};
pub use tap::{Tap, TapEnd, Tapped};
