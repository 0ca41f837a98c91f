//! What every `ResponseStore` must do.

use std::{net::IpAddr, sync::Arc};

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use dragoman::{
    kernel::id::{TenantId, TenantKeyId},
    session::{ResponseStore, StoreFailure, StoredResponse, responses::Content},
    storage::{Cipher, Database, SealingKey, SqlResponses},
    tenant::{KeyHasher, KeyTable, PlainKey, Source, Tenant, TenantKey, TenantScope},
};
use serde_json::{Value, json};

const SEALING_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 1, 2, 12, 0, 0).unwrap() + TimeDelta::microseconds(123_456)
}

/// A caller of a tenant, let in as everyone is.
fn caller(name: &str) -> TenantScope {
    let hasher = KeyHasher::new(&[1; 32]);
    let plain = PlainKey::generate();
    let tenant = Tenant {
        id: TenantId::declared(name),
        name: name.to_owned(),
        enabled: true,
        source: Source::Database,
        losses: None,
        created_at: noon(),
    };
    let key = TenantKey {
        id: TenantKeyId::declared(name),
        tenant: tenant.id,
        name: "ci".to_owned(),
        hash: hasher.hash(&plain),
        hint: String::new(),
        enabled: true,
        source: Source::Database,
        losses: None,
        created_at: noon(),
        expires_at: None,
        last_used_at: None,
    };
    let table = KeyTable::new();
    table.load(vec![(tenant, key)]);
    table.authenticate(&hasher, Some(plain.reveal()), None::<IpAddr>, noon()).unwrap()
}

fn store(database: &Database) -> SqlResponses {
    SqlResponses::new(database.clone(), Arc::new(Cipher::new(&SealingKey::from_text(SEALING_KEY).unwrap())))
}

fn item(id: &str, text: &str) -> Value {
    json!({"type": "message", "id": id, "role": "user", "content": text})
}

fn response(id: &str, previous: Option<&str>) -> StoredResponse {
    let Value::Object(said) = json!({"id": id, "output": [item(&format!("out_{id}"), "answer 1.50")]}) else {
        unreachable!()
    };
    StoredResponse {
        id: id.to_owned(),
        previous: previous.map(str::to_owned),
        content: Content { input: vec![item(&format!("in_{id}"), "a secret question")], response: said },
        created_at: noon(),
        expires_at: noon() + TimeDelta::days(30),
    }
}

fn ids(items: &[Value]) -> Vec<&str> {
    items.iter().map(|it| it["id"].as_str().unwrap()).collect()
}

