use serde_json::{Value, json};

use crate::{
    dialect::{
        ChatResponse, ClientCodec, DialectId, Recall, ReplyContext, ServerCodec,
        canonical::{
            Arguments, Choice, Citation, Extra, Finish, FinishReason, Part, PartKind, TokenUsage, ToolCall,
        },
        openai_chat::OPENAI_CHAT,
    },
    kernel::id::RequestId,
};

fn context() -> ReplyContext {
    ReplyContext::new(RequestId::declared("r"), "asked", 7)
}

fn decode(value: &Value) -> ChatResponse {
    OPENAI_CHAT.decode_response(value.to_string().as_bytes(), &Recall::default()).unwrap()
}

fn encode(response: &ChatResponse) -> Value {
    serde_json::from_slice(&OPENAI_CHAT.encode_response(response, &context())).unwrap()
}

fn message(message: &Value, finish: &str) -> Value {
    json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}]})
}

fn answer(parts: Vec<Part>, reason: FinishReason) -> ChatResponse {
    let choice = Choice { index: 0, parts, finish: Finish::new(reason), extra: Extra::default() };
    ChatResponse { choices: vec![choice], ..ChatResponse::default() }
}

fn call(id: &str) -> Part {
    let arguments = Arguments(String::new());
    Part::new(PartKind::ToolCall(ToolCall {
        id: id.to_owned(),
        name: "f".to_owned(),
        arguments,
        custom: false,
    }))
}

#[test]
fn a_full_answer_survives_decoding_and_encoding() {
    let whole = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{
            "index": 0,
            "message": {
                "role": "assistant", "content": "text", "refusal": null, "reasoning_content": "hm",
                "annotations": [{"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 4, "title": "t", "url": "u"}}],
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"n\":10.0}"}},
                    {"id": "b", "type": "custom", "custom": {"name": "g", "input": "x"}},
                ],
                "reasoning_details": [{"type": "reasoning.text", "text": "hm"}],
            },
            "logprobs": {"content": []}, "finish_reason": "tool_calls",
        }],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 2}},
        "system_fingerprint": "fp", "service_tier": "default",
    });
    assert_eq!(encode(&decode(&whole)), whole);
}

#[test]
fn ec_070_all_calls_are_in_one_choice() {
    let body = encode(&answer(
        vec![Part::text("a"), call("x"), Part::text("b"), call("y")],
        FinishReason::ToolCalls,
    ));
    assert_eq!(body["choices"].as_array().unwrap().len(), 1);
    assert_eq!(body["choices"][0]["message"]["content"], "ab");
    assert_eq!(body["choices"][0]["message"]["tool_calls"][1]["id"], "y");
    assert_eq!(body["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"], "{}");
}

#[test]
fn ec_073_what_sdks_insist_on_is_there() {
    let body = encode(&answer(vec![Part::text("a")], FinishReason::Stop));
    let message = &body["choices"][0]["message"];
    assert_eq!(message, &json!({"role": "assistant", "content": "a", "refusal": null}));
    assert_eq!(body["choices"][0]["logprobs"], Value::Null);
    assert_eq!((&body["model"], &body["created"]), (&json!("asked"), &json!(7)));
    assert!(body["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert_eq!(encode(&ChatResponse::default())["choices"], json!([]));
    assert_eq!(
        encode(&answer(vec![call("x")], FinishReason::ToolCalls))["choices"][0]["message"]["content"],
        Value::Null
    );
}

#[test]
fn ec_022_calls_make_the_finish() {
    let calls =
        json!({"content": null, "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": ""}}]});
    let response = decode(&message(&calls, "stop"));
    assert_eq!(response.choices[0].finish.reason, FinishReason::ToolCalls);
    let PartKind::ToolCall(call) = &response.choices[0].parts[0].kind else { panic!("not a call") };
    assert_eq!(call.arguments.0, "{}");
    let cut = decode(&message(&calls, "length"));
    assert_eq!(cut.choices[0].finish.reason, FinishReason::Length);
}

