//! What every `TenantRepository` must do.

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use dragoman::{
    kernel::id::{TenantId, TenantKeyId},
    storage::SqlTenants,
    tenant::{KeyHash, LossPolicy, RepositoryError, Source, Tenant, TenantKey, TenantRepository},
};

fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 1, 2, 12, 0, 0).unwrap() + TimeDelta::microseconds(123_456)
}

fn tenant(name: &str) -> Tenant {
    Tenant {
        id: TenantId::new(),
        name: name.to_owned(),
        enabled: true,
        source: Source::Database,
        losses: None,
        created_at: noon(),
    }
}

fn key(tenant: &Tenant, name: &str, hash: u8) -> TenantKey {
    TenantKey {
        id: TenantKeyId::new(),
        tenant: tenant.id,
        name: name.to_owned(),
        hash: KeyHash([hash; 32]),
        hint: format!("sk-dgm-{name}…"),
        enabled: true,
        source: Source::Database,
        losses: None,
        created_at: noon(),
        expires_at: None,
        last_used_at: None,
    }
}

fn declared(name: &str) -> Tenant {
    Tenant { id: TenantId::declared(name), source: Source::File, ..tenant(name) }
}

fn declared_key(tenant: &Tenant, name: &str, hash: u8) -> TenantKey {
    let id = TenantKeyId::declared(&format!("{}/{name}", tenant.name));
    TenantKey { id, source: Source::File, ..key(tenant, name, hash) }
}

fn assert_exists(outcome: &Result<(), RepositoryError>, name: &str) {
    assert!(matches!(outcome, Err(RepositoryError::Exists(it)) if it == name), "{outcome:?}");
}

fn assert_missing(outcome: &Result<(), RepositoryError>) {
    assert!(matches!(outcome, Err(RepositoryError::NotFound(_))), "{outcome:?}");
}

/// Every key as `tenant/key`, with a mark if it may not call.
async fn callers(repository: &SqlTenants) -> Vec<String> {
    let mut callers: Vec<String> = repository
        .load_keys()
        .await
        .unwrap()
        .into_iter()
        .map(|(tenant, key)| {
            let mark = if tenant.enabled && key.enabled { "" } else { " disabled" };
            format!("{}/{}{mark}", tenant.name, key.name)
        })
        .collect();
    callers.sort();
    callers
}

