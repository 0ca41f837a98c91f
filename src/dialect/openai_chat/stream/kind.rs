//! What a piece of text in a stream is.

use crate::dialect::canonical::{BlockKind, Delta};

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Text,
    Reasoning,
    Refusal,
}

impl Kind {
    pub(super) fn block(self) -> BlockKind {
        match self {
            Self::Text => BlockKind::Text,
            Self::Reasoning => BlockKind::Reasoning,
            Self::Refusal => BlockKind::Refusal,
        }
    }

    pub(super) fn delta(self, text: String) -> Delta {
        match self {
            Self::Text => Delta::Text(text),
            Self::Reasoning => Delta::Reasoning(text),
            Self::Refusal => Delta::Refusal(text),
        }
    }
}
