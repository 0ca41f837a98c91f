//! Who manages the gateway: a person with the operator's secret.

use std::fmt;

use parking_lot::Mutex;
use rand::{RngExt, distr::Alphanumeric};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// bcrypt's cost: about 50 ms, once for each new caller.
const COST: u32 = 10;

/// What can go wrong with the operator's secret.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    #[error("the operator's secret cannot be hashed")]
    Hash(#[from] bcrypt::BcryptError),
}

/// The operator's secret, as it is kept: a bcrypt hash. Has no `Display`.
pub struct OperatorSecret {
    hash: String,
    /// SHA-256 of the secret that was right last, so that a scrape every few seconds costs no bcrypt.
    known: Mutex<Option<[u8; 32]>>,
}

impl OperatorSecret {
    /// Makes a new secret: the text to be shown once, and what is kept.
    pub fn generate() -> Result<(String, Self), OperatorError> {
        let text: String = rand::rng().sample_iter(Alphanumeric).take(40).map(char::from).collect();
        let text = format!("op-dgm-{text}");
        let hash = bcrypt::hash(&text, COST)?;
        Ok((text, Self::of(hash)))
    }

    /// A secret that was kept.
    pub fn of(hash: String) -> Self {
        Self { hash, known: Mutex::new(None) }
    }

    /// What is kept.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Whether `text` is the secret. May take 50 ms: not on a thread that serves.
    pub fn is(&self, text: &str) -> bool {
        let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        if let Some(known) = *self.known.lock()
            && bool::from(known.ct_eq(&digest))
        {
            return true;
        }
        let right = bcrypt::verify(text, &self.hash).unwrap_or(false);
        if right {
            *self.known.lock() = Some(digest);
        }
        right
    }
}

impl fmt::Debug for OperatorSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperatorSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_itself_is_right() {
        let (text, kept) = OperatorSecret::generate().unwrap();
        assert!(!kept.is("op-dgm-wrong"));
        assert!(kept.is(&text));
        assert!(kept.is(&text), "the second time it is known");
        assert!(!kept.is("op-dgm-wrong"));
        assert!(!format!("{kept:?}").contains("$2"));
    }
}
