//! Credentials in a directory: one sealed JSON file for each, `<id>.json`.
//!
//! A file is written beside its place and renamed into it, so that a reader sees all of it or the one before. Writers, of
//! this process and of others, take turns by a lock on `.lock`.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use serde::{Deserialize, Serialize};

use super::cipher::Cipher;
use crate::{
    catalog::UpstreamName,
    credential::{
        Credential,
        store::{CredentialStore, Damage, Holdings, Revision, Stamp, StoreError, StoredCredential},
    },
    kernel::id::CredentialId,
};

/// The version of the files.
const FORMAT: u32 = 1;
const SUFFIX: &str = ".json";
const DRAFT_SUFFIX: &str = ".tmp";
const LOCK: &str = ".lock";

/// The store of one directory. Cheap to clone.
#[derive(Clone)]
pub struct FileCredentials(Arc<Directory>);

struct Directory {
    path: PathBuf,
    cipher: Arc<Cipher>,
}

/// A file's content. Fields of a newer version are refused, so that an older one does not lose them by writing.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Document {
    format: u32,
    id: CredentialId,
    revision: u64,
    upstream: String,
    name: String,
    enabled: bool,
    priority: i32,
    weight: u32,
    models: Vec<String>,
    excluded_models: Vec<String>,
    /// `Sealed`, under the id and the upstream: neither can be changed to send the secret elsewhere.
    sealed: String,
}

/// What is not written in clear text; a proxy's URL may hold a password.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sealed {
    secret: String,
    proxy_url: Option<String>,
}

impl FileCredentials {
    /// Opens the directory, or makes it; only its owner may enter. Clears away what a crash left half written.
    pub fn open(path: &Path, cipher: Arc<Cipher>) -> Result<Self, StoreError> {
        let directory = Directory { path: path.to_owned(), cipher };
        directory.prepare().map_err(unavailable)?;
        Ok(Self(Arc::new(directory)))
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Directory) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let directory = self.0.clone();
        let outcome = tokio::task::spawn_blocking(move || act(&directory)).await;
        outcome.map_err(|error| StoreError::Unavailable(Box::new(error)))?
    }
}

#[async_trait]
impl CredentialStore for FileCredentials {
    async fn list(&self) -> Result<Holdings, StoreError> {
        self.on_disk(Directory::list).await
    }

    async fn put(&self, credential: &Credential, expected: Option<Revision>) -> Result<Revision, StoreError> {
        let credential = credential.clone();
        self.on_disk(move |it| it.put(credential, expected)).await
    }

    async fn replace_secret(
        &self,
        id: CredentialId,
        expected: Revision,
        secret: &SecretString,
    ) -> Result<Revision, StoreError> {
        let secret = secret.clone();
        self.on_disk(move |it| it.replace_secret(id, expected, secret)).await
    }

    async fn remove(&self, id: CredentialId) -> Result<(), StoreError> {
        self.on_disk(move |it| it.remove(id)).await
    }

    async fn stamp(&self) -> Result<Stamp, StoreError> {
        self.on_disk(|it| it.stamp().map_err(unavailable)).await
    }

    fn watch_path(&self) -> Option<&Path> {
        Some(&self.0.path)
    }
}

