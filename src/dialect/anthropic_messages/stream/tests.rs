use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    super::ID,
    grammar::{Told, check},
    *,
};
use crate::{
    dialect::{
        ChatEvent, EventDecoder as _, EventEncoder as _, Recall, ReplyContext, SseFrame, TokenUsage,
        WireError,
        canonical::{
            BlockKind, Citation, Delta, Finish, FinishReason, Part, PartKind, ServerStep, StateKind,
            WebResult,
        },
    },
    kernel::{
        error::{ErrorKind, GatewayError},
        id::RequestId,
    },
};

fn context() -> ReplyContext {
    ReplyContext::new(RequestId::new(), "claude-x", 0)
}

fn frame(data: &Value) -> SseFrame {
    SseFrame { event: data["type"].as_str().map(str::to_owned), data: Bytes::from(data.to_string()) }
}

/// Decodes frames to their end.
fn read_with(recall: &Recall, frames: &[Value]) -> Vec<ChatEvent> {
    let mut decoder = MessageDecoder::new(recall);
    let mut events = Vec::new();
    for it in frames {
        decoder.decode(&frame(it), &mut events).unwrap();
    }
    decoder.finish(&mut events).unwrap();
    events
}

fn read(frames: &[Value]) -> Vec<ChatEvent> {
    read_with(&Recall::default(), frames)
}

/// Encodes events to their end and checks what comes out.
fn say(events: &[ChatEvent]) -> Told {
    let mut encoder = MessageEncoder::new(&context());
    let mut out = BytesMut::new();
    for it in events {
        encoder.encode(it, &mut out);
    }
    encoder.finish(&mut out);
    check(&out).unwrap()
}

fn start() -> Value {
    json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
        "model": "claude-y", "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": 25, "cache_read_input_tokens": 5, "output_tokens": 1}}})
}

fn open(index: u32, block: impl Into<Value>) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block.into()})
}

fn delta(index: u32, delta: impl Into<Value>) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta.into()})
}

fn close(index: u32) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn end(reason: &str) -> Vec<Value> {
    vec![
        json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null},
            "usage": {"output_tokens": 15}}),
        json!({"type": "message_stop"}),
    ]
}

fn stream(blocks: Vec<Value>, reason: &str) -> Vec<Value> {
    [vec![start(), json!({"type": "ping"})], blocks, end(reason)].concat()
}

fn finish_of(events: &[ChatEvent]) -> Finish {
    let found = events.iter().find_map(|it| match it {
        ChatEvent::Finish { finish, .. } => Some(finish.clone()),
        _ => None,
    });
    found.unwrap()
}

fn usage_of(events: &[ChatEvent]) -> TokenUsage {
    let mut all = TokenUsage::default();
    for it in events {
        if let ChatEvent::Usage(usage) = it {
            all.merge(usage);
        }
    }
    all
}

fn begin() -> ChatEvent {
    ChatEvent::Start { id: Some("chatcmpl-1".into()), model: None, created: None }
}

fn block(key: u32, kind: BlockKind) -> ChatEvent {
    ChatEvent::block(0, key, kind)
}

fn tool(key: u32, name: &str) -> ChatEvent {
    block(
        key,
        BlockKind::ToolCall { id: format!("call_{key}"), name: name.into(), custom: false, state: None },
    )
}

fn text(key: u32, text: &str) -> ChatEvent {
    ChatEvent::Delta { block: key, delta: Delta::Text(text.into()) }
}

fn arguments(key: u32, text: &str) -> ChatEvent {
    ChatEvent::Delta { block: key, delta: Delta::Arguments(text.into()) }
}

fn done(key: u32) -> ChatEvent {
    ChatEvent::BlockEnd { block: key }
}

fn finished(reason: FinishReason) -> ChatEvent {
    ChatEvent::Finish { choice: 0, finish: Finish::new(reason) }
}

#[test]
fn ec_127_a_call_without_a_name_is_dropped_and_no_reason_to_stop() {
    let events = read(&stream(
        vec![
            open(0, json!({"type": "tool_use", "id": "toolu_1", "input": {}})),
            delta(0, json!({"type": "input_json_delta", "partial_json": "{}"})),
            close(0),
        ],
        "tool_use",
    ));
    assert!(!events.iter().any(|it| matches!(it, ChatEvent::BlockStart { .. })), "{events:?}");
    assert_eq!(finish_of(&events).reason, FinishReason::Stop);
}

