//! The conversation, told in the words of Responses.

use serde_json::json;

use super::*;
use crate::dialect::canonical::{OpaqueState, PartKind, StateKind};

fn claude_code() -> Value {
    let billing = "x-anthropic-billing-header: cc_version=2; cch=12345;";
    with(
        messages(json!([{"role": "user", "content": "Hello."}])),
        json!({"system": [{"type": "text", "text": billing}, {"type": "text", "text": "You are Claude Code."}]}),
    )
}

#[test]
fn a_plain_system_prompt_is_told_as_instructions() {
    let asked =
        chat(json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello."}]));
    let (body, _) = told(C, &asked);
    assert_eq!(body["instructions"], "Be brief.");
    assert_eq!(body["input"], json!([{"type": "message", "role": "user", "content": "Hello."}]));
}

#[test]
fn several_system_prompts_stay_apart() {
    let asked = chat(
        json!([{"role": "system", "content": "a"}, {"role": "developer", "content": "b"}, {"role": "user", "content": "c"}]),
    );
    let (body, _) = told(C, &asked);
    assert!(body.get("instructions").is_none());
    let roles: Vec<&Value> = body["input"].as_array().unwrap().iter().map(|it| &it["role"]).collect();
    assert_eq!(roles, ["system", "developer", "user"]);
}

#[test]
fn ec_012_the_billing_header_is_left_out() {
    let (body, encoded) = told(A, &claude_code());
    assert_eq!(body["instructions"], "You are Claude Code.");
    assert!(!body.to_string().contains("cch="));
    assert!(noted(&encoded, "/system/0").is_some());
}

#[test]
fn ec_157_a_system_prompt_alone_is_what_the_user_says() {
    let (body, _) = told(C, &chat(json!([{"role": "system", "content": "Be brief."}])));
    assert_eq!(body["input"][0]["role"], "user");
}

#[test]
fn ec_166_where_there_is_no_system_role_it_is_told_as_developer() {
    let abilities = Abilities { system_role: false, ..able() };
    let asked = input(json!([{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]));
    let (body, _) = tell(R, R, &asked, &abilities);
    assert_eq!(body["input"][0]["role"], "developer");
    assert_eq!(told(R, &asked).0["input"][0]["role"], "system");
}

#[test]
fn ec_026_ids_that_nobody_stored_are_left_out_unless_the_state_is_there() {
    let items = |encrypted: Value| {
        let asked = input(json!([
            {"role": "user", "content": "x"},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": encrypted},
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
             "content": [{"type": "output_text", "text": "y", "annotations": []}]},
            {"role": "user", "content": "z"},
        ]));
        told(R, &with(asked, json!({"store": false})))
    };
    let (body, encoded) = items(json!("abc"));
    assert_eq!((&body["input"][1]["id"], &body["input"][2]["id"]), (&json!("rs_1"), &json!("msg_1")));
    assert!(encoded.losses.is_empty(), "{:?}", encoded.losses);
    let (body, encoded) = items(Value::Null);
    assert_eq!(kinds(&body), ["message", "message", "message"]);
    assert!(body["input"][1].get("id").is_none());
    assert!(noted(&encoded, "/input/1").is_some() && noted(&encoded, "/input/2/id").is_some());
}

#[test]
fn ec_026_a_stored_item_is_found_by_its_id() {
    let asked = input(json!([
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "message", "id": "msg_1", "role": "assistant", "content": "y"},
        {"role": "user", "content": "z"},
    ]));
    let (body, _) = told(R, &asked);
    assert_eq!((&body["input"][0]["id"], &body["input"][1]["id"]), (&json!("rs_1"), &json!("msg_1")));
}

#[test]
fn ec_027_thinking_that_led_to_nothing_is_left_out() {
    let asked = input(json!([
        {"role": "user", "content": "x"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "abc"},
        {"role": "user", "content": "z"},
    ]));
    let (body, encoded) = told(R, &asked);
    assert_eq!(kinds(&body), ["message", "message"]);
    assert!(noted(&encoded, "/input/1").is_some());
}