#[test]
fn ids_that_are_missing_or_doubled_are_minted() {
    let calls = json!({"tool_calls": [
        {"id": "a", "function": {"name": "f"}}, {"id": "a", "function": {"name": "g"}}, {"function": {"name": "h"}},
        {"id": "b", "function": {"name": ""}},
    ]});
    let response = decode(&message(&calls, "tool_calls"));
    let ids: Vec<String> = response.choices[0]
        .parts
        .iter()
        .map(|it| match &it.kind {
            PartKind::ToolCall(call) => call.id.clone(),
            _ => String::new(),
        })
        .collect();
    assert_eq!(ids.len(), 3);
    assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), 3);
    assert_eq!(response, decode(&message(&calls, "tool_calls")));
}

#[test]
fn ec_138_a_refusal_is_told_by_its_words_or_its_reason() {
    let refused = decode(&message(&json!({"content": null, "refusal": "no"}), "stop"));
    assert_eq!(refused.choices[0].finish.reason, FinishReason::Refusal);
    let body = encode(&refused);
    assert_eq!(
        (&body["choices"][0]["finish_reason"], &body["choices"][0]["message"]["refusal"]),
        (&json!("stop"), &json!("no"))
    );
    let silent = encode(&answer(vec![Part::text("par")], FinishReason::Refusal));
    assert_eq!(silent["choices"][0]["finish_reason"], "content_filter");
}

#[test]
fn ec_139_foreign_reasons_are_told_in_chats_words() {
    for (reason, word) in [
        (FinishReason::Pause, "stop"),
        (FinishReason::ContextFull, "length"),
        (FinishReason::StopSequence, "stop"),
        (FinishReason::ContentFilter, "content_filter"),
        (FinishReason::Other, "stop"),
    ] {
        assert_eq!(encode(&answer(Vec::new(), reason))["choices"][0]["finish_reason"], word);
    }
}

#[test]
fn ec_194_a_legacy_client_gets_a_legacy_call() {
    let context = ReplyContext { legacy_functions: true, ..context() };
    let bytes = OPENAI_CHAT.encode_response(&answer(vec![call("x")], FinishReason::ToolCalls), &context);
    let body: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(body["choices"][0]["message"]["function_call"], json!({"name": "f", "arguments": "{}"}));
    assert_eq!(body["choices"][0]["message"].get("tool_calls"), None);
    assert_eq!(body["choices"][0]["finish_reason"], "function_call");
}

fn foreign(raw: Value) -> Citation {
    Citation::plain(DialectId::AnthropicMessages, raw)
}

#[test]
fn ec_198_cited_blocks_become_spans_of_characters() {
    let cited = Part::new(PartKind::Text {
        text: "wörld".to_owned(),
        citations: vec![
            Citation {
                url: Some("u".to_owned()),
                title: Some("t".to_owned()),
                ..foreign(json!({"type": "web_search_result_location", "url": "u", "encrypted_index": "e"}))
            },
            foreign(json!({"type": "page_location", "document_index": 0})),
        ],
    });
    let body = encode(&answer(vec![Part::text("hé "), cited], FinishReason::Stop));
    assert_eq!(
        body["choices"][0]["message"]["annotations"],
        json!([{"type": "url_citation", "url_citation": {"start_index": 3, "end_index": 8, "title": "t", "url": "u"}}])
    );
}

#[test]
fn an_error_in_an_answer_of_200_is_an_error() {
    for body in [
        json!({"error": {"message": "no"}}),
        json!({"object": "error", "message": "no"}),
        json!({"choices": []}),
        json!([]),
    ] {
        assert!(OPENAI_CHAT.decode_response(body.to_string().as_bytes(), &Recall::default()).is_err());
    }
    let whole = json!({"error": null, "choices": [{"message": {"content": "a"}}]});
    assert_eq!(decode(&whole).choices[0].parts[0].as_text(), Some("a"));
}

