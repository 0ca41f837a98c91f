//! State that only its maker can read, over turns: it comes back to its maker, and to nobody else.

use dragoman::kernel::clock::{Clock as _, SystemClock};
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
    assert!(gateway.credential("one").state.is_due(SystemClock.now()), "the credential is not at fault");
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

const NATIVE: &str = "
  - name: native
    kind: openai-responses
    base-url: {sim}/v1
    proxy-url: direct
    credentials: [{ name: r, api-key: sk-upstream-native-3333 }]
    models: [{ name: sim-r, alias: native }]
";

#[tokio::test]
async fn ec_043_a_responses_client_carries_claude_s_thoughts() {
    let gateway = TestGateway::start(&thinking(), "").await;
    for stream in [false, true] {
        let mut body = json!({
            "model": "wise", "stream": stream, "store": false, "reasoning": {"effort": "high"},
            "include": ["reasoning.encrypted_content"], "input": [{"role": "user", "content": "Hello"}],
        });
        let mut reply = gateway.post("/v1/responses", body.to_string()).await;
        let text = reply.text().await;
        let answer = if stream {
            events(&text).pop().unwrap()["response"].clone()
        } else {
            serde_json::from_str(&text).unwrap()
        };
        let output = answer["output"].as_array().unwrap();
        assert_eq!(output[0]["type"], "reasoning", "{answer}");
        assert!(output[0]["encrypted_content"].as_str().unwrap().starts_with("dgm1."), "{answer}");
        let mut input = body["input"].as_array().unwrap().clone();
        input.extend(output.iter().cloned());
        input.push(json!({"role": "user", "content": "Go on"}));
        body["input"] = json!(input);
        let mut reply = gateway.post("/v1/responses", body.to_string()).await;
        let answer = reply.text().await;
        assert_eq!((reply.status, reply.header("x-dragoman-attempts")), (200, Some("1")), "{answer}");
        let asked = gateway.upstream_json(gateway.log().await.len()).await;
        let said = asked["messages"].to_string();
        assert!(said.contains("sim-signature-") && !said.contains("dgm1."), "{asked}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn ec_042_a_messages_client_carries_encrypted_reasoning() {
    let config = format!(
        "{BOTH}{NATIVE}\nabilities: [{{ model: sim-r, thinking: effort, efforts: [low, medium, high] }}]\n"
    );
    let gateway = TestGateway::start(&config, "").await;
    for stream in [false, true] {
        let mut body = json!({
            "model": "native", "max_tokens": 4096, "stream": stream,
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "messages": [{"role": "user", "content": "Hello"}],
        });
        let mut reply = gateway.messages(body.to_string()).await;
        let text = reply.text().await;
        assert_eq!(reply.status, 200, "{text}");
        let asked = gateway.upstream_json(gateway.log().await.len()).await;
        let signature = if stream {
            let all = events(&text);
            all.iter().find_map(|it| it["delta"]["signature"].as_str()).map(str::to_owned)
        } else {
            let answer: Value = serde_json::from_str(&text).unwrap();
            answer["content"][0]["signature"].as_str().map(str::to_owned)
        };
        let signature = signature.unwrap_or_else(|| panic!("{asked} was answered {text}"));
        assert!(signature.starts_with("dgm1."), "{text}");
        body["messages"] = json!([
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "", "signature": signature},
                {"type": "text", "text": "Hello!"},
            ]},
            {"role": "user", "content": "Go on"},
        ]);
        let mut reply = gateway.messages(body.to_string()).await;
        let answer = reply.text().await;
        assert_eq!((reply.status, reply.header("x-dragoman-attempts")), (200, Some("1")), "{answer}");
        let asked = gateway.upstream_json(gateway.log().await.len()).await;
        let thought = asked["input"].as_array().unwrap().iter().find(|it| it["type"] == "reasoning");
        let thought = thought.unwrap_or_else(|| panic!("{asked}"));
        assert!(!thought["encrypted_content"].as_str().unwrap().starts_with("dgm1."), "{asked}");
    }
    gateway.stop().await;
}
