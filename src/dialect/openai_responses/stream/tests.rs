use std::collections::HashMap;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    dialect::{
        ChatEvent, ChatResponse, ClientCodec, DialectId, Recall, ReplyContext, ServerCodec, SseFrame,
        TokenUsage, WireError,
        canonical::{
            Arguments, BlockKind, Choice, Delta, Extra, Finish, FinishReason, OpaqueState, Part, PartKind,
            ServerStep, StateKind, ToolCall, WebResult,
        },
        collect::{Collector, unfold},
        framing::sse::SseDecoder,
        openai_responses::{OPENAI_RESPONSES, response_id},
    },
    kernel::{
        error::{ErrorKind, GatewayError},
        id::RequestId,
    },
};

fn context() -> ReplyContext {
    ReplyContext::new(RequestId::declared("r"), "asked", 7)
}

/// Reads events given as JSON; each is named by its `type`.
fn read_with(events: &[Value], recall: &Recall) -> Vec<ChatEvent> {
    let mut decoder = OPENAI_RESPONSES.event_decoder(recall);
    let mut out = Vec::new();
    for event in events {
        let kind = event["type"].as_str().map(str::to_owned);
        let frame = SseFrame { event: kind, data: Bytes::from(event.to_string()) };
        decoder.decode(&frame, &mut out).unwrap();
    }
    decoder.finish(&mut out).unwrap();
    out
}

fn read(events: &[Value]) -> Vec<ChatEvent> {
    read_with(events, &Recall::default())
}

fn collected(events: Vec<ChatEvent>) -> Result<ChatResponse, WireError> {
    let mut collector = Collector::new();
    for event in events {
        collector.push(event);
    }
    collector.finish()
}

fn parts(events: &[Value]) -> Vec<Part> {
    collected(read(events)).unwrap().choices.remove(0).parts
}

/// The parts without what only this dialect says of them.
fn bare_parts(events: &[Value]) -> Vec<Part> {
    let mut parts = parts(events);
    for part in &mut parts {
        part.extra = Extra::default();
    }
    parts
}

fn reason(events: &[Value]) -> FinishReason {
    collected(read(events)).unwrap().choices[0].finish.reason
}

fn created() -> Value {
    json!({"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "output": []}})
}

fn completed(output: &Value) -> Value {
    json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": output}})
}

fn added(place: u32, item: &Value) -> Value {
    json!({"type": "response.output_item.added", "output_index": place, "item": item})
}

fn done(place: u32, item: &Value) -> Value {
    json!({"type": "response.output_item.done", "output_index": place, "item": item})
}

fn function(name: &str, arguments: &str) -> Value {
    json!({"type": "function_call", "id": "fc_1", "call_id": "c1", "name": name, "arguments": arguments})
}

fn arguments(place: u32, text: &str) -> Value {
    json!({"type": "response.function_call_arguments.delta", "output_index": place, "delta": text})
}

fn summary(part: u32, text: &str) -> Value {
    json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": part, "delta": text})
}

fn said(text: &str) -> Value {
    json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": text})
}

fn message(text: &str) -> Value {
    json!({"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": text}]})
}

fn call_of(part: &Part) -> &ToolCall {
    match &part.kind {
        PartKind::ToolCall(call) => call,
        other => panic!("{other:?}"),
    }
}

#[test]
fn ec_039_what_is_done_is_not_told_twice() {
    let all = "{\"a\":1}";
    let events = [
        created(),
        added(0, &function("f", "")),
        arguments(0, "{\"a\""),
        json!({"type": "response.function_call_arguments.done", "output_index": 0, "arguments": all}),
        done(0, &function("f", all)),
        completed(&json!([function("f", all)])),
    ];
    let deltas = read(&events).into_iter().filter_map(|it| match it {
        ChatEvent::Delta { delta: Delta::Arguments(text), .. } => Some(text),
        _ => None,
    });
    assert_eq!(deltas.collect::<Vec<_>>(), ["{\"a\"", ":1}"]);
}

