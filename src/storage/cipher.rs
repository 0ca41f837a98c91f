//! Secrets at rest: sealed with AES-256-GCM under a key that is kept beside the data, not in it.

use std::{
    fmt,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use aes_gcm::{
    Aes256Gcm,
    aead::{Aead, Payload},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretBox};
use sha2::{Digest, Sha256};

/// The envelope's version.
const VERSION: &str = "v1";
const NONCE_LENGTH: usize = 12;

/// The one secret of an installation; every other one is derived from it or sealed with it.
pub struct SealingKey(SecretBox<[u8; 32]>);

/// Why there is no sealing key. Never says what was read.
#[derive(Debug, thiserror::Error)]
pub enum SealingKeyError {
    #[error("a sealing key is 32 bytes in base64")]
    Malformed,
    #[error("the sealing key in `{}` cannot be read: 32 bytes in base64 are expected", .0.display())]
    MalformedFile(PathBuf),
    #[error("the sealing key in `{}` cannot be read or created", path.display())]
    File { path: PathBuf, source: io::Error },
}

impl SealingKey {
    /// Makes a new key.
    pub fn generate() -> Self {
        Self(SecretBox::init_with_mut(|bytes: &mut [u8; 32]| rand::fill(bytes)))
    }

    /// Reads 32 bytes in base64.
    pub fn from_text(text: &str) -> Result<Self, SealingKeyError> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| SealingKeyError::Malformed)?;
        let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| SealingKeyError::Malformed)?;
        Ok(Self(SecretBox::new(Box::new(bytes))))
    }

    /// Reads the key in `path`, or makes one there that only its owner can read. Of several processes that start
    /// together one makes it and all use it.
    pub fn load_or_create(path: &Path) -> Result<Self, SealingKeyError> {
        let failed = |source| SealingKeyError::File { path: path.to_owned(), source };
        if !path.try_exists().map_err(failed)? {
            match Self::create(path) {
                // Another process was faster, and its file is whole.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                outcome => return outcome.map_err(failed),
            }
        }
        let text = fs::read_to_string(path).map_err(failed)?;
        Self::from_text(&text).map_err(|_| SealingKeyError::MalformedFile(path.to_owned()))
    }

    /// Derives 32 bytes for one purpose, so that no two purposes share a key.
    pub fn derive(&self, label: &str) -> [u8; 32] {
        let key: &[u8] = self.0.expose_secret();
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
        mac.chain_update(label).finalize().into_bytes().into()
    }

    /// Names the key without giving it away: the first 8 hexadecimal digits of its SHA-256.
    pub fn id(&self) -> String {
        let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(self.0.expose_secret()));
        format!("{:08x}", u32::from_be_bytes([a, b, c, d]))
    }

    /// Writes a new key beside `path`, then links it there: whoever sees `path` sees all of it, and nobody's is replaced.
    fn create(path: &Path) -> io::Result<Self> {
        let directory = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let key = Self::generate();
        let draft = directory.join(format!(".sealing-key-{}", uuid::Uuid::new_v4().simple()));
        let outcome = key.write_new(&draft).and_then(|()| fs::hard_link(&draft, path));
        fs::remove_file(&draft)?;
        outcome?;
        // What is sealed with the key must not outlive it in a power failure.
        File::open(directory)?.sync_all()?;
        Ok(key)
    }

    fn write_new(&self, path: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(STANDARD.encode(self.0.expose_secret()).as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(…)")
    }
}

/// Why a sealed text cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenFailure {
    #[error("this is not a sealed secret")]
    Malformed,
    #[error("it was sealed with key `{0}`, which is not configured")]
    UnknownKey(String),
    #[error("the sealed secret was changed, or belongs to something else")]
    Tampered,
}

/// Seals with one key, opens with that one and with those before it.
pub struct Cipher {
    current: Lock,
    former: Vec<Lock>,
}

struct Lock {
    id: String,
    aead: Aes256Gcm,
}

impl Lock {
    fn new(key: &SealingKey) -> Self {
        Self { id: key.id(), aead: Aes256Gcm::new(&key.derive("seal").into()) }
    }
}

impl Cipher {
    pub fn new(key: &SealingKey) -> Self {
        Self { current: Lock::new(key), former: Vec::new() }
    }

    /// Also opens what was sealed with `key`: an older one, while secrets are moved to the current one.
    #[must_use]
    pub fn also_opening(mut self, key: &SealingKey) -> Self {
        self.former.push(Lock::new(key));
        self
    }

    /// Seals `plain` for one place: `associated` (an id, a file's name) must be the same when it is opened.
    ///
    /// The envelope is `v1.<key id>.<nonce>.<ciphertext and tag>`, the last two in URL-safe base64.
    pub fn seal(&self, plain: &[u8], associated: &[u8]) -> String {
        let nonce: [u8; NONCE_LENGTH] = rand::random();
        let sealed = self
            .current
            .aead
            .encrypt(&nonce.into(), Payload { msg: plain, aad: associated })
            .expect("a secret is far smaller than the 64 GiB that AES-GCM takes");
        format!(
            "{VERSION}.{}.{}.{}",
            self.current.id,
            URL_SAFE_NO_PAD.encode(nonce),
            URL_SAFE_NO_PAD.encode(sealed)
        )
    }

