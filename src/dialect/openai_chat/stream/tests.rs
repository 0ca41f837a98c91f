use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    dialect::{
        ClientCodec, DialectId, Recall, ReplyContext, ServerCodec, SseFrame, TokenUsage, WireError,
        canonical::{BlockKind, ChatEvent, Citation, Delta, Finish, FinishReason, Part, PartKind},
        openai_chat::OPENAI_CHAT,
    },
    kernel::{
        error::{ErrorKind, GatewayError},
        id::RequestId,
    },
};

// ---- decoding ----

fn read_with(recall: &Recall, frames: &[Value], done: bool) -> Vec<ChatEvent> {
    let mut decoder = OPENAI_CHAT.event_decoder(recall);
    let mut events = Vec::new();
    for frame in frames {
        let data = Bytes::from(frame.to_string());
        decoder.decode(&SseFrame { event: None, data }, &mut events).unwrap();
    }
    if done {
        let data = Bytes::from_static(b"[DONE]");
        decoder.decode(&SseFrame { event: None, data }, &mut events).unwrap();
    }
    decoder.finish(&mut events).unwrap();
    check_laws(&events);
    events
}

fn read(frames: &[Value]) -> Vec<ChatEvent> {
    read_with(&Recall::default(), frames, true)
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn delta(delta: Value) -> Value {
    json!({"id": "chatcmpl-1", "created": 1, "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn calls(fragments: Value) -> Value {
    delta(json!({ "tool_calls": fragments }))
}

fn finish(reason: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

/// The laws of `canonical/event.rs`.
fn check_laws(events: &[ChatEvent]) {
    let mut open: Vec<(u32, u32, bool)> = Vec::new();
    let mut used = std::collections::HashSet::new();
    let mut finished = std::collections::HashSet::new();
    let mut failed = false;
    for (at, event) in events.iter().enumerate() {
        assert_eq!(at == 0, matches!(event, ChatEvent::Start { .. }), "{events:?}");
        assert!(!failed || *event == ChatEvent::End, "{events:?}");
        match event {
            ChatEvent::BlockStart { choice, block, kind, .. } => {
                assert!(used.insert(*block), "a key is used twice: {events:?}");
                let is_call = matches!(kind, BlockKind::ToolCall { .. });
                assert!(
                    open.iter().all(|it| it.1 != *choice || (it.2 && is_call)),
                    "blocks overlap: {events:?}"
                );
                open.push((*block, *choice, is_call));
            }
            ChatEvent::Delta { block, .. } => assert!(open.iter().any(|it| it.0 == *block), "{events:?}"),
            ChatEvent::BlockEnd { block } => {
                let at = open.iter().position(|it| it.0 == *block).expect("an open block");
                open.remove(at);
            }
            ChatEvent::Finish { choice, .. } => {
                assert!(open.iter().all(|it| it.1 != *choice), "{events:?}");
                assert!(finished.insert(*choice), "{events:?}");
            }
            ChatEvent::Error(_) => failed = true,
            ChatEvent::End => assert_eq!(at + 1, events.len(), "{events:?}"),
            ChatEvent::Start { .. } | ChatEvent::Usage(_) => {}
        }
    }
}

/// Blocks as kind and whole text, in the order they were opened.
fn blocks(events: &[ChatEvent]) -> Vec<(String, String)> {
    let mut blocks: Vec<(u32, String, String)> = Vec::new();
    for event in events {
        match event {
            ChatEvent::BlockStart { block, kind, .. } => {
                let kind = match kind {
                    BlockKind::ToolCall { id, name, custom: false, .. } => format!("{name}#{id}"),
                    BlockKind::ToolCall { name, .. } => format!("{name}#custom"),
                    other => format!("{other:?}"),
                };
                blocks.push((*block, kind, String::new()));
            }
            ChatEvent::Delta { block, delta } => {
                let it = blocks.iter_mut().find(|it| it.0 == *block).unwrap();
                match delta {
                    Delta::Text(text)
                    | Delta::Reasoning(text)
                    | Delta::Arguments(text)
                    | Delta::Refusal(text) => {
                        it.2.push_str(text);
                    }
                    Delta::State { .. } | Delta::Citation(_) | Delta::Logprobs(_) => {}
                }
            }
            _ => {}
        }
    }
    blocks.into_iter().map(|(_, kind, text)| (kind, text)).collect()
}

fn block(kind: &str, text: &str) -> (String, String) {
    (kind.to_owned(), text.to_owned())
}

fn reason(events: &[ChatEvent]) -> Option<FinishReason> {
    events.iter().find_map(|it| match it {
        ChatEvent::Finish { finish, .. } => Some(finish.reason),
        _ => None,
    })
}

fn error(events: &[ChatEvent]) -> Option<&WireError> {
    events.iter().find_map(|it| match it {
        ChatEvent::Error(error) => Some(error),
        _ => None,
    })
}

#[test]
fn a_plain_answer_is_read() {
    let events = read(&[
        delta(json!({"role": "assistant", "content": ""})),
        delta(json!({"content": "he"})),
        delta(json!({"content": "y"})),
        finish("stop"),
        json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}),
    ]);
    assert_eq!(
        events[0],
        ChatEvent::Start { id: Some("chatcmpl-1".to_owned()), model: Some("m".to_owned()), created: Some(1) }
    );
    assert_eq!(blocks(&events), [block("Text", "hey")]);
    let end = &events[events.len() - 4..];
    let usage = TokenUsage { input: Some(3), output: Some(2), ..TokenUsage::default() };
    assert_eq!(end[0], ChatEvent::Usage(usage));
    assert!(matches!(&end[2], ChatEvent::Finish { finish, .. } if finish.reason == FinishReason::Stop));
    assert_eq!(end[3], ChatEvent::End);
}

#[test]
fn ec_019_repeated_ids_and_names_are_ignored() {
    let piece =
        |text: &str| calls(json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": text}}]));
    let events = read(&[piece(""), piece("{\"a\""), piece(":1}"), piece(""), finish("tool_calls")]);
    assert_eq!(blocks(&events), [block("f#a", "{\"a\":1}")]);
}

#[test]
fn ec_020_calls_that_share_an_index_are_told_apart() {
    let by_id = read(&[
        calls(json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"x\":"}}])),
        calls(json!([{"index": 0, "function": {"arguments": "1}"}}])),
        calls(json!([{"index": 0, "id": "b", "function": {"name": "f", "arguments": "{}"}}])),
        finish("tool_calls"),
    ]);
    assert_eq!(blocks(&by_id), [block("f#a", "{\"x\":1}"), block("f#b", "{}")]);
    let by_name = read(&[
        calls(json!([{"index": 0, "function": {"name": "f", "arguments": "{}"}}])),
        calls(json!([{"index": 0, "function": {"name": "g", "arguments": "{}"}}])),
        calls(json!([{"index": 0, "function": {"name": "g", "arguments": "{}"}}])),
        finish("tool_calls"),
    ]);
    let names: Vec<String> = blocks(&by_name).into_iter().map(|it| it.0[..2].to_owned()).collect();
    assert_eq!(names, ["f#", "g#", "g#"]);
    let whole = read(&[
        calls(json!([
            {"id": "a", "function": {"name": "f", "arguments": "{}"}},
            {"id": "b", "function": {"name": "g", "arguments": {"x": 1}}},
        ])),
        finish("stop"),
    ]);
    assert_eq!(blocks(&whole), [block("f#a", "{}"), block("g#b", "{\"x\":1}")]);
}

