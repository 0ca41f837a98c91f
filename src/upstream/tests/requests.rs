//! What is sent upstream, and what comes back of an answer's headers.

use bytes::Bytes;

use super::*;
use crate::upstream::discovery::Discovery;

fn prepare_with(
    upstream: &Upstream,
    secret: &str,
    client: &HeaderMap,
    betas: &[String],
    operation: Operation,
) -> Result<Request<Pieces>, PrepareError> {
    upstream.prepare(Call {
        operation,
        model: &model(),
        streaming: true,
        body: Bytes::from_static(b"{}").into(),
        credential: &credential(secret),
        client_headers: client,
        betas,
        attempt: "att_00000000000000000000000000000001".parse().unwrap(),
    })
}

fn prepare(upstream: &Upstream, client: &HeaderMap) -> Request<Pieces> {
    prepare_with(upstream, SECRET, client, &[], Operation::Generate).unwrap()
}

fn value<'a>(request: &'a Request<Pieces>, name: &str) -> Option<&'a str> {
    request.headers().get(name).map(|it| it.to_str().unwrap())
}

#[test]
fn an_openai_request_is_whole() {
    let request = prepare(&upstream("openai"), &HeaderMap::new());
    assert_eq!(request.method(), Method::POST);
    assert_eq!(request.uri(), "https://api.openai.com/v1/chat/completions");
    assert_eq!(request.body().whole(), Bytes::from_static(b"{}"));
    let expected = header_map(&[
        ("content-type", "application/json"),
        ("accept", "text/event-stream"),
        ("accept-encoding", "identity"),
        ("user-agent", concat!("dragoman/", env!("CARGO_PKG_VERSION"))),
        ("x-client-request-id", "att_00000000000000000000000000000001"),
        ("authorization", "Bearer sk-test-0123456789abcdef"),
    ]);
    assert_eq!(request.headers(), &expected);
    assert!(request.headers()["authorization"].is_sensitive());
    assert!(!format!("{request:?}").contains(SECRET));
}

#[test]
fn an_anthropic_request_is_whole() {
    let upstream = upstream("anthropic");
    let request = prepare(&upstream, &HeaderMap::new());
    assert_eq!(request.uri(), "https://api.anthropic.com/v1/messages");
    assert_eq!(value(&request, "x-api-key"), Some(SECRET));
    assert_eq!(value(&request, "anthropic-version"), Some("2023-06-01"));
    assert_eq!(value(&request, "authorization"), None);
    assert_eq!(value(&request, "x-client-request-id"), None);

    let count = prepare_with(&upstream, SECRET, &HeaderMap::new(), &[], Operation::CountTokens).unwrap();
    assert_eq!(count.uri(), "https://api.anthropic.com/v1/messages/count_tokens");

    let login =
        prepare_with(&upstream, "sk-ant-oat01-xyz", &HeaderMap::new(), &[], Operation::Generate).unwrap();
    assert_eq!(value(&login, "authorization"), Some("Bearer sk-ant-oat01-xyz"));
    assert_eq!(value(&login, "x-api-key"), None);
}

#[test]
fn a_responses_request_is_whole() {
    let request = prepare(&upstream("openai-responses"), &HeaderMap::new());
    assert_eq!(request.uri(), "https://api.openai.com/v1/responses");
    assert_eq!(value(&request, "authorization"), Some("Bearer sk-test-0123456789abcdef"));
    assert_eq!(value(&request, "x-client-request-id"), Some("att_00000000000000000000000000000001"));
}

#[test]
fn a_gemini_request_is_whole() {
    let upstream = upstream("gemini");
    let ask = |operation| prepare_with(&upstream, SECRET, &HeaderMap::new(), &[], operation).unwrap();
    let request = ask(Operation::Stream);
    assert_eq!(
        request.uri(),
        "https://generativelanguage.googleapis.com/v1beta/models/m-1:streamGenerateContent?alt=sse"
    );
    let expected = header_map(&[
        ("content-type", "application/json"),
        ("accept", "text/event-stream"),
        ("accept-encoding", "identity"),
        ("user-agent", concat!("dragoman/", env!("CARGO_PKG_VERSION"))),
        ("x-goog-api-key", SECRET),
    ]);
    assert_eq!(request.headers(), &expected);
    assert!(request.headers()["x-goog-api-key"].is_sensitive());
    assert!(ask(Operation::Generate).uri().path().ends_with("/v1beta/models/m-1:generateContent"));
    assert!(ask(Operation::CountTokens).uri().path().ends_with("/v1beta/models/m-1:countTokens"));
}

