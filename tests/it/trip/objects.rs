//! Files and batches: whose they are, where they are, with which credential.

use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::HttpResponse;
use serde_json::{Value, json};

use crate::support::{
    gateway::{KEY, TestGateway},
    http::{Reply, Request},
    scripted::{Seen, TestUpstream},
};

const OTHER: &str = "sk-other-0123456789-abcdefgh";

const TENANT: &str =
    "tenants: [{ name: other, keys: [{ name: one, key: sk-other-0123456789-abcdefgh }] }]\nupstreams:\n";

fn section(name: &str, upstream: &TestUpstream) -> String {
    format!(
        "  - name: {name}
    kind: openai-compatible
    base-url: {}/v1
    proxy-url: direct
    credentials: [{{ name: one, api-key: sk-upstream-1111 }}, {{ name: two, api-key: sk-upstream-2222 }}]
    models: [{{ name: up-1 }}]
",
        upstream.url()
    )
}

/// Keeps files and batches for each credential, and tells of all of them in its lists.
fn keeper() -> TestUpstream {
    let made: AtomicUsize = AtomicUsize::new(0);
    let kept: parking_lot::Mutex<Vec<(String, Value)>> = parking_lot::Mutex::default();
    TestUpstream::start(move |seen: &Seen| {
        let account = seen.credential().to_owned();
        let mut kept = kept.lock();
        let steps: Vec<&str> = seen.path().trim_start_matches("/v1/").split('/').collect();
        let own = |kept: &[(String, Value)], id: &str| {
            kept.iter().position(|it| it.0 == account && it.1["id"] == id)
        };
        let missing = || {
            HttpResponse::NotFound()
                .json(json!({ "error": { "message": "No such object", "type": "invalid_request_error" } }))
        };
        match (seen.method.as_str(), steps.as_slice()) {
            ("POST", [shelf @ ("files" | "batches")]) => {
                let number = made.fetch_add(1, Ordering::Relaxed);
                let mut object =
                    json!({ "id": format!("{shelf}-{number}"), "object": shelf, "created_at": number });
                if *shelf == "batches" {
                    object["input_file_id"] = seen.json()["input_file_id"].clone();
                    object["output_file_id"] = format!("files-out-{number}").into();
                    kept.push((
                        account.clone(),
                        json!({ "id": object["output_file_id"], "object": "files", "created_at": number }),
                    ));
                }
                kept.push((account.clone(), object.clone()));
                HttpResponse::Ok().json(object)
            }
            ("GET", [shelf @ ("files" | "batches")]) => {
                let data: Vec<&Value> = kept
                    .iter()
                    .filter(|it| it.0 == account && it.1["object"] == *shelf)
                    .map(|it| &it.1)
                    .collect();
                HttpResponse::Ok().json(json!({ "object": "list", "data": data, "has_more": false }))
            }
            ("GET", [_, id]) => {
                own(&kept, id).map_or_else(missing, |at| HttpResponse::Ok().json(&kept[at].1))
            }
            ("DELETE", [_, id]) => own(&kept, id).map_or_else(missing, |at| {
                kept.remove(at);
                HttpResponse::Ok().json(json!({ "id": id, "deleted": true }))
            }),
            ("GET", [_, id, "content"]) => own(&kept, id).map_or_else(missing, |_| {
                HttpResponse::Ok().content_type("application/octet-stream").body(format!("content of {id}"))
            }),
            ("POST", [_, id, "cancel"]) => {
                own(&kept, id).map_or_else(missing, |at| HttpResponse::Ok().json(&kept[at].1))
            }
            other => panic!("{other:?}"),
        }
    })
}

async fn started() -> (TestUpstream, TestGateway) {
    let upstream = keeper();
    let gateway = TestGateway::start(&format!("{TENANT}{}", section("main", &upstream)), "").await;
    (upstream, gateway)
}

async fn upload(gateway: &TestGateway, key: &str) -> String {
    let body = "--XX\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n\
        --XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\r\n{}\r\n--XX--\r\n";
    let mut reply = gateway.send(&Request::form("/v1/files", body).bearer(key)).await;
    assert_eq!(reply.status, 200);
    reply.json().await["id"].as_str().unwrap().to_owned()
}

async fn get(gateway: &TestGateway, key: &str, path: &str) -> Reply {
    gateway.send(&Request::get(path).bearer(key)).await
}

async fn batch(gateway: &TestGateway, key: &str, file: &str) -> Reply {
    let body =
        json!({ "input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h" });
    gateway.send(&Request::post("/v1/batches", body.to_string()).bearer(key)).await
}