#[test]
fn ec_021_late_names_and_ids_are_waited_for() {
    let events = read(&[
        calls(json!([{"index": 0, "id": "", "function": {"name": null, "arguments": ""}}])),
        calls(json!([{"index": 0, "function": {"name": "f", "arguments": "{\"a\":"}}])),
        calls(json!([{"index": 0, "id": "late", "function": {"arguments": "1}"}}])),
        finish("tool_calls"),
    ]);
    assert_eq!(blocks(&events), [block("f#late", "{\"a\":1}")]);
    let never =
        read(&[calls(json!([{"index": 0, "function": {"name": "f", "arguments": "{}"}}])), finish("stop")]);
    assert!(blocks(&never)[0].0.starts_with("f#call_"));
    assert_eq!(reason(&never), Some(FinishReason::ToolCalls));
    let nameless = read(&[
        calls(json!([{"index": 0, "id": "a", "function": {"arguments": "{}"}}])),
        finish("tool_calls"),
    ]);
    assert_eq!(blocks(&nameless), []);
    assert_eq!(reason(&nameless), Some(FinishReason::Stop));
    let split = read(&[
        calls(json!([{"index": 0, "id": "a", "function": {"name": "read_"}}])),
        calls(json!([{"index": 0, "function": {"name": "file"}}])),
        calls(json!([{"index": 0, "function": {"arguments": "{}"}}])),
        finish("tool_calls"),
    ]);
    assert_eq!(blocks(&split), [block("read_file#a", "{}")]);
}

#[test]
fn ec_022_a_stop_after_calls_is_tool_calls() {
    let call = calls(json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]));
    assert_eq!(reason(&read(&[call, finish("stop")])), Some(FinishReason::ToolCalls));
}

#[test]
fn ec_023_empty_deltas_open_nothing() {
    let events = read(&[
        json!({"choices": []}),
        delta(json!({"role": "assistant", "content": ""})),
        delta(json!({"content": null, "tool_calls": null, "reasoning_content": ""})),
        finish("stop"),
    ]);
    assert_eq!(events.len(), 3);
    assert_eq!(reason(&events), Some(FinishReason::Stop));
}