#[test]
fn ec_039_a_call_whose_arguments_came_with_its_beginning_has_them_once() {
    let whole = function("f", "{\"a\":1}");
    let repeated = [created(), added(0, &whole), arguments(0, "{\"a\":1}"), completed(&json!([whole]))];
    assert_eq!(call_of(&parts(&repeated)[0]).arguments.0, "{\"a\":1}");
    let alone = [created(), added(0, &whole), completed(&json!([]))];
    assert_eq!(call_of(&parts(&alone)[0]).arguments.0, "{\"a\":1}");
}

#[test]
fn ec_040_calls_told_at_once_come_one_after_another() {
    let second =
        json!({"type": "function_call", "id": "fc_2", "call_id": "c2", "name": "g", "arguments": ""});
    let events = read(&[
        created(),
        added(0, &function("f", "")),
        added(1, &second),
        arguments(1, "[1"),
        arguments(0, "{}"),
        arguments(1, "]"),
        completed(&json!([])),
    ]);
    let mut open = 0;
    for event in &events {
        match event {
            ChatEvent::BlockStart { .. } => open += 1,
            ChatEvent::BlockEnd { .. } => open -= 1,
            _ => {}
        }
        assert!(open <= 1, "{events:?}");
    }
    let parts = collected(events).unwrap().choices.remove(0).parts;
    assert_eq!([&call_of(&parts[0]).name, &call_of(&parts[1]).name], ["f", "g"]);
    assert_eq!(call_of(&parts[1]).arguments.0, "[1]");
}

#[test]
fn ec_122_parts_of_a_summary_are_one_block() {
    let item = json!({"type": "reasoning", "id": "rs_1", "encrypted_content": "e",
        "summary": [{"type": "summary_text", "text": "ab"}, {"type": "summary_text", "text": "c"}]});
    let begun = json!({"type": "reasoning", "id": "rs_1", "summary": []});
    let events = [
        created(),
        added(0, &begun),
        summary(0, "a"),
        summary(0, "b"),
        summary(1, "c"),
        done(0, &item),
        completed(&json!([item])),
    ];
    let state =
        OpaqueState { dialect: DialectId::OpenaiResponses, kind: StateKind::Encrypted, data: "e".into() };
    let expected = PartKind::Reasoning { text: "ab\n\nc".into(), state: Some(state) };
    assert_eq!(parts(&events).remove(0).kind, expected);
    let without_deltas = [created(), added(0, &begun), done(0, &item), completed(&json!([]))];
    assert_eq!(parts(&without_deltas).remove(0).kind, expected);
}

#[test]
fn ec_123_the_state_of_thoughts_is_the_one_they_are_done_with() {
    let with =
        |state: &str| json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": state});
    let states = |events: &[Value]| -> Vec<String> {
        let states = read(events).into_iter().filter_map(|it| match it {
            ChatEvent::Delta { delta: Delta::State { data, .. }, .. } => Some(data),
            _ => None,
        });
        states.collect()
    };
    let end = completed(&json!([]));
    assert_eq!(
        states(&[created(), added(0, &with("early")), done(0, &with("final")), end.clone()]),
        ["final"]
    );
    assert_eq!(states(&[created(), added(0, &with("early")), end]), ["early"]);
}

#[test]
fn ec_124_thoughts_without_a_summary_are_a_block_with_their_state() {
    let item = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "e"});
    let read = parts(&[created(), added(0, &item), done(0, &item), completed(&json!([item]))]);
    assert!(matches!(&read[0].kind, PartKind::Reasoning { text, state: Some(_) } if text.is_empty()));
}

#[test]
fn ec_125_calls_that_only_the_end_tells_are_told() {
    let events = [created(), completed(&json!([message("hi"), function("f", "{}")]))];
    let read = parts(&events);
    assert_eq!((read[0].as_text(), call_of(&read[1]).name.as_str()), (Some("hi"), "f"));
    assert_eq!(reason(&events), FinishReason::ToolCalls);
}

#[test]
fn ec_126_a_text_that_only_its_item_tells_is_told() {
    let events = [created(), done(0, &message("hi")), completed(&json!([]))];
    assert_eq!(bare_parts(&events), [Part::text("hi")]);
}

#[test]
fn ec_127_a_call_that_never_gets_a_name_is_none() {
    let events = [created(), added(0, &function("", "")), arguments(0, "{}"), completed(&json!([]))];
    assert!(parts(&events).is_empty());
    assert_eq!(reason(&events), FinishReason::Stop);
}

