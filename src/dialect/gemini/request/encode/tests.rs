#![expect(clippy::needless_pass_by_value, reason = "a `json!` is handed over as it is written")]

use serde_json::{Value, json};

use super::{signatures::SENTINEL, *};
use crate::{
    catalog::model::{BudgetRange, Effort, SchemaProfile, ThinkingControl},
    dialect::DialectId,
};

const CHAT: DialectId = DialectId::OpenaiChat;
const MESSAGES: DialectId = DialectId::AnthropicMessages;

/// A model like Gemini 3.
fn able() -> Abilities {
    Abilities {
        audio: true,
        thinking: ThinkingControl::GeminiLevel,
        efforts: vec![Effort::Low, Effort::High],
        thinking_can_be_off: false,
        prefill: false,
        max_stops: 5,
        thought_signatures: true,
        tool_result_media: true,
        ..Abilities::default()
    }
}

/// A model like Gemini 2.5 Flash.
fn older() -> Abilities {
    Abilities {
        thinking: ThinkingControl::GeminiBudget,
        thinking_budget: Some(BudgetRange { least: 0, most: 24_576 }),
        thinking_can_be_off: true,
        prefill: true,
        thought_signatures: false,
        tool_result_media: false,
        schema: SchemaProfile::OpenApi,
        json_with_tools: false,
        server_tools_with_functions: false,
        media_urls: false,
        ..able()
    }
}

fn try_tell(from: DialectId, asked: &Value, abilities: &Abilities) -> Result<Encoded, EncodeError> {
    let asked = from.server().decode_request(asked.to_string().as_bytes()).unwrap();
    request(&asked, &UpstreamModel::parse("m").unwrap(), abilities)
}

fn tell(from: DialectId, asked: &Value, abilities: &Abilities) -> (Value, Vec<Loss>) {
    let encoded = try_tell(from, asked, abilities).unwrap();
    (serde_json::from_slice(&encoded.body).unwrap(), encoded.losses)
}

fn chat(messages: Value) -> Value {
    json!({"model": "m", "messages": messages})
}

/// A Chat request with more fields.
fn chat_with(fields: Value) -> Value {
    let mut body = chat(json!([{"role": "user", "content": "a"}]));
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

fn call(id: &str, name: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

fn called(calls: Vec<Value>, results: &[(&str, &str)]) -> Value {
    let mut messages =
        vec![json!({"role": "user", "content": "a"}), json!({"role": "assistant", "tool_calls": calls})];
    messages
        .extend(results.iter().map(|(id, it)| json!({"role": "tool", "tool_call_id": id, "content": it})));
    chat(Value::Array(messages))
}

fn tool(name: &str, parameters: Value) -> Value {
    json!({"type": "function", "function": {"name": name, "parameters": parameters}})
}

#[test]
fn ec_002_the_first_unsigned_call_of_each_step_gets_the_sentinel() {
    let messages = json!([
        {"role": "user", "content": "before"},
        {"role": "assistant", "tool_calls": [call("o", "f", "{}")]},
        {"role": "tool", "tool_call_id": "o", "content": "x"},
        {"role": "assistant", "content": "done"},
        {"role": "user", "content": "now"},
        {"role": "assistant", "content": "so", "tool_calls": [call("a", "f", "{}"), call("b", "f", "{}")]},
        {"role": "tool", "tool_call_id": "a", "content": "x"},
        {"role": "tool", "tool_call_id": "b", "content": "x"},
        {"role": "assistant", "tool_calls": [call("c", "f", "{}")]},
        {"role": "tool", "tool_call_id": "c", "content": "x"},
    ]);
    let (body, losses) = tell(CHAT, &chat(messages.clone()), &able());
    let signature =
        |content: usize, part: usize| body["contents"][content]["parts"][part]["thoughtSignature"].clone();
    assert_eq!(signature(1, 0), Value::Null, "an earlier turn is not checked");
    assert_eq!((signature(5, 1), signature(5, 2)), (json!(SENTINEL), Value::Null));
    assert_eq!(signature(7, 0), json!(SENTINEL));
    assert_eq!(losses.iter().filter(|it| it.action == crate::dialect::LossAction::Synthesized).count(), 2);
    let (body, _) = tell(CHAT, &chat(messages), &older());
    assert!(!body.to_string().contains(SENTINEL));
}

#[test]
fn ec_162_and_ec_051_own_signatures_stay_on_their_parts() {
    let parts = json!([
        {"text": "hm", "thought": true, "thoughtSignature": "QQ=="}, {"text": "so", "thoughtSignature": "Qg=="},
        {"functionCall": {"id": "a", "name": "f", "args": {}}, "thoughtSignature": "Qw=="},
        {"functionCall": {"id": "b", "name": "f", "args": {}}}, {"text": "", "thoughtSignature": "RA=="}]);
    let response =
        |id: &str| json!({"functionResponse": {"id": id, "name": "f", "response": {"output": "x"}}});
    let asked = json!({"contents": [{"role": "user", "parts": [{"text": "a"}]}, {"role": "model", "parts": parts},
        {"role": "user", "parts": [response("a"), response("b")]}]});
    let (body, losses) = tell(DialectId::Gemini, &asked, &able());
    assert_eq!(body, asked);
    assert_eq!(losses, []);
}

#[test]
fn ec_161_and_ec_104_the_thoughts_of_others_are_left_out() {
    let asked = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "a"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hidden", "signature": "QUJD"},
            {"type": "redacted_thinking", "data": "QUJD"}, {"type": "text", "text": "b"}]},
        {"role": "user", "content": "c"}]});
    let (body, losses) = tell(MESSAGES, &asked, &able());
    assert_eq!(body["contents"][1]["parts"], json!([{"text": "b"}]));
    assert!(!body.to_string().contains("QUJD") && !body.to_string().contains("hidden"));
    assert_eq!(losses.iter().filter(|it| it.at.starts_with("/messages/1")).count(), 2);
    let spoken = json!({"contents": [{"role": "user", "parts": [{"text": "a"}]},
        {"role": "model", "parts": [{"text": "hidden", "thought": true}, {"text": "b"}]}, {"role": "user", "parts": [{"text": "c"}]}]});
    let request = DialectId::Gemini.server().decode_request(spoken.to_string().as_bytes()).unwrap();
    for target in [CHAT, MESSAGES] {
        let told = target.client().encode_request(
            &request,
            &UpstreamModel::parse("m").unwrap(),
            &Abilities::default(),
        );
        assert!(!String::from_utf8_lossy(&told.unwrap().body).contains("hidden"), "{}", target.name());
    }
}

