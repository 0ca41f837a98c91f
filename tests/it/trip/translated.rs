//! Another dialect on each side: said in the upstream's words, answered in the client's.

use serde_json::json;

use super::{events, said};
use crate::support::gateway::{BOTH, TestGateway};

const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
const CALL: &str = r#"Please call get_weather {"city":"Paris"}"#;

fn chat_schema() -> serde_json::Value {
    json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})
}

#[tokio::test]
async fn a_long_picture_arrives_byte_for_byte() {
    let gateway = TestGateway::with_both("").await;
    let picture = format!("{}{}", PNG.trim_end_matches('='), "x".repeat(300_002));
    for (number, model) in ["smart", "wise"].into_iter().enumerate() {
        let url = format!("data:image/png;base64,{picture}");
        let content =
            json!([{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "And this?"}]);
        let body = json!({"model": model, "messages": [{"role": "user", "content": content}]});
        let answer = gateway.chat(body.to_string()).await.json().await;
        assert!(
            answer["choices"][0]["message"]["content"].as_str().unwrap().contains("I saw 1 image"),
            "{answer}"
        );
        let asked = gateway.upstream_json(number + 1).await;
        let content = &asked["messages"][0]["content"];
        let sent = content[0]["source"]["data"].as_str().or(content[0]["image_url"]["url"].as_str()).unwrap();
        assert!(sent.ends_with(&picture), "{}", &sent[..80]);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_chat_client_is_answered_by_a_messages_upstream() {
    let gateway = TestGateway::with_both("").await;
    let body = json!({
        "model": "wise",
        "seed": 7,
        "max_tokens": 100,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{PNG}")}},
            ]},
        ],
    });
    let mut reply = gateway.chat(body.to_string()).await;
    let answer = reply.json().await;
    assert_eq!(reply.status, 200, "{answer}");
    assert_eq!(reply.header("x-dragoman-translation"), Some("dropped=/seed"));
    assert_eq!(reply.header("x-dragoman-model"), Some("claude-sim"));
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["model"], "claude-sim");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert!(
        answer["choices"][0]["message"]["content"].as_str().unwrap().contains("I saw 1 image"),
        "{answer}"
    );
    let asked = gateway.upstream_json(1).await;
    assert_eq!(asked["model"], "claude-sim");
    assert_eq!(asked["messages"][0]["content"][1]["source"]["data"], PNG);
    let row = gateway.attempt().await;
    assert_eq!(
        (row.intent.client_dialect.as_str(), row.intent.upstream_dialect.as_str()),
        ("openai-chat", "anthropic-messages")
    );
    assert_eq!(answer["usage"]["prompt_tokens"].as_u64(), Some(row.usage.total_input()));
    assert_eq!(answer["usage"]["completion_tokens"].as_u64(), Some(row.usage.total_output()));
    gateway.stop().await;
}

