//! Tenant keys: long random strings, looked up by a keyed hash.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use hmac::{Hmac, KeyInit, Mac};
use rand::distr::{Alphanumeric, SampleString};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// What every key the gateway makes begins with. It is followed by `<public id>-<secret><checksum>`.
pub const PREFIX: &str = "sk-dgm-";
/// Characters of the public part: enough to tell keys apart, and shown in the hint.
const PUBLIC_LENGTH: usize = 8;
/// 33 characters of base 62 are 196 bits.
const SECRET_LENGTH: usize = 33;
/// A CRC-32 fits six characters of base 62.
const CHECKSUM_LENGTH: usize = 6;
const MADE_LENGTH: usize = PREFIX.len() + PUBLIC_LENGTH + 1 + SECRET_LENGTH + CHECKSUM_LENGTH;

/// A declared key must not be guessed either.
const SHORTEST: usize = 20;
const LONGEST: usize = 512;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A key's keyed hash (HMAC-SHA-256): what is kept and compared, in constant time. Has no `Display`.
#[derive(Clone, Copy, Eq)]
pub struct KeyHash(pub [u8; 32]);

impl PartialEq for KeyHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Hash for KeyHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

/// Why a text cannot be a tenant key. Never says the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedKey {
    #[error("a key has at least {SHORTEST} characters")]
    TooShort,
    #[error("a key has at most {LONGEST} characters")]
    TooLong,
    #[error("a key is made of visible ASCII characters")]
    ForbiddenCharacter,
    #[error(
        "a key that begins with `{PREFIX}` is one that Dragoman made, and this one is not: was it mistyped?"
    )]
    NotMadeHere,
}

/// A key as the caller wrote it.
pub struct PlainKey(SecretString);

impl PlainKey {
    /// Reads a key: either one that `generate` made, whole and without a typing error, or an operator's own.
    pub fn parse(text: &str) -> Result<Self, MalformedKey> {
        check(text)?;
        Ok(Self(SecretString::from(text)))
    }

    /// Makes a new key.
    pub fn generate() -> Self {
        let mut random = rand::rng();
        let mut text = String::with_capacity(MADE_LENGTH);
        text.push_str(PREFIX);
        Alphanumeric.append_string(&mut random, &mut text, PUBLIC_LENGTH);
        text.push('-');
        Alphanumeric.append_string(&mut random, &mut text, SECRET_LENGTH);
        let checksum = checksum(text.as_bytes());
        text.extend(checksum.map(char::from));
        Self(SecretString::from(text))
    }

    /// Returns the part that may be shown, to tell keys apart: the public id, or of an operator's own key the first four
    /// characters.
    pub fn hint(&self) -> String {
        let shown = if self.reveal().starts_with(PREFIX) { PREFIX.len() + PUBLIC_LENGTH } else { 4 };
        format!("{}…", &self.reveal()[..shown])
    }

    /// Returns the key itself, to be shown once to whoever asked for it.
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for PlainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainKey(…)")
    }
}

fn check(text: &str) -> Result<(), MalformedKey> {
    if text.len() < SHORTEST {
        return Err(MalformedKey::TooShort);
    }
    if text.len() > LONGEST {
        return Err(MalformedKey::TooLong);
    }
    if !text.bytes().all(|it| it.is_ascii_graphic()) {
        return Err(MalformedKey::ForbiddenCharacter);
    }
    if text.starts_with(PREFIX) && !is_made_here(text.as_bytes()) {
        return Err(MalformedKey::NotMadeHere);
    }
    Ok(())
}

fn is_made_here(text: &[u8]) -> bool {
    if text.len() != MADE_LENGTH {
        return false;
    }
    let (body, checksum_given) = text.split_at(MADE_LENGTH - CHECKSUM_LENGTH);
    checksum(body) == checksum_given
}

/// The CRC-32 of `body` in base 62, most significant digit first.
fn checksum(body: &[u8]) -> [u8; CHECKSUM_LENGTH] {
    let mut rest = crc32fast::hash(body) as usize;
    let mut digits = [0; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[rest % 62];
        rest /= 62;
    }
    digits
}

/// Makes hashes, keyed with a secret that is not in the database: who steals the one has nothing without the other.
#[derive(Clone)]
pub struct KeyHasher(Hmac<Sha256>);

impl KeyHasher {
    pub fn new(pepper: &[u8; 32]) -> Self {
        Self(Hmac::new_from_slice(pepper).expect("HMAC takes a key of any length"))
    }