    /// Opens what `seal` made with the same `associated`.
    pub fn open(&self, envelope: &str, associated: &[u8]) -> Result<Vec<u8>, OpenFailure> {
        let (key_id, nonce, sealed) = read_envelope(envelope).ok_or(OpenFailure::Malformed)?;
        let lock = std::iter::once(&self.current)
            .chain(&self.former)
            .find(|lock| lock.id == key_id)
            .ok_or_else(|| OpenFailure::UnknownKey(key_id.to_owned()))?;
        lock.aead
            .decrypt(&nonce.into(), Payload { msg: &sealed, aad: associated })
            .map_err(|_| OpenFailure::Tampered)
    }

    /// Whether `envelope` was sealed with a former key, and should be sealed again.
    pub fn is_outdated(&self, envelope: &str) -> bool {
        read_envelope(envelope).is_some_and(|(key_id, ..)| key_id != self.current.id)
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cipher").field("key", &self.current.id).finish_non_exhaustive()
    }
}

/// Key id, nonce, ciphertext with its tag.
fn read_envelope(envelope: &str) -> Option<(&str, [u8; NONCE_LENGTH], Vec<u8>)> {
    let (key_id, rest) = envelope.strip_prefix(VERSION)?.strip_prefix('.')?.split_once('.')?;
    let (nonce, sealed) = rest.split_once('.')?;
    let nonce = URL_SAFE_NO_PAD.decode(nonce).ok()?.try_into().ok()?;
    Some((key_id, nonce, URL_SAFE_NO_PAD.decode(sealed).ok()?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_sealed_with_an_older_key_still_opens() {
        let (old, new) = (SealingKey::generate(), SealingKey::generate());
        let sealed = Cipher::new(&old).seal(b"secret", b"cred_1");
        let cipher = Cipher::new(&new).also_opening(&old);
        assert_eq!(cipher.open(&sealed, b"cred_1").unwrap(), b"secret");
        assert!(cipher.is_outdated(&sealed));
        assert!(!cipher.is_outdated(&cipher.seal(b"secret", b"cred_1")));
        assert_eq!(Cipher::new(&new).open(&sealed, b"cred_1"), Err(OpenFailure::UnknownKey(old.id())));
    }

    #[test]
    fn a_secret_put_in_another_place_does_not_open() {
        let cipher = Cipher::new(&SealingKey::generate());
        let sealed = cipher.seal(b"secret", b"cred_1");
        assert_eq!(cipher.open(&sealed, b"cred_2"), Err(OpenFailure::Tampered));
    }

    #[test]
    fn something_else_is_not_an_envelope() {
        let cipher = Cipher::new(&SealingKey::generate());
        for text in ["", "v1", "v1...", "v2.a.b.c", "sk-plain-secret", "v1.0000.AAAA.AAAA"] {
            assert_eq!(cipher.open(text, b""), Err(OpenFailure::Malformed), "{text}");
        }
    }

    #[test]
    fn a_sealing_key_is_created_once_and_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys/sealing.key");
        let created = SealingKey::load_or_create(&path).unwrap();
        let loaded = SealingKey::load_or_create(&path).unwrap();
        assert_eq!(created.id(), loaded.id());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn processes_that_start_together_share_one_sealing_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sealing.key");
        let ids: Vec<String> = std::thread::scope(|scope| {
            let starts: Vec<_> =
                (0..8).map(|_| scope.spawn(|| SealingKey::load_or_create(&path).unwrap().id())).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }

    #[test]
    fn a_damaged_sealing_key_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sealing.key");
        fs::write(&path, "hunter2").unwrap();
        let error = SealingKey::load_or_create(&path).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "hunter2");
    }

    #[test]
    fn purposes_have_keys_of_their_own() {
        let key = SealingKey::from_text("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").unwrap();
        assert_eq!(key.derive("tenant-key"), key.derive("tenant-key"));
        assert_ne!(key.derive("tenant-key"), key.derive("seal"));
        assert_eq!(format!("{key:?}"), "SealingKey(…)");
        assert!(SealingKey::from_text("c2hvcnQ=").is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_sealed_is_opened(plain: Vec<u8>, associated: Vec<u8>) {
            let cipher = Cipher::new(&SealingKey::generate());
            prop_assert_eq!(cipher.open(&cipher.seal(&plain, &associated), &associated).unwrap(), plain);
        }

        #[test]
        fn any_changed_byte_is_noticed(at: prop::sample::Index, bit in 0_u8..7) {
            let cipher = Cipher::new(&SealingKey::generate());
            let mut envelope = cipher.seal(b"a secret of some length", b"cred_1").into_bytes();
            let at = at.index(envelope.len());
            envelope[at] ^= 1 << bit;
            let changed = String::from_utf8(envelope).unwrap();
            prop_assert!(cipher.open(&changed, b"cred_1").is_err());
        }
    }
}