#[test]
fn ec_028_a_call_that_was_interrupted_gets_a_result() {
    let asked = messages(json!([
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "read", "input": {}}]},
        {"role": "user", "content": "Stop."},
    ]));
    let (body, encoded) = told(A, &asked);
    assert_eq!(kinds(&body), ["message", "function_call", "function_call_output", "message"]);
    assert!(body["input"][2]["output"].as_str().unwrap().starts_with("Error: "));
    assert!(is_semantic(&encoded, "/messages/1"));
    let asked = input(
        json!([{"type": "function_call", "call_id": "c", "name": "read", "arguments": "{}"}, {"role": "user", "content": "Stop."}]),
    );
    assert_eq!(kinds(&told(R, &asked).0), ["function_call", "function_call_output", "message"]);
}

#[test]
fn ec_042_the_state_of_thinking_comes_back_as_a_reasoning_item() {
    let asked = messages(json!([
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "carrier"},
            {"type": "tool_use", "id": "toolu_1", "name": "read", "input": {"a": 1}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "y"}]},
    ]));
    let mut request = decode(A, &asked);
    // What the state filter does with a carrier of ours.
    let PartKind::Reasoning { state, .. } = &mut request.conversation.turns[1].parts[0].kind else {
        panic!()
    };
    *state = Some(OpaqueState { dialect: R, kind: StateKind::Encrypted, data: "gAAAA".to_owned() });
    let encoded = try_tell(&request, R, &able()).unwrap();
    let body: Value = serde_json::from_slice(&encoded.body).unwrap();
    let expected = json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "gAAAA"});
    assert_eq!(body["input"][1], expected);
    assert_eq!(body["include"], json!(["reasoning.encrypted_content"]));
    assert_eq!(body["store"], false);
}

#[test]
fn ec_044_thinking_with_another_dialects_state_is_left_out() {
    let asked = messages(json!([
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "sig"}, {"type": "text", "text": "y"}]},
        {"role": "user", "content": "z"},
    ]));
    let (body, encoded) = told(A, &asked);
    assert_eq!(kinds(&body), ["message", "message", "message"]);
    assert!(!body.to_string().contains("sig\""));
    assert!(noted(&encoded, "/messages/1/content/0").is_some());
}

#[test]
fn ec_054_and_ec_056_ids_are_short_and_the_same_on_both_sides() {
    let id = "toolu_".to_owned() + &"x".repeat(90);
    let asked = messages(json!([
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": "read", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "y"}]},
    ]));
    let (body, _) = told(A, &asked);
    let called = body["input"][1]["call_id"].as_str().unwrap();
    assert!(called.len() <= 64);
    assert_eq!(body["input"][2]["call_id"], called);
}

#[test]
fn ec_057_and_ec_167_this_dialect_is_told_items_as_they_stood() {
    let asked = input(json!([
        {"type": "function_call", "call_id": "a", "name": "read", "arguments": "{}", "role": "assistant"},
        {"role": "user", "content": "Meanwhile."},
        {"type": "function_call_output", "call_id": "a", "output": "y"},
        {"type": "computer_call", "call_id": "b", "id": "cu_1", "action": {"type": "click", "x": 1, "y": 2}},
        {"role": "user", "content": "z"},
    ]));
    let (body, encoded) = told(R, &asked);
    assert_eq!(
        kinds(&body),
        ["function_call", "message", "function_call_output", "computer_call", "message"]
    );
    assert_eq!((&body["input"][0]["role"], &body["input"][3]), (&json!("assistant"), &asked["input"][3]));
    assert!(encoded.losses.is_empty(), "{:?}", encoded.losses);
}

