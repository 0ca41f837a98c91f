//! Responses over a WebSocket.

use dragoman::{kernel::clock::SystemClock, tenant::admin::TenantAdmin};
use serde_json::{Value, json};

use crate::support::{
    gateway::{BOTH, KEY, TestGateway},
    http::Request,
    socket::Socket,
};

const NATIVE: &str = "
  - name: native
    kind: openai-responses
    base-url: {sim}/v1
    proxy-url: direct
    credentials: [{ name: r, api-key: sk-upstream-native-3333 }]
    models: [{ name: sim-r, alias: native }]
";

async fn gateway(scenario: &str) -> TestGateway {
    TestGateway::start(&format!("{BOTH}{NATIVE}"), scenario).await
}

async fn open(gateway: &TestGateway) -> Socket {
    Socket::open(gateway.address(), "/v1/responses", KEY).await.unwrap()
}

fn create(model: &str, input: &str) -> Value {
    json!({"type": "response.create", "model": model, "store": false, "input": [{"role": "user", "content": input}]})
}

fn going_on(model: &str, events: &[Value], input: &str) -> Value {
    let mut create = create(model, input);
    create["previous_response_id"] = events.last().unwrap()["response"]["id"].clone();
    create
}

fn is_whole(events: &[Value]) {
    assert_eq!(events[0]["type"], "response.created", "{events:?}");
    assert_eq!(events.last().unwrap()["type"], "response.completed", "{events:?}");
    let numbers: Vec<_> = events.iter().map(|it| it["sequence_number"].as_u64().unwrap()).collect();
    assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "{numbers:?}");
}

#[tokio::test]
async fn ec_207_several_turns_on_one_socket_go_on_from_what_it_holds() {
    let gateway = gateway("").await;
    for model in ["native", "smart", "wise"] {
        let before = gateway.log().await.len();
        let mut socket = open(&gateway).await;
        let first = socket.turn(&create(model, "My name is Ada.")).await;
        is_whole(&first);
        let second = socket.turn(&going_on(model, &first, "Who am I?")).await;
        is_whole(&second);
        let third = socket.turn(&going_on(model, &second, "And now?")).await;
        is_whole(&third);
        let asked = gateway.upstream_json(before + 3).await;
        let said = asked.to_string();
        for text in ["My name is Ada.", "Who am I?", "And now?", "You wrote"] {
            assert!(said.contains(text), "{model}: {said}");
        }
        assert!(asked.get("previous_response_id").is_none(), "{asked}");
    }
    assert_eq!(gateway.attempts().await.len(), 9, "each turn is an exchange with its own meter");
    gateway.stop().await;
}

#[tokio::test]
async fn a_warm_up_asks_nobody_and_is_gone_on_from() {
    let gateway = gateway("").await;
    let mut socket = open(&gateway).await;
    let mut warm = create("smart", "My name is Ada.");
    warm["generate"] = json!(false);
    let events = socket.turn(&warm).await;
    is_whole(&events);
    assert_eq!(events[1]["response"]["output"], json!([]));
    assert!(gateway.log().await.is_empty());
    is_whole(&socket.turn(&going_on("smart", &events, "Who am I?")).await);
    let asked = gateway.upstream_json(1).await.to_string();
    assert!(asked.contains("My name is Ada.") && asked.contains("Who am I?"), "{asked}");
    gateway.stop().await;
}

#[tokio::test]
async fn errors_are_events_and_the_socket_goes_on() {
    let gateway = gateway("").await;
    let mut socket = open(&gateway).await;
    for (message, status, code) in [
        (json!({"type": "response.steer"}), 400, Value::Null),
        (create("nothing-is-called-so", "Hi"), 404, json!("model_not_found")),
        (
            going_on("smart", &[json!({"response": {"id": "resp_unknown"}})], "Hi"),
            400,
            json!("previous_response_not_found"),
        ),
    ] {
        let events = socket.turn(&message).await;
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(
            (&events[0]["type"], &events[0]["status"]),
            (&json!("error"), &json!(status)),
            "{events:?}"
        );
        if !code.is_null() {
            assert_eq!(events[0]["error"]["code"], code, "{events:?}");
        }
    }
    is_whole(&socket.turn(&create("smart", "Hi")).await);
    gateway.stop().await;
}

#[tokio::test]
async fn turns_said_at_once_are_answered_one_after_another() {
    let gateway = gateway("").await;
    let mut socket = open(&gateway).await;
    for number in 0..3 {
        socket.say(&create("smart", &format!("Question {number}"))).await;
    }
    for number in 0..3 {
        let events = socket.response().await;
        is_whole(&events);
        let asked = gateway.upstream_json(number + 1).await.to_string();
        assert!(asked.contains(&format!("Question {number}")), "{asked}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_stranger_is_not_let_in_and_a_plain_get_is_no_socket() {
    let gateway = gateway("").await;
    let refused = Socket::open(gateway.address(), "/v1/responses", "sk-nobody-knows-this-key-0").await;
    assert_eq!(refused.err(), Some(401));
    let plain = gateway.send(&Request::get("/v1/responses").bearer(KEY)).await;
    assert_eq!(plain.status, 405);
    gateway.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_turn() {
    let gateway = gateway("rules: [{ name: thinks, reply: hang }]").await;
    let mut socket = open(&gateway).await;
    socket.say(&create("native", "Hello")).await;
    gateway
        .eventually("the upstream is asked", async || (!gateway.log().await.is_empty()).then_some(()))
        .await;
    assert_eq!(gateway.gateway.in_flight(), 1);
    drop(socket);
    gateway.idle().await;
    assert_eq!(gateway.outcomes().await, ["aborted"]);
    assert_eq!(gateway.attempt().await.ending.name(), "abandoned");
    gateway.stop().await;
}

#[tokio::test]
async fn a_gateway_that_stops_closes_what_is_idle() {
    let gateway = gateway("").await;
    let mut socket = open(&gateway).await;
    is_whole(&socket.turn(&create("smart", "Hi")).await);
    gateway.gateway.drain(std::future::pending()).await;
    assert_eq!(socket.event().await, None);
    gateway.stop().await;
}

#[tokio::test]
async fn a_key_that_is_revoked_ends_its_socket_at_the_next_turn() {
    let mut gateway = gateway("").await;
    let foundation = gateway.gateway.foundation().clone();
    let admin =
        TenantAdmin { repository: &*foundation.tenants, clock: &SystemClock, hasher: &foundation.hasher };
    admin.create_tenant("acme").await.unwrap();
    let (_, key) = admin.create_key("acme", "one", None).await.unwrap();
    gateway.gateway.refresh_keys().await;
    let mut socket = Socket::open(gateway.address(), "/v1/responses", key.reveal()).await.unwrap();
    is_whole(&socket.turn(&create("smart", "Hi")).await);
    admin.revoke_key("acme", "one").await.unwrap();
    gateway.gateway.refresh_keys().await;
    let refused = socket.turn(&create("smart", "Hi")).await;
    assert_eq!((refused.len(), &refused[0]["status"]), (1, &json!(401)), "{refused:?}");
    assert_eq!(socket.event().await, None);
    gateway.stop().await;
}
