//! Answers that are long in coming begin with signs of life, where the operator wants it.

use dragoman::usage::Ending;
use serde_json::{Value, json};

use crate::support::{
    fixtures::DIALECTS,
    gateway::{BOTH, TestGateway},
    pairs::{Pair, Wish, every_kind},
};

const SLOW: &str = "rules: [{ delay: { headers: 300ms }, reply: { answer: { text: Hello } } }]";
const SLOW_ERROR: &str =
    "rules: [{ delay: { headers: 300ms }, reply: { error: { status: 400, message: no such thing } } }]";
const SERVER: &str = "server: { keep-alive: 20ms, nonstream-keep-alive: 20ms, stream-start-after: 0s }";

fn asked(model: &str, stream: bool) -> String {
    json!({"model": model, "max_tokens": 10, "stream": stream, "messages": [{"role": "user", "content": "hi"}]})
        .to_string()
}

#[tokio::test]
async fn a_slow_whole_answer_begins_with_white_space_and_is_json_all_the_same() {
    let gateway = TestGateway::start(&format!("{BOTH}\n{SERVER}"), SLOW).await;
    let mut reply = gateway.chat(asked("smart", false)).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    let text = reply.text().await;
    assert!(text.starts_with("\n\n"), "{text}");
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "Hello");
    assert!(gateway.attempt().await.usage.output > Some(0));
    gateway.stop().await;
}

#[tokio::test]
async fn ec_076_a_stream_shows_signs_of_life_before_its_upstream_has_answered() {
    let gateway = TestGateway::start(&format!("{BOTH}\n{SERVER}"), SLOW).await;
    let chat = gateway.chat(asked("smart", true)).await.text().await;
    assert!(chat.starts_with(": keep-alive\n\n: keep-alive\n\n"), "{chat}");
    assert!(chat.ends_with("data: [DONE]\n\n"), "{chat}");
    let messages = gateway.messages(asked("wise", true)).await.text().await;
    assert!(messages.starts_with("event: ping\n"), "{messages}");
    assert!(messages.contains("event: message_stop"), "{messages}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_failure_after_a_sign_of_life_is_told_in_the_answer() {
    let gateway = TestGateway::start(&format!("{BOTH}\n{SERVER}"), SLOW_ERROR).await;
    let mut whole = gateway.chat(asked("smart", false)).await;
    assert_eq!(whole.status, 200);
    let error: Value = serde_json::from_str(&whole.text().await).unwrap();
    assert_eq!(error["error"]["message"], "no such thing");
    let stream = gateway.messages(asked("wise", true)).await.text().await;
    assert!(stream.contains("event: error\n") && !stream.contains("message_stop"), "{stream}");
    gateway.stop().await;
}

#[tokio::test]
async fn ec_075_a_stream_of_nothing_but_signs_of_life_is_given_up_when_its_upstream_says() {
    let beating = |after: usize| {
        format!(
            "strict: false\nrules: [{{ name: beats, when: {{ credential: '*1111' }}, delay: {{ between: 2ms }}, fault: {{ after-events: {after}, kind: heartbeat }}, reply: {{ answer: {{ text: 'one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen' }} }} }}]"
        )
    };
    let config = every_kind("timeouts: { idle: 150ms, dead-after: 150ms }");
    let gateway = TestGateway::start(&config, &beating(6)).await;
    for dialect in DIALECTS {
        let pair = Pair { client: dialect, upstream: dialect };
        let mut reply = gateway.send(&pair.ask("Hello", Wish::Stream)).await;
        let stream = String::from_utf8(reply.bytes().await).unwrap();
        assert!(stream.contains("one") && stream.contains("error"), "{stream}");
        let row = gateway.attempts().await.pop().unwrap();
        assert_eq!((row.ending, row.error.as_deref()), (Ending::Failed, Some("timeout")), "{row:#?}");
        assert!(row.usage.total_output() > 0 && row.estimated, "{row:#?}");
    }
    assert_eq!(gateway.outcomes().await, ["aborted"; 4]);
    gateway.stop().await;

    // Nothing has reached the client of a whole answer: another credential's chance.
    let gateway =
        TestGateway::start(&config.replace("timeouts:", "streaming: always\n    timeouts:"), &beating(6))
            .await;
    for dialect in DIALECTS {
        let pair = Pair { client: dialect, upstream: dialect };
        let mut reply = gateway.send(&pair.ask("Hello", Wish::Whole)).await;
        let answer = reply.text().await;
        assert_eq!((reply.status, reply.header("x-dragoman-attempts")), (200, Some("2")), "{answer}");
        assert!(answer.contains("You wrote 5 characters."), "{answer}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_fast_failure_keeps_its_status() {
    let config = format!("{BOTH}\nserver: {{ nonstream-keep-alive: 10s, stream-start-after: 10s }}");
    let scenario = "rules: [{ reply: { error: { status: 400, message: no such thing } } }]";
    let gateway = TestGateway::start(&config, scenario).await;
    for stream in [false, true] {
        assert_eq!(gateway.chat(asked("smart", stream)).await.status, 400);
    }
    gateway.stop().await;
}