#[test]
fn a_vertex_request_has_its_place_in_the_path_and_a_token() {
    let request = prepare(&upstream("vertex"), &HeaderMap::new());
    assert_eq!(
        request.uri(),
        "https://aiplatform.googleapis.com/v1/projects/my-project/locations/global/publishers/google/models/m-1:generateContent"
    );
    assert_eq!(value(&request, "authorization"), Some("Bearer sk-test-0123456789abcdef"));
    let request = prepare(&upstream("vertex-api-key"), &HeaderMap::new());
    assert_eq!(value(&request, "x-goog-api-key"), Some(SECRET));
    assert_eq!(value(&request, "authorization"), None);
}

#[test]
fn every_kind_can_be_asked() {
    for name in kinds::names() {
        let request = prepare(&upstream(name), &HeaderMap::new());
        let path = kinds::find(name).unwrap().paths.generate.replace("{model}", "m-1");
        assert!(request.uri().path().ends_with(&path), "{name}");
        assert_eq!(request.headers().values().filter(|it| it.is_sensitive()).count(), 1, "{name}");
    }
}

#[test]
fn operations_beside_answers_have_their_own_paths() {
    let uri = |kind: &str, operation| {
        prepare_with(&upstream(kind), SECRET, &HeaderMap::new(), &[], operation)
            .map(|it| it.uri().to_string())
    };
    let rows = [
        ("openai", Operation::Embeddings, "https://api.openai.com/v1/embeddings"),
        ("openai", Operation::ImageEdit, "https://api.openai.com/v1/images/edits"),
        ("openai", Operation::Transcription, "https://api.openai.com/v1/audio/transcriptions"),
        ("openai", Operation::Realtime, "https://api.openai.com/v1/realtime"),
        ("vllm", Operation::Rerank, "http://localhost:8000/v1/rerank"),
        ("vllm", Operation::Moderation, "http://localhost:8000/v1/moderations"),
        ("groq", Operation::Speech, "https://api.groq.com/openai/v1/audio/speech"),
        ("openai-responses", Operation::Compact, "https://api.openai.com/v1/responses/compact"),
        ("openai-responses", Operation::CountTokens, "https://api.openai.com/v1/responses/input_tokens"),
        ("openai-responses", Operation::Embeddings, "https://api.openai.com/v1/embeddings"),
        (
            "gemini",
            Operation::EmbeddingBatch,
            "https://generativelanguage.googleapis.com/v1beta/models/m-1:batchEmbedContents",
        ),
    ];
    for (kind, operation, expected) in rows {
        assert_eq!(uri(kind, operation).unwrap(), expected);
    }
    let none = PrepareError::NoOperation(Operation::Rerank);
    assert_eq!(uri("openai", Operation::Rerank), Err(none));
    assert_eq!(uri("anthropic", Operation::Rerank), Err(none));
}

#[test]
fn a_server_of_ones_own_needs_no_key_and_a_hosted_one_does() {
    let without = |kind| prepare_with(&upstream(kind), "", &HeaderMap::new(), &[], Operation::Generate);
    assert_eq!(value(&without("ollama").unwrap(), "authorization"), None);
    assert_eq!(without("openai").unwrap_err(), PrepareError::NoSecret);
    assert_eq!(without("anthropic").unwrap_err(), PrepareError::NoSecret);
}

#[test]
fn a_secret_that_fits_no_header_is_refused_without_being_told() {
    let error = prepare_with(&upstream("openai"), "line\nbreak", &HeaderMap::new(), &[], Operation::Generate)
        .unwrap_err();
    assert_eq!(error, PrepareError::UnprintableSecret);
    assert!(!error.to_string().contains("break"));
}

