use std::{collections::HashMap, sync::Arc};

use serde_json::{Value, json};

use super::{item, response_id};
use crate::{
    dialect::{
        ChatResponse, ClientCodec, DialectId, Recall, ReplyContext, ServerCodec, TokenUsage,
        canonical::{
            Arguments, Choice, Citation, Extra, Finish, FinishReason, Media, MediaKind, MediaSource,
            Namespaced, OpaqueState, Part, PartKind, ServerStep, StateKind, ToolCall, WebResult,
        },
        openai_responses::OPENAI_RESPONSES,
    },
    kernel::id::RequestId,
};

fn context() -> ReplyContext {
    ReplyContext::new(RequestId::declared("r"), "asked", 7)
}

fn decode(value: &Value) -> ChatResponse {
    decode_with(value, &Recall::default())
}

fn decode_with(value: &Value, recall: &Recall) -> ChatResponse {
    OPENAI_RESPONSES.decode_response(value.to_string().as_bytes(), recall).unwrap()
}

fn encode(response: &ChatResponse) -> Value {
    serde_json::from_slice(&OPENAI_RESPONSES.encode_response(response, &context())).unwrap()
}

fn answer(parts: Vec<Part>, reason: FinishReason) -> ChatResponse {
    let choice = Choice { index: 0, parts, finish: Finish::new(reason), extra: Extra::default() };
    ChatResponse { choices: vec![choice], ..ChatResponse::default() }
}

fn call(name: &str, arguments: &str, custom: bool) -> Part {
    let (id, name) = (format!("call_{name}"), name.to_owned());
    Part::new(PartKind::ToolCall(ToolCall { id, name, arguments: Arguments(arguments.to_owned()), custom }))
}

fn thought(text: &str, kind: StateKind, data: &str) -> Part {
    let state = Some(OpaqueState { dialect: kind.dialect(), kind, data: data.to_owned() });
    Part::new(PartKind::Reasoning { text: text.to_owned(), state })
}

fn completed(output: &Value) -> Value {
    json!({"id": "resp_1", "status": "completed", "output": output})
}

fn kinds(body: &Value) -> Vec<&str> {
    body["output"].as_array().unwrap().iter().map(|it| it["type"].as_str().unwrap()).collect()
}

#[test]
fn ec_066_the_model_is_called_as_the_client_calls_it() {
    let named = ChatResponse { model: Some("upstream-model".into()), ..answer(vec![], FinishReason::Stop) };
    assert_eq!(encode(&named)["model"], "asked");
}

#[test]
fn the_id_of_an_answer_is_made_of_its_requests() {
    let body = encode(&answer(vec![Part::text("a")], FinishReason::Stop));
    assert_eq!(body["id"], response_id(context().request));
    let id = body["output"][0]["id"].as_str().unwrap();
    assert!(id.starts_with("msg_") && id.len() <= 64, "{id}");
}

#[test]
fn ec_067_what_may_be_null_is_there_and_lists_are_lists() {
    let body =
        encode(&answer(vec![Part::text("a"), thought("", StateKind::Encrypted, "x")], FinishReason::Stop));
    for key in ["error", "incomplete_details", "instructions", "previous_response_id", "max_output_tokens"] {
        assert_eq!(body.get(key), Some(&Value::Null), "{key}");
    }
    let part = &body["output"][0]["content"][0];
    assert_eq!((&part["annotations"], &part["logprobs"]), (&json!([]), &json!([])));
    assert_eq!(body["output"][1]["summary"], json!([]));
    assert_eq!(body["usage"]["input_tokens_details"]["cached_tokens"], 0);
    assert_eq!((&body["tools"], &body["tool_choice"]), (&json!([]), &json!("auto")));
}

#[test]
fn what_the_request_asked_is_repeated() {
    let echo = OPENAI_RESPONSES
        .echo(br#"{"input":"x","instructions":"be kind","metadata":{"a":"b"},"store":false}"#);
    let context = ReplyContext { echo: Arc::new(echo), ..context() };
    let body = OPENAI_RESPONSES.encode_response(&answer(vec![], FinishReason::Stop), &context);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&body["instructions"], &body["store"]), (&json!("be kind"), &json!(false)));
    assert_eq!((&body["metadata"], body.get("input")), (&json!({"a": "b"}), None));
}

