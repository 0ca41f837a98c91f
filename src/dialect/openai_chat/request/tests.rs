use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    catalog::{
        Abilities, UpstreamModel,
        model::{Effort, MaxTokensField, SamplingFields, StructuredOutput, ThinkingControl},
    },
    dialect::{
        ChatRequest, ClientCodec, DecodeError, DialectId, Encoded, Loss, LossAction, ServerCodec, Severity,
        canonical::{
            Arguments, CacheMark, Extra, Media, MediaKind, MediaSource, Part, PartKind, Reasoning,
            ReasoningMode, ReasoningShow, Role, Tool, ToolCall, ToolChoice, ToolKind, ToolResult, Turn,
        },
        openai_chat::OPENAI_CHAT,
    },
};

fn decode(value: &Value) -> ChatRequest {
    OPENAI_CHAT.decode_request(value.to_string().as_bytes()).unwrap()
}

fn refused(value: &Value) -> DecodeError {
    OPENAI_CHAT.decode_request(value.to_string().as_bytes()).unwrap_err()
}

fn encoded(request: &ChatRequest, abilities: &Abilities) -> (Value, Encoded) {
    let model = UpstreamModel::parse("m").unwrap();
    let encoded = OPENAI_CHAT.encode_request(request, &model, abilities).unwrap();
    (serde_json::from_slice(&encoded.body).unwrap(), encoded)
}

fn encode(value: &Value, abilities: &Abilities) -> (Value, Encoded) {
    encoded(&decode(value), abilities)
}