impl Directory {
    fn prepare(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.path)?;
        fs::set_permissions(&self.path, Permissions::from_mode(0o700))?;
        let _lock = self.lock()?;
        for name in self.names()? {
            if name.starts_with('.') && name.ends_with(DRAFT_SUFFIX) {
                fs::remove_file(self.path.join(name))?;
            }
        }
        Ok(())
    }

    /// Waits until no other writer is at work, in any process, and keeps them out until it is dropped.
    fn lock(&self) -> io::Result<File> {
        let path = self.path.join(LOCK);
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
        file.lock()?;
        Ok(file)
    }

    /// Returns the names of all files, sorted.
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn file_of(&self, id: CredentialId) -> PathBuf {
        self.path.join(format!("{id}{SUFFIX}"))
    }

    fn list(&self) -> Result<Holdings, StoreError> {
        let mut holdings = Holdings::default();
        for name in self.names().map_err(unavailable)? {
            if name.starts_with('.') {
                continue;
            }
            let id = name.strip_suffix(SUFFIX).and_then(|it| it.parse().ok());
            let Some(id) = id else {
                let reason = "its name is not a credential's id and `.json`".to_owned();
                holdings.damaged.push(Damage { place: name, reason });
                continue;
            };
            match self.read(id) {
                Ok(Some(stored)) => holdings.credentials.push(stored),
                Ok(None) => {}
                Err(StoreError::Damaged(damage)) => holdings.damaged.push(damage),
                Err(error) => return Err(error),
            }
        }
        Ok(holdings)
    }

    /// Returns what is kept under `id`, `None` if nothing is.
    fn read(&self, id: CredentialId) -> Result<Option<StoredCredential>, StoreError> {
        let damaged = |reason: String| StoreError::Damaged(Damage { place: format!("{id}{SUFFIX}"), reason });
        let text = match fs::read(self.file_of(id)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(damaged("it may not be read".to_owned()));
            }
            Err(error) => return Err(unavailable(error)),
        };
        let document: Document = serde_json::from_slice(&text).map_err(|it| damaged(place_of(&it)))?;
        if document.format != FORMAT {
            return Err(damaged(format!("its format is {}, this version knows {FORMAT}", document.format)));
        }
        if document.id != id {
            return Err(damaged(format!("it holds `{}`", document.id)));
        }
        let place = associated(id, &document.upstream);
        let plain = self.cipher.open(&document.sealed, &place).map_err(|it| damaged(it.to_string()))?;
        let plain = Zeroizing::new(plain);
        let sealed: Sealed = serde_json::from_slice(&plain)
            .map_err(|_| damaged("what is sealed in it is not a credential".to_owned()))?;
        let credential = Credential {
            id,
            upstream: UpstreamName::new(&document.upstream),
            name: document.name,
            secret: sealed.secret.into(),
            priority: document.priority,
            weight: document.weight,
            proxy_url: sealed.proxy_url,
            models: document.models,
            excluded_models: document.excluded_models,
            enabled: document.enabled,
            declared: false,
        };
        Ok(Some(StoredCredential { credential, revision: Revision(document.revision) }))
    }

    fn put(&self, credential: Credential, expected: Option<Revision>) -> Result<Revision, StoreError> {
        let _lock = self.lock().map_err(unavailable)?;
        let found = self.read(credential.id)?.map(|it| it.revision);
        if found != expected {
            return Err(StoreError::Conflict { found });
        }
        let revision = found.map_or(Revision::FIRST, Revision::next);
        self.write(StoredCredential { credential, revision })
    }

    fn replace_secret(
        &self,
        id: CredentialId,
        expected: Revision,
        secret: SecretString,
    ) -> Result<Revision, StoreError> {
        let _lock = self.lock().map_err(unavailable)?;
        let mut stored = self.read(id)?.ok_or(StoreError::NotFound(id))?;
        if stored.revision != expected {
            return Err(StoreError::Conflict { found: Some(stored.revision) });
        }
        stored.credential.secret = secret;
        stored.revision = expected.next();
        self.write(stored)
    }

    fn remove(&self, id: CredentialId) -> Result<(), StoreError> {
        let _lock = self.lock().map_err(unavailable)?;
        match fs::remove_file(self.file_of(id)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StoreError::NotFound(id)),
            outcome => outcome.and_then(|()| self.sync()).map_err(unavailable),
        }
    }

    fn write(&self, stored: StoredCredential) -> Result<Revision, StoreError> {
        let (id, revision) = (stored.credential.id, stored.revision);
        let text = self.seal(stored);
        let draft = self.draft(id, &text).map_err(unavailable)?;
        let outcome = fs::rename(&draft, self.file_of(id)).and_then(|()| self.sync());
        outcome.map_err(unavailable)?;
        Ok(revision)
    }

    /// Writes `text` to the disk beside the place where it belongs.
    fn draft(&self, id: CredentialId, text: &[u8]) -> io::Result<PathBuf> {
        let path = self.path.join(format!(".{id}-{}{DRAFT_SUFFIX}", uuid::Uuid::new_v4().simple()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(text)?;
        file.sync_all()?;
        Ok(path)
    }

    /// Makes a rename or removal last: it is an entry of the directory.
    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn seal(&self, stored: StoredCredential) -> Vec<u8> {
        let Credential { id, upstream, name, secret, priority, weight, proxy_url, .. } = stored.credential;
        let sealed = Sealed { secret: secret.expose_secret().to_owned(), proxy_url };
        let plain = serde_json::to_vec(&sealed).expect("text and nothing else");
        let plain = Zeroizing::new(plain);
        let document = Document {
            format: FORMAT,
            id,
            revision: stored.revision.0,
            upstream: upstream.as_str().to_owned(),
            name,
            enabled: stored.credential.enabled,
            priority,
            weight,
            models: stored.credential.models,
            excluded_models: stored.credential.excluded_models,
            sealed: self.cipher.seal(&plain, &associated(id, upstream.as_str())),
        };
        let mut text = serde_json::to_vec_pretty(&document).expect("text and numbers");
        text.push(b'\n');
        text
    }

    /// Every write makes a new file, so that its number or its times differ.
    fn stamp(&self) -> io::Result<Stamp> {
        let mut hasher = DefaultHasher::new();
        for name in self.names()? {
            if name.starts_with('.') {
                continue;
            }
            match fs::symlink_metadata(self.path.join(&name)) {
                Ok(it) => {
                    let times = [it.mtime(), it.mtime_nsec(), it.ctime(), it.ctime_nsec()];
                    (name, it.ino(), it.len(), times).hash(&mut hasher);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Stamp(hasher.finish()))
    }
}

fn associated(id: CredentialId, upstream: &str) -> Vec<u8> {
    format!("{id}/{upstream}").into_bytes()
}

/// Says where JSON is wrong, and not what stands there.
fn place_of(error: &serde_json::Error) -> String {
    let what = if error.is_data() { "not a credential of this version" } else { "not JSON" };
    format!("it is {what} (line {}, column {})", error.line(), error.column())
}

fn unavailable(error: io::Error) -> StoreError {
    StoreError::Unavailable(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::cipher::SealingKey;

    fn credential() -> Credential {
        Credential {
            id: CredentialId::declared("one"),
            upstream: UpstreamName::new("claude"),
            name: "one".to_owned(),
            secret: "sk-very-secret".into(),
            priority: 3,
            weight: 2,
            proxy_url: Some("http://user:hidden@proxy:1".to_owned()),
            models: vec!["claude-*".to_owned()],
            excluded_models: Vec::new(),
            enabled: true,
            declared: false,
        }
    }

    fn directory(path: &Path, key: &SealingKey) -> Directory {
        let directory = Directory { path: path.to_owned(), cipher: Arc::new(Cipher::new(key)) };
        directory.prepare().unwrap();
        directory
    }

    #[test]
    fn a_crash_before_the_rename_leaves_the_old_one_and_is_cleared_away() {
        let (place, key) = (tempfile::tempdir().unwrap(), SealingKey::generate());
        let store = directory(place.path(), &key);
        store.put(credential(), None).unwrap();
        let changed = Credential { secret: "new".into(), ..credential() };
        let text = store.seal(StoredCredential { credential: changed, revision: Revision(2) });
        let draft = store.draft(credential().id, &text[..text.len() / 2]).unwrap();

        let store = directory(place.path(), &key);
        assert!(!draft.exists());
        let holdings = store.list().unwrap();
        assert_eq!(holdings.credentials[0].credential.secret.expose_secret(), "sk-very-secret");
        assert!(holdings.damaged.is_empty());
    }

    #[test]
    fn nothing_secret_is_readable_and_nobody_else_may_read() {
        let (place, key) = (tempfile::tempdir().unwrap(), SealingKey::generate());
        let inside = place.path().join("credentials");
        let store = directory(&inside, &key);
        store.put(credential(), None).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&inside), 0o700);
        assert_eq!(mode(&store.file_of(credential().id)), 0o600);
        let text = fs::read_to_string(store.file_of(credential().id)).unwrap();
        assert!(!text.contains("sk-very-secret") && !text.contains("hidden"), "{text}");
    }

    #[test]
    fn a_file_that_was_moved_or_turned_to_another_upstream_does_not_open() {
        let (place, key) = (tempfile::tempdir().unwrap(), SealingKey::generate());
        let store = directory(place.path(), &key);
        store.put(credential(), None).unwrap();
        let path = store.file_of(credential().id);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(store.file_of(CredentialId::declared("two")), &text).unwrap();
        fs::write(&path, text.replace("\"claude\"", "\"evil\"")).unwrap();
        let holdings = store.list().unwrap();
        assert!(holdings.credentials.is_empty());
        assert_eq!(holdings.damaged.len(), 2);
    }

    #[test]
    fn what_cannot_be_read_is_reported_and_never_written_over() {
        let (place, key) = (tempfile::tempdir().unwrap(), SealingKey::generate());
        let store = directory(place.path(), &key);
        let id = credential().id;
        fs::write(store.file_of(id), "{\"secret\":\"sk-plain\"").unwrap();
        fs::write(place.path().join("notes.txt"), "hello").unwrap();
        let damaged = store.list().unwrap().damaged;
        assert_eq!(damaged.len(), 2);
        assert!(!format!("{damaged:?}").contains("sk-plain"));
        assert!(matches!(store.put(credential(), None), Err(StoreError::Damaged(_))));
        assert!(matches!(store.replace_secret(id, Revision::FIRST, "x".into()), Err(StoreError::Damaged(_))));
        assert_eq!(fs::read_to_string(store.file_of(id)).unwrap(), "{\"secret\":\"sk-plain\"");
    }

    #[test]
    fn another_key_opens_nothing_and_says_so() {
        let place = tempfile::tempdir().unwrap();
        directory(place.path(), &SealingKey::generate()).put(credential(), None).unwrap();
        let damaged = directory(place.path(), &SealingKey::generate()).list().unwrap().damaged;
        assert!(damaged[0].reason.contains("which is not configured"), "{}", damaged[0]);
    }
}
