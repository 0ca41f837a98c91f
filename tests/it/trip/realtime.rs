//! Realtime sessions: joined, counted, and ended on both sides.

use actix_web::{HttpResponse, web::Bytes};
use actix_ws::{CloseCode, CloseReason, Message as ServerMessage};
use dragoman::usage::Ending;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message, client::IntoClientRequest, protocol::CloseFrame},
};

use crate::support::{
    gateway::{KEY, TestGateway},
    http::Request,
    scripted::TestUpstream,
};

type Client = WebSocketStream<TcpStream>;

/// Repeats what it is told; `done` is answered with what was used, `bye` with a farewell, `break` with silence for ever.
fn repeater() -> TestUpstream {
    TestUpstream::with_socket(|request, payload| {
        if request.headers().get("authorization").is_none_or(|it| !it.as_bytes().ends_with(b"2222")) {
            return HttpResponse::Unauthorized()
                .json(json!({ "error": { "message": "Incorrect API key", "code": "invalid_api_key" } }));
        }
        let (response, mut session, mut messages) = actix_ws::handle(&request, payload).unwrap();
        actix_web::rt::spawn(async move {
            while let Some(Ok(message)) = messages.next().await {
                match message {
                    ServerMessage::Text(text) if text == "done" => {
                        let usage = json!({ "input_tokens": 100, "output_tokens": 30, "input_token_details": { "cached_tokens": 60, "audio_tokens": 20 } });
                        let event = json!({ "type": "response.done", "response": { "usage": usage } });
                        session.text(event.to_string()).await.unwrap();
                    }
                    ServerMessage::Text(text) if text == "bye" => {
                        let reason = CloseReason {
                            code: CloseCode::Other(4001),
                            description: Some("over".to_owned()),
                        };
                        let _ = session.close(Some(reason)).await;
                        return;
                    }
                    ServerMessage::Text(text) if text == "break" => return,
                    ServerMessage::Text(text) => session.text(text).await.unwrap(),
                    ServerMessage::Binary(bytes) => session.binary(bytes).await.unwrap(),
                    ServerMessage::Close(reason) => {
                        let _ = session.close(reason).await;
                        return;
                    }
                    _ => {}
                }
            }
        });
        response
    })
}

async fn started() -> (TestUpstream, TestGateway) {
    let upstream = repeater();
    let config = format!(
        "
shutdown: {{ grace: 50ms }}
upstreams:
  - name: main
    kind: openai-compatible
    base-url: {}/v1
    proxy-url: direct
    strategy: fill-first
    credentials:
      - {{ name: one, api-key: sk-upstream-1111, priority: 2 }}
      - {{ name: two, api-key: sk-upstream-2222, priority: 1 }}
    models: [{{ name: gpt-realtime, alias: nice }}]
",
        upstream.url()
    );
    let gateway = TestGateway::start(&config, "").await;
    (upstream, gateway)
}

