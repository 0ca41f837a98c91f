//! Tenant keys: long random strings, looked up by a keyed hash.

use std::fmt;

/// A key's keyed hash (HMAC-SHA-256): what is kept and compared. Has no `Display`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

/// A key as the caller wrote it.
pub struct PlainKey(());
/// Makes hashes.
pub struct KeyHasher(());
