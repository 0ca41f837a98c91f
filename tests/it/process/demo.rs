//! The demo, as `scripts/run` starts it: a first start on nothing, whose printed key opens all four models in all four
//! dialects, with what the usual clients send unasked.

use std::sync::Arc;

use serde_json::{Value, json};

use super::support::{Home, Process, post, wait_for};

#[test]
fn the_printed_key_is_answered_by_every_model_in_every_dialect() {
    let mut process = Process::launch(Arc::new(Home::bare("")), "127.0.0.1:0", &["--demo"]);
    process.become_ready();
    let said = wait_for("the key", || Some(process.stdout()).filter(|it| it.contains("curl")));
    let key =
        said.split(|it: char| it.is_whitespace() || it == '\'').find(|it| it.starts_with("sk-dgm-")).unwrap();
    for model in ["demo-chat", "demo-responses", "demo-messages", "demo-gemini"] {
        for (path, body, text) in asked(model) {
            let answer = process.ask(&post(&path, key, body.to_string().as_bytes()));
            assert_eq!(answer.status, 200, "{path} {model}: {}", answer.text());
            let answer = answer.json();
            assert_eq!(
                answer.pointer(text).unwrap_or(&Value::Null),
                "You wrote 5 characters.",
                "{path}: {answer}"
            );
        }
    }
}

/// Paths, bodies, and where the text of the answer is.
fn asked(model: &str) -> [(String, Value, &'static str); 4] {
    let chat = json!({"model": model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 100});
    let responses = json!({"model": model, "input": "Hello", "store": false});
    // Claude Code's and Gemini CLI's defaults.
    let messages = json!({
        "model": model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 32_000, "temperature": 1,
        "metadata": {"user_id": "user_1"},
    });
    let gemini = json!({
        "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
        "generationConfig": {"temperature": 1, "topP": 0.95, "topK": 64},
    });
    [
        ("/v1/chat/completions".to_owned(), chat, "/choices/0/message/content"),
        ("/v1/responses".to_owned(), responses, "/output/0/content/0/text"),
        ("/v1/messages".to_owned(), messages, "/content/0/text"),
        (format!("/v1beta/models/{model}:generateContent"), gemini, "/candidates/0/content/parts/0/text"),
    ]
}
