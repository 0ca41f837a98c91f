//! The operations around the dialects, tokens, compression and realtime, played.

use std::fmt::Write as _;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::*;

/// Sends a request with these header lines and bytes.
async fn send(sim: &Running, line: &str, headers: &str, body: &[u8]) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(sim.address).await.unwrap();
    let head = format!(
        "{line} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    let at = bytes.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&bytes[..at]).into_owned();
    let rest = &bytes[at + 4..];
    let body = if head.contains("transfer-encoding: chunked") { dechunk(rest).0 } else { rest.to_vec() };
    (head, body)
}

const KEY: &str = "authorization: Bearer sk-1234\r\n";

/// A form with these fields and one file called `file`.
async fn form(sim: &Running, path: &str, field: &str, fields: &[(&str, &str)]) -> (String, Vec<u8>) {
    let mut body = String::new();
    for (name, value) in fields {
        write!(body, "--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").unwrap();
    }
    write!(
        body,
        "--B\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"a.bin\"\r\nContent-Type: application/octet-stream\r\n\r\n{{\"custom_id\":\"c\",\"body\":{{\"model\":\"sim-1\",\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}]}}}}\n\r\n--B--\r\n"
    )
    .unwrap();
    let headers = format!("{KEY}content-type: multipart/form-data; boundary=B\r\n");
    send(sim, &format!("POST {path}"), &headers, body.as_bytes()).await
}

fn value(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

#[tokio::test]
async fn embeddings_come_as_numbers_and_packed_alike() {
    let sim = playing("{}").await;
    let body = json!({"model": "e", "input": ["one", "two"], "dimensions": 4});
    let plain = post(&sim, "/v1/embeddings", &body).await.json();
    let packed =
        post(&sim, "/v1/embeddings", &with(body, &json!({"encoding_format": "base64"}))).await.json();
    let bytes = STANDARD.decode(packed["data"][1]["embedding"].as_str().unwrap()).unwrap();
    let numbers: Vec<f32> = bytes.chunks(4).map(|it| f32::from_le_bytes(it.try_into().unwrap())).collect();
    let told: Vec<f32> = serde_json::from_value(plain["data"][1]["embedding"].clone()).unwrap();
    assert_eq!(numbers, told);
    assert!((numbers.iter().map(|it| it * it).sum::<f32>() - 1.0).abs() < 1e-5);
    assert_ne!(plain["data"][0]["embedding"], plain["data"][1]["embedding"]);
    assert!(plain["usage"]["total_tokens"].as_u64().unwrap() > 0);
    for (fields, at) in [
        (json!({"input": []}), "input"),
        (json!({"input": "a", "n": 1}), "n"),
        (json!({"input": "a", "encoding_format": "hex"}), "encoding_format"),
    ] {
        let refused = post(&sim, "/v1/embeddings", &with(json!({"model": "e"}), &fields)).await;
        assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!(at)));
    }
    let one = json!({"content": {"parts": [{"text": "one"}]}, "outputDimensionality": 4});
    let google = post(&sim, "/v1beta/models/e:embedContent", &one).await.json();
    assert_eq!(google["embedding"]["values"], plain["data"][0]["embedding"]);
    let many = json!({"requests": [with(one, &json!({"model": "models/e"}))]});
    let google = post(&sim, "/v1beta/models/e:batchEmbedContents", &many).await.json();
    assert_eq!(google["embeddings"][0]["values"], plain["data"][0]["embedding"]);
    let log = ask(&sim, "GET", "/_sim/log", "").await.json();
    assert_eq!((&log[0]["model"], &log[0]["credential"]), (&json!("e"), &json!("1234")));
    assert!(log[0]["usage"]["input"].as_u64().unwrap() > 0);
    sim.stop().await;
}

