#![expect(clippy::needless_pass_by_value, reason = "a case is written shorter so")]

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};

use crate::{
    dialect::{
        ChatEvent, ChatResponse, DialectId, Recall, ReplyContext, SseFrame, WireError,
        canonical::{Finish, FinishReason, PartKind, ServerStep},
        collect::{Collector, unfold},
        gemini::{response, stream},
    },
    kernel::{
        error::{ErrorKind, GatewayError},
        id::RequestId,
    },
};

fn read(chunks: &[Value]) -> Vec<ChatEvent> {
    let mut decoder = stream::decoder(&Recall::default());
    let mut events = Vec::new();
    for chunk in chunks {
        let frame = SseFrame { event: None, data: Bytes::from(chunk.to_string()) };
        decoder.decode(&frame, &mut events).unwrap();
    }
    decoder.finish(&mut events).unwrap();
    events
}

fn collected(chunks: &[Value]) -> Result<ChatResponse, WireError> {
    let mut collector = Collector::new();
    for event in read(chunks) {
        collector.push(event);
    }
    collector.finish()
}

fn kinds(chunks: &[Value]) -> Vec<PartKind> {
    collected(chunks).unwrap().choices.remove(0).parts.into_iter().map(|it| it.kind).collect()
}

fn chunk(parts: Value) -> Value {
    json!({"candidates": [{"content": {"parts": parts, "role": "model"}, "index": 0}], "responseId": "r1"})
}

fn last(reason: &str) -> Value {
    json!({"candidates": [{"finishReason": reason, "index": 0}], "responseId": "r1"})
}

fn context() -> ReplyContext {
    ReplyContext::new(RequestId::declared("test"), "asked-for", 0)
}

