use proptest::prelude::*;

use super::*;
use crate::dialect::tokenizer::Family;

const CHAT: &str = concat!(
    "data: {\"id\":\"c1\",\"model\":\"gpt\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}],\"usage\":null}\n\n",
    ": keep-alive\n\n",
    "data: {\"id\":\"c1\",\"model\":\"gpt\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"say \\\"usage\\\":{}\"},\"finish_reason\":null}],\"usage\":null}\n\n",
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n",
    "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":1210,\"completion_tokens\":50,\"prompt_tokens_details\":{\"cached_tokens\":1000},\"completion_tokens_details\":{\"reasoning_tokens\":20}}}\n\n",
    "data: [DONE]\n\n",
);

const MESSAGES: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m1\",\"model\":\"claude\",\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":1000,\"cache_creation_input_tokens\":200,\"cache_creation\":{\"ephemeral_5m_input_tokens\":200,\"ephemeral_1h_input_tokens\":0},\"output_tokens\":1}}}\n\n",
    "event: ping\ndata: {\"type\":\"ping\"}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"cache_creation_input_tokens\":200,\"output_tokens\":50}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

const RESPONSES: &str = concat!(
    "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"model\":\"gpt\",\"status\":\"in_progress\",\"output\":[],\"usage\":null}}\n\n",
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hello\"}\n\n",
    "event: response.output_text.done\ndata: {\"type\":\"response.output_text.done\",\"text\":\"Hello\"}\n\n",
    "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"status\":\"completed\",\"error\":null,\"incomplete_details\":null,\"output\":[{\"type\":\"message\",\"content\":[{\"text\":\"Hello\"}]}],\"usage\":{\"input_tokens\":1210,\"input_tokens_details\":{\"cached_tokens\":1000},\"output_tokens\":50}}}\n\n",
);

/// Passes a stream in the given pieces: what came out, how it ended, what was seen.
fn pass(dialect: DialectId, hide_usage: bool, pieces: &[&[u8]]) -> (String, TapEnd, Tapped) {
    let mut tap = Tap::new(dialect, hide_usage, 1 << 20);
    let mut out = Vec::new();
    for piece in pieces {
        tap.push(Bytes::copy_from_slice(piece), &mut out).unwrap();
    }
    let end = tap.finish(&mut out);
    (String::from_utf8(out.concat()).unwrap(), end, tap.seen().clone())
}

#[test]
fn a_stream_passes_as_it_came_and_is_counted() {
    let (out, end, seen) = pass(DialectId::OpenaiChat, false, &[CHAT.as_bytes()]);
    assert_eq!((out.as_str(), end), (CHAT, TapEnd::Complete));
    assert_eq!((seen.id.as_deref(), seen.model.as_deref()), (Some("c1"), Some("gpt")));
    assert_eq!(seen.finish.as_deref(), Some("stop"));
    assert_eq!((seen.usage.input, seen.usage.cache_read), (Some(210), Some(1000)));
    assert_eq!((seen.usage.output, seen.usage.reasoning), (Some(30), Some(20)));
    assert!(seen.content_seen && seen.text.count(Family::Openai) == Family::Openai.count("say \"usage\":{}"));

    let (out, end, seen) = pass(DialectId::AnthropicMessages, true, &[MESSAGES.as_bytes()]);
    assert_eq!((out.as_str(), end), (MESSAGES, TapEnd::Complete));
    assert_eq!((seen.id.as_deref(), seen.finish.as_deref()), (Some("m1"), Some("end_turn")));
    assert_eq!(seen.usage.total_input(), 1210);
    assert_eq!((seen.usage.cache_write_5m, seen.usage.cache_write_other), (Some(200), None));
    assert_eq!(seen.usage.total_output(), 50);
}