#[test]
fn an_operation_the_kind_does_not_have_is_refused() {
    let upstream = upstream("openai");
    assert!(!upstream.has(Operation::CountTokens));
    assert_eq!(
        prepare_with(&upstream, SECRET, &HeaderMap::new(), &[], Operation::CountTokens).unwrap_err(),
        PrepareError::NoOperation(Operation::CountTokens)
    );
}

#[test]
fn of_a_clients_headers_only_the_listed_go_upstream() {
    let client = header_map(&[
        ("authorization", "Bearer sk-dgm-client"),
        ("x-api-key", "sk-dgm-client"),
        ("cookie", "session=1"),
        ("host", "gateway"),
        ("content-length", "7"),
        ("connection", "keep-alive"),
        ("openai-organization", "org-client"),
        ("user-agent", "curl"),
        ("accept-encoding", "zstd"),
        ("x-forwarded-for", "10.0.0.1"),
        ("openai-beta", "assistants=v2"),
        ("idempotency-key", "k1"),
        ("anthropic-version", "2024-01-01"),
        ("anthropic-beta", "a"),
    ]);
    let request = prepare(&upstream("openai"), &client);
    assert_eq!(value(&request, "openai-beta"), Some("assistants=v2"));
    assert_eq!(value(&request, "idempotency-key"), Some("k1"));
    for name in ["x-api-key", "cookie", "host", "content-length", "connection", "openai-organization"] {
        assert_eq!(value(&request, name), None, "{name}");
    }
    for name in ["x-forwarded-for", "anthropic-version", "anthropic-beta"] {
        assert_eq!(value(&request, name), None, "{name}");
    }
    assert_eq!(value(&request, "authorization"), Some("Bearer sk-test-0123456789abcdef"));

    let request = prepare(&upstream("anthropic"), &client);
    assert_eq!(value(&request, "anthropic-version"), Some("2024-01-01"));
    assert_eq!(value(&request, "openai-beta"), None);
}

#[test]
fn ec_013_betas_are_merged_once_each_and_denied_ones_left_out() {
    let client = header_map(&[("anthropic-beta", "a, b,,a"), ("anthropic-beta", "c,no-such")]);
    let upstream = Upstream::new(UpstreamSpec {
        denied_betas: vec!["no-such".into()],
        headers: vec![("anthropic-beta".parse().unwrap(), "op,b".to_owned().into())],
        ..spec("anthropic")
    })
    .unwrap();
    let betas = ["b".to_owned(), "d".to_owned(), "no-such".to_owned()];
    let request = prepare_with(&upstream, SECRET, &client, &betas, Operation::Generate).unwrap();
    assert_eq!(value(&request, "anthropic-beta"), Some("a,b,c,op,d"));
    assert_eq!(request.headers().get_all("anthropic-beta").iter().count(), 1);
}

#[test]
fn an_operators_headers_go_before_the_kinds_and_the_clients() {
    let upstream = Upstream::new(UpstreamSpec {
        headers: vec![
            ("anthropic-version".parse().unwrap(), "2025-01-01".to_owned().into()),
            ("x-title".parse().unwrap(), "Dragoman".to_owned().into()),
            ("x-portkey-api-key".parse().unwrap(), "portkey-secret".to_owned().into()),
        ],
        auth: Some(AuthScheme::Bearer),
        ..spec("anthropic")
    })
    .unwrap();
    let request = prepare(&upstream, &header_map(&[("anthropic-version", "2024-01-01")]));
    assert_eq!(value(&request, "anthropic-version"), Some("2025-01-01"));
    assert_eq!(value(&request, "x-title"), Some("Dragoman"));
    assert_eq!(value(&request, "authorization"), Some("Bearer sk-test-0123456789abcdef"));
    assert!(!format!("{upstream:?} {request:?}").contains("portkey-secret"));
}

