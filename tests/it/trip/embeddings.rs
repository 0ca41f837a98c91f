//! Embeddings between OpenAI and Gemini.

use actix_web::HttpResponse;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::support::{
    gateway::{KEY, TestGateway},
    http::Request,
    scripted::{Seen, TestUpstream},
};

async fn started(
    kind: &str,
    answer: impl Fn(&Seen) -> HttpResponse + Send + Sync + 'static,
) -> (TestUpstream, TestGateway) {
    let upstream = TestUpstream::start(answer);
    let base = if kind == "gemini" { upstream.url() } else { format!("{}/v1", upstream.url()) };
    let config = format!(
        "
upstreams:
  - name: main
    kind: {kind}
    base-url: {base}
    proxy-url: direct
    credentials: [{{ name: one, api-key: sk-upstream-1111 }}]
    models: [{{ name: embed-1, alias: nice }}]
"
    );
    let gateway = TestGateway::start(&config, "").await;
    (upstream, gateway)
}

fn gemini(seen: &Seen) -> HttpResponse {
    let count = seen.json()["requests"].as_array().map_or(1, Vec::len);
    let embeddings: Vec<Value> = (0..count).map(|it| json!({ "values": [it, 0.25, -1.5] })).collect();
    HttpResponse::Ok().json(json!({ "embeddings": embeddings }))
}

#[tokio::test]
async fn a_client_of_openais_is_answered_by_gemini() {
    let (upstream, gateway) = started("gemini", gemini).await;
    let body = r#"{"model":"nice","input":["a","b"],"encoding_format":"base64","dimensions":3,"user":"u"}"#;
    let mut answer = gateway.post("/v1/embeddings", body).await;
    assert_eq!(answer.header("x-dragoman-translation"), Some("dropped=/user"));
    let told = answer.json().await;
    assert_eq!((&told["object"], &told["model"]), (&json!("list"), &json!("nice")));
    let bytes = STANDARD.decode(told["data"][1]["embedding"].as_str().unwrap()).unwrap();
    let floats: Vec<f32> = bytes.chunks(4).map(|it| f32::from_le_bytes(it.try_into().unwrap())).collect();
    assert_eq!(floats, [1.0, 0.25, -1.5]);
    assert!(told["usage"]["prompt_tokens"].as_u64() > Some(0));
    let seen = upstream.only();
    assert_eq!(seen.target, "/v1beta/models/embed-1:batchEmbedContents");
    assert_eq!(
        seen.json()["requests"][0],
        json!({ "model": "models/embed-1", "content": { "parts": [{ "text": "a" }] }, "outputDimensionality": 3 })
    );
    let row = gateway.attempt().await;
    assert_eq!((row.intent.operation.as_str(), row.estimated), ("embeddings", true));
    assert_eq!(
        (row.intent.client_dialect.as_str(), row.intent.upstream_dialect.as_str()),
        ("openai-chat", "gemini")
    );
    assert_eq!(row.intent.losses.unwrap().kept[0].at, "/user");
    gateway.stop().await;
    upstream.stop().await;
}