#[test]
fn a_call_whose_name_comes_late_is_told_then() {
    let events = [
        created(),
        added(0, &function("", "")),
        arguments(0, "{"),
        done(0, &function("f", "{}")),
        completed(&json!([])),
    ];
    let read = parts(&events);
    assert_eq!((call_of(&read[0]).name.as_str(), call_of(&read[0]).arguments.0.as_str()), ("f", "{}"));
}

#[test]
fn items_that_were_never_announced_are_told() {
    let events = [created(), said("a"), said("b"), completed(&json!([message("abc")]))];
    assert_eq!(parts(&events), [Part::text("abc")]);
}

#[test]
fn ids_that_change_from_event_to_event_are_borne() {
    let item = |id: &str, text: &str| json!({"type": "message", "id": id, "role": "assistant", "content": [{"type": "output_text", "text": text}]});
    let events = [
        created(),
        added(0, &json!({"type": "message", "id": "x1", "content": []})),
        said("hi"),
        done(0, &item("x2", "hi")),
        completed(&json!([item("x3", "hi")])),
    ];
    assert_eq!(bare_parts(&events), [Part::text("hi")]);
}

#[test]
fn ec_171_events_of_unknown_types_are_passed_over() {
    let events = [
        created(),
        json!({"type": "acme:trace", "x": 1}),
        json!({"type": "keepalive"}),
        said("a"),
        completed(&json!([])),
    ];
    assert_eq!(parts(&events), [Part::text("a")]);
}

#[test]
fn ec_037_an_end_that_was_not_said_is_none() {
    for events in [vec![created(), said("a")], vec![], vec![json!({"type": "response.completed"})]] {
        assert_eq!(collected(read(&events)).unwrap_err().kind, ErrorKind::Truncated);
    }
}

#[test]
fn ec_036_every_form_of_failure_is_an_error() {
    for (event, kind) in [
        (
            json!({"type": "error", "code": "server_is_overloaded", "message": "m", "param": null}),
            ErrorKind::Overloaded,
        ),
        (
            json!({"type": "error", "error": {"code": "insufficient_quota", "message": "m"}}),
            ErrorKind::QuotaExhausted,
        ),
        (json!({"error": {"code": "context_length_exceeded", "message": "m"}}), ErrorKind::ContextTooLong),
        (
            json!({"type": "response.failed", "response": {"status": "failed", "error": {"code": "server_error", "message": "m"}}}),
            ErrorKind::UpstreamFailed,
        ),
        (
            json!({"type": "response.completed", "response": {"status": "failed", "output": []}}),
            ErrorKind::UpstreamFailed,
        ),
    ] {
        let events = read(&[created(), said("a"), event.clone(), completed(&json!([]))]);
        assert!(matches!(&events[events.len() - 2..], [ChatEvent::Error(_), ChatEvent::End]), "{event}");
        assert_eq!(collected(events).unwrap_err().kind, kind, "{event}");
    }
}

#[test]
fn ec_138_a_refusal_is_read_from_its_deltas() {
    let refused =
        json!({"type": "response.refusal.delta", "output_index": 0, "content_index": 0, "delta": "no"});
    let events = [created(), refused, completed(&json!([]))];
    assert_eq!(reason(&events), FinishReason::Refusal);
    assert!(matches!(&parts(&events)[0].kind, PartKind::Refusal { text } if text == "no"));
}

#[test]
fn names_are_recalled_in_streams() {
    let recall = Recall {
        names: HashMap::from([("a_b".to_owned(), "a.b".to_owned())]),
        custom_tools: ["patch".to_owned()].into(),
        json_tool: Some("answer".to_owned()),
        ..Recall::default()
    };
    let item =
        |name: &str, id: &str| json!({"type": "function_call", "call_id": id, "name": name, "arguments": ""});
    let events = read_with(
        &[
            created(),
            added(0, &item("a_b", "1")),
            added(1, &item("patch", "1")),
            arguments(1, "{\"input\":"),
            arguments(1, "\"x\"}"),
            added(2, &item("answer", "3")),
            arguments(2, "{\"n\":1}"),
            completed(&json!([])),
        ],
        &recall,
    );
    let parts = collected(events).unwrap().choices.remove(0).parts;
    assert_eq!((call_of(&parts[0]).name.as_str(), call_of(&parts[0]).arguments.0.as_str()), ("a.b", "{}"));
    let patch = call_of(&parts[1]);
    assert!(patch.custom && patch.arguments.0 == "x" && patch.id != call_of(&parts[0]).id, "{patch:?}");
    assert_eq!(parts[2].as_text(), Some("{\"n\":1}"));
}

