//! Every fixture is read and written by every codec that is registered.

use std::collections::HashSet;

use dragoman::{
    catalog::{Abilities, UpstreamModel},
    dialect::{CLIENTS, DialectId, Recall, SERVERS, canonical::FinishReason},
    kernel::error::{ErrorKind, GatewayError},
};
use http::StatusCode;
use serde_json::Value;

use crate::support::{fixtures, grammar, trip};

#[test]
fn every_dialect_has_both_sides_and_fixtures() {
    assert_eq!(SERVERS.len(), fixtures::DIALECTS.len());
    assert_eq!(CLIENTS.len(), fixtures::DIALECTS.len());
    for dialect in fixtures::DIALECTS {
        assert_eq!((dialect.server().id(), dialect.client().id()), (dialect, dialect));
        for kind in ["answers", "streams", "errors"] {
            assert!(!fixtures::of(dialect, kind).is_empty(), "{} has no {kind}", dialect.name());
        }
    }
    for dialect in fixtures::DIALECTS {
        assert!(!fixtures::of(dialect, "requests").is_empty(), "{} has no requests", dialect.name());
    }
}

#[test]
fn every_request_can_be_said_to_every_upstream() {
    let model = UpstreamModel::parse("upstream-1").unwrap();
    let mut refusals = HashSet::new();
    for fixture in fixtures::all("requests") {
        let title = fixture.title();
        let request = fixture.dialect.server().decode_request(&fixture.bytes).expect(&title);
        for client in fixtures::DIALECTS.map(DialectId::client) {
            let title = format!("{} to {}", fixture.title(), client.id().name());
            let encoded = match client.encode_request(&request, &model, &Abilities::default()) {
                Ok(encoded) => encoded,
                Err(refused) => {
                    assert!(fixture.json().pointer(&refused.at).is_some(), "{title}: {refused:?}");
                    refusals.insert(title);
                    continue;
                }
            };
            let body: Value = serde_json::from_slice(&encoded.body).expect(&title);
            let read_back = client.id().server().decode_request(&encoded.body).expect(&title);
            if client.id() == DialectId::Gemini {
                // Said in the path.
                assert!(body.get("model").is_none() && body.get("stream").is_none(), "{title}");
            } else {
                assert_eq!(body["model"], "upstream-1", "{title}");
                assert_eq!(read_back.stream.enabled, request.stream.enabled, "{title}");
            }
        }
    }
    let expected = [
        "openai-chat/several-choices to anthropic-messages",
        "openai-chat/several-choices to openai-responses",
        "openai-responses/stored-continuation to anthropic-messages",
        "openai-responses/stored-continuation to gemini",
        "openai-responses/stored-continuation to openai-chat",
        "openai-responses/stored-files to anthropic-messages",
        "openai-responses/stored-files to gemini",
        "gemini/sounds-and-films to anthropic-messages",
        "gemini/sounds-and-films to openai-responses",
    ];
    assert_eq!(
        refusals,
        HashSet::from(expected.map(str::to_owned)),
        "what cannot be said is refused, and nothing else"
    );
}

#[test]
fn every_answer_can_be_given_to_every_client() {
    for fixture in fixtures::all("answers") {
        let client = fixture.dialect.client();
        let title = fixture.title();
        let answer = client.decode_response(&fixture.bytes, &Recall::default()).expect(&title);
        for server in SERVERS {
            let title = format!("{} to {}", fixture.title(), server.id().name());
            let body: Value =
                serde_json::from_slice(&server.encode_response(&answer, &trip::context())).expect(&title);
            let read_back =
                server.id().client().decode_response(body.to_string().as_bytes(), &Recall::default());
            let read_back = read_back.expect(&title);
            let expected = told_as(server.id(), answer.choices[0].finish.reason);
            assert_eq!(read_back.choices[0].finish.reason, expected, "{title}");
        }
    }
}

