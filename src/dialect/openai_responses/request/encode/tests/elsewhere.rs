//! What a client of Responses says, told to upstreams of other dialects.

use serde_json::json;

use super::*;
use crate::dialect::canonical::{OpaqueState, PartKind, StateKind};

const PNG: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB";

fn to(target: DialectId, asked: &Value) -> (Value, Encoded) {
    tell(R, target, asked, &able())
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn shot(output: Value) -> Value {
    input(json!([
        {"role": "user", "content": "Look."},
        {"type": "function_call", "call_id": "a", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": output},
    ]))
}

fn text_only() -> Abilities {
    Abilities { tool_result_media: false, text_parts: true, ..able() }
}

#[test]
fn ec_009_namespaces_are_flat_names_to_others() {
    let tools = json!([{"type": "namespace", "name": "files", "description": "Files.", "tools": [
        {"type": "function", "name": "read", "parameters": {"type": "object", "properties": {}}}]}]);
    let items = json!([
        {"role": "user", "content": "x"},
        {"type": "function_call", "call_id": "a", "name": "read", "namespace": "files", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "y"},
    ]);
    let asked = with(input(items), json!({"tools": tools}));
    let (body, _) = to(C, &asked);
    assert_eq!(body["tools"][0]["function"]["name"], "files__read");
    assert_eq!(body["messages"][1]["tool_calls"][0]["function"]["name"], "files__read");
    let (body, _) = to(A, &asked);
    assert_eq!(body["tools"][0]["name"], "files__read");
    assert_eq!(body["messages"][1]["content"][0]["name"], "files__read");
}

#[test]
fn ec_008_a_tool_of_free_text_is_a_function_to_others() {
    let tools = json!([{"type": "custom", "name": "apply_patch", "description": "Edits.",
        "format": {"type": "grammar", "syntax": "lark", "definition": "start: \"x\""}}]);
    let items = json!([
        {"role": "user", "content": "x"},
        {"type": "custom_tool_call", "call_id": "a", "name": "apply_patch", "input": "***"},
        {"type": "custom_tool_call_output", "call_id": "a", "output": "Done."},
    ]);
    let asked = with(input(items), json!({"tools": tools}));
    let (body, encoded) = to(A, &asked);
    assert!(body["tools"][0]["description"].as_str().unwrap().contains("start: \"x\""));
    assert_eq!(body["messages"][1]["content"][0]["input"], json!({"input": "***"}));
    assert!(encoded.recall.custom_tools.contains("apply_patch"));
    let (body, _) = tell(R, C, &asked, &Abilities { custom_tools: false, ..able() });
    assert_eq!(body["messages"][1]["tool_calls"][0]["function"]["arguments"], r#"{"input":"***"}"#);
    let (body, _) = to(C, &asked);
    assert_eq!(
        body["tools"][0]["custom"]["format"],
        json!({"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: \"x\""}})
    );
}

#[test]
fn ec_043_the_state_of_thinking_goes_back_to_its_maker() {
    let asked = input(json!([
        {"role": "user", "content": "x"},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "carrier"},
        {"role": "assistant", "content": "y"},
        {"role": "user", "content": "z"},
    ]));
    let mut request = decode(R, &asked);
    // What the state filter does with a carrier of ours.
    let PartKind::Reasoning { state, .. } = &mut request.conversation.turns[1].parts[0].kind else {
        panic!()
    };
    *state = Some(OpaqueState { dialect: A, kind: StateKind::Signature, data: "sig".to_owned() });
    let encoded = try_tell(&request, A, &able()).unwrap();
    let body: Value = serde_json::from_slice(&encoded.body).unwrap();
    assert_eq!(
        body["messages"][1]["content"][0],
        json!({"type": "thinking", "thinking": "hm", "signature": "sig"})
    );
}

#[test]
fn ec_010_and_ec_058_calls_in_a_row_are_one_turn_and_so_are_their_results() {
    let asked = input(json!([
        {"role": "user", "content": "x"},
        {"type": "function_call", "call_id": "a", "name": "read", "arguments": "{}"},
        {"type": "function_call", "call_id": "b", "name": "read", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "b", "output": "2"},
        {"type": "function_call_output", "call_id": "a", "output": "1"},
    ]));
    let (body, _) = to(A, &asked);
    let turns: Vec<usize> = body["messages"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|it| Some(it["content"].as_array()?.len()))
        .collect();
    assert_eq!(turns, [2, 2]);
    let (body, _) = to(C, &asked);
    assert_eq!(body["messages"][1]["tool_calls"].as_array().unwrap().len(), 2);
}

#[test]
fn ec_057_what_stands_between_a_call_and_its_output_waits() {
    let asked = input(json!([
        {"role": "user", "content": "x"},
        {"type": "function_call", "call_id": "a", "name": "read", "arguments": "{}"},
        {"role": "user", "content": "Meanwhile."},
        {"type": "function_call_output", "call_id": "a", "output": "1"},
    ]));
    let (body, encoded) = to(C, &asked);
    let roles: Vec<&Value> = body["messages"].as_array().unwrap().iter().map(|it| &it["role"]).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "user"]);
    assert!(noted(&encoded, "/input/3").is_some());
}

