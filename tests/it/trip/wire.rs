//! How upstreams are called: HTTP version, compressed bodies, keys and lists of models.

use std::io::Read as _;

use serde_json::{Value, json};

use super::chat;
use crate::support::{
    gateway::TestGateway,
    upstream::{Seen, Upstream},
};

fn config(upstream: &Upstream, kind: &str, path: &str, more: &str) -> String {
    format!(
        "
upstreams:
  - name: odd
    kind: {kind}
    base-url: http://{}{path}
    proxy-url: direct
    credentials: [{{ name: one, api-key: sk-upstream-odd-1111 }}]
{more}
",
        upstream.address
    )
}

fn completion() -> Value {
    json!({
        "id": "c1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Yes."}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    })
}

#[tokio::test]
async fn http_2_is_spoken_to_an_upstream_that_speaks_it_without_tls() {
    for (http, version) in [("http2", "HTTP/2.0"), ("http1", "HTTP/1.1"), ("auto", "HTTP/1.1")] {
        let upstream = Upstream::start(|_| (200, completion()));
        let more = format!("    http: {http}\n    models: [{{ name: m }}]");
        let config = config(&upstream, "openai-compatible", "/v1", &more);
        let gateway = TestGateway::start(&config, "").await;
        for _ in 0..3 {
            let answer = gateway.chat(chat("m")).await.json().await;
            assert_eq!(answer["choices"][0]["message"]["content"], "Yes.", "{answer}");
        }
        let seen = upstream.seen();
        assert_eq!(seen.len(), 3);
        assert!(seen.iter().all(|it| it.version == version), "{http}: {seen:?}");
        assert!(seen.iter().all(|it| it.header("connection").is_none()), "{seen:?}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_long_request_is_compressed_until_the_upstream_refuses_it() {
    let body = chat("m").replace("Hello", &"long and long ".repeat(500));
    let unpacked = |seen: &Seen| {
        let mut text = String::new();
        match seen.header("content-encoding") {
            Some("zstd") => zstd::Decoder::new(&seen.body[..]).unwrap().read_to_string(&mut text).unwrap(),
            None => (&seen.body[..]).read_to_string(&mut text).unwrap(),
            other => panic!("{other:?}"),
        };
        text
    };
    let more = "    request-compression: zstd\n    models: [{ name: m }]";

    let takes = Upstream::start(|_| (200, completion()));
    let gateway = TestGateway::start(&config(&takes, "openai-compatible", "/v1", more), "").await;
    assert_eq!(gateway.chat(body.clone()).await.status, 200);
    let seen = takes.seen();
    assert_eq!(seen[0].header("content-encoding"), Some("zstd"));
    assert_eq!(seen[0].header("content-length"), Some(seen[0].body.len().to_string().as_str()));
    assert!(seen[0].body.len() * 10 < body.len());
    assert_eq!(unpacked(&seen[0]), body);
    gateway.stop().await;

    let refuses = Upstream::start(|seen| match seen.header("content-encoding") {
        Some(_) => (415, json!({"error": {"message": "no"}})),
        None => (200, completion()),
    });
    let gateway = TestGateway::start(&config(&refuses, "openai-compatible", "/v1", more), "").await;
    for _ in 0..2 {
        let reply = gateway.chat(body.clone()).await;
        assert_eq!((reply.status, reply.header("x-dragoman-attempts")), (200, Some("1")));
    }
    let encodings: Vec<_> =
        refuses.seen().iter().map(|it| it.header("content-encoding").map(str::to_owned)).collect();
    assert_eq!(encodings, [Some("zstd".to_owned()), None, None]);
    assert_eq!(unpacked(&refuses.seen()[1]), body);
    assert_eq!(gateway.attempts().await.len(), 2, "sending again is the same attempt");
    gateway.stop().await;
}

#[tokio::test]
async fn a_gemini_upstream_lists_the_models_that_answer_page_by_page() {
    let upstream = Upstream::start(|seen| {
        let model = |name: &str, method: &str| json!({"name": name, "supportedGenerationMethods": [method]});
        let page = if seen.query.contains("pageToken=two") {
            json!({"models": [model("models/gem-2", "generateContent")]})
        } else {
            json!({
                "models": [model("models/gem-1", "generateContent"), model("models/embed-1", "embedContent")],
                "nextPageToken": "two",
            })
        };
        (200, page)
    });
    let mut gateway = TestGateway::start(&config(&upstream, "gemini", "", ""), "").await;
    gateway.gateway.discovers().await;
    gateway.gateway.recompile().await.unwrap();
    let list = gateway.get("/v1/models").await.json().await;
    let names: Vec<&str> =
        list["data"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert!(names.contains(&"gem-1") && names.contains(&"gem-2"), "{list}");
    assert!(!names.iter().any(|it| it.contains("embed-1")), "{list}");
    let seen = upstream.seen();
    assert!(
        seen.iter().all(|it| it.path == "/v1beta/models" && it.query.starts_with("pageSize=1000")),
        "{seen:?}"
    );
    assert!(seen.iter().all(|it| it.header("x-goog-api-key") == Some("sk-upstream-odd-1111")));
    gateway.stop().await;
}

#[tokio::test]
async fn a_google_account_is_a_token_to_the_upstream_and_nothing_else() {
    let upstream = Upstream::start(|seen| match seen.path.as_str() {
        "/token" => (200, json!({"access_token": "ya29.fresh", "expires_in": 3600, "token_type": "Bearer"})),
        _ if seen.header("authorization") != Some("Bearer ya29.fresh") => {
            (401, json!({"error": {"code": 401}}))
        }
        _ => (
            200,
            json!({
                "candidates": [{
                    "content": {"role": "model", "parts": [{"text": "Yes."}]}, "finishReason": "STOP", "index": 0,
                }],
                "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
                "modelVersion": "gem-1", "responseId": "r1",
            }),
        ),
    });
    let account =
        std::fs::read_to_string(crate::support::fixtures::root().join("google/service-account.json"));
    let mut account: Value = serde_json::from_str(&account.unwrap()).unwrap();
    account["token_uri"] = format!("http://{}/token", upstream.address).into();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), account.to_string()).unwrap();
    let more = "    project: my-project\n    location: europe-west4\n    models: [{ name: gem-1 }]";
    let config = config(&upstream, "vertex", "", more)
        .replace("sk-upstream-odd-1111", &format!("file:{}", file.path().display()));
    let gateway = TestGateway::start(&config, "").await;
    let body = json!({"contents": [
        {"role": "user", "parts": [{"text": "Is it?"}]},
        {"role": "model", "parts": [{"functionCall": {"id": "c1", "name": "f", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"id": "c1", "name": "f", "response": {}}}]},
    ]});
    for _ in 0..2 {
        let mut reply = gateway.post("/v1beta/models/gem-1:generateContent", body.to_string()).await;
        let answer = reply.json().await;
        assert_eq!(reply.status, 200, "{answer}");
        assert_eq!(answer["candidates"][0]["content"]["parts"][0]["text"], "Yes.", "{answer}");
    }
    let seen = upstream.seen();
    let paths: Vec<&str> = seen.iter().map(|it| it.path.as_str()).collect();
    let model =
        "/v1/projects/my-project/locations/europe-west4/publishers/google/models/gem-1:generateContent";
    assert_eq!(paths, ["/token", model, model], "one token serves many");
    let sent: Value = serde_json::from_slice(&seen[1].body).unwrap();
    assert_eq!(sent["contents"][1]["parts"][0]["functionCall"], json!({"name": "f", "args": {}}));
    let rows = gateway.attempts().await;
    assert!(rows.iter().all(|it| it.usage.total_output() == 2 && it.usage.total_input() == 3), "{rows:#?}");
    gateway.stop().await;
}

#[tokio::test]
async fn ec_084_an_account_google_refuses_is_no_fault_of_the_clients() {
    let upstream =
        Upstream::start(|_| (400, json!({"error": "invalid_grant", "error_description": "who@example.com"})));
    let account = json!({
        "type": "authorized_user", "client_id": "id", "client_secret": "hush-hush-hush", "refresh_token": "1//again-again",
        "token_uri": format!("http://{}/token", upstream.address),
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), account.to_string()).unwrap();
    let config = config(&upstream, "vertex", "", "    project: p\n    models: [{ name: gem-1 }]")
        .replace("sk-upstream-odd-1111", &format!("file:{}", file.path().display()));
    let gateway = TestGateway::start(&config, "").await;
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "Is it?"}]}]});
    let mut reply = gateway.post("/v1beta/models/gem-1:generateContent", body.to_string()).await;
    let told = reply.text().await;
    assert_eq!(reply.status, 502, "{told}");
    assert!(told.contains("refused the gateway's credential"), "{told}");
    for secret in ["hush", "again", "who@", "invalid_grant"] {
        assert!(!told.contains(secret), "{told}");
    }
    assert_eq!(upstream.seen().len(), 1, "nothing is sent without a token");
    assert!(matches!(gateway.state("one"), dragoman::credential::QuotaState::Cooling { .. }));
    assert!(gateway.attempts().await.is_empty(), "nothing was tried");
    gateway.stop().await;
}