#[tokio::test]
async fn completions_are_whole_or_chunks() {
    let sim = playing("{}").await;
    let body = json!({"model": "c", "prompt": "hello"});
    let whole = post(&sim, "/v1/completions", &body).await.json();
    assert_eq!(whole["choices"][0]["text"], "You wrote 5 characters.");
    let options = json!({"stream": true, "stream_options": {"include_usage": true}});
    let streamed = post(&sim, "/v1/completions", &with(body, &options)).await;
    assert!(streamed.body.ends_with("data: [DONE]\n\n") && streamed.body.contains("\"choices\":[],"));
    sim.stop().await;
}

#[tokio::test]
async fn images_and_audio_are_made_from_json_and_forms() {
    let sim = playing("{}").await;
    let image =
        post(&sim, "/v1/images/generations", &json!({"model": "i", "prompt": "a cat", "n": 2})).await.json();
    let bytes = STANDARD.decode(image["data"][1]["b64_json"].as_str().unwrap()).unwrap();
    assert!(bytes.starts_with(b"\x89PNG"));
    let streamed =
        post(&sim, "/v1/images/generations", &json!({"model": "i", "prompt": "a", "stream": true})).await;
    assert!(streamed.body.contains("event: image_generation.completed\n"));
    for path in ["/v1/images/edits", "/v1/images/variations"] {
        let (head, body) = form(&sim, path, "image", &[("model", "i"), ("prompt", "a")]).await;
        assert!(head.starts_with("HTTP/1.1 200") && value(&body)["usage"]["output_tokens"].is_u64());
    }
    let (head, speech) = {
        let body = json!({"model": "s", "input": "say this", "voice": "alloy"}).to_string();
        send(&sim, "POST /v1/audio/speech", KEY, body.as_bytes()).await
    };
    assert!(head.contains("audio/mpeg") && speech.starts_with(b"ID3") && speech.ends_with(b"say this"));
    let (_, text) = form(&sim, "/v1/audio/transcriptions", "file", &[("model", "t")]).await;
    assert!(value(&text)["text"].as_str().unwrap().starts_with("The file a.bin has"));
    let (head, text) =
        form(&sim, "/v1/audio/translations", "file", &[("model", "t"), ("response_format", "text")]).await;
    assert!(head.contains("text/plain") && text.starts_with(b"The file"));
    let (head, text) =
        form(&sim, "/v1/audio/transcriptions", "file", &[("model", "t"), ("stream", "true")]).await;
    assert!(head.contains("text/event-stream"));
    assert!(String::from_utf8_lossy(&text).contains("transcript.text.done"));
    let log = ask(&sim, "GET", "/_sim/log", "").await.json();
    assert!(
        log.as_array().unwrap().iter().all(|it| it["model"].as_str().is_some_and(|it| it.len() == 1)),
        "{log}"
    );
    sim.stop().await;
}

#[tokio::test]
async fn moderations_flag_and_rerank_sorts() {
    let sim = playing("{}").await;
    let judged = post(&sim, "/v1/moderations", &json!({"input": ["peace", "Violence!"]})).await.json();
    assert_eq!(
        (&judged["results"][0]["flagged"], &judged["results"][1]["flagged"]),
        (&json!(false), &json!(true))
    );
    let body = json!({"model": "r", "query": "red fox", "documents": ["a dog", "a red fox", "red"], "top_n": 2, "return_documents": true});
    let ranked = post(&sim, "/v1/rerank", &body).await.json();
    let order: Vec<u64> =
        ranked["results"].as_array().unwrap().iter().map(|it| it["index"].as_u64().unwrap()).collect();
    assert_eq!(order, [1, 2]);
    assert_eq!(ranked["results"][0]["document"]["text"], "a red fox");
    sim.stop().await;
}

