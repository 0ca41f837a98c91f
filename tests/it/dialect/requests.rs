//! Requests: what goes round comes back, and nothing is lost in silence.

use std::collections::HashMap;

use dragoman::{
    catalog::{
        Abilities, UpstreamModel,
        model::{Effort, MaxTokensField, ThinkingControl},
    },
    dialect::{DialectId, EncodeError, Encoded},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{facts, fixtures, generate};

/// What an upstream can do that speaks the dialect as its maker does.
fn abilities(dialect: DialectId, asked: &Value) -> Abilities {
    let efforts = vec![Effort::Low, Effort::Medium, Effort::High, Effort::Xhigh, Effort::Max];
    let common = Abilities {
        efforts,
        audio: true,
        developer_role: true,
        custom_tools: true,
        text_parts: true,
        tool_result_media: dialect == DialectId::AnthropicMessages,
        system_between_turns: true,
        forced_tool_while_thinking: true,
        ..Abilities::default()
    };
    match dialect {
        DialectId::OpenaiChat => Abilities {
            thinking: ThinkingControl::Effort,
            max_tokens_field: if asked.get("max_completion_tokens").is_some() {
                MaxTokensField::MaxCompletionTokens
            } else {
                MaxTokensField::MaxTokens
            },
            ..common
        },
        DialectId::AnthropicMessages => Abilities {
            thinking: if asked["thinking"]["type"] == "adaptive" || asked.get("thinking").is_none() {
                ThinkingControl::Adaptive
            } else {
                ThinkingControl::Budget
            },
            max_temperature_tenths: 10,
            ..common
        },
        DialectId::OpenaiResponses | DialectId::Gemini => common,
    }
}

fn encode(source: DialectId, target: DialectId, asked: &Value) -> Result<Encoded, EncodeError> {
    let request = source.server().decode_request(asked.to_string().as_bytes()).unwrap();
    let model = UpstreamModel::parse(asked["model"].as_str().unwrap()).unwrap();
    target.client().encode_request(&request, &model, &abilities(target, asked))
}

/// Every place where two JSON texts differ.
fn differences(at: &str, asked: &Value, told: &Value, found: &mut Vec<String>) {
    match (asked, told) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|it| !a.contains_key(*it))) {
                let null = Value::Null;
                let (a, b) = (a.get(key).unwrap_or(&null), b.get(key).unwrap_or(&null));
                differences(&format!("{at}/{key}"), a, b, found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                differences(&format!("{at}/{index}"), a, b, found);
            }
        }
        _ if asked == told => {}
        _ => found.push(format!("{at}: {asked} became {told}")),
    }
}

/// Tells a request to an upstream of its own dialect and says what is not as it was.
fn changed(dialect: DialectId, asked: &Value) -> Vec<String> {
    let encoded = encode(dialect, dialect, asked).unwrap();
    let told: Value = serde_json::from_slice(&encoded.body).unwrap();
    let mut found = Vec::new();
    differences("", asked, &told, &mut found);
    found.retain(|it| !encoded.losses.iter().any(|loss| !loss.at.is_empty() && it.starts_with(&loss.at)));
    found
}

/// Tells a request to an upstream of another dialect and says what has vanished without a note.
fn vanished(source: DialectId, target: DialectId, asked: &Value) -> Vec<facts::Fact> {
    // What is refused is not lost in silence.
    let Ok(encoded) = encode(source, target, asked) else { return Vec::new() };
    let before = source.server().decode_request(asked.to_string().as_bytes()).unwrap();
    let after = target.server().decode_request(&encoded.body).unwrap();
    let before = facts::of(&before, &HashMap::new());
    let after = facts::of(&after, &encoded.recall.names);
    facts::lost_in_silence(&before, &after, &encoded.losses)
}

#[test]
fn a_request_comes_back_as_it_was() {
    // Legacy functions are told as tools: their form is not kept, what they say is.
    for fixture in fixtures::all("requests").iter().filter(|it| it.name != "legacy-functions") {
        let changed = changed(fixture.dialect, &fixture.json());
        assert!(changed.is_empty(), "{}: {changed:#?}", fixture.title());
    }
}

