//! Operations beside answers: what passes, what is held, what is written down.

use std::sync::Arc;

use actix_web::HttpResponse;
use dragoman::usage::Ending;
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::{
    gateway::{KEY, TestGateway},
    http::{Reply, Request},
    scripted::{Seen, TestUpstream},
};

/// One upstream `main` of two credentials, whose models go by other names.
fn config(upstream: &TestUpstream) -> String {
    format!(
        "
server: {{ body-limit: 64KiB, upload-limit: 1MiB }}
upstreams:
  - name: main
    kind: openai-compatible
    base-url: {}/v1
    proxy-url: direct
    strategy: fill-first
    credentials:
      - {{ name: one, api-key: sk-upstream-1111, priority: 2 }}
      - {{ name: two, api-key: sk-upstream-2222, priority: 1 }}
    models: [{{ name: up-1, alias: nice }}]
",
        upstream.url()
    )
}

async fn started(
    answer: impl Fn(&Seen) -> HttpResponse + Send + Sync + 'static,
) -> (TestUpstream, TestGateway) {
    let upstream = TestUpstream::start(answer);
    let gateway = TestGateway::start(&config(&upstream), "").await;
    (upstream, gateway)
}

async fn stop(upstream: TestUpstream, gateway: TestGateway) {
    gateway.stop().await;
    upstream.stop().await;
}

async fn form(gateway: &TestGateway, path: &str, body: &str) -> Reply {
    gateway.send(&Request::form(path, body).bearer(KEY)).await
}

/// A form with a file of this many bytes before or after the model.
fn recording(bytes: usize, model: &str) -> String {
    let file = "a".repeat(bytes);
    format!(
        "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n{file}\r\n\
         --XX\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n--XX--\r\n"
    )
}

#[tokio::test]
async fn every_operation_goes_to_its_place_and_is_written_down() {
    let used = json!({ "prompt_tokens": 7, "total_tokens": 7 });
    for (path, place, operation, body, reply) in [
        (
            "/v1/embeddings",
            "/v1/embeddings",
            "embeddings",
            json!({ "input": "a" }),
            json!({ "data": [], "usage": used }),
        ),
        (
            "/v1/completions",
            "/v1/completions",
            "completions",
            json!({ "prompt": "a" }),
            json!({ "id": "c-1", "choices": [], "usage": used }),
        ),
        (
            "/v1/images/generations",
            "/v1/images/generations",
            "image_generation",
            json!({ "prompt": "a" }),
            json!({ "data": [], "usage": { "input_tokens": 7, "output_tokens": 9 } }),
        ),
        (
            "/v1/images/edits",
            "/v1/images/edits",
            "image_edit",
            json!({ "prompt": "a" }),
            json!({ "data": [], "usage": { "input_tokens": 7 } }),
        ),
        (
            "/v1/moderations",
            "/v1/moderations",
            "moderation",
            json!({ "input": "a" }),
            json!({ "results": [], "usage": used }),
        ),
        (
            "/v1/rerank",
            "/v1/rerank",
            "rerank",
            json!({ "query": "a" }),
            json!({ "results": [], "usage": { "total_tokens": 7 } }),
        ),
        (
            "/v2/rerank",
            "/v1/rerank",
            "rerank",
            json!({ "query": "a" }),
            json!({ "results": [], "usage": { "total_tokens": 7 } }),
        ),
        (
            "/main/v1/rerank",
            "/v1/rerank",
            "rerank",
            json!({ "query": "a" }),
            json!({ "results": [], "meta": { "tokens": { "input_tokens": 7 } } }),
        ),
    ] {
        let told = reply.clone();
        let (upstream, gateway) = started(move |_| HttpResponse::Ok().json(&told)).await;
        let mut body = body;
        body["model"] = "nice".into();
        let mut answer = gateway.post(path, body.to_string()).await;
        assert_eq!((answer.status, answer.header("x-dragoman-model")), (200, Some("up-1")), "{path}");
        assert_eq!(answer.json().await, reply, "{path}");
        let seen = upstream.only();
        assert_eq!((seen.method.as_str(), seen.target.as_str(), seen.credential()), ("POST", place, "1111"));
        body["model"] = "up-1".into();
        assert_eq!(seen.text(), body.to_string(), "{path}");
        let row = gateway.attempt().await;
        assert_eq!(
            (row.intent.operation.as_str(), row.usage.input, row.estimated),
            (operation, Some(7), false),
            "{path}"
        );
        assert_eq!((row.intent.model_name.as_str(), row.intent.upstream_model.as_str()), ("nice", "up-1"));
        assert_eq!((row.ending, row.status), (Ending::Completed, Some(200)));
        stop(upstream, gateway).await;
    }
}