async fn open(
    gateway: &TestGateway,
    query: &str,
    headers: &[(&'static str, &str)],
) -> Result<(Client, http::Response<Option<Vec<u8>>>), tungstenite::Error> {
    let address = gateway.address();
    let mut request = format!("ws://{address}/v1/realtime{query}").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    client_async(request, TcpStream::connect(address).await.unwrap()).await
}

async fn session(gateway: &TestGateway) -> Client {
    let bearer = format!("Bearer {KEY}");
    open(gateway, "?model=nice", &[("authorization", &bearer)]).await.unwrap().0
}

async fn next(client: &mut Client) -> Message {
    client.next().await.unwrap().unwrap()
}

/// The code and reason with which the session ends.
async fn end(client: &mut Client) -> (u16, String) {
    loop {
        if let Message::Close(close) = next(client).await {
            let CloseFrame { code, reason } = close.expect("a reason");
            return (code.into(), reason.to_string());
        }
    }
}

#[tokio::test]
async fn a_session_passes_messages_both_ways_and_sums_up_what_they_cost() {
    let (upstream, gateway) = started().await;
    let bearer = format!("Bearer {KEY}");
    let (mut client, response) =
        open(&gateway, "?intent=x&model=nice", &[("authorization", &bearer), ("openai-beta", "realtime=v1")])
            .await
            .unwrap();
    assert_eq!(response.headers()["x-dragoman-model"], "gpt-realtime");
    assert_eq!(response.headers()["x-dragoman-attempts"], "2");
    client.send(Message::text("{ \"type\": \"session.update\" }")).await.unwrap();
    assert_eq!(next(&mut client).await, Message::text("{ \"type\": \"session.update\" }"));
    client.send(Message::binary(vec![0, 255])).await.unwrap();
    assert_eq!(next(&mut client).await, Message::binary(Bytes::from_static(&[0, 255])));
    for _ in 0..2 {
        client.send(Message::text("done")).await.unwrap();
        assert!(next(&mut client).await.to_text().unwrap().contains("response.done"));
    }
    client.send(Message::Ping(Bytes::from_static(b"p"))).await.unwrap();
    assert_eq!(next(&mut client).await, Message::Pong(Bytes::from_static(b"p")));
    client.close(Some(CloseFrame { code: 1000.into(), reason: "enough".into() })).await.unwrap();
    assert_eq!(end(&mut client).await, (1000, "enough".to_owned()));
    gateway.idle().await;
    let seen = upstream.seen();
    assert_eq!(seen[1].target, "/v1/realtime?model=gpt-realtime&intent=x");
    assert_eq!(seen[1].header("openai-beta"), Some("realtime=v1"));
    let rows = gateway.attempts().await;
    assert_eq!((rows.len(), rows[0].ending, rows[0].status), (2, Ending::Failed, Some(401)));
    let row = &rows[1];
    assert_eq!(
        (row.intent.operation.as_str(), row.ending, row.status),
        ("realtime", Ending::Completed, Some(101))
    );
    assert_eq!((row.usage.input, row.usage.cache_read, row.usage.output), (Some(80), Some(120), Some(60)));
    assert_eq!((row.usage.audio_input, row.estimated), (Some(40), false));
    gateway.stop().await;
    upstream.stop().await;
}

#[tokio::test]
async fn a_browsers_key_is_a_protocol() {
    let (upstream, gateway) = started().await;
    let protocols = format!("realtime, openai-insecure-api-key.{KEY}, openai-beta.realtime-v1");
    let (mut client, response) =
        open(&gateway, "?model=nice", &[("sec-websocket-protocol", &protocols)]).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "realtime");
    client.send(Message::text("a")).await.unwrap();
    assert_eq!(next(&mut client).await, Message::text("a"));
    let seen = upstream.seen();
    assert_eq!(seen[1].header("openai-beta"), Some("realtime=v1"));
    assert!(!format!("{seen:?}").contains(KEY), "the tenant's key stays here");
    drop(client);
    gateway.idle().await;
    assert_eq!(gateway.attempts().await[1].ending, Ending::Abandoned);
    gateway.stop().await;
    upstream.stop().await;
}

#[tokio::test]
async fn the_upstreams_farewell_is_the_clients() {
    let (upstream, gateway) = started().await;
    let mut client = session(&gateway).await;
    client.send(Message::text("bye")).await.unwrap();
    assert_eq!(end(&mut client).await, (4001, "over".to_owned()));
    gateway.idle().await;
    assert_eq!(gateway.attempts().await[1].ending, Ending::Completed);
    gateway.stop().await;
    upstream.stop().await;
}

#[tokio::test]
async fn an_upstream_that_vanishes_is_told_as_a_failure() {
    let (upstream, gateway) = started().await;
    let mut client = session(&gateway).await;
    client.send(Message::text("break")).await.unwrap();
    assert_eq!(end(&mut client).await, (1011, "the upstream's session broke off".to_owned()));
    gateway.idle().await;
    let row = gateway.attempts().await.pop().unwrap();
    assert_eq!((row.ending, row.error.as_deref()), (Ending::Truncated, Some("truncated")));
    gateway.stop().await;
    upstream.stop().await;
}

#[tokio::test]
async fn a_gateway_that_stops_says_so() {
    let (upstream, gateway) = started().await;
    let mut client = session(&gateway).await;
    let drained = gateway.gateway.drain(std::future::pending());
    let ((code, _), ()) = futures::join!(end(&mut client), drained);
    assert_eq!(code, 1012);
    gateway.idle().await;
    assert_eq!(gateway.attempts().await[1].ending, Ending::Interrupted);
    gateway.stop().await;
    upstream.stop().await;
}

#[tokio::test]
async fn what_is_no_session_is_refused_in_http() {
    let (upstream, gateway) = started().await;
    let bearer = format!("Bearer {KEY}");
    let refused = async |query: &str, key: &str| match open(&gateway, query, &[("authorization", key)]).await
    {
        Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused("?model=nice", "Bearer sk-wrong-0123456789-abcdef").await, 401);
    assert_eq!(refused("", &bearer).await, 400);
    assert_eq!(refused("?model=a&model=nice", &bearer).await, 400);
    assert_eq!(refused("?model=nobody", &bearer).await, 404);
    assert_eq!(gateway.get("/v1/realtime?model=nice").await.status, 400);
    assert_eq!(gateway.send(&Request::post("/v1/realtime", "").bearer(KEY)).await.status, 405);
    assert!(upstream.seen().is_empty() && gateway.attempts().await.is_empty());
    gateway.stop().await;
    upstream.stop().await;
}