// Written.

fn written_with(events: &[ChatEvent], error: Option<&GatewayError>) -> Vec<Value> {
    let mut encoder = OPENAI_RESPONSES.event_encoder(&context());
    let mut out = BytesMut::new();
    for event in events {
        encoder.encode(event, &mut out);
    }
    match error {
        Some(error) => encoder.abort(error, &mut out),
        None => encoder.finish(&mut out),
    }
    let mut frames = Vec::new();
    SseDecoder::new(1 << 20).push(out.freeze(), &mut frames).unwrap();
    assert_eq!(frames.pop().unwrap().data, "[DONE]");
    let frames: Vec<Value> = frames
        .iter()
        .map(|it| {
            let data: Value = serde_json::from_slice(&it.data).unwrap();
            assert_eq!(it.event.as_deref(), data["type"].as_str());
            data
        })
        .collect();
    for (number, event) in (0_u64..).zip(&frames) {
        assert_eq!(event["sequence_number"], number);
    }
    frames
}

fn written(answer: ChatResponse) -> Vec<Value> {
    written_with(&unfold(answer), None)
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|it| it["type"].as_str().unwrap()).collect()
}

fn answer(parts: Vec<Part>, reason: FinishReason) -> ChatResponse {
    let choice = Choice { index: 0, parts, finish: Finish::new(reason), extra: Extra::default() };
    ChatResponse { choices: vec![choice], ..ChatResponse::default() }
}

fn call(id: &str, custom: bool, arguments: &str) -> Part {
    let arguments = Arguments(arguments.to_owned());
    Part::new(PartKind::ToolCall(ToolCall { id: id.to_owned(), name: "f".to_owned(), arguments, custom }))
}

fn thought(text: &str, data: &str) -> Part {
    let state = OpaqueState {
        dialect: DialectId::OpenaiResponses,
        kind: StateKind::Encrypted,
        data: data.to_owned(),
    };
    Part::new(PartKind::Reasoning { text: text.to_owned(), state: Some(state) })
}

