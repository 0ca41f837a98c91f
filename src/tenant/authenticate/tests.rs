use chrono::{Duration, TimeZone};

use super::*;
use crate::{
    kernel::clock::{Clock, ManualClock},
    tenant::{PlainKey, Source},
};

struct House {
    table: KeyTable,
    hasher: KeyHasher,
    clock: ManualClock,
    tenant: Tenant,
}

impl House {
    fn new() -> Self {
        let clock = ManualClock::at(Utc.with_ymd_and_hms(2026, 1, 2, 3, 4, 5).unwrap());
        let tenant = Tenant {
            id: TenantId::new(),
            name: "acme".to_owned(),
            enabled: true,
            source: Source::Database,
            losses: None,
            created_at: clock.now(),
        };
        Self { table: KeyTable::new(), hasher: KeyHasher::new(&[3; 32]), clock, tenant }
    }

    fn key(&self, name: &str, plain: &PlainKey) -> TenantKey {
        TenantKey {
            id: TenantKeyId::new(),
            tenant: self.tenant.id,
            name: name.to_owned(),
            hash: self.hasher.hash(plain),
            hint: plain.hint(),
            enabled: true,
            source: Source::Database,
            losses: None,
            created_at: self.clock.now(),
            expires_at: None,
            last_used_at: None,
        }
    }

    fn load(&self, keys: &[&TenantKey]) {
        self.table.load(keys.iter().map(|&key| (self.tenant.clone(), key.clone())).collect());
    }

    fn show(&self, text: &str) -> Result<TenantScope, AuthError> {
        self.show_from(text, "192.0.2.7")
    }

    fn show_from(&self, text: &str, source: &str) -> Result<TenantScope, AuthError> {
        self.table.authenticate(&self.hasher, Some(text), Some(source.parse().unwrap()), self.clock.now())
    }
}

#[test]
fn a_good_key_gives_its_scope_and_names() {
    let house = House::new();
    let plain = PlainKey::generate();
    let key = house.key("ci", &plain);
    house.load(&[&key]);
    let scope = house.show(plain.reveal()).unwrap();
    assert_eq!((scope.tenant(), scope.key()), (house.tenant.id, key.id));
    let (tenant, name) = house.table.names(&scope).unwrap();
    assert_eq!((&*tenant, &*name), ("acme", "ci"));
}

#[test]
fn no_key_and_an_empty_key_are_missing() {
    let house = House::new();
    let now = house.clock.now();
    assert_eq!(house.table.authenticate(&house.hasher, None, None, now), Err(AuthError::Missing));
    assert_eq!(house.table.authenticate(&house.hasher, Some(""), None, now), Err(AuthError::Missing));
}

#[test]
fn a_key_of_another_pepper_or_shape_is_unknown() {
    let house = House::new();
    let plain = PlainKey::generate();
    let mut key = house.key("ci", &plain);
    key.hash = KeyHasher::new(&[4; 32]).hash(&plain);
    house.load(&[&key]);
    assert_eq!(house.show(plain.reveal()), Err(AuthError::Unknown));
    assert_eq!(house.show("short"), Err(AuthError::Unknown));
    assert_eq!(house.show("sk-dgm-12345678-not-one-of-ours"), Err(AuthError::Unknown));
}

#[test]
fn a_key_expires_at_its_second() {
    let house = House::new();
    let plain = PlainKey::generate();
    let mut key = house.key("ci", &plain);
    key.expires_at = Some(house.clock.now() + Duration::seconds(10));
    house.load(&[&key]);
    house.clock.advance(Duration::seconds(9));
    assert!(house.show(plain.reveal()).is_ok());
    house.clock.advance(Duration::seconds(1));
    assert_eq!(house.show(plain.reveal()), Err(AuthError::Expired));
}

#[test]
fn a_disabled_tenant_shuts_out_all_its_keys() {
    let mut house = House::new();
    let plain = PlainKey::generate();
    let key = house.key("ci", &plain);
    house.tenant.enabled = false;
    house.load(&[&key]);
    assert_eq!(house.show(plain.reveal()), Err(AuthError::Disabled));
}

#[test]
fn a_revocation_works_at_once_and_no_older_load_undoes_it() {
    let house = House::new();
    let plain = PlainKey::generate();
    let mut key = house.key("ci", &plain);
    house.load(&[&key]);
    house.table.revoke(key.id);
    assert_eq!(house.show(plain.reveal()), Err(AuthError::Disabled));
    house.load(&[&key]);
    assert_eq!(
        house.show(plain.reveal()),
        Err(AuthError::Disabled),
        "the rows were read before the revocation"
    );
    key.enabled = false;
    house.load(&[&key]);
    key.enabled = true;
    house.load(&[&key]);
    assert!(house.show(plain.reveal()).is_ok(), "the database had caught up, and then enabled it again");
}

