//! The binary as its users meet it: bad input, commands, secrets, signals.

mod bad_bodies;
mod bad_requests;
mod commands;
mod demo;
mod leaving;
mod lifecycle;
mod secrets;
mod support;