contract! {
    async fn what_is_created_is_found_whole(fresh: &TestDatabase) {
        let repository = SqlTenants::new(fresh.database.clone());
        let acme = tenant("acme");
        let key = TenantKey {
            expires_at: Some(noon() + TimeDelta::days(1)),
            last_used_at: Some(noon() + TimeDelta::hours(1)),
            ..key(&acme, "ci", 1)
        };
        repository.create_tenant(&acme).await.unwrap();
        repository.create_key(&key).await.unwrap();
        assert_eq!(repository.find_tenant("acme").await.unwrap(), Some(acme.clone()));
        assert_eq!(repository.find_key(acme.id, "ci").await.unwrap(), Some(key.clone()));
        assert_eq!(repository.load_keys().await.unwrap(), [(acme.clone(), key)]);
        assert_eq!(repository.find_tenant("Acme").await.unwrap(), None);
        assert_eq!(repository.find_key(acme.id, "other").await.unwrap(), None);
    }

    async fn a_policy_on_losses_is_kept_and_taken_away_again(fresh: &TestDatabase) {
        let repository = SqlTenants::new(fresh.database.clone());
        let acme = Tenant { losses: Some(LossPolicy::Quiet), ..tenant("acme") };
        let ci = TenantKey { losses: Some(LossPolicy::Strict), ..key(&acme, "ci", 1) };
        repository.create_tenant(&acme).await.unwrap();
        repository.create_key(&ci).await.unwrap();
        assert_eq!(repository.load_keys().await.unwrap(), [(acme.clone(), ci.clone())]);
        let before = repository.revision().await.unwrap();
        repository.set_tenant_losses(acme.id, Some(LossPolicy::Warn)).await.unwrap();
        repository.set_key_losses(acme.id, ci.id, None).await.unwrap();
        assert!(repository.revision().await.unwrap() > before);
        assert_eq!(repository.find_tenant("acme").await.unwrap().unwrap().losses, Some(LossPolicy::Warn));
        assert_eq!(repository.find_key(acme.id, "ci").await.unwrap().unwrap().losses, None);
        assert_missing(&repository.set_tenant_losses(TenantId::new(), None).await);
        assert_missing(&repository.set_key_losses(TenantId::new(), ci.id, None).await);
        let declared = declared("file");
        repository.sync_declared(std::slice::from_ref(&declared), &[]).await.unwrap();
        let strict = Tenant { losses: Some(LossPolicy::Strict), ..declared };
        repository.sync_declared(&[strict], &[]).await.unwrap();
        assert_eq!(repository.find_tenant("file").await.unwrap().unwrap().losses, Some(LossPolicy::Strict));
    }

    async fn lists_are_by_name_and_of_one_tenant(fresh: &TestDatabase) {
        let repository = SqlTenants::new(fresh.database.clone());
        let (zoo, acme) = (tenant("zoo"), tenant("acme"));
        for it in [&zoo, &acme] {
            repository.create_tenant(it).await.unwrap();
        }
        let keys = [key(&acme, "z", 1), key(&acme, "a", 2), key(&zoo, "m", 3)];
        for it in &keys {
            repository.create_key(it).await.unwrap();
        }
        assert_eq!(repository.list_tenants().await.unwrap(), [acme.clone(), zoo]);
        assert_eq!(repository.list_keys(acme.id).await.unwrap(), [keys[1].clone(), keys[0].clone()]);
    }

    async fn a_name_is_taken_once(fresh: &TestDatabase) {
        let repository = SqlTenants::new(fresh.database.clone());
        let (acme, zoo) = (tenant("acme"), tenant("zoo"));
        repository.create_tenant(&acme).await.unwrap();
        repository.create_tenant(&zoo).await.unwrap();
        assert_exists(&repository.create_tenant(&tenant("acme")).await, "acme");
        repository.create_key(&key(&acme, "ci", 1)).await.unwrap();
        assert_exists(&repository.create_key(&key(&acme, "ci", 2)).await, "ci");
        repository.create_key(&key(&zoo, "ci", 2)).await.unwrap();
    }

    async fn a_key_works_for_one_tenant_at_a_time(fresh: &TestDatabase) {
        let repository = SqlTenants::new(fresh.database.clone());
        let (acme, zoo) = (tenant("acme"), tenant("zoo"));
        repository.create_tenant(&acme).await.unwrap();
        repository.create_tenant(&zoo).await.unwrap();
        let first = key(&acme, "ci", 1);
        let second = TenantKey { enabled: false, ..key(&zoo, "ci", 1) };
        repository.create_key(&first).await.unwrap();
        assert_exists(&repository.create_key(&key(&zoo, "copy", 1)).await, "copy");
        repository.create_key(&second).await.unwrap();
        assert_exists(
            &repository.set_key_enabled(zoo.id, second.id, true).await,
            &second.id.to_string(),
        );
        repository.set_key_enabled(acme.id, first.id, false).await.unwrap();
        repository.set_key_enabled(zoo.id, second.id, true).await.unwrap();
    }

    async fn a_key_needs_its_tenant(fresh: &TestDatabase) {
        let repository = SqlTenants::new(fresh.database.clone());
        assert_missing(&repository.create_key(&key(&tenant("nobody"), "ci", 1)).await);
    }

    async fn changes_reach_their_row_only(fresh: &TestDatabase) {
        let repository = SqlTenants::new(fresh.database.clone());
        let acme = tenant("acme");
        let (one, two) = (key(&acme, "one", 1), key(&acme, "two", 2));
        repository.create_tenant(&acme).await.unwrap();
        repository.create_key(&one).await.unwrap();
        repository.create_key(&two).await.unwrap();
        let end = Some(noon() + TimeDelta::days(3));
        repository.set_key_enabled(acme.id, one.id, false).await.unwrap();
        repository.set_key_expiry(acme.id, one.id, end).await.unwrap();
        let changed = TenantKey { enabled: false, expires_at: end, ..one };
        assert_eq!(repository.list_keys(acme.id).await.unwrap(), [changed.clone(), two]);
        repository.set_key_expiry(acme.id, changed.id, None).await.unwrap();
        assert_eq!(repository.find_key(acme.id, "one").await.unwrap().unwrap().expires_at, None);
        repository.set_tenant_enabled(acme.id, false).await.unwrap();
        assert!(!repository.find_tenant("acme").await.unwrap().unwrap().enabled);
    }

    async fn a_key_is_not_changed_through_another_tenant(fresh: &TestDatabase) {
        let repository = SqlTenants::new(fresh.database.clone());
        let (acme, zoo) = (tenant("acme"), tenant("zoo"));
        let kept = key(&acme, "ci", 1);
        repository.create_tenant(&acme).await.unwrap();
        repository.create_tenant(&zoo).await.unwrap();
        repository.create_key(&kept).await.unwrap();
        assert_missing(&repository.set_key_enabled(zoo.id, kept.id, false).await);
        assert_missing(&repository.set_key_expiry(zoo.id, kept.id, Some(noon())).await);
        let new = key(&zoo, "ci", 2);
        assert_missing(&repository.replace_key(zoo.id, kept.id, "old", noon(), &new).await);
        assert_missing(&repository.set_tenant_enabled(TenantId::new(), false).await);
        assert_eq!(repository.load_keys().await.unwrap(), [(acme, kept)]);
    }

    async fn a_replaced_key_goes_on_under_its_other_name(fresh: &TestDatabase) {
        let repository = SqlTenants::new(fresh.database.clone());
        let acme = tenant("acme");
        let (old, new) = (key(&acme, "ci", 1), key(&acme, "ci", 2));
        repository.create_tenant(&acme).await.unwrap();
        repository.create_key(&old).await.unwrap();
        repository.replace_key(acme.id, old.id, "ci (rotated)", noon(), &new).await.unwrap();
        let retired = TenantKey { name: "ci (rotated)".to_owned(), expires_at: Some(noon()), ..old };
        assert_eq!(repository.list_keys(acme.id).await.unwrap(), [new, retired]);
    }

    async fn a_replacement_that_fails_leaves_the_old_key_as_it_was(fresh: &TestDatabase) {
        let repository = SqlTenants::new(fresh.database.clone());
        let acme = tenant("acme");
        let (old, other) = (key(&acme, "ci", 1), key(&acme, "other", 2));
        repository.create_tenant(&acme).await.unwrap();
        repository.create_key(&old).await.unwrap();
        repository.create_key(&other).await.unwrap();
        let before = repository.revision().await.unwrap();
        let clash = key(&acme, "other", 3);
        assert_exists(&repository.replace_key(acme.id, old.id, "ci (rotated)", noon(), &clash).await, "other");
        assert_eq!(repository.list_keys(acme.id).await.unwrap(), [old, other]);
        assert_eq!(repository.revision().await.unwrap(), before);
    }

    async fn the_revision_grows_with_every_change_and_only_then(fresh: &TestDatabase) {
        let repository = SqlTenants::new(fresh.database.clone());
        let acme = tenant("acme");
        let ci = key(&acme, "ci", 1);
        let mut revisions = vec![repository.revision().await.unwrap()];
        repository.create_tenant(&acme).await.unwrap();
        revisions.push(repository.revision().await.unwrap());
        repository.create_key(&ci).await.unwrap();
        revisions.push(repository.revision().await.unwrap());
        repository.set_key_enabled(acme.id, ci.id, false).await.unwrap();
        revisions.push(repository.revision().await.unwrap());
        repository.set_tenant_enabled(acme.id, false).await.unwrap();
        revisions.push(repository.revision().await.unwrap());
        assert!(revisions.is_sorted_by(|before, after| before < after), "{revisions:?}");
        repository.touch_keys(&[(ci.id, noon())]).await.unwrap();
        assert_exists(&repository.create_tenant(&tenant("acme")).await, "acme");
        assert_eq!(repository.revision().await.unwrap(), revisions[4]);
    }

    async fn another_process_sees_a_change(fresh: &TestDatabase) {
        let here = SqlTenants::new(fresh.database.clone());
        let there_database = fresh.open_again().await;
        let there = SqlTenants::new(there_database.clone());
        let before = there.revision().await.unwrap();
        here.create_tenant(&tenant("acme")).await.unwrap();
        assert!(there.revision().await.unwrap() > before);
        assert!(there.find_tenant("acme").await.unwrap().is_some());
        there_database.close().await;
    }

    async fn declared_ones_are_added_updated_and_disabled_when_gone(fresh: &TestDatabase) {
        let repository = SqlTenants::new(fresh.database.clone());
        let (acme, zoo) = (declared("acme"), declared("zoo"));
        let (ci, dev, ape) =
            (declared_key(&acme, "ci", 1), declared_key(&acme, "dev", 2), declared_key(&zoo, "ape", 3));
        let (tenants, keys) = ([acme.clone(), zoo.clone()], [ci.clone(), dev.clone(), ape]);
        repository.sync_declared(&tenants, &keys).await.unwrap();
        assert_eq!(callers(&repository).await, ["acme/ci", "acme/dev", "zoo/ape"]);

        let new_ci = TenantKey { hash: KeyHash([9; 32]), hint: "new…".to_owned(), ..ci };
        repository.sync_declared(std::slice::from_ref(&acme), std::slice::from_ref(&new_ci)).await.unwrap();
        assert_eq!(callers(&repository).await, ["acme/ci", "acme/dev disabled", "zoo/ape disabled"]);
        assert_eq!(repository.find_key(acme.id, "ci").await.unwrap(), Some(new_ci));
        assert!(!repository.find_tenant("zoo").await.unwrap().unwrap().enabled);

        repository.sync_declared(&tenants, &keys).await.unwrap();
        assert_eq!(callers(&repository).await, ["acme/ci", "acme/dev", "zoo/ape"]);
    }

    async fn declaring_the_same_again_changes_nothing(fresh: &TestDatabase) {
        let repository = SqlTenants::new(fresh.database.clone());
        let acme = declared("acme");
        let ci = declared_key(&acme, "ci", 1);
        repository.sync_declared(std::slice::from_ref(&acme), std::slice::from_ref(&ci)).await.unwrap();
        repository.touch_keys(&[(ci.id, noon())]).await.unwrap();
        let before = repository.revision().await.unwrap();
        let later = TenantKey { created_at: noon() + TimeDelta::days(1), ..ci.clone() };
        repository.sync_declared(std::slice::from_ref(&acme), &[later]).await.unwrap();
        assert_eq!(repository.revision().await.unwrap(), before);
        let kept = repository.find_key(acme.id, "ci").await.unwrap().unwrap();
        assert_eq!((kept.created_at, kept.last_used_at), (noon(), Some(noon())));
    }

    async fn a_declared_key_may_be_renamed_and_two_may_swap_names(fresh: &TestDatabase) {
        let repository = SqlTenants::new(fresh.database.clone());
        let acme = declared("acme");
        let tenants = std::slice::from_ref(&acme);
        let keys = [declared_key(&acme, "a", 1), declared_key(&acme, "b", 2)];
        repository.sync_declared(tenants, &keys).await.unwrap();
        let swapped = [declared_key(&acme, "a", 2), declared_key(&acme, "b", 1)];
        repository.sync_declared(tenants, &swapped).await.unwrap();
        assert_eq!(repository.find_key(acme.id, "a").await.unwrap().unwrap().hash, KeyHash([2; 32]));
        repository.sync_declared(tenants, &[declared_key(&acme, "c", 2)]).await.unwrap();
        assert_eq!(callers(&repository).await, ["acme/a disabled", "acme/b disabled", "acme/c"]);
    }

    async fn a_declared_name_that_the_database_manages_is_refused_and_nothing_changes(fresh: &TestDatabase) {
        let repository = SqlTenants::new(fresh.database.clone());
        let managed = tenant("acme");
        repository.create_tenant(&managed).await.unwrap();
        repository.create_key(&key(&managed, "ci", 1)).await.unwrap();
        let zoo = declared("zoo");
        repository.sync_declared(std::slice::from_ref(&zoo), &[]).await.unwrap();
        assert_exists(&repository.sync_declared(&[declared("new"), declared("acme")], &[]).await, "acme");
        assert!(repository.find_tenant("zoo").await.unwrap().unwrap().enabled);
        assert!(repository.find_tenant("new").await.unwrap().is_none());
        assert_eq!(repository.find_tenant("acme").await.unwrap(), Some(managed));
    }

    async fn keys_of_the_database_live_beside_declared_ones(fresh: &TestDatabase) {
        let repository = SqlTenants::new(fresh.database.clone());
        let acme = declared("acme");
        let tenants = std::slice::from_ref(&acme);
        repository.sync_declared(tenants, &[declared_key(&acme, "ci", 1)]).await.unwrap();
        repository.create_key(&key(&acme, "managed", 2)).await.unwrap();
        repository.sync_declared(tenants, &[]).await.unwrap();
        assert_eq!(callers(&repository).await, ["acme/ci disabled", "acme/managed"]);
        assert_exists(&repository.sync_declared(tenants, &[declared_key(&acme, "managed", 3)]).await, "managed");
        repository.sync_declared(&[], &[]).await.unwrap();
        assert_eq!(callers(&repository).await, ["acme/ci disabled", "acme/managed disabled"]);
    }

    async fn the_last_use_only_moves_forward(fresh: &TestDatabase) {
        let repository = SqlTenants::new(fresh.database.clone());
        let acme = tenant("acme");
        let (one, two) = (key(&acme, "one", 1), key(&acme, "two", 2));
        repository.create_tenant(&acme).await.unwrap();
        repository.create_key(&one).await.unwrap();
        repository.create_key(&two).await.unwrap();
        let later = noon() + TimeDelta::seconds(1);
        repository.touch_keys(&[(two.id, later), (one.id, noon())]).await.unwrap();
        repository.touch_keys(&[(two.id, noon()), (TenantKeyId::new(), noon())]).await.unwrap();
        repository.touch_keys(&[]).await.unwrap();
        assert_eq!(repository.find_key(acme.id, "one").await.unwrap().unwrap().last_used_at, Some(noon()));
        assert_eq!(repository.find_key(acme.id, "two").await.unwrap().unwrap().last_used_at, Some(later));
    }

    async fn writers_side_by_side_wait_for_each_other(fresh: &TestDatabase) {
        let there_database = fresh.open_again().await;
        let repositories = [SqlTenants::new(fresh.database.clone()), SqlTenants::new(there_database.clone())];
        let before = repositories[0].revision().await.unwrap();
        let tenants: Vec<Tenant> = (0..40).map(|number| tenant(&format!("tenant-{number}"))).collect();
        let writes = tenants.iter().zip(repositories.iter().cycle()).map(|(it, at)| at.create_tenant(it));
        for outcome in futures::future::join_all(writes).await {
            outcome.unwrap();
        }
        assert_eq!(repositories[1].list_tenants().await.unwrap().len(), 40);
        assert_eq!(repositories[1].revision().await.unwrap(), before + 40);
        there_database.close().await;
    }
}
