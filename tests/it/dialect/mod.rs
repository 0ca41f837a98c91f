//! Laws that hold for every dialect and every pair of them, tried on fixtures and on what is made up at random.

mod bounds;
mod edge_cases;
mod fidelity;
mod golden;
mod grammar;
mod media;
mod requests;
mod streams;
mod truncation;
