//! Another configuration while it runs, and the end.

use dragoman::{credential::QuotaState, usage::Ending};
use tokio::sync::oneshot;

use super::{chat, chat_stream, messages, messages_stream, said};
use crate::support::{
    gateway::{BOTH, KEY, TWO_CREDENTIALS, TestGateway},
    http::Request,
};

const LONG: &str = "rules: [{ name: long, pace: { chunks: 20 }, delay: { between: 30ms }, reply: { answer: { text: 'one two three four five six seven eight nine ten eleven twelve' } } }]";

#[tokio::test]
async fn a_new_configuration_is_for_new_exchanges_and_what_is_under_way_goes_on() {
    let mut gateway = TestGateway::with_both(LONG).await;
    let mut under_way = gateway.chat(chat_stream("smart")).await;
    let begun = under_way.until("one").await;
    assert_eq!(gateway.chat(chat("clever")).await.status, 404);
    let changed = BOTH.replace("alias: smart", "alias: clever");
    gateway.reload(&changed).await.unwrap();
    assert_eq!(gateway.chat(chat("clever")).await.status, 200);
    assert_eq!(gateway.chat(chat("smart")).await.status, 404);
    let stream = begun + &under_way.text().await;
    assert_eq!(said(&stream), "one two three four five six seven eight nine ten eleven twelve");
    assert!(stream.ends_with("data: [DONE]\n\n"));
    assert!(gateway.attempts().await.iter().all(|it| it.ending == Ending::Completed));
    gateway.stop().await;
}

