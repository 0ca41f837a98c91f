//! How strictly a request is translated: refused, told of, or told nothing when its target cannot say all of it.

/// What is done about what a translation cannot say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum LossPolicy {
    /// The request is refused if the model would be asked something else than the client meant.
    Strict,
    /// The client is told in a header.
    #[default]
    Warn,
    /// The client is told nothing; counters and logs are kept.
    Quiet,
}

impl LossPolicy {
    pub const ALL: [Self; 3] = [Self::Strict, Self::Warn, Self::Quiet];

    /// The word used in configuration, headers and the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Warn => "warn",
            Self::Quiet => "quiet",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name().eq_ignore_ascii_case(word.trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_is_read_by_its_name() {
        for policy in LossPolicy::ALL {
            assert_eq!(LossPolicy::parse(policy.name()), Some(policy));
        }
        assert_eq!(LossPolicy::parse(" Strict "), Some(LossPolicy::Strict));
        assert_eq!(LossPolicy::parse("loose"), None);
    }
}
