//! With which secret, and what happens when it does not do.

use std::net::TcpListener;

use dragoman::{
    credential::QuotaState,
    kernel::clock::{Clock, SystemClock},
    usage::Ending,
};

use super::{chat, chat_stream, messages};
use crate::support::{
    gateway::{BOTH, TWO_CREDENTIALS, TestGateway},
    http::Reply,
};

/// A scenario in which the credential `…1111` gets this reply.
fn first_gets(reply: &str) -> String {
    format!("rules: [{{ name: first, when: {{ credential: '*1111' }}, reply: {reply} }}]")
}

fn trail(reply: &Reply) -> (Option<&str>, Option<&str>, Option<&str>) {
    (
        reply.header("x-dragoman-attempts"),
        reply.header("x-dragoman-upstream"),
        reply.header("x-dragoman-model"),
    )
}

/// Seconds until a credential may be used again, for any model.
fn waits(gateway: &TestGateway, credential: &str) -> i64 {
    let status = gateway.credential(credential);
    let all = std::iter::once(&status.state).chain(status.models.iter().map(|it| &it.1));
    all.filter_map(QuotaState::ready_at).map(|it| (it - SystemClock.now()).num_seconds()).max().unwrap_or(0)
}

#[tokio::test]
async fn a_refused_credential_is_passed_over_and_not_asked_again() {
    let gateway = TestGateway::start(TWO_CREDENTIALS, &first_gets("{ error: { status: 401 } }")).await;
    let mut reply = gateway.chat(chat("gpt-sim")).await;
    assert_eq!((reply.status, trail(&reply)), (200, (Some("2"), Some("chat"), Some("gpt-sim"))));
    assert!(reply.header("x-dragoman-request-id").unwrap().starts_with("req"), "{:?}", reply.headers);
    reply.bytes().await;
    for _ in 0..3 {
        let mut reply = gateway.chat(chat("gpt-sim")).await;
        assert_eq!((reply.status, trail(&reply).0), (200, Some("1")));
        reply.bytes().await;
    }
    assert_eq!(gateway.credentials_seen().await, ["1111", "2222", "2222", "2222", "2222"]);
    assert!(matches!(gateway.state("one"), QuotaState::Cooling { .. }), "{:?}", gateway.credential("one"));
    assert!(gateway.state("two").is_ready());
    let attempts = gateway.attempts().await;
    assert_eq!((attempts[0].ending, attempts[0].status), (Ending::Failed, Some(401)));
    assert_eq!(attempts[0].intent.request, attempts[1].intent.request);
    assert_eq!((attempts[0].intent.number, attempts[1].intent.number), (1, 2));
    assert_ne!(attempts[0].intent.credential, attempts[1].intent.credential);
    gateway.stop().await;
}

#[tokio::test]
async fn a_limited_credential_rests_as_long_as_its_upstream_says() {
    let gateway =
        TestGateway::start(TWO_CREDENTIALS, &first_gets("{ error: { status: 429, retry-after: 600s } }"))
            .await;
    assert_eq!(gateway.chat(chat("gpt-sim")).await.status, 200);
    assert_eq!(gateway.chat(chat("gpt-sim")).await.status, 200);
    assert_eq!(gateway.credentials_seen().await, ["1111", "2222", "2222"]);
    assert!((500..=600).contains(&waits(&gateway, "one")), "{:?}", gateway.credential("one"));
    gateway.stop().await;
}

#[tokio::test]
async fn when_every_credential_rests_the_client_hears_for_how_long_in_its_dialect() {
    let scenario = "
rules:
  - { name: first, when: { credential: '*1111' }, reply: { error: { status: 429, retry-after: 900s } } }
  - { name: second, when: { credential: '*2222' }, reply: { error: { status: 429, retry-after: 600s } } }
";
    let gateway = TestGateway::start(TWO_CREDENTIALS, scenario).await;
    // The first exchange is refused by the upstream, the next ones by the gateway itself.
    for (attempts, is_messages) in [(Some("2"), false), (None, false), (None, true)] {
        let mut reply = if is_messages {
            gateway.messages(messages("gpt-sim")).await
        } else {
            gateway.chat(chat("gpt-sim")).await
        };
        assert_eq!((reply.status, trail(&reply).0), (429, attempts));
        let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!((500..=600).contains(&wait), "the sooner of both, not {wait}");
        let told = reply.json().await;
        assert_eq!(told["type"] == "error", is_messages, "{told}");
    }
    assert_eq!(gateway.credentials_seen().await, ["1111", "2222"]);
    assert_eq!(gateway.attempts().await.len(), 2);
    gateway.stop().await;
}