#[test]
fn ec_011_and_ec_010_results_stand_together_in_the_order_of_their_calls() {
    let calls = vec![call("a", "read", "{}"), call("b", "read", "{}"), call("c", "list", "{}")];
    let asked = called(calls, &[("c", "3"), ("a", "{\"x\": 1.5}"), ("b", "2")]);
    let (body, _) = tell(CHAT, &asked, &able());
    let parts = body["contents"][2]["parts"].as_array().unwrap();
    assert_eq!(body["contents"].as_array().unwrap().len(), 3);
    let expected = json!([
        {"functionResponse": {"id": "a", "name": "read", "response": {"x": 1.5}}},
        {"functionResponse": {"id": "b", "name": "read", "response": {"output": "2"}}},
        {"functionResponse": {"id": "c", "name": "list", "response": {"output": "3"}}}]);
    assert_eq!(json!(parts), expected);
}

#[test]
fn ec_154_ids_are_left_out_where_they_are_refused() {
    let asked = called(vec![call("a", "f", "{}")], &[("a", "x")]);
    let (body, _) = tell(CHAT, &asked, &Abilities { call_ids: false, ..able() });
    assert_eq!(body["contents"][1]["parts"][0]["functionCall"], json!({"name": "f", "args": {}}));
    assert!(body["contents"][2]["parts"][0]["functionResponse"].get("id").is_none());
    let (body, _) = tell(CHAT, &asked, &able());
    assert_eq!(body["contents"][2]["parts"][0]["functionResponse"]["id"], "a");
}

#[test]
fn ec_028_and_ec_029_calls_and_results_are_paired() {
    let (body, losses) = tell(CHAT, &called(vec![call("a", "f", "{}")], &[]), &able());
    let response = &body["contents"][2]["parts"][0]["functionResponse"]["response"];
    assert!(response["error"].as_str().unwrap().contains("interrupted"));
    assert!(losses.iter().any(|it| it.severity == Severity::Semantic));
    let orphan =
        json!([{"role": "user", "content": "a"}, {"role": "tool", "tool_call_id": "x", "content": "lost"}]);
    let (body, losses) = tell(CHAT, &chat(orphan), &able());
    assert!(body["contents"].to_string().contains("lost") && !body.to_string().contains("functionResponse"));
    assert!(!losses.is_empty());
}