#[test]
fn ec_024_and_121_thinking_is_its_own_block_wherever_it_comes() {
    let events = read(&[
        delta(json!({"reasoning_content": "a"})),
        delta(json!({"reasoning": "b"})),
        delta(json!({"content": "c"})),
        delta(json!({"reasoning_content": "d", "content": "e"})),
        delta(json!({"reasoning_details": [{"type": "reasoning.summary", "summary": "f"}]})),
        finish("stop"),
    ]);
    assert_eq!(
        blocks(&events),
        [
            block("Reasoning", "ab"),
            block("Text", "c"),
            block("Reasoning", "d"),
            block("Text", "e"),
            block("Reasoning", "f")
        ]
    );
}

#[test]
fn ec_036_an_error_in_the_stream_ends_it() {
    let events = read(&[
        delta(json!({"content": "a"})),
        json!({"error": {"message": "boom", "type": "server_error", "code": 503}}),
        delta(json!({"content": "b"})),
    ]);
    assert_eq!(error(&events).unwrap().kind, ErrorKind::Overloaded);
    assert_eq!(events.last(), Some(&ChatEvent::End));
    assert_eq!(reason(&events), None);
}

#[test]
fn ec_037_an_end_without_finish_is_an_error() {
    let events = read_with(&Recall::default(), &[delta(json!({"content": "a"}))], false);
    assert_eq!(error(&events).unwrap().kind, ErrorKind::Truncated);
    assert_eq!(error(&read_with(&Recall::default(), &[], false)).unwrap().kind, ErrorKind::Truncated);
    assert_eq!(error(&read(&[])).unwrap().kind, ErrorKind::Truncated);
}

#[test]
fn ec_041_a_call_without_arguments_has_an_empty_object() {
    let events = read(&[
        calls(json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}])),
        finish("tool_calls"),
    ]);
    assert_eq!(blocks(&events), [block("f#a", "{}")]);
}

#[test]
fn ec_049_usage_after_the_finish_is_told_before_it() {
    let events = read(&[
        delta(json!({"content": "a"})),
        finish("stop"),
        json!({"choices": [], "usage": {"prompt_tokens": 1}}),
    ]);
    let usage = events.iter().position(|it| matches!(it, ChatEvent::Usage(_))).unwrap();
    let finish = events.iter().position(|it| matches!(it, ChatEvent::Finish { .. })).unwrap();
    assert!(usage < finish);
}

#[test]
fn usage_of_groq_and_kimi_is_found() {
    let frames = [
        json!({"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}], "x_groq": {"usage": {"prompt_tokens": 1}}}),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": {"completion_tokens": 2}}]}),
    ];
    let mut usage = TokenUsage::default();
    for event in read(&frames) {
        if let ChatEvent::Usage(it) = event {
            usage.merge(&it);
        }
    }
    assert_eq!((usage.input, usage.output), (Some(1), Some(2)));
}

#[test]
fn ec_074_done_may_be_missing_or_doubled() {
    let frames = [delta(json!({"content": "a"})), finish("stop")];
    let missing = read_with(&Recall::default(), &frames, false);
    assert_eq!(missing, read(&frames));
    let mut decoder = OPENAI_CHAT.event_decoder(&Recall::default());
    let mut events = Vec::new();
    for data in [
        frames[0].to_string(),
        frames[1].to_string(),
        "[DONE]".to_owned(),
        frames[0].to_string(),
        "[DONE]".to_owned(),
    ] {
        decoder.decode(&SseFrame { event: None, data: data.into() }, &mut events).unwrap();
    }
    assert_eq!(events, missing);
}

#[test]
fn ec_079_an_error_body_as_data_is_an_error() {
    for frame in [
        json!({"error": {"message": "no"}}),
        json!({"error": "no"}),
        json!({"object": "error", "message": "no", "code": 400}),
        json!({"detail": "no"}),
    ] {
        let events = read_with(&Recall::default(), &[frame], false);
        assert_eq!(error(&events).unwrap().message, "no");
    }
    assert_eq!(
        error(&read(&[json!({"error": null, "choices": [{"delta": {"content": "a"}}]}), finish("stop")])),
        None
    );
}

#[test]
fn ec_131_and_133_null_and_missing_fields_are_borne() {
    let events = read(&[
        json!({"id": null, "choices": [{"delta": {"content": "a", "refusal": null, "function_call": null}}], "usage": null}),
        json!({"choices": null}),
        json!({"choices": [{"delta": null, "finish_reason": "stop"}]}),
        json!({"choices": [], "usage": {"prompt_tokens": null, "prompt_tokens_details": null}}),
    ]);
    assert_eq!(blocks(&events), [block("Text", "a")]);
}

#[test]
fn ec_140_a_cut_call_stays_cut() {
    let events = read(&[
        calls(json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"a\""}}])),
        finish("length"),
    ]);
    assert_eq!(reason(&events), Some(FinishReason::Length));
    assert_eq!(blocks(&events), [block("f#a", "{\"a\"")]);
}