async fn listed(gateway: &TestGateway, key: &str, path: &str) -> Vec<String> {
    let page = get(gateway, key, path).await.json().await;
    page["data"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_file_is_its_tenants_own() {
    let (upstream, gateway) = started().await;
    let mine = upload(&gateway, KEY).await;
    let path = format!("/v1/files/{mine}");
    assert_eq!(get(&gateway, KEY, &path).await.json().await["id"], mine);
    let mut content = get(&gateway, KEY, &format!("{path}/content")).await;
    assert_eq!(content.header("content-type"), Some("application/octet-stream"));
    assert_eq!(content.text().await, format!("content of {mine}"));
    let asked = upstream.seen().len();
    for request in [Request::get(&path), Request::get(&format!("{path}/content")), Request::delete(&path)] {
        let mut told = gateway.send(&request.bearer(OTHER)).await;
        assert_eq!(told.status, 404);
        assert_eq!(told.json().await["error"]["message"], format!("there is no file `{mine}`"));
    }
    assert_eq!(upstream.seen().len(), asked, "nobody was asked about another's file");
    assert_eq!(gateway.send(&Request::delete(&path).bearer(KEY)).await.json().await["deleted"], true);
    assert_eq!(get(&gateway, KEY, &path).await.status, 404);
    gateway.stop().await;
    upstream.stop().await;
}

#[tokio::test]
async fn a_list_shows_ones_own_wherever_they_are() {
    let (upstream, gateway) = started().await;
    let mut mine = Vec::new();
    for _ in 0..3 {
        mine.push(upload(&gateway, KEY).await);
        upload(&gateway, OTHER).await;
    }
    // Two credentials take turns, so that each has files of both tenants.
    let credentials: std::collections::BTreeSet<String> =
        upstream.seen().iter().map(|it| it.credential().to_owned()).collect();
    assert_eq!(credentials.len(), 2);
    mine.reverse();
    assert_eq!(listed(&gateway, KEY, "/v1/files").await, mine);
    assert_eq!(listed(&gateway, KEY, "/v1/files?order=asc&limit=1").await, mine[2..]);
    let first = get(&gateway, KEY, "/v1/files?limit=2").await.json().await;
    assert_eq!((&first["has_more"], first["last_id"].as_str()), (&json!(true), Some(mine[1].as_str())));
    assert_eq!(listed(&gateway, KEY, &format!("/v1/files?limit=2&after={}", mine[1])).await, mine[2..]);
    assert_eq!(listed(&gateway, OTHER, "/v1/files").await.len(), 3);
    assert!(listed(&gateway, OTHER, "/v1/batches").await.is_empty());
    gateway.stop().await;
    upstream.stop().await;
}

#[tokio::test]
async fn a_batch_is_made_of_ones_own_file_with_the_credential_that_sees_it() {
    let (upstream, gateway) = started().await;
    for _ in 0..3 {
        let file = upload(&gateway, KEY).await;
        let uploaded_with = upstream.seen().last().unwrap().credential().to_owned();
        let mut told = batch(&gateway, OTHER, &file).await;
        assert_eq!((told.status, told.json().await["error"]["param"].as_str()), (404, Some("input_file_id")));
        let made = batch(&gateway, KEY, &file).await.json().await;
        assert_eq!(made["input_file_id"], *file);
        assert_eq!(upstream.seen().last().unwrap().credential(), uploaded_with);
        let id = made["id"].as_str().unwrap();
        let output = made["output_file_id"].as_str().unwrap();
        let content = format!("/v1/files/{output}/content");
        let read = get(&gateway, KEY, &format!("/v1/batches/{id}")).await.json().await;
        assert_eq!(read["output_file_id"], output);
        assert_eq!(get(&gateway, KEY, &content).await.text().await, format!("content of {output}"));
        assert_eq!(get(&gateway, OTHER, &content).await.status, 404);
        let cancel = |key| Request::post(&format!("/v1/batches/{id}/cancel"), "").bearer(key);
        assert_eq!(gateway.send(&cancel(OTHER)).await.status, 404);
        assert_eq!(gateway.send(&cancel(KEY)).await.status, 200);
    }
    assert_eq!(listed(&gateway, KEY, "/v1/batches").await.len(), 3);
    let operations: std::collections::BTreeSet<String> =
        gateway.attempts().await.into_iter().map(|it| it.intent.operation).collect();
    assert_eq!(operations, ["batches".to_owned(), "files".to_owned()].into());
    gateway.stop().await;
    upstream.stop().await;
}

#[tokio::test]
async fn of_two_upstreams_one_must_be_named() {
    let (one, two) = (keeper(), keeper());
    let config = format!("{TENANT}{}{}", section("first", &one), section("second", &two));
    let gateway = TestGateway::start(&config, "").await;
    let mut told = get(&gateway, KEY, "/v1/files").await;
    assert_eq!(told.status, 400);
    assert!(told.json().await["error"]["message"].as_str().unwrap().contains("name one with the path"));
    let form = |path: &str| Request::form(path, "--XX--\r\n").bearer(KEY);
    let id = gateway.send(&form("/second/v1/files")).await.json().await["id"].as_str().unwrap().to_owned();
    assert_eq!((one.seen().len(), two.seen().len()), (0, 1));
    assert_eq!(get(&gateway, KEY, &format!("/v1/files/{id}")).await.status, 200, "it is known where it is");
    assert_eq!(get(&gateway, KEY, &format!("/first/v1/files/{id}")).await.status, 404);
    let named = Request::get("/v1/files").bearer(KEY).header("model-provider", "second");
    assert_eq!(gateway.send(&named).await.json().await["data"][0]["id"], id);
    assert_eq!(get(&gateway, KEY, "/nobody/v1/files").await.status, 404);
    gateway.stop().await;
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn what_cannot_be_is_said_before_anyone_is_asked() {
    let (upstream, gateway) = started().await;
    for (request, status) in [
        (Request::post("/v1/files", "{}"), 415),
        (Request::post("/v1/batches", "{}"), 400),
        (Request::post("/v1/batches", r#"{"input_file_id":"a","input_file_id":"b"}"#), 400),
        (Request::get("/v1/files?limit=0"), 400),
        (Request::get("/v1/files/no-such-file"), 404),
        (Request::delete("/v1/batches/b"), 405),
    ] {
        assert_eq!(gateway.send(&request.bearer(KEY)).await.status, status);
    }
    assert!(upstream.seen().is_empty() && gateway.attempts().await.is_empty());
    gateway.stop().await;
    upstream.stop().await;
}