#[test]
fn ec_014_a_system_turn_between_others_becomes_a_reminder_after_the_results() {
    let mut asked = called(vec![call("a", "f", "{}")], &[("a", "x")]);
    let messages = asked["messages"].as_array_mut().unwrap();
    messages.insert(2, json!({"role": "system", "content": "mind"}));
    messages.insert(0, json!({"role": "system", "content": "lead"}));
    let (body, losses) = tell(CHAT, &asked, &able());
    assert_eq!(body["systemInstruction"], json!({"parts": [{"text": "lead"}]}));
    let parts = &body["contents"][2]["parts"];
    assert!(parts[0].get("functionResponse").is_some());
    assert_eq!(parts[1]["text"], "<system-reminder>\nmind\n</system-reminder>");
    assert!(losses.iter().any(|it| it.at == "/messages/3"), "{losses:?}");
}

#[test]
fn ec_157_only_a_system_prompt_is_what_the_user_says() {
    let (body, losses) = tell(CHAT, &chat(json!([{"role": "system", "content": "s"}])), &able());
    assert_eq!(body, json!({"contents": [{"role": "user", "parts": [{"text": "s"}]}]}));
    assert_eq!(losses.len(), 1);
}

#[test]
fn ec_158_equal_roles_are_one_and_the_user_begins() {
    let asked = json!([{"role": "assistant", "content": "hello"}, {"role": "user", "content": "a"},
        {"role": "user", "content": ""}, {"role": "user", "content": "b"}]);
    let (body, losses) = tell(CHAT, &chat(asked), &able());
    let roles: Vec<&str> =
        body["contents"].as_array().unwrap().iter().map(|it| it["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "model", "user"]);
    assert_eq!(body["contents"][2]["parts"], json!([{"text": "a"}, {"text": "b"}]));
    assert_eq!(losses.len(), 1);
}

#[test]
fn ec_046_a_prefill_is_dropped_where_it_cannot_be_continued() {
    let asked = chat(json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "{"}]));
    let (body, losses) = tell(CHAT, &asked, &able());
    assert_eq!(body["contents"].as_array().unwrap().len(), 1);
    assert!(losses.iter().any(|it| it.at == "/messages/1" && it.severity == Severity::Semantic));
    assert_eq!(tell(CHAT, &asked, &older()).0["contents"].as_array().unwrap().len(), 2);
}