#[test]
fn ec_141_arguments_that_are_no_json_are_passed_on() {
    let events = read(&[
        calls(json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": "not "}}])),
        calls(json!([{"index": 0, "function": {"arguments": "json"}}])),
        finish("tool_calls"),
    ]);
    assert_eq!(blocks(&events), [block("f#a", "not json")]);
}

#[test]
fn ec_176_azures_first_chunk_is_passed_over() {
    let events = read(&[
        json!({"id": "", "model": "", "created": 0, "choices": [], "prompt_filter_results": [{"prompt_index": 0}]}),
        delta(json!({"content": "a"})),
        finish("stop"),
    ]);
    assert!(matches!(&events[0], ChatEvent::Start { id: Some(id), .. } if id == "chatcmpl-1"));
}

#[test]
fn interleaved_calls_keep_their_arguments() {
    let events = read(&[
        calls(
            json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"x\""}}, {"index": 1, "id": "b", "function": {"name": "g", "arguments": "{"}}]),
        ),
        calls(
            json!([{"index": 1, "function": {"arguments": "}"}}, {"index": 0, "function": {"arguments": ":1}"}}]),
        ),
        finish("tool_calls"),
    ]);
    assert_eq!(blocks(&events), [block("f#a", "{\"x\":1}"), block("g#b", "{}")]);
}

#[test]
fn ec_003_text_within_a_call_waits_for_the_calls_end() {
    let events = read(&[
        calls(json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"x\""}}])),
        delta(json!({"content": "aside"})),
        calls(json!([{"index": 0, "function": {"arguments": ":1}"}}])),
        delta(json!({"content": "after"})),
        finish("tool_calls"),
    ]);
    assert_eq!(blocks(&events)[0], block("f#a", "{\"x\":1}"));
    let said: String = blocks(&events)[1..].iter().map(|it| it.1.as_str()).collect();
    assert_eq!(said, "asideafter");
}

#[test]
fn legacy_calls_and_refusals_are_read() {
    let legacy = read(&[
        delta(json!({"function_call": {"name": "f", "arguments": ""}})),
        delta(json!({"function_call": {"arguments": "{\"a\":1}"}})),
        finish("function_call"),
    ]);
    assert_eq!(blocks(&legacy)[0].1, "{\"a\":1}");
    assert_eq!(reason(&legacy), Some(FinishReason::ToolCalls));
    let refused = read(&[delta(json!({"refusal": "n"})), delta(json!({"refusal": "o"})), finish("stop")]);
    assert_eq!(blocks(&refused), [block("Refusal", "no")]);
    assert_eq!(reason(&refused), Some(FinishReason::Refusal));
}

#[test]
fn what_the_request_disguised_is_undone() {
    let recall = Recall {
        names: [("fs_read".to_owned(), "fs.read".to_owned())].into(),
        json_tool: Some("respond_with_json".to_owned()),
        custom_tools: ["apply".to_owned()].into(),
        ..Recall::default()
    };
    let events = read_with(
        &recall,
        &[
            calls(json!([{"index": 0, "id": "a", "function": {"name": "fs_read", "arguments": "{}"}}])),
            calls(
                json!([{"index": 1, "id": "b", "function": {"name": "apply", "arguments": "{\"input\":"}}]),
            ),
            calls(json!([{"index": 1, "function": {"arguments": "\"x\\ny\"}"}}])),
            finish("tool_calls"),
        ],
        true,
    );
    assert_eq!(blocks(&events), [block("fs.read#a", "{}"), block("apply#custom", "x\ny")]);
    let json = read_with(
        &recall,
        &[
            calls(
                json!([{"index": 0, "id": "a", "function": {"name": "respond_with_json", "arguments": "{\"a\""}}]),
            ),
            calls(json!([{"index": 0, "function": {"arguments": ":1}"}}])),
            finish("tool_calls"),
        ],
        true,
    );
    assert_eq!(blocks(&json), [block("Text", "{\"a\":1}")]);
    assert_eq!(reason(&json), Some(FinishReason::Stop));
}