#[tokio::test]
async fn a_configuration_that_cannot_be_used_changes_nothing() {
    let mut gateway = TestGateway::with_both("").await;
    for bad in [
        "upstreams: 7".to_owned(),
        format!("{BOTH}\naliases: [{{ name: best, targets: [claude/nothing] }}]"),
        BOTH.replace("kind: anthropic", "kind: antropic"),
        BOTH.replace("api-key: sk-upstream-chat-1111", "api-key: 'file:/nowhere/at/all'"),
        format!("{BOTH}\ntenants: [{{ name: acme, keys: [{{ name: ci, key: 'file:/nowhere/at/all' }}] }}]"),
    ] {
        assert!(gateway.reload(&bad).await.is_err(), "{bad}");
        assert_eq!(gateway.chat(chat("smart")).await.status, 200);
        assert_eq!(gateway.messages(messages("wise")).await.status, 200);
        gateway.gateway.recompile().await.unwrap();
        assert_eq!(gateway.chat(chat("smart")).await.status, 200, "the refused one is forgotten");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn keys_come_and_go_with_the_configuration() {
    let mut gateway = TestGateway::with_both("").await;
    let key = "sk-acme-0123456789-abcdefgh";
    let ask = Request::post("/v1/chat/completions", chat("smart")).bearer(key);
    assert_eq!(gateway.send(&ask).await.status, 401);
    gateway
        .reload(&format!("{BOTH}\ntenants: [{{ name: acme, keys: [{{ name: ci, key: {key} }}] }}]"))
        .await
        .unwrap();
    assert_eq!(gateway.send(&ask).await.status, 200);
    gateway.reload(BOTH).await.unwrap();
    assert_eq!(gateway.send(&ask).await.status, 401);
    gateway.stop().await;
}

#[tokio::test]
async fn a_resting_credential_rests_on_over_a_reload() {
    let scenario = "rules: [{ name: first, when: { credential: '*1111' }, reply: { error: { status: 429, retry-after: 600s } } }]";
    let mut gateway = TestGateway::start(TWO_CREDENTIALS, scenario).await;
    assert_eq!(gateway.chat(chat("gpt-sim")).await.status, 200);
    let before = format!("{:?}", (gateway.state("one"), gateway.credential("one").models));
    gateway
        .reload(&TWO_CREDENTIALS.replace("{ name: gpt-sim }", "{ name: gpt-sim, alias: other }"))
        .await
        .unwrap();
    assert_eq!(gateway.chat(chat("other")).await.status, 200);
    assert_eq!(gateway.credentials_seen().await, ["1111", "2222", "2222"]);
    assert_eq!(format!("{:?}", (gateway.state("one"), gateway.credential("one").models)), before);
    assert!(!matches!(gateway.state("two"), QuotaState::Cooling { .. }));
    gateway.stop().await;
}

#[tokio::test]
async fn a_gateway_that_stops_takes_no_new_work_and_tells_who_is_left() {
    for (path, body, is_messages) in [
        ("/v1/chat/completions", chat_stream("smart"), false),
        ("/v1/chat/completions", chat_stream("wise"), false),
        ("/v1/messages", messages_stream("wise"), true),
        ("/v1/messages", messages_stream("smart"), true),
    ] {
        let scenario = "rules: [{ name: stuck, when: { stream: true }, fault: { after-events: 7, kind: hang }, reply: { answer: { text: 'one two three four five six seven eight nine ten eleven twelve' } } }, { name: thinks, reply: hang }]";
        let gateway = TestGateway::start(&format!("{BOTH}\nshutdown: {{ grace: 1h }}"), scenario).await;
        assert_eq!(gateway.get("/readyz").await.status, 200);
        let mut stream = gateway.post(path, body).await;
        let begun = stream.until("two").await;
        let thinking =
            Request::post("/v1/chat/completions", chat("smart")).bearer(KEY).begin(gateway.address()).await;
        gateway
            .eventually("both are under way", async || (gateway.log().await.len() == 2).then_some(()))
            .await;

        let (hurry, hurried) = oneshot::channel::<()>();
        let stopping = gateway.gateway.drain(async {
            let _ = hurried.await;
        });
        let watching = async {
            gateway
                .eventually("it says so", async || (gateway.get("/readyz").await.status == 503).then_some(()))
                .await;
            assert_eq!(gateway.get("/healthz").await.status, 200);
            for is_messages in [false, true] {
                let mut refused = if is_messages {
                    gateway.messages(messages("wise")).await
                } else {
                    gateway.chat(chat("smart")).await
                };
                assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
                assert_eq!(refused.json().await["type"] == "error", is_messages);
            }
            assert_eq!(gateway.gateway.in_flight(), 2, "what has begun has its grace");
            hurry.send(()).unwrap();
            let told = begun + &stream.text().await;
            (told, thinking.head().await)
        };
        let ((), (told, mut thought)) = tokio::join!(stopping, watching);
        let last = super::events(&told).pop().unwrap();
        assert!(last["error"]["message"].is_string(), "{told}");
        assert_eq!(last["type"] == "error", is_messages, "{told}");
        assert!(!told.contains("[DONE]") && !told.contains("message_stop"), "{told}");
        let text = thought.text().await;
        assert_eq!(thought.status, 503, "{text}");
        let rows = gateway.attempts().await;
        assert!(rows.len() == 2 && rows.iter().all(|it| it.ending == Ending::Interrupted), "{rows:#?}");
        assert!(
            rows[0].usage.total_output() > 0 && rows[0].estimated && rows[1].usage.is_empty(),
            "{rows:#?}"
        );
        assert_eq!(gateway.outcomes().await, ["aborted", "aborted"]);
        gateway.stop().await;
    }
}

#[tokio::test]
async fn an_answer_that_ends_in_its_grace_is_whole() {
    let gateway = TestGateway::start(&format!("{BOTH}\nshutdown: {{ grace: 1h }}"), LONG).await;
    let mut stream = gateway.chat(chat_stream("wise")).await;
    let begun = stream.until("one").await;
    let ((), rest) = tokio::join!(gateway.gateway.drain(std::future::pending()), stream.text());
    assert_eq!(said(&(begun + &rest)), "one two three four five six seven eight nine ten eleven twelve");
    assert_eq!(gateway.attempt().await.ending, Ending::Completed);
    gateway.stop().await;
}