#[test]
fn texts_in_a_row_are_one_message_and_calls_stand_where_they_were() {
    let parts =
        vec![Part::text("a"), Part::text("b"), call("f", "", false), Part::text("c"), call("g", "x", true)];
    let body = encode(&answer(parts, FinishReason::ToolCalls));
    assert_eq!(kinds(&body), ["message", "function_call", "message", "custom_tool_call"]);
    assert_eq!(body["output"][0]["content"].as_array().unwrap().len(), 2);
    assert_eq!(body["output"][1]["arguments"], "{}");
    assert_eq!(body["output"][3]["input"], "x");
    assert_eq!(body["status"], "completed");
}

#[test]
fn ec_009_a_tool_in_a_namespace_is_called_by_its_name_there() {
    let place = Namespaced { namespace: "files".into(), description: None, name: "read".into() };
    let namespaced = Arc::new(HashMap::from([("files__read".to_owned(), place)]));
    let context = ReplyContext { namespaced, ..context() };
    let answer = answer(vec![call("files__read", "{}", false)], FinishReason::ToolCalls);
    let body: Value = serde_json::from_slice(&OPENAI_RESPONSES.encode_response(&answer, &context)).unwrap();
    let told = &body["output"][0];
    assert_eq!((&told["name"], &told["namespace"]), (&json!("read"), &json!("files")));
    let back = decode(&body);
    assert_eq!(back.choices[0].parts[0].kind, answer.choices[0].parts[0].kind);
}

#[test]
fn ec_063_an_answer_that_met_its_limit_is_incomplete_and_so_is_its_last_item() {
    let cut = answer(vec![Part::text("a"), call("f", "{\"x\":", false)], FinishReason::Length);
    let body = encode(&cut);
    assert_eq!((&body["status"], &body["completed_at"]), (&json!("incomplete"), &Value::Null));
    assert_eq!(body["incomplete_details"], json!({"reason": "max_output_tokens"}));
    assert_eq!(body["output"][0]["status"], "completed");
    assert_eq!(body["output"][1]["status"], "incomplete");
    let finish = &decode(&body).choices[0].finish;
    assert_eq!((finish.reason, finish.raw.as_deref()), (FinishReason::Length, Some("max_output_tokens")));
}

#[test]
fn ec_138_a_refusal_without_words_is_told_by_its_part() {
    let body = encode(&answer(vec![Part::text("Well")], FinishReason::Refusal));
    assert_eq!(body["status"], "completed");
    assert_eq!(body["output"][0]["content"][1], json!({"type": "refusal", "refusal": ""}));
    let back = decode(&body);
    assert_eq!((back.choices[0].finish.reason, back.choices[0].parts.len()), (FinishReason::Refusal, 1));
    let worded = Part::new(PartKind::Refusal { text: "no".into() });
    let body = encode(&answer(vec![worded], FinishReason::Refusal));
    assert_eq!(body["output"][0]["content"], json!([{"type": "refusal", "refusal": "no"}]));
}

#[test]
fn ec_135_a_blocked_prompt_is_an_incomplete_answer_without_items() {
    let body = encode(&answer(vec![], FinishReason::ContentFilter));
    assert_eq!((&body["status"], &body["output"]), (&json!("incomplete"), &json!([])));
    assert_eq!(body["incomplete_details"]["reason"], "content_filter");
}

#[test]
fn ec_043_the_state_of_thoughts_goes_both_ways() {
    let body = encode(&answer(vec![thought("hm", StateKind::Encrypted, "carrier")], FinishReason::Stop));
    let item = &body["output"][0];
    assert_eq!(item["summary"], json!([{"type": "summary_text", "text": "hm"}]));
    assert_eq!(item["encrypted_content"], "carrier");
    assert_eq!(decode(&body).choices[0].parts[0].kind, thought("hm", StateKind::Encrypted, "carrier").kind);
}

#[test]
fn state_of_another_dialect_is_left_out() {
    let body = encode(&answer(
        vec![thought("hm", StateKind::Signature, "s"), thought("", StateKind::Redacted, "r")],
        FinishReason::Stop,
    ));
    assert_eq!(kinds(&body), ["reasoning"]);
    assert_eq!(body["output"][0]["encrypted_content"], Value::Null);
}

#[test]
fn ec_065_several_thoughts_are_several_items() {
    let parts = vec![
        thought("a", StateKind::Encrypted, "1"),
        thought("b", StateKind::Encrypted, "2"),
        Part::text("c"),
    ];
    let body = encode(&answer(parts, FinishReason::Stop));
    assert_eq!(kinds(&body), ["reasoning", "reasoning", "message"]);
    assert_eq!(decode(&body).choices[0].parts.len(), 3);
}

