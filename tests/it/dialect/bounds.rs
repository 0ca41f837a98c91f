//! Whatever comes in: no panic, no endless memory, and an answer that is well formed.

use dragoman::{
    catalog::{Abilities, UpstreamModel},
    dialect::{CLIENTS, DialectId, Recall, SERVERS},
};
use http::StatusCode;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{fixtures, grammar, trip};

/// A fixture with some of its bytes changed, cut out or repeated.
fn mutated(kind: &'static str) -> impl Strategy<Value = (DialectId, Vec<u8>)> {
    let change = (any::<prop::sample::Index>(), any::<u8>(), 0..4u8);
    (any::<prop::sample::Index>(), prop::collection::vec(change, 0..6)).prop_map(move |(which, changes)| {
        let fixtures = fixtures::all(kind);
        let fixture = which.get(&fixtures);
        let mut bytes = fixture.bytes.clone();
        for (at, byte, how) in changes {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                _ => bytes.extend_from_within(at..),
            }
            if bytes.is_empty() {
                bytes.push(b' ');
            }
        }
        (fixture.dialect, bytes)
    })
}

/// A fixture in which one value, anywhere, is another one of another type.
fn retyped(kind: &'static str) -> impl Strategy<Value = (DialectId, Vec<u8>)> {
    let values = [
        json!(null),
        json!(true),
        json!(-1.5),
        json!("x"),
        json!([]),
        json!([null]),
        json!({}),
        json!({"a": []}),
    ];
    (any::<prop::sample::Index>(), any::<prop::sample::Index>(), prop::sample::select(values.to_vec()))
        .prop_map(move |(which, at, value)| {
            let fixtures = fixtures::all(kind);
            let fixture = which.get(&fixtures);
            let mut json = fixture.json();
            let mut places = Vec::new();
            pointers("", &json, &mut places);
            let place = at.get(&places).clone();
            *json.pointer_mut(&place).unwrap() = value;
            (fixture.dialect, serde_json::to_vec(&json).unwrap())
        })
}

fn pointers(at: &str, value: &Value, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(it) => it.iter().for_each(|(key, value)| {
            pointers(&format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), value, found);
        }),
        Value::Array(it) => {
            it.iter().enumerate().for_each(|(index, value)| pointers(&format!("{at}/{index}"), value, found));
        }
        _ => {}
    }
}

/// Reads a request and tells it to everyone.
fn try_request(dialect: DialectId, body: &[u8]) {
    let Ok(request) = dialect.server().decode_request(body) else { return };
    let model = UpstreamModel::parse("m").unwrap();
    for client in fixtures::DIALECTS.map(DialectId::client) {
        if let Ok(encoded) = client.encode_request(&request, &model, &Abilities::default()) {
            assert!(serde_json::from_slice::<Value>(&encoded.body).is_ok());
        }
    }
}

fn try_answer(dialect: DialectId, body: &[u8]) {
    let Ok(answer) = dialect.client().decode_response(body, &Recall::default()) else { return };
    for server in SERVERS {
        let body = server.encode_response(&answer, &trip::context());
        assert!(serde_json::from_slice::<Value>(&body).is_ok());
    }
}