#[tokio::test]
async fn files_are_kept_and_batches_made_of_them() {
    let sim = playing("{}").await;
    let (_, file) = form(&sim, "/v1/files", "file", &[("purpose", "batch")]).await;
    let id = value(&file)["id"].as_str().unwrap().to_owned();
    assert_eq!(ask(&sim, "GET", "/v1/files", "").await.json()["data"][0]["id"], id.as_str());
    assert_eq!(ask(&sim, "GET", &format!("/v1/files/{id}"), "").await.json()["filename"], "a.bin");
    let body = json!({"input_file_id": id, "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    let batch = post(&sim, "/v1/batches", &body).await.json();
    assert_eq!((&batch["status"], &batch["request_counts"]["total"]), (&json!("completed"), &json!(1)));
    let path = format!("/v1/files/{}/content", batch["output_file_id"].as_str().unwrap());
    let line = ask(&sim, "GET", &path, "").await.json();
    assert_eq!(line["custom_id"], "c");
    assert_eq!(line["response"]["body"]["choices"][0]["message"]["content"], "You wrote 2 characters.");
    let path = format!("/v1/batches/{}", batch["id"].as_str().unwrap());
    assert_eq!(ask(&sim, "GET", &path, "").await.json(), batch);
    assert_eq!(ask(&sim, "DELETE", &format!("/v1/files/{id}"), "").await.json()["deleted"], true);
    assert_eq!(ask(&sim, "GET", &format!("/v1/files/{id}"), "").await.status, 404);
    assert_eq!(post(&sim, "/v1/batches", &body).await.status, 400);
    sim.stop().await;
}

#[tokio::test]
async fn rules_hold_for_the_operations_too() {
    let sim = playing("{keys: [sk-1234], rules: [{when: {path: '*/embeddings', model: busy}, reply: {error: {status: 503}}}]}").await;
    let busy = post(&sim, "/v1/embeddings", &json!({"model": "busy", "input": "a"})).await;
    assert_eq!((busy.status, &busy.json()["error"]["code"]), (503, &json!("overloaded")));
    let (head, _) = send(&sim, "POST /v1/rerank", "authorization: Bearer other\r\n", b"{}").await;
    assert!(head.starts_with("HTTP/1.1 401"));
    sim.stop().await;
}

#[tokio::test]
async fn compressed_requests_are_unpacked_or_refused() {
    let body = chat("hello").to_string();
    let packed = packing::packed(packing::Packing::Zstd, &[body.clone().into()]).unwrap().concat();
    let headers = format!("{KEY}content-encoding: zstd\r\n");
    let sim = playing("log: {bodies: true}").await;
    let (head, answer) = send(&sim, &format!("POST {CHAT}"), &headers, &packed).await;
    assert!(head.starts_with("HTTP/1.1 200") && answer.starts_with(b"{\"id\""));
    assert_eq!(ask(&sim, "GET", "/_sim/requests/1", "").await.body, body);
    let (head, _) = send(&sim, &format!("POST {CHAT}"), &headers, b"no zstd").await;
    assert!(head.starts_with("HTTP/1.1 415"));
    sim.stop().await;
    let sim = playing("compressed-requests: refuse").await;
    let (head, answer) = send(&sim, &format!("POST {CHAT}"), &headers, &packed).await;
    assert!(head.starts_with("HTTP/1.1 415") && value(&answer)["error"]["message"].is_string());
    let log = ask(&sim, "GET", "/_sim/log", "").await.json();
    assert_eq!((&log[0]["status"], &log[0]["rule"]), (&json!(415), &json!("unsupported content-encoding")));
    sim.stop().await;
}

#[tokio::test]
async fn answers_are_compressed_for_those_who_accept_it() {
    let sim = playing("compressed-answers: true").await;
    let body = with(chat("hello"), &json!({"stream": true})).to_string();
    let headers = format!("{KEY}accept-encoding: gzip\r\n");
    let (head, packed) = send(&sim, &format!("POST {CHAT}"), &headers, body.as_bytes()).await;
    assert!(head.contains("content-encoding: gzip"));
    assert!(packing::unpacked("gzip", &packed).unwrap().ends_with(b"data: [DONE]\n\n"));
    let (head, _) = send(&sim, &format!("POST {CHAT}"), KEY, body.as_bytes()).await;
    assert!(!head.contains("content-encoding"));
    sim.stop().await;
}

#[tokio::test]
async fn vertex_takes_only_living_tokens_if_told_so() {
    let sim = playing("{token-required: true}").await;
    let path = "POST /v1/publishers/google/models/gemini-3-pro:generateContent";
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}).to_string();
    let asked = async |token: &str| {
        let headers = format!("authorization: Bearer {token}\r\n");
        send(&sim, path, &headers, body.as_bytes()).await.0
    };
    assert!(asked("sk-1234").await.starts_with("HTTP/1.1 401"));
    let form = "grant_type=refresh_token&client_id=i&client_secret=s&refresh_token=r";
    let (_, granted) = send(&sim, "POST /token", "", form.as_bytes()).await;
    let token = value(&granted)["access_token"].as_str().unwrap().to_owned();
    assert!(asked(&token).await.starts_with("HTTP/1.1 200"));
    let log = ask(&sim, "GET", "/_sim/log", "").await;
    assert!(log.json()[1]["rule"] == "token" && !log.body.contains("refresh_token=r"));
    sim.stop().await;
    let sim = playing("{token-lifetime: 0s}").await;
    let (_, granted) = send(&sim, "POST /token", "", form.as_bytes()).await;
    let headers = format!("authorization: Bearer {}\r\n", value(&granted)["access_token"].as_str().unwrap());
    let (head, _) = send(&sim, path, &headers, body.as_bytes()).await;
    assert!(head.starts_with("HTTP/1.1 401"), "it has expired");
    sim.stop().await;
}

