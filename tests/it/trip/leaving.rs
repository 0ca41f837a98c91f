//! The client leaves: the upstream is told, the lease comes back, what was produced is written down.

use std::cell::Cell;

use dragoman::{dialect::DialectId, usage::Ending};

use super::{chat, chat_stream, messages, messages_stream};
use crate::support::{
    gateway::{KEY, TestGateway},
    http::Request,
    pairs::{Wish, every_kind, pairs},
};

fn request(path: &str, body: String) -> Request {
    Request::post(path, body).bearer(KEY)
}

async fn is_asked(gateway: &TestGateway) {
    gateway
        .eventually("the upstream is asked", async || (!gateway.log().await.is_empty()).then_some(()))
        .await;
}

#[tokio::test]
async fn leaving_while_the_upstream_thinks_ends_its_thinking() {
    for (path, body) in [
        ("/v1/chat/completions", chat("smart")),
        ("/v1/chat/completions", chat_stream("wise")),
        ("/v1/messages", messages_stream("wise")),
        ("/v1/messages", messages("smart")),
    ] {
        let gateway = TestGateway::with_both("rules: [{ name: thinks, reply: hang }]").await;
        let waiting = request(path, body).begin(gateway.address()).await;
        is_asked(&gateway).await;
        assert_eq!(gateway.gateway.in_flight(), 1);
        drop(waiting);
        gateway.idle().await;
        assert_eq!(gateway.outcomes().await, ["aborted"]);
        let row = gateway.attempt().await;
        assert_eq!((row.ending, row.status, row.error.as_deref()), (Ending::Abandoned, None, None));
        assert!(row.usage.is_empty() && !row.estimated, "{row:#?}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn leaving_amid_an_answer_ends_it_and_counts_what_was_produced() {
    for (path, body, upstream_tells_input) in [
        ("/v1/chat/completions", chat_stream("smart"), false),
        ("/v1/chat/completions", chat_stream("wise"), true),
        ("/v1/messages", messages_stream("wise"), true),
        ("/v1/messages", messages_stream("smart"), false),
    ] {
        let scenario = "rules: [{ name: stops, fault: { after-events: 7, kind: hang }, reply: { answer: { text: 'one two three four five six seven eight nine ten eleven twelve', usage: { input: 1234, output: 99 } } } }]";
        let gateway = TestGateway::with_both(scenario).await;
        let mut reply = gateway.send(&request(path, body)).await;
        reply.until("two").await;
        drop(reply);
        gateway.idle().await;
        assert_eq!(gateway.outcomes().await, ["aborted"]);
        let row = gateway.attempt().await;
        assert_eq!((row.ending, row.status), (Ending::Abandoned, Some(200)), "{row:#?}");
        assert_eq!(row.usage.total_input() == 1234, upstream_tells_input, "{row:#?}");
        assert!(
            row.usage.total_input() > 0 && (2..99).contains(&row.usage.total_output()) && row.estimated,
            "{row:#?}"
        );
        assert!(row.first_byte_ms.is_some() && row.upstream_id.is_some());
        let status = gateway.credential("one");
        assert_eq!((status.in_flight, status.failed), (0, 0), "it was not the credential's fault");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn leaving_in_the_middle_of_a_whole_answer_ends_it() {
    let scenario = "rules: [{ name: slow, fault: { after-bytes: 10, kind: hang } }]";
    let gateway = TestGateway::with_both(scenario).await;
    let waiting = request("/v1/chat/completions", chat("smart")).begin(gateway.address()).await;
    is_asked(&gateway).await;
    drop(waiting);
    gateway.idle().await;
    assert_eq!(gateway.outcomes().await, ["aborted"]);
    assert_eq!(gateway.attempt().await.ending, Ending::Abandoned);
    gateway.stop().await;
}

#[tokio::test]
async fn ec_119_leaving_while_a_stream_is_gathered_counts_what_was_produced() {
    let scenario = "strict: false\nrules: [{ name: stops, fault: { after-events: 7, kind: hang }, reply: { answer: { text: 'one two three four five six seven eight nine ten eleven twelve' } } }]";
    let gateway = TestGateway::start(&every_kind("streaming: always"), scenario).await;
    for pair in pairs() {
        let stays = Cell::new(0);
        let leaves = async || {
            let before = gateway.log().await.len();
            let waiting = pair.ask("Hello", Wish::Whole).begin(gateway.address()).await;
            gateway
                .eventually("it is asked", async || (gateway.log().await.len() > before).then_some(()))
                .await;
            // Nothing shows how much has come. Who leaves too early stays longer the next time.
            for _ in 0..stays.get() {
                gateway.get("/healthz").await;
            }
            stays.set(stays.get() + 1);
            drop(waiting);
            gateway.idle().await;
            // Gemini tells what was used as it goes.
            let is_told = pair.upstream == DialectId::Gemini;
            gateway
                .attempts()
                .await
                .pop()
                .filter(|it| it.usage.total_output() > 0 && (it.estimated || is_told))
        };
        let row = gateway.eventually("something was produced", leaves).await;
        assert_eq!((row.ending, row.status), (Ending::Abandoned, Some(200)), "{pair:?}: {row:#?}");
        assert!(row.usage.total_input() > 0 && row.first_byte_ms.is_some(), "{row:#?}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn leaving_before_the_body_is_complete_asks_nobody() {
    let gateway = TestGateway::with_both("").await;
    let whole = chat("smart");
    let waiting = request("/v1/chat/completions", whole[..20].to_owned())
        .begin_claiming(gateway.address(), whole.len())
        .await;
    gateway
        .eventually("the exchange begins", async || (gateway.gateway.in_flight() == 1).then_some(()))
        .await;
    drop(waiting);
    gateway.idle().await;
    assert!(gateway.log().await.is_empty() && gateway.attempts().await.is_empty());
    gateway.stop().await;
}
