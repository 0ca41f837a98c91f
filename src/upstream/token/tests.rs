//! Tokens, from a transport that plays Google.

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose};
use chrono::TimeZone as _;
use futures::{StreamExt as _, stream};
use http::Response;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::*;
use crate::{
    catalog::UpstreamName,
    credential::Outcome,
    kernel::{clock::ManualClock, id::CredentialId},
    upstream::{
        Operation, Place, Tried, UpstreamSpec, kinds,
        transport::{ByteStream, SendOptions, TransportError},
    },
};

const SERVICE: &str = include_str!("../../../tests/fixtures/google/service-account.json");
const PUBLIC: &str = include_str!("../../../tests/fixtures/google/public-key.base64");
const USER: &str =
    r#"{"type":"authorized_user","client_id":"id","client_secret":"hush-hush","refresh_token":"1//again"}"#;

/// Answers each request with the next of its answers, the last one again and again; keeps what it was sent.
struct Google {
    answers: Mutex<Vec<(u16, Value)>>,
    asked: Mutex<Vec<(String, Bytes)>>,
    /// One permit for each answer it may give.
    gate: Semaphore,
}

#[async_trait]
impl Transport for Google {
    async fn send(
        &self,
        request: Request<Pieces>,
        _: &SendOptions,
    ) -> Result<Response<ByteStream>, TransportError> {
        self.asked.lock().push((request.uri().to_string(), request.body().whole()));
        self.gate.acquire().await.unwrap().forget();
        let mut answers = self.answers.lock();
        let (status, body) = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        let body = Bytes::from(body.to_string());
        let mut response = Response::new(stream::iter([Ok(body)]).boxed());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        Ok(response)
    }
}

struct Stage {
    google: Arc<Google>,
    clock: Arc<ManualClock>,
    tokens: Tokens,
    upstream: Upstream,
}

fn token(name: &str, life: u64) -> (u16, Value) {
    (200, json!({"access_token": name, "expires_in": life, "token_type": "Bearer"}))
}

fn stage(answers: &[(u16, Value)], permits: usize) -> Stage {
    let google = Arc::new(Google {
        answers: Mutex::new(answers.to_vec()),
        asked: Mutex::default(),
        gate: Semaphore::new(permits),
    });
    let clock = Arc::new(ManualClock::at(Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0).unwrap()));
    let mut spec = UpstreamSpec::new(UpstreamName::new("u"), kinds::find("vertex").unwrap());
    spec.place = Some(Place::new("p", "global").unwrap());
    Stage {
        tokens: Tokens::new(Arc::clone(&google) as _, Arc::clone(&clock) as _),
        google,
        clock,
        upstream: Upstream::new(spec).unwrap(),
    }
}

impl Stage {
    async fn present(&self, secret: &str) -> Result<String, TokenError> {
        let credential = credential(secret);
        let shown = self.tokens.present(&self.upstream, &credential).await?;
        Ok(shown.secret.expose_secret().to_owned())
    }

    fn asked(&self) -> usize {
        self.google.asked.lock().len()
    }
}

fn credential(secret: &str) -> Credential {
    Credential {
        id: CredentialId::declared("c"),
        upstream: UpstreamName::new("u"),
        name: "c".into(),
        secret: secret.to_owned().into(),
        priority: 0,
        weight: 1,
        proxy_url: None,
        models: Vec::new(),
        excluded_models: Vec::new(),
        enabled: true,
        declared: true,
    }
}

#[tokio::test]
async fn a_service_account_signs_who_it_is() {
    let stage = stage(&[token("t1", 3600)], 1);
    assert_eq!(stage.present(SERVICE).await.unwrap(), "t1");
    let (uri, body) = stage.google.asked.lock()[0].clone();
    assert_eq!(uri, "https://oauth2.googleapis.com/token");
    let form: HashMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let (signed, signature) = form["assertion"].rsplit_once('.').unwrap();
    let decode = |it: &str| general_purpose::URL_SAFE_NO_PAD.decode(it).unwrap();
    let public = general_purpose::STANDARD.decode(PUBLIC.trim()).unwrap();
    ring::signature::UnparsedPublicKey::new(&ring::signature::RSA_PKCS1_2048_8192_SHA256, public)
        .verify(signed.as_bytes(), &decode(signature))
        .unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let header: Value = serde_json::from_slice(&decode(header)).unwrap();
    assert_eq!(header, json!({"typ": "JWT", "alg": "RS256", "kid": "made-for-tests-only"}));
    let claims: Value = serde_json::from_slice(&decode(claims)).unwrap();
    let iat = stage.clock.now().timestamp();
    let expected = json!({
        "iss": "gateway@test-project.iam.gserviceaccount.example",
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "aud": "https://oauth2.googleapis.com/token",
        "iat": iat,
        "exp": iat + 3600,
    });
    assert_eq!(claims, expected);
}

