//! The trip: what clients see, what upstreams receive, what the ledger keeps. One process, real TCP.

mod admission;
mod around;
mod compression;
mod conversations;
mod counting;
mod credentials;
mod embeddings;
mod every_kind;
mod leaving;
mod ledger;
mod losses;
mod must_stream;
mod objects;
mod patience;
mod quirks;
mod realtime;
mod restarts;
mod routes;
mod smoke;
mod state;
mod streams;
mod translated;
mod verbatim;
mod websocket;
mod wire;

/// A short question in Chat to `model`.
fn chat(model: &str) -> String {
    format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hello"}}]}}"#)
}

/// The same, to be streamed.
fn chat_stream(model: &str) -> String {
    chat(model).replacen('{', r#"{"stream":true,"#, 1)
}

/// A short question in Messages to `model`.
fn messages(model: &str) -> String {
    format!(r#"{{"model":"{model}","max_tokens":100,"messages":[{{"role":"user","content":"Hello"}}]}}"#)
}

/// The same, to be streamed.
fn messages_stream(model: &str) -> String {
    messages(model).replacen('{', r#"{"stream":true,"#, 1)
}

/// The data of a stream's events, as JSON, without `[DONE]`.
fn events(stream: &str) -> Vec<serde_json::Value> {
    stream
        .lines()
        .filter_map(|it| it.strip_prefix("data:"))
        .map(str::trim)
        .filter(|it| *it != "[DONE]")
        .map(|it| serde_json::from_str(it).unwrap_or_else(|error| panic!("{error}: {it}")))
        .collect()
}

/// The text of a stream of either dialect.
fn said(stream: &str) -> String {
    let text = |it: &serde_json::Value| {
        let chat = it["choices"][0]["delta"]["content"].as_str();
        chat.or_else(|| it["delta"]["text"].as_str()).map(str::to_owned)
    };
    events(stream).iter().filter_map(text).collect()
}
