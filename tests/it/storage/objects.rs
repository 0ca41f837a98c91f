//! What every `ObjectRepository` must do.

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use dragoman::{
    catalog::UpstreamName,
    credential::{KeptObject, ObjectRepository, Shelf},
    kernel::id::CredentialId,
    storage::{SqlObjects, SqlTenants},
    tenant::{KeyHasher, KeyTable, PlainKey, Source, Tenant, TenantKey, TenantRepository, TenantScope},
};

use super::support::TestDatabase;

fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 1, 2, 12, 0, 0).unwrap() + TimeDelta::microseconds(123_456)
}

fn object(id: &str, upstream: &str, minutes: i64) -> KeptObject {
    KeptObject {
        shelf: Shelf::Files,
        id: id.to_owned(),
        upstream: UpstreamName::new(upstream),
        credential: CredentialId::declared("one"),
        created_at: noon() + TimeDelta::minutes(minutes),
    }
}

/// Two tenants, let in.
async fn scopes(fresh: &TestDatabase) -> [TenantScope; 2] {
    let tenants = SqlTenants::new(fresh.database.clone());
    let hasher = KeyHasher::new(&[7; 32]);
    let table = KeyTable::new();
    let mut keys = Vec::new();
    for name in ["one", "other"] {
        let tenant = Tenant {
            id: dragoman::kernel::id::TenantId::new(),
            name: name.to_owned(),
            enabled: true,
            source: Source::Database,
            created_at: noon(),
            losses: None,
        };
        let plain = PlainKey::generate();
        let key = TenantKey {
            id: dragoman::kernel::id::TenantKeyId::new(),
            tenant: tenant.id,
            name: name.to_owned(),
            hash: hasher.hash(&plain),
            hint: "sk-…".to_owned(),
            enabled: true,
            source: Source::Database,
            created_at: noon(),
            expires_at: None,
            last_used_at: None,
            losses: None,
        };
        tenants.create_tenant(&tenant).await.unwrap();
        tenants.create_key(&key).await.unwrap();
        keys.push(plain);
    }
    table.load(tenants.load_keys().await.unwrap());
    [0, 1].map(|it: usize| table.authenticate(&hasher, Some(keys[it].reveal()), None, noon()).unwrap())
}

contract! {
    async fn an_object_is_found_by_its_tenant_alone(fresh: &TestDatabase) {
        let objects = SqlObjects::new(fresh.database.clone());
        let [one, other] = scopes(fresh).await;
        let file = object("file-1", "main", 0);
        objects.keep(&one, &file).await.unwrap();
        assert_eq!(objects.find(&one, Shelf::Files, "file-1", None).await.unwrap(), Some(file.clone()));
        assert_eq!(objects.find(&other, Shelf::Files, "file-1", None).await.unwrap(), None);
        assert_eq!(objects.find(&one, Shelf::Batches, "file-1", None).await.unwrap(), None);
        assert!(objects.list(&other, Shelf::Files, &file.upstream).await.unwrap().is_empty());
        objects.forget(&other, &file).await.unwrap();
        assert_eq!(objects.find(&one, Shelf::Files, "file-1", None).await.unwrap(), Some(file.clone()));
        objects.forget(&one, &file).await.unwrap();
        objects.forget(&one, &file).await.unwrap();
        assert_eq!(objects.find(&one, Shelf::Files, "file-1", None).await.unwrap(), None);
    }

    async fn one_id_at_two_upstreams_is_two_objects(fresh: &TestDatabase) {
        let objects = SqlObjects::new(fresh.database.clone());
        let [one, other] = scopes(fresh).await;
        let (first, second) = (object("f", "main", 0), object("f", "side", 1));
        objects.keep(&one, &first).await.unwrap();
        objects.keep(&one, &second).await.unwrap();
        objects.keep(&other, &first).await.unwrap();
        assert_eq!(objects.find(&one, Shelf::Files, "f", Some(&first.upstream)).await.unwrap(), Some(first.clone()));
        assert_eq!(objects.find(&one, Shelf::Files, "f", None).await.unwrap(), Some(second.clone()), "the newest");
        objects.forget(&one, &second).await.unwrap();
        assert_eq!(objects.find(&one, Shelf::Files, "f", None).await.unwrap(), Some(first));
    }

    async fn keeping_twice_is_once_with_the_last_credential(fresh: &TestDatabase) {
        let objects = SqlObjects::new(fresh.database.clone());
        let [one, _] = scopes(fresh).await;
        let file = object("f", "main", 0);
        objects.keep(&one, &file).await.unwrap();
        let moved = KeptObject { credential: CredentialId::declared("two"), ..object("f", "main", 9) };
        objects.keep(&one, &moved).await.unwrap();
        let kept = objects.list(&one, Shelf::Files, &file.upstream).await.unwrap();
        assert_eq!(kept, [KeptObject { credential: moved.credential, ..file }]);
    }

    async fn a_list_is_the_newest_first(fresh: &TestDatabase) {
        let objects = SqlObjects::new(fresh.database.clone());
        let [one, _] = scopes(fresh).await;
        for (id, upstream, minutes) in [("a", "main", 1), ("c", "main", 3), ("b", "main", 2), ("d", "side", 4)] {
            objects.keep(&one, &object(id, upstream, minutes)).await.unwrap();
        }
        objects.keep(&one, &KeptObject { shelf: Shelf::Batches, ..object("e", "main", 5) }).await.unwrap();
        let main = objects.list(&one, Shelf::Files, &UpstreamName::new("main")).await.unwrap();
        let ids: Vec<_> = main.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(ids, ["c", "b", "a"]);
    }
}