#[test]
fn ec_122_parts_of_a_summary_are_one_thought() {
    let output = json!([
        {"type": "reasoning", "id": "rs_1", "encrypted_content": "e",
            "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]},
        {"type": "reasoning", "id": "rs_2", "summary": [], "content": [{"type": "reasoning_text", "text": "raw"}]},
        {"type": "reasoning", "id": "rs_3", "summary": []},
    ]);
    let parts = decode(&completed(&output)).choices.remove(0).parts;
    assert_eq!(parts.len(), 2, "thoughts of which nothing is left are none");
    assert_eq!(parts[0].kind, thought("a\n\nb", StateKind::Encrypted, "e").kind);
    assert_eq!(parts[1].kind, PartKind::Reasoning { text: "raw".into(), state: None });
}

fn search(queries: &[&str]) -> ServerStep {
    ServerStep::WebSearch { id: "s1".into(), queries: queries.iter().map(|it| (*it).to_owned()).collect() }
}

fn foreign(step: ServerStep) -> Part {
    let raw = json!({"type": "server_tool_use"});
    Part::new(PartKind::ServerTool { dialect: DialectId::AnthropicMessages, raw, step: Some(step) })
}

#[test]
fn ec_115_a_search_of_another_provider_is_a_search_with_its_sources() {
    let results = vec![WebResult { url: "https://example.com".into(), title: None }];
    let found = ServerStep::WebSearchResults { call_id: "s1".into(), results: results.clone() };
    let body = encode(&answer(vec![foreign(search(&["rust"])), foreign(found)], FinishReason::Stop));
    assert_eq!(kinds(&body), ["web_search_call"]);
    let action = &body["output"][0]["action"];
    assert_eq!(action["queries"], json!(["rust"]));
    assert_eq!(action["sources"], json!([{"type": "url", "url": "https://example.com"}]));
    let parts = decode(&body).choices.remove(0).parts;
    let steps: Vec<&ServerStep> = parts
        .iter()
        .filter_map(|it| match &it.kind {
            PartKind::ServerTool { step, .. } => step.as_ref(),
            _ => None,
        })
        .collect();
    assert!(matches!(steps[0], ServerStep::WebSearch { queries, .. } if queries == &["rust"]));
    assert!(matches!(steps[1], ServerStep::WebSearchResults { results: it, .. } if *it == results));
}

#[test]
fn ec_064_what_clients_cannot_read_takes_no_place() {
    let hidden =
        Part::new(PartKind::Opaque { dialect: DialectId::AnthropicMessages, raw: json!({"type": "x"}) });
    let body = encode(&answer(vec![hidden, Part::text("a")], FinishReason::Stop));
    assert_eq!(kinds(&body), ["message"]);
    assert_eq!(body["output"][0]["id"], item::Ids::new(context().request).give(item::Kind::Message, None));
}

#[test]
fn ec_171_items_of_unknown_types_are_kept_and_cost_nothing() {
    let output = json!([{"type": "acme_call", "id": "acme_1", "what": [1, null]}, {"type": "mcp_call", "id": "mcp_1",
        "server_label": "s", "name": "n", "arguments": "{}"}]);
    let read = decode(&completed(&output));
    assert!(matches!(&read.choices[0].parts[0].kind, PartKind::Opaque { .. }));
    assert_eq!(read.choices[0].finish.reason, FinishReason::Stop);
    assert_eq!(encode(&read)["output"], output);
}

#[test]
fn ec_201_of_several_choices_the_first_is_told() {
    let mut two = answer(vec![call("f", "{}", false)], FinishReason::ToolCalls);
    let second = Choice {
        index: 1,
        ..answer(vec![call("g", "{}", false)], FinishReason::ToolCalls).choices.remove(0)
    };
    two.choices.insert(0, second);
    let body = encode(&two);
    assert_eq!((kinds(&body), &body["output"][0]["name"]), (vec!["function_call"], &json!("f")));
}

#[test]
fn ec_127_a_call_without_a_name_is_none() {
    let output = json!([{"type": "function_call", "id": "fc_1", "call_id": "c", "arguments": "{}"}]);
    let read = decode(&completed(&output));
    assert!(read.choices[0].parts.is_empty());
    assert_eq!(read.choices[0].finish.reason, FinishReason::Stop);
}

#[test]
fn names_are_recalled_and_ids_are_never_used_twice() {
    let recall = Recall {
        names: HashMap::from([("a_b".to_owned(), "a.b".to_owned())]),
        custom_tools: ["patch".to_owned()].into(),
        json_tool: Some("answer".to_owned()),
        ..Recall::default()
    };
    let call = |name: &str, arguments: &str| json!({"type": "function_call", "call_id": "c", "name": name, "arguments": arguments});
    let output = json!([call("a_b", ""), call("patch", "{\"input\":\"x\"}"), call("answer", "{\"n\":1}")]);
    let read = decode_with(&completed(&output), &recall).choices.remove(0);
    let [PartKind::ToolCall(first), PartKind::ToolCall(second), PartKind::Text { text, .. }] =
        [&read.parts[0].kind, &read.parts[1].kind, &read.parts[2].kind]
    else {
        panic!("{read:?}");
    };
    assert_eq!((first.name.as_str(), first.arguments.0.as_str(), first.id.as_str()), ("a.b", "{}", "c"));
    assert!(second.custom && second.arguments.0 == "x" && second.id.starts_with("call_"), "{second:?}");
    assert_eq!(text, "{\"n\":1}");
    assert_eq!(read.finish.reason, FinishReason::ToolCalls);
}

#[test]
fn citations_go_both_ways_in_characters() {
    let cited = json!({"type": "url_citation", "start_index": 0, "end_index": 2, "url": "u", "title": "t"});
    let output = json!([{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": "é😀x", "annotations": [cited], "logprobs": []}]}]);
    let read = decode(&completed(&output));
    let PartKind::Text { citations, .. } = &read.choices[0].parts[0].kind else { panic!() };
    assert_eq!((citations[0].url.as_deref(), citations[0].span.clone()), (Some("u"), Some(0..2)));
    assert_eq!(encode(&read)["output"], output);

    let chats = Citation { url: Some("u".into()), ..Citation::plain(DialectId::OpenaiChat, json!({})) };
    let pages = Citation::plain(DialectId::AnthropicMessages, json!({"type": "page_location"}));
    let part = Part::new(PartKind::Text { text: "é😀x".into(), citations: vec![chats, pages] });
    let told = &encode(&answer(vec![part], FinishReason::Stop))["output"][0]["content"][0]["annotations"];
    assert_eq!(
        told,
        &json!([{"type": "url_citation", "start_index": 0, "end_index": 3, "title": "", "url": "u"}])
    );
}

#[test]
fn an_image_that_was_made_goes_both_ways() {
    let media = Media {
        kind: MediaKind::Image,
        source: MediaSource::Inline("aGk=".into()),
        media_type: Some("image/webp".into()),
        name: None,
        detail: None,
    };
    let part = Part::new(PartKind::Media(media));
    let body = encode(&answer(vec![part.clone()], FinishReason::Stop));
    assert_eq!(
        (&body["output"][0]["result"], &body["output"][0]["output_format"]),
        (&json!("aGk="), &json!("webp"))
    );
    assert_eq!(decode(&body).choices[0].parts[0].kind, part.kind);
}

#[test]
fn an_answer_of_the_same_dialect_keeps_its_ids_and_phases() {
    let output = json!([
        {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "phase": "commentary",
            "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": "a"}]},
        {"type": "message", "id": "msg_2", "status": "completed", "role": "assistant", "phase": "final_answer",
            "content": [{"type": "output_text", "annotations": [], "logprobs": [
                {"token": "b", "logprob": -0.5, "bytes": [98], "top_logprobs": []}], "text": "b"}]},
        {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{\"n\":10.0}",
            "status": "completed"},
    ]);
    let body = json!({"id": "resp_1", "status": "completed", "service_tier": "flex", "output": output});
    let back = encode(&decode(&body));
    assert_eq!((&back["output"], &back["service_tier"]), (&output, &json!("flex")));
}

#[test]
fn an_error_with_status_200_is_no_answer() {
    for body in [
        json!({"id": "resp_1", "status": "failed", "output": [], "error": {"code": "server_error", "message": "no"}}),
        json!({"error": {"message": "no"}}),
        json!({"detail": "no"}),
        json!({"id": "resp_1", "status": "cancelled", "output": []}),
        json!({"id": "resp_1", "status": "completed"}),
        json!([]),
    ] {
        assert!(
            OPENAI_RESPONSES.decode_response(body.to_string().as_bytes(), &Recall::default()).is_err(),
            "{body}"
        );
    }
}

#[test]
fn usage_is_told_even_if_nobody_counted() {
    let body = encode(&answer(vec![], FinishReason::Stop));
    assert_eq!(body["usage"]["total_tokens"], 0);
    let counted = ChatResponse {
        usage: Some(TokenUsage { input: Some(3), output: Some(4), ..TokenUsage::default() }),
        ..answer(vec![], FinishReason::Stop)
    };
    assert_eq!(encode(&counted)["usage"]["total_tokens"], 7);
}
