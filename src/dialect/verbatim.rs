//! The verbatim lane: same dialect on both sides, bytes pass, `model` is spliced.