#[test]
fn ec_142_and_ec_143_arguments_are_an_object_whose_numbers_keep_their_text() {
    for (arguments, args) in [
        (r#"{"a":9007199254740993,"b":10.0,"c":1}"#, r#"{"a":9007199254740993,"b":10.0,"c":1}"#),
        (r#""{\"a\":1}""#, r#"{"a":1}"#),
        ("[1]", r#"{"_raw":"[1]"}"#),
    ] {
        let encoded =
            try_tell(CHAT, &called(vec![call("a", "f", arguments)], &[("a", "x")]), &able()).unwrap();
        assert!(String::from_utf8_lossy(&encoded.body).contains(&format!("\"args\":{args}")), "{arguments}");
    }
}

#[test]
fn ec_188_arguments_named_like_keywords_are_untouched() {
    let arguments = r##"{"$ref":"#/a","additionalProperties":false,"type":["x"],"const":null}"##;
    let mut asked = called(vec![call("a", "f", arguments)], &[("a", "x")]);
    asked["tools"] =
        json!([tool("f", json!({"type": "object", "properties": {"$ref": {"type": "string"}}}))]);
    let encoded = try_tell(CHAT, &asked, &older()).unwrap();
    assert!(String::from_utf8_lossy(&encoded.body).contains(arguments));
}

#[test]
fn ec_030_a_schema_is_reduced_only_where_it_must_be() {
    let schema =
        json!({"type": "object", "properties": {"a": {"const": "x"}}, "additionalProperties": false});
    let asked = chat_with(
        json!({"tools": [tool("f", schema.clone()), tool("g", json!({"type": "object", "properties": {}}))]}),
    );
    let (body, losses) = tell(CHAT, &asked, &able());
    let declared = &body["tools"][0]["functionDeclarations"];
    assert_eq!((&declared[0]["parametersJsonSchema"], losses.len()), (&schema, 0));
    let (body, losses) = tell(CHAT, &asked, &older());
    let declared = &body["tools"][0]["functionDeclarations"];
    let reduced = json!({"type": "OBJECT", "properties": {"a": {"type": "STRING", "enum": ["x"]}}});
    assert_eq!(declared[0]["parameters"], reduced);
    assert_eq!(declared[1], json!({"name": "g"}));
    assert!(losses.iter().any(|it| it.at == "/tools/0"), "{losses:?}");
}

#[test]
fn ec_008_a_tool_of_free_text_becomes_a_function() {
    let custom = json!({"type": "custom", "custom": {"name": "patch", "description": "Patches.",
        "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: X"}}}});
    let encoded = try_tell(CHAT, &chat_with(json!({"tools": [custom]})), &able()).unwrap();
    let body: Value = serde_json::from_slice(&encoded.body).unwrap();
    let declared = &body["tools"][0]["functionDeclarations"][0];
    assert!(declared["description"].as_str().unwrap().contains("start: X"));
    assert_eq!(declared["parametersJsonSchema"]["required"], json!(["input"]));
    assert!(encoded.recall.custom_tools.contains("patch"));
}

#[test]
fn choices_become_modes() {
    let tools = json!([tool("f", json!({"type": "object"})), tool("g.h", json!({"type": "object"}))]);
    for (choice, config) in [
        (json!("auto"), json!({"mode": "AUTO"})),
        (json!("none"), json!({"mode": "NONE"})),
        (json!("required"), json!({"mode": "ANY"})),
        (
            json!({"type": "function", "function": {"name": "g.h"}}),
            json!({"mode": "ANY", "allowedFunctionNames": ["g.h"]}),
        ),
    ] {
        let (body, _) = tell(CHAT, &chat_with(json!({"tools": tools, "tool_choice": choice})), &able());
        assert_eq!(body["toolConfig"]["functionCallingConfig"], config);
    }
    let (body, losses) = tell(CHAT, &chat_with(json!({"tool_choice": "required"})), &able());
    assert!(body.get("toolConfig").is_none());
    assert!(losses.iter().any(|it| it.at == "/tool_choice"));
}

#[test]
fn a_search_beside_functions_gives_way_where_it_must() {
    let asked = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "a"}], "tools": [
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 2},
        {"name": "f", "input_schema": {"type": "object"}}]});
    let (body, _) = tell(MESSAGES, &asked, &able());
    assert_eq!(body["tools"][0], json!({"googleSearch": {}}));
    assert_eq!(body["toolConfig"]["includeServerSideToolInvocations"], true);
    let (body, losses) = tell(MESSAGES, &asked, &older());
    assert_eq!(body["tools"].as_array().unwrap().len(), 1);
    assert!(losses.iter().any(|it| it.at == "/tools/0" && it.severity == Severity::Semantic));
}

#[test]
fn ec_089_a_schema_of_the_answer_is_told() {
    let schema = json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "string"}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
    let asked = chat_with(json!({"response_format": format}));
    let (body, _) = tell(CHAT, &asked, &able());
    let expected = json!({"responseMimeType": "application/json", "responseJsonSchema": schema});
    assert_eq!(body["generationConfig"], expected);
    let (body, losses) = tell(CHAT, &asked, &older());
    let inlined = json!({"type": "OBJECT", "properties": {"a": {"type": "STRING"}}});
    assert_eq!(body["generationConfig"]["responseSchema"], inlined);
    assert!(losses.iter().any(|it| it.at == "/response_format"));
}

#[test]
fn ec_090_beside_functions_an_older_model_is_asked_for_json() {
    let asked = chat_with(
        json!({"response_format": {"type": "json_object"}, "tools": [tool("f", json!({"type": "object"}))]}),
    );
    let (body, losses) = tell(CHAT, &asked, &older());
    assert!(body.get("generationConfig").is_none());
    assert!(body["systemInstruction"]["parts"][0]["text"].as_str().unwrap().contains("JSON"));
    assert!(losses.iter().any(|it| it.at == "/response_format" && it.severity == Severity::Semantic));
    let (body, _) = tell(CHAT, &asked, &able());
    assert_eq!(body["generationConfig"]["responseMimeType"], "application/json");
}

