//! The checkers themselves: they accept what upstreams send and refuse what breaks clients.

use dragoman::dialect::DialectId;

use crate::support::{
    fixtures,
    grammar::{Told, check},
};

/// The events of a fixture.
fn events(dialect: DialectId, name: &str) -> Vec<String> {
    let stream = fixtures::of(dialect, "streams").into_iter().find(|it| it.name == name).unwrap();
    let text = String::from_utf8(stream.bytes).unwrap();
    text.split_inclusive("\n\n").map(ToOwned::to_owned).collect()
}

/// The events in one text; those of Responses with the numbers they would have.
fn numbered(events: &[String]) -> String {
    let mut text = String::new();
    for (number, event) in events.iter().enumerate() {
        match event.split_once("\"sequence_number\":") {
            Some((before, after)) => {
                let rest = after.trim_start_matches(|it: char| it.is_ascii_digit());
                text.extend([before, "\"sequence_number\":", &number.to_string(), rest]);
            }
            None => text.push_str(event),
        }
    }
    text
}

#[test]
fn what_upstreams_send_is_accepted() {
    // Azure's first chunk has an empty head, clones leave out a stream's end or its deltas, and some invent events: we bear
    // it, and do not send it.
    // Gemini says the finish, its sources and a last part in one chunk, and calls without ids: we do not send that either.
    let bearable = [
        "azure-filter-first",
        "without-done",
        "without-stop",
        "done-without-deltas",
        "only-in-completed",
        "unknown-items",
    ];
    let sent = ["text", "blocked"];
    for stream in fixtures::whole_streams().iter().filter(|it| match it.dialect {
        DialectId::Gemini => sent.contains(&it.name.as_str()),
        _ => !bearable.contains(&it.name.as_str()),
    }) {
        assert_eq!(check(stream.dialect, &stream.bytes), Ok(Told::Success), "{}", stream.title());
    }
}

#[test]
fn a_stream_without_any_one_of_its_needed_events_is_refused() {
    for (dialect, name, droppable) in [
        // The comment and a delta of text, and usage.
        (DialectId::OpenaiChat, "text", vec![1, 2, 3, 4, 6]),
        // The ping and deltas of text.
        (DialectId::AnthropicMessages, "text", vec![1, 3, 4, 5]),
        // `response.in_progress`.
        (DialectId::OpenaiResponses, "text", vec![1]),
        (DialectId::OpenaiResponses, "reasoning", vec![1]),
        (DialectId::OpenaiResponses, "parallel-tools", vec![1]),
        // Every chunk but the last is a delta.
        (DialectId::Gemini, "text", vec![0, 1, 2]),
    ] {
        let events = events(dialect, name);
        for at in 0..events.len() {
            let mut rest = events.clone();
            rest.remove(at);
            let told = check(dialect, numbered(&rest).as_bytes());
            assert_eq!(
                told.is_ok(),
                droppable.contains(&at),
                "{} without event {at}: {told:?}",
                dialect.name()
            );
        }
    }
}

#[test]
fn a_stream_with_any_one_event_twice_is_refused() {
    for (dialect, name, repeatable) in [
        (DialectId::OpenaiChat, "text", vec![1, 2, 3, 4]),
        (DialectId::AnthropicMessages, "text", vec![1, 3, 4, 5]),
        (DialectId::OpenaiResponses, "text", vec![]),
        (DialectId::OpenaiResponses, "custom-tool", vec![]),
        // Stages of a search.
        (DialectId::OpenaiResponses, "web-search", vec![3, 4, 5]),
        (DialectId::Gemini, "text", vec![0, 1, 2]),
    ] {
        let events = events(dialect, name);
        for at in 0..events.len() {
            let mut more = events.clone();
            more.insert(at, events[at].clone());
            let told = check(dialect, numbered(&more).as_bytes());
            assert_eq!(
                told.is_ok(),
                repeatable.contains(&at),
                "{} with event {at} twice: {told:?}",
                dialect.name()
            );
        }
    }
}

