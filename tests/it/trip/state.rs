//! State that only its maker can read, over turns: it comes back to its maker, and to nobody else.

use serde_json::{Value, json};

use super::events;
use crate::support::{
    gateway::{BOTH, TestGateway},
    http::Request,
};

const CALL: &str = r#"Please call get_weather {"city":"Paris"}"#;
const OTHER_KEY: &str = "sk-another-tenants-own-key-0001";

/// `BOTH`, where the Messages model thinks within a budget, and another tenant.
fn thinking() -> String {
    format!(
        "{BOTH}\nabilities: [{{ model: claude-sim, thinking: budget }}]\n\
         tenants: [{{ name: zoo, keys: [{{ name: ci, key: {OTHER_KEY} }}] }}]\n"
    )
}

fn question(messages: &Value, stream: bool) -> String {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    json!({
        "model": "wise", "stream": stream, "reasoning_effort": "high", "messages": messages,
        "tools": [{"type": "function", "function": {"name": "get_weather", "parameters": schema}}],
    })
    .to_string()
}

/// The history after the call `id` was answered.
fn gone_on(id: &str) -> Value {
    json!([
        {"role": "user", "content": CALL},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": id, "type": "function", "function": {"name": "get_weather", "arguments": "{\"city\":\"Paris\"}"}},
        ]},
        {"role": "tool", "tool_call_id": id, "content": "22 degrees"},
    ])
}

#[tokio::test]
async fn ec_053_a_chat_client_s_tool_call_is_thought_on_with_its_signed_thoughts() {
    let gateway = TestGateway::start(&thinking(), "").await;
    for stream in [false, true] {
        let asked = question(&json!([{"role": "user", "content": CALL}]), stream);
        let mut reply = gateway.chat(asked).await;
        let text = reply.text().await;
        assert!(!text.contains("sim-signature"), "{text}");
        let id = if stream {
            let calls = events(&text);
            let mut calls = calls.iter().map(|it| &it["choices"][0]["delta"]["tool_calls"][0]["id"]);
            calls.find_map(Value::as_str).unwrap().to_owned()
        } else {
            let answer: Value = serde_json::from_str(&text).unwrap();
            answer["choices"][0]["message"]["tool_calls"][0]["id"].as_str().unwrap().to_owned()
        };
        let mut reply = gateway.chat(question(&gone_on(&id), stream)).await;
        let answer = reply.text().await;
        assert_eq!(reply.status, 200, "{answer}");
        let number = gateway.log().await.len();
        let asked = gateway.upstream_json(number).await;
        let said = &asked["messages"][1]["content"];
        assert_eq!(said[0]["type"], "thinking", "{asked}");
        assert!(said[0]["signature"].as_str().unwrap().starts_with("sim-signature-"), "{asked}");
        assert_eq!(said[1]["type"], "tool_use", "{asked}");

        // Another tenant that knows the id gets nothing of it.
        let theirs = Request::post("/v1/chat/completions", question(&gone_on(&id), stream)).bearer(OTHER_KEY);
        gateway.send(&theirs).await.text().await;
        let asked = gateway.upstream_json(number + 1).await;
        assert!(!asked.to_string().contains("sim-signature"), "{asked}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn ec_068_what_an_upstream_cannot_verify_is_left_out_once() {
    let gateway = TestGateway::start(&thinking(), "").await;
    for stream in [false, true] {
        let before = gateway.log().await.len();
        let body = json!({
            "model": "wise", "max_tokens": 4096, "stream": stream,
            "messages": [
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "Elsewhere.", "signature": "of-another-account"},
                    {"type": "text", "text": "Hello!"},
                ]},
                {"role": "user", "content": "Go on"},
            ],
        });
        let mut reply = gateway.messages(body.to_string()).await;
        let answer = reply.text().await;
        assert_eq!(reply.status, 200, "{answer}");
        assert_eq!(reply.header("x-dragoman-attempts"), Some("2"));
        assert_eq!(gateway.log().await.len(), before + 2);
        let first = gateway.upstream_json(before + 1).await;
        assert_eq!(first["messages"], body["messages"], "the first try is the client's own bytes");
        let second = gateway.upstream_json(before + 2).await;
        assert!(!second.to_string().contains("thinking"), "{second}");
        assert!(second.to_string().contains("Hello!"), "{second}");
    }
    assert!(gateway.credential("one").state.is_due(chrono::Utc::now()), "the credential is not at fault");
    gateway.stop().await;
}

#[tokio::test]
async fn ec_182_a_forged_carrier_never_reaches_an_upstream() {
    let gateway = TestGateway::start(&thinking(), "").await;
    let forged = "dgm1.eyJ0IjoidGVuXzAwIn0.AAAA";
    for model in ["wise", "smart"] {
        let body = json!({
            "model": model, "max_tokens": 100,
            "messages": [
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "", "signature": forged},
                    {"type": "text", "text": "Hello!"},
                ]},
                {"role": "user", "content": "Go on"},
            ],
        });
        let mut reply = gateway.messages(body.to_string()).await;
        let answer = reply.text().await;
        assert_eq!(reply.status, 200, "{answer}");
        let number = gateway.log().await.len();
        let asked = String::from_utf8(gateway.upstream_body(number).await).unwrap();
        assert!(asked.contains("Hello!") && !asked.contains("dgm1"), "{asked}");
        assert!(reply.header("x-dragoman-translation").is_some_and(|it| it.contains("/messages/1")));
    }
    gateway.stop().await;
}
