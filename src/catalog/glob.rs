//! Patterns for models' names: `*` stands for any text (also `/`), `?` for one character.

use std::{fmt, sync::Arc};

/// A pattern such as `claude-*-preview`. Upper and lower case differ, as they do in models' names.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Glob(Arc<str>);

impl Glob {
    pub fn new(pattern: &str) -> Self {
        Self(pattern.into())
    }

    /// Whether `text` would be read as a pattern, rather than as a name.
    pub fn is_pattern(text: &str) -> bool {
        text.contains(['*', '?'])
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole of `text` fits. Needs at most pattern × text steps: only the last `*` is ever tried again.
    pub fn matches(&self, text: &str) -> bool {
        let (mut pattern, mut rest) = (self.0.chars(), text.chars());
        let mut retry = None;
        loop {
            let one = rest.clone().next();
            match pattern.next() {
                None if one.is_none() => return true,
                Some('*') => {
                    retry = Some((pattern.clone(), rest.clone()));
                    continue;
                }
                Some(wanted) if one.is_some_and(|found| wanted == '?' || wanted == found) => {
                    rest.next();
                    continue;
                }
                _ => {}
            }
            let Some((after_star, swallowed)) = &mut retry else { return false };
            if swallowed.next().is_none() {
                return false;
            }
            pattern = after_star.clone();
            rest = swallowed.clone();
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fits(pattern: &str, text: &str) -> bool {
        Glob::new(pattern).matches(text)
    }

    /// The meaning, said as simply as possible (and exponentially slow).
    fn plainly(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), _) => (0..=text.len()).any(|it| plainly(rest, &text[it..])),
            (Some((wanted, rest)), Some((found, tail))) => {
                (*wanted == '?' || wanted == found) && plainly(rest, tail)
            }
            _ => false,
        }
    }

    #[test]
    fn a_star_swallows_any_text_and_a_question_mark_one_character() {
        assert!(fits("*-preview", "gpt-5-preview"));
        assert!(fits("claude-*-4-?", "claude-opus-4-6"));
        assert!(fits("*", ""));
        assert!(fits("vendor/*", "vendor/a/b"));
        assert!(!fits("*-preview", "gpt-5-preview-2"));
        assert!(!fits("gpt-?", "gpt-"));
    }

    #[test]
    fn case_and_letters_outside_ascii_count() {
        assert!(!fits("GPT-*", "gpt-5"));
        assert!(fits("mod?l", "modél"));
    }

    #[test]
    fn a_pattern_of_many_stars_is_answered_at_once() {
        assert!(!fits(&"*a".repeat(60), &"a".repeat(59)));
        assert!(fits(&"*a".repeat(60), &"a".repeat(250)));
    }

    proptest! {
        #[test]
        fn a_glob_means_what_the_plain_definition_says(pattern in "[ab?*]{0,7}", text in "[abé]{0,9}") {
            let plain: (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(fits(&pattern, &text), plainly(&plain.0, &plain.1));
        }
    }
}
