//! Compressed bodies, both ways.

use std::io::{Read, Write};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde_json::{Value, json};

use crate::support::{
    gateway::{BOTH, KEY, TestGateway},
    http::Request,
};

fn asked(stream: bool) -> Vec<u8> {
    let words = "Please say this long text again. ".repeat(60);
    json!({"model": "smart", "stream": stream, "messages": [{"role": "user", "content": words}]})
        .to_string()
        .into_bytes()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn gunzip(body: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(body).read_to_string(&mut text).unwrap();
    text
}

fn request(body: Vec<u8>) -> Request {
    Request::post("/v1/chat/completions", body).bearer(KEY)
}

#[tokio::test]
async fn ec_118_compressed_requests_are_answered() {
    let gateway = TestGateway::with_both("").await;
    for (coding, body) in
        [("gzip", gzip(&asked(false))), ("zstd", zstd::encode_all(&asked(false)[..], 1).unwrap())]
    {
        let mut reply = gateway.send(&request(body).header("content-encoding", coding)).await;
        let answer = reply.json().await;
        assert_eq!(reply.status, 200, "{coding}: {answer}");
    }
    assert_eq!(gateway.upstream_json(2).await["messages"][0]["role"], "user");
    gateway.stop().await;
}

#[tokio::test]
async fn a_compressed_body_has_the_limit_of_a_plain_one() {
    let gateway = TestGateway::start(&format!("{BOTH}\nserver: {{ body-limit: 64KiB }}"), "").await;
    let bomb = gzip(&vec![b' '; 1 << 20]);
    let mut reply = gateway.send(&request(bomb).header("content-encoding", "gzip")).await;
    let error = reply.json().await;
    assert_eq!(reply.status, 413, "{error}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_whole_answer_is_compressed_for_who_accepts_it() {
    let scenario = "rules: [{ reply: { answer: { text: 'again and ', repeat: 400 } } }]";
    let gateway = TestGateway::with_both(scenario).await;
    let plain = gateway.send(&request(asked(false))).await.header("content-encoding").map(str::to_owned);
    assert_eq!(plain, None);
    let mut reply = gateway.send(&request(asked(false)).header("accept-encoding", "gzip, deflate")).await;
    assert_eq!(reply.header("content-encoding"), Some("gzip"));
    let answer: Value = serde_json::from_str(&gunzip(&reply.bytes().await)).unwrap();
    assert_eq!(answer["object"], "chat.completion");
    let mut stream = gateway.send(&request(asked(true)).header("accept-encoding", "gzip")).await;
    assert_eq!(
        stream.header("content-encoding"),
        None,
        "streams are left alone unless the operator wants them packed"
    );
    assert!(stream.text().await.ends_with("data: [DONE]\n\n"));
    gateway.stop().await;
}

#[tokio::test]
async fn a_stream_is_compressed_event_by_event_where_it_is_wanted() {
    let config = format!("{BOTH}\nserver: {{ compression: all }}");
    let scenario = "rules: [{ delay: { between: 20ms }, pace: { chunks: 3 }, reply: { answer: { text: one two three } } }]";
    let gateway = TestGateway::start(&config, scenario).await;
    let mut reply = gateway.send(&request(asked(true)).header("accept-encoding", "gzip")).await;
    assert_eq!(reply.header("content-encoding"), Some("gzip"));
    let first = reply.piece().await.unwrap();
    let mut seen = vec![0; 4096];
    let read = GzDecoder::new(&first[..]).read(&mut seen).unwrap();
    assert!(seen[..read].starts_with(b"data: {"), "the first event can be read before the second has come");
    let rest = reply.bytes().await;
    assert!(gunzip(&[first, rest].concat()).ends_with("data: [DONE]\n\n"));
    gateway.stop().await;
}