#[test]
fn log_probabilities_go_with_the_text_they_are_of() {
    let token = |it: &str| json!({"token": it, "logprob": -0.5, "bytes": null, "top_logprobs": []});
    let likely = |mut frame: Value, token: Value| {
        frame["choices"][0]["logprobs"] = json!({"content": [token], "refusal": null});
        frame
    };
    let call = calls(json!([{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}]));
    let rest = calls(json!([{"index": 0, "function": {"arguments": "}"}}]));
    let events = read(&[
        likely(delta(json!({"content": "a"})), token("a")),
        // Said after its text.
        delta(json!({"content": "b"})),
        likely(delta(json!({})), token("b")),
        likely(call, token("call")),
        // Text within a call waits for the call's end, and so does what is said of it.
        likely(delta(json!({"content": "c"})), token("c")),
        rest,
        finish("stop"),
    ]);
    let context = context();
    let told: Vec<(Value, Value)> = data(&write(&events, &context))
        .iter()
        .filter(|it| it["choices"][0]["logprobs"].is_object())
        .map(|it| (it["choices"][0]["delta"].clone(), it["choices"][0]["logprobs"]["content"].clone()))
        .collect();
    let expected = [
        (json!({"content": "a"}), json!([token("a")])),
        (json!({}), json!([token("b")])),
        (json!({"content": "c"}), json!([token("c")])),
    ];
    assert_eq!(told, expected);
}

#[test]
fn ec_201_choices_are_kept_apart() {
    let of = |index: u32, delta: Value| json!({"choices": [{"index": index, "delta": delta, "finish_reason": null}]});
    let end = |index: u32| json!({"choices": [{"index": index, "delta": {}, "finish_reason": "stop"}]});
    let events = read(&[
        of(0, json!({"content": "a"})),
        of(1, json!({"content": "x"})),
        of(0, json!({"content": "b"})),
        end(1),
        end(0),
    ]);
    assert_eq!(blocks(&events), [block("Text", "ab"), block("Text", "x")]);
    let one =
        read_with(&Recall::default(), &[of(0, json!({"content": "a"})), of(1, json!({})), end(0)], false);
    assert_eq!(error(&one).unwrap().kind, ErrorKind::Truncated);
}

fn any_frame() -> impl Strategy<Value = Value> {
    let text = || prop::sample::select(vec!["", "a", "{", "}", "{}", "\"", "f", "g"]);
    let fragment = (prop::option::of(0..3_u32), prop::option::of(text()), prop::option::of(text()), text()).prop_map(
        |(index, id, name, arguments)| json!({"index": index, "id": id, "function": {"name": name, "arguments": arguments}}),
    );
    let delta = prop_oneof![
        text().prop_map(|it| json!({ "content": it })),
        text().prop_map(|it| json!({ "reasoning_content": it })),
        text().prop_map(|it| json!({ "refusal": it })),
        prop::collection::vec(fragment, 0..3).prop_map(|it| json!({ "tool_calls": it })),
        Just(Value::Null),
    ];
    let finish = prop::option::of(prop::sample::select(vec!["stop", "length", "tool_calls", ""]));
    prop_oneof![
        8 => (0..2_u32, delta, finish)
            .prop_map(|(index, delta, finish)| json!({"choices": [{"index": index, "delta": delta, "finish_reason": finish}]})),
        1 => Just(json!({"choices": [], "usage": {"prompt_tokens": 1}})),
    ]
}

proptest! {
    #[test]
    fn any_frames_make_lawful_events_and_a_lawful_stream(
        frames in prop::collection::vec(any_frame(), 0..20), done in any::<bool>(), include_usage in any::<bool>(),
    ) {
        let events = read_with(&Recall::default(), &frames, done);
        check_grammar(&write(&events, &ReplyContext { include_usage, ..context() }), include_usage);
    }

    #[test]
    fn no_frame_panics(data in prop::collection::vec("[\\[\\]{}:,\"a-z0-9 ]{0,40}", 0..4)) {
        let mut decoder = OPENAI_CHAT.event_decoder(&Recall::default());
        let mut events = Vec::new();
        for data in data {
            let _ = decoder.decode(&SseFrame { event: None, data: data.into() }, &mut events);
        }
        let _ = decoder.finish(&mut events);
    }
}

// ---- encoding ----

fn context() -> ReplyContext {
    ReplyContext::new(RequestId::declared("r"), "asked", 7)
}