#[test]
fn a_request_loses_nothing_in_silence() {
    for fixture in fixtures::all("requests") {
        for target in fixtures::ASKED {
            let vanished = vanished(fixture.dialect, target, &fixture.json());
            assert!(vanished.is_empty(), "{} to {}: {vanished:#?}", fixture.title(), target.name());
        }
    }
}

#[test]
fn ec_193_several_choices_are_refused_where_there_is_one() {
    let asked = json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }], "n": 3 });
    let refused = encode(DialectId::OpenaiChat, DialectId::AnthropicMessages, &asked).unwrap_err();
    assert_eq!(refused.at, "/n");
    assert!(encode(DialectId::OpenaiChat, DialectId::OpenaiChat, &asked).is_ok());
}

#[test]
fn ec_160_an_empty_list_of_calls_is_not_told() {
    let asked = json!({ "model": "m", "messages": [{ "role": "user", "content": "x" },
        { "role": "assistant", "content": "y", "tool_calls": [] }, { "role": "user", "content": "z" }] });
    let encoded = encode(DialectId::OpenaiChat, DialectId::OpenaiChat, &asked).unwrap();
    assert!(!String::from_utf8_lossy(&encoded.body).contains("tool_calls"));
}

#[test]
fn ec_197_redacted_thinking_goes_to_nobody_else() {
    let fixtures = fixtures::of(DialectId::AnthropicMessages, "requests");
    let asked = fixtures.iter().find(|it| it.name == "thinking-budget").unwrap().json();
    let told = |target| encode(DialectId::AnthropicMessages, target, &asked).unwrap();
    assert!(String::from_utf8_lossy(&told(DialectId::AnthropicMessages).body).contains("EmwKAhgBEgy3va3"));
    let elsewhere = told(DialectId::OpenaiChat);
    assert!(!String::from_utf8_lossy(&elsewhere.body).contains("EmwKAhgBEgy3va3"));
    assert!(elsewhere.losses.iter().any(|it| it.at == "/messages/1"), "{:?}", elsewhere.losses);
}

#[test]
fn ec_112_the_order_of_tools_is_kept() {
    for fixture in fixtures::all("requests") {
        let source = fixture.dialect.server().decode_request(&fixture.bytes).unwrap();
        for target in fixtures::ASKED {
            let Ok(encoded) = encode(fixture.dialect, target, &fixture.json()) else { continue };
            let told = target.server().decode_request(&encoded.body).unwrap();
            let names = |tools: &[dragoman::dialect::canonical::Tool]| {
                tools.iter().map(|it| it.name.clone()).collect::<Vec<_>>()
            };
            let (asked, told) = (names(&source.tools), names(&told.tools));
            assert!(told.is_empty() || asked == told, "{}: {asked:?} {told:?}", fixture.title());
        }
    }
}

#[test]
fn ec_184_a_request_for_another_upstream_is_made_anew() {
    let source = fixtures::ASKED;
    for fixture in fixtures::all("requests") {
        let request = fixture.dialect.server().decode_request(&fixture.bytes).unwrap();
        let kept = request.clone();
        let model = UpstreamModel::parse("m").unwrap();
        for target in source {
            let encode = || target.client().encode_request(&request, &model, &Abilities::default());
            let bodies = [encode(), encode()].map(|it| it.map(|it| it.body));
            assert_eq!((&bodies[0], &request), (&bodies[1], &kept), "{}", fixture.title());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn a_made_up_chat_request_comes_back_as_it_was(asked in generate::request(DialectId::OpenaiChat)) {
        prop_assert_eq!(changed(DialectId::OpenaiChat, &asked), Vec::<String>::new());
    }

    #[test]
    fn a_made_up_messages_request_comes_back_as_it_was(asked in generate::request(DialectId::AnthropicMessages)) {
        prop_assert_eq!(changed(DialectId::AnthropicMessages, &asked), Vec::<String>::new());
    }

    #[test]
    fn a_made_up_chat_request_loses_nothing_in_silence(asked in generate::request(DialectId::OpenaiChat)) {
        prop_assert_eq!(vanished(DialectId::OpenaiChat, DialectId::AnthropicMessages, &asked), Vec::new());
    }

    #[test]
    fn a_made_up_messages_request_loses_nothing_in_silence(asked in generate::request(DialectId::AnthropicMessages)) {
        prop_assert_eq!(vanished(DialectId::AnthropicMessages, DialectId::OpenaiChat, &asked), Vec::new());
    }
}
