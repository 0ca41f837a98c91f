//! What a translation cannot say: refused, told, or kept quiet, as request, key, tenant or configuration want it.

use dragoman::usage::UsageRecord;
use serde_json::json;

use super::{chat, messages_stream};
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
    assert_eq!(
        reply.header("x-dragoman-translation"),
        Some("dropped=/metadata; synthesized=/max_completion_tokens")
    );
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

/// What an attempt's record says was lost: severity, what became of it, where.
fn recorded(row: &UsageRecord) -> Vec<(&str, &str, &str)> {
    let losses = row.intent.losses.as_deref().map_or(&[][..], |it| &it.kept);
    losses.iter().map(|it| (&*it.severity, &*it.action, it.at.as_str())).collect()
}

#[tokio::test]
async fn the_record_says_what_was_lost_and_quiet_is_for_the_client_alone() {
    for policy in ["warn", "quiet"] {
        let gateway = TestGateway::with_both("").await;
        assert_eq!(gateway.send(&request(policy)).await.status, 200);
        let row = gateway.attempt().await;
        assert_eq!(
            recorded(&row),
            [("semantic", "dropped", "/tools/0"), ("cosmetic", "dropped", "/seed")],
            "{policy}: {row:#?}"
        );
        let losses = row.intent.losses.unwrap();
        assert!(losses.left_out == 0 && losses.kept.iter().all(|it| !it.reason.is_empty()), "{losses:#?}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_request_that_is_told_as_it_stands_has_nothing_on_record() {
    let gateway = TestGateway::with_both("").await;
    gateway.chat(chat("smart")).await.bytes().await;
    gateway.messages(messages_stream("wise")).await.bytes().await;
    let attempts = gateway.attempts().await;
    assert_eq!(attempts.len(), 2);
    assert!(attempts.iter().all(|it| it.intent.losses.is_none()), "{attempts:#?}");
    gateway.stop().await;
}

#[tokio::test]
async fn each_attempt_has_the_losses_of_its_own_upstream() {
    let config = format!(
        "{BOTH}
aliases: [{{ name: best, targets: [claude/claude-sim, chat/gpt-sim] }}]
"
    );
    let failing = "rules: [{ name: down, when: { model: claude-sim }, reply: { error: { status: 529 } } }]";
    let gateway = TestGateway::start(&config, failing).await;
    let body =
        json!({"model": "best", "seed": 7, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    let reply = gateway.chat(body.to_string()).await;
    assert_eq!((reply.status, reply.header("x-dragoman-translation")), (200, None));
    let attempts = gateway.attempts().await;
    let told: Vec<_> = attempts.iter().map(|it| (it.intent.upstream.as_str(), recorded(it))).collect();
    assert_eq!(told, [("claude", vec![("cosmetic", "dropped", "/seed")]), ("chat", vec![])]);
    gateway.stop().await;
}

#[tokio::test]
async fn what_a_strict_request_would_have_lost_is_in_no_record_of_the_target_that_answers() {
    let config = format!(
        "{BOTH}
aliases: [{{ name: best, targets: [claude/claude-sim, chat/gpt-sim] }}]
"
    );
    let gateway = TestGateway::start(&config, "").await;
    let hi = [json!({"role": "user", "content": "hi"})];
    let body = json!({"model": "best", "frequency_penalty": 0.5, "messages": hi}).to_string();
    let asked = Request::post("/v1/chat/completions", body).bearer(KEY);
    let reply = gateway.send(&asked.header("x-dragoman-translation", "strict")).await;
    assert_eq!((reply.status, reply.header("x-dragoman-attempts")), (200, Some("2")));
    let row = gateway.attempt().await;
    assert_eq!((row.intent.number, row.intent.upstream.as_str()), (2, "chat"));
    assert_eq!(row.intent.losses, None);
    gateway.stop().await;
}