#[tokio::test]
async fn a_login_sends_what_it_was_given_for_the_next_time() {
    let stage = stage(&[token("t1", 3600)], 1);
    assert_eq!(stage.present(USER).await.unwrap(), "t1");
    let body = stage.google.asked.lock()[0].1.clone();
    assert_eq!(
        body,
        "grant_type=refresh_token&client_id=id&client_secret=hush-hush&refresh_token=1%2F%2Fagain"
    );
}

#[tokio::test]
async fn a_key_needs_no_token() {
    let stage = stage(&[token("t1", 3600)], 0);
    let gemini = UpstreamSpec::new(UpstreamName::new("u"), kinds::find("gemini").unwrap());
    let credential = credential("AIza-key");
    let gemini = Upstream::new(gemini).unwrap();
    let shown = stage.tokens.present(&gemini, &credential).await.unwrap();
    assert_eq!(shown.secret.expose_secret(), "AIza-key");
    assert_eq!(stage.asked(), 0);
}

#[tokio::test]
async fn of_a_hundred_who_want_a_token_one_asks() {
    let stage = stage(&[token("t1", 3600)], 1);
    let all = futures::future::join_all((0..100).map(|_| stage.present(SERVICE))).await;
    assert!(all.iter().all(|it| it.as_deref() == Ok("t1")));
    assert_eq!(stage.asked(), 1);
}

#[tokio::test]
async fn a_failure_is_told_to_all_who_waited_and_to_nobody_later() {
    let stage = stage(&[(503, json!({})), token("t2", 3600)], 0);
    let mut all = futures::future::join_all((0..100).map(|_| stage.present(SERVICE)));
    assert!(futures::poll!(&mut all).is_pending());
    stage.google.gate.add_permits(1);
    let all = all.await;
    assert!(all.iter().all(|it| *it == Err(TokenError::Failing(503))));
    assert_eq!(stage.asked(), 1);
    stage.google.gate.add_permits(1);
    assert_eq!(stage.present(SERVICE).await.unwrap(), "t2");
}

#[tokio::test]
async fn who_leaves_while_asking_leaves_the_place_to_the_next() {
    let stage = stage(&[token("t1", 3600)], 0);
    {
        let leaving = std::pin::pin!(stage.present(SERVICE));
        assert!(futures::poll!(leaving).is_pending());
    }
    stage.google.gate.add_permits(1);
    assert_eq!(stage.present(SERVICE).await.unwrap(), "t1");
    assert_eq!(stage.asked(), 2);
}

#[tokio::test]
async fn a_token_is_got_anew_before_its_end_while_the_old_one_serves() {
    let stage = stage(&[token("t1", 3600), token("t2", 3600)], 1);
    assert_eq!(stage.present(SERVICE).await.unwrap(), "t1");
    stage.clock.advance(TimeDelta::minutes(54));
    assert_eq!(stage.present(SERVICE).await.unwrap(), "t1");
    assert_eq!(stage.asked(), 1);
    stage.clock.advance(TimeDelta::minutes(2));
    let mut renewing = std::pin::pin!(stage.present(SERVICE));
    assert!(futures::poll!(&mut renewing).is_pending());
    assert_eq!(stage.present(SERVICE).await.unwrap(), "t1", "somebody asks already");
    assert_eq!(stage.asked(), 2);
    stage.google.gate.add_permits(1);
    assert_eq!(renewing.await.unwrap(), "t2");
    assert_eq!(stage.present(SERVICE).await.unwrap(), "t2");
}

#[tokio::test]
async fn an_old_token_serves_if_there_is_no_new_one_but_not_to_its_very_end() {
    let stage = stage(&[token("t1", 3600), (500, json!({}))], 9);
    assert_eq!(stage.present(SERVICE).await.unwrap(), "t1");
    stage.clock.advance(TimeDelta::minutes(57));
    assert_eq!(stage.present(SERVICE).await.unwrap(), "t1");
    stage.clock.advance(TimeDelta::seconds(160));
    assert_eq!(stage.present(SERVICE).await, Err(TokenError::Failing(500)));
}