#[tokio::test]
async fn a_chat_client_streams_a_tool_call_of_a_messages_upstream_and_goes_on() {
    let gateway = TestGateway::with_both("").await;
    let tools =
        json!([{"type": "function", "function": {"name": "get_weather", "parameters": chat_schema()}}]);
    let mut body = json!({
        "model": "wise", "stream": true, "tools": tools, "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": CALL}],
    });
    let stream = gateway.chat(body.to_string()).await.text().await;
    assert!(stream.ends_with("data: [DONE]\n\n"), "{stream}");
    let events = events(&stream);
    let calls = || events.iter().filter_map(|it| it["choices"][0]["delta"]["tool_calls"][0].as_object());
    let id = calls().find_map(|it| it.get("id")?.as_str()).unwrap().to_owned();
    let arguments: String = calls().filter_map(|it| it["function"]["arguments"].as_str()).collect();
    assert_eq!(arguments, r#"{"city":"Paris"}"#);
    assert!(events.iter().any(|it| it["choices"][0]["finish_reason"] == "tool_calls"), "{stream}");
    let usage = &events.last().unwrap()["usage"];
    let row = gateway.attempt().await;
    assert_eq!(usage["prompt_tokens"].as_u64(), Some(row.usage.total_input()), "{stream}");
    assert_eq!(row.finish.as_deref(), Some("tool_calls"));

    body["messages"] = json!([
        {"role": "user", "content": CALL},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": id, "type": "function", "function": {"name": "get_weather", "arguments": arguments}},
        ]},
        {"role": "tool", "tool_call_id": id, "content": "22 degrees"},
    ]);
    let stream = gateway.chat(body.to_string()).await.text().await;
    assert!(said(&stream).contains("The tool said: 22 degrees"), "{stream}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_messages_client_is_answered_by_a_chat_upstream() {
    let gateway = TestGateway::start(&BOTH.replace("openai-compatible", "openai"), "").await;
    let body = json!({
        "model": "smart", "max_tokens": 100, "top_k": 5, "system": "Be brief.",
        "messages": [{"role": "user", "content": [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
            {"type": "text", "text": "What is this?"},
        ]}],
    });
    let mut reply = gateway.messages(body.to_string()).await;
    let answer = reply.json().await;
    assert_eq!(reply.status, 200, "{answer}");
    assert_eq!(reply.header("x-dragoman-translation"), Some("dropped=/top_k"));
    assert_eq!(answer["type"], "message");
    assert_eq!(answer["model"], "gpt-sim");
    assert_eq!(answer["stop_reason"], "end_turn");
    let text = answer["content"].as_array().unwrap().last().unwrap()["text"].as_str().unwrap();
    assert!(text.contains("I saw 1 image"), "{answer}");
    let asked = gateway.upstream_json(1).await;
    assert_eq!(asked["model"], "gpt-sim");
    let row = gateway.attempt().await;
    assert_eq!(
        (row.intent.client_dialect.as_str(), row.intent.upstream_dialect.as_str()),
        ("anthropic-messages", "openai-chat")
    );
    assert_eq!(answer["usage"]["input_tokens"].as_u64(), row.usage.input);
    assert_eq!(answer["usage"]["cache_read_input_tokens"].as_u64(), row.usage.cache_read);
    assert_eq!(answer["usage"]["output_tokens"].as_u64(), Some(row.usage.total_output()));
    gateway.stop().await;
}

#[tokio::test]
async fn a_messages_client_streams_a_tool_call_of_a_chat_upstream_and_goes_on() {
    let gateway = TestGateway::with_both("").await;
    let mut body = json!({
        "model": "smart", "max_tokens": 100, "stream": true,
        "tools": [{"name": "get_weather", "input_schema": chat_schema()}],
        "messages": [{"role": "user", "content": CALL}],
    });
    let stream = gateway.messages(body.to_string()).await.text().await;
    let events = events(&stream);
    assert_eq!(events[0]["type"], "message_start");
    assert_eq!(events.last().unwrap()["type"], "message_stop");
    let block = events.iter().find(|it| it["content_block"]["type"] == "tool_use").unwrap();
    let id = block["content_block"]["id"].as_str().unwrap();
    let arguments: String = events.iter().filter_map(|it| it["delta"]["partial_json"].as_str()).collect();
    assert_eq!(arguments, r#"{"city":"Paris"}"#);
    let last = events.iter().find(|it| it["type"] == "message_delta").unwrap();
    assert_eq!(last["delta"]["stop_reason"], "tool_use");
    let row = gateway.attempt().await;
    assert_eq!(last["usage"]["output_tokens"].as_u64(), Some(row.usage.total_output()));

    body["messages"] = json!([
        {"role": "user", "content": CALL},
        {"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": "get_weather", "input": {"city": "Paris"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "22 degrees"}]},
    ]);
    let stream = gateway.messages(body.to_string()).await.text().await;
    assert!(said(&stream).contains("The tool said: 22 degrees"), "{stream}");
    gateway.stop().await;
}
