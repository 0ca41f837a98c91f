//! How many tokens a request has.

use serde_json::json;

use super::messages;
use crate::support::gateway::{BOTH, TestGateway};

const PATH: &str = "/v1/messages/count_tokens";

fn question(model: &str) -> String {
    messages(model).replace(r#""max_tokens":100,"#, "")
}

#[tokio::test]
async fn an_upstream_that_counts_is_asked() {
    let gateway = TestGateway::with_both("").await;
    for path in [PATH, "/anthropic/v1/messages/count_tokens"] {
        let mut reply = gateway.post(path, question("wise")).await;
        let told = reply.json().await;
        assert_eq!(reply.status, 200, "{told}");
        assert!(told["input_tokens"].as_u64().unwrap() > 0);
        let log = gateway.log().await;
        assert_eq!(log.last().unwrap()["path"], "/v1/messages/count_tokens");
        assert_eq!(gateway.upstream_json(log.len()).await["model"], "claude-sim");
    }
    assert!(gateway.attempts().await.is_empty(), "a count costs nothing");
    gateway.idle().await;
    gateway.stop().await;
}

#[tokio::test]
async fn who_cannot_be_asked_is_estimated() {
    for (model, scenario) in [
        ("smart", String::new()),
        ("wise", "rules: [{ name: no, reply: { error: { status: 404 } } }]".to_owned()),
        ("wise", "rules: [{ name: no, reply: { error: { status: 500 } } }]".to_owned()),
        ("wise", "rules: [{ name: no, reply: { error: { status: 401 } } }]".to_owned()),
        ("wise", "rules: [{ name: no, reply: { error: { status: 429, retry-after: 9s } } }]".to_owned()),
    ] {
        let gateway = TestGateway::with_both(&scenario).await;
        let mut reply = gateway.post(PATH, question(model)).await;
        let told = reply.json().await;
        assert_eq!(reply.status, 200, "{scenario}: {told}");
        assert!(told["input_tokens"].as_u64().unwrap() > 0);
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_faulty_request_is_told_so() {
    let gateway = TestGateway::with_both("").await;
    let mut reply = gateway.post(PATH, question("wise").replace("user", "nobody")).await;
    let told = reply.json().await;
    assert_eq!((reply.status, &told["error"]["type"]), (400, &"invalid_request_error".into()), "{told}");
    gateway.stop().await;
}

#[tokio::test]
async fn ec_035_a_prompt_that_cannot_fit_is_refused_before_it_is_sent() {
    let config = format!("{BOTH}\nabilities: [{{ model: '*-sim', context-window: 1000 }}]");
    let gateway = TestGateway::start(&config, "").await;
    let long = "every word of this is one token or more ".repeat(400);
    for (path, model) in
        [("/v1/messages", "wise"), ("/v1/messages", "smart"), ("/v1/chat/completions", "smart")]
    {
        let body = json!({"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": long}]});
        let mut reply = gateway.post(path, body.to_string()).await;
        let error = reply.json().await;
        assert_eq!(reply.status, 400, "{error}");
        let message = error["error"]["message"].as_str().unwrap();
        assert!(
            message.starts_with("prompt is too long: ") && message.ends_with("> 1000 maximum"),
            "{message}"
        );
    }
    assert!(gateway.log().await.is_empty());
    assert_eq!(gateway.messages(messages("wise")).await.status, 200);
    gateway.stop().await;
}
