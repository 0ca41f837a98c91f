//! The trip: what clients see, what upstreams receive, what the ledger keeps. One process, real TCP.

mod verbatim;
