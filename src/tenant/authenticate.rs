//! A key → a `TenantScope`.

mod failures;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;

use self::failures::Failures;
use super::{KeyHash, KeyHasher, LossPolicy, Tenant, TenantKey};
use crate::kernel::id::{TenantId, TenantKeyId};

/// How many seconds lie at least between two reports of one key's use.
const USE_REPORTED_EVERY: i64 = 60;
/// No use yet.
const NEVER: i64 = i64::MIN;

/// The proof that a caller showed a good key: nothing but authentication can make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TenantScope {
    tenant: TenantId,
    key: TenantKeyId,
    losses: Option<LossPolicy>,
}

impl TenantScope {
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    pub const fn key(&self) -> TenantKeyId {
        self.key
    }

    /// What is done about losses: the key's policy, else the tenant's.
    pub const fn losses(&self) -> Option<LossPolicy> {
        self.losses
    }
}

/// Why a caller was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error("no key was given")]
    Missing,
    #[error("the key is not known")]
    Unknown,
    #[error("the key has expired")]
    Expired,
    #[error("the key is disabled")]
    Disabled,
    #[error("too many wrong keys came from this address")]
    Throttled,
}

/// Every key that may call, in memory: authentication asks no database.
pub struct KeyTable {
    entries: ArcSwap<Entries>,
    /// Keys that are revoked here although the last `load` still had them enabled: rows read before a revocation must not
    /// undo it. Held while entries are replaced.
    revoked: Mutex<HashSet<TenantKeyId>>,
    failures: Mutex<Failures>,
}

#[derive(Default)]
struct Entries {
    by_hash: HashMap<KeyHash, Arc<Entry>>,
    by_id: HashMap<TenantKeyId, Arc<Entry>>,
}

struct Entry {
    scope: TenantScope,
    tenant_name: Arc<str>,
    key_name: Arc<str>,
    /// Cleared by a revocation, without waiting for the next load.
    enabled: AtomicBool,
    expires_at: Option<DateTime<Utc>>,
    /// Outlives the entry, so that a load loses no use.
    uses: Arc<Uses>,
}

/// When a key was last used, in seconds since 1970.
struct Uses {
    last: AtomicI64,
    reported: AtomicI64,
}

impl KeyTable {
    pub fn new() -> Self {
        Self {
            entries: ArcSwap::default(),
            revoked: Mutex::default(),
            failures: Mutex::new(Failures::default()),
        }
    }

    /// Replaces every key by `rows`, which `TenantRepository::load_keys` gave. Loads must not run side by side.
    ///
    /// A key revoked here stays revoked until the rows say so too: they may have been read before.
    pub fn load(&self, rows: Vec<(Tenant, TenantKey)>) {
        let mut revoked = self.revoked.lock();
        let former = self.entries.load_full();
        let mut entries = Entries {
            by_hash: HashMap::with_capacity(rows.len()),
            by_id: HashMap::with_capacity(rows.len()),
        };
        let mut names: HashMap<TenantId, Arc<str>> = HashMap::new();
        let mut still_revoked = HashSet::new();
        for (tenant, key) in rows {
            let name = names.entry(tenant.id).or_insert_with(|| tenant.name.as_str().into());
            if key.enabled && revoked.contains(&key.id) {
                still_revoked.insert(key.id);
            }
            let enabled = tenant.enabled && key.enabled && !revoked.contains(&key.id);
            let entry = Arc::new(Entry {
                scope: TenantScope { tenant: tenant.id, key: key.id, losses: key.losses.or(tenant.losses) },
                tenant_name: Arc::clone(name),
                key_name: key.name.into(),
                enabled: AtomicBool::new(enabled),
                expires_at: key.expires_at,
                uses: former.by_id.get(&key.id).map(|it| Arc::clone(&it.uses)).unwrap_or_default(),
            });
            entries.by_id.insert(key.id, Arc::clone(&entry));
            // Of several keys with one hash at most one is enabled: the others are its past names.
            if enabled || !entries.by_hash.contains_key(&key.hash) {
                entries.by_hash.insert(key.hash, entry);
            }
        }
        self.entries.store(Arc::new(entries));
        *revoked = still_revoked;
    }

