//! The checked-in document is what the gateway says of itself.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

#[test]
fn the_checked_in_document_is_not_stale() {
    let printed = Command::new(env!("CARGO_BIN_EXE_dragoman")).arg("openapi").output().unwrap();
    assert!(printed.status.success());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/inference.json");
    let kept = fs::read_to_string(path).unwrap();
    assert!(
        kept.as_bytes() == printed.stdout,
        "openapi/inference.json is stale: run `cargo run -- openapi > openapi/inference.json`"
    );
}

#[test]
fn the_document_knows_every_form_of_a_key_and_the_headers_of_an_answer() {
    let document: Value = serde_json::from_str(include_str!("../../openapi/inference.json")).unwrap();
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    for form in ["bearer", "x-api-key", "x-goog-api-key", "key"] {
        assert!(schemes.contains_key(form), "{form}");
    }
    let chat = &document["paths"]["/v1/chat/completions"]["post"];
    assert_eq!(chat["security"].as_array().unwrap().len(), 4);
    for status in ["200", "default"] {
        let headers = chat["responses"][status]["headers"].as_object().unwrap();
        assert!(headers.keys().all(|it| it.starts_with("x-dragoman-")) && headers.len() == 5, "{headers:?}");
    }
}
