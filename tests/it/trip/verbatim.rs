//! Same dialect on both sides: the bytes pass.

use crate::support::{
    gateway::{KEY, TestGateway},
    http::Request,
};

/// Spaces, order and escapes that nobody would write twice the same way.
const CHAT: &str = r#"{ "messages" : [ {"role":"user","content":"Gr\u00fc\u00dfe \ud83d\ude00"} ] ,"model":"smart", "temperature":0.70,"x_unknown":{"b":1e2,"a":[null]} }"#;
const CHAT_STREAM: &str = r#"{"model":"smart","stream":true,"messages":[{"role":"user","content":"Hello"}]}"#;
const MESSAGES: &str = r#"{ "max_tokens":4096,"model" : "wise","x_unknown":[1.0],"thinking":{"type":"enabled","budget_tokens":1024},"messages":[{"role":"user","content":"Hello"}] }"#;
const LENIENT: &str = "strict: false\n";

#[tokio::test]
async fn a_chat_request_reaches_its_upstream_with_another_model_and_nothing_else_changed() {
    let gateway = TestGateway::with_both(LENIENT).await;
    let mut reply = gateway.chat(CHAT).await;
    let answer = reply.bytes().await;
    let expected = CHAT.replace(r#""smart""#, r#""gpt-sim""#);
    assert_eq!(String::from_utf8(gateway.upstream_body(1).await).unwrap(), expected);
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("x-dragoman-translation"), None);
    // The same bytes asked of the same simulator give the same answer, but for its id.
    let direct = Request::post("/v1/chat/completions", expected).bearer("sk-upstream-chat-1111");
    let direct = gateway.directly(&direct).await.bytes().await;
    assert_eq!(without_serial(&answer), without_serial(&direct));
    gateway.stop().await;
}

#[tokio::test]
async fn a_messages_answer_with_thinking_and_signature_comes_back_to_the_byte() {
    let gateway = TestGateway::with_both(LENIENT).await;
    for stream in [false, true] {
        let body = if stream { MESSAGES.replacen('{', r#"{"stream":true,"#, 1) } else { MESSAGES.to_owned() };
        let request = Request::post("/v1/messages", body.clone())
            .header("x-api-key", KEY)
            .header("anthropic-version", "2023-06-01");
        let answer = gateway.send(&request).await.bytes().await;
        let number = gateway.log().await.len();
        let expected = body.replace(r#""wise""#, r#""claude-sim""#);
        assert_eq!(String::from_utf8(gateway.upstream_body(number).await).unwrap(), expected);
        let direct = Request::post("/v1/messages", expected)
            .header("x-api-key", "sk-upstream-claude-2222")
            .header("anthropic-version", "2023-06-01");
        let direct = gateway.directly(&direct).await.bytes().await;
        assert_eq!(without_serial(&answer), without_serial(&direct));
        assert!(String::from_utf8_lossy(&answer).contains("signature"));
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_chat_stream_has_no_usage_unless_it_was_asked_for() {
    let gateway = TestGateway::with_both("").await;
    let mut reply = gateway.chat(CHAT_STREAM).await;
    let hidden = reply.text().await;
    assert_eq!(reply.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert!(hidden.ends_with("data: [DONE]\n\n"), "{hidden}");
    assert!(!hidden.contains("prompt_tokens"), "{hidden}");
    assert!(!hidden.contains(r#""choices":[]"#), "{hidden}");
    let asked = gateway.upstream_json(1).await;
    assert_eq!(asked["stream_options"]["include_usage"], true, "the gateway itself wants to know");

    let with_usage = CHAT_STREAM.replacen('{', r#"{"stream_options":{"include_usage":true},"#, 1);
    let shown = gateway.chat(with_usage.clone()).await.bytes().await;
    let expected = with_usage.replace(r#""smart""#, r#""gpt-sim""#);
    assert_eq!(String::from_utf8(gateway.upstream_body(2).await).unwrap(), expected);
    let direct = Request::post("/v1/chat/completions", expected).bearer("sk-upstream-chat-1111");
    let direct = gateway.directly(&direct).await.bytes().await;
    assert_eq!(without_serial(&shown), without_serial(&direct));
    assert!(String::from_utf8_lossy(&shown).contains("prompt_tokens"));

    let attempts = gateway.attempts().await;
    assert_eq!(attempts[0].usage, attempts[1].usage, "whatever the client sees, the ledger knows");
    assert!(!attempts[0].usage.is_empty() && !attempts[0].estimated);
    gateway.stop().await;
}

#[tokio::test]
async fn pieces_that_cut_through_anything_come_home_whole() {
    let gateway = TestGateway::with_both("rules: [{ name: crumbs, pace: { chunk-bytes: 3 } }]").await;
    let chat = gateway.chat(CHAT_STREAM).await.text().await;
    assert!(chat.contains("You wrote"), "{chat}");
    assert!(chat.ends_with("data: [DONE]\n\n") && !chat.contains("prompt_tokens"), "{chat}");
    let body = MESSAGES.replacen('{', r#"{"stream":true,"#, 1).replace(r#""x_unknown":[1.0],"#, "");
    let messages = gateway.messages(body).await.text().await;
    assert!(messages.ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"), "{messages}");
    gateway.stop().await;
}

/// Every answer of the simulator has a serial of its own, `sim<boot>x<number>`.
fn without_serial(answer: &[u8]) -> String {
    let text = std::str::from_utf8(answer).unwrap();
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = ["chatcmpl-sim", "msg_sim", "toolu_sim", "call_sim"]
        .iter()
        .filter_map(|it| Some(rest.find(it)? + it.len()))
        .min()
    {
        out.push_str(&rest[..at]);
        rest = rest[at..].trim_start_matches(|it: char| it.is_ascii_hexdigit() || it == 'x');
    }
    out + rest
}
