//! Opaque state: proof that what comes back is what we issued, unchanged, to the same account.

use std::fmt::Write;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Not a secret: the same in every run, so that a conversation outlives a restart.
const KEY: &[u8] = b"the simulator's thinking";

/// What sealed text begins with: `gAAA` in base64, as the real ones do.
const MARK: &[u8] = &[0x80, 0, 0];

/// Length of a proof in bytes.
const PROOF: usize = 16;

/// The signature of a thinking text for an account: `sim-signature-` and 32 hex digits.
pub(super) fn sign(account: &str, thinking: &str) -> String {
    let mut signature = String::from("sim-signature-");
    for byte in mac(account, thinking.as_bytes()) {
        let _ = write!(signature, "{byte:02x}");
    }
    signature
}

/// Whether we issued `signature` for exactly this text to this account.
pub(super) fn is_ours(account: &str, thinking: &str, signature: &str) -> bool {
    sign(account, thinking) == signature
}

/// Hides `text` from no one, but proves that we wrote it: standard base64 of a mark, a proof and the text.
pub(super) fn seal(account: &str, text: &str) -> String {
    let mut sealed = MARK.to_vec();
    sealed.extend_from_slice(&mac(account, text.as_bytes()));
    sealed.extend_from_slice(text.as_bytes());
    STANDARD.encode(sealed)
}

/// The text we sealed for this account, or nothing.
pub(super) fn open(account: &str, sealed: &str) -> Option<String> {
    let bytes = STANDARD.decode(sealed).or_else(|_| URL_SAFE.decode(sealed)).ok()?;
    let (proof, text) = bytes.strip_prefix(MARK)?.split_at_checked(PROOF)?;
    (mac(account, text) == proof).then(|| String::from_utf8(text.to_vec()).ok())?
}

fn mac(account: &str, text: &[u8]) -> [u8; PROOF] {
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY).expect("HMAC takes a key of any length");
    if !account.is_empty() {
        mac.update(account.as_bytes());
        mac.update(&[0]);
    }
    mac.update(text);
    let digest = mac.finalize().into_bytes();
    std::array::from_fn(|place| digest[place])
}