#[test]
fn ec_049_usage_is_hidden_from_a_client_that_did_not_ask() {
    let (out, end, seen) = pass(DialectId::OpenaiChat, true, &[CHAT.as_bytes()]);
    assert_eq!(end, TapEnd::Complete);
    assert_eq!(seen.usage.total_input(), 1210);
    let expected: String = CHAT.split_inclusive("\n\n").filter(|it| !it.contains("prompt_tokens")).collect();
    assert_eq!(out, expected);
}

#[test]
fn nothing_is_copied_that_came_whole() {
    let chunk = Bytes::from_static(CHAT.as_bytes());
    let mut out = Vec::new();
    Tap::new(DialectId::OpenaiChat, false, 1 << 20).push(chunk.clone(), &mut out).unwrap();
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].as_ptr(), chunk.as_ptr());
}

#[test]
fn ec_036_an_error_in_the_stream_is_passed_and_told() {
    let stream = "data: {\"id\":\"c\",\"choices\":[]}\n\ndata: {\"error\":{\"message\":\"too much\",\"type\":\"server_error\",\"code\":\"rate_limit_exceeded\"}}\n\ndata: [DONE]\n\n";
    let (out, end, seen) = pass(DialectId::OpenaiChat, false, &[stream.as_bytes()]);
    assert!(out.ends_with("\"rate_limit_exceeded\"}}\n\n"));
    let TapEnd::Errored(error) = end else { panic!("{end:?}") };
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::RateLimited, "too much"));
    assert!(!seen.content_seen);

    let stream = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let (out, end, _) = pass(DialectId::AnthropicMessages, false, &[stream.as_bytes()]);
    assert_eq!(out, stream);
    assert!(matches!(end, TapEnd::Errored(it) if it.kind == ErrorKind::Overloaded));
}

#[test]
fn ec_209_an_error_in_the_other_dialects_form_is_seen() {
    let stream = "data: {\"error\":{\"message\":\"no\",\"type\":\"insufficient_quota\"}}\n\n";
    let (_, end, _) = pass(DialectId::AnthropicMessages, false, &[stream.as_bytes()]);
    assert!(matches!(end, TapEnd::Errored(it) if it.kind == ErrorKind::QuotaExhausted));
}

#[test]
fn ec_074_done_is_sent_once_and_nothing_after_it() {
    let late = format!("{CHAT}data: {{\"id\":\"late\"}}\n\ndata: [DONE]\n\n");
    let (out, end, _) = pass(DialectId::OpenaiChat, false, &[late.as_bytes()]);
    assert_eq!((out.as_str(), end), (CHAT, TapEnd::Complete));
    let (out, end, _) = pass(DialectId::OpenaiChat, false, &[late.as_bytes(), late.as_bytes()]);
    assert_eq!((out.as_str(), end), (CHAT, TapEnd::Complete));
    let without = CHAT.replace("data: [DONE]\n\n", "");
    let (out, end, _) = pass(DialectId::OpenaiChat, false, &[without.as_bytes()]);
    assert_eq!((out.as_str(), end), (CHAT, TapEnd::Complete));
}

#[test]
fn ec_078_a_last_event_without_blank_line_is_passed_on() {
    for (dialect, stream) in [(DialectId::OpenaiChat, CHAT), (DialectId::AnthropicMessages, MESSAGES)] {
        let (out, end, _) = pass(dialect, false, &[&stream.as_bytes()[..stream.len() - 2]]);
        assert_eq!((out.as_str(), end), (stream, TapEnd::Complete));
    }
}

#[test]
fn ec_037_a_cut_at_any_byte_is_not_an_end() {
    for (dialect, stream, terminal) in [
        (DialectId::OpenaiChat, CHAT, "\"finish_reason\":\"stop\"}],\"usage\":null}"),
        (DialectId::AnthropicMessages, MESSAGES, "\"output_tokens\":50}}"),
    ] {
        let complete_from = stream.find(terminal).unwrap() + terminal.len();
        for cut in 0..stream.len() {
            let (out, end, _) = pass(dialect, false, &[&stream.as_bytes()[..cut]]);
            assert_eq!(end == TapEnd::Complete, cut >= complete_from, "at {cut}: {end:?}");
            assert!(out.is_empty() || out.ends_with("\n\n"), "at {cut}");
        }
    }
}

