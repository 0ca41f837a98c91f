use async_trait::async_trait;
use chrono::TimeZone;
use parking_lot::Mutex;

use super::*;
use crate::{
    kernel::clock::ManualClock,
    tenant::{AuthError, KeyTable},
};

/// Tenants and keys in two lists.
#[derive(Default)]
struct FakeTenants {
    tenants: Mutex<Vec<Tenant>>,
    keys: Mutex<Vec<TenantKey>>,
}

impl FakeTenants {
    fn change_key(
        &self,
        id: TenantKeyId,
        change: impl FnOnce(&mut TenantKey),
    ) -> Result<(), RepositoryError> {
        let mut keys = self.keys.lock();
        let key = keys.iter_mut().find(|it| it.id == id);
        key.map(change).ok_or_else(|| RepositoryError::NotFound(id.to_string()))
    }
}

#[async_trait]
impl TenantRepository for FakeTenants {
    async fn create_tenant(&self, tenant: &Tenant) -> Result<(), RepositoryError> {
        let mut tenants = self.tenants.lock();
        if tenants.iter().any(|it| it.name == tenant.name) {
            return Err(RepositoryError::Exists(tenant.name.clone()));
        }
        tenants.push(tenant.clone());
        Ok(())
    }

    async fn find_tenant(&self, name: &str) -> Result<Option<Tenant>, RepositoryError> {
        Ok(self.tenants.lock().iter().find(|it| it.name == name).cloned())
    }

    async fn list_tenants(&self) -> Result<Vec<Tenant>, RepositoryError> {
        Ok(self.tenants.lock().clone())
    }

    async fn set_tenant_enabled(&self, id: TenantId, enabled: bool) -> Result<(), RepositoryError> {
        let mut tenants = self.tenants.lock();
        let tenant = tenants.iter_mut().find(|it| it.id == id);
        tenant.map(|it| it.enabled = enabled).ok_or_else(|| RepositoryError::NotFound(id.to_string()))
    }

    async fn create_key(&self, key: &TenantKey) -> Result<(), RepositoryError> {
        let mut keys = self.keys.lock();
        if keys.iter().any(|it| it.tenant == key.tenant && it.name == key.name) {
            return Err(RepositoryError::Exists(key.name.clone()));
        }
        keys.push(key.clone());
        Ok(())
    }

    async fn find_key(&self, tenant: TenantId, name: &str) -> Result<Option<TenantKey>, RepositoryError> {
        Ok(self.keys.lock().iter().find(|it| it.tenant == tenant && it.name == name).cloned())
    }

    async fn list_keys(&self, tenant: TenantId) -> Result<Vec<TenantKey>, RepositoryError> {
        Ok(self.keys.lock().iter().filter(|it| it.tenant == tenant).cloned().collect())
    }

    async fn set_key_enabled(
        &self,
        _: TenantId,
        id: TenantKeyId,
        enabled: bool,
    ) -> Result<(), RepositoryError> {
        self.change_key(id, |key| key.enabled = enabled)
    }

    async fn set_tenant_losses(
        &self,
        id: TenantId,
        losses: Option<LossPolicy>,
    ) -> Result<(), RepositoryError> {
        let mut tenants = self.tenants.lock();
        let tenant = tenants.iter_mut().find(|it| it.id == id);
        tenant.map(|it| it.losses = losses).ok_or_else(|| RepositoryError::NotFound(id.to_string()))
    }

    async fn set_key_losses(
        &self,
        _: TenantId,
        id: TenantKeyId,
        losses: Option<LossPolicy>,
    ) -> Result<(), RepositoryError> {
        self.change_key(id, |key| key.losses = losses)
    }

    async fn set_key_expiry(
        &self,
        _: TenantId,
        id: TenantKeyId,
        expires_at: Option<DateTime<Utc>>,
    ) -> Result<(), RepositoryError> {
        self.change_key(id, |key| key.expires_at = expires_at)
    }

    async fn replace_key(
        &self,
        _: TenantId,
        old: TenantKeyId,
        retired_name: &str,
        expires_at: DateTime<Utc>,
        new: &TenantKey,
    ) -> Result<(), RepositoryError> {
        self.change_key(old, |key| {
            retired_name.clone_into(&mut key.name);
            key.expires_at = Some(expires_at);
        })?;
        self.create_key(new).await
    }

    async fn load_keys(&self) -> Result<Vec<(Tenant, TenantKey)>, RepositoryError> {
        let tenants = self.tenants.lock();
        let with_tenant =
            |key: &TenantKey| (tenants.iter().find(|it| it.id == key.tenant).unwrap().clone(), key.clone());
        Ok(self.keys.lock().iter().map(with_tenant).collect())
    }