#[test]
fn what_breaks_clients_is_refused() {
    let broken = |dialect, name: &str, from: &str, to: &str| {
        let text = events(dialect, name).concat();
        assert!(text.contains(from), "{name} has no {from}");
        assert!(check(dialect, text.replacen(from, to, 1).as_bytes()).is_err(), "{name}: {from} as {to}");
    };
    let chat = DialectId::OpenaiChat;
    broken(chat, "parallel-tools", r#""index":1,"id":"call_2""#, r#""index":2,"id":"call_2""#);
    broken(chat, "parallel-tools", r#""index":1,"id":"call_2","#, r#""index":1,"#);
    broken(chat, "parallel-tools", r#"\"Paris\""#, "Paris");
    broken(chat, "text", r#""choices":[]"#, r#""choices":null"#);
    broken(chat, "text", r#""total_tokens":1260"#, r#""total_tokens":1"#);
    broken(chat, "text", r#"{"content":"Paris"}"#, r#"{"role":"assistant","content":"Paris"}"#);
    broken(chat, "text", "data: {", "event: chunk\ndata: {");
    broken(chat, "text", "\n\n", "\r\n\r\n");
    let messages = DialectId::AnthropicMessages;
    broken(messages, "text", "event: content_block_start\n", "");
    broken(messages, "text", "text_delta", "thinking_delta");
    broken(messages, "text", r#""usage":{"output_tokens":50}"#, r#""usage":{}"#);
    broken(messages, "text", r#""stop_reason":"end_turn""#, r#""stop_reason":"tool_use""#);
    broken(messages, "thinking-and-tools", r#""index":2,"content_block""#, r#""index":3,"content_block""#);
    broken(messages, "thinking-and-tools", r#"\"Paris\"}"#, r#"\"Paris\""#);
    let responses = DialectId::OpenaiResponses;
    broken(responses, "text", "event: response.output_text.delta\n", "");
    broken(responses, "text", r#""sequence_number":4"#, r#""sequence_number":5"#);
    broken(responses, "text", r#""annotations":[],"#, "");
    broken(responses, "text", r#""error":null"#, r#""error":{}"#);
    broken(responses, "text", r#","instructions":null"#, "");
    broken(responses, "text", r#""total_tokens":1260"#, r#""total_tokens":1"#);
    broken(responses, "text", r#""usage":null"#, r#""usage":{}"#);
    broken(responses, "text", r#""delta":"Paris""#, r#""delta":"Rome""#);
    broken(responses, "parallel-tools", r#""call_id":"call_2""#, r#""call_id":"call_9""#);
    broken(responses, "parallel-tools", r#""output_index":1"#, r#""output_index":2"#);
    broken(responses, "incomplete", r#""reason":"max_output_tokens""#, r#""reason":"tired""#);
    broken(responses, "reasoning", r#""summary":[]"#, r#""summary":null"#);
    broken(responses, "error-midway", r#""code":"server_error","#, "");
    let gemini = DialectId::Gemini;
    broken(gemini, "text", "data: {", "event: chunk\ndata: {");
    broken(gemini, "text", "data: {", "data:{");
    broken(gemini, "text", r#""role": "model""#, r#""role": "assistant""#);
    broken(gemini, "text", r#"{"text": " is"}"#, r#"{"text": " is"}, {"text": ""}"#);
    broken(gemini, "text", r#"{"text": ""}"#, r#"{"text": "."}"#);
    broken(gemini, "text", r#""responseId": "resp-g1""#, r#""responseId": "resp-g2""#);
    broken(gemini, "text", r#""totalTokenCount": 1260"#, r#""totalTokenCount": 1"#);
    broken(gemini, "text", r#""finishReason": "STOP", "#, "");
    broken(gemini, "text", "\n\ndata", "\n\n: alive\n\ndata");
    broken(gemini, "text", "\n\ndata", "\n\ndata: [DONE]\n\ndata");
    broken(gemini, "error-first", r#""code":503,"#, "");
}