#[test]
fn a_stream_comes_out_as_it_came_in() {
    let frames = stream(
        vec![
            open(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
            delta(0, json!({"type": "thinking_delta", "thinking": "Hm."})),
            delta(0, json!({"type": "signature_delta", "signature": "EqQB=="})),
            close(0),
            open(1, json!({"type": "redacted_thinking", "data": "abc"})),
            close(1),
            open(2, json!({"type": "text", "text": ""})),
            delta(2, json!({"type": "text_delta", "text": "Let me "})),
            delta(2, json!({"type": "text_delta", "text": "look."})),
            close(2),
            open(
                3,
                json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}),
            ),
            delta(3, json!({"type": "input_json_delta", "partial_json": "{\"query\":"})),
            delta(3, json!({"type": "input_json_delta", "partial_json": "\"x\"}"})),
            close(3),
            open(4, json!({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []})),
            close(4),
            open(5, json!({"type": "tool_use", "id": "toolu_1", "name": "read", "input": {}})),
            delta(5, json!({"type": "input_json_delta", "partial_json": ""})),
            delta(5, json!({"type": "input_json_delta", "partial_json": "{\"n\":1.0}"})),
            close(5),
        ],
        "tool_use",
    );
    let told = say(&read(&frames));
    assert_eq!(
        Value::Array(told.content),
        json!([
            {"type": "thinking", "thinking": "Hm.", "signature": "EqQB=="},
            {"type": "redacted_thinking", "data": "abc"},
            {"type": "text", "text": "Let me look."},
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
            {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
            {"type": "tool_use", "id": "toolu_1", "name": "read",
                "input": serde_json::from_str::<Value>("{\"n\":1.0}").unwrap()},
        ])
    );
    assert_eq!(told.start["message"]["id"], "msg_1");
    assert_eq!(told.start["message"]["usage"]["input_tokens"], 25);
    assert_eq!(told.end["delta"], json!({"stop_reason": "tool_use", "stop_sequence": null}));
}

#[test]
fn ec_003_ec_004_blocks_follow_one_another_and_every_event_is_named() {
    // The grammar checks names, order and indices.
    let told = say(&[
        begin(),
        block(7, BlockKind::Text),
        text(7, "a"),
        done(7),
        tool(9, "f"),
        arguments(9, "{}"),
        done(9),
        block(11, BlockKind::Text),
        text(11, "b"),
        done(11),
        finished(FinishReason::ToolCalls),
        ChatEvent::End,
    ]);
    assert_eq!(told.content.len(), 3);
}

#[test]
fn ec_016_the_true_usage_comes_at_the_end() {
    let usage = TokenUsage {
        input: Some(7),
        cache_read: Some(100),
        cache_write_other: Some(3),
        output: Some(5),
        ..TokenUsage::default()
    };
    let told = say(&[
        begin(),
        block(0, BlockKind::Text),
        text(0, "a"),
        done(0),
        finished(FinishReason::Stop),
        ChatEvent::Usage(usage),
        ChatEvent::End,
    ]);
    assert_eq!(told.start["message"]["usage"]["input_tokens"], 0);
    assert_eq!(
        told.end["usage"],
        json!({"input_tokens": 7, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 100, "output_tokens": 5})
    );
    assert!(told.start["message"]["id"].as_str().unwrap().starts_with("msg_"));
}

#[test]
fn ec_023_empty_blocks_are_not_opened() {
    let events = [begin(), block(0, BlockKind::Text), text(0, ""), done(0), finished(FinishReason::Stop)];
    let told = say(&events);
    assert!(told.content.is_empty());
    assert_eq!(told.end["delta"]["stop_reason"], "end_turn");
}

#[test]
fn ec_036_an_error_after_the_start_ends_the_stream() {
    let mut events = read(&[
        start(),
        open(0, json!({"type": "text", "text": ""})),
        delta(0, json!({"type": "text_delta", "text": "a"})),
        json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
        json!({"type": "message_stop"}),
    ]);
    assert_eq!(events.pop(), Some(ChatEvent::End));
    assert!(matches!(events.last(), Some(ChatEvent::Error(WireError { kind: ErrorKind::Overloaded, .. }))));
    let told = say(&events);
    assert_eq!(told.error.unwrap()["error"], json!({"type": "overloaded_error", "message": "Overloaded"}));
}

