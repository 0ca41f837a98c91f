//! The ports, kept.
