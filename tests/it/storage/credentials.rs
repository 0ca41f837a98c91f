//! The contract of `CredentialStore`, and the stores that keep it.

use std::{path::Path, sync::Arc};

use dragoman::{
    catalog::UpstreamName,
    credential::{
        Credential,
        store::{CredentialStore, Revision, StoreError},
    },
    kernel::id::CredentialId,
    storage::{Cipher, FileCredentials, SealingKey},
};
use futures::future::join_all;
use secrecy::ExposeSecret;

/// Two doors to one store, as two processes would have them.
struct Doors {
    one: Arc<dyn CredentialStore>,
    other: Arc<dyn CredentialStore>,
    _place: tempfile::TempDir,
}

fn file() -> Doors {
    let place = tempfile::tempdir().unwrap();
    let cipher = Arc::new(Cipher::new(&SealingKey::generate()));
    let open = |path: &Path| Arc::new(FileCredentials::open(path, cipher.clone()).unwrap());
    Doors { one: open(place.path()), other: open(place.path()), _place: place }
}

fn credential(name: &str) -> Credential {
    Credential {
        id: CredentialId::new(),
        upstream: UpstreamName::new("claude"),
        name: name.to_owned(),
        secret: format!("secret of {name}").into(),
        priority: -1,
        weight: 7,
        proxy_url: Some("direct".to_owned()),
        models: vec!["claude-*".to_owned()],
        excluded_models: vec!["*-preview".to_owned()],
        enabled: false,
        declared: false,
    }
}

async fn secret_of(store: &dyn CredentialStore, id: CredentialId) -> (String, Revision) {
    let holdings = store.list().await.unwrap();
    let stored = holdings.credentials.iter().find(|it| it.credential.id == id).unwrap();
    (stored.credential.secret.expose_secret().to_owned(), stored.revision)
}

#[tokio::test]
async fn what_is_put_is_listed_with_all_its_settings() {
    let doors = file();
    let (first, second) = (credential("first"), credential("second"));
    assert_eq!(doors.one.put(&first, None).await.unwrap(), Revision::FIRST);
    doors.one.put(&second, None).await.unwrap();
    let holdings = doors.other.list().await.unwrap();
    assert!(holdings.damaged.is_empty());
    let names: Vec<_> = holdings.credentials.iter().map(|it| it.credential.name.as_str()).collect();
    assert_eq!(names, ["first", "second"]);
    let kept = &holdings.credentials[0].credential;
    assert_eq!(kept.secret.expose_secret(), first.secret.expose_secret());
    assert_eq!((kept.id, &kept.upstream, kept.enabled), (first.id, &first.upstream, false));
    assert_eq!((kept.priority, kept.weight, &kept.proxy_url), (-1, 7, &first.proxy_url));
    assert_eq!((&kept.models, &kept.excluded_models), (&first.models, &first.excluded_models));
}

#[tokio::test]
async fn a_write_from_an_old_version_is_refused_and_changes_nothing() {
    let doors = file();
    let one = credential("one");
    let first = doors.one.put(&one, None).await.unwrap();
    let second = doors.other.replace_secret(one.id, first, &"newer".into()).await.unwrap();
    assert!(second > first);
    let late = [
        doors.one.replace_secret(one.id, first, &"older".into()).await,
        doors.one.put(&one, Some(first)).await,
        doors.one.put(&one, None).await,
    ];
    for outcome in late {
        assert!(matches!(outcome, Err(StoreError::Conflict { found: Some(found) }) if found == second));
    }
    assert_eq!(secret_of(&*doors.one, one.id).await, ("newer".to_owned(), second));
}

#[tokio::test]
async fn what_is_not_there_is_neither_changed_nor_removed() {
    let doors = file();
    let one = credential("one");
    let missing = doors.one.replace_secret(one.id, Revision::FIRST, &"x".into()).await;
    assert!(matches!(missing, Err(StoreError::NotFound(id)) if id == one.id));
    assert!(matches!(doors.one.remove(one.id).await, Err(StoreError::NotFound(_))));
    let resurrected = doors.one.put(&one, Some(Revision::FIRST)).await;
    assert!(matches!(resurrected, Err(StoreError::Conflict { found: None })));
}

#[tokio::test]
async fn a_removed_credential_is_gone_for_everybody() {
    let doors = file();
    let one = credential("one");
    doors.one.put(&one, None).await.unwrap();
    doors.other.remove(one.id).await.unwrap();
    assert!(doors.one.list().await.unwrap().credentials.is_empty());
}

#[tokio::test]
async fn every_change_shows_in_the_stamp_and_reading_does_not() {
    let doors = file();
    let one = credential("one");
    let mut stamps = vec![doors.one.stamp().await.unwrap()];
    let first = doors.other.put(&one, None).await.unwrap();
    stamps.push(doors.one.stamp().await.unwrap());
    doors.other.replace_secret(one.id, first, &"secret of 1ne".into()).await.unwrap();
    stamps.push(doors.one.stamp().await.unwrap());
    doors.other.remove(one.id).await.unwrap();
    let last = doors.one.stamp().await.unwrap();
    assert!(stamps.windows(2).all(|it| it[0] != it[1]) && stamps[2] != last);
    doors.one.list().await.unwrap();
    assert_eq!(doors.one.stamp().await.unwrap(), last);
}

#[tokio::test]
async fn of_32_writers_exactly_one_wins_each_version() {
    let doors = file();
    let one = credential("one");
    let mut revision = doors.one.put(&one, None).await.unwrap();
    for round in 0..4 {
        let attempts = (0..32).map(|writer| {
            let door = if writer % 2 == 0 { &doors.one } else { &doors.other };
            let secret = format!("{round}/{writer}");
            async move { (door.replace_secret(one.id, revision, &secret.as_str().into()).await, secret) }
        });
        let mut winners = Vec::new();
        for (outcome, secret) in join_all(attempts).await {
            match outcome {
                Ok(next) => winners.push((secret, next)),
                Err(error) => assert!(matches!(error, StoreError::Conflict { .. }), "{error:?}"),
            }
        }
        assert_eq!(winners.len(), 1, "round {round}");
        assert_eq!(secret_of(&*doors.other, one.id).await, winners[0]);
        revision = winners[0].1;
    }
}