#[test]
fn ec_037_an_end_that_was_not_said_is_an_error() {
    for frames in [
        vec![],
        vec![start()],
        vec![start(), open(0, json!({"type": "text", "text": "a"})), close(0)],
        vec![start(), open(0, json!({"type": "text", "text": "a"})), end("end_turn").remove(0)],
    ] {
        let events = read(&frames);
        let [.., ChatEvent::Error(error), ChatEvent::End] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(error.kind, ErrorKind::Truncated);
        assert!(say(&events).error.is_some());
    }
}

#[test]
fn a_clone_that_forgets_only_the_last_event_is_forgiven() {
    let events =
        read(&[start(), open(0, json!({"type": "text", "text": "a"})), close(0), end("end_turn").remove(0)]);
    assert_eq!(events.last(), Some(&ChatEvent::End));
    assert_eq!(finish_of(&events).reason, FinishReason::Stop);
}

#[test]
fn ec_041_a_call_without_arguments_says_an_empty_object() {
    let told = say(&[begin(), tool(0, "f"), done(0), finished(FinishReason::ToolCalls)]);
    assert_eq!(told.content[0]["input"], json!({}));
}

#[test]
fn ec_121_thinking_in_a_text_block_gets_its_own() {
    let frames = stream(
        vec![
            open(0, json!({"type": "text", "text": ""})),
            delta(0, json!({"type": "text_delta", "text": "a"})),
            delta(0, json!({"type": "thinking_delta", "thinking": "b"})),
            close(0),
        ],
        "end_turn",
    );
    let told = say(&read(&frames));
    assert_eq!(
        Value::Array(told.content),
        json!([{"type": "text", "text": "a"}, {"type": "thinking", "thinking": "b", "signature": ""}])
    );
}

#[test]
fn ec_127_a_call_without_a_name_is_left_out() {
    let told = say(&[begin(), tool(0, ""), arguments(0, "{}"), done(0), finished(FinishReason::ToolCalls)]);
    assert!(told.content.is_empty());
    assert_eq!(told.end["delta"]["stop_reason"], "end_turn");
}

#[test]
fn ec_129_usage_is_merged_over_start_and_end() {
    let usage = usage_of(&read(&stream(Vec::new(), "end_turn")));
    assert_eq!((usage.input, usage.cache_read, usage.output), (Some(25), Some(5), Some(15)));
}

#[test]
fn ec_141_broken_arguments_are_passed_on() {
    let told =
        say(&[begin(), tool(0, "f"), arguments(0, "{\"a\":"), done(0), finished(FinishReason::Length)]);
    assert_eq!(told.content[0]["input"], "{\"a\":");
    assert_eq!(told.end["delta"]["stop_reason"], "max_tokens");
}

#[test]
fn ec_208_clones_that_leave_things_out_are_read() {
    let events = read(&[
        json!({"type": "message_start", "message": {}}),
        open(0, json!({"type": "thinking", "thinking": "Hm."})),
        close(0),
        open(1, json!({"type": "tool_use", "name": "f", "input": {"a": 1}})),
        close(1),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
        json!({"type": "message_stop"}),
    ]);
    let told = say(&events);
    assert_eq!(told.content[0], json!({"type": "thinking", "thinking": "Hm.", "signature": ""}));
    assert_eq!(told.content[1]["input"], json!({"a": 1}));
    assert!(told.content[1]["id"].as_str().unwrap().starts_with("toolu_"));
    assert_eq!(told.end["delta"]["stop_reason"], "tool_use");
    assert_eq!(told.end["usage"]["output_tokens"], 0);
}