fn try_stream(dialect: DialectId, bytes: &[u8]) {
    for to in fixtures::DIALECTS {
        let out = trip::relay(dialect, to, &[bytes]);
        if let Err(rule) = grammar::check_form(to, &out) {
            panic!("{rule}\n{}\nbecame\n{}", String::from_utf8_lossy(bytes), String::from_utf8_lossy(&out));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(192) })]

    #[test]
    fn any_bytes_are_survived_as_a_request_and_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for dialect in fixtures::DIALECTS {
            try_request(dialect, &bytes);
        }
        for dialect in fixtures::DIALECTS {
            try_answer(dialect, &bytes);
            dialect.client().decode_error(StatusCode::BAD_GATEWAY, &bytes);
        }
    }

    #[test]
    fn changed_requests_are_survived((dialect, body) in mutated("requests")) {
        try_request(dialect, &body);
    }

    #[test]
    fn requests_with_a_value_of_another_type_are_survived((dialect, body) in retyped("requests")) {
        try_request(dialect, &body);
    }

    #[test]
    fn changed_answers_are_survived((dialect, body) in prop_oneof![mutated("answers"), retyped("answers")]) {
        try_answer(dialect, &body);
    }

    #[test]
    fn changed_errors_are_survived((_, body) in prop_oneof![mutated("errors"), retyped("errors")]) {
        for client in CLIENTS {
            client.decode_error(StatusCode::INTERNAL_SERVER_ERROR, &body);
        }
    }

    #[test]
    fn changed_streams_reach_clients_well_formed((dialect, bytes) in mutated("streams")) {
        try_stream(dialect, &bytes);
    }

    #[test]
    fn any_order_of_events_reaches_clients_well_formed(
        dialect in prop::sample::select(fixtures::DIALECTS.to_vec()),
        picks in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..15),
    ) {
        let streams = fixtures::of(dialect, "streams");
        let mut mixed = Vec::new();
        for (stream, event) in picks {
            let text = std::str::from_utf8(&stream.get(&streams).bytes).unwrap();
            let events: Vec<&str> = text.split_inclusive("\n\n").collect();
            mixed.extend_from_slice(event.get(&events).as_bytes());
        }
        try_stream(dialect, &mixed);
    }
}

#[test]
fn ec_191_an_endless_event_ends_in_an_error() {
    for dialect in fixtures::DIALECTS {
        let endless = [b"data: ".to_vec(), vec![b'x'; trip::MAX_FRAME + 1]].concat();
        for to in fixtures::DIALECTS {
            let out = trip::relay(dialect, to, &[&endless]);
            assert_eq!(grammar::check(to, &out), Ok(grammar::Told::Error));
        }
    }
}

/// A request of one user's turn, whose list of turns or content is put in as it stands.
fn with_turns(dialect: DialectId, turns: &str) -> String {
    let key = match dialect {
        DialectId::OpenaiResponses => "input",
        DialectId::Gemini => "contents",
        DialectId::OpenaiChat | DialectId::AnthropicMessages => "messages",
    };
    format!(r#"{{"model":"a","max_tokens":1,"model":"b","{key}":{turns}}}"#)
}

fn with_text(dialect: DialectId, content: &str) -> String {
    let content = match dialect {
        DialectId::Gemini => {
            format!(r#"[{{"role":"user","parts":[{{{content}}}]}}]"#).replace("content", "text")
        }
        _ => format!(r#"[{{"role":"user",{content}}}]"#),
    };
    with_turns(dialect, &content)
}

#[test]
fn ec_190_bombs_are_refused() {
    for dialect in fixtures::DIALECTS {
        let depth = with_turns(dialect, &"[".repeat(100_000));
        assert!(dialect.server().decode_request(depth.as_bytes()).is_err());
        let number = with_turns(dialect, &format!("1{}", "0".repeat(10_000)));
        assert!(dialect.server().decode_request(number.as_bytes()).is_err());
    }
}

#[test]
fn ec_117_lone_surrogates_are_no_error() {
    for dialect in fixtures::DIALECTS {
        let body = with_text(dialect, r#""content":"a\ud83d""#);
        let request = dialect.server().decode_request(body.as_bytes()).unwrap();
        assert_eq!(request.conversation.turns[0].parts[0].as_text(), Some("a\u{FFFD}"));
    }
}

#[test]
fn ec_144_of_duplicate_keys_the_last_is_told() {
    for dialect in fixtures::DIALECTS {
        let body = with_text(dialect, r#""content":"x","content":"y""#);
        let request = dialect.server().decode_request(body.as_bytes()).unwrap();
        assert_eq!(request.model.as_str(), "b");
        assert_eq!(request.conversation.turns[0].parts[0].as_text(), Some("y"));
    }
}
