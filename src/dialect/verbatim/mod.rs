//! The verbatim lane: same dialect on both sides, bytes pass, `model` is spliced.
//!
//! A request passes with its few edits made on the bytes (`splice`); a stream passes whole events at a time while its
//! usage and its end are watched (`Tap`); a whole answer passes after one look (`Tapped::whole`); a stream that is wanted
//! whole is folded (`Fold`).

mod fold;
mod peek;
mod splice;
mod tap;

pub use fold::Fold;
pub use splice::{IncludeUsage, needs_canonical, rename, splice};
pub use tap::{Tap, TapEnd, Tapped};