/// Parts of what the assistant said are for messages with an id, says the published type.
#[test]
fn a_message_without_an_id_holds_text_not_parts() {
    let (body, _) = told(
        C,
        &chat(json!([
            {"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}, {"role": "user", "content": "z"},
        ])),
    );
    assert_eq!(body["input"][1], json!({"type": "message", "role": "assistant", "content": "y"}));
}

#[test]
fn ec_168_the_phase_comes_back() {
    let asked = input(json!([
        {"role": "assistant", "phase": "commentary", "content": "a"},
        {"type": "message", "role": "assistant", "phase": "final_answer", "content": [{"type": "output_text", "text": "b", "annotations": []}, {"type": "refusal", "refusal": "c"}]},
        {"role": "user", "content": "z"},
    ]));
    let (body, _) = told(R, &asked);
    let phases: Vec<&Value> = body["input"].as_array().unwrap().iter().map(|it| &it["phase"]).collect();
    assert_eq!(phases, [&json!("commentary"), &json!("final_answer"), &Value::Null]);
    assert_eq!(body["input"][1]["content"].as_array().unwrap().len(), 2);
}

#[test]
fn ec_106_and_ec_107_documents_and_images_are_told() {
    let asked = messages(json!([{"role": "user", "content": [
        {"type": "document", "title": "A paper", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjcK"}},
        {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB"}},
    ]}]));
    let (body, _) = told(A, &asked);
    let parts = &body["input"][0]["content"];
    assert_eq!(
        parts[0],
        json!({"type": "input_file", "file_data": "data:application/pdf;base64,JVBERi0xLjcK", "filename": "A paper"})
    );
    assert_eq!(parts[1], json!({"type": "input_file", "file_url": "https://example.com/a.pdf"}));
    assert_eq!(parts[2]["detail"], "auto");
    assert!(parts[2]["image_url"].as_str().unwrap().starts_with("data:image/png;base64,"));
}

#[test]
fn sound_is_refused_by_name_where_it_is_not_heard() {
    let audio = json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}});
    let request = decode(C, &chat(json!([{"role": "user", "content": [audio]}])));
    let refused = try_tell(&request, R, &able()).unwrap_err();
    assert_eq!(refused.at, "/messages/0/content/0");
    assert!(refused.message.contains("audio"));
    assert!(try_tell(&request, R, &Abilities { audio: true, ..able() }).is_ok());
}

#[test]
fn ec_196_a_failed_result_says_so_in_its_text() {
    let result = |content: Value| {
        let asked = messages(json!([
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "read", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "is_error": true, "content": content}]},
        ]));
        told(A, &asked).0["input"][2]["output"].clone()
    };
    assert_eq!(result(json!("no such file")), "Error: no such file");
    assert_eq!(result(json!("error: no such file")), "error: no such file");
    assert_eq!(result(json!([{"type": "text", "text": "gone"}]))[0]["text"], "Error: gone");
}

#[test]
fn ec_033_and_ec_041_nothing_empty_is_told() {
    let asked = messages(json!([
        {"role": "user", "content": [{"type": "text", "text": " "}, {"type": "text", "text": "x"}]},
        {"role": "assistant", "content": [{"type": "text", "text": ""}, {"type": "tool_use", "id": "t", "name": "read", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]},
    ]));
    let (body, _) = told(A, &asked);
    assert_eq!(kinds(&body), ["message", "function_call", "function_call_output"]);
    assert_eq!(body["input"][0]["content"].as_array().unwrap().len(), 1);
    assert_eq!((&body["input"][1]["arguments"], &body["input"][2]["output"]), (&json!("{}"), &json!("")));
}

#[test]
fn ec_046_a_begun_answer_is_dropped_with_a_note() {
    let asked = chat(json!([{"role": "user", "content": "x"}, {"role": "assistant", "content": "Well,"}]));
    let (body, encoded) = tell(C, R, &asked, &Abilities { prefill: false, ..able() });
    assert_eq!(kinds(&body), ["message"]);
    assert!(is_semantic(&encoded, "/messages/1"));
}

#[test]
fn what_the_upstream_holds_may_have_the_calls() {
    for fields in [json!({"previous_response_id": "resp_1"}), json!({"conversation": "conv_1"}), json!({})] {
        let mut items = json!([
            {"type": "custom_tool_call_output", "call_id": "a", "output": "x"},
            {"type": "function_call_output", "call_id": "b", "output": "y"},
        ]);
        if fields == json!({}) {
            items.as_array_mut().unwrap().insert(0, json!({"type": "item_reference", "id": "fc_1"}));
        }
        let (body, encoded) = told(R, &with(input(items.clone()), fields));
        assert_eq!(body["input"], items);
        assert!(encoded.losses.is_empty());
    }
}