#[test]
fn what_the_request_disguised_is_undone() {
    let recall = Recall {
        names: [("fs_read".to_owned(), "fs.read".to_owned())].into(),
        json_tool: Some("respond_with_json".to_owned()),
        custom_tools: ["apply".to_owned()].into(),
        ..Recall::default()
    };
    let body = message(
        &json!({"tool_calls": [
            {"id": "a", "function": {"name": "fs_read", "arguments": "{}"}},
            {"id": "b", "function": {"name": "apply", "arguments": "{\"input\":\"x\\ny\"}"}},
        ]}),
        "tool_calls",
    );
    let read = |body: &Value| OPENAI_CHAT.decode_response(body.to_string().as_bytes(), &recall).unwrap();
    let calls: Vec<(String, String, bool)> = read(&body).choices[0]
        .parts
        .iter()
        .filter_map(|it| match &it.kind {
            PartKind::ToolCall(call) => Some((call.name.clone(), call.arguments.0.clone(), call.custom)),
            _ => None,
        })
        .collect();
    assert_eq!(
        calls,
        [("fs.read".to_owned(), "{}".to_owned(), false), ("apply".to_owned(), "x\ny".to_owned(), true)]
    );
    let json = read(&message(
        &json!({"tool_calls": [{"id": "a", "function": {"name": "respond_with_json", "arguments": "{\"a\":1}"}}]}),
        "tool_calls",
    ));
    assert_eq!(json.choices[0].parts[0].as_text(), Some("{\"a\":1}"));
    assert_eq!(json.choices[0].finish.reason, FinishReason::Stop);
}

#[test]
fn a_foreign_answer_is_told_without_foreign_fields() {
    let fields = json!({"container": {"id": "c"}}).as_object().unwrap().clone();
    let mut response = answer(vec![Part::text("a")], FinishReason::Stop);
    response.extra = Extra::new(DialectId::AnthropicMessages, "", fields);
    response.id = Some("msg_1".to_owned());
    response.usage = Some(TokenUsage { input: Some(1), ..TokenUsage::default() });
    let body = encode(&response);
    assert_eq!(body.get("container"), None);
    assert!(body["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert_eq!(body["usage"]["total_tokens"], 1);
}

#[test]
fn mistrals_parts_are_thought_and_text() {
    let body = message(
        &json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "a"}]}),
        "stop",
    );
    let parts = &decode(&body).choices[0].parts;
    assert_eq!(parts[0].kind, PartKind::Reasoning { text: "hm".to_owned(), state: None });
    assert_eq!(parts[1].as_text(), Some("a"));
}

#[test]
fn ec_175_tags_in_a_whole_answer_are_reasoning_if_the_model_writes_them() {
    let parts = |message: Value, think_tags: bool| {
        let recall = Recall { think_tags, ..Recall::default() };
        let body = self::message(&message, "stop").to_string();
        let answer = OPENAI_CHAT.decode_response(body.as_bytes(), &recall).unwrap();
        answer.choices.into_iter().flat_map(|it| it.parts).map(|it| it.kind).collect::<Vec<_>>()
    };
    let thought = |text: &str| PartKind::Reasoning { text: text.to_owned(), state: None };
    let text = |text: &str| Part::text(text).kind;
    let tagged = json!({"role": "assistant", "content": "<think>hm</think>\n\nyes"});
    assert_eq!(parts(tagged.clone(), true), [thought("hm"), text("yes")]);
    assert_eq!(parts(tagged, false), [text("<think>hm</think>\n\nyes")]);
    assert_eq!(parts(json!({"role": "assistant", "content": "<think>hm"}), true), [thought("hm")]);
    let apart = json!({"role": "assistant", "reasoning_content": "hm", "content": "<think>no</think>"});
    assert_eq!(parts(apart, true), [thought("hm"), text("<think>no</think>")]);
}