#[tokio::test]
async fn a_token_that_was_refused_is_forgotten_unless_there_is_another() {
    let stage = stage(&[token("t1", 3600), token("t2", 3600)], 9);
    let credential = credential(SERVICE);
    let shown = stage.tokens.present(&stage.upstream, &credential).await.unwrap();
    stage.tokens.forget(&credential, &shown);
    assert_eq!(stage.present(SERVICE).await.unwrap(), "t2");
    stage.tokens.forget(&credential, &shown);
    assert_eq!(stage.present(SERVICE).await.unwrap(), "t2");
    assert_eq!(stage.asked(), 2);
}

#[tokio::test]
async fn an_account_that_is_refused_rests_and_the_client_hears_no_401() {
    let denied = json!({"error": "invalid_grant", "error_description": "someone@example.com is gone"});
    let stage = stage(&[(400, denied)], 1);
    let error = stage.present(SERVICE).await.unwrap_err();
    assert_eq!(error.to_string(), "the account is refused a token (`invalid_grant`)");
    let credential = credential(SERVICE);
    let model = crate::catalog::UpstreamModel::parse("m").unwrap();
    let judge = |error: &TokenError| {
        let operation = Operation::Generate;
        let tried = Tried { operation, model: &model, credential: &credential, now: stage.clock.now() };
        stage.upstream.judge(&error.failure(), &tried)
    };
    let verdict = judge(&error);
    assert_eq!(verdict.outcome, Outcome::Unauthorized);
    assert_eq!(verdict.error.kind, ErrorKind::UpstreamRefused);
    let verdict = judge(&TokenError::Failing(503));
    assert_eq!(verdict.outcome, Outcome::Failing { after: None });
}

#[tokio::test]
async fn what_an_account_signs_is_sent_to_nobody_else() {
    let stage = stage(&[token("t1", 3600)], 9);
    for uri in [
        "https://evil.example/token",
        "http://oauth2.googleapis.com/token",
        "https://googleapis.com.evil.example/t",
    ] {
        let account = SERVICE.replace("https://oauth2.googleapis.com/token", uri);
        assert_eq!(stage.present(&account).await, Err(TokenError::Elsewhere), "{uri}");
    }
    assert_eq!(stage.asked(), 0);
    let own = SERVICE.replace("https://oauth2", "https://aiplatform");
    assert_eq!(stage.present(&own).await.unwrap(), "t1");
}

#[test]
fn what_is_no_account_is_refused_without_being_repeated() {
    use InvalidAccount::{Form, Key, Missing, TokenUri, Type};
    let service: Value = serde_json::from_str(SERVICE).unwrap();
    let with = |name: &str, value: Value| {
        let mut account = service.clone();
        account[name] = value;
        account.to_string()
    };
    let rows = [
        ("AIzaSecretKey".to_owned(), Form),
        (r#"{"web":{}}"#.to_owned(), Form),
        (with("type", json!("external_account")), Type),
        (with("client_email", Value::Null), Missing("client_email")),
        (with("private_key", json!("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")), Key),
        (with("token_uri", json!("somewhere")), TokenUri),
        (
            r#"{"type":"authorized_user","client_id":"a","client_secret":"b"}"#.to_owned(),
            Missing("refresh_token"),
        ),
    ];
    for (json, expected) in rows {
        let error = Account::parse(&json).err();
        assert_eq!(error, Some(expected));
        assert!(!error.unwrap().to_string().contains("Secret"));
    }
    let key = service["private_key"].as_str().unwrap();
    assert!(Account::parse(&with("private_key", json!(key.replace('\n', "\\n")))).is_ok());
    assert!(Account::parse(&with("private_key", json!(key.replace('\n', "\r\n")))).is_ok());
}

#[test]
fn an_answer_says_how_long_its_token_lives() {
    let now = Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0).unwrap();
    let ends = |body: Value| {
        read(StatusCode::OK, body.to_string().as_bytes(), now).map(|it| (it.ends - now).num_seconds())
    };
    assert_eq!(ends(json!({"access_token": "t", "expires_in": 3599})), Ok(3599));
    assert_eq!(ends(json!({"access_token": "t"})), Ok(600));
    assert_eq!(ends(json!({"access_token": "t", "expires_in": u64::MAX})), Ok(12 * 3600));
    for body in [json!({}), json!({"access_token": " "}), json!("t")] {
        assert_eq!(ends(body), Err(TokenError::Unreadable));
    }
    let denied = json!({"error": "Someone <a@b>"}).to_string();
    let read = read(StatusCode::UNAUTHORIZED, denied.as_bytes(), now).err();
    assert_eq!(read, Some(TokenError::Refused(None)));
}