#[test]
fn ec_060_images_in_a_tools_output_are_shown_after_it() {
    let output = json!([{"type": "input_text", "text": "one"}, {"type": "input_image", "image_url": PNG}]);
    let (body, _) = tell(R, C, &shot(output.clone()), &text_only());
    assert_eq!(body["messages"][2]["content"], json!([{"type": "text", "text": "one"}]));
    assert_eq!(body["messages"][3]["content"][1]["image_url"]["url"], PNG);
    let (body, _) = to(A, &shot(output));
    assert_eq!(body["messages"][2]["content"][0]["content"][1]["type"], "image");
}

#[test]
fn ec_061_images_in_a_string_are_shown_and_other_strings_are_left() {
    let list = json!([{"type": "input_image", "image_url": PNG}]).to_string();
    let (body, _) = tell(R, C, &shot(json!(list)), &text_only());
    assert_eq!(body["messages"][3]["content"][1]["type"], "image_url");
    let (body, _) = to(A, &shot(json!(list)));
    assert_eq!(body["messages"][2]["content"][0]["content"][0]["type"], "image");
    let other = json!([{"type": "thing"}]).to_string();
    assert_eq!(tell(R, C, &shot(json!(other)), &text_only()).0["messages"][2]["content"], other);
}

#[test]
fn ec_062_tools_that_items_reveal_are_declared_and_the_items_left_out() {
    let tool = |name: &str| json!({"type": "function", "name": name, "parameters": {"type": "object", "properties": {}}});
    let asked = with(
        input(json!([
            {"role": "user", "content": "x"},
            {"type": "tool_search_call", "call_id": "a", "arguments": {}},
            {"type": "tool_search_output", "call_id": "a", "tools": [tool("ship")]},
            {"type": "additional_tools", "role": "developer", "tools": [tool("pack")]},
            {"role": "user", "content": "y"},
        ])),
        json!({"tools": [{"type": "tool_search"}, tool("pack")]}),
    );
    for target in [C, A] {
        let (body, encoded) = to(target, &asked);
        let names: Vec<&Value> = body["tools"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it.pointer("/function/name").unwrap_or(&it["name"]))
            .collect();
        assert_eq!(names, ["pack", "ship"], "{}", target.name());
        assert!(!body["messages"].to_string().contains("tool_search"));
        assert!(encoded.losses.iter().all(|it| it.severity == Severity::Cosmetic), "{:?}", encoded.losses);
    }
    let (body, encoded) = to(R, &asked);
    assert_eq!((&body["tools"], &body["input"][2]), (&asked["tools"], &asked["input"][2]));
    assert!(encoded.losses.is_empty());
}

#[test]
fn ec_109_a_detail_that_chat_does_not_know_is_told_as_the_nearest() {
    let image = |detail: Value| {
        input(
            json!([{"role": "user", "content": [{"type": "input_image", "image_url": PNG, "detail": detail}]}]),
        )
    };
    let detail = |asked: Value| {
        to(C, &image(asked)).0["messages"][0]["content"][0]["image_url"].get("detail").cloned()
    };
    assert_eq!(detail(json!("original")), Some(json!("high")));
    assert_eq!(detail(json!("low")), Some(json!("low")));
    assert_eq!(detail(Value::Null), None);
}

#[test]
fn ec_164_thinking_goes_beside_the_call_it_led_to_where_it_is_wanted() {
    let asked = input(json!([
        {"role": "user", "content": "x"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "abc"},
        {"type": "function_call", "call_id": "a", "name": "read", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "1"},
    ]));
    let (body, _) = tell(R, C, &asked, &Abilities { wants_reasoning_back: true, ..able() });
    assert_eq!(body["messages"][1]["reasoning_content"], "hm");
    let (body, _) = to(C, &asked);
    assert!(body["messages"][1].get("reasoning_content").is_none());
    assert!(!body.to_string().contains("abc"));
}

#[test]
fn ec_170_what_only_responses_can_do_is_refused_or_noted_by_its_place() {
    let refusals = [
        ("/background", json!({"background": true})),
        ("/prompt", json!({"prompt": {"id": "pmpt_1"}})),
        ("/conversation", json!({"conversation": "conv_1"})),
        ("/previous_response_id", json!({"previous_response_id": "resp_1"})),
    ];
    for target in [C, A] {
        for (at, fields) in &refusals {
            let request = decode(R, &with(input(json!("x")), fields.clone()));
            let refused = try_tell(&request, target, &able()).unwrap_err();
            assert_eq!(&refused.at, at);
            assert!(refused.message.contains(&at[1..]), "{}", refused.message);
        }
        let tools =
            json!([{"type": "file_search", "vector_store_ids": ["vs_1"]}, {"type": "image_generation"}]);
        let (_, encoded) = to(target, &with(input(json!("x")), json!({"tools": tools})));
        assert!(is_semantic(&encoded, "/tools/0") && is_semantic(&encoded, "/tools/1"));
    }
    let background = json!({"background": false});
    assert!(try_tell(&decode(R, &with(input(json!("x")), background)), C, &able()).is_ok());
}

#[test]
fn ec_059_hosted_tools_alone_leave_no_choice() {
    let asked = with(
        input(json!("x")),
        json!({"tools": [{"type": "file_search"}], "tool_choice": "required", "parallel_tool_calls": true}),
    );
    for target in [C, A] {
        let (body, encoded) = to(target, &asked);
        assert!(body.get("tools").is_none() && body.get("tool_choice").is_none());
        assert!(is_semantic(&encoded, "/tool_choice"));
    }
}