#[tokio::test]
async fn a_faulty_request_is_nobodys_fault_but_its_own() {
    let gateway = TestGateway::start(
        TWO_CREDENTIALS,
        &first_gets("{ error: { status: 400, message: 'temperature: too hot', param: temperature } }"),
    )
    .await;
    for _ in 0..2 {
        let mut reply = gateway.chat(chat("gpt-sim")).await;
        assert_eq!((reply.status, trail(&reply).0), (400, Some("1")));
        let told = reply.json().await;
        assert_eq!(told["error"]["message"], "temperature: too hot");
        assert_eq!(told["error"]["param"], "temperature");
    }
    assert_eq!(gateway.credentials_seen().await, ["1111", "1111"]);
    assert_eq!(waits(&gateway, "one"), 0);
    let rows = gateway.attempts().await;
    assert!(
        rows.iter().all(|it| it.ending == Ending::Failed && it.error.as_deref() == Some("bad_request")),
        "{rows:#?}"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_failing_upstream_gets_another_try_with_the_next_credential() {
    for status in [500, 502, 503] {
        for stream in [false, true] {
            let reply = format!("{{ error: {{ status: {status} }} }}");
            let gateway = TestGateway::start(TWO_CREDENTIALS, &first_gets(&reply)).await;
            let body = if stream { chat_stream("gpt-sim") } else { chat("gpt-sim") };
            let mut reply = gateway.chat(body).await;
            assert_eq!((reply.status, trail(&reply).0), (200, Some("2")), "{status}");
            reply.bytes().await;
            assert!(waits(&gateway, "one") < 60, "a short rest only");
            gateway.stop().await;
        }
    }
}

#[tokio::test]
async fn an_overloaded_upstream_is_left_for_the_next_target() {
    let config = format!("{BOTH}\naliases: [{{ name: best, targets: [wise, smart] }}]");
    let gateway = TestGateway::start(
        &config,
        "rules: [{ name: down, when: { dialect: anthropic-messages }, reply: { error: { status: 529 } } }]",
    )
    .await;
    let mut reply = gateway.messages(messages("best")).await;
    assert_eq!((reply.status, trail(&reply)), (200, (Some("2"), Some("chat"), Some("gpt-sim"))));
    reply.bytes().await;
    // Alone it is told as it came, or, as long as its credential rests, that it fails: that is no rate limit.
    let mut reply = gateway.messages(messages("wise")).await;
    let status = reply.status;
    assert!(matches!(status, 503 | 529), "{status}: {}", reply.text().await);
    gateway.stop().await;
}

#[tokio::test]
async fn an_upstream_nobody_listens_for_is_left_for_the_next_target() {
    // Bound once and let go: nobody listens there.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = format!("{BOTH}\naliases: [{{ name: best, targets: [wise, smart] }}]")
        .replace("base-url: {sim}\n", &format!("base-url: http://{nobody}\n"));
    let gateway = TestGateway::start(&config, "").await;
    let mut reply = gateway.chat(chat("best")).await;
    assert_eq!((reply.status, trail(&reply)), (200, (Some("2"), Some("chat"), Some("gpt-sim"))));
    reply.bytes().await;
    let rows = gateway.attempts().await;
    assert_eq!(
        (rows[0].ending, rows[0].status, rows[0].error.as_deref()),
        (Ending::Failed, None, Some("upstream_failed"))
    );
    assert!(rows[0].usage.is_empty() && !rows[0].estimated);
    gateway.stop().await;
}

#[tokio::test]
async fn tries_end_with_the_number_that_is_allowed() {
    let many = (1..=5)
        .map(|it| format!("      - {{ name: k{it}, api-key: sk-upstream-000{it} }}\n"))
        .collect::<Vec<_>>()
        .concat();
    let config = TWO_CREDENTIALS
        .replace("      - { name: one, api-key: sk-upstream-1111, priority: 2 }\n", &many)
        .replace("      - { name: two, api-key: sk-upstream-2222, priority: 1 }\n", "");
    for (allowed, expected) in [(1, "1"), (3, "3"), (20, "5")] {
        let config = format!("{config}\nrouting: {{ retry: {{ attempts: {allowed} }} }}");
        let gateway =
            TestGateway::start(&config, "rules: [{ name: all, reply: { error: { status: 500 } } }]").await;
        let mut reply = gateway.chat(chat("gpt-sim")).await;
        assert_eq!((reply.status, trail(&reply).0), (500, Some(expected)));
        assert!(reply.json().await["error"]["message"].is_string());
        assert_eq!(gateway.log().await.len().to_string(), expected);
        gateway.stop().await;
    }
}

#[tokio::test]
async fn of_all_failures_the_client_hears_the_one_that_says_most() {
    let scenario = "
rules:
  - { name: first, when: { credential: '*1111' }, reply: { error: { status: 429, retry-after: 700s } } }
  - { name: second, reply: { error: { status: 401 } } }
";
    let gateway = TestGateway::start(TWO_CREDENTIALS, scenario).await;
    let mut reply = gateway.chat(chat("gpt-sim")).await;
    assert_eq!((reply.status, trail(&reply).0), (429, Some("2")));
    assert_eq!(reply.header("retry-after"), Some("700"));
    let told = reply.text().await;
    assert!(!told.contains("sk-upstream"), "{told}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_client_is_never_told_that_it_is_the_gateways_credential_that_was_refused_by_a_401() {
    let gateway = TestGateway::start(TWO_CREDENTIALS, "keys: [some-other-key]").await;
    let mut reply = gateway.chat(chat("gpt-sim")).await;
    assert_eq!((reply.status, trail(&reply).0), (502, Some("2")));
    let told = reply.json().await;
    assert_eq!(told["error"]["code"], "upstream_refused", "{told}");
    gateway.stop().await;
}
