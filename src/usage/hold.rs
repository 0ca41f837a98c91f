//! Money set aside before an upstream is called.

/// The proof that somebody asked whether the exchange can be paid for: `dispatch` wants one.
///
/// There are no budgets yet, so the only maker is [`Hold::unlimited`]; a hold on a budget will carry its owner, bound and
/// expiry, and give back what was not spent when it is settled.
#[derive(Debug)]
pub struct Hold(());

impl Hold {
    /// Returns the hold of an exchange nobody limits.
    pub const fn unlimited() -> Self {
        Self(())
    }
}
