use serde_json::json;

use super::*;
use crate::kernel::id::RequestId;

fn context() -> ReplyContext {
    ReplyContext::new(RequestId::new(), "asked", 0)
}

fn read(body: &Value) -> ChatResponse {
    decode(body.to_string().as_bytes(), &Recall::default()).unwrap()
}

fn say(response: &ChatResponse) -> Value {
    serde_json::from_slice(&encode(response, &context())).unwrap()
}

fn answer(parts: Vec<Part>, reason: FinishReason) -> ChatResponse {
    let finish = Finish::new(reason);
    let extra = crate::dialect::canonical::Extra::default();
    ChatResponse { choices: vec![Choice { index: 0, parts, finish, extra }], ..ChatResponse::default() }
}

#[test]
fn an_answer_comes_out_as_it_came_in() {
    let body = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-y",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "EqQB=="},
            {"type": "redacted_thinking", "data": "abc"},
            {"type": "text", "text": "Hi", "citations": [{"type": "char_location", "cited_text": "x"}]},
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}},
            {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"encrypted_content": "e"}]},
            {"type": "later", "a": 1},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"b": 1, "a": {"c": [1.50]}}}],
        "stop_reason": "tool_use", "stop_sequence": null, "container": {"id": "c"},
        "usage": {"input_tokens": 1, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 2}});
    assert_eq!(say(&read(&body)), body);
}

#[test]
fn an_empty_answer_has_all_that_sdks_need() {
    let said = say(&answer(Vec::new(), FinishReason::Stop));
    assert_eq!(said["content"], json!([]));
    assert_eq!(said["stop_sequence"], Value::Null);
    assert_eq!((&said["usage"]["input_tokens"], &said["usage"]["output_tokens"]), (&json!(0), &json!(0)));
    assert!(said["id"].as_str().unwrap().starts_with("msg_"));
    assert_eq!(said["model"], "asked");
}

#[test]
fn a_refusal_is_text_with_its_reason() {
    let said = say(&answer(vec![Part::new(PartKind::Refusal { text: "No.".into() })], FinishReason::Stop));
    assert_eq!(said["content"], json!([{"type": "text", "text": "No."}]));
    assert_eq!(said["stop_reason"], "refusal");
}

#[test]
fn ec_208_thinking_without_a_signature_gets_an_empty_one() {
    let body = json!({"content": [{"type": "thinking", "thinking": "t"}], "stop_reason": "end_turn"});
    let said = say(&read(&body));
    assert_eq!(said["content"], json!([{"type": "thinking", "thinking": "t", "signature": ""}]));
}

#[test]
fn names_custom_tools_and_emulated_output_are_recalled() {
    let recall = Recall {
        names: [("a_b".to_owned(), "a.b".to_owned())].into(),
        json_tool: Some("j".into()),
        custom_tools: ["p".to_owned()].into(),
        ..Recall::default()
    };
    let body = json!({"content": [
        {"type": "tool_use", "id": "1", "name": "a_b", "input": {}},
        {"type": "tool_use", "id": "2", "name": "p", "input": {"input": "x"}},
        {"type": "tool_use", "id": "3", "name": "j", "input": {"z": 1}}], "stop_reason": "tool_use"});
    let response = decode(body.to_string().as_bytes(), &recall).unwrap();
    let parts = &response.choices[0].parts;
    assert!(matches!(&parts[0].kind, PartKind::ToolCall(it) if it.name == "a.b" && !it.custom));
    assert!(matches!(&parts[1].kind, PartKind::ToolCall(it) if it.custom && it.arguments.0 == "x"));
    assert_eq!(parts[2].as_text(), Some("{\"z\":1}"));
}

#[test]
fn an_error_with_status_200_is_no_answer() {
    let body = br#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#;
    assert_eq!(decode(body, &Recall::default()).unwrap_err().message, "busy");
}

#[test]
fn of_a_block_that_is_not_as_it_should_be_what_can_be_read_is_told() {
    let body = json!({"content": [
        {"type": "text"},
        {"type": "text", "text": "a", "citations": {"odd": 1}},
        {"type": "text", "text": "b", "citations": [1]},
        {"type": "thinking", "signature": "s"},
        {"type": "redacted_thinking"},
        {"type": "tool_use", "name": "f", "input": {"x": 1}},
        {"type": "tool_use", "id": "1", "name": "", "input": {}},
        {"a": 1},
        7,
        {"type": "later"}], "stop_reason": "end_turn"});
    let mut said = say(&read(&body))["content"].clone();
    let id = said[3]["id"].take();
    assert!(id.as_str().unwrap().starts_with("toolu_"));
    assert_eq!(
        said,
        json!([
            {"type": "text", "text": "a"},
            {"type": "text", "text": "b"},
            {"type": "thinking", "thinking": "", "signature": "s"},
            {"type": "tool_use", "id": null, "name": "f", "input": {"x": 1}},
            {"type": "later"},
        ])
    );
}