contract! {
    async fn what_is_kept_is_found_whole(fresh: &TestDatabase) {
        let (store, acme) = (store(&fresh.database), caller("acme"));
        let kept = response("resp_1", None);
        store.keep(&acme, &kept).await.unwrap();
        assert_eq!(store.find(&acme, "resp_1", noon()).await.unwrap(), Some(kept.clone()));
        assert_eq!(store.find(&acme, "resp_2", noon()).await.unwrap(), None);
        let again = StoredResponse { expires_at: noon() + TimeDelta::days(1), ..kept };
        store.keep(&acme, &again).await.unwrap();
        assert_eq!(store.find(&acme, "resp_1", noon()).await.unwrap(), Some(again));
    }

    async fn another_tenant_finds_nothing_of_it(fresh: &TestDatabase) {
        let store = store(&fresh.database);
        let (acme, zoo) = (caller("acme"), caller("zoo"));
        store.keep(&acme, &response("resp_1", None)).await.unwrap();
        assert_eq!(store.find(&zoo, "resp_1", noon()).await.unwrap(), None);
        assert!(store.chain(&zoo, "resp_1", noon()).await.unwrap().0.is_empty());
        assert_eq!(store.find_item(&zoo, "out_resp_1", noon()).await.unwrap(), None);
        assert!(!store.remove(&zoo, "resp_1").await.unwrap());
        let theirs = StoredResponse { previous: Some("x".to_owned()), ..response("resp_1", None) };
        store.keep(&zoo, &theirs).await.unwrap();
        assert_eq!(store.find(&acme, "resp_1", noon()).await.unwrap().unwrap().previous, None);
        // A chain does not lead into another tenant either.
        store.keep(&acme, &response("resp_a", None)).await.unwrap();
        store.keep(&zoo, &response("resp_z", Some("resp_a"))).await.unwrap();
        assert_eq!(store.chain(&zoo, "resp_z", noon()).await.unwrap().0.len(), 1);
    }

    async fn a_chain_is_read_from_its_beginning(fresh: &TestDatabase) {
        let (store, acme) = (store(&fresh.database), caller("acme"));
        for (id, previous) in
            [("a", Some("far")), ("b", Some("a")), ("c", Some("b")), ("other", Some("a"))]
        {
            store.keep(&acme, &response(id, previous)).await.unwrap();
        }
        let chain = store.chain(&acme, "c", noon()).await.unwrap();
        assert_eq!(ids(&chain.items()), ["in_a", "out_a", "in_b", "out_b", "in_c", "out_c"]);
        assert_eq!(ids(&chain.input()), ["in_a", "out_a", "in_b", "out_b", "in_c"]);
        assert_eq!(chain.beyond(), Some("far"));
        assert!(store.chain(&acme, "nobody", noon()).await.unwrap().0.is_empty());
    }

    async fn an_item_is_found_by_its_id(fresh: &TestDatabase) {
        let (store, acme) = (store(&fresh.database), caller("acme"));
        store.keep(&acme, &response("a", None)).await.unwrap();
        for id in ["in_a", "out_a"] {
            assert_eq!(store.find_item(&acme, id, noon()).await.unwrap().unwrap()["id"], id);
        }
        assert_eq!(store.find_item(&acme, "nothing", noon()).await.unwrap(), None);
        assert!(store.remove(&acme, "a").await.unwrap());
        assert_eq!(store.find_item(&acme, "out_a", noon()).await.unwrap(), None);
    }

    async fn what_is_removed_is_gone_and_so_is_the_way_over_it(fresh: &TestDatabase) {
        let (store, acme) = (store(&fresh.database), caller("acme"));
        for (id, previous) in [("a", None), ("b", Some("a")), ("c", Some("b"))] {
            store.keep(&acme, &response(id, previous)).await.unwrap();
        }
        assert!(store.remove(&acme, "b").await.unwrap());
        assert!(!store.remove(&acme, "b").await.unwrap());
        assert_eq!(store.chain(&acme, "c", noon()).await.unwrap().beyond(), Some("b"));
        assert!(store.find(&acme, "a", noon()).await.unwrap().is_some());
    }

    async fn what_has_expired_is_not_found_and_then_removed(fresh: &TestDatabase) {
        let (store, acme) = (store(&fresh.database), caller("acme"));
        let end = noon() + TimeDelta::days(30);
        store.keep(&acme, &response("a", None)).await.unwrap();
        let just_before = end - TimeDelta::microseconds(1);
        assert!(store.find(&acme, "a", just_before).await.unwrap().is_some());
        assert_eq!(store.remove_expired(just_before).await.unwrap(), 0);
        assert_eq!(store.find(&acme, "a", end).await.unwrap(), None);
        assert!(store.chain(&acme, "a", end).await.unwrap().0.is_empty());
        assert_eq!(store.find_item(&acme, "out_a", end).await.unwrap(), None);
        assert_eq!(store.remove_expired(end).await.unwrap(), 1);
        assert_eq!(store.remove_expired(end).await.unwrap(), 0);
    }

    async fn a_conversation_that_goes_on_keeps_its_beginning(fresh: &TestDatabase) {
        let (store, acme) = (store(&fresh.database), caller("acme"));
        store.keep(&acme, &response("a", None)).await.unwrap();
        let later = noon() + TimeDelta::days(29);
        let mut b = response("b", Some("a"));
        (b.created_at, b.expires_at) = (later, later + TimeDelta::days(30));
        store.keep(&acme, &b).await.unwrap();
        let found = store.chain(&acme, "b", later + TimeDelta::days(20)).await.unwrap();
        assert_eq!(found.0.len(), 2);
        // What lives longer anyway is not cut short.
        let mut c = response("c", Some("b"));
        c.expires_at = later;
        store.keep(&acme, &c).await.unwrap();
        assert_eq!(store.find(&acme, "b", later).await.unwrap(), Some(b));
    }

    async fn nothing_that_was_said_is_in_the_database_in_clear_text(fresh: &TestDatabase) {
        let (store, acme) = (store(&fresh.database), caller("acme"));
        store.keep(&acme, &response("a", None)).await.unwrap();
        let read = "SELECT sealed FROM response";
        let sealed: String = match &fresh.database {
            Database::Postgres(pool) => sqlx::query_scalar(read).fetch_one(pool).await.unwrap(),
            Database::Sqlite(pool) => sqlx::query_scalar(read).fetch_one(pool).await.unwrap(),
        };
        assert!(sealed.starts_with("v1.") && !sealed.contains("question"), "{sealed}");
        // Sealed for its row: it does not open in the place of another.
        store.keep(&acme, &response("b", None)).await.unwrap();
        let swap = "UPDATE response SET sealed = $1 WHERE id = 'b'";
        match &fresh.database {
            Database::Postgres(pool) => {
                sqlx::query(swap).bind(&sealed).execute(pool).await.unwrap();
            }
            Database::Sqlite(pool) => {
                sqlx::query(swap).bind(&sealed).execute(pool).await.unwrap();
            }
        }
        let found = store.find(&acme, "b", noon()).await;
        assert!(matches!(found, Err(StoreFailure::Damaged(_))), "{found:?}");
    }
}
