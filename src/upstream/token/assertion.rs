//! Signing with a service account's key: JSON Web Tokens by RS256, with ring.

use std::sync::Once;

use jsonwebtoken::{
    Algorithm, EncodingKey, Header,
    crypto::{CryptoProvider, JwtSigner, KeyUtils},
    errors::{Error, ErrorKind, new_error},
};
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde::Serialize;
use signature::Signer;

/// Reads an RSA key in PEM form; `None`: it is none that ring signs with.
pub(super) fn key(pem: &str) -> Option<EncodingKey> {
    let key = EncodingKey::from_rsa_pem(pem.as_bytes()).ok()?;
    RsaKeyPair::from_der(key.as_bytes()).ok()?;
    Some(key)
}

/// Signs claims; `None`: the key cannot.
pub(super) fn sign(claims: &impl Serialize, key_id: Option<String>, key: &EncodingKey) -> Option<String> {
    static INSTALL: Once = Once::new();
    // Whoever was sooner signs with the same algorithm.
    INSTALL.call_once(|| {
        let _ = PROVIDER.install_default();
    });
    let header = Header { kid: key_id, ..Header::new(Algorithm::RS256) };
    jsonwebtoken::encode(&header, claims, key).ok()
}

/// ring is the one provider of the house, and `jsonwebtoken` brings none for it.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: |_, _| Err(unsupported()),
    key_utils: KeyUtils::new_unimplemented(),
};

fn unsupported() -> Error {
    new_error(ErrorKind::UnsupportedAlgorithm)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the provider's table has it so")]
fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    if *algorithm != Algorithm::RS256 {
        return Err(unsupported());
    }
    let pair = RsaKeyPair::from_der(key.as_bytes()).map_err(|_| new_error(ErrorKind::InvalidKeyFormat))?;
    Ok(Box::new(Rs256(pair)))
}

struct Rs256(RsaKeyPair);

impl Signer<Vec<u8>> for Rs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        let mut signed = vec![0; self.0.public().modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signed)
            .map_err(|_| signature::Error::new())?;
        Ok(signed)
    }
}

impl JwtSigner for Rs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}
