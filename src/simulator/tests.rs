//! The simulator, asked over a plain socket.

mod around;
mod dialects;
mod gemini;
mod responses;

use std::path::Path;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::simulator::{Options, Running, Scenario, example, packing, rule, seal, serve};

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";

/// What came back: everything after the head is `body`, de-chunked.
struct Reply {
    status: u16,
    head: String,
    body: String,
    /// The body had its proper end.
    complete: bool,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

async fn playing(scenario: &str) -> Running {
    serve(Options::local(Scenario::parse(scenario, Path::new(".")).unwrap())).await.unwrap()
}

async fn ask(sim: &Running, method: &str, path: &str, body: &str) -> Reply {
    let mut stream = TcpStream::connect(sim.address).await.unwrap();
    let auth = if path.starts_with(MESSAGES) {
        "x-api-key: sk-1234\r\nanthropic-version: 2023-06-01"
    } else if path.starts_with("/v1beta/") {
        "x-goog-api-key: sk-1234"
    } else {
        "authorization: Bearer sk-1234"
    };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: sim\r\n{auth}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    read(&bytes)
}

async fn post(sim: &Running, path: &str, body: &Value) -> Reply {
    ask(sim, "POST", path, &body.to_string()).await
}

fn read(bytes: &[u8]) -> Reply {
    let at = bytes.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&bytes[..at]).into_owned();
    let rest = &bytes[at + 4..];
    let (body, complete) = if head.contains("transfer-encoding: chunked") {
        dechunk(rest)
    } else {
        let length = head.lines().find_map(|it| it.strip_prefix("content-length: ")).unwrap_or("0");
        (rest.to_vec(), rest.len() == length.parse::<usize>().unwrap())
    };
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply { status, head, body: String::from_utf8_lossy(&body).into_owned(), complete }
}

fn dechunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(at) = rest.windows(2).position(|it| it == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..at]).unwrap(), 16).unwrap();
        if size == 0 {
            return (body, true);
        }
        body.extend_from_slice(&rest[at + 2..at + 2 + size]);
        rest = &rest[at + 4 + size..];
    }
    (body, false)
}

fn chat(text: &str) -> Value {
    json!({"model": "sim-1", "messages": [{"role": "user", "content": text}]})
}

fn messages(text: &str) -> Value {
    json!({"model": "sim-1", "max_tokens": 4096, "messages": [{"role": "user", "content": text}]})
}

fn with(mut body: Value, fields: &Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn an_echo_answers_in_both_dialects() {
    let sim = playing("{}").await;
    let reply = post(&sim, CHAT, &chat("hello")).await;
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "You wrote 5 characters.");
    let reply = post(&sim, MESSAGES, &messages("hello")).await;
    assert_eq!(reply.json()["content"][0]["text"], "You wrote 5 characters.");
    sim.stop().await;
}

