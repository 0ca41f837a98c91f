//! Upstreams that only stream, or never do: clients get what they ask for.

use dragoman::usage::Ending;
use serde_json::{Value, json};

use super::{chat, chat_stream, events, messages, messages_stream, said};
use crate::support::gateway::{BOTH, TWO_CREDENTIALS, TestGateway};

const CALL: &str = r#"Please call get_weather {"city":"Paris"}"#;

fn streaming(config: &str, how: &str) -> String {
    config.replace("proxy-url: direct", &format!("proxy-url: direct\n    streaming: {how}"))
}

async fn ask(gateway: &TestGateway, body: String, is_messages: bool) -> crate::support::http::Reply {
    if is_messages { gateway.messages(body).await } else { gateway.chat(body).await }
}

/// The text of a whole answer of either dialect.
fn text(answer: &Value) -> &str {
    let chat = answer["choices"][0]["message"]["content"].as_str();
    chat.or_else(|| answer["content"][0]["text"].as_str()).unwrap_or_default()
}

#[tokio::test]
async fn a_whole_answer_is_made_of_a_stream_for_every_pair() {
    let gateway = TestGateway::start(&streaming(BOTH, "always"), "").await;
    let pairs = [
        (chat("smart"), false, "openai-chat"),
        (chat("wise"), false, "anthropic-messages"),
        (messages("wise"), true, "anthropic-messages"),
        (messages("smart"), true, "openai-chat"),
    ];
    for (index, (body, is_messages, upstream)) in pairs.into_iter().enumerate() {
        let mut reply = ask(&gateway, body, is_messages).await;
        let answer = reply.json().await;
        assert_eq!(reply.status, 200, "{answer}");
        assert!(reply.header("content-type").unwrap().starts_with("application/json"), "{answer}");
        assert_eq!(text(&answer), "You wrote 5 characters.", "{answer}");
        let asked = gateway.upstream_json(index + 1).await;
        assert_eq!(asked["stream"], true, "{asked}");
        if upstream == "openai-chat" {
            assert_eq!(asked["stream_options"]["include_usage"], true, "{asked}");
        }
        let rows = gateway.attempts().await;
        assert_eq!(rows.len(), index + 1, "each is one attempt");
        let row = rows.last().unwrap();
        assert_eq!((row.ending, row.estimated), (Ending::Completed, false), "{row:#?}");
        assert_eq!(row.intent.upstream_dialect, upstream);
        let name = if is_messages { "output_tokens" } else { "completion_tokens" };
        assert_eq!(answer["usage"][name].as_u64(), Some(row.usage.total_output()), "{answer}");
        assert!(row.usage.total_output() > 0 && row.usage.total_input() > 0, "{row:#?}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn calls_are_whole_in_an_answer_made_of_a_stream() {
    let gateway = TestGateway::start(&streaming(BOTH, "always"), "").await;
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let tools = json!([{"type": "function", "function": {"name": "get_weather", "parameters": schema}}]);
    for model in ["smart", "wise"] {
        let body = json!({"model": model, "tools": tools, "messages": [{"role": "user", "content": CALL}]});
        let answer = gateway.chat(body.to_string()).await.json().await;
        let choice = &answer["choices"][0];
        assert_eq!(choice["finish_reason"], "tool_calls", "{answer}");
        let function = &choice["message"]["tool_calls"][0]["function"];
        assert_eq!(
            (&function["name"], &function["arguments"]),
            (&json!("get_weather"), &json!(r#"{"city":"Paris"}"#))
        );
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_stream_the_client_wants_passes_as_it_is() {
    let gateway = TestGateway::start(&streaming(BOTH, "always"), "strict: false").await;
    let body = chat_stream("smart").replacen('{', r#"{ "x_odd" : 1e2, "#, 1);
    let stream = gateway.chat(body.clone()).await.text().await;
    assert_eq!(said(&stream), "You wrote 5 characters.");
    let sent = String::from_utf8(gateway.upstream_body(1).await).unwrap();
    assert!(sent.starts_with(r#"{ "x_odd" : 1e2, "stream":true"#), "{sent}");
    gateway.stop().await;
}

#[tokio::test]
async fn whatever_goes_wrong_before_the_end_is_another_credentials_chance() {
    for (fault, ending) in [
        ("after-events: 0, kind: end", Ending::Failed),
        ("after-events: 6, kind: end", Ending::Failed),
        ("after-events: 6, kind: close", Ending::Failed),
        ("after-events: 6, kind: error, error: { status: 500, message: 'it broke' }", Ending::Failed),
    ] {
        let scenario = format!(
            "rules: [{{ name: bad, when: {{ credential: '*1111' }}, fault: {{ {fault} }}, reply: {{ answer: {{ text: 'one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen' }} }} }}]"
        );
        let gateway = TestGateway::start(&streaming(TWO_CREDENTIALS, "always"), &scenario).await;
        let mut reply = gateway.chat(chat("gpt-sim")).await;
        let answer = reply.json().await;
        assert_eq!(
            (reply.status, reply.header("x-dragoman-attempts")),
            (200, Some("2")),
            "{fault}: {answer}"
        );
        assert_eq!(text(&answer), "You wrote 5 characters.");
        let rows = gateway.attempts().await;
        assert_eq!((rows[0].ending, rows[1].ending), (ending, Ending::Completed), "{fault}: {rows:#?}");
        if fault.starts_with("after-events: 6") {
            assert!(rows[0].usage.total_output() > 0, "what was made is paid for: {rows:#?}");
        }
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_stream_is_made_of_a_whole_answer_for_every_pair() {
    let gateway = TestGateway::start(&streaming(BOTH, "never"), "").await;
    let pairs = [
        (chat_stream("smart"), false),
        (chat_stream("wise"), false),
        (messages_stream("wise"), true),
        (messages_stream("smart"), true),
    ];
    for (index, (body, is_messages)) in pairs.into_iter().enumerate() {
        let mut reply = ask(&gateway, body, is_messages).await;
        let stream = reply.text().await;
        assert!(reply.header("content-type").unwrap().starts_with("text/event-stream"), "{stream}");
        assert_eq!(said(&stream), "You wrote 5 characters.", "{stream}");
        let asked = gateway.upstream_json(index + 1).await;
        assert!(asked.get("stream").is_none_or(|it| it == false), "{asked}");
        assert!(asked.get("stream_options").is_none(), "{asked}");
        let row = gateway.attempts().await.pop().unwrap();
        assert_eq!((row.ending, row.estimated), (Ending::Completed, false), "{row:#?}");
        if is_messages {
            let events = events(&stream);
            let usage = &events.iter().rev().find(|it| it["type"] == "message_delta").unwrap()["usage"];
            assert_eq!(usage["output_tokens"].as_u64(), Some(row.usage.total_output()), "{stream}");
        }
    }
    gateway.stop().await;
}
