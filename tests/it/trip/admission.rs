//! Who is let in.

use chrono::TimeDelta;
use dragoman::{
    kernel::clock::{Clock, SystemClock},
    tenant::admin::TenantAdmin,
};
use serde_json::{Value, json};

use super::{chat, messages};
use crate::support::{
    gateway::{KEY, TestGateway},
    http::Request,
};

const GEMINI: &str = r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#;
const WRONG: &str = "sk-wrong-0123456789-abcdefgh";

/// Every inference path, with a body for those that take one, and whether its dialect is Messages.
fn paths() -> Vec<(&'static str, Option<String>, bool)> {
    vec![
        ("/v1/chat/completions", Some(chat("smart")), false),
        ("/chat/v1/chat/completions", Some(chat("smart")), false),
        ("/v1/messages", Some(messages("wise")), true),
        ("/anthropic/v1/messages", Some(messages("wise")), true),
        ("/v1/messages/count_tokens", Some(messages("wise").replace(r#""max_tokens":100,"#, "")), true),
        ("/v1/responses", Some(json!({"model": "smart", "input": "hi"}).to_string()), false),
        ("/v1beta/models/smart:generateContent", Some(GEMINI.to_owned()), false),
        ("/v1/models", None, false),
        ("/v1beta/models", None, false),
        ("/v1/models/smart", None, false),
    ]
}

/// A request on a path with a key in each form.
fn in_every_form(path: &str, body: Option<&String>, key: &str) -> Vec<Request> {
    let plain = |path: &str| match body {
        Some(body) => Request::post(path, body.clone()),
        None => Request::get(path),
    };
    vec![
        plain(path).bearer(key),
        plain(path).header("x-api-key", key),
        plain(path).header("x-goog-api-key", key),
        plain(&format!("{path}?key={key}")),
    ]
}

fn assert_refused(status: u16, body: &Value, is_messages: bool) {
    assert_eq!(status, 401, "{body}");
    if is_messages {
        assert_eq!(
            (&body["type"], &body["error"]["type"]),
            (&"error".into(), &"authentication_error".into())
        );
        assert!(body["request_id"].is_string());
    } else {
        let told = [&body["error"]["code"], &body["error"]["status"]];
        assert!(told[0] == "invalid_api_key" || told[1] == "UNAUTHENTICATED", "{body}");
    }
    assert!(!body.to_string().contains(WRONG));
}

#[tokio::test]
async fn a_key_is_good_in_every_form_on_every_path() {
    let gateway = TestGateway::with_both("").await;
    for (path, body, _) in paths() {
        for request in in_every_form(path, body.as_ref(), KEY) {
            let mut reply = gateway.send(&request).await;
            let text = reply.text().await;
            assert_eq!(reply.status, 200, "{path}: {text}");
            assert!(reply.header("x-dragoman-request-id").is_some());
        }
    }
    for entry in gateway.log().await {
        assert!(
            ["1111", "2222"].contains(&entry["credential"].as_str().unwrap()),
            "no client's key goes upstream"
        );
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_wrong_key_is_refused_in_the_dialect_of_the_path_before_the_body_is_read() {
    for (path, body, is_messages) in paths() {
        let gateway = TestGateway::with_both("").await;
        for request in in_every_form(path, body.as_ref().map(|_| String::new()).as_ref(), WRONG) {
            // The body is announced and never comes.
            let mut reply = request.send_claiming(gateway.address(), 1_000_000).await;
            let told = reply.json().await;
            // Without a dialect of its own a path answers as the headers look.
            let looks_messages = body.is_none() && told["type"] == "error";
            assert_refused(reply.status, &told, is_messages || looks_messages);
        }
        let mut reply = gateway.send(&Request::get(path).header("authorization", "Basic abc")).await;
        assert!(matches!(reply.status, 401 | 405), "{path}: {}", reply.text().await);
        assert!(gateway.log().await.is_empty() && gateway.attempts().await.is_empty());
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once_and_an_expired_one_too() {
    let mut gateway = TestGateway::with_both("").await;
    let foundation = gateway.gateway.foundation().clone();
    let admin =
        TenantAdmin { repository: &*foundation.tenants, clock: &SystemClock, hasher: &foundation.hasher };
    let tenant = admin.create_tenant("acme").await.unwrap();
    let (_, revoked) = admin.create_key("acme", "one", None).await.unwrap();
    let (expiring, expired) =
        admin.create_key("acme", "two", Some(SystemClock.now() + TimeDelta::hours(1))).await.unwrap();
    gateway.gateway.refresh_keys().await;
    let ask = |key: &str| Request::post("/v1/messages", messages("wise")).header("x-api-key", key);
    for key in [&revoked, &expired] {
        assert_eq!(gateway.send(&ask(key.reveal())).await.status, 200);
    }
    assert!(gateway.attempts().await.iter().all(|it| it.intent.tenant == tenant.id));

    admin.revoke_key("acme", "one").await.unwrap();
    let past = Some(SystemClock.now() - TimeDelta::seconds(1));
    foundation.tenants.set_key_expiry(tenant.id, expiring.id, past).await.unwrap();
    gateway.gateway.refresh_keys().await;
    for (key, why) in [(&revoked, "disabled"), (&expired, "expired")] {
        let mut reply = gateway.send(&ask(key.reveal())).await;
        let told = reply.json().await;
        assert_refused(reply.status, &told, true);
        assert!(told["error"]["message"].as_str().unwrap().contains(why), "{told}");
    }
    assert_eq!(gateway.messages(messages("wise")).await.status, 200, "other keys go on");
    gateway.stop().await;
}

#[tokio::test]
async fn whoever_tries_many_wrong_keys_is_slowed_down_while_good_keys_pass() {
    let gateway = TestGateway::with_both("").await;
    let wrong = Request::post("/v1/messages", messages("wise")).bearer(WRONG);
    for _ in 0..20 {
        assert_eq!(gateway.send(&wrong).await.status, 401);
    }
    let mut reply = gateway.send(&wrong).await;
    assert_eq!(reply.status, 429);
    assert_eq!(reply.header("retry-after"), Some("60"));
    assert_eq!(reply.json().await["error"]["type"], "rate_limit_error");
    assert_eq!(gateway.messages(messages("wise")).await.status, 200);
    gateway.stop().await;
}

#[tokio::test]
async fn what_is_no_request_is_refused_in_the_dialect_of_the_path() {
    let gateway =
        TestGateway::start(&format!("server: {{ body-limit: 1KiB }}\n{}", crate::support::gateway::BOTH), "")
            .await;
    for (path, body, _) in paths().into_iter().filter(|it| it.1.is_some()) {
        let body = body.unwrap();
        for (broken, status) in [
            ("{".to_owned(), 400),
            ("[]".to_owned(), 400),
            ("{}".to_owned(), 400),
            (body.replacen('{', r#"{"model":"other","#, 1), 400),
            (body.replace("smart", "unheard-of").replace("wise", "unheard-of"), 404),
            (" ".repeat(2000), 413),
        ] {
            let path = if status == 404 { path.replace("smart", "unheard-of") } else { path.to_owned() };
            let mut reply = gateway.post(&path, broken.clone()).await;
            let told = reply.json().await;
            assert_eq!(reply.status, status, "{path} {broken}: {told}");
            assert_eq!(told["type"] == "error", path.contains("messages"), "{path}: {told}");
            assert!(told["error"]["message"].is_string(), "{told}");
        }
        let mut reply = gateway.get(path).await;
        assert_eq!((reply.status, reply.header("allow").map(str::to_owned)), (405, Some("POST".to_owned())));
        assert!(reply.json().await["error"].is_object());
    }
    assert!(gateway.attempts().await.is_empty());
    gateway.stop().await;
}