#[test]
fn a_key_that_is_no_longer_loaded_is_unknown() {
    let house = House::new();
    let plain = PlainKey::generate();
    house.load(&[&house.key("ci", &plain)]);
    house.load(&[]);
    assert_eq!(house.show(plain.reveal()), Err(AuthError::Unknown));
    assert!(house.table.is_empty());
}

#[test]
fn a_key_renamed_in_the_file_works_under_its_new_name_in_any_order() {
    let house = House::new();
    let plain = PlainKey::generate();
    let new = house.key("new", &plain);
    let old = TenantKey { enabled: false, ..house.key("old", &plain) };
    for order in [[&new, &old], [&old, &new]] {
        house.load(&order);
        assert_eq!(house.show(plain.reveal()).unwrap().key(), new.id);
    }
}

#[test]
fn wrong_keys_are_throttled_and_good_ones_pass_from_the_same_address() {
    let house = House::new();
    let plain = PlainKey::generate();
    house.load(&[&house.key("ci", &plain)]);
    for _ in 0..20 {
        assert_eq!(house.show("wrong-but-long-enough-key"), Err(AuthError::Unknown));
    }
    assert_eq!(house.show("wrong-but-long-enough-key"), Err(AuthError::Throttled));
    assert_eq!(house.show("malformed"), Err(AuthError::Throttled));
    assert!(house.show(plain.reveal()).is_ok());
    assert_eq!(house.show_from("wrong-but-long-enough-key", "192.0.2.8"), Err(AuthError::Unknown));
    house.clock.advance(Duration::minutes(1));
    assert_eq!(house.show("wrong-but-long-enough-key"), Err(AuthError::Unknown));
}

#[test]
fn a_use_is_reported_once_a_minute_and_survives_a_load() {
    let house = House::new();
    let plain = PlainKey::generate();
    let key = house.key("ci", &plain);
    house.load(&[&key]);
    assert!(house.table.take_used().is_empty());

    let first = house.clock.now();
    house.show(plain.reveal()).unwrap();
    house.load(&[&key]);
    assert_eq!(house.table.take_used(), [(key.id, first)]);

    house.clock.advance(Duration::seconds(59));
    house.show(plain.reveal()).unwrap();
    assert!(house.table.take_used().is_empty());

    house.clock.advance(Duration::seconds(1));
    house.show(plain.reveal()).unwrap();
    assert_eq!(house.table.take_used(), [(key.id, house.clock.now())]);
}

#[test]
fn a_refused_key_leaves_no_use() {
    let house = House::new();
    let plain = PlainKey::generate();
    let key = TenantKey { enabled: false, ..house.key("ci", &plain) };
    house.load(&[&key]);
    assert!(house.show(plain.reveal()).is_err());
    assert!(house.table.take_used().is_empty());
}

#[test]
fn a_hundred_thousand_keys_are_each_found() {
    let house = House::new();
    let plain: Vec<String> = (0..100_000).map(|number| format!("declared-key-number-{number:06}")).collect();
    let keys: Vec<TenantKey> =
        plain.iter().map(|text| house.key(text, &PlainKey::parse(text).unwrap())).collect();
    house.load(&keys.iter().collect::<Vec<_>>());
    assert_eq!(house.table.len(), 100_000);
    for number in [0, 1, 49_999, 99_999] {
        assert_eq!(house.show(&plain[number]).unwrap().key(), keys[number].id);
    }
}

#[test]
fn a_caller_that_stays_is_let_in_again_until_its_key_is_revoked() {
    let house = House::new();
    let plain = PlainKey::generate();
    let key = house.key("ci", &plain);
    house.load(&[&key]);
    let scope = house.show(plain.reveal()).unwrap();
    assert_eq!(house.table.readmit(&scope, house.clock.now()), Ok(scope));
    let strict = TenantKey { losses: Some(LossPolicy::Strict), ..key.clone() };
    house.load(&[&strict]);
    let changed = house.table.readmit(&scope, house.clock.now()).unwrap();
    assert_eq!(changed.losses(), Some(LossPolicy::Strict));
    house.table.revoke(key.id);
    assert_eq!(house.table.readmit(&scope, house.clock.now()), Err(AuthError::Disabled));
    house.load(&[]);
    assert_eq!(house.table.readmit(&scope, house.clock.now()), Err(AuthError::Unknown));
}