#[test]
fn ec_006_a_text_is_announced_before_it_is_told() {
    let events = written(answer(vec![Part::text("hi")], FinishReason::Stop));
    assert_eq!(
        kinds(&events),
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    let id = &events[2]["item"]["id"];
    assert!(events[3..7].iter().all(|it| &it["item_id"] == id && it["output_index"] == 0));
    assert_eq!(
        (&events[2]["item"]["status"], &events[7]["item"]["status"]),
        (&json!("in_progress"), &json!("completed"))
    );
}

#[test]
fn ec_007_the_end_has_every_item_as_it_was_done() {
    let events = written(answer(
        vec![thought("hm", "e"), Part::text("a"), call("1", false, "{}")],
        FinishReason::ToolCalls,
    ));
    let done: Vec<&Value> =
        events.iter().filter(|it| it["type"] == "response.output_item.done").map(|it| &it["item"]).collect();
    let last = events.last().unwrap();
    assert_eq!(last["response"]["output"].as_array().unwrap().iter().collect::<Vec<_>>(), done);
    assert_eq!(done.len(), 3);
    assert_eq!(last["response"]["id"], response_id(context().request));
}

#[test]
fn ec_005_there_is_one_end_and_it_is_the_last() {
    let answer = unfold(answer(vec![Part::text("a")], FinishReason::Stop));
    let mut doubled = answer.clone();
    doubled.push(ChatEvent::Finish { choice: 0, finish: Finish::new(FinishReason::Length) });
    let ends = |events: &[Value]| {
        let is_end =
            |it: &&str| matches!(*it, "response.completed" | "response.incomplete" | "response.failed");
        kinds(events).iter().filter(|it| is_end(it)).count()
    };
    for events in [
        written_with(&answer, None),
        written_with(&doubled, None),
        written_with(&answer[..3], None),
        written_with(&[], None),
    ] {
        assert_eq!(ends(&events), 1);
    }
    let cut = written_with(&answer[..3], None);
    assert_eq!(cut.last().unwrap()["type"], "response.failed", "a finish that was not said is no success");
}

#[test]
fn ec_003_items_come_one_after_another_in_the_order_of_blocks() {
    let events = written(answer(
        vec![Part::text("a"), call("1", false, "{}"), Part::text("b")],
        FinishReason::ToolCalls,
    ));
    let places: Vec<u64> = events
        .iter()
        .filter(|it| it["type"] == "response.output_item.added")
        .map(|it| it["output_index"].as_u64().unwrap())
        .collect();
    assert_eq!(places, [0, 1, 2]);
    assert_eq!(events.last().unwrap()["response"]["output"][2]["content"][0]["text"], "b");
}

#[test]
fn ec_063_a_cut_answer_is_incomplete_and_so_is_its_last_item() {
    let events = written(answer(vec![Part::text("a"), call("1", false, "{\"x\":")], FinishReason::Length));
    let last = events.last().unwrap();
    assert_eq!(
        (&last["type"], &last["response"]["status"]),
        (&json!("response.incomplete"), &json!("incomplete"))
    );
    assert_eq!(last["response"]["incomplete_details"], json!({"reason": "max_output_tokens"}));
    let statuses: Vec<&Value> = events
        .iter()
        .filter(|it| it["type"] == "response.output_item.done")
        .map(|it| &it["item"]["status"])
        .collect();
    assert_eq!(statuses, ["completed", "incomplete"]);
}

#[test]
fn ec_008_a_custom_tool_is_told_in_its_own_events() {
    let events = written(answer(vec![call("1", true, "*** Begin \"x\"")], FinishReason::ToolCalls));
    assert_eq!(
        kinds(&events)[2..6],
        [
            "response.output_item.added",
            "response.custom_tool_call_input.delta",
            "response.custom_tool_call_input.done",
            "response.output_item.done",
        ]
    );
    assert_eq!(
        (&events[3]["delta"], &events[4]["input"]),
        (&json!("*** Begin \"x\""), &json!("*** Begin \"x\""))
    );
    assert!(events[2]["item"]["id"].as_str().unwrap().starts_with("ctc_"));
}

#[test]
fn ec_024_thoughts_are_a_summary_and_never_text() {
    let events = written(answer(vec![thought("hm", "e")], FinishReason::Stop));
    assert_eq!(
        kinds(&events)[2..7],
        [
            "response.output_item.added",
            "response.reasoning_summary_part.added",
            "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.done",
            "response.reasoning_summary_part.done",
        ]
    );
    let done = &events[7]["item"];
    assert_eq!((&done["encrypted_content"], &done["summary"][0]["text"]), (&json!("e"), &json!("hm")));
    assert_eq!(events[2]["item"]["encrypted_content"], Value::Null);
}

#[test]
fn ec_064_hidden_parts_leave_no_gap() {
    let hidden =
        Part::new(PartKind::Opaque { dialect: DialectId::AnthropicMessages, raw: json!({"type": "x"}) });
    let events = written(answer(
        vec![hidden.clone(), Part::text("a"), hidden, call("1", false, "{}")],
        FinishReason::ToolCalls,
    ));
    let places: Vec<&Value> = events
        .iter()
        .filter(|it| it["type"] == "response.output_item.added")
        .map(|it| &it["output_index"])
        .collect();
    assert_eq!(places, [0, 1]);
}

#[test]
fn ec_115_a_search_of_another_provider_has_its_stages() {
    let step = |step: ServerStep| {
        Part::new(PartKind::ServerTool {
            dialect: DialectId::AnthropicMessages,
            raw: json!({}),
            step: Some(step),
        })
    };
    let results = vec![WebResult { url: "https://example.com".into(), title: None }];
    let parts = vec![
        step(ServerStep::WebSearch { id: "s".into(), queries: vec!["rust".into()] }),
        step(ServerStep::WebSearchResults { call_id: "s".into(), results }),
        step(ServerStep::Code { id: "c".into(), language: None, code: "1+1".into() }),
        Part::text("a"),
    ];
    let events = written(answer(parts, FinishReason::Stop));
    assert_eq!(
        kinds(&events)[2..14],
        [
            "response.output_item.added",
            "response.web_search_call.in_progress",
            "response.web_search_call.searching",
            "response.web_search_call.completed",
            "response.output_item.done",
            "response.output_item.added",
            "response.code_interpreter_call.in_progress",
            "response.code_interpreter_call_code.delta",
            "response.code_interpreter_call_code.done",
            "response.code_interpreter_call.interpreting",
            "response.code_interpreter_call.completed",
            "response.output_item.done",
        ]
    );
    assert_eq!(events[6]["item"]["action"]["sources"][0]["url"], "https://example.com");
    assert_eq!(events.last().unwrap()["response"]["output"][1]["outputs"], Value::Null);
}

#[test]
fn ec_036_an_error_ends_the_stream_with_what_was_said_as_cut() {
    let events = [
        ChatEvent::Start { id: None, model: None, created: None },
        ChatEvent::block(0, 0, BlockKind::Text),
        ChatEvent::Delta { block: 0, delta: Delta::Text("Par".into()) },
    ];
    let error = GatewayError::new(ErrorKind::Overloaded, "busy");
    let events = written_with(&events, Some(&error));
    let [flat, failed] = &events[events.len() - 2..] else { panic!() };
    assert_eq!(
        (&flat["type"], &flat["code"], &flat["message"]),
        (&json!("error"), &json!("server_is_overloaded"), &json!("busy"))
    );
    assert_eq!(flat.get("error"), None);
    let response = &failed["response"];
    assert_eq!(response["error"], json!({"code": "server_is_overloaded", "message": "busy"}));
    assert_eq!(
        (&response["status"], &response["output"][0]["status"]),
        (&json!("failed"), &json!("incomplete"))
    );
    assert_eq!(response["output"][0]["content"][0]["text"], "Par");
    assert!(!kinds(&events).contains(&"response.output_item.done"));
}

#[test]
fn ec_080_an_error_before_anything_was_said_is_still_a_stream() {
    let events = written_with(&[], Some(&GatewayError::new(ErrorKind::ContextTooLong, "too long")));
    assert_eq!(kinds(&events), ["response.created", "response.in_progress", "error", "response.failed"]);
    assert_eq!(events[3]["response"]["error"]["code"], "context_length_exceeded");
}

#[test]
fn ec_066_every_event_names_the_clients_model() {
    let mut answer = answer(vec![Part::text("a")], FinishReason::Stop);
    answer.model = Some("upstream-model".into());
    for event in written(answer).iter().filter(|it| it.get("response").is_some()) {
        assert_eq!(event["response"]["model"], "asked");
    }
}

#[test]
fn ec_016_usage_is_null_until_the_end_and_then_whole() {
    let mut answer = answer(vec![Part::text("a")], FinishReason::Stop);
    answer.usage =
        Some(TokenUsage { input: Some(3), cache_read: Some(4), output: Some(5), ..TokenUsage::default() });
    let events = written(answer);
    assert_eq!(events[0]["response"]["usage"], Value::Null);
    let usage = &events.last().unwrap()["response"]["usage"];
    assert_eq!((&usage["input_tokens"], &usage["total_tokens"]), (&json!(7), &json!(12)));
}

#[test]
fn ec_201_other_choices_are_not_told() {
    let mut two = answer(vec![call("1", false, "{}")], FinishReason::ToolCalls);
    let second = Choice {
        index: 1,
        ..answer(vec![call("2", false, "{}")], FinishReason::ToolCalls).choices.remove(0)
    };
    two.choices.push(second);
    let events = written(two);
    assert_eq!(events.last().unwrap()["response"]["output"].as_array().unwrap().len(), 1);
}

fn sent_on(events: &[Value]) -> Vec<Value> {
    written_with(&read(events), None)
}

#[test]
fn what_items_say_of_their_own_is_sent_on() {
    let comment =
        json!({"type": "message", "id": "msg_a", "role": "assistant", "phase": "commentary", "content": []});
    let thought = json!({"type": "reasoning", "id": "rs_a", "summary": [], "encrypted_content": "x"});
    let answer = json!({"type": "message", "id": "Zm9vYmFy", "role": "assistant", "content": []});
    let text = |place: u32, text: &str| json!({"type": "response.output_text.delta", "output_index": place, "content_index": 0, "delta": text});
    let again = json!({"type": "message", "id": "msg_a", "role": "assistant", "content": [{"type": "output_text", "text": "c"}]});
    let events = sent_on(&[
        created(),
        done(0, &thought),
        added(1, &comment),
        text(1, "a"),
        done(1, &comment),
        added(2, &function("f", "")),
        done(2, &function("f", "{}")),
        added(3, &answer),
        text(3, "b"),
        done(3, &answer),
        done(4, &again),
        completed(&json!([])),
    ]);
    let output = events.last().unwrap()["response"]["output"].as_array().unwrap().clone();
    let ids: Vec<&str> = output.iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(ids[..3], ["rs_a", "msg_a", "fc_1"]);
    assert_eq!((&output[1]["phase"], output[3].get("phase")), (&json!("commentary"), None));
    // An id that is none of its kind, and one that was used, are told as ours.
    assert!(
        ids[3].starts_with("msg_") && ids[4].starts_with("msg_") && ids[4] != "msg_a" && ids[3] != ids[4]
    );
    for event in events.iter().filter(|it| it["type"] == "response.output_text.delta") {
        let place = usize::try_from(event["output_index"].as_u64().unwrap()).unwrap();
        assert_eq!(event["item_id"], output[place]["id"]);
    }
}

#[test]
fn log_probabilities_are_sent_on_once() {
    let token = |it: &str| json!({"token": it, "logprob": -0.5, "bytes": it.as_bytes(), "top_logprobs": []});
    let mut first = said("Pa");
    first["logprobs"] = json!([token("Pa")]);
    let part = json!({"type": "output_text", "text": "Paris", "logprobs": [token("Pa"), token("ris")], "annotations": []});
    let item = json!({"type": "message", "id": "msg_1", "role": "assistant", "content": [part]});
    let events = sent_on(&[created(), first, done(0, &item), completed(&json!([item]))]);
    let deltas: Vec<&Value> = events.iter().filter(|it| it["type"] == "response.output_text.delta").collect();
    assert_eq!(deltas.len(), 2);
    assert_eq!(
        (&deltas[0]["logprobs"], &deltas[1]["logprobs"]),
        (&json!([token("Pa")]), &json!([token("ris")]))
    );
    let told = &events.last().unwrap()["response"]["output"][0]["content"][0];
    assert_eq!(told["logprobs"], json!([token("Pa"), token("ris")]));
    let odd = json!([{"token": 1}]);
    let mut first = said("Pa");
    first["logprobs"] = odd;
    let events = sent_on(&[created(), first, completed(&json!([]))]);
    assert_eq!(events.last().unwrap()["response"]["output"][0]["content"][0]["logprobs"], json!([]));
}

#[test]
fn ec_171_items_and_parts_of_unknown_types_are_told_whole_and_as_done() {
    let item = json!({"type": "acme_call", "id": "acme_1", "status": "in_progress", "x": 1});
    let part = json!({"type": "acme_text", "y": 2});
    let message = json!({"type": "message", "id": "msg_1", "role": "assistant", "content": [
        {"type": "output_text", "text": "a", "annotations": []}, part]});
    let events =
        sent_on(&[created(), added(0, &item), done(0, &item), done(1, &message), completed(&json!([]))]);
    let output = &events.last().unwrap()["response"]["output"];
    assert_eq!(output[0], json!({"type": "acme_call", "status": "completed", "x": 1, "id": "acme_1"}));
    assert_eq!((&output[1]["id"], &output[1]["content"][1]), (&json!("msg_1"), &part));
    assert_eq!(output.as_array().unwrap().len(), 2);
    // In a whole answer it is the same.
    let answer = json!({"id": "resp_1", "status": "completed", "output": [item, message]});
    let decoded =
        OPENAI_RESPONSES.decode_response(answer.to_string().as_bytes(), &Recall::default()).unwrap();
    let whole = OPENAI_RESPONSES.encode_response(&decoded, &context());
    let whole: Value = serde_json::from_slice(&whole).unwrap();
    assert_eq!(whole["output"], *output);
}

#[test]
fn calls_that_overlap_keep_their_own_deltas() {
    let start = |block: u32| {
        let kind =
            BlockKind::ToolCall { id: format!("c{block}"), name: "f".into(), custom: false, state: None };
        ChatEvent::block(0, block, kind)
    };
    let delta = |block: u32, text: &str| ChatEvent::Delta { block, delta: Delta::Arguments(text.into()) };
    let events = [
        start(0),
        start(1),
        delta(0, "{"),
        delta(1, "[1"),
        delta(0, "}"),
        delta(1, "]"),
        ChatEvent::BlockEnd { block: 1 },
        ChatEvent::BlockEnd { block: 0 },
        ChatEvent::Finish { choice: 0, finish: Finish::new(FinishReason::ToolCalls) },
    ];
    let output = written_with(&events, None).last().unwrap()["response"]["output"].clone();
    assert_eq!((&output[0]["arguments"], &output[1]["arguments"]), (&json!("{}"), &json!("[1]")));
}

#[test]
fn line_separators_are_escaped() {
    let mut encoder = OPENAI_RESPONSES.event_encoder(&context());
    let mut out = BytesMut::new();
    for event in
        unfold(answer(vec![Part::text("a\u{2028}b"), call("1", true, "\u{2029}")], FinishReason::ToolCalls))
    {
        encoder.encode(&event, &mut out);
    }
    encoder.finish(&mut out);
    let text = std::str::from_utf8(&out).unwrap();
    assert!(!text.contains(['\u{2028}', '\u{2029}']) && text.contains("a\\u2028b"));
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        "[a-zé\u{2028}\"]{1,9}".prop_map(Part::text),
        "[a-z]{1,9}".prop_map(|text| Part::new(PartKind::Refusal { text })),
        ("[a-z\n]{0,9}", "[a-z]{1,5}").prop_map(|(text, data)| thought(&text, &data)),
        "[a-z ]{1,9}".prop_map(|text| Part::new(PartKind::Reasoning { text, state: None })),
        ("[a-z{}\" ]{1,9}", any::<bool>()).prop_map(|(text, custom)| call("", custom, &format!("{{{text}"))),
    ]
}

