//! Signatures on thinking: proof that a block that comes back is one we issued, unchanged.

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Not a secret: the same in every run, so that a conversation outlives a restart.
const KEY: &[u8] = b"the simulator's thinking";

/// The signature of a thinking text: `sim-signature-` and 32 hex digits.
pub(super) fn sign(thinking: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY).expect("HMAC takes a key of any length");
    mac.update(thinking.as_bytes());
    let digest = mac.finalize().into_bytes();
    let mut signature = String::from("sim-signature-");
    for byte in &digest[..16] {
        let _ = write!(signature, "{byte:02x}");
    }
    signature
}

/// Whether we issued `signature` for exactly this text.
pub(super) fn is_ours(thinking: &str, signature: &str) -> bool {
    sign(thinking) == signature
}