#[test]
fn input_that_comes_twice_counts_once() {
    let frames = stream(
        vec![
            open(0, json!({"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}})),
            delta(0, json!({"type": "input_json_delta", "partial_json": "{\"a\":1}"})),
            close(0),
        ],
        "tool_use",
    );
    assert_eq!(say(&read(&frames)).content[0]["input"], json!({"a": 1}));
}

#[test]
fn ec_209_an_openai_error_in_the_stream_is_an_error() {
    let mut decoder = MessageDecoder::new(&Recall::default());
    let mut events = Vec::new();
    let data = Bytes::from_static(br#"{"error":{"message":"slow down","type":"rate_limit_error"}}"#);
    decoder.decode(&SseFrame { event: None, data }, &mut events).unwrap();
    let [ChatEvent::Start { .. }, ChatEvent::Error(error), ChatEvent::End] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::RateLimited, "slow down"));
}

#[test]
fn names_custom_tools_and_emulated_output_are_recalled() {
    let recall = Recall {
        names: [("a_b".to_owned(), "a.b".to_owned()), ("p_q".to_owned(), "p.q".to_owned())].into(),
        json_tool: Some("respond_with_json".into()),
        custom_tools: ["p_q".to_owned()].into(),
        ..Recall::default()
    };
    let call = |index: u32, name: &str, json: &str| {
        vec![
            open(index, json!({"type": "tool_use", "id": "t", "name": name, "input": {}})),
            delta(index, json!({"type": "input_json_delta", "partial_json": json})),
            close(index),
        ]
    };
    let frames = stream(
        [
            call(0, "a_b", "{}"),
            call(1, "p_q", "{\"input\":\"x\\ny\"}"),
            call(2, "respond_with_json", "{\"z\":1}"),
        ]
        .concat(),
        "tool_use",
    );
    let events = read_with(&recall, &frames);
    let kinds: Vec<&BlockKind> = events
        .iter()
        .filter_map(|it| match it {
            ChatEvent::BlockStart { kind, .. } => Some(kind),
            _ => None,
        })
        .collect();
    assert!(matches!(kinds[0], BlockKind::ToolCall { name, custom: false, .. } if name == "a.b"));
    assert!(matches!(kinds[1], BlockKind::ToolCall { name, custom: true, .. } if name == "p.q"));
    assert_eq!(kinds[2], &BlockKind::Text);
    assert!(events.contains(&arguments(1, "x\ny")));
    assert!(events.contains(&text(2, "{\"z\":1}")));
}

#[test]
fn emulated_output_alone_ends_as_text_does() {
    let recall = Recall { json_tool: Some("j".into()), ..Recall::default() };
    let frames = stream(
        vec![open(0, json!({"type": "tool_use", "id": "t", "name": "j", "input": {"a": 1}})), close(0)],
        "tool_use",
    );
    let events = read_with(&recall, &frames);
    assert_eq!(finish_of(&events).reason, FinishReason::Stop);
    assert_eq!(say(&events).content[0], json!({"type": "text", "text": "{\"a\":1}"}));
}

#[test]
fn blocks_of_unknown_types_pass_whole() {
    let frames = stream(
        vec![
            open(0, json!({"type": "compaction", "content": ""})),
            delta(0, json!({"type": "compaction_delta", "content": "short"})),
            close(0),
        ],
        "compaction",
    );
    let told = say(&read(&frames));
    assert_eq!(told.content[0], json!({"type": "compaction", "content": "short"}));
    assert_eq!(told.end["delta"]["stop_reason"], "compaction");
}

#[test]
fn a_refusal_is_text_with_its_reason() {
    let delta = ChatEvent::Delta { block: 0, delta: Delta::Refusal("I will not.".into()) };
    let told = say(&[begin(), block(0, BlockKind::Refusal), delta, done(0), finished(FinishReason::Stop)]);
    assert_eq!(told.content[0], json!({"type": "text", "text": "I will not."}));
    assert_eq!(told.end["delta"]["stop_reason"], "refusal");
}

#[test]
fn an_abort_says_the_error_and_nothing_more() {
    let mut encoder = MessageEncoder::new(&context());
    let mut out = BytesMut::new();
    encoder.abort(&GatewayError::new(ErrorKind::Timeout, "too slow"), &mut out);
    encoder.finish(&mut out);
    encoder.encode(&begin(), &mut out);
    assert_eq!(check(&out).unwrap().error.unwrap()["error"]["type"], "timeout_error");
}

fn any_part() -> impl Strategy<Value = Part> {
    prop_oneof![
        Just(Part::text("whole")),
        Just(Part::new(PartKind::Opaque { dialect: ID, raw: json!({"type": "new", "a": 1}) })),
        Just(Part::new(PartKind::ServerTool {
            dialect: ID,
            raw: json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": "x"}}),
            step: None,
        })),
        Just(Part::new(PartKind::Reasoning { text: "t".into(), state: None })),
    ]
}

fn any_kind() -> impl Strategy<Value = BlockKind> {
    let tool = ("[a-z]{0,3}", "[a-z]{0,3}", any::<bool>())
        .prop_map(|(id, name, custom)| BlockKind::ToolCall { id, name, custom, state: None });
    prop_oneof![
        Just(BlockKind::Text),
        Just(BlockKind::Reasoning),
        Just(BlockKind::Refusal),
        tool,
        any_part().prop_map(|it| BlockKind::Whole(Box::new(it))),
    ]
}

fn any_delta() -> impl Strategy<Value = Delta> {
    let text = "[a-z\"\u{2028}{}]{0,4}";
    prop_oneof![
        text.prop_map(Delta::Text),
        text.prop_map(Delta::Reasoning),
        text.prop_map(Delta::Arguments),
        text.prop_map(Delta::Refusal),
        Just(Delta::Citation(Citation::plain(ID, json!({"type": "char_location"})))),
        (any::<bool>(), "[a-z]{0,3}").prop_map(|(signed, data)| {
            Delta::State { kind: if signed { StateKind::Signature } else { StateKind::Redacted }, data }
        }),
    ]
}

fn any_event() -> impl Strategy<Value = ChatEvent> {
    let reasons = prop::sample::select(vec![
        FinishReason::Stop,
        FinishReason::StopSequence,
        FinishReason::Length,
        FinishReason::ToolCalls,
        FinishReason::Other,
    ]);
    prop_oneof![
        1 => Just(begin()),
        4 => (0..2_u32, 0..6_u32, any_kind())
            .prop_map(|(choice, block, kind)| ChatEvent::block(choice, block, kind)),
        8 => (0..6_u32, any_delta()).prop_map(|(block, delta)| ChatEvent::Delta { block, delta }),
        4 => (0..6_u32).prop_map(done),
        1 => any::<u32>().prop_map(|it| ChatEvent::Usage(TokenUsage { input: Some(it.into()), ..TokenUsage::default() })),
        1 => (0..2_u32, reasons).prop_map(|(choice, reason)| ChatEvent::Finish { choice, finish: Finish::new(reason) }),
        1 => Just(ChatEvent::End),
    ]
}

/// A frame that is nearly right, or not at all.
fn any_frame() -> impl Strategy<Value = Value> {
    let kinds = prop::sample::select(vec![
        "text",
        "thinking",
        "redacted_thinking",
        "tool_use",
        "server_tool_use",
        "odd",
        "text_delta",
        "thinking_delta",
        "input_json_delta",
        "signature_delta",
        "citations_delta",
    ]);
    let body = (kinds, "[a-z{}]{0,3}").prop_map(|(kind, text)| {
        json!({"type": kind, "text": text, "thinking": text, "partial_json": text, "signature": text,
            "data": text, "id": text, "name": text, "input": {"a": text}, "citation": {"b": 1}})
    });
    let events = prop::sample::select(vec![
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "ping",
        "later",
    ]);
    (events, prop::option::of(0..4_u32), body, any::<bool>()).prop_map(|(event, index, body, odd)| {
        json!({"type": event, "index": index, "content_block": body, "delta": if odd { json!(1) } else { body.clone() },
            "message": if odd { json!("x") } else { json!({"usage": {"input_tokens": 1}}) }, "usage": {"output_tokens": 2}})
    })
}

proptest! {
    #[test]
    fn whatever_the_events_the_grammar_holds(events in prop::collection::vec(any_event(), 0..40)) {
        let mut encoder = MessageEncoder::new(&context());
        let mut out = BytesMut::new();
        for it in &events {
            encoder.encode(it, &mut out);
        }
        encoder.finish(&mut out);
        encoder.abort(&GatewayError::new(ErrorKind::Internal, "late"), &mut out);
        if let Err(fault) = check(&out) {
            return Err(TestCaseError::fail(format!("{fault}\n{}", String::from_utf8_lossy(&out))));
        }
    }

    #[test]
    fn whatever_the_frames_the_events_keep_their_laws(frames in prop::collection::vec(any_frame(), 0..40)) {
        let events = read(&frames);
        let mut open = Vec::new();
        let mut used = std::collections::HashSet::new();
        let begins = matches!(events.first(), Some(ChatEvent::Start { .. }));
        prop_assert!(begins);
        prop_assert_eq!(events.last(), Some(&ChatEvent::End));
        for (at, it) in events.iter().enumerate() {
            match it {
                ChatEvent::Start { .. } => prop_assert_eq!(at, 0),
                ChatEvent::BlockStart { block, kind, .. } => {
                    prop_assert!(used.insert(*block));
                    let tool = matches!(kind, BlockKind::ToolCall { .. });
                    prop_assert!(open.iter().all(|(_, it)| *it && tool));
                    open.push((*block, tool));
                }
                ChatEvent::Delta { block, .. } => prop_assert!(open.iter().any(|(it, _)| it == block)),
                ChatEvent::BlockEnd { block } => {
                    prop_assert!(open.iter().any(|(it, _)| it == block));
                    open.retain(|(it, _)| it != block);
                }
                ChatEvent::Finish { .. } => prop_assert!(open.is_empty()),
                ChatEvent::Error(_) => prop_assert_eq!(at, events.len() - 2),
                ChatEvent::Usage(_) => {}
                ChatEvent::End => prop_assert_eq!(at, events.len() - 1),
            }
        }
        say(&events);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(data in prop::collection::vec(any::<u8>(), 0..60), event in "[a-z_]{0,8}") {
        let mut decoder = MessageDecoder::new(&Recall::default());
        let mut events = Vec::new();
        let _ = decoder.decode(&SseFrame { event: Some(event), data: data.into() }, &mut events);
        prop_assert!(decoder.finish(&mut events).is_ok());
    }
}

fn searched(key: u32) -> [ChatEvent; 4] {
    let dialect = crate::dialect::DialectId::OpenaiResponses;
    let step =
        |step| Box::new(Part::new(PartKind::ServerTool { dialect, raw: Value::Null, step: Some(step) }));
    let results = vec![WebResult { url: "https://a.example".into(), title: None }];
    [
        block(
            key,
            BlockKind::Whole(step(ServerStep::WebSearch { id: "ws_1".into(), queries: vec!["q".into()] })),
        ),
        done(key),
        block(
            key + 1,
            BlockKind::Whole(step(ServerStep::WebSearchResults { call_id: "ws_1".into(), results })),
        ),
        done(key + 1),
    ]
}

#[test]
fn ec_115_a_search_of_another_provider_is_told_in_blocks_and_cited() {
    let mut events = vec![begin()];
    events.extend(searched(0));
    let cited = Citation {
        url: Some("https://a.example".into()),
        title: Some("A".into()),
        span: Some(0..2),
        ..Citation::plain(crate::dialect::DialectId::OpenaiResponses, Value::Null)
    };
    events.extend([
        block(2, BlockKind::Text),
        text(2, "Yes, it is."),
        ChatEvent::Delta { block: 2, delta: Delta::Citation(cited) },
        done(2),
        finished(FinishReason::Stop),
        ChatEvent::End,
    ]);
    let told = say(&events);
    let kinds: Vec<&Value> = told.content.iter().map(|it| &it["type"]).collect();
    assert_eq!(kinds, ["server_tool_use", "web_search_tool_result", "text"]);
    assert_eq!(told.content[0]["id"], told.content[1]["tool_use_id"]);
    let mut encoder = MessageEncoder::new(&context());
    let mut out = BytesMut::new();
    for event in &events {
        encoder.encode(event, &mut out);
    }
    assert!(String::from_utf8_lossy(&out).contains(r#""cited_text":"Ye""#));
    assert_eq!(told.end["delta"]["stop_reason"], "end_turn");
}

#[test]
fn ec_116_a_search_beside_a_call_of_the_clients_tool_stops_for_the_call() {
    let mut events = vec![begin()];
    events.extend(searched(0));
    events.extend([
        tool(2, "read"),
        arguments(2, "{}"),
        done(2),
        finished(FinishReason::ToolCalls),
        ChatEvent::End,
    ]);
    assert_eq!(say(&events).end["delta"]["stop_reason"], "tool_use");
}