    /// Lets the caller in if `presented` is a good key. Takes no lock unless the key is wrong.
    ///
    /// Wrong keys are counted by `source`: past the limit the answer is `Throttled`; good keys pass even then.
    pub fn authenticate(
        &self,
        hasher: &KeyHasher,
        presented: Option<&str>,
        source: Option<IpAddr>,
        now: DateTime<Utc>,
    ) -> Result<TenantScope, AuthError> {
        let presented = presented.filter(|it| !it.is_empty()).ok_or(AuthError::Missing)?;
        let entries = self.entries.load();
        let found = hasher.hash_presented(presented).and_then(|hash| entries.by_hash.get(&hash));
        match found {
            Some(entry) => entry.admit(now),
            None => Err(self.refuse(source, now)),
        }
    }

    /// Lets a caller in again who was let in before and has stayed: its key may have been revoked since, or its policy changed.
    pub fn readmit(&self, scope: &TenantScope, now: DateTime<Utc>) -> Result<TenantScope, AuthError> {
        let entries = self.entries.load();
        entries.by_id.get(&scope.key).ok_or(AuthError::Unknown)?.admit(now)
    }

    /// Shuts a key out at once.
    pub fn revoke(&self, id: TenantKeyId) {
        let mut revoked = self.revoked.lock();
        revoked.insert(id);
        if let Some(entry) = self.entries.load().by_id.get(&id) {
            entry.enabled.store(false, Ordering::Release);
        }
    }

    /// Returns the names of the caller's tenant and key, for logs and metrics.
    pub fn names(&self, scope: &TenantScope) -> Option<(Arc<str>, Arc<str>)> {
        let entries = self.entries.load();
        let entry = entries.by_id.get(&scope.key)?;
        Some((Arc::clone(&entry.tenant_name), Arc::clone(&entry.key_name)))
    }

    /// Returns which keys were used since they were last returned, and when; each at most once for a minute of use.
    pub fn take_used(&self) -> Vec<(TenantKeyId, DateTime<Utc>)> {
        let entries = self.entries.load();
        let used = entries.by_id.values().filter_map(|it| Some((it.scope.key, it.uses.take()?)));
        used.filter_map(|(id, second)| Some((id, DateTime::from_timestamp(second, 0)?))).collect()
    }

    /// How many keys there are, good or not.
    pub fn len(&self) -> usize {
        self.entries.load().by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn refuse(&self, source: Option<IpAddr>, now: DateTime<Utc>) -> AuthError {
        match source {
            Some(source) if self.failures.lock().is_too_many(source, now) => AuthError::Throttled,
            _ => AuthError::Unknown,
        }
    }
}

impl Default for KeyTable {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for KeyTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyTable").field("keys", &self.len()).finish_non_exhaustive()
    }
}

impl Entry {
    fn admit(&self, now: DateTime<Utc>) -> Result<TenantScope, AuthError> {
        if !self.enabled.load(Ordering::Acquire) {
            return Err(AuthError::Disabled);
        }
        if self.expires_at.is_some_and(|at| at <= now) {
            return Err(AuthError::Expired);
        }
        self.uses.note(now.timestamp());
        Ok(self.scope)
    }
}

impl Default for Uses {
    fn default() -> Self {
        Self { last: AtomicI64::new(NEVER), reported: AtomicI64::new(NEVER) }
    }
}

impl Uses {
    /// Writes once a second only: busy callers of one key share its cache line.
    fn note(&self, second: i64) {
        if self.last.load(Ordering::Relaxed) < second {
            self.last.fetch_max(second, Ordering::Relaxed);
        }
    }

    fn take(&self) -> Option<i64> {
        let last = self.last.load(Ordering::Relaxed);
        let reported = self.reported.load(Ordering::Relaxed);
        if last.saturating_sub(USE_REPORTED_EVERY) < reported || last == NEVER {
            return None;
        }
        self.reported.store(last, Ordering::Relaxed);
        Some(last)
    }
}
