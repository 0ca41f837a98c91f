//! `best` → `claude/claude-sonnet-4-5`, else `openai-main/gpt-5`.

use std::collections::HashMap;

use super::Alias;
use crate::catalog::Glob;

#[derive(Debug, Default)]
pub(super) struct Aliases {
    exact: HashMap<String, Vec<String>>,
    /// In the order of the configuration: the first that fits.
    patterns: Vec<(Glob, Vec<String>)>,
}

impl Aliases {
    pub(super) fn of(aliases: &[Alias]) -> Self {
        let mut all = Self::default();
        for alias in aliases {
            if Glob::is_pattern(&alias.name) {
                all.patterns.push((Glob::new(&alias.name), alias.targets.clone()));
            } else {
                all.exact.entry(alias.name.clone()).or_insert_with(|| alias.targets.clone());
            }
        }
        all
    }

    /// Returns the targets of what a client calls `name`: a name comes before a pattern.
    pub(super) fn find(&self, name: &str) -> Option<&[String]> {
        let pattern = || self.patterns.iter().find(|(glob, _)| glob.matches(name)).map(|it| it.1.as_slice());
        self.named(name).or_else(pattern)
    }

    /// Returns the targets of the alias that is called exactly `name`: targets are read this way, so that the pattern
    /// `gpt-*` may lead to `gpt-5`.
    pub(super) fn named(&self, name: &str) -> Option<&[String]> {
        self.exact.get(name).map(Vec::as_slice)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.exact.keys().map(String::as_str)
    }
}