/// A masked text frame.
fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match u8::try_from(text.len()) {
        Ok(length) if length < 126 => frame.push(0x80 | length),
        _ => {
            frame.push(0x80 | 0x7e);
            frame.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(text.as_bytes());
    frame
}

/// The next text frame.
async fn event(stream: &mut TcpStream) -> Value {
    let mut head = [0; 2];
    stream.read_exact(&mut head).await.unwrap();
    let mut length = usize::from(head[1] & 0x7F);
    if length == 126 {
        let mut long = [0; 2];
        stream.read_exact(&mut long).await.unwrap();
        length = usize::from(u16::from_be_bytes(long));
    }
    let mut text = vec![0; length];
    stream.read_exact(&mut text).await.unwrap();
    value(&text)
}

#[tokio::test]
async fn realtime_answers_text_with_text() {
    let sim = playing("{}").await;
    let mut stream = TcpStream::connect(sim.address).await.unwrap();
    let head = format!(
        "GET /v1/realtime?model=rt HTTP/1.1\r\nhost: sim\r\n{KEY}connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"));
    let created = event(&mut stream).await;
    assert_eq!((&created["type"], &created["session"]["model"]), (&json!("session.created"), &json!("rt")));
    let item = json!({"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]}});
    stream.write_all(&frame(&item.to_string())).await.unwrap();
    stream.write_all(&frame(r#"{"type":"response.create"}"#)).await.unwrap();
    stream.write_all(&frame("no event")).await.unwrap();
    let mut kinds = Vec::new();
    let done = loop {
        let event = event(&mut stream).await;
        kinds.push(event["type"].as_str().unwrap().to_owned());
        if event["type"] == "response.done" {
            break event;
        }
    };
    assert_eq!(kinds[..3], ["conversation.item.added", "conversation.item.done", "response.created"]);
    assert_eq!(done["response"]["output"][0]["content"][0]["text"], "You wrote 5 characters.");
    assert!(done["response"]["usage"]["total_tokens"].as_u64().unwrap() > 0);
    assert_eq!(event(&mut stream).await["type"], "error");
    let log = ask(&sim, "GET", "/_sim/log", "").await.json();
    assert_eq!((&log[0]["model"], &log[0]["status"]), (&json!("rt"), &json!(101)));
    assert!(log[0]["usage"]["output"].as_u64().unwrap() > 0);
    sim.stop().await;
}