#[tokio::test]
async fn a_client_of_geminis_is_answered_by_openai() {
    let (upstream, gateway) = started("openai-compatible", |seen| {
        assert_eq!(seen.json()["encoding_format"], "float");
        let inputs = seen.json()["input"].as_array().map_or(1, Vec::len);
        let data: Vec<Value> =
            (0..inputs).rev().map(|it| json!({ "index": it, "embedding": [it, 0.1] })).collect();
        HttpResponse::Ok().json(
            json!({ "data": data, "model": "embed-1", "usage": { "prompt_tokens": 9, "total_tokens": 9 } }),
        )
    })
    .await;
    let ask = async |method: &str, body: Value| {
        let path = format!("/v1beta/models/nice:{method}");
        gateway.send(&Request::post(&path, body.to_string()).header("x-goog-api-key", KEY)).await
    };
    let content =
        |text: &str| json!({ "content": { "parts": [{ "text": text }] }, "taskType": "RETRIEVAL_QUERY" });
    let mut one = ask("embedContent", content("a")).await;
    assert_eq!(one.header("x-dragoman-translation"), Some("dropped=/taskType"));
    assert_eq!(one.json().await["embedding"]["values"], json!([0, 0.1]));
    let mut many = ask("batchEmbedContents", json!({ "requests": [content("a"), content("b")] })).await;
    assert_eq!(many.json().await["embeddings"], json!([{ "values": [0, 0.1] }, { "values": [1, 0.1] }]));
    let seen = upstream.seen();
    assert_eq!((seen[0].target.as_str(), &seen[0].json()["input"]), ("/v1/embeddings", &json!("a")));
    assert_eq!(seen[1].json()["input"], json!(["a", "b"]));
    for row in gateway.attempts().await {
        assert_eq!(
            (row.intent.operation.as_str(), row.usage.input, row.estimated),
            ("embeddings", Some(9), false)
        );
    }
    let mut image = ask("embedContent", json!({ "content": { "parts": [{ "inlineData": {} }] } })).await;
    assert_eq!(image.json().await["error"]["status"], "INVALID_ARGUMENT");
    gateway.stop().await;
    upstream.stop().await;
}

#[tokio::test]
async fn a_client_of_geminis_own_upstream_passes_but_for_the_models_name() {
    let (upstream, gateway) = started("gemini", gemini).await;
    for (method, body, expected) in [
        (
            "embedContent",
            r#"{"content":{"parts":[{"inlineData":{}}]},"taskType":"X"}"#,
            r#"{"content":{"parts":[{"inlineData":{}}]},"taskType":"X"}"#,
        ),
        (
            "batchEmbedContents",
            r#"{"requests":[{"model":"models/nice"}]}"#,
            r#"{"requests":[{"model":"models/embed-1"}]}"#,
        ),
    ] {
        let path = format!("/v1beta/models/nice:{method}");
        let reply = gateway.send(&Request::post(&path, body).header("x-goog-api-key", KEY)).await;
        assert_eq!((reply.status, reply.header("x-dragoman-translation")), (200, None));
        let seen = upstream.seen().pop().unwrap();
        assert_eq!(
            (seen.target.clone(), seen.text()),
            (format!("/v1beta/models/embed-1:{method}"), expected.to_owned())
        );
    }
    gateway.stop().await;
    upstream.stop().await;
}

#[tokio::test]
async fn who_wants_nothing_lost_is_refused_before_anything_is_sent() {
    let (upstream, gateway) = started("gemini", gemini).await;
    let strict = |body: &str| {
        Request::post("/v1/embeddings", body).bearer(KEY).header("x-dragoman-translation", "strict")
    };
    let mut reply = gateway.send(&strict(r#"{"model":"nice","input":"a","input_type":"query"}"#)).await;
    let error = reply.json().await;
    assert_eq!((reply.status, error["error"]["param"].as_str()), (400, Some("input_type")), "{error}");
    let mut tokens = gateway.post("/v1/embeddings", r#"{"model":"nice","input":[1,2]}"#).await;
    let error = tokens.json().await;
    assert_eq!((tokens.status, error["error"]["param"].as_str()), (400, Some("input")), "{error}");
    assert!(upstream.seen().is_empty() && gateway.attempts().await.is_empty());
    assert_eq!(gateway.send(&strict(r#"{"model":"nice","input":"a","user":"u"}"#)).await.status, 200);
    gateway.stop().await;
    upstream.stop().await;
}

#[tokio::test]
async fn an_answer_that_lacks_a_vector_is_no_answer() {
    let (upstream, gateway) =
        started("gemini", |_| HttpResponse::Ok().json(json!({ "embeddings": [{ "values": [1] }] }))).await;
    let mut reply = gateway.post("/v1/embeddings", r#"{"model":"nice","input":["a","b"]}"#).await;
    assert_eq!(reply.status, 502);
    assert!(
        reply.json().await["error"]["message"].as_str().unwrap().contains("1 embeddings came for 2 inputs")
    );
    gateway.stop().await;
    upstream.stop().await;
}