    async fn revision(&self) -> Result<i64, RepositoryError> {
        Ok(0)
    }

    async fn sync_declared(&self, tenants: &[Tenant], keys: &[TenantKey]) -> Result<(), RepositoryError> {
        self.tenants.lock().extend_from_slice(tenants);
        self.keys.lock().extend_from_slice(keys);
        Ok(())
    }

    async fn touch_keys(&self, _: &[(TenantKeyId, DateTime<Utc>)]) -> Result<(), RepositoryError> {
        Ok(())
    }
}

struct House {
    repository: FakeTenants,
    clock: ManualClock,
    hasher: KeyHasher,
    table: KeyTable,
}

impl House {
    fn new() -> Self {
        Self {
            repository: FakeTenants::default(),
            clock: ManualClock::at(Utc.with_ymd_and_hms(2026, 1, 2, 3, 4, 5).unwrap()),
            hasher: KeyHasher::new(&[9; 32]),
            table: KeyTable::new(),
        }
    }

    fn admin(&self) -> TenantAdmin<'_> {
        TenantAdmin { repository: &self.repository, clock: &self.clock, hasher: &self.hasher }
    }

    async fn show(&self, key: &PlainKey) -> Result<TenantKeyId, AuthError> {
        self.table.load(self.repository.load_keys().await.unwrap());
        self.table
            .authenticate(&self.hasher, Some(key.reveal()), None, self.clock.now())
            .map(|scope| scope.key())
    }
}

#[tokio::test]
async fn a_created_key_lets_its_tenant_in_until_it_is_revoked() {
    let house = House::new();
    house.admin().create_tenant("acme").await.unwrap();
    let (key, plain) = house.admin().create_key("acme", "ci", None).await.unwrap();
    assert_eq!(house.show(&plain).await, Ok(key.id));
    assert_eq!(key.hint, plain.hint());
    assert!(!house.admin().revoke_key("acme", "ci").await.unwrap().enabled);
    assert_eq!(house.show(&plain).await, Err(AuthError::Disabled));
}

#[tokio::test]
async fn a_rotated_key_goes_on_for_its_grace_and_no_longer() {
    let house = House::new();
    house.admin().create_tenant("acme").await.unwrap();
    let (old, old_plain) = house.admin().create_key("acme", "ci", None).await.unwrap();
    let (new, new_plain) = house.admin().rotate_key("acme", "ci", TimeDelta::hours(1)).await.unwrap();
    assert_eq!(new.name, "ci");
    assert_eq!(house.show(&old_plain).await, Ok(old.id));
    assert_eq!(house.show(&new_plain).await, Ok(new.id));
    house.clock.advance(TimeDelta::hours(1));
    assert_eq!(house.show(&old_plain).await, Err(AuthError::Expired));
    assert_eq!(house.show(&new_plain).await, Ok(new.id));
    let names: Vec<String> =
        house.admin().list_keys("acme").await.unwrap().into_iter().map(|it| it.name).collect();
    assert!(names[0].starts_with("ci (rotated 2026-01-02, "), "{names:?}");
}

#[tokio::test]
async fn a_key_rotated_twice_in_one_second_leaves_two_retired_ones() {
    let house = House::new();
    house.admin().create_tenant("acme").await.unwrap();
    house.admin().create_key("acme", "ci", None).await.unwrap();
    house.admin().rotate_key("acme", "ci", TimeDelta::hours(1)).await.unwrap();
    house.admin().rotate_key("acme", "ci", TimeDelta::hours(1)).await.unwrap();
    let mut names: Vec<String> =
        house.admin().list_keys("acme").await.unwrap().into_iter().map(|it| it.name).collect();
    names.dedup();
    assert_eq!(names.len(), 3);
}

#[tokio::test]
async fn rotating_never_lengthens_a_life_and_gives_the_successor_as_long_a_one() {
    let house = House::new();
    house.admin().create_tenant("acme").await.unwrap();
    let end = house.clock.now() + TimeDelta::days(30);
    let (old, _) = house.admin().create_key("acme", "ci", Some(end)).await.unwrap();
    house.clock.advance(TimeDelta::days(29));
    let (new, _) = house.admin().rotate_key("acme", "ci", TimeDelta::days(7)).await.unwrap();
    assert_eq!(new.expires_at, Some(house.clock.now() + TimeDelta::days(30)));
    let kept = house.repository.keys.lock().iter().find(|it| it.id == old.id).cloned().unwrap();
    assert_eq!(kept.expires_at, Some(end));
}

