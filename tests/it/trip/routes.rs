//! Where a name leads.

use super::{chat, messages};
use crate::support::{
    gateway::{BOTH, KEY, TestGateway},
    http::Request,
};

const MANY: &str = "
upstreams:
  - name: chat
    kind: openai-compatible
    base-url: {sim}/v1
    proxy-url: direct
    prefix: team-a
    credentials: [{ name: one, api-key: sk-upstream-chat-1111 }]
    models: [{ name: gpt-sim, alias: smart }, { name: shared }, { name: secret-preview }]
    excluded-models: ['*-preview']
  - name: claude
    kind: anthropic
    base-url: {sim}
    proxy-url: direct
    credentials: [{ name: one, api-key: sk-upstream-claude-2222 }]
    models: [{ name: claude-sim }, { name: shared }]
aliases:
  - { name: best, targets: [claude/claude-sim, chat/gpt-sim] }
  - { name: 'claude-*-latest', targets: [claude/claude-sim] }
";

#[tokio::test]
async fn every_way_to_name_a_model_leads_where_it_should() {
    let gateway = TestGateway::start(MANY, "").await;
    let plain = |model: &str| Request::post("/v1/chat/completions", chat(model)).bearer(KEY);
    let on = |path: &str, model: &str| Request::post(path, chat(model)).bearer(KEY);
    for (request, upstream, model) in [
        (plain("gpt-sim"), "chat", "gpt-sim"),
        (plain("smart"), "chat", "gpt-sim"),
        (plain("best"), "claude", "claude-sim"),
        (plain("claude-opus-latest"), "claude", "claude-sim"),
        (plain("team-a/smart"), "chat", "gpt-sim"),
        (plain("chat/gpt-sim"), "chat", "gpt-sim"),
        (plain("claude/shared"), "claude", "shared"),
        (on("/claude/v1/chat/completions", "shared"), "claude", "shared"),
        (on("/team-a/v1/chat/completions", "shared"), "chat", "shared"),
        (on("/chat/v1/chat/completions", "best"), "chat", "gpt-sim"),
        (plain("shared").header("model-provider", "claude"), "claude", "shared"),
        (plain("shared").header("model-provider", "chat"), "chat", "shared"),
    ] {
        let mut reply = gateway.send(&request).await;
        let text = reply.text().await;
        assert_eq!(reply.status, 200, "{request:?}: {text}");
        assert_eq!(reply.header("x-dragoman-upstream"), Some(upstream), "{request:?}");
        assert_eq!(reply.header("x-dragoman-model"), Some(model), "{request:?}");
        assert_eq!(reply.header("x-dragoman-attempts"), Some("1"));
        assert_eq!(gateway.log().await.last().unwrap()["model"], model);
    }
    for request in [
        plain("secret-preview"),
        plain("chat/secret-preview"),
        plain("gpt-simm"),
        on("/claude/v1/chat/completions", "gpt-sim"),
        on("/nobody/v1/chat/completions", "shared"),
        plain("shared").header("model-provider", "nobody"),
    ] {
        let mut reply = gateway.send(&request).await;
        assert_eq!(reply.status, 404, "{request:?}");
        assert_eq!(reply.json().await["error"]["code"], "model_not_found");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn models_are_listed_in_both_shapes_and_can_all_be_called() {
    let gateway = TestGateway::start(MANY, "").await;
    let openai = gateway.get("/v1/models").await.json().await;
    assert_eq!(openai["object"], "list");
    let names: Vec<_> =
        openai["data"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect();
    assert!(names.contains(&"best".to_owned()) && names.contains(&"team-a/smart".to_owned()), "{names:?}");
    assert!(!names.iter().any(|it| it.contains("preview") || it.contains('*')), "{names:?}");
    for name in &names {
        let one = gateway.get(&format!("/v1/models/{name}")).await.json().await;
        assert_eq!(one["id"].as_str(), Some(name.as_str()));
        let mut reply = gateway.chat(chat(name)).await;
        let text = reply.text().await;
        assert_eq!(reply.status, 200, "{name}: {text}");
    }
    let asks = Request::get("/v1/models").header("x-api-key", KEY).header("anthropic-version", "2023-06-01");
    let anthropic = gateway.send(&asks).await.json().await;
    assert_eq!(anthropic["has_more"], false);
    let same: Vec<_> =
        anthropic["data"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(same, names);
    assert!(
        anthropic["data"]
            .as_array()
            .unwrap()
            .iter()
            .all(|it| it["type"] == "model" && it["display_name"].is_string())
    );
    assert_eq!(gateway.get("/v1/models/nobody").await.status, 404);
    assert_eq!(gateway.get("/anthropic/v1/models").await.json().await["has_more"], false);
    gateway.stop().await;
}

#[tokio::test]
async fn a_forced_prefix_is_forced() {
    let gateway = TestGateway::start(&format!("{MANY}\nrouting: {{ force-model-prefix: true }}"), "").await;
    assert_eq!(gateway.chat(chat("gpt-sim")).await.status, 404);
    assert_eq!(gateway.chat(chat("team-a/gpt-sim")).await.status, 200);
    assert_eq!(gateway.chat(chat("best")).await.status, 200, "an alias is the operator's own name");
    gateway.stop().await;
}

#[tokio::test]
async fn a_chain_of_fallbacks_is_gone_through_to_its_end() {
    let config =
        format!("{BOTH}\nrouting: {{ model-fallback: {{ claude-sim: gpt-missing, gpt-missing: gpt-sim }} }}")
            .replace("{ name: gpt-sim, alias: smart }", "{ name: gpt-missing }, { name: gpt-sim }");
    let scenario = "
rules:
  - { name: down, when: { model: claude-sim }, reply: { error: { status: 529 } } }
  - { name: missing, when: { model: gpt-missing }, reply: { error: { status: 404, code: model_not_found } } }
";
    let gateway = TestGateway::start(&config, scenario).await;
    let mut reply = gateway.messages(messages("claude-sim")).await;
    let told = reply.json().await;
    assert_eq!(reply.status, 200, "{told}");
    assert_eq!(reply.header("x-dragoman-attempts"), Some("3"));
    assert_eq!(reply.header("x-dragoman-model"), Some("gpt-sim"));
    assert_eq!(told["model"], "gpt-sim", "the client hears who answered");
    let asked: Vec<_> =
        gateway.log().await.iter().map(|it| it["model"].as_str().unwrap().to_owned()).collect();
    assert_eq!(asked, ["claude-sim", "gpt-missing", "gpt-sim"]);
    gateway.stop().await;
}

#[tokio::test]
async fn models_nobody_listed_are_asked_for_and_any_name_goes_until_then() {
    let config = BOTH.replace("    models: [{ name: gpt-sim, alias: smart }]\n", "");
    let mut gateway = TestGateway::start(&config, "models: [sim-1, sim-1-mini]").await;
    gateway.gateway.discovers().await;
    gateway.gateway.recompile().await.unwrap();
    let listed = gateway.get("/v1/models").await.text().await;
    assert!(listed.contains("sim-1-mini"), "{listed}");
    assert_eq!(gateway.chat(chat("sim-1-mini")).await.status, 200);
    gateway.stop().await;
}