fn write(events: &[ChatEvent], context: &ReplyContext) -> String {
    let mut encoder = OPENAI_CHAT.event_encoder(context);
    let mut out = BytesMut::new();
    for event in events {
        encoder.encode(event, &mut out);
    }
    encoder.finish(&mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

fn data(stream: &str) -> Vec<Value> {
    stream
        .split_terminator("\n\n")
        .map(|it| it.strip_prefix("data: ").expect("a data line"))
        .filter(|it| *it != "[DONE]")
        .map(|it| serde_json::from_str(it).unwrap())
        .collect()
}

/// An own reading of the grammar of chunks: as strict as the strictest client.
fn check_grammar(stream: &str, include_usage: bool) {
    assert!(!stream.contains('\u{2028}') && !stream.contains('\u{2029}'));
    let lines: Vec<&str> = stream.split_terminator("\n\n").collect();
    assert!(lines.iter().all(|it| it.starts_with("data: ") && !it.contains('\n')), "{stream}");
    let failed = lines.iter().any(|it| it.starts_with("data: {\"error\""));
    assert_eq!(lines.iter().filter(|it| **it == "data: [DONE]").count(), usize::from(!failed));
    assert!(failed || lines.last() == Some(&"data: [DONE]"));
    let chunks = data(stream);
    let mut head: Option<(Value, Value, Value)> = None;
    let mut roles: Vec<u64> = Vec::new();
    let mut ended: Vec<u64> = Vec::new();
    let mut called: Vec<(u64, u64, String)> = Vec::new();
    for (at, chunk) in chunks.iter().enumerate() {
        if chunk.get("error").is_some() {
            assert_eq!(at + 1, chunks.len());
            continue;
        }
        let this = (chunk["id"].clone(), chunk["created"].clone(), chunk["model"].clone());
        assert!(head.get_or_insert_with(|| this.clone()) == &this);
        assert_eq!(chunk["object"], "chat.completion.chunk");
        let choices = chunk["choices"].as_array().expect("an array");
        assert_eq!(chunk.get("usage").is_some(), include_usage);
        if choices.is_empty() {
            assert_eq!(at + 1, chunks.len());
            assert!(chunk["usage"]["prompt_tokens"].is_u64());
            continue;
        }
        assert!(chunk.get("usage").is_none_or(Value::is_null));
        for choice in choices {
            let index = choice["index"].as_u64().unwrap();
            assert!(!ended.contains(&index), "{stream}");
            let delta = choice["delta"].as_object().unwrap();
            assert_eq!(delta.contains_key("role"), !roles.contains(&index), "{stream}");
            roles.push(index);
            for fragment in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
                let place = fragment["index"].as_u64().unwrap();
                let known = called.iter_mut().find(|it| (it.0, it.1) == (index, place));
                let text = fragment["function"]["arguments"].as_str().unwrap();
                if let Some(known) = known {
                    assert!(fragment.get("id").is_none() && fragment["function"].get("name").is_none());
                    known.2.push_str(text);
                } else {
                    assert_eq!(place, called.iter().filter(|it| it.0 == index).count() as u64);
                    assert!(!fragment["id"].as_str().unwrap().is_empty());
                    assert!(!fragment["function"]["name"].as_str().unwrap().is_empty());
                    called.push((index, place, text.to_owned()));
                }
            }
            if !choice["finish_reason"].is_null() {
                assert!(delta.is_empty());
                ended.push(index);
            }
        }
    }
    if !failed {
        roles.sort_unstable();
        roles.dedup();
        ended.sort_unstable();
        assert_eq!(roles, ended, "{stream}");
        assert!(called.iter().all(|it| !it.2.is_empty()), "{stream}");
    }
}

fn start() -> ChatEvent {
    ChatEvent::Start { id: Some("msg_1".to_owned()), model: None, created: None }
}

fn open(block: u32, kind: BlockKind) -> ChatEvent {
    ChatEvent::block(0, block, kind)
}

fn text(block: u32, text: &str) -> ChatEvent {
    ChatEvent::Delta { block, delta: Delta::Text(text.to_owned()) }
}

fn call(id: &str) -> BlockKind {
    BlockKind::ToolCall { id: id.to_owned(), name: "f".to_owned(), custom: false, state: None }
}

fn end(reason: FinishReason) -> [ChatEvent; 2] {
    [ChatEvent::Finish { choice: 0, finish: Finish::new(reason) }, ChatEvent::End]
}

#[test]
fn ec_069_the_role_is_told_once() {
    let mut events = vec![
        start(),
        open(0, call("a")),
        ChatEvent::BlockEnd { block: 0 },
        open(1, BlockKind::Text),
        text(1, "x"),
    ];
    events.extend(end(FinishReason::ToolCalls));
    let stream = write(&events, &context());
    assert_eq!(stream.matches("\"role\"").count(), 1);
    check_grammar(&stream, false);
    let chunks = data(&stream);
    assert_eq!((&chunks[0]["model"], &chunks[0]["created"]), (&json!("asked"), &json!(7)));
    assert!(chunks[0]["id"].as_str().unwrap().starts_with("chatcmpl-"));
}

#[test]
fn ec_071_calls_are_numbered_from_zero_whatever_their_keys() {
    let mut events = vec![start(), open(7, call("a")), open(9, call("b"))];
    events.push(ChatEvent::Delta { block: 9, delta: Delta::Arguments("{\"x\":1}".to_owned()) });
    events.extend([ChatEvent::BlockEnd { block: 7 }, ChatEvent::BlockEnd { block: 9 }]);
    events.extend(end(FinishReason::ToolCalls));
    let stream = write(&events, &context());
    check_grammar(&stream, false);
    let fragments: Vec<Value> = data(&stream)
        .iter()
        .map(|it| it["choices"][0]["delta"]["tool_calls"][0].clone())
        .filter(|it| !it.is_null())
        .collect();
    assert_eq!(
        fragments[0],
        json!({"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}})
    );
    assert_eq!(fragments[2], json!({"index": 1, "function": {"arguments": "{\"x\":1}"}}));
    assert_eq!(fragments[3], json!({"index": 0, "function": {"arguments": "{}"}}));
}

#[test]
fn ec_049_usage_is_shown_to_those_who_asked() {
    let usage = TokenUsage { input: Some(3), output: Some(2), ..TokenUsage::default() };
    let mut events = vec![
        start(),
        open(0, BlockKind::Text),
        text(0, "a"),
        ChatEvent::BlockEnd { block: 0 },
        ChatEvent::Usage(usage),
    ];
    events.extend(end(FinishReason::Stop));
    assert!(!write(&events, &context()).contains("usage"));
    let stream = write(&events, &ReplyContext { include_usage: true, ..context() });
    check_grammar(&stream, true);
    assert_eq!(data(&stream).last().unwrap()["usage"]["total_tokens"], 5);
}

#[test]
fn ec_072_a_silent_stream_is_kept_alive_by_a_comment() {
    assert_eq!(OPENAI_CHAT.keep_alive(), ": keep-alive\n\n");
}

#[test]
fn ec_036_after_an_error_nothing_is_told() {
    let error = WireError {
        kind: ErrorKind::Overloaded,
        message: "busy".to_owned(),
        error_type: None,
        code: None,
        param: None,
    };
    let events = [start(), open(0, BlockKind::Text), text(0, "a"), ChatEvent::Error(error), ChatEvent::End];
    let stream = write(&events, &context());
    assert!(!stream.contains("[DONE]") && !stream.contains("\"finish_reason\":\"stop\""));
    assert_eq!(data(&stream).last().unwrap()["error"]["message"], "busy");
    let mut encoder = OPENAI_CHAT.event_encoder(&context());
    let mut out = BytesMut::new();
    encoder.encode(&start(), &mut out);
    encoder.abort(&GatewayError::new(ErrorKind::Timeout, "late"), &mut out);
    encoder.encode(&open(0, BlockKind::Text), &mut out);
    let stream = String::from_utf8(out.to_vec()).unwrap();
    assert_eq!(
        data(&stream),
        [json!({"error": {"message": "late", "type": "server_error", "param": null, "code": "timeout"}})]
    );
}

#[test]
fn ec_194_a_legacy_client_gets_legacy_deltas() {
    let mut events = vec![start(), open(0, call("a")), open(1, call("b"))];
    events.push(ChatEvent::Delta { block: 0, delta: Delta::Arguments("{}".to_owned()) });
    events.extend([ChatEvent::BlockEnd { block: 0 }, ChatEvent::BlockEnd { block: 1 }]);
    events.extend(end(FinishReason::ToolCalls));
    let stream = write(&events, &ReplyContext { legacy_functions: true, ..context() });
    let deltas: Vec<Value> = data(&stream).iter().map(|it| it["choices"][0]["delta"].clone()).collect();
    assert_eq!(deltas[1], json!({"function_call": {"name": "f", "arguments": ""}}));
    assert_eq!(deltas[2], json!({"function_call": {"arguments": "{}"}}));
    assert_eq!(deltas.len(), 4);
    assert!(stream.contains("\"finish_reason\":\"function_call\""));
}

#[test]
fn line_separators_are_escaped() {
    let mut events = vec![start(), open(0, BlockKind::Text), text(0, "a\u{2028}b\u{2029}…")];
    events.extend(end(FinishReason::Stop));
    let stream = write(&events, &context());
    check_grammar(&stream, false);
    assert!(stream.contains("a\\u2028b\\u2029…"));
    assert_eq!(data(&stream)[1]["choices"][0]["delta"]["content"], "a\u{2028}b\u{2029}…");
}

#[test]
fn thinking_refusals_citations_and_foreign_blocks_have_their_place() {
    let raw = json!({"type": "server_tool_use"});
    let foreign = Part::new(PartKind::ServerTool { dialect: DialectId::AnthropicMessages, raw, step: None });
    let cited = Citation {
        url: Some("u".to_owned()),
        title: Some("t".to_owned()),
        ..Citation::plain(DialectId::AnthropicMessages, json!({}))
    };
    let reasoning = |it: &str| ChatEvent::Delta { block: 0, delta: Delta::Reasoning(it.to_owned()) };
    let mut events = vec![
        start(),
        open(0, BlockKind::Reasoning),
        reasoning("hm"),
        ChatEvent::BlockEnd { block: 0 },
        open(1, BlockKind::Whole(Box::new(foreign))),
        ChatEvent::BlockEnd { block: 1 },
        open(2, BlockKind::Text),
        text(2, "é"),
        ChatEvent::Delta { block: 2, delta: Delta::Citation(cited) },
        ChatEvent::BlockEnd { block: 2 },
        open(3, BlockKind::Refusal),
        ChatEvent::Delta { block: 3, delta: Delta::Refusal("no".to_owned()) },
        ChatEvent::BlockEnd { block: 3 },
    ];
    events.extend(end(FinishReason::Refusal));
    let stream = write(&events, &context());
    check_grammar(&stream, false);
    let deltas: Vec<Value> = data(&stream).iter().map(|it| it["choices"][0]["delta"].clone()).collect();
    assert_eq!(deltas[1], json!({"reasoning_content": "hm"}));
    assert_eq!(deltas[2], json!({"content": "é"}));
    assert_eq!(deltas[3]["annotations"][0]["url_citation"]["end_index"], 1);
    assert_eq!(deltas[4], json!({"refusal": "no"}));
    assert!(stream.contains("\"finish_reason\":\"stop\""));
}

#[test]
fn what_was_written_is_read_again() {
    let mut events = vec![
        start(),
        open(0, BlockKind::Text),
        text(0, "a"),
        ChatEvent::BlockEnd { block: 0 },
        open(1, call("x")),
    ];
    events.push(ChatEvent::Delta { block: 1, delta: Delta::Arguments("{\"a\":10.0}".to_owned()) });
    events.push(ChatEvent::BlockEnd { block: 1 });
    events.extend(end(FinishReason::ToolCalls));
    let again = read(&data(&write(&events, &context())));
    assert_eq!(blocks(&again), blocks(&events));
    assert_eq!(reason(&again), Some(FinishReason::ToolCalls));
}

// ---- reasoning between tags ----

/// What is said, deltas put together: (kind, text).
fn said(events: &[ChatEvent]) -> Vec<(&'static str, String)> {
    let mut said: Vec<(&'static str, String)> = Vec::new();
    for event in events {
        let (kind, text) = match event {
            ChatEvent::Delta { delta: Delta::Reasoning(it), .. } => ("reasoning", it),
            ChatEvent::Delta { delta: Delta::Text(it), .. } => ("text", it),
            ChatEvent::BlockStart { kind: BlockKind::ToolCall { name, .. }, .. } => ("call", name),
            _ => continue,
        };
        match said.last_mut() {
            Some((last, before)) if *last == kind => before.push_str(text),
            _ => said.push((kind, text.clone())),
        }
    }
    said
}

fn tagged() -> Recall {
    Recall { think_tags: true, ..Recall::default() }
}

fn told(kinds: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    kinds.iter().map(|(kind, text)| (*kind, (*text).to_owned())).collect()
}

#[test]
fn ec_175_tags_in_a_stream_are_reasoning_if_the_model_writes_them() {
    let frames = [
        delta(json!({"role": "assistant", "content": ""})),
        delta(json!({"content": "<thi"})),
        delta(json!({"content": "nk>hm</thin"})),
        delta(json!({"content": "k>\n\nyes"})),
        finish("stop"),
    ];
    assert_eq!(said(&read_with(&tagged(), &frames, true)), told(&[("reasoning", "hm"), ("text", "yes")]));
    assert_eq!(said(&read(&frames)), told(&[("text", "<think>hm</think>\n\nyes")]));
    // Cut off in the midst of a thought.
    let cut = [frames[1].clone(), frames[2].clone(), finish("length")];
    assert_eq!(said(&read_with(&tagged(), &cut, true)), told(&[("reasoning", "hm</thin")]));
}

#[test]
fn ec_175_what_is_told_apart_already_is_left_alone() {
    let frames = [
        delta(json!({"reasoning_content": "hm"})),
        delta(json!({"content": "<think>no</think>"})),
        finish("stop"),
    ];
    let expected = told(&[("reasoning", "hm"), ("text", "<think>no</think>")]);
    assert_eq!(said(&read_with(&tagged(), &frames, true)), expected);
}

#[test]
fn ec_175_a_call_ends_no_thought_and_begins_no_tag() {
    let call = calls(json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]));
    let frames = [delta(json!({"content": "<think>a</"})), call.clone(), finish("tool_calls")];
    assert_eq!(said(&read_with(&tagged(), &frames, true)), told(&[("reasoning", "a</"), ("call", "f")]));
    let frames = [delta(json!({"content": "<th"})), call, finish("tool_calls")];
    assert_eq!(said(&read_with(&tagged(), &frames, true)), told(&[("text", "<th"), ("call", "f")]));
}

#[test]
fn ec_175_each_answer_has_tags_of_its_own() {
    let of = |index: u32, content: &str| json!({"choices": [{"index": index, "delta": {"content": content}, "finish_reason": null}]});
    let frames = [
        of(0, "<think>a</th"),
        of(1, "plain <think>"),
        of(0, "ink>b"),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"},
            {"index": 1, "delta": {}, "finish_reason": "stop"}]}),
    ];
    let expected = told(&[("reasoning", "a"), ("text", "plain <think>b")]);
    assert_eq!(said(&read_with(&tagged(), &frames, true)), expected);
}