#[tokio::test]
async fn a_sound_passes_as_it_comes_with_its_type_and_length() {
    let (upstream, gateway) = started(|_| {
        HttpResponse::Ok()
            .content_type("audio/mpeg")
            .insert_header(("x-request-id", "r-1"))
            .body(vec![0xFF_u8; 100_000])
    })
    .await;
    let mut answer =
        gateway.post("/v1/audio/speech", r#"{"model":"nice","input":"hello","voice":"x"}"#).await;
    assert_eq!(answer.header("content-type"), Some("audio/mpeg"));
    assert_eq!(
        (answer.header("content-length"), answer.header("x-request-id")),
        (Some("100000"), Some("r-1"))
    );
    assert_eq!(answer.bytes().await, vec![0xFF_u8; 100_000]);
    let row = gateway.attempt().await;
    assert_eq!((row.intent.operation.as_str(), row.ending), ("speech", Ending::Completed));
    assert!(row.estimated && row.usage.input > Some(0), "nobody says what speech costs in tokens");
    stop(upstream, gateway).await;
}

#[tokio::test]
async fn the_first_bytes_of_a_sound_do_not_wait_for_the_last() {
    let (upstream, gateway) = started(|_| {
        let first = stream::iter([Ok::<_, std::io::Error>(actix_web::web::Bytes::from_static(b"first"))]);
        HttpResponse::Ok()
            .content_type("audio/pcm")
            .streaming(futures::StreamExt::chain(first, stream::pending()))
    })
    .await;
    let mut answer = gateway.post("/v1/audio/speech", r#"{"model":"nice"}"#).await;
    answer.until("first").await;
    drop(answer);
    gateway.idle().await;
    assert_eq!(gateway.attempt().await.ending, Ending::Abandoned);
    stop(upstream, gateway).await;
}

#[tokio::test]
async fn a_sound_that_breaks_off_breaks_off_for_the_client_too() {
    let gate = Arc::new(Semaphore::new(0));
    let until = Arc::clone(&gate);
    let (upstream, gateway) = started(move |_| {
        let until = Arc::clone(&until);
        let pieces = stream::unfold(true, move |is_first| {
            let until = Arc::clone(&until);
            async move {
                if is_first {
                    return Some((Ok(actix_web::web::Bytes::from_static(b"half")), false));
                }
                until.acquire().await.unwrap().forget();
                Some((Err(std::io::Error::other("broken")), false))
            }
        });
        HttpResponse::Ok().content_type("audio/pcm").streaming(pieces)
    })
    .await;
    let answer = gateway.post("/v1/audio/speech", r#"{"model":"nice"}"#).await;
    assert_eq!(answer.status, 200);
    gate.add_permits(1);
    assert!(answer.breaks_off().await);
    let row = gateway.attempt().await;
    assert_eq!((row.ending, row.error.as_deref()), (Ending::Truncated, Some("truncated")));
    stop(upstream, gateway).await;
}

#[tokio::test]
async fn a_recording_goes_up_with_the_models_name_replaced_and_nothing_else() {
    let (upstream, gateway) = started(|_| {
        HttpResponse::Ok().json(
            json!({ "text": "hello", "usage": { "type": "tokens", "input_tokens": 14, "output_tokens": 3 } }),
        )
    })
    .await;
    let body = recording(30_000, "nice");
    let mut answer = form(&gateway, "/v1/audio/transcriptions", &body).await;
    assert_eq!(answer.json().await["text"], "hello");
    let seen = upstream.only();
    assert_eq!(seen.text(), body.replace("nice", "up-1"));
    assert_eq!(seen.header("content-type"), Some("multipart/form-data; boundary=XX"));
    assert_eq!(seen.header("content-length"), Some(body.len().to_string().as_str()));
    let row = gateway.attempt().await;
    assert_eq!(
        (row.intent.operation.as_str(), row.usage.input, row.usage.output),
        ("transcription", Some(14), Some(3))
    );
    stop(upstream, gateway).await;
}

#[tokio::test]
async fn a_recording_is_on_its_way_before_it_is_whole_and_ends_when_its_client_leaves() {
    let (upstream, gateway) = started(|_| HttpResponse::Ok().json(json!({ "text": "" }))).await;
    let head = "--XX\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nnice\r\n--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";
    let request = Request::form("/v1/audio/translations", head).bearer(KEY);
    let mut waiting = request.begin_claiming(gateway.address(), 500_000).await;
    waiting.write(&[b'a'; 1000]).await;
    gateway
        .eventually("the first bytes are there", async || {
            let seen = upstream.seen();
            (seen.first()?.body().len() > head.len() + 900).then_some(())
        })
        .await;
    assert!(!upstream.only().is_whole());
    drop(waiting);
    gateway.idle().await;
    let row = gateway.attempt().await;
    assert_eq!((row.ending, row.intent.operation.as_str()), (Ending::Abandoned, "speech_translation"));
    assert!(!upstream.only().is_whole(), "what was cut off is not passed off as whole");
    stop(upstream, gateway).await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_however_it_comes() {
    let (upstream, gateway) = started(|_| HttpResponse::Ok().json(json!({ "text": "" }))).await;
    let mut told = form(&gateway, "/v1/audio/transcriptions", &recording(2 << 20, "nice")).await;
    assert_eq!(told.status, 413);
    assert_eq!(told.json().await["error"]["message"], "the body is larger than 1048576 bytes");
    assert!(upstream.seen().is_empty());
    // The model comes too late to be waited for.
    let mut told = form(&gateway, "/v1/audio/transcriptions", &recording(200_000, "nice")).await;
    assert_eq!(told.status, 400);
    assert!(told.json().await["error"]["message"].as_str().unwrap().contains("put it before the files"));
    let json = format!(r#"{{"model":"nice","input":"{}"}}"#, "a".repeat(70_000));
    assert_eq!(gateway.post("/v1/embeddings", json).await.status, 413);
    assert!(gateway.attempts().await.is_empty());
    stop(upstream, gateway).await;
}

#[tokio::test]
async fn a_form_without_a_model_or_with_two_goes_nowhere() {
    let (upstream, gateway) = started(|_| HttpResponse::Ok().json(json!({ "text": "" }))).await;
    let two = format!("{}{}", recording(1, "nice").trim_end_matches("--XX--\r\n"), recording(1, "nice"));
    for (body, message) in [
        (recording(1, "nice").replace("\"model\"", "\"other\""), "`model` is missing"),
        (two, "`model` is given twice: give it once"),
        (recording(1, "nobody"), "no model is called `nobody`; `GET /v1/models` lists those you can call"),
    ] {
        let mut told = form(&gateway, "/v1/audio/transcriptions", &body).await;
        let error = told.json().await;
        assert_eq!(
            (error["error"]["message"].as_str(), error["error"]["param"].as_str()),
            (Some(message), Some("model"))
        );
    }
    assert!(!upstream.seen().iter().any(Seen::is_whole));
    stop(upstream, gateway).await;
}

#[tokio::test]
async fn what_is_held_is_tried_again_and_what_was_sent_is_not() {
    for (is_form, expected) in [(false, 200), (true, 429)] {
        let (upstream, gateway) = started(|seen| match seen.credential() {
            "1111" => HttpResponse::TooManyRequests().json(json!({ "error": { "message": "slow down" } })),
            _ => HttpResponse::Ok().json(json!({ "text": "a" })),
        })
        .await;
        let reply = if is_form {
            form(&gateway, "/v1/audio/transcriptions", &recording(10, "nice")).await
        } else {
            gateway.post("/v1/moderations", r#"{"model":"nice","input":"a"}"#).await
        };
        assert_eq!(reply.status, expected);
        let tried: Vec<_> = upstream.seen().iter().map(|it| it.credential().to_owned()).collect();
        assert_eq!(tried, if is_form { vec!["1111"] } else { vec!["1111", "2222"] });
        let endings: Vec<_> = gateway.attempts().await.iter().map(|it| it.ending).collect();
        assert_eq!(endings.first(), Some(&Ending::Failed));
        stop(upstream, gateway).await;
    }
}

const COMPLETION: &str = "data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"model\":\"up-1\",\"choices\":[{\"index\":0,\"text\":\"Hi\",\"finish_reason\":null}]}\n\n\
    data: {\"id\":\"cmpl-1\",\"choices\":[{\"index\":0,\"text\":\"\",\"finish_reason\":\"stop\"}]}\n\n";
const COMPLETION_USAGE: &str =
    "data: {\"id\":\"cmpl-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\n";

#[tokio::test]
async fn a_streamed_completion_is_counted_whether_or_not_the_client_asked() {
    for asked in [false, true] {
        let (upstream, gateway) = started(|_| {
            let body = format!("{COMPLETION}{COMPLETION_USAGE}data: [DONE]\n\n");
            HttpResponse::Ok().content_type("text/event-stream").body(body)
        })
        .await;
        let options = if asked { r#","stream_options":{"include_usage":true}"# } else { "" };
        let body = format!(r#"{{"model":"nice","prompt":"a","stream":true{options}}}"#);
        let mut answer = gateway.post("/v1/completions", body).await;
        assert_eq!(answer.header("content-type"), Some("text/event-stream"));
        let expected = if asked { COMPLETION_USAGE } else { "" };
        assert_eq!(answer.text().await, format!("{COMPLETION}{expected}data: [DONE]\n\n"));
        assert_eq!(upstream.only().json()["stream_options"], json!({ "include_usage": true }));
        let row = gateway.attempt().await;
        assert_eq!((row.usage.input, row.usage.output, row.estimated), (Some(5), Some(2), false));
        assert_eq!(
            (row.intent.streamed, row.finish.as_deref(), row.upstream_id.as_deref()),
            (true, Some("stop"), Some("cmpl-1"))
        );
        stop(upstream, gateway).await;
    }
}

#[tokio::test]
async fn a_streamed_completion_that_breaks_off_ends_in_an_error() {
    let (upstream, gateway) = started(|_| {
        let first = COMPLETION.split_inclusive("\n\n").next().unwrap();
        HttpResponse::Ok().content_type("text/event-stream").body(first)
    })
    .await;
    let mut answer = gateway.post("/v1/completions", r#"{"model":"nice","prompt":"a","stream":true}"#).await;
    let text = answer.text().await;
    assert!(text.contains("\"error\"") && text.contains("broke off"), "{text}");
    let row = gateway.attempt().await;
    assert_eq!(row.ending, Ending::Truncated);
    stop(upstream, gateway).await;
}

#[tokio::test]
async fn events_of_other_operations_pass_untouched_and_are_counted() {
    let events = "event: transcript.text.delta\ndata: {\"type\":\"transcript.text.delta\",\"delta\":\"a\"}\n\n\
        event: transcript.text.done\ndata: {\"type\":\"transcript.text.done\",\"text\":\"a\",\"usage\":{\"input_tokens\":14,\"output_tokens\":45}}\n\n";
    let (upstream, gateway) =
        started(move |_| HttpResponse::Ok().content_type("text/event-stream").body(events)).await;
    let mut answer = form(&gateway, "/v1/audio/transcriptions", &recording(10, "nice")).await;
    assert_eq!(answer.text().await, events);
    let row = gateway.attempt().await;
    assert_eq!((row.usage.input, row.usage.output, row.estimated), (Some(14), Some(45), false));
    stop(upstream, gateway).await;
}

#[tokio::test]
async fn an_error_is_told_in_openais_form_whoever_made_it() {
    let (upstream, gateway) = started(|_| {
        HttpResponse::Ok()
            .json(json!({ "error": { "message": "no such voice", "type": "invalid_request_error" } }))
    })
    .await;
    let told = async |path: &str, body: &str| -> (u16, Value) {
        let mut reply = gateway.send(&Request::post(path, body).header("x-api-key", KEY)).await;
        (reply.status, reply.json().await["error"].clone())
    };
    let (status, error) = told("/v1/embeddings", "{}").await;
    assert_eq!(
        (status, error["param"].as_str(), error["type"].as_str()),
        (400, Some("model"), Some("invalid_request_error"))
    );
    let (status, _) = told("/v1/embeddings", r#"{"model":"nice","model":"up-1"}"#).await;
    assert_eq!(status, 400);
    let (status, error) = told("/v1/embeddings", r#"{"model":"nice","input":"a"}"#).await;
    assert!(
        status >= 400 && error["message"].as_str().unwrap().contains("no such voice"),
        "{status} {error}"
    );
    let mut reply = gateway.get("/v1/embeddings").await;
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
    assert!(reply.json().await["error"]["message"].is_string());
    stop(upstream, gateway).await;
}

#[tokio::test]
async fn what_an_upstream_does_not_have_is_refused_by_name() {
    let gateway = TestGateway::with_both("").await;
    let mut told = gateway.post("/v1/embeddings", r#"{"model":"wise","input":"a"}"#).await;
    assert_eq!(told.status, 400);
    let message = told.json().await["error"]["message"].as_str().unwrap().to_owned();
    assert_eq!(message, "the upstream of `wise` has no operation `embeddings`");
    assert!(gateway.log().await.is_empty());
    gateway.stop().await;
}

#[tokio::test]
async fn moderations_need_no_model_where_openais_own_is_there() {
    let upstream = TestUpstream::start(|_| HttpResponse::Ok().json(json!({ "results": [] })));
    let config =
        config(&upstream).replace("name: up-1, alias: nice", "name: up-1, alias: omni-moderation-latest");
    let gateway = TestGateway::start(&config, "").await;
    assert_eq!(gateway.post("/v1/moderations", r#"{"input":"a"}"#).await.status, 200);
    assert_eq!(upstream.only().text(), r#"{"model":"up-1","input":"a"}"#);
    stop(upstream, gateway).await;
}