fn write(events: Vec<ChatEvent>, context: &ReplyContext) -> String {
    let mut encoder = stream::encoder(context);
    let mut out = BytesMut::new();
    for event in &events {
        encoder.encode(event, &mut out);
    }
    encoder.finish(&mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

fn chunks_of(text: &str) -> Vec<Value> {
    text.split_terminator("\n\n").map(|it| serde_json::from_str(&it["data: ".len()..]).unwrap()).collect()
}

/// A whole answer of another dialect, told as a stream.
fn told(answer: &Value, from: DialectId) -> Vec<Value> {
    let answer = from.client().decode_response(answer.to_string().as_bytes(), &Recall::default()).unwrap();
    chunks_of(&write(unfold(answer), &context()))
}

fn chat(message: Value, finish: &str) -> Value {
    json!({"id": "chatcmpl-1", "model": "gpt", "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}})
}

#[test]
fn ec_024_thoughts_are_thoughts_and_open_blocks_of_their_own() {
    let parts = kinds(&[
        chunk(json!([{"text": "a", "thought": true}])),
        chunk(json!([{"text": "b", "thought": true}, {"text": "c"}])),
        chunk(json!([{"text": "d"}])),
        last("STOP"),
    ]);
    assert!(matches!(&parts[0], PartKind::Reasoning { text, .. } if text == "ab"));
    assert!(matches!(&parts[1], PartKind::Text { text, .. } if text == "cd"));
    assert_eq!(parts.len(), 2);
    let out = told(
        &chat(json!({"role": "assistant", "reasoning_content": "hm", "content": "so"}), "stop"),
        DialectId::OpenaiChat,
    );
    assert_eq!(out[0]["candidates"][0]["content"]["parts"], json!([{"text": "hm", "thought": true}]));
    assert_eq!(out[1]["candidates"][0]["content"]["parts"], json!([{"text": "so"}]));
}

#[test]
fn ec_051_a_signature_on_a_call_is_the_calls() {
    let answer = collected(&[
        chunk(json!([{"text": "hm", "thought": true}])),
        chunk(json!([{"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c2ln"}])),
        chunk(json!([{"functionCall": {"name": "g", "args": {}}}])),
        last("STOP"),
    ])
    .unwrap();
    let states: Vec<Option<&str>> =
        answer.choices[0].parts.iter().map(|it| it.state.as_ref().map(|it| it.data.as_str())).collect();
    assert_eq!(states, [None, Some("c2ln"), None]);
    assert_eq!(answer.choices[0].finish.reason, FinishReason::ToolCalls);
    let out = chunks_of(&write(unfold(answer), &context()));
    assert_eq!(out[1]["candidates"][0]["content"]["parts"][0]["thoughtSignature"], "c2ln");
    assert_eq!(out[2]["candidates"][0]["content"]["parts"][0].get("thoughtSignature"), None);
}

#[test]
fn ec_052_a_signature_alone_belongs_to_what_came_before_it() {
    let signature = json!([{"text": "", "thoughtSignature": "c2ln"}]);
    let after_text =
        collected(&[chunk(json!([{"text": "a"}])), chunk(signature.clone()), last("STOP")]).unwrap();
    assert_eq!(after_text.choices[0].parts.len(), 1);
    assert_eq!(after_text.choices[0].parts[0].state.as_ref().unwrap().data, "c2ln");
    let call = json!([{"functionCall": {"name": "f", "args": {}}}]);
    let after_call = collected(&[chunk(call), chunk(signature.clone()), last("STOP")]).unwrap();
    assert_eq!(after_call.choices[0].parts.len(), 1);
    assert_eq!(after_call.choices[0].parts[0].state.as_ref().unwrap().data, "c2ln");
    let alone = kinds(&[chunk(signature), last("STOP")]);
    assert!(matches!(&alone[..], [PartKind::Reasoning { text, state: Some(_) }] if text.is_empty()));
    let out = chunks_of(&write(unfold(after_text), &context()));
    assert_eq!(
        out[1]["candidates"][0]["content"]["parts"],
        json!([{"text": "", "thoughtSignature": "c2ln"}])
    );
}

#[test]
fn ec_172_a_thought_without_text_is_none() {
    assert_eq!(
        kinds(&[
            chunk(json!([{"thought": true}, {"text": "", "thought": true}, {"text": "a"}])),
            last("STOP")
        ])
        .len(),
        1
    );
}

#[test]
fn ec_099_and_ec_137_a_finish_in_every_chunk_is_told_once_at_the_end() {
    let with = |text: &str, reason: &str| json!({"candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": reason}]});
    let events = read(&[with("a", "STOP"), with("b", "STOP"), with("c", "NEWLY_INVENTED")]);
    let finishes: Vec<&Finish> = events
        .iter()
        .filter_map(|it| match it {
            ChatEvent::Finish { finish, .. } => Some(finish),
            _ => None,
        })
        .collect();
    assert_eq!(finishes.len(), 1);
    assert_eq!(
        (finishes[0].reason, finishes[0].raw.as_deref()),
        (FinishReason::Other, Some("NEWLY_INVENTED"))
    );
    assert_eq!(events.iter().filter(|it| matches!(it, ChatEvent::BlockStart { .. })).count(), 1);
    let out = chunks_of(&write(events, &context()));
    let reasons = out.iter().filter(|it| it["candidates"][0].get("finishReason").is_some()).count();
    assert_eq!((reasons, out.len()), (1, 4));
}

#[test]
fn ec_135_a_blocked_prompt_is_an_answer_that_was_filtered() {
    let blocked =
        json!({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}});
    let answer = collected(std::slice::from_ref(&blocked)).unwrap();
    assert_eq!(answer.choices[0].finish.reason, FinishReason::ContentFilter);
    assert!(answer.choices[0].parts.is_empty());
    let out = chunks_of(&write(read(&[blocked]), &context()));
    assert_eq!((out.len(), &out[0]["promptFeedback"]["blockReason"]), (1, &json!("SAFETY")));
    assert_eq!(out[0].get("candidates"), None);
}

#[test]
fn ec_136_a_malformed_call_and_nothing_else_is_an_error_before_the_first_byte() {
    let error = collected(&[last("MALFORMED_FUNCTION_CALL")]).unwrap_err();
    assert_eq!(error.kind, ErrorKind::UpstreamFailed);
    let said = collected(&[chunk(json!([{"text": "a"}])), last("MALFORMED_FUNCTION_CALL")]).unwrap();
    assert_eq!(said.choices[0].finish.reason, FinishReason::Malformed);
}

#[test]
fn ec_178_chunks_are_taken_out_of_what_they_are_wrapped_in() {
    let wrapped = |chunk: Value| json!({"response": chunk, "traceId": "t"});
    let answer = collected(&[wrapped(chunk(json!([{"text": "a"}]))), wrapped(last("STOP"))]).unwrap();
    assert_eq!(answer.choices[0].parts[0].as_text(), Some("a"));
    assert_eq!(answer.id.as_deref(), Some("r1"));
}

#[test]
fn ec_037_and_ec_078_an_end_without_a_reason_is_no_end() {
    assert_eq!(collected(&[chunk(json!([{"text": "a"}]))]).unwrap_err().kind, ErrorKind::Truncated);
    assert_eq!(collected(&[]).unwrap_err().kind, ErrorKind::Truncated);
    let two = json!({"candidates": [{"index": 0, "finishReason": "STOP"}, {"index": 1}]});
    assert_eq!(collected(&[two]).unwrap_err().kind, ErrorKind::Truncated);
}

#[test]
fn ec_036_and_ec_080_an_error_in_the_data_ends_the_stream() {
    let error = json!([{"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}]);
    let events = read(&[chunk(json!([{"text": "a"}])), error.clone(), last("STOP")]);
    assert!(
        matches!(&events[events.len() - 2..], [ChatEvent::Error(it), ChatEvent::End] if it.kind == ErrorKind::Overloaded)
    );
    assert!(matches!(&read(&[error])[..], [ChatEvent::Start { .. }, ChatEvent::Error(_), ChatEvent::End]));
}

#[test]
fn ec_133_missing_fields_are_borne() {
    let bare = json!({"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}]});
    let odd = json!({"candidates": [{"content": {"role": "model"}, "index": "x", "safetyRatings": null}], "usageMetadata": null});
    let answer = collected(&[json!({}), odd, bare]).unwrap();
    assert_eq!((answer.usage, answer.choices[0].parts.len()), (None, 1));
}

#[test]
fn ec_098_and_ec_101_a_call_is_told_whole_with_its_id() {
    let function = json!({"name": "f", "arguments": "{ \"b\": 10.0,\n \"a\": 1 }"});
    let message = json!({"role": "assistant", "content": null, "tool_calls": [{"id": "call_1", "type": "function", "function": function}]});
    let out = told(&chat(message, "tool_calls"), DialectId::OpenaiChat);
    let expected = json!([{"functionCall": {"id": "call_1", "name": "f", "args": {"b": 10.0, "a": 1}}}]);
    assert_eq!(out[0]["candidates"][0]["content"]["parts"].to_string(), expected.to_string());
    assert_eq!(out[1]["candidates"][0]["finishReason"], "STOP");
}

#[test]
fn ec_100_the_finish_has_a_chunk_of_its_own() {
    let out = told(&chat(json!({"role": "assistant", "content": "a"}), "stop"), DialectId::OpenaiChat);
    assert_eq!(out.len(), 2);
    assert_eq!(out[0]["candidates"][0].get("finishReason"), None);
    assert_eq!(out[1]["candidates"][0]["content"], json!({"parts": [{"text": ""}], "role": "model"}));
    assert_eq!(out[1]["usageMetadata"]["totalTokenCount"], 5);
    for chunk in &out {
        assert_eq!(chunk["modelVersion"], "gpt");
        assert_eq!(chunk["responseId"], RequestId::declared("test").as_uuid().simple().to_string());
    }
}

#[test]
fn ec_141_arguments_that_are_no_object_are_told_as_malformed() {
    let call = |arguments: &str, finish: &str| {
        let function = json!({"name": "f", "arguments": arguments});
        let message = json!({"role": "assistant", "content": "so", "tool_calls": [{"id": "c", "type": "function", "function": function}]});
        told(&chat(message, finish), DialectId::OpenaiChat)
    };
    let out = call("{\"a\": ", "tool_calls");
    assert_eq!(out[1]["candidates"][0]["content"]["parts"][0]["functionCall"]["args"], json!({}));
    assert_eq!(out[2]["candidates"][0]["finishReason"], "MALFORMED_FUNCTION_CALL");
    // Nobody is told to call a tool whose arguments the limit cut.
    let cut = call("{\"a\": ", "length");
    assert_eq!((cut.len(), &cut[1]["candidates"][0]["finishReason"]), (2, &json!("MAX_TOKENS")));
}

#[test]
fn ec_018_frames_have_a_space_and_nothing_that_splits_lines() {
    let text = "a\u{2028}b\u{85}c\r\n\"d\"";
    let answer = chat(json!({"role": "assistant", "content": text}), "stop");
    let answer = DialectId::OpenaiChat
        .client()
        .decode_response(answer.to_string().as_bytes(), &Recall::default())
        .unwrap();
    let out = write(unfold(answer), &context());
    assert!(
        !out.contains(['\u{2028}', '\u{85}', '\r']) && !out.contains("[DONE]") && !out.contains("event:")
    );
    assert!(out.split_terminator("\n\n").all(|it| it.starts_with("data: {") && !it.contains('\n')), "{out}");
    assert_eq!(chunks_of(&out)[0]["candidates"][0]["content"]["parts"][0]["text"], text);
}

#[test]
fn an_array_that_is_aborted_is_closed_by_its_error() {
    let context = ReplyContext { json_array: true, ..context() };
    let error = GatewayError::new(ErrorKind::Timeout, "too slow");
    let mut out = BytesMut::new();
    stream::encoder(&context).abort(&error, &mut out);
    let list: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(list[0]["error"]["status"], "DEADLINE_EXCEEDED");
    let mut out = BytesMut::new();
    let mut encoder = stream::encoder(&context);
    for event in read(&[chunk(json!([{"text": "a"}])), last("STOP")]).iter().take(3) {
        encoder.encode(event, &mut out);
    }
    out.extend_from_slice(&DialectId::Gemini.server().keep_alive());
    encoder.abort(&error, &mut out);
    encoder.finish(&mut out);
    let list: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!((list.as_array().unwrap().len(), &list[1]["error"]["code"]), (2, &json!(504)));
}

#[test]
fn ec_115_a_search_is_told_as_steps_and_cited_on_its_text() {
    let grounding = json!({
        "webSearchQueries": ["q"],
        "groundingChunks": [{"web": {"uri": "https://a.example/", "title": "A"}}],
        "groundingSupports": [{"segment": {"startIndex": 3, "endIndex": 7}, "groundingChunkIndices": [0]}]
    });
    let mut end = last("STOP");
    end["candidates"][0]["groundingMetadata"] = grounding.clone();
    let chunks = [chunk(json!([{"text": "é "}])), chunk(json!([{"text": "東é"}])), end];
    let parts = kinds(&chunks);
    let PartKind::Text { citations, .. } = &parts[0] else { panic!("no text") };
    assert_eq!(
        (citations[0].span.clone(), citations[0].url.as_deref()),
        (Some(2..3), Some("https://a.example/"))
    );
    let step = |at: usize| match &parts[at] {
        PartKind::ServerTool { step, .. } => step.clone(),
        _ => None,
    };
    assert!(matches!(step(1), Some(ServerStep::WebSearch { queries, .. }) if queries == ["q"]));
    assert!(matches!(step(2), Some(ServerStep::WebSearchResults { results, .. }) if results.len() == 1));
    assert_eq!(
        collected(&chunks).unwrap().choices[0].finish.reason,
        FinishReason::Stop,
        "nobody is to be called"
    );
    let out = chunks_of(&write(read(&chunks), &context()));
    assert_eq!(out.last().unwrap()["candidates"][0]["groundingMetadata"], grounding);
}

#[test]
fn citations_of_a_text_that_is_over_say_no_place() {
    let mut end = last("STOP");
    end["candidates"][0]["groundingMetadata"] = json!({
        "groundingChunks": [{"web": {"uri": "u"}}],
        "groundingSupports": [{"segment": {"endIndex": 2}, "groundingChunkIndices": [0]}]
    });
    let parts = kinds(&[
        chunk(json!([{"text": "ab"}])),
        chunk(json!([{"functionCall": {"name": "f", "args": {}}}])),
        end,
    ]);
    let PartKind::Text { text, citations } = &parts[2] else { panic!("no text") };
    assert_eq!((text.as_str(), citations.len(), citations[0].span.clone()), ("", 1, None));
}

#[test]
fn ec_077_a_lone_surrogate_costs_no_part() {
    let mut decoder = stream::decoder(&Recall::default());
    let mut events = Vec::new();
    let data = br#"{"candidates":[{"content":{"parts":[{"text":"a\ud83d"}]},"finishReason":"STOP"}]}"#;
    decoder.decode(&SseFrame { event: None, data: Bytes::from_static(data) }, &mut events).unwrap();
    decoder.finish(&mut events).unwrap();
    let mut collector = Collector::new();
    for event in events {
        collector.push(event);
    }
    assert_eq!(collector.finish().unwrap().choices[0].parts[0].as_text(), Some("a\u{FFFD}"));
}

#[test]
fn ec_200_an_image_is_told_in_gemini_and_read_from_it() {
    let image = json!({"inlineData": {"mimeType": "image/png", "data": "AAAA"}});
    let chunks = [chunk(json!([image])), last("STOP")];
    assert!(
        matches!(&kinds(&chunks)[..], [PartKind::Media(it)] if it.media_type.as_deref() == Some("image/png"))
    );
    let out = chunks_of(&write(read(&chunks), &context()));
    assert_eq!(
        out[0]["candidates"][0]["content"]["parts"],
        json!([{"inlineData": {"data": "AAAA", "mimeType": "image/png"}}])
    );
    // A Chat client gets it as most clones send it.
    let answer = collected(&chunks).unwrap();
    let body = DialectId::OpenaiChat.server().encode_response(&answer, &context());
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["choices"][0]["message"]["images"][0]["image_url"]["url"], "data:image/png;base64,AAAA");
    let whole = response::encode(&answer, &context());
    let whole: Value = serde_json::from_slice(&whole).unwrap();
    assert_eq!(whole["candidates"][0]["content"]["parts"][0]["inlineData"]["data"], "AAAA");
}
