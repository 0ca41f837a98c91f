//! `openai-main/gpt-5`: which upstream is meant, and which model.

use std::collections::HashMap;

use super::UpstreamRoutes;

/// The words that stand for an upstream: its name and its prefix.
#[derive(Debug, Default)]
pub(super) struct Prefixes(HashMap<String, usize>);

impl Prefixes {
    /// Collects the words; of two upstreams with one word the first has it.
    pub(super) fn of(upstreams: &[UpstreamRoutes]) -> Self {
        let mut words = HashMap::new();
        for (place, upstream) in upstreams.iter().enumerate() {
            words.entry(upstream.name.as_str().to_owned()).or_insert(place);
        }
        for (place, upstream) in upstreams.iter().enumerate() {
            if let Some(prefix) = &upstream.prefix {
                words.entry(prefix.clone()).or_insert(place);
            }
        }
        Self(words)
    }

    /// Returns the upstream that `word` stands for, by its place in the configuration.
    pub(super) fn find(&self, word: &str) -> Option<usize> {
        self.0.get(word).copied()
    }

    /// Returns every way to read `name` as an upstream and a model, the longest prefix first.
    pub(super) fn readings<'a>(&self, name: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
        name.rmatch_indices('/').filter_map(|(at, _)| Some((self.find(&name[..at])?, &name[at + 1..])))
    }

    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}