#[test]
fn ec_094_of_many_stops_the_first_five_are_told() {
    let (body, losses) = tell(CHAT, &chat_with(json!({"stop": ["1", "2", "3", "4", "5", "6"]})), &able());
    assert_eq!(body["generationConfig"]["stopSequences"], json!(["1", "2", "3", "4", "5"]));
    assert_eq!(losses[0].at, "/stop");
    let (body, _) = tell(CHAT, &chat_with(json!({"stop": "x"})), &able());
    assert_eq!(body["generationConfig"]["stopSequences"], json!(["x"]));
    let (body, _) = tell(CHAT, &chat_with(json!({"stop": null})), &able());
    assert!(body.get("generationConfig").is_none());
}

#[test]
fn ec_193_several_choices_are_candidates_and_sampling_is_told() {
    let asked = chat_with(
        json!({"n": 3, "temperature": 3, "top_p": 0.5, "seed": 9_000_000_000_u64, "logprobs": true,
        "top_logprobs": 40, "presence_penalty": 0.5, "logit_bias": {"1": 2}, "verbosity": "low", "max_tokens": 7}),
    );
    let (body, losses) = tell(CHAT, &asked, &able());
    let config = &body["generationConfig"];
    assert_eq!(
        (&config["candidateCount"], &config["temperature"], &config["topP"]),
        (&json!(3), &json!(2.0), &json!(0.5))
    );
    assert_eq!((&config["responseLogprobs"], &config["logprobs"]), (&json!(true), &json!(20)));
    assert!(config["seed"].as_u64().unwrap() <= 2_147_483_647);
    let noted: Vec<&str> = losses.iter().map(|it| it.at.as_str()).collect();
    for at in ["/temperature", "/seed", "/top_logprobs", "/logit_bias", "/verbosity"] {
        assert!(noted.contains(&at), "{at}: {noted:?}");
    }
}

#[test]
fn ec_048_and_ec_047_thinking_is_lowered_once() {
    let config = |effort: &str, abilities: &Abilities| {
        tell(CHAT, &chat_with(json!({"reasoning_effort": effort})), abilities).0["generationConfig"]["thinkingConfig"].clone()
    };
    let pro = Abilities {
        thinking_budget: Some(BudgetRange { least: 128, most: 32_768 }),
        thinking_can_be_off: false,
        ..older()
    };
    for (effort, abilities, expected) in [
        ("xhigh", able(), json!({"thinkingLevel": "HIGH", "includeThoughts": true})),
        ("medium", able(), json!({"thinkingLevel": "LOW", "includeThoughts": true})),
        ("minimal", able(), json!({"thinkingLevel": "LOW", "includeThoughts": true})),
        ("none", able(), json!({"thinkingLevel": "LOW"})),
        ("minimal", older(), json!({"thinkingBudget": 512, "includeThoughts": true})),
        ("high", older(), json!({"thinkingBudget": 24576, "includeThoughts": true})),
        ("max", older(), json!({"thinkingBudget": 24576, "includeThoughts": true})),
        ("none", older(), json!({"thinkingBudget": 0})),
        ("none", pro, json!({"thinkingBudget": 128})),
    ] {
        assert_eq!(config(effort, &abilities), expected, "{effort}");
    }
    let asked = json!({"model": "m", "max_tokens": 4096, "thinking": {"type": "enabled", "budget_tokens": 2000},
        "messages": [{"role": "user", "content": "a"}]});
    let (body, _) = tell(MESSAGES, &asked, &older());
    assert_eq!(
        body["generationConfig"]["thinkingConfig"],
        json!({"thinkingBudget": 2000, "includeThoughts": true})
    );
    let own = json!({"contents": [{"role": "user", "parts": [{"text": "a"}]}],
        "generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW", "thinkingBudget": 9}}});
    let (body, losses) = tell(DialectId::Gemini, &own, &able());
    assert_eq!(body["generationConfig"]["thinkingConfig"], json!({"thinkingLevel": "LOW"}));
    assert_eq!(losses.len(), 1);
}

fn media(part: Value) -> Value {
    chat(json!([{"role": "user", "content": [part]}]))
}

#[test]
fn ec_107_a_data_url_is_inline_data() {
    let url = "data:image/jpg;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB";
    let (body, _) = tell(CHAT, &media(json!({"type": "image_url", "image_url": {"url": url}})), &older());
    let data = json!({"mimeType": "image/png", "data": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB"});
    assert_eq!(body["contents"][0]["parts"][0]["inlineData"], data);
}

#[test]
fn ec_108_an_address_is_told_or_refused_and_never_passed_over() {
    let asked = media(json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}));
    let refused = try_tell(CHAT, &asked, &older()).unwrap_err();
    assert_eq!(refused.at, "/messages/0/content/0");
    let (body, _) = tell(CHAT, &asked, &able());
    let file = json!({"mimeType": "image/png", "fileUri": "https://example.com/a.png"});
    assert_eq!(body["contents"][0]["parts"][0]["fileData"], file);
}