#[tokio::test]
async fn a_revoked_key_cannot_be_rotated() {
    let house = House::new();
    house.admin().create_tenant("acme").await.unwrap();
    house.admin().create_key("acme", "ci", None).await.unwrap();
    house.admin().revoke_key("acme", "ci").await.unwrap();
    let refused = house.admin().rotate_key("acme", "ci", TimeDelta::zero()).await.unwrap_err();
    assert!(matches!(refused, AdminError::KeyDisabled(_)), "{refused}");
}

#[tokio::test]
async fn what_the_file_declares_is_changed_there_only() {
    let house = House::new();
    let tenant = Tenant {
        id: TenantId::declared("acme"),
        name: "acme".to_owned(),
        enabled: true,
        source: Source::File,
        losses: None,
        created_at: house.clock.now(),
    };
    let plain = PlainKey::generate();
    let (mut key, _) = house.admin().new_key(&tenant, "ci", None);
    key.source = Source::File;
    key.hash = house.hasher.hash(&plain);
    house.repository.sync_declared(&[tenant], &[key]).await.unwrap();
    let refused = [
        house.admin().revoke_key("acme", "ci").await.unwrap_err(),
        house.admin().rotate_key("acme", "ci", TimeDelta::zero()).await.unwrap_err(),
        house.admin().set_tenant_enabled("acme", false).await.unwrap_err(),
    ];
    assert!(refused.iter().all(|it| matches!(it, AdminError::Declared(_))), "{refused:?}");
    assert!(house.show(&plain).await.is_ok());
}

#[tokio::test]
async fn names_are_checked_and_missing_ones_said() {
    let house = House::new();
    house.admin().create_tenant("acme").await.unwrap();
    for name in ["", "-x", "a b", "ä", &"x".repeat(65), "ci (rotated"] {
        let refused = house.admin().create_key("acme", name, None).await.unwrap_err();
        assert!(matches!(refused, AdminError::InvalidName(_)), "{refused}");
    }
    let missing = house.admin().create_key("nobody", "ci", None).await.unwrap_err();
    assert_eq!(missing.to_string(), "there is no `nobody`");
    let missing = house.admin().revoke_key("acme", "ci").await.unwrap_err();
    assert_eq!(missing.to_string(), "there is no `acme/ci`");
    let past = house.admin().create_key("acme", "ci", Some(house.clock.now())).await.unwrap_err();
    assert!(matches!(past, AdminError::AlreadyExpired(_)), "{past}");
    let twice = house.admin().create_tenant("acme").await.unwrap_err();
    assert_eq!(twice.to_string(), "`acme` exists already");
}

#[tokio::test]
async fn a_list_has_every_tenant_with_its_own_keys() {
    let house = House::new();
    for name in ["zoo", "acme"] {
        house.admin().create_tenant(name).await.unwrap();
    }
    for name in ["z", "a"] {
        house.admin().create_key("acme", name, None).await.unwrap();
    }
    let listed: Vec<(String, Vec<String>)> = house
        .admin()
        .list()
        .await
        .unwrap()
        .into_iter()
        .map(|(tenant, keys)| (tenant.name, keys.into_iter().map(|it| it.name).collect()))
        .collect();
    let expected =
        [("acme".to_owned(), vec!["a".to_owned(), "z".to_owned()]), ("zoo".to_owned(), Vec::new())];
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn a_keys_losses_go_before_its_tenants() {
    let house = House::new();
    house.admin().create_tenant("acme").await.unwrap();
    let (_, plain) = house.admin().create_key("acme", "ci", None).await.unwrap();
    let scope = async || {
        let table = KeyTable::new();
        table.load(house.repository.load_keys().await.unwrap());
        table.authenticate(&house.hasher, Some(plain.reveal()), None, house.clock.now()).unwrap().losses()
    };
    assert_eq!(scope().await, None);
    house.admin().set_tenant_losses("acme", Some(LossPolicy::Strict)).await.unwrap();
    assert_eq!(scope().await, Some(LossPolicy::Strict));
    house.admin().set_key_losses("acme", "ci", Some(LossPolicy::Quiet)).await.unwrap();
    assert_eq!(scope().await, Some(LossPolicy::Quiet));
    house.admin().set_key_losses("acme", "ci", None).await.unwrap();
    assert_eq!(scope().await, Some(LossPolicy::Strict));
}