#[test]
fn a_second_choice_that_is_cut_is_not_an_end() {
    let stream = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{}},{\"index\":1,\"delta\":{}}]}\n\ndata: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    assert_eq!(pass(DialectId::OpenaiChat, false, &[stream.as_bytes()]).1, TapEnd::Truncated);
}

#[test]
fn ec_191_an_endless_event_is_an_error() {
    let mut tap = Tap::new(DialectId::OpenaiChat, false, 100);
    let chunk = Bytes::from(vec![b'x'; 101]);
    assert_eq!(tap.push(chunk, &mut Vec::new()), Err(FrameError::TooLarge { limit: 100 }));
}

#[test]
fn a_whole_answer_is_read_where_it_must_be() {
    let body = br#"{"id":"c1","model":"gpt","choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"length"}],"usage":{"prompt_tokens":7,"completion_tokens":2}}"#;
    let seen = Tapped::whole(DialectId::OpenaiChat, body);
    assert_eq!((seen.finish.as_deref(), seen.usage.input), (Some("length"), Some(7)));
    let body = br#"{"id":"m1","type":"message","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","usage":{"input_tokens":7,"output_tokens":2}}"#;
    let seen = Tapped::whole(DialectId::AnthropicMessages, body);
    assert_eq!((seen.finish.as_deref(), seen.usage.output), (Some("end_turn"), Some(2)));
    assert!(seen.error.is_none());
}