#[test]
fn ec_153_and_ec_152_sounds_films_and_files_are_told() {
    let parts = [
        (
            json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}),
            "inlineData",
            "audio/wav",
        ),
        (json!({"type": "video_url", "video_url": {"url": "https://a.b/c.mp4"}}), "fileData", "video/mp4"),
        (
            json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjc="}}),
            "inlineData",
            "application/pdf",
        ),
    ];
    for (part, key, kind) in parts {
        let (body, _) = tell(CHAT, &media(part), &able());
        assert_eq!(body["contents"][0]["parts"][0][key]["mimeType"], kind);
    }
    let deaf = Abilities { audio: false, ..able() };
    let (body, losses) = tell(
        CHAT,
        &media(json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}})),
        &deaf,
    );
    assert!(body["contents"][0]["parts"][0]["text"].as_str().unwrap().contains("left out"));
    assert_eq!(losses[0].severity, Severity::Semantic);
}

#[test]
fn ec_155_a_file_in_cloud_storage_needs_its_type() {
    let asked = |uri: &str| media(json!({"type": "image_url", "image_url": {"url": uri}}));
    assert!(try_tell(CHAT, &asked("gs://bucket/a"), &able()).unwrap_err().message.contains("media type"));
    let (body, _) = tell(CHAT, &asked("gs://bucket/a.webp"), &older());
    assert_eq!(body["contents"][0]["parts"][0]["fileData"]["mimeType"], "image/webp");
}

#[test]
fn ec_032_media_of_a_result_stand_in_it_or_beside_it() {
    let asked = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "a"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}]}]}]});
    let (body, _) = tell(MESSAGES, &asked, &able());
    let response = &body["contents"][2]["parts"][0]["functionResponse"];
    assert_eq!(response["parts"][0]["inlineData"]["mimeType"], "image/png");
    let (body, losses) = tell(MESSAGES, &asked, &older());
    let parts = body["contents"][2]["parts"].as_array().unwrap();
    assert!(parts[0].get("functionResponse").is_some() && parts[1].get("inlineData").is_some());
    assert!(!losses.is_empty());
}

#[test]
fn ec_156_cached_content_stands_alone() {
    let asked = json!({"cachedContent": "cachedContents/a", "systemInstruction": {"parts": [{"text": "s"}]},
        "contents": [{"role": "user", "parts": [{"text": "a"}]}], "tools": [{"functionDeclarations": [{"name": "f"}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}});
    let (body, losses) = tell(DialectId::Gemini, &asked, &able());
    let kept: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(kept, ["contents", "cachedContent"]);
    assert_eq!(losses.len(), 3);
}

#[test]
fn what_was_written_without_an_id_goes_back_without_one() {
    let asked = json!({"contents": [{"role": "user", "parts": [{"text": "a"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "f"}, "thoughtSignature": "QQ=="}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"result": {"b": [1]}}}}]}]});
    assert_eq!(tell(DialectId::Gemini, &asked, &able()), (asked, vec![]));
}

#[test]
fn bookkeeping_is_noted() {
    let asked =
        chat_with(json!({"user": "u", "metadata": {"a": "b"}, "store": true, "prompt_cache_key": "k",
        "service_tier": "default", "parallel_tool_calls": false}));
    let (body, losses) = tell(CHAT, &asked, &able());
    assert_eq!(body["serviceTier"], "standard");
    let noted: Vec<&str> = losses.iter().map(|it| it.at.as_str()).collect();
    for at in ["/user", "/metadata", "/store", "/prompt_cache_key", "/service_tier", "/parallel_tool_calls"] {
        assert!(noted.contains(&at), "{at}");
    }
}

#[test]
fn ec_012_the_billing_header_is_not_told() {
    let asked = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "a"}], "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2; cch=1"}, {"type": "text", "text": "s"}]});
    let (body, losses) = tell(MESSAGES, &asked, &able());
    assert_eq!(body["systemInstruction"], json!({"parts": [{"text": "s"}]}));
    assert_eq!(losses[0].at, "/system/0");
}