/// An upstream that takes everything as it is.
fn permissive() -> Abilities {
    Abilities {
        thinking: ThinkingControl::Effort,
        max_tokens_field: MaxTokensField::MaxCompletionTokens,
        forced_tool_while_thinking: true,
        audio: true,
        tool_result_media: true,
        wants_reasoning_back: true,
        developer_role: true,
        custom_tools: true,
        text_parts: true,
        ..Abilities::default()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn request(messages: Value) -> Value {
    json!({ "model": "m", "messages": messages })
}

fn hello() -> Value {
    json!([{"role": "user", "content": "hi"}])
}

/// A request as the Anthropic side makes it.
fn foreign(turns: Vec<Turn>) -> ChatRequest {
    let mut request = decode(&request(hello()));
    request.conversation.turns = turns;
    request
}

fn turn(role: Role, parts: Vec<Part>) -> Turn {
    Turn { role, parts, plain: false, name: None, at: "/messages/0".to_owned(), extra: Extra::default() }
}

fn call(id: &str, name: &str) -> Part {
    Part::new(PartKind::ToolCall(ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: Arguments("{\"a\":1.0}".to_owned()),
        custom: false,
    }))
}

fn result(id: &str, content: Vec<Part>, is_error: Option<bool>) -> Part {
    let result = ToolResult { call_id: id.to_owned(), content, plain: false, is_error };
    Part::new(PartKind::ToolResult(result))
}

fn image() -> Part {
    Part::new(PartKind::Media(Media {
        kind: MediaKind::Image,
        source: MediaSource::Inline("AAAA".to_owned()),
        media_type: Some("image/png".to_owned()),
        name: None,
        detail: None,
    }))
}

fn reasons(losses: &[Loss]) -> Vec<(LossAction, Severity, &str)> {
    losses.iter().map(|it| (it.action, it.severity, it.at.as_str())).collect()
}

#[test]
fn a_full_request_survives_decoding_and_encoding() {
    let whole = json!({
        "model": "m",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "developer", "content": [{"type": "text", "text": "and kind"}]},
            {"role": "user", "name": "ann", "content": [
                {"type": "text", "text": "look", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "format": "x"}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}},
                {"type": "file", "file": {"file_id": "file-1"}},
                {"type": "novel", "novel": {"a": [1.0, 10]}},
            ]},
            {"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "read", "arguments": "{\"n\":10.0}"},
                 "extra_content": {"google": {"thought_signature": "s"}}},
                {"id": "call_2", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}},
            ]},
            {"role": "tool", "tool_call_id": "call_1", "content": "ok"},
            {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "done"}]},
            {"role": "assistant", "content": "", "annotations": []},
            {"role": "assistant", "content": null, "refusal": "no"},
            {"role": "user", "content": "go on", "vendor": {"deep": true}},
        ],
        "tools": [
            {"type": "function", "function": {"name": "read", "description": "d", "strict": true,
             "parameters": {"type": "object", "properties": {"n": {"type": "number", "minimum": 10.0}}}}},
            {"type": "custom", "custom": {"name": "patch", "format": {"type": "text"}}},
            {"type": "web_search_preview", "size": 3},
        ],
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [
            {"type": "function", "function": {"name": "read"}}, {"type": "custom", "custom": {"name": "patch"}}]}},
        "parallel_tool_calls": false,
        "response_format": {"type": "json_schema", "json_schema": {
            "name": "n", "description": "d", "schema": {"type": "object"}, "strict": true, "own": 1}},
        "temperature": 0.70, "top_p": 1, "top_k": 5, "frequency_penalty": 0.5, "presence_penalty": -1,
        "seed": 9_007_199_254_740_993_u64, "logit_bias": {"50256": -100}, "logprobs": true, "top_logprobs": 3,
        "n": 2, "verbosity": "low", "max_completion_tokens": 100, "stop": ["a", "b"],
        "reasoning_effort": "xhigh", "user": "u", "metadata": {"k": "v"}, "service_tier": "flex",
        "prompt_cache_key": "k", "stream": true,
        "stream_options": {"include_usage": true, "include_obfuscation": false},
        "store": false, "modalities": ["text"], "prediction": {"type": "content", "content": "x"},
    });
    let (body, encoded) = encode(&whole, &permissive());
    let mut expected = without_nulls(&whole);
    expected["messages"][6]["content"] = "".into();
    assert_eq!(without_nulls(&body), expected);
    assert_eq!(encoded.losses, []);
    assert!(encoded.recall.names.is_empty());
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .filter(|(_, it)| !it.is_null())
                .map(|(k, it)| (k.clone(), without_nulls(it)))
                .collect(),
        ),
        Value::Array(values) => values.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (value, at) in [
        (json!({"messages": hello()}), "/model"),
        (json!({"model": "m"}), "/messages"),
        (json!({"model": "m", "messages": []}), "/messages"),
        (json!({"model": "m", "messages": "hi"}), "/messages"),
        (request(json!([{"content": "hi"}])), "/messages/0/role"),
        (request(json!([{"role": "bot", "content": "hi"}])), "/messages/0/role"),
        (request(json!([{"role": "user"}])), "/messages/0/content"),
        (request(json!([{"role": "user", "content": 1}])), "/messages/0/content"),
        (request(json!([{"role": "user", "content": [{"type": "text"}]}])), "/messages/0/content/0/text"),
        (
            request(
                json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]}]),
            ),
            "/messages/0/content/0/image_url/url",
        ),
        (request(json!([{"role": "tool", "content": "x"}])), "/messages/0/tool_call_id"),
        (
            request(json!([{"role": "assistant", "tool_calls": [{"id": "a", "function": {}}]}])),
            "/messages/0/tool_calls/0/function/name",
        ),
        (json!({"model": "m", "messages": hello(), "temperature": "hot"}), "/temperature"),
        (json!({"model": "m", "messages": hello(), "n": 0}), "/n"),
        (json!({"model": "m", "messages": hello(), "stop": [1]}), "/stop/0"),
        (json!({"model": "m", "messages": hello(), "reasoning_effort": "much"}), "/reasoning_effort"),
        (json!({"model": "m", "messages": hello(), "tools": [{"type": "function"}]}), "/tools/0/function"),
    ] {
        assert_eq!(refused(&value).at, at, "{value}");
    }
}

#[test]
fn null_is_absent() {
    let request = decode(&json!({
        "model": "m", "messages": [{"role": "user", "content": "hi", "name": null}], "tools": null, "stop": null,
        "temperature": null, "response_format": null, "vendor": null, "stream_options": null, "metadata": null,
    }));
    assert_eq!(request, decode(&self::request(hello())));
}