#[test]
fn a_credentials_proxy_goes_before_the_upstreams() {
    let upstream =
        Upstream::new(UpstreamSpec { proxy: Proxy::parse("http://p:1").unwrap(), ..spec("nvidia") }).unwrap();
    let options = |proxy: Option<&str>| {
        upstream.options(&Credential { proxy_url: proxy.map(str::to_owned), ..credential(SECRET) })
    };
    assert_eq!(options(None).unwrap().proxy, Proxy::parse("http://p:1").unwrap());
    assert_eq!(options(Some("direct")).unwrap().proxy, Proxy::Direct);
    assert_eq!(options(Some("socks5://q:2")).unwrap().proxy, Proxy::parse("socks5://q:2").unwrap());
    assert!(options(Some("nonsense")).is_err());
    assert_eq!(options(None).unwrap().http, HttpMode::Http1);
}

#[test]
fn of_an_answers_headers_only_the_listed_come_back() {
    let answer = header_map(&[
        ("set-cookie", "a=b"),
        ("transfer-encoding", "chunked"),
        ("content-length", "3"),
        ("openai-organization", "org-ours"),
        ("cf-ray", "1"),
        ("server", "cloudflare"),
        ("openai-processing-ms", "7"),
        ("x-request-id", "req_1"),
        ("x-ratelimit-remaining-requests", "5"),
    ]);
    let upstream = upstream("openai");
    let same = upstream.reply_headers(&model(), DialectId::OpenaiChat, &answer, now());
    assert_eq!(
        same,
        header_map(&[
            ("openai-processing-ms", "7"),
            ("x-request-id", "req_1"),
            ("x-ratelimit-remaining-requests", "5"),
        ])
    );
    let other = upstream.reply_headers(&model(), DialectId::AnthropicMessages, &answer, now());
    assert_eq!(
        other,
        header_map(&[("request-id", "req_1"), ("anthropic-ratelimit-requests-remaining", "5")])
    );
}

#[test]
fn models_are_found_page_by_page() {
    let upstream = upstream("anthropic");
    let credential = credential(SECRET);
    let mut discovery = Discovery::default();
    let first = discovery.request(&upstream, &credential).unwrap().unwrap();
    assert_eq!(first.method(), Method::GET);
    assert_eq!(first.uri(), "https://api.anthropic.com/v1/models");
    assert_eq!(value(&first, "x-api-key"), Some(SECRET));
    assert_eq!(value(&first, "content-type"), None);

    discovery.read(br#"{"data":[{"id":"a"},{"id":"b"}],"has_more":true,"last_id":"b"}"#).unwrap();
    let second = discovery.request(&upstream, &credential).unwrap().unwrap();
    assert_eq!(second.uri(), "https://api.anthropic.com/v1/models?after_id=b");

    discovery.read(br#"{"data":[{"id":"b"},{"id":"c"}],"has_more":true,"last_id":"b"}"#).unwrap();
    assert!(discovery.request(&upstream, &credential).unwrap().is_none(), "the same page again is the end");

    let names: Vec<String> = discovery.finish().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn gemini_models_are_found_page_by_page_without_those_that_do_not_answer() {
    let upstream = upstream("gemini");
    let credential = credential(SECRET);
    let mut discovery = Discovery::default();
    let base = "https://generativelanguage.googleapis.com/v1beta/models?pageSize=1000";
    let first = discovery.request(&upstream, &credential).unwrap().unwrap();
    assert_eq!(first.uri(), base);
    assert_eq!(value(&first, "x-goog-api-key"), Some(SECRET));
    let page = br#"{"models":[{"name":"models/a","supportedGenerationMethods":["generateContent"]},
        {"name":"models/b","supportedGenerationMethods":["embedContent"]}],"nextPageToken":"t/2"}"#;
    discovery.read(page).unwrap();
    let second = discovery.request(&upstream, &credential).unwrap().unwrap();
    assert_eq!(second.uri().to_string(), format!("{base}&pageToken=t%2F2"));
    discovery
        .read(br#"{"models":[{"name":"models/c","supportedGenerationMethods":["generateContent"]}]}"#)
        .unwrap();
    assert!(discovery.request(&upstream, &credential).unwrap().is_none());
    let names: Vec<String> = discovery.finish().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["a", "c"]);
}
