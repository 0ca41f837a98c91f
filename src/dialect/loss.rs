//! What a translation could not say: noted, never dropped in silence.

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LossAction {
    Dropped,
    Approximated,
    Moved,
    Synthesized,
}

impl LossAction {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Approximated => "approximated",
            Self::Moved => "moved",
            Self::Synthesized => "synthesized",
        }
    }
}

/// Whether the answer may differ because of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Bookkeeping: metadata, tiers, cache marks.
    Cosmetic,
    /// The model is asked something else than the client meant.
    Semantic,
}

impl Severity {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cosmetic => "cosmetic",
            Self::Semantic => "semantic",
        }
    }
}

/// One thing of a request that its target was not told as it stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// JSON pointer into the client's request. An encoder names a field of the canonical form as Chat does; `Places` makes it
    /// the client's own.
    pub at: String,
    pub action: LossAction,
    pub severity: Severity,
    pub reason: String,
}

impl Loss {
    pub fn dropped(at: impl Into<String>, severity: Severity, reason: impl Into<String>) -> Self {
        Self { at: at.into(), action: LossAction::Dropped, severity, reason: reason.into() }
    }

    pub fn approximated(at: impl Into<String>, severity: Severity, reason: impl Into<String>) -> Self {
        Self { at: at.into(), action: LossAction::Approximated, severity, reason: reason.into() }
    }

    pub fn moved(at: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { at: at.into(), action: LossAction::Moved, severity: Severity::Cosmetic, reason: reason.into() }
    }

    pub fn synthesized(at: impl Into<String>, severity: Severity, reason: impl Into<String>) -> Self {
        Self { at: at.into(), action: LossAction::Synthesized, severity, reason: reason.into() }
    }
}