/// What is left of a reason in the words of a dialect.
fn told_as(dialect: DialectId, reason: FinishReason) -> FinishReason {
    match (dialect, reason) {
        (
            DialectId::OpenaiChat | DialectId::OpenaiResponses,
            FinishReason::StopSequence | FinishReason::Pause,
        )
        | (DialectId::Gemini, FinishReason::StopSequence)
        | (
            DialectId::OpenaiChat | DialectId::OpenaiResponses | DialectId::AnthropicMessages,
            FinishReason::Malformed | FinishReason::Other,
        ) => FinishReason::Stop,
        (
            DialectId::OpenaiChat | DialectId::OpenaiResponses | DialectId::Gemini,
            FinishReason::ContextFull,
        ) => FinishReason::Length,
        (DialectId::Gemini, FinishReason::Refusal) => FinishReason::ContentFilter,
        (DialectId::AnthropicMessages, FinishReason::ContentFilter) => FinishReason::Refusal,
        (_, reason) => reason,
    }
}

#[test]
fn every_error_is_understood() {
    for fixture in fixtures::all("errors") {
        let described = fixture.json();
        let status =
            StatusCode::from_u16(u16::try_from(described["status"].as_u64().unwrap()).unwrap()).unwrap();
        let body =
            described["text"].as_str().map_or_else(|| described["body"].to_string(), ToOwned::to_owned);
        for client in CLIENTS {
            let error = client.decode_error(status, body.as_bytes());
            let title = format!("{} read as {}", fixture.title(), client.id().name());
            assert_eq!(error.kind.name(), described["kind"].as_str().unwrap(), "{title}");
            assert!(!error.message.is_empty() && !error.message.contains('<'), "{title}: {}", error.message);
        }
    }
}

#[test]
fn every_kind_of_error_can_be_told_to_every_client() {
    for server in SERVERS {
        for kind in ErrorKind::ALL {
            let error = GatewayError::new(kind, "what is wrong").at("/messages/0");
            let (status, body) = server.encode_error(&error, trip::context().request);
            let title = format!("{} to {}", kind.name(), server.id().name());
            assert!(status.is_client_error() || status.is_server_error(), "{title}: {status}");
            let body: Value = serde_json::from_slice(&body).expect(&title);
            assert!(body["error"]["message"].as_str().unwrap().contains("what is wrong"), "{title}");
            let word = if server.id() == DialectId::Gemini { "status" } else { "type" };
            assert!(body["error"][word].is_string(), "{title}");
        }
    }
}

#[test]
fn ec_084_the_gateways_own_refusal_is_not_the_clients() {
    for server in SERVERS {
        let error = GatewayError::new(ErrorKind::UpstreamRefused, "the upstream refused");
        let (status, _) = server.encode_error(&error, trip::context().request);
        assert!(status.is_server_error(), "{}: {status}", server.id().name());
    }
}

#[test]
fn ec_083_overload_has_the_status_its_dialect_knows() {
    let error = GatewayError::new(ErrorKind::Overloaded, "overloaded");
    let status = |dialect: DialectId| dialect.server().encode_error(&error, trip::context().request).0;
    assert_eq!(status(DialectId::AnthropicMessages).as_u16(), 529);
    assert_eq!(status(DialectId::OpenaiChat).as_u16(), 503);
}

#[test]
fn ec_076_and_ec_072_keep_alives_are_no_events_to_a_client() {
    for server in SERVERS {
        let stream = server.keep_alive();
        let text = std::str::from_utf8(&stream).unwrap();
        assert!(text.ends_with("\n\n") || text == "\n", "{text:?}");
        if server.id() == DialectId::OpenaiChat {
            assert!(text.starts_with(':'), "a comment");
        }
        let pinged = [
            trip::relay(
                server.id(),
                server.id(),
                &[&fixtures::whole_streams().iter().find(|it| it.dialect == server.id()).unwrap().bytes],
            ),
            Vec::new(),
        ]
        .concat();
        let place = pinged.windows(2).position(|it| it == b"\n\n").unwrap() + 2;
        let with = [&pinged[..place], &stream, &pinged[place..]].concat();
        assert_eq!(grammar::check(server.id(), &with), Ok(grammar::Told::Success));
    }
}