    pub fn hash(&self, key: &PlainKey) -> KeyHash {
        self.hash_text(key.reveal())
    }

    /// Hashes what a caller presented; nothing if it cannot be a key, so that no look-up is needed to refuse it.
    pub(super) fn hash_presented(&self, text: &str) -> Option<KeyHash> {
        check(text).ok().map(|()| self.hash_text(text))
    }

    fn hash_text(&self, text: &str) -> KeyHash {
        KeyHash(self.0.clone().chain_update(text).finalize().into_bytes().into())
    }
}

impl fmt::Debug for KeyHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHasher(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_generated_key_is_read_back() {
        let key = PlainKey::generate();
        assert_eq!(PlainKey::parse(key.reveal()).unwrap().reveal(), key.reveal());
        assert_eq!(key.reveal().len(), MADE_LENGTH);
    }

    #[test]
    fn a_generated_key_holds_at_least_192_secret_bits() {
        let bits = 62_f64.log2() * f64::from(u32::try_from(SECRET_LENGTH).unwrap());
        assert!(bits >= 192.0, "{bits}");
        let key = PlainKey::generate();
        let (_, secret) = key.reveal()[PREFIX.len()..].split_once('-').unwrap();
        assert_eq!(secret.len(), SECRET_LENGTH + CHECKSUM_LENGTH);
        assert!(secret.bytes().all(|it| it.is_ascii_alphanumeric()));
    }

    #[test]
    fn generated_keys_and_their_hints_differ() {
        let keys: Vec<_> = (0..2_000).map(|_| PlainKey::generate()).collect();
        assert_eq!(keys.iter().map(PlainKey::reveal).collect::<HashSet<_>>().len(), keys.len());
        assert_eq!(keys.iter().map(PlainKey::hint).collect::<HashSet<_>>().len(), keys.len());
    }

    #[test]
    fn a_hint_shows_the_public_part_only() {
        let key = PlainKey::generate();
        assert_eq!(key.hint(), format!("{}…", &key.reveal()[..15]));
        assert_eq!(PlainKey::parse("my-own-long-enough-key").unwrap().hint(), "my-o…");
    }

    #[test]
    fn nothing_prints_a_key() {
        let key = PlainKey::generate();
        let hasher = KeyHasher::new(&[7; 32]);
        let printed = format!("{key:?} {hasher:?} {:?}", hasher.hash(&key));
        assert_eq!(printed, "PlainKey(…) KeyHasher(…) KeyHash(…)");
    }

    #[test]
    fn an_operators_own_key_must_be_long_and_visible() {
        assert!(PlainKey::parse("12345678901234567890").is_ok());
        assert_eq!(PlainKey::parse("1234567890123456789").unwrap_err(), MalformedKey::TooShort);
        assert_eq!(PlainKey::parse(&"x".repeat(513)).unwrap_err(), MalformedKey::TooLong);
        assert_eq!(PlainKey::parse("a key with some blanks").unwrap_err(), MalformedKey::ForbiddenCharacter);
        assert_eq!(PlainKey::parse("schlüssel-mit-umlaut").unwrap_err(), MalformedKey::ForbiddenCharacter);
    }

    #[test]
    fn a_made_up_key_with_our_prefix_is_refused() {
        assert_eq!(
            PlainKey::parse("sk-dgm-whatever-somebody-thought").unwrap_err(),
            MalformedKey::NotMadeHere
        );
    }

    #[test]
    fn the_same_key_under_another_pepper_has_another_hash() {
        let key = PlainKey::generate();
        assert_eq!(KeyHasher::new(&[1; 32]).hash(&key), KeyHasher::new(&[1; 32]).hash(&key));
        assert_ne!(KeyHasher::new(&[1; 32]).hash(&key), KeyHasher::new(&[2; 32]).hash(&key));
    }

    proptest! {
        #[test]
        fn any_single_changed_character_is_noticed(at in PREFIX.len()..MADE_LENGTH, to in 0x21_u8..0x7f) {
            let key = PlainKey::generate();
            let mut text = key.reveal().as_bytes().to_vec();
            prop_assume!(text[at] != to);
            text[at] = to;
            let text = String::from_utf8(text).unwrap();
            prop_assert_eq!(PlainKey::parse(&text).unwrap_err(), MalformedKey::NotMadeHere);
        }

        #[test]
        fn reading_any_text_never_panics(text in "\\PC{0,80}") {
            if let Ok(key) = PlainKey::parse(&text) {
                prop_assert!(key.hint().len() < key.reveal().len());
            }
        }
    }
}
