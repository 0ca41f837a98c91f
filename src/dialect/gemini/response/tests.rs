#![expect(clippy::needless_pass_by_value, reason = "a case is written shorter so")]

use serde_json::{Value, json};

use super::*;
use crate::{
    dialect::{
        ChatResponse, DialectId, Recall, ReplyContext,
        canonical::{Choice, FinishReason, Part, PartKind, ServerStep, ToolCall},
    },
    kernel::id::RequestId,
};

fn read(body: &Value) -> ChatResponse {
    decode(body.to_string().as_bytes(), &Recall::default()).unwrap()
}

fn written(answer: &ChatResponse) -> Value {
    let context = ReplyContext::new(RequestId::declared("test"), "asked-for", 0);
    serde_json::from_slice(&encode(answer, &context)).unwrap()
}

fn answer(parts: Value, reason: &str) -> Value {
    json!({
        "candidates": [{"content": {"parts": parts, "role": "model"}, "finishReason": reason, "index": 0}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
        "modelVersion": "gemini-x", "createTime": "2026-11-20T10:00:00Z", "responseId": "r1"
    })
}

fn of_parts(parts: Vec<Part>, reason: FinishReason) -> ChatResponse {
    let finish = crate::dialect::canonical::Finish::new(reason);
    let choice = Choice { index: 0, parts, finish, extra: crate::dialect::canonical::Extra::default() };
    ChatResponse { choices: vec![choice], ..ChatResponse::default() }
}

#[test]
fn an_answer_that_is_read_and_written_is_the_same() {
    let body = answer(
        json!([
            {"text": "hm", "thought": true, "thoughtSignature": "czE="},
            {"text": "a", "thoughtSignature": "czI="},
            {"functionCall": {"id": "c1", "name": "f", "args": {"n": 10.0, "s": "é"}}, "thoughtSignature": "czM="},
            {"inlineData": {"data": "AAAA", "mimeType": "audio/wav"}},
            {"executableCode": {"language": "PYTHON", "code": "1", "id": "x"}},
            {"codeExecutionResult": {"outcome": "OUTCOME_FAILED", "output": "no", "id": "x"}, "thoughtSignature": "czQ="},
            {"newlyInvented": {"a": 1}},
            {"text": "b", "partMetadata": {"k": "v"}}
        ]),
        "STOP",
    );
    let read = read(&body);
    assert_eq!(read.choices[0].finish.reason, FinishReason::ToolCalls);
    assert_eq!(read.created, Some(1_795_168_800));
    assert_eq!(written(&read), body);
}

#[test]
fn fields_nobody_else_knows_are_kept() {
    let mut body = answer(json!([{"text": "a"}]), "NEWLY_INVENTED");
    body["candidates"][0]["safetyRatings"] = json!([{"category": "X"}]);
    body["candidates"][0]["finishMessage"] = json!("why");
    body["candidates"][0]["citationMetadata"] = json!({"citationSources": []});
    body["promptFeedback"] = json!({"safetyRatings": []});
    assert_eq!(written(&read(&body)), body);
}

#[test]
fn candidates_keep_their_indices() {
    let candidate = |text: &str, index: Option<u32>| {
        let mut it = json!({"content": {"parts": [{"text": text}], "role": "model"}, "finishReason": "STOP"});
        if let Some(index) = index {
            it["index"] = index.into();
        }
        it
    };
    let answer = read(&json!({"candidates": [candidate("a", None), candidate("b", Some(1))]}));
    assert_eq!(answer.choices.iter().map(|it| it.index).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(written(&answer)["candidates"][1]["content"]["parts"][0]["text"], "b");
}

#[test]
fn ec_135_a_blocked_prompt_is_an_empty_answer_that_was_filtered() {
    let body = json!({
        "promptFeedback": {"blockReason": "PROHIBITED_CONTENT", "safetyRatings": []},
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 0, "totalTokenCount": 3},
        "modelVersion": "m", "responseId": "r"
    });
    let answer = read(&body);
    assert_eq!(answer.choices[0].finish.reason, FinishReason::ContentFilter);
    assert!(answer.choices[0].parts.is_empty());
    assert_eq!(written(&answer), body);
    let chat = DialectId::OpenaiChat.server();
    let context = ReplyContext::new(RequestId::declared("test"), "m", 0);
    let told: Value = serde_json::from_slice(&chat.encode_response(&answer, &context)).unwrap();
    assert_eq!(told["choices"][0]["finish_reason"], "content_filter");
    assert_eq!(told["choices"][0]["message"]["content"], "");
    let foreign = of_parts(Vec::new(), FinishReason::ContentFilter);
    assert_eq!(written(&foreign)["promptFeedback"]["blockReason"], "OTHER");
    assert_eq!(written(&foreign).get("candidates"), None);
}

#[test]
fn ec_133_missing_fields_are_no_error() {
    let bare = read(&json!({"candidates": [{}], "modelVersion": null}));
    assert_eq!(
        (bare.choices[0].parts.len(), bare.choices[0].finish.reason, bare.usage),
        (0, FinishReason::Stop, None)
    );
    let none = read(&json!({"usageMetadata": {"promptTokenCount": 3}}));
    assert_eq!((none.choices.len(), none.choices[0].finish.reason), (1, FinishReason::Other));
    assert_eq!(written(&none)["candidates"][0]["content"], json!({"parts": [{"text": ""}], "role": "model"}));
    assert!(decode(b"{}", &Recall::default()).is_err());
    assert!(decode(b"[]", &Recall::default()).is_err());
    let error = json!([{"error": {"code": 500, "message": "broken", "status": "INTERNAL"}}]);
    assert_eq!(decode(error.to_string().as_bytes(), &Recall::default()).unwrap_err().message, "broken");
}

#[test]
fn ec_136_a_malformed_call_and_nothing_else_cannot_be_read() {
    assert!(
        decode(answer(json!([]), "MALFORMED_FUNCTION_CALL").to_string().as_bytes(), &Recall::default())
            .is_err()
    );
    let said = read(&answer(json!([{"text": "a"}]), "MALFORMED_FUNCTION_CALL"));
    assert_eq!(said.choices[0].finish.reason, FinishReason::Malformed);
}

#[test]
fn ec_141_arguments_that_are_no_object_are_told_as_malformed() {
    let call = |arguments: &str| {
        let arguments = crate::dialect::canonical::Arguments(arguments.to_owned());
        let call = ToolCall { id: "c".to_owned(), name: "f".to_owned(), arguments, custom: false };
        vec![Part::new(PartKind::ToolCall(call))]
    };
    let told = written(&of_parts(call("[1"), FinishReason::ToolCalls));
    assert_eq!(told["candidates"][0]["content"]["parts"][0]["functionCall"]["args"], json!({}));
    assert_eq!(told["candidates"][0]["finishReason"], "MALFORMED_FUNCTION_CALL");
    let cut = written(&of_parts(call("{\"a\":"), FinishReason::Length));
    assert_eq!(cut["candidates"][0]["content"]["parts"], json!([{"text": ""}]));
    assert_eq!(cut["candidates"][0]["finishReason"], "MAX_TOKENS");
    let empty = written(&of_parts(call(" "), FinishReason::ToolCalls));
    assert_eq!(empty["candidates"][0]["finishReason"], "STOP");
}

#[test]
fn ec_052_a_signature_alone_is_put_on_the_part_before_it() {
    let body = answer(json!([{"text": "a"}, {"text": "", "thoughtSignature": "cw=="}]), "STOP");
    let parts = &read(&body).choices[0].parts;
    assert_eq!((parts.len(), parts[0].state.as_ref().unwrap().data.as_str()), (1, "cw=="));
}

#[test]
fn ec_178_an_answer_is_taken_out_of_what_it_is_wrapped_in() {
    let body = json!({"response": answer(json!([{"text": "a"}]), "STOP"), "traceId": "t"});
    assert_eq!(read(&body).choices[0].parts[0].as_text(), Some("a"));
}

#[test]
fn code_that_was_run_and_what_it_printed_belong_together() {
    let body = answer(
        json!([{"executableCode": {"language": "PYTHON", "code": "1"}}, {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}]),
        "STOP",
    );
    let parts = read(&body).choices.remove(0).parts;
    let step = |at: usize| match &parts[at].kind {
        PartKind::ServerTool { step: Some(step), .. } => step.clone(),
        _ => panic!("no step"),
    };
    let (ServerStep::Code { id, language, .. }, ServerStep::CodeOutput { call_id, succeeded, .. }) =
        (step(0), step(1))
    else {
        panic!("no code")
    };
    assert_eq!((id, language.as_deref(), succeeded), (call_id, Some("python"), true));
}

#[test]
fn ec_115_another_dialects_search_and_code_are_told_in_geminis_words() {
    let dialect = DialectId::AnthropicMessages;
    let step = |step| Part::new(PartKind::ServerTool { dialect, raw: Value::Null, step: Some(step) });
    let told = written(&of_parts(
        vec![
            step(ServerStep::WebSearch { id: "1".to_owned(), queries: vec!["q".to_owned()] }),
            step(ServerStep::Code { id: "2".to_owned(), language: None, code: "1".to_owned() }),
            step(ServerStep::CodeOutput { call_id: "2".to_owned(), succeeded: true, output: "1".to_owned() }),
            Part::new(PartKind::Opaque { dialect, raw: json!({"type": "x"}) }),
            Part::text("a"),
        ],
        FinishReason::Stop,
    ));
    let candidate = &told["candidates"][0];
    assert_eq!(candidate["groundingMetadata"], json!({"webSearchQueries": ["q"]}));
    let kinds: Vec<&String> = candidate["content"]["parts"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|it| it.as_object()?.keys().next())
        .collect();
    assert_eq!(kinds, ["executableCode", "codeExecutionResult", "text"]);
}

#[test]
fn of_a_part_that_is_not_as_it_should_be_what_can_be_read_is_told() {
    let parts = json!([
        {"inlineData": {"mimeType": "image/png"}, "later": 1},
        {"executableCode": {"language": "PYTHON", "code": "1"}, "text": 5, "inlineData": {}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK"}, "toolCall": {"toolType": "X"}},
        {"functionCall": "f"},
        {"thought": true, "inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {"thought": "yes", "later": {"a": 1}},
        {"toolCall": null},
    ]);
    assert_eq!(
        written(&read(&answer(parts, "STOP")))["candidates"][0]["content"]["parts"],
        json!([
            {"later": 1},
            {"executableCode": {"language": "PYTHON", "code": "1"}},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK"}},
            {"thought": true, "inlineData": {"mimeType": "image/png", "data": "AAAA"}},
            {"later": {"a": 1}},
        ])
    );
}