fn parts_of_an_answer() -> impl Strategy<Value = Vec<Part>> {
    prop::collection::vec(part(), 0..6).prop_map(|mut parts| {
        for (place, part) in parts.iter_mut().enumerate() {
            if let PartKind::ToolCall(call) = &mut part.kind {
                call.id = format!("c{place}");
            }
        }
        parts
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_it_was(parts in parts_of_an_answer(), cut in any::<bool>()) {
        let called = parts.iter().any(|it| matches!(it.kind, PartKind::ToolCall(_)));
        let refused = parts.iter().any(|it| matches!(it.kind, PartKind::Refusal { .. }));
        let reason = match (cut, called, refused) {
            (true, ..) => FinishReason::Length,
            (false, true, _) => FinishReason::ToolCalls,
            (false, false, true) => FinishReason::Refusal,
            (false, false, false) => FinishReason::Stop,
        };
        let usage = TokenUsage {
            input: Some(3), cache_read: Some(0), output: Some(2), reasoning: Some(0), ..TokenUsage::default()
        };
        let whole = ChatResponse { usage: Some(usage), ..answer(parts, reason) };

        let streamed = written(whole.clone());
        let mut back = collected(read(&streamed)).unwrap();
        let mut bare = back.choices[0].parts.clone();
        for part in &mut bare {
            part.extra = Extra::default();
        }
        prop_assert_eq!(&bare, &whole.choices[0].parts);
        prop_assert_eq!(back.choices[0].finish.reason, reason);
        prop_assert_eq!(back.usage, whole.usage);

        let body = OPENAI_RESPONSES.encode_response(&whole, &context());
        let mut decoded = OPENAI_RESPONSES.decode_response(&body, &Recall::default()).unwrap();
        for it in [&mut back, &mut decoded] {
            it.extra = Extra::default();
        }
        prop_assert_eq!(back, decoded, "a stream, collected, is the whole answer");

        let mut told: Value = serde_json::from_slice(&body).unwrap();
        let mut last = streamed.last().unwrap()["response"].clone();
        told["completed_at"].take();
        last["completed_at"].take();
        prop_assert_eq!(told, last, "the end of a stream is the whole answer");
    }
}
