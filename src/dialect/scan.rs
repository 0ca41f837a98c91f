//! One pass over a body that finds the few fields a verbatim exchange needs.