#[test]
fn ec_008_a_free_text_tool_becomes_a_function_and_is_recalled() {
    let value = json!({
        "model": "m",
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "apply", "input": "a\"b"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "ok"},
        ],
        "tools": [{"type": "custom", "custom": {"name": "apply", "description": "Patch.", "format":
            {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: x"}}}}],
        "tool_choice": {"type": "custom", "custom": {"name": "apply"}},
    });
    let (body, encoded) = encode(&value, &Abilities { custom_tools: false, ..permissive() });
    assert_eq!(body["tools"][0]["function"]["parameters"]["required"], json!(["input"]));
    assert!(body["tools"][0]["function"]["description"].as_str().unwrap().ends_with("start: x"));
    assert_eq!(body["tool_choice"], json!({"type": "function", "function": {"name": "apply"}}));
    let arguments = body["messages"][1]["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
    assert_eq!(arguments, r#"{"input":"a\"b"}"#);
    assert!(encoded.recall.custom_tools.contains("apply"));
}

#[test]
fn ec_012_the_billing_header_is_not_told() {
    let system = turn(
        Role::System,
        vec![
            Part::text("x-anthropic-billing-header: cc_version=1; cch=ab;"),
            Part::text("You are."),
            Part::text("Be."),
        ],
    );
    let (body, encoded) =
        encoded(&foreign(vec![system, turn(Role::User, vec![Part::text("hi")])]), &Abilities::default());
    assert_eq!(body["messages"][0], json!({"role": "system", "content": "You are.\n\nBe."}));
    assert_eq!(reasons(&encoded.losses), [(LossAction::Dropped, Severity::Cosmetic, "/messages/0")]);
}

#[test]
fn a_turn_without_parts_is_told_as_an_empty_text() {
    for text_parts in [true, false] {
        let turns = vec![turn(Role::User, vec![]), turn(Role::User, vec![Part::text("hi")])];
        let (body, _) = encoded(&foreign(turns), &Abilities { text_parts, ..Abilities::default() });
        assert_eq!(body["messages"][0], json!({"role": "user", "content": ""}));
    }
}

#[test]
fn ec_014_a_system_turn_stays_where_it_is() {
    let turns = vec![
        turn(Role::User, vec![Part::text("a")]),
        turn(Role::System, vec![Part::text("b")]),
        turn(Role::User, vec![Part::text("c")]),
    ];
    let (body, _) = encoded(&foreign(turns), &Abilities::default());
    let roles: Vec<&str> =
        body["messages"].as_array().unwrap().iter().map(|it| it["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "system", "user"]);
}

#[test]
fn ec_025_thinking_goes_back_beside_calls_where_it_is_wanted() {
    let thought = |text: &str| Part::new(PartKind::Reasoning { text: text.to_owned(), state: None });
    let turns = |text: &str| {
        vec![
            turn(Role::Assistant, vec![thought(text), call("a", "read")]),
            turn(Role::User, vec![result("a", vec![Part::text("1")], None)]),
            turn(Role::Assistant, vec![thought("more"), Part::text("done")]),
        ]
    };
    let wants = Abilities { wants_reasoning_back: true, ..Abilities::default() };
    let (body, _) = encoded(&foreign(turns("hm")), &wants);
    assert_eq!(body["messages"][0]["reasoning_content"], "hm");
    assert_eq!(body["messages"][2].get("reasoning_content"), None);
    let (body, _) = encoded(&foreign(turns("")), &wants);
    assert_eq!(body["messages"][0]["reasoning_content"], " ");
    let (body, encoded) = encoded(&foreign(turns("hm")), &Abilities::default());
    assert_eq!(body["messages"][0].get("reasoning_content"), None);
    assert_eq!(encoded.losses.len(), 2);
}

#[test]
fn ec_028_and_029_histories_are_repaired() {
    let turns = vec![
        turn(Role::Assistant, vec![call("a", "read")]),
        turn(Role::User, vec![result("gone", vec![Part::text("1")], None)]),
    ];
    let (body, _) = encoded(&foreign(turns), &Abilities::default());
    assert_eq!(body["messages"][1]["role"], "tool");
    assert_eq!(body["messages"][1]["content"], "Error: Tool call was interrupted; no result.");
    assert_eq!(body["messages"][2]["content"], "[result of unknown tool call gone]: 1");
}

#[test]
fn ec_032_images_of_results_follow_the_last_result() {
    let turns = vec![
        turn(Role::Assistant, vec![call("a", "look"), call("b", "look")]),
        turn(
            Role::User,
            vec![
                result("a", vec![Part::text("one"), image()], None),
                result("b", vec![image()], None),
                Part::text("and?"),
            ],
        ),
    ];
    let (body, encoded) = encoded(&foreign(turns.clone()), &Abilities::default());
    let messages = body["messages"].as_array().unwrap();
    let roles: Vec<&str> = messages.iter().map(|it| it["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["assistant", "tool", "tool", "user", "user"]);
    assert_eq!(messages[1]["content"], "one");
    assert_eq!(messages[3]["content"][0]["text"], "Attachments of tool call a");
    assert_eq!(messages[3]["content"][3]["image_url"]["url"], "data:image/png;base64,AAAA");
    assert_eq!(messages[4]["content"], "and?");
    assert!(encoded.losses.iter().all(|it| it.action == LossAction::Moved));
    let able = Abilities { tool_result_media: true, ..Abilities::default() };
    let (body, encoded) = self::encoded(&foreign(turns), &able);
    assert_eq!(body["messages"][1]["content"][1]["type"], "image_url");
    assert_eq!(encoded.losses, []);
}

#[test]
fn ec_041_no_arguments_are_an_empty_object() {
    let value = request(json!([
        {"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"role": "tool", "tool_call_id": "a", "content": ""},
    ]));
    let (body, _) = encode(&value, &permissive());
    assert_eq!(body["messages"][0]["tool_calls"][0]["function"]["arguments"], "{}");
    assert_eq!(body["messages"][1]["content"], "");
}

#[test]
fn ec_045_tool_names_are_mapped_everywhere() {
    let value = json!({
        "model": "m",
        "messages": [
            {"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "fs.read", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "a", "content": "x"},
        ],
        "tools": [{"type": "function", "function": {"name": "fs.read", "parameters": {"type": "object", "properties": {}}}}],
        "tool_choice": {"type": "function", "function": {"name": "fs.read"}},
    });
    let (body, encoded) = encode(&value, &permissive());
    assert_eq!(body["tools"][0]["function"]["name"], "fs_read");
    assert_eq!(body["tool_choice"]["function"]["name"], "fs_read");
    assert_eq!(body["messages"][0]["tool_calls"][0]["function"]["name"], "fs_read");
    assert_eq!(encoded.recall.names["fs_read"], "fs.read");
}

#[test]
fn ec_047_and_048_thinking_is_lowered_to_what_the_model_has() {
    let ask = |mode: ReasoningMode, abilities: &Abilities| {
        let mut request = decode(&request(hello()));
        request.reasoning.mode = mode;
        encoded(&request, abilities)
    };
    let with = |thinking, efforts: &[Effort], off| Abilities {
        thinking,
        efforts: efforts.to_vec(),
        thinking_can_be_off: off,
        ..Abilities::default()
    };
    let levels = [Effort::Low, Effort::Medium, Effort::High];
    let effort = with(ThinkingControl::Effort, &levels, false);
    assert_eq!(ask(ReasoningMode::Effort(Effort::Max), &effort).0["reasoning_effort"], "high");
    assert_eq!(ask(ReasoningMode::Budget(8192), &effort).0["reasoning_effort"], "medium");
    assert_eq!(ask(ReasoningMode::Adaptive(Some(Effort::Minimal)), &effort).0["reasoning_effort"], "low");
    assert_eq!(ask(ReasoningMode::Off, &effort).0["reasoning_effort"], "low");
    assert_eq!(ask(ReasoningMode::Adaptive(None), &effort).0.get("reasoning_effort"), None);
    let off = with(ThinkingControl::Effort, &levels, true);
    assert_eq!(ask(ReasoningMode::Off, &off).0["reasoning_effort"], "none");
    let switch = with(ThinkingControl::ThinkingType, &[], true);
    assert_eq!(ask(ReasoningMode::Off, &switch).0["thinking"], json!({"type": "disabled"}));
    assert_eq!(ask(ReasoningMode::Budget(5000), &switch).0["thinking"], json!({"type": "enabled"}));
    let object = with(ThinkingControl::ReasoningObject, &levels, true);
    assert_eq!(ask(ReasoningMode::Budget(5000), &object).0["reasoning"], json!({"max_tokens": 5000}));
    assert_eq!(ask(ReasoningMode::Effort(Effort::High), &object).0["reasoning"], json!({"effort": "high"}));
    let (body, encoded) = ask(ReasoningMode::Effort(Effort::High), &Abilities::default());
    assert_eq!(body.as_object().unwrap().len(), 2);
    assert_eq!(encoded.losses.len(), 1);
}

#[test]
fn a_model_that_need_not_think_loses_nothing_when_told_not_to() {
    let losses = |off, mode, show| {
        let mut request = decode(&request(hello()));
        request.reasoning = Reasoning { mode, show };
        let abilities = Abilities { thinking_can_be_off: off, ..Abilities::default() };
        encoded(&request, &abilities).1.losses.into_iter().map(|it| it.at).collect::<Vec<_>>()
    };
    let quiet: [&str; 0] = [];
    assert_eq!(losses(true, ReasoningMode::Off, ReasoningShow::Default), quiet);
    assert_eq!(losses(false, ReasoningMode::Off, ReasoningShow::Default), ["/thinking"]);
    assert_eq!(losses(true, ReasoningMode::Default, ReasoningShow::Hidden), ["/thinking/display"]);
}

#[test]
fn ec_049_usage_is_always_asked_for_in_a_stream() {
    let streaming = json!({"model": "m", "messages": hello(), "stream": true});
    let (body, _) = encode(&streaming, &Abilities::default());
    assert_eq!(body["stream_options"], json!({"include_usage": true}));
    let (body, _) = encode(&streaming, &Abilities { stream_options: false, ..Abilities::default() });
    assert_eq!(body.get("stream_options"), None);
}

#[test]
fn ec_059_without_tools_nothing_is_said_of_tools() {
    let value = json!({"model": "m", "messages": hello(), "tools": [], "tool_choice": "auto", "parallel_tool_calls": true});
    let (body, _) = encode(&value, &permissive());
    assert_eq!(body.as_object().unwrap().len(), 2);
}

#[test]
fn ec_085_and_086_choices_of_tools_keep_their_meaning() {
    let mut request = decode(&json!({
        "model": "m", "messages": hello(), "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
    }));
    request.tool_choice = Some(ToolChoice::None);
    request.parallel_tool_calls = Some(false);
    let (body, _) = encoded(&request, &Abilities::default());
    assert_eq!(body["tool_choice"], "none");
    assert_eq!(body["parallel_tool_calls"], false);
}

#[test]
fn ec_093_one_limit_is_told_by_the_name_the_upstream_knows() {
    let value = json!({"model": "m", "messages": hello(), "max_tokens": 5, "max_completion_tokens": 7});
    let (body, _) = encode(&value, &Abilities::default());
    assert_eq!((body.get("max_tokens"), body.get("max_completion_tokens")), (Some(&json!(7)), None));
    let (body, _) = encode(&value, &permissive());
    assert_eq!((body.get("max_tokens"), body.get("max_completion_tokens")), (None, Some(&json!(7))));
}

#[test]
fn ec_094_stops_become_a_list_and_too_many_are_cut() {
    let with = |stop: Value| json!({"model": "m", "messages": hello(), "stop": stop});
    assert_eq!(encode(&with(json!("a")), &Abilities::default()).0["stop"], json!(["a"]));
    assert_eq!(encode(&with(json!([])), &Abilities::default()).0.get("stop"), None);
    let (body, encoded) = encode(&with(json!(["a", "b", "c", "d", "e"])), &Abilities::default());
    assert_eq!(body["stop"], json!(["a", "b", "c", "d"]));
    assert_eq!(reasons(&encoded.losses), [(LossAction::Dropped, Severity::Semantic, "/stop")]);
}

#[test]
fn ec_105_text_around_calls_is_joined() {
    let turns = vec![
        turn(Role::Assistant, vec![Part::text("a"), call("x", "f"), Part::text("b")]),
        turn(Role::User, vec![result("x", vec![Part::text("1")], None)]),
    ];
    let (body, _) = encoded(&foreign(turns), &Abilities::default());
    assert_eq!(body["messages"][0]["content"], "ab");
    assert_eq!(body["messages"][0]["tool_calls"][0]["id"], "x");
    assert_eq!(body["messages"][0]["tool_calls"][0]["function"]["arguments"], "{\"a\":1.0}");
}

#[test]
fn ec_106_documents_are_files_or_text() {
    let document = |source| {
        Part::new(PartKind::Media(Media {
            kind: MediaKind::Document,
            source,
            media_type: Some("application/pdf".to_owned()),
            name: None,
            detail: None,
        }))
    };
    let parts = vec![
        document(MediaSource::Inline("AAAA".to_owned())),
        document(MediaSource::Text("words".to_owned())),
        document(MediaSource::Url("https://example.com/a.pdf".to_owned())),
        document(MediaSource::FileId("file_01".to_owned())),
    ];
    let (body, encoded) = encoded(&foreign(vec![turn(Role::User, parts)]), &Abilities::default());
    let content = body["messages"][0]["content"].as_array().unwrap();
    assert_eq!(
        content[0]["file"],
        json!({"filename": "file.pdf", "file_data": "data:application/pdf;base64,AAAA"})
    );
    assert_eq!(content[1]["text"], "words");
    assert_eq!(encoded.losses.iter().filter(|it| it.severity == Severity::Semantic).count(), 2);
}

#[test]
fn ec_110_cache_marks_are_dropped_in_silence() {
    let mut part = Part::text("a");
    part.cache = Some(CacheMark { ttl: None });
    let (body, encoded) = encoded(&foreign(vec![turn(Role::User, vec![part])]), &permissive());
    assert_eq!(body["messages"][0]["content"], json!([{"type": "text", "text": "a"}]));
    assert_eq!(encoded.losses, []);
}

fn builtin(kind: &str, name: &str) -> Tool {
    Tool {
        kind: ToolKind::Builtin {
            dialect: DialectId::AnthropicMessages,
            raw: json!({"type": kind, "name": name}),
            family: crate::dialect::anthropic_messages::client_tool(kind),
        },
        namespaced: None,
        name: name.to_owned(),
        description: None,
        schema: None,
        strict: None,
        cache: None,
        at: "/tools/0".to_owned(),
        extra: Extra::default(),
    }
}

#[test]
fn ec_113_client_tools_become_functions_and_server_tools_are_lost() {
    let mut request = foreign(vec![turn(Role::User, vec![Part::text("hi")])]);
    request.tools = vec![
        builtin("bash_20250124", "bash"),
        builtin("web_search_20250305", "web_search"),
        builtin("text_editor_20250728", "str_replace_based_edit_tool"),
        builtin("memory_20250818", "memory"),
        builtin("computer_20251124", "computer"),
    ];
    request.tools[1].at = "/tools/1".to_owned();
    request.tool_choice = Some(ToolChoice::Named("web_search".to_owned()));
    let (body, encoded) = encoded(&request, &Abilities::default());
    let tools = body["tools"].as_array().unwrap();
    let names: Vec<&str> = tools.iter().map(|it| it["function"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["bash", "str_replace_based_edit_tool", "memory", "computer"]);
    assert!(
        tools.iter().all(|it| !it["function"]["parameters"]["properties"].as_object().unwrap().is_empty())
    );
    assert_eq!(body.get("tool_choice"), None);
    assert!(reasons(&encoded.losses).contains(&(LossAction::Dropped, Severity::Semantic, "/tools/1")));
}

#[test]
fn ec_015_sampling_the_model_refuses_is_dropped() {
    let value = json!({"model": "m", "messages": hello(), "temperature": 1.5, "top_p": 0.9, "seed": 1});
    let (body, encoded) =
        encode(&value, &Abilities { sampling: SamplingFields::None, ..Abilities::default() });
    assert_eq!((body.get("temperature"), body.get("top_p"), &body["seed"]), (None, None, &json!(1)));
    assert_eq!(encoded.losses.len(), 2);
    let (body, _) = encode(&value, &Abilities { max_temperature_tenths: 10, ..Abilities::default() });
    assert_eq!(body["temperature"], json!(1.0));
}

#[test]
fn ec_142_arguments_that_came_as_an_object_are_text() {
    let value = request(json!([
        {"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": {"a": 10.0}}}]},
        {"role": "tool", "tool_call_id": "a", "content": "x"},
    ]));
    assert_eq!(
        encode(&value, &permissive()).0["messages"][0]["tool_calls"][0]["function"]["arguments"],
        r#"{"a":10.0}"#
    );
}

#[test]
fn ec_148_a_tool_without_parameters_gets_an_empty_object() {
    let value = json!({"model": "m", "messages": hello(), "tools": [
        {"type": "function", "function": {"name": "a"}},
        {"type": "function", "function": {"name": "b", "parameters": {"type": "object"}}},
    ]});
    let (body, _) = encode(&value, &permissive());
    let empty = json!({"type": "object", "properties": {}});
    assert_eq!(body["tools"][0]["function"]["parameters"], empty);
    assert_eq!(body["tools"][1]["function"]["parameters"], empty);
}

#[test]
fn ec_150_strict_is_not_invented() {
    let value = json!({"model": "m", "messages": hello(), "tools": [{"name": "a", "input_schema": {"type": "object", "properties": {}}}]});
    assert_eq!(encode(&value, &permissive()).0["tools"][0]["function"].get("strict"), None);
}

#[test]
fn ec_159_and_160_an_assistant_without_words_or_calls_is_empty() {
    let value = request(json!([
        {"role": "assistant", "content": null, "tool_calls": []},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "a", "content": "x"},
    ]));
    let (body, _) = encode(&value, &permissive());
    assert_eq!(body["messages"][0], json!({"role": "assistant", "content": ""}));
    assert_eq!(body["messages"][1]["content"], Value::Null);
}

#[test]
fn ec_173_reasoning_details_come_back_as_they_were() {
    let details = json!([{"type": "reasoning.encrypted", "data": "x", "index": 0}]);
    let value = request(json!([{"role": "assistant", "content": "a", "reasoning_details": details}]));
    assert_eq!(encode(&value, &permissive()).0["messages"][0]["reasoning_details"], details);
    let strict = Abilities { unknown_fields: false, ..permissive() };
    let (body, encoded) = encode(&value, &strict);
    assert_eq!(body["messages"][0].get("reasoning_details"), None);
    assert_eq!(encoded.losses.len(), 1);
}

#[test]
fn ec_174_a_body_in_the_shape_of_responses_is_understood() {
    let request = decode(&json!({
        "model": "m", "instructions": "be", "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "ok"},
        ],
    }));
    let (body, _) = encoded(&request, &Abilities::default());
    let roles: Vec<&str> =
        body["messages"].as_array().unwrap().iter().map(|it| it["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool"]);
}

#[test]
fn ec_174_parts_in_the_shape_of_anthropic_are_understood() {
    let value = request(json!([
        {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "ok"}], "is_error": true},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
        ]},
    ]));
    let (body, _) = encode(&value, &Abilities::default());
    assert_eq!(body["messages"][0]["tool_calls"][0]["function"]["arguments"], r#"{"x":1}"#);
    assert_eq!(body["messages"][1]["content"], "Error: ok");
    assert_eq!(body["messages"][2]["content"][0]["type"], "image_url");
}

#[test]
fn ec_194_legacy_functions_are_tools_and_remembered() {
    let request = decode(&json!({
        "model": "m",
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "1"},
        ],
        "functions": [{"name": "f", "parameters": {"type": "object", "properties": {}}}],
        "function_call": {"name": "f"},
    }));
    assert!(request.legacy_functions);
    assert_eq!(request.tool_choice, Some(ToolChoice::Named("f".to_owned())));
    let (body, encoded) = encoded(&request, &Abilities::default());
    assert_eq!(body["messages"][2]["tool_call_id"], body["messages"][1]["tool_calls"][0]["id"]);
    assert_eq!(encoded.losses, []);
}

#[test]
fn ec_196_a_failed_tool_says_so_in_its_text() {
    let turns = |text: &str| {
        vec![
            turn(Role::Assistant, vec![call("a", "f")]),
            turn(Role::User, vec![result("a", vec![Part::text(text)], Some(true))]),
        ]
    };
    let content = |text: &str| {
        encoded(&foreign(turns(text)), &Abilities::default()).0["messages"][1]["content"].clone()
    };
    assert_eq!(content("no such file"), "Error: no such file");
    assert_eq!(content("error: no such file"), "error: no such file");
}

#[test]
fn ec_202_no_tokens_at_all_cannot_be_asked_for() {
    let request = decode(&json!({"model": "m", "messages": hello(), "max_tokens": 0}));
    let model = UpstreamModel::parse("m").unwrap();
    assert_eq!(OPENAI_CHAT.encode_request(&request, &model, &permissive()).unwrap_err().at, "/max_tokens");
}

#[test]
fn ec_205_stream_options_are_not_sent_without_a_stream() {
    let value = json!({"model": "m", "messages": hello(), "stream": false, "stream_options": {"include_usage": true, "x": 1}});
    assert_eq!(encode(&value, &permissive()).0.as_object().unwrap().len(), 2);
}

#[test]
fn structured_output_is_lowered_to_what_the_upstream_has() {
    let value = json!({"model": "m", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}],
        "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}});
    let with = |structured_output| encode(&value, &Abilities { structured_output, ..Abilities::default() });
    let (body, _) = with(StructuredOutput::Native);
    assert_eq!(body["response_format"]["json_schema"]["name"], "response");
    let (body, _) = with(StructuredOutput::JsonObject);
    assert_eq!(body["response_format"], json!({"type": "json_object"}));
    assert!(body["messages"][1]["content"].as_str().unwrap().contains(r#"{"type":"object"}"#));
    assert_eq!(body["messages"][1]["role"], "system");
    let (body, encoded) = with(StructuredOutput::Tool);
    assert_eq!(body["tool_choice"]["function"]["name"], "respond_with_json");
    assert_eq!(encoded.recall.json_tool.as_deref(), Some("respond_with_json"));
    let (body, encoded) = with(StructuredOutput::Prompt);
    assert_eq!(body.get("response_format"), None);
    assert_eq!(encoded.losses.len(), 1);
}

#[test]
fn what_only_another_dialect_knows_is_noted() {
    let mut request = foreign(vec![turn(
        Role::User,
        vec![
            Part::text("hi"),
            Part::new(PartKind::ServerTool {
                dialect: DialectId::AnthropicMessages,
                raw: json!({"type": "server_tool_use"}),
                step: None,
            }),
            Part::new(PartKind::Opaque {
                dialect: DialectId::AnthropicMessages,
                raw: json!({"type": "search_result", "title": "t", "content": [{"type": "text", "text": "found"}]}),
            }),
        ],
    )]);
    let fields = json!({"context_management": {}}).as_object().unwrap().clone();
    request.extra = Extra::new(DialectId::AnthropicMessages, "", fields);
    let (body, encoded) = encoded(&request, &Abilities::default());
    assert_eq!(body["messages"][0]["content"], "hi\n\nt\nfound");
    assert_eq!(encoded.losses.len(), 3);
    assert_eq!(encoded.losses[2].at, "/context_management");
}

#[test]
fn a_forced_tool_is_left_to_a_model_that_thinks() {
    let value = json!({"model": "m", "messages": hello(), "reasoning_effort": "high", "tool_choice": "required",
        "tools": [{"type": "function", "function": {"name": "f"}}]});
    let (body, _) = encode(&value, &Abilities { forced_tool_while_thinking: false, ..permissive() });
    assert_eq!(body["tool_choice"], "auto");
    assert_eq!(encode(&value, &permissive()).0["tool_choice"], "required");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        prop::sample::select(vec!["", "user", "text", "assistant", "tool", "function", "data:,", "a"])
            .prop_map(Value::from),
    ];
    let keys = prop::sample::select(vec![
        "role",
        "content",
        "type",
        "text",
        "tool_calls",
        "id",
        "function",
        "name",
        "arguments",
        "image_url",
        "url",
        "custom",
        "input",
        "tool_call_id",
        "file",
        "refusal",
    ]);
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys.clone(), inner), 0..5)
                .prop_map(|it| Value::Object(it.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_messages_panic(messages in any_json(), tools in any_json(), choice in any_json()) {
        let body = json!({"model": "m", "messages": [messages], "tools": tools, "tool_choice": choice});
        if let Ok(request) = OPENAI_CHAT.decode_request(body.to_string().as_bytes()) {
            let model = UpstreamModel::parse("m").unwrap();
            let _ = OPENAI_CHAT.encode_request(&request, &model, &permissive());
            let _ = OPENAI_CHAT.encode_request(&request, &model, &Abilities::default());
        }
    }

    #[test]
    fn what_was_told_reads_as_what_was_asked(
        texts in prop::collection::vec("[a-z ]{0,8}", 1..5), plain in any::<bool>(), temperature in 0..20_u8,
    ) {
        let messages: Vec<Value> = texts.iter().enumerate().map(|(index, text)| {
            let role = ["user", "assistant", "system"][index % 3];
            let content = if plain { json!(text) } else { json!([{"type": "text", "text": text}]) };
            json!({"role": role, "content": content})
        }).collect();
        let body = json!({"model": "m", "messages": messages, "temperature": f64::from(temperature) / 10.0});
        let (told, encoded) = encode(&body, &permissive());
        prop_assert_eq!(decode(&told), decode(&body));
        prop_assert!(encoded.losses.is_empty());
    }
}
