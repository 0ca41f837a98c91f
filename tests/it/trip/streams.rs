//! Streams that do not go as they should.

use dragoman::usage::Ending;

use super::{chat_stream, events, messages_stream, said};
use crate::support::gateway::{BOTH, TWO_CREDENTIALS, TestGateway};

/// Who asks whom: a body, whether the client speaks Messages.
fn pairs() -> [(String, bool); 4] {
    [
        (chat_stream("smart"), false),
        (chat_stream("wise"), false),
        (messages_stream("wise"), true),
        (messages_stream("smart"), true),
    ]
}

async fn ask(gateway: &TestGateway, body: &str, is_messages: bool) -> crate::support::http::Reply {
    if is_messages { gateway.messages(body).await } else { gateway.chat(body).await }
}

/// Asserts that a stream ends with its dialect's error, and with nothing that looks like success.
fn assert_broken(stream: &str, is_messages: bool) {
    let last = events(stream).pop().unwrap();
    assert!(last["error"]["message"].is_string(), "{stream}");
    if is_messages {
        assert_eq!(last["type"], "error", "{stream}");
        assert!(stream.contains("event: error\n"), "{stream}");
        assert!(!stream.contains("message_stop"), "{stream}");
    } else {
        assert!(!stream.contains("[DONE]"), "{stream}");
    }
    assert_eq!(stream.matches(r#""error":{"#).count(), 1, "said once: {stream}");
}

#[tokio::test]
async fn ec_080_an_error_before_the_first_content_is_another_targets_chance() {
    for (bad, good, after) in [("claude", "smart", 2), ("chat", "wise", 1)] {
        let dialect = if bad == "claude" { "anthropic-messages" } else { "openai-chat" };
        let first = if bad == "claude" { "wise" } else { "smart" };
        let config = format!("{BOTH}\naliases: [{{ name: best, targets: [{first}, {good}] }}]");
        let scenario = format!(
            "rules: [{{ name: bad, when: {{ dialect: {dialect} }}, fault: {{ after-events: {after}, kind: error, error: {{ status: 529, type: overloaded_error, message: busy }} }} }}]"
        );
        let gateway = TestGateway::start(&config, &scenario).await;
        for (body, is_messages) in [(chat_stream("best"), false), (messages_stream("best"), true)] {
            let mut reply = ask(&gateway, &body, is_messages).await;
            let stream = reply.text().await;
            assert_eq!(reply.status, 200);
            assert_eq!(said(&stream), "You wrote 5 characters.", "{stream}");
            assert!(!stream.contains("busy"), "{stream}");
        }
        let rows = gateway.attempts().await;
        assert_eq!((rows[0].ending, rows[1].ending), (Ending::Failed, Ending::Completed), "{rows:#?}");
        assert_eq!(rows[0].error.as_deref(), Some("overloaded"));
        gateway.stop().await;
    }
}

#[tokio::test]
async fn ec_185_an_error_amid_the_answer_is_told_and_nobody_else_is_asked() {
    for (body, is_messages) in pairs() {
        let scenario = "rules: [{ name: breaks, fault: { after-events: 6, kind: error, error: { status: 500, message: 'it broke' } }, reply: { answer: { text: 'one two three four five six seven eight nine ten eleven twelve' } } }]";
        let config = format!("{BOTH}\nrouting: {{ model-fallback: {{ claude-sim: gpt-sim }} }}");
        let gateway = TestGateway::start(&config, scenario).await;
        let stream = ask(&gateway, &body, is_messages).await.text().await;
        assert!(said(&stream).starts_with("one two"), "{stream}");
        assert_broken(&stream, is_messages);
        assert!(stream.contains("it broke"), "{stream}");
        assert_eq!(gateway.log().await.len(), 1);
        let row = gateway.attempt().await;
        assert_eq!((row.ending, row.status), (Ending::Failed, Some(200)), "{row:#?}");
        assert!(row.error.is_some() && row.usage.total_output() > 0 && row.estimated, "{row:#?}");
        gateway.idle().await;
        gateway.stop().await;
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_never_taken_for_whole() {
    for kind in ["close", "end"] {
        for (body, is_messages) in pairs() {
            let scenario = format!(
                "rules: [{{ name: breaks, fault: {{ after-events: 6, kind: {kind} }}, reply: {{ answer: {{ text: 'one two three four five six seven eight nine ten eleven twelve' }} }} }}]"
            );
            let gateway = TestGateway::with_both(&scenario).await;
            let stream = ask(&gateway, &body, is_messages).await.text().await;
            assert!(said(&stream).starts_with("one two"), "{stream}");
            assert_broken(&stream, is_messages);
            let row = gateway.attempt().await;
            assert_eq!(
                (row.ending, row.error.as_deref()),
                (Ending::Truncated, Some("truncated")),
                "{kind}: {row:#?}"
            );
            assert!(row.usage.total_output() > 0 && row.usage.total_input() > 0 && row.estimated, "{row:#?}");
            gateway.stop().await;
        }
    }
}

#[tokio::test]
async fn a_stream_that_ends_before_it_says_anything_is_another_credentials_chance() {
    let scenario =
        "rules: [{ name: empty, when: { credential: '*1111' }, fault: { after-events: 0, kind: end } }]";
    let gateway = TestGateway::start(TWO_CREDENTIALS, scenario).await;
    let mut reply = gateway.chat(chat_stream("gpt-sim")).await;
    assert_eq!(said(&reply.text().await), "You wrote 5 characters.");
    assert_eq!(reply.header("x-dragoman-attempts"), Some("2"));
    let rows = gateway.attempts().await;
    assert_eq!((rows[0].ending, rows[1].ending), (Ending::Truncated, Ending::Completed), "{rows:#?}");
    gateway.stop().await;
}

#[tokio::test]
async fn an_error_in_a_200_is_an_error() {
    for (body, content_type) in [
        (chat_stream("gpt-sim"), "application/json"),
        (super::chat("gpt-sim"), "application/json"),
        (chat_stream("gpt-sim"), "text/event-stream"),
    ] {
        let said = match content_type {
            "application/json" => {
                r#"{"error":{"message":"no room","type":"server_error","code":null}}"#.to_owned()
            }
            _ => r#"data: {"error":{"message":"no room","type":"server_error","code":null}}\n\n"#.to_owned(),
        };
        let scenario = format!(
            "rules: [{{ name: sly, when: {{ credential: '*1111' }}, reply: {{ raw: {{ content-type: {content_type}, body: {} }} }} }}]",
            if content_type == "application/json" {
                format!("'{said}'")
            } else {
                format!("\"{}\"", said.replace('"', "\\\""))
            }
        );
        let gateway = TestGateway::start(TWO_CREDENTIALS, &scenario).await;
        let mut reply = gateway.chat(body).await;
        let text = reply.text().await;
        assert_eq!((reply.status, reply.header("x-dragoman-attempts")), (200, Some("2")), "{text}");
        assert!(!text.contains("no room") && text.contains("You wrote"), "{text}");
        assert_eq!(gateway.attempts().await[0].ending, Ending::Failed);
        gateway.stop().await;
    }
}

#[tokio::test]
async fn who_waits_for_a_stream_gets_one_even_if_the_answer_comes_whole() {
    for (body, is_messages) in pairs() {
        let gateway = TestGateway::with_both("rules: [{ name: whole, quirks: [whole-for-stream] }]").await;
        let mut reply = ask(&gateway, &body, is_messages).await;
        let stream = reply.text().await;
        assert_eq!(reply.header("content-type"), Some("text/event-stream; charset=utf-8"));
        assert_eq!(said(&stream), "You wrote 5 characters.", "{stream}");
        let end = if is_messages { "data: {\"type\":\"message_stop\"}\n\n" } else { "data: [DONE]\n\n" };
        assert!(stream.ends_with(end), "{stream}");
        assert!(is_messages || !stream.contains("prompt_tokens"), "nobody asked for usage: {stream}");
        let row = gateway.attempt().await;
        assert!(row.ending == Ending::Completed && row.intent.streamed && !row.estimated, "{row:#?}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_missing_done_does_not_spoil_an_answer_that_is_whole() {
    for (body, is_messages) in [(chat_stream("smart"), false), (messages_stream("smart"), true)] {
        let gateway = TestGateway::with_both("rules: [{ name: abrupt, quirks: [missing-done] }]").await;
        let stream = ask(&gateway, &body, is_messages).await.text().await;
        assert_eq!(said(&stream), "You wrote 5 characters.", "{stream}");
        let end = if is_messages { "data: {\"type\":\"message_stop\"}\n\n" } else { "data: [DONE]\n\n" };
        assert!(stream.ends_with(end), "the client's library waits for it: {stream}");
        assert_eq!(gateway.attempt().await.ending, Ending::Completed);
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_silent_stream_shows_signs_of_life() {
    let config = format!("{BOTH}\nserver: {{ keep-alive: 10ms }}");
    for (body, is_messages) in pairs() {
        let scenario = "rules: [{ name: slow, delay: { between: 200ms }, reply: { answer: { text: Hi } } }]";
        let gateway = TestGateway::start(&config, scenario).await;
        let stream = ask(&gateway, &body, is_messages).await.text().await;
        let end = stream.find(if is_messages { "message_delta" } else { "finish_reason\":\"stop" }).unwrap();
        let sign = stream.find(if is_messages { "event: ping" } else { ": " });
        assert!(sign.is_some_and(|it| it < end), "{stream}");
        let signs = stream
            .lines()
            .filter(|it| if is_messages { it.starts_with("event: ping") } else { it.starts_with(':') });
        assert!(signs.count() > 3, "{stream}");
        assert_eq!(said(&stream), "Hi", "{stream}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn bytes_that_are_no_events_are_an_error_of_the_upstream() {
    for (body, is_messages) in pairs() {
        let scenario = "rules: [{ name: noise, fault: { after-events: 6, kind: garbage }, reply: { answer: { text: 'one two three four five six seven eight nine ten eleven twelve' } } }]";
        let gateway = TestGateway::with_both(scenario).await;
        let mut reply = ask(&gateway, &body, is_messages).await;
        let stream = String::from_utf8_lossy(&reply.bytes().await).into_owned();
        assert!(stream.contains("one two"), "{stream}");
        assert!(stream.contains(r#""error":{"#), "{stream}");
        assert!(!stream.contains("[DONE]") && !stream.contains("message_stop"), "{stream}");
        let row = gateway.attempt().await;
        assert!(matches!(row.ending, Ending::Failed | Ending::Truncated), "{row:#?}");
        gateway.stop().await;
    }
}
