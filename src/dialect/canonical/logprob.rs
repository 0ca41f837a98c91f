//! How likely the tokens of an answer were.

use serde_json::Number;

/// A token of a text, and what else might have stood there.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprob {
    pub chosen: Likelihood,
    /// The likeliest tokens at its place, the chosen one often among them; empty if they were not asked for.
    pub top: Vec<Likelihood>,
}

/// A token and the natural logarithm of its probability.
#[derive(Debug, Clone, PartialEq)]
pub struct Likelihood {
    pub token: String,
    pub logprob: Number,
    /// The token as bytes, where the upstream says them: a token may be a piece of a character.
    pub bytes: Option<Vec<u8>>,
}

impl TokenLogprob {
    /// What it weighs while it waits, in bytes.
    pub fn weight(&self) -> usize {
        let of = |it: &Likelihood| {
            it.token.len() + it.bytes.as_ref().map_or(0, Vec::len) + size_of::<Likelihood>()
        };
        of(&self.chosen) + self.top.iter().map(of).sum::<usize>()
    }
}
