//! What a translation cannot say: refused, told, or kept quiet, as request, key, tenant or configuration want it.

use serde_json::json;

use crate::support::{
    gateway::{BOTH, KEY, TestGateway},
    http::Request,
};

/// A question of which a Messages upstream cannot be told a tool that Chat's provider runs, nor `seed`.
fn asked() -> String {
    json!({
        "model": "wise",
        "seed": 7,
        "max_tokens": 10,
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [{"type": "code_interpreter", "container": {"type": "auto"}}],
    })
    .to_string()
}

fn request(policy: &str) -> Request {
    Request::post("/v1/chat/completions", asked()).bearer(KEY).header("x-dragoman-translation", policy)
}

#[tokio::test]
async fn a_strict_request_is_refused_before_anything_is_sent() {
    let gateway = TestGateway::with_both("").await;
    let mut reply = gateway.send(&request("strict")).await;
    let error = reply.json().await;
    assert_eq!(reply.status, 400, "{error}");
    assert_eq!(error["error"]["param"], "tools[0]");
    assert!(error["error"]["message"].as_str().unwrap().contains("x-dragoman-translation"), "{error}");
    assert!(gateway.log().await.is_empty());
    assert!(gateway.attempts().await.is_empty());
    gateway.stop().await;
}

#[tokio::test]
async fn bookkeeping_that_is_lost_is_no_reason_to_refuse() {
    let gateway = TestGateway::with_both("").await;
    let body =
        json!({"model": "wise", "metadata": {"a": "b"}, "messages": [{"role": "user", "content": "hi"}]});
    let request = Request::post("/v1/chat/completions", body.to_string()).bearer(KEY);
    let reply = gateway.send(&request.header("x-dragoman-translation", "strict")).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("x-dragoman-translation"), Some("dropped=/metadata; synthesized=/max_tokens"));
    gateway.stop().await;
}

#[tokio::test]
async fn a_quiet_request_is_answered_without_the_header() {
    let gateway = TestGateway::with_both("").await;
    let told = gateway.send(&request("warn")).await;
    assert_eq!((told.status, told.header("x-dragoman-translation")), (200, Some("dropped=/tools/0,/seed")));
    let quiet = gateway.send(&request("quiet")).await;
    assert_eq!((quiet.status, quiet.header("x-dragoman-translation")), (200, None));
    let mut wrong = gateway.send(&request("loud")).await;
    let error = wrong.json().await;
    assert_eq!(wrong.status, 400, "{error}");
    gateway.stop().await;
}

#[tokio::test]
async fn the_configuration_decides_and_a_key_goes_before_its_tenant() {
    let config = format!(
        "{BOTH}
routing: {{ losses: strict }}
tenants:
  - name: acme
    losses: quiet
    keys:
      - {{ name: quiet, key: sk-acme-quiet-0123456789 }}
      - {{ name: told, key: sk-acme-told-0123456789, losses: warn }}
"
    );
    let gateway = TestGateway::start(&config, "").await;
    let mut seen = Vec::new();
    for key in [KEY, "sk-acme-quiet-0123456789", "sk-acme-told-0123456789"] {
        let reply = gateway.send(&Request::post("/v1/chat/completions", asked()).bearer(key)).await;
        seen.push((reply.status, reply.header("x-dragoman-translation").is_some()));
    }
    assert_eq!(seen, [(400, false), (200, false), (200, true)]);
    gateway.stop().await;
}
