//! How many tokens a request has, counted without its upstream: rounded up.