#[tokio::test]
async fn a_named_tool_is_called_with_the_arguments_from_the_text() {
    let sim = playing("{}").await;
    let tools = json!([{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]);
    let reply =
        post(&sim, CHAT, &with(chat("call add {\"a\": 1}, call add"), &json!({"tools": tools}))).await;
    let calls = reply.json()["choices"][0]["message"]["tool_calls"].clone();
    assert_eq!(calls[0]["function"]["arguments"], "{\"a\":1}");
    assert_eq!(calls[1]["function"]["arguments"], "{}");
    assert_ne!(calls[0]["id"], calls[1]["id"]);
    sim.stop().await;
}

#[tokio::test]
async fn a_stream_follows_the_grammar_of_its_dialect() {
    let sim = playing("{}").await;
    let options = json!({"stream": true, "stream_options": {"include_usage": true}});
    let reply = post(&sim, CHAT, &with(chat("hello"), &options)).await;
    assert!(reply.complete && reply.body.ends_with("data: [DONE]\n\n"));
    let usage = reply.body.lines().rev().find(|it| it.contains("total_tokens")).unwrap();
    assert!(usage.contains("\"choices\":[]"));
    let thinks = json!({"stream": true, "thinking": {"type": "adaptive"}});
    let reply = post(&sim, MESSAGES, &with(messages("hello"), &thinks)).await;
    let events: Vec<&str> = reply.body.lines().filter_map(|it| it.strip_prefix("event: ")).collect();
    assert_eq!(events[..3], ["message_start", "ping", "content_block_start"]);
    assert_eq!(events[events.len() - 2..], ["message_delta", "message_stop"]);
    assert!(reply.body.contains("signature_delta"));
    sim.stop().await;
}

#[tokio::test]
async fn a_changed_thinking_block_is_refused_and_an_unchanged_one_is_not() {
    let sim = playing("{}").await;
    let turn = |thinking: &str| {
        let block =
            json!({"type": "thinking", "thinking": thinking, "signature": seal::sign("", "I think.")});
        let mut body = with(messages("hello"), &json!({"thinking": {"type": "adaptive"}}));
        let turns = body["messages"].as_array_mut().unwrap();
        turns.push(json!({"role": "assistant", "content": [block, {"type": "text", "text": "Hi"}]}));
        turns.push(json!({"role": "user", "content": "more"}));
        body
    };
    assert_eq!(post(&sim, MESSAGES, &turn("I think.")).await.status, 200);
    let refused = post(&sim, MESSAGES, &turn("I think. ")).await;
    assert_eq!(refused.status, 400);
    assert!(refused.body.contains("signature"));
    sim.stop().await;
}

#[tokio::test]
async fn a_strict_vendor_refuses_what_the_real_one_refuses() {
    let sim = playing("{}").await;
    let call = json!({"role": "assistant", "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    let user = json!({"role": "user", "content": "hi"});
    for (fields, named) in [
        (json!({"top_k": 4}), "top_k"),
        (json!({"temperature": 3}), "temperature"),
        (json!({"stream_options": {"include_usage": true}}), "stream_options"),
        (json!({"tools": []}), "tools"),
        (json!({"tool_choice": "auto"}), "tool_choice"),
        (json!({"model": "gpt-4o", "web_search_options": {}}), "web_search_options"),
        (json!({"web_search_options": {"search_context_size": "huge"}}), "search_context_size"),
        (json!({"web_search_options": {"user_location": {"type": "approximate", "city": "x"}}}), "city"),
        (json!({"messages": [user, call, user]}), "tool_calls"),
        (json!({"messages": [user, {"role": "tool", "tool_call_id": "c1", "content": ""}]}), "tool"),
    ] {
        let reply = post(&sim, CHAT, &with(chat("hi"), &fields)).await;
        assert_eq!(reply.status, 400, "{fields}");
        assert!(reply.json()["error"]["message"].as_str().unwrap().contains(named), "{}", reply.body);
    }
    let place = json!({"type": "approximate", "approximate": {"country": "DE"}});
    let searching = json!({"model": "gpt-4o-search-preview", "web_search_options":
        {"search_context_size": "low", "user_location": place}});
    assert_eq!(post(&sim, CHAT, &with(chat("hi"), &searching)).await.status, 200);
    let tool = json!([{"name": "f", "input_schema": {"type": "object"}}]);
    let calling =
        json!({"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]});
    let late = json!({"role": "user", "content": [
        {"type": "text", "text": "x"}, {"type": "tool_result", "tool_use_id": "t1", "content": "1"}]});
    for (fields, named) in [
        (json!({"n": 1}), "n: Extra"),
        (json!({"temperature": 1.5}), "temperature"),
        (json!({"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]}), "non-empty"),
        (json!({"thinking": {"type": "enabled", "budget_tokens": 4096}}), "budget_tokens"),
        (json!({"tools": tool, "messages": [user, calling, user]}), "without `tool_result`"),
        (json!({"tools": tool, "messages": [user, calling, late]}), "first"),
        (json!({"context_management": {}}), "Extra"),
    ] {
        let reply = post(&sim, MESSAGES, &with(messages("hi"), &fields)).await;
        assert_eq!(reply.status, 400, "{fields}");
        assert!(reply.json()["error"]["message"].as_str().unwrap().contains(named), "{}", reply.body);
    }
    sim.stop().await;
}

#[tokio::test]
async fn strictness_can_be_switched_off_for_a_rule() {
    let sim = playing("rules: [{when: {model: sim-1}, strict: false}]").await;
    assert_eq!(post(&sim, CHAT, &with(chat("hi"), &json!({"top_k": 4}))).await.status, 200);
    sim.stop().await;
}

#[tokio::test]
async fn a_missing_or_unknown_key_is_refused_in_the_dialects_shape() {
    let sim = playing("keys: [another]").await;
    let reply = post(&sim, CHAT, &chat("hi")).await;
    assert_eq!((reply.status, reply.json()["error"]["code"].as_str()), (401, Some("invalid_api_key")));
    let reply = post(&sim, MESSAGES, &messages("hi")).await;
    assert_eq!((reply.status, reply.json()["error"]["type"].as_str()), (401, Some("authentication_error")));
    sim.stop().await;
}

#[tokio::test]
async fn a_quota_answers_429_with_the_vendors_headers() {
    let sim = playing("rules: [{quota: {requests: 1, per: 60s, retry-after: 7s}}]").await;
    let first = post(&sim, CHAT, &chat("hi")).await;
    assert!(first.head.contains("x-ratelimit-remaining-requests: 0"));
    let second = post(&sim, MESSAGES, &messages("hi")).await;
    assert_eq!(second.status, 429, "the quota is the rule's and the credential's, whatever the dialect");
    assert!(
        second.head.contains("retry-after: 7")
            && second.head.contains("anthropic-ratelimit-requests-reset: ")
    );
    sim.stop().await;
}

#[tokio::test]
async fn rules_are_chosen_in_order_by_all_their_conditions() {
    let sim = playing(
        r"
rules:
  - {when: {contains: teapot}, reply: {error: {status: 418, message: short and stout}}}
  - {when: {dialect: openai-chat, pointer: {/user: bob}, credential: '*1234'}, reply: {answer: {text: Hi Bob}}}
  - {when: {nth: {from: 2, to: 2}}, reply: {error: {status: 503}}}
  - {when: {probability: 0.0}, reply: hang}
",
    )
    .await;
    assert_eq!(post(&sim, CHAT, &chat("teapot")).await.status, 418);
    let bob = post(&sim, CHAT, &with(chat("hi"), &json!({"user": "bob"}))).await;
    assert_eq!(bob.json()["choices"][0]["message"]["content"], "Hi Bob");
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(post(&sim, CHAT, &chat("hi")).await.status);
    }
    assert_eq!(statuses, [200, 503, 200]);
    sim.stop().await;
}

#[tokio::test]
async fn faults_break_an_answer_where_they_say() {
    let sim = playing(
        r"
rules:
  - {when: {model: close}, fault: {after-events: 2, kind: close}}
  - {when: {model: error}, fault: {after-events: 2, kind: error, error: {status: 529}}}
  - {when: {model: done}, quirks: [missing-done]}
  - {when: {model: garbage}, fault: {after-events: 1, kind: garbage}}
",
    )
    .await;
    let streamed = |model: &str| with(messages("hello"), &json!({"stream": true, "model": model}));
    let closed = post(&sim, MESSAGES, &streamed("close")).await;
    assert!(!closed.complete && closed.body.ends_with("event: ping\ndata: {\"type\":\"ping\"}\n\n"));
    let whole = post(&sim, CHAT, &with(chat("hello"), &json!({"model": "close"}))).await;
    assert!(!whole.complete && !whole.body.is_empty());
    let failed = post(&sim, MESSAGES, &streamed("error")).await;
    assert!(
        failed.complete && failed.body.contains("event: error\n") && failed.body.contains("overloaded_error")
    );
    let endless = post(&sim, MESSAGES, &streamed("done")).await;
    assert!(endless.complete && !endless.body.contains("message_stop"));
    assert!(post(&sim, MESSAGES, &streamed("garbage")).await.body.contains("no JSON"));
    sim.stop().await;
}

#[tokio::test]
async fn pace_cuts_through_characters_and_speaks_crlf() {
    let answer = "{answer: {text: äöü äöü äöü}}";
    let sim = playing(&format!("rules: [{{pace: {{chunk-bytes: 3, crlf: true}}, reply: {answer}}}]")).await;
    let reply = post(&sim, CHAT, &with(chat("hi"), &json!({"stream": true}))).await;
    assert!(reply.complete && reply.body.contains("äöü") && reply.body.ends_with("[DONE]\r\n\r\n"));
    sim.stop().await;
}

#[tokio::test]
async fn a_scripted_loop_goes_on_with_each_tool_result() {
    let sim = playing(
        r"
rules:
  - reply:
      turns:
        - {tools: [{name: write, arguments: {path: a.txt, n: 1.50}}]}
        - {text: All done.}
",
    )
    .await;
    let tools = json!([{"name": "write", "input_schema": {"type": "object"}}]);
    let body = with(messages("go"), &json!({"tools": tools}));
    let first = post(&sim, MESSAGES, &body).await.json();
    let block = &first["content"][0];
    assert_eq!((block["name"].as_str(), first["stop_reason"].as_str()), (Some("write"), Some("tool_use")));
    let turns = json!([body["messages"][0], {"role": "assistant", "content": [block]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": block["id"], "content": "ok"}]}]);
    let second = post(&sim, MESSAGES, &with(body.clone(), &json!({"messages": turns}))).await.json();
    assert_eq!(second["content"][0]["text"], "All done.");
    let side = post(&sim, MESSAGES, &messages("a title, please")).await.json();
    assert_eq!(side["content"][0]["type"], "text", "a request without the tool is not asked to call it");
    sim.stop().await;
}

#[tokio::test]
async fn stop_sequences_and_limits_are_obeyed() {
    let sim = playing("rules: [{reply: {answer: {text: one two three four five}}}]").await;
    let stopped =
        post(&sim, MESSAGES, &with(messages("hi"), &json!({"stop_sequences": [" three"]}))).await.json();
    assert_eq!(
        (stopped["content"][0]["text"].as_str(), stopped["stop_sequence"].as_str()),
        (Some("one two"), Some(" three"))
    );
    let cut = post(&sim, CHAT, &with(chat("hi"), &json!({"max_tokens": 2}))).await.json();
    assert_eq!(cut["choices"][0]["finish_reason"], "length");
    assert_eq!(cut["choices"][0]["message"]["content"], "one two ");
    sim.stop().await;
}

#[tokio::test]
async fn the_log_tells_what_came_and_no_secret() {
    let sim = playing("log: {bodies: true}").await;
    post(&sim, CHAT, &chat("hello")).await;
    let log = ask(&sim, "GET", "/_sim/log?since=0", "").await;
    assert!(!log.body.contains("sk-1234"));
    let entry = &log.json()[0];
    assert_eq!((entry["credential"].as_str(), entry["outcome"].as_str()), (Some("1234"), Some("finished")));
    assert!(entry["answer_id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert_eq!(ask(&sim, "GET", "/_sim/requests/1", "").await.json(), chat("hello"));
    assert_eq!(ask(&sim, "DELETE", "/_sim/log", "").await.status, 204);
    assert_eq!(ask(&sim, "GET", "/_sim/log", "").await.body, "[]");
    sim.stop().await;
}

#[tokio::test]
async fn a_peer_that_leaves_is_noticed() {
    let sim =
        playing("rules: [{when: {model: hang}, reply: hang}, {fault: {after-events: 2, kind: hang}}]").await;
    for body in [with(chat("hi"), &json!({"model": "hang"})), with(chat("hi"), &json!({"stream": true}))] {
        let mut stream = TcpStream::connect(sim.address).await.unwrap();
        let body = body.to_string();
        let head = format!(
            "POST {CHAT} HTTP/1.1\r\nhost: sim\r\nauthorization: Bearer k\r\ncontent-length: {}",
            body.len()
        );
        stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await.unwrap();
        drop(stream);
    }
    let outcomes = async || -> Vec<Value> {
        let log = ask(&sim, "GET", "/_sim/log", "").await.json();
        log.as_array().unwrap().iter().map(|it| it["outcome"].clone()).collect()
    };
    while outcomes().await != ["aborted", "aborted"] {}
    sim.stop().await;
}

#[tokio::test]
async fn recorded_bytes_are_played_back() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.sse"), "data: 1\n\ndata: 2\n\ndata: 3").unwrap();
    let scenario = r#"
rules:
  - when: {headers: {host: "s?m"}, model: stream}
    fault: {after-events: 2, kind: end}
    headers: {x-recorded: "yes"}
    reply: {raw: {content-type: text/event-stream, file: a.sse}}
  - when: {model: html}
    reply: {raw: {status: 502, content-type: text/html, body: "<h1>Bad Gateway</h1>"}}
"#;
    let sim = serve(Options::local(Scenario::parse(scenario, folder.path()).unwrap())).await.unwrap();
    let reply = post(&sim, CHAT, &with(chat("hi"), &json!({"model": "stream", "stream": true}))).await;
    assert_eq!(reply.body, "data: 1\n\ndata: 2\n\n");
    assert!(reply.head.contains("x-recorded: yes"));
    let reply = post(&sim, CHAT, &with(chat("hi"), &json!({"model": "html"}))).await;
    assert_eq!((reply.status, reply.body.as_str()), (502, "<h1>Bad Gateway</h1>"));
    sim.stop().await;
}

#[tokio::test]
async fn quirks_make_an_odd_upstream() {
    let calls = "{answer: {tools: [{name: f}, {name: g, arguments: {a: 1}}]}}";
    let sim = playing(&format!(
        r"
rules:
  - {{when: {{model: odd}}, quirks: [index-zero-tools, repeated-names, duplicate-ids, stop-with-tools], reply: {calls}}}
  - {{when: {{model: bare}}, quirks: [missing-index, empty-arguments, missing-usage, missing-done], reply: {calls}}}
  - {{when: {{model: whole}}, quirks: [whole-for-stream]}}
  - {{when: {{model: loud}}, quirks: [reasoning-content, keepalives, no-space], reply: {{answer: {{text: a, reasoning: b}}}}}}
"
    ))
    .await;
    let streamed = |model: &str| {
        with(chat("hi"), &json!({"model": model, "stream": true, "stream_options": {"include_usage": true}}))
    };
    let odd = post(&sim, CHAT, &streamed("odd")).await.body;
    assert!(
        !odd.contains("\"index\":1") && odd.matches("\"name\":\"g\"").count() > 1 && odd.contains("\"stop\"")
    );
    let bare = post(&sim, CHAT, &streamed("bare")).await.body;
    assert!(bare.contains("[{\"id\":") && !bare.contains("total_tokens") && !bare.contains("[DONE]"));
    assert!(bare.contains("\"arguments\":\"\"") && !bare.contains("\"{}\""));
    assert_eq!(post(&sim, CHAT, &streamed("whole")).await.json()["object"], "chat.completion");
    let loud = post(&sim, CHAT, &streamed("loud")).await.body;
    assert!(
        loud.contains("reasoning_content") && loud.contains(": keepalive\n\n") && !loud.contains("data: ")
    );
    sim.stop().await;
}

#[tokio::test]
async fn the_log_forgets_the_oldest_entries() {
    let sim = playing("log: {capacity: 2}").await;
    for _ in 0..3 {
        post(&sim, CHAT, &chat("hello")).await;
    }
    let seqs: Vec<Value> = ask(&sim, "GET", "/_sim/log", "")
        .await
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["seq"].clone())
        .collect();
    assert_eq!(seqs, [json!(2), json!(3)]);
    sim.stop().await;
}

#[tokio::test]
async fn a_bench_answers_alike_with_an_id_of_its_own() {
    let sim = playing("bench: {reply-bytes: 100, chunks: 5, chunk-bytes: 10}").await;
    let (one, two) = (post(&sim, CHAT, &chat("a")).await.json(), post(&sim, CHAT, &chat("b")).await.json());
    assert_eq!(one["choices"][0]["message"]["content"].as_str().unwrap().len(), 100);
    assert_ne!(one["id"], two["id"]);
    let reply = post(&sim, MESSAGES, &with(messages("a"), &json!({"stream": true}))).await;
    assert_eq!(reply.body.matches("text_delta").count(), 5);
    assert!(!reply.body.contains('~'));
    let log = ask(&sim, "GET", "/_sim/log", "").await.json();
    assert_eq!(log[0]["answer_id"], one["id"]);
    assert_eq!(log[2]["model"], "sim-1");
    sim.stop().await;
}

#[tokio::test]
async fn models_and_counts_come_in_the_askers_shape() {
    let sim = playing("models: [a, b]").await;
    assert_eq!(ask(&sim, "GET", "/v1/models", "").await.json()["object"], "list");
    assert_eq!(ask(&sim, "GET", "/v1/models/b", "").await.json()["object"], "model");
    assert_eq!(ask(&sim, "GET", "/v1/models/c", "").await.status, 404);
    let mut body = messages("hello");
    body.as_object_mut().unwrap().remove("max_tokens");
    let count = post(&sim, "/v1/messages/count_tokens", &body).await.json();
    assert!(count["input_tokens"].as_u64().unwrap() > 0);
    sim.stop().await;
}

#[test]
fn globs_match_runs_and_single_characters() {
    for (glob, text, fits) in [
        ("*", "", true),
        ("sim-*", "sim-1", true),
        ("*-mini", "sim-1-mini", true),
        ("a*b*c", "axxbyyc", true),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("abc", "abcd", false),
    ] {
        assert_eq!(rule::is_match(glob, text), fits, "{glob} {text}");
    }
}

#[test]
fn an_example_fits_its_schema() {
    let schema = json!({"type": "object", "required": ["kind"], "$defs": {"p": {"type": "object", "properties": {"x": {"type": "number"}}}},
        "properties": {"kind": {"enum": ["a", "b"]}, "many": {"type": "array", "items": {"$ref": "#/$defs/p"}, "minItems": 2},
            "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]}, "yes": {"type": "boolean"}}});
    let example = example::of(&schema);
    assert!(jsonschema::is_valid(&schema, &example), "{example}");
    assert_eq!(example["many"].as_array().unwrap().len(), 2);
}

#[test]
fn dice_are_fair_and_repeatable() {
    let lucky = |seed| (0..10_000).filter(|it| rule::is_lucky(seed, 0, *it, 0.3)).count();
    assert!((2_700..3_300).contains(&lucky(1)));
    assert_eq!(lucky(1), lucky(1));
}

#[test]
fn a_misspelt_scenario_is_refused() {
    let fault = Scenario::parse("rules: [{wen: {}}]", Path::new(".")).unwrap_err();
    assert!(fault.to_string().contains("wen"), "{fault}");
}

#[test]
fn the_scenarios_of_the_suites_are_well_formed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/simulator");
    let scenario = Scenario::load(&folder.join("sdk.yaml")).unwrap();
    assert!(scenario.rules.iter().any(|it| it.name == "the task"), "an included file's rules are there");
}
