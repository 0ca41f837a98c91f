//! The upstreams, played.