#[test]
fn a_whole_answer_that_is_an_error_or_no_json_is_told() {
    let seen = Tapped::whole(DialectId::OpenaiChat, br#"{"error":{"message":"no","code":429}}"#);
    assert_eq!(seen.error.unwrap().kind, ErrorKind::RateLimited);
    let seen = Tapped::whole(DialectId::AnthropicMessages, b"<html>bad gateway</html>");
    assert_eq!(seen.error.unwrap().kind, ErrorKind::UpstreamFailed);
}

proptest! {
    #[test]
    fn any_chunking_passes_the_same_bytes(
        cuts in prop::collection::vec(0..CHAT.len(), 0..12),
        hide_usage in any::<bool>(),
        line_end in prop_oneof![Just("\n"), Just("\r\n"), Just("\r")],
        messages in any::<bool>(),
    ) {
        let (dialect, stream) =
            if messages { (DialectId::AnthropicMessages, MESSAGES) } else { (DialectId::OpenaiChat, CHAT) };
        let stream = stream.replace('\n', line_end);
        let mut at = cuts;
        at.extend([0, stream.len()]);
        at.sort_unstable();
        let pieces: Vec<&[u8]> = at.windows(2).map(|it| &stream.as_bytes()[it[0]..it[1]]).collect();
        let whole = pass(dialect, hide_usage, &[stream.as_bytes()]);
        let cut = pass(dialect, hide_usage, &pieces);
        prop_assert_eq!(cut.0, whole.0);
        prop_assert_eq!(cut.1, whole.1);
        prop_assert_eq!(cut.2.usage, whole.2.usage);
        prop_assert_eq!(cut.2.text, whole.2.text);
    }

    #[test]
    fn any_bytes_are_survived(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        at in 0..CHAT.len(),
        messages in any::<bool>(),
    ) {
        let dialect = if messages { DialectId::AnthropicMessages } else { DialectId::OpenaiChat };
        let mut tap = Tap::new(dialect, true, 1 << 16);
        let mut out = Vec::new();
        let mixed = [&CHAT.as_bytes()[..at], &bytes[..], &CHAT.as_bytes()[at..]].concat();
        tap.push(mixed.into(), &mut out).unwrap();
        tap.finish(&mut out);
    }
}

#[test]
fn ec_077_a_line_end_that_is_cut_stays_whole() {
    let stream = CHAT.replace('\n', "\r\n");
    let hidden: String =
        stream.split_inclusive("\r\n\r\n").filter(|it| !it.contains("prompt_tokens")).collect();
    for cut in 0..=stream.len() {
        let (head, tail) = stream.as_bytes().split_at(cut);
        assert_eq!(pass(DialectId::OpenaiChat, false, &[head, tail]).0, stream, "at {cut}");
        assert_eq!(pass(DialectId::OpenaiChat, true, &[head, tail]).0, hidden, "at {cut}");
    }
}

#[test]
fn a_stream_of_responses_is_counted_once_and_known_by_its_end() {
    let responses = DialectId::OpenaiResponses;
    let (out, end, seen) = pass(responses, false, &[RESPONSES.as_bytes()]);
    assert_eq!((out.as_str(), end), (RESPONSES, TapEnd::Complete));
    assert_eq!((seen.id.as_deref(), seen.model.as_deref()), (Some("resp_1"), Some("gpt")));
    assert_eq!(seen.finish.as_deref(), Some("completed"));
    assert_eq!(seen.text.count(Family::Openai), Family::Openai.count("Hello"));
    assert_eq!(
        (seen.usage.input, seen.usage.cache_read, seen.usage.output),
        (Some(210), Some(1000), Some(50))
    );

    let at = RESPONSES.find("event: response.completed").unwrap();
    let (_, end, seen) = pass(responses, false, &[&RESPONSES.as_bytes()[..at]]);
    assert_eq!((end, seen.content_seen), (TapEnd::Truncated, true));

    let called = RESPONSES
        .replace(r#"[{"type":"message""#, r#"[{"type":"function_call","name":"f"},{"type":"message""#);
    assert_eq!(pass(responses, false, &[called.as_bytes()]).2.finish.as_deref(), Some("function_call"));
    let cut = RESPONSES
        .replace(r#""status":"completed""#, r#""status":"incomplete""#)
        .replace(r#""incomplete_details":null"#, r#""incomplete_details":{"reason":"max_output_tokens"}"#);
    assert_eq!(pass(responses, false, &[cut.as_bytes()]).2.finish.as_deref(), Some("max_output_tokens"));
}

#[test]
fn a_stream_of_responses_that_says_all_at_once_is_counted_too() {
    let at = RESPONSES.find("event: response.output_text.delta").unwrap();
    let end = RESPONSES.find("event: response.completed").unwrap();
    let usage = RESPONSES.find(",\"usage\":{\"input").unwrap();
    let stream = format!("{}{}}}}}\n\n", &RESPONSES[..at], &RESPONSES[end..usage]);
    let stream = stream.replace("\"type\":\"message\"", "\"type\":\"message\",\"role\":\"assistant\"");
    let stream = stream.replace("{\"text\"", "{\"type\":\"output_text\",\"text\"");
    let (_, end, seen) = pass(DialectId::OpenaiResponses, false, &[stream.as_bytes()]);
    assert_eq!(end, TapEnd::Complete);
    assert_eq!(seen.text.count(Family::Openai), Family::Openai.count("Hello"), "{stream}");
}

#[test]
fn ec_036_what_follows_an_error_event_of_responses_still_passes() {
    let error =
        "event: error\ndata: {\"type\":\"error\",\"code\":\"server_is_overloaded\",\"message\":\"busy\"}\n\n";
    let failed = "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"server_is_overloaded\",\"message\":\"busy\"}}}\n\n";
    for stream in [error.to_owned(), failed.to_owned(), [error, failed].concat()] {
        let (out, end, _) = pass(DialectId::OpenaiResponses, false, &[stream.as_bytes()]);
        assert_eq!(out, stream);
        let TapEnd::Errored(error) = end else { panic!("{end:?}") };
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Overloaded, "busy"));
    }
}
