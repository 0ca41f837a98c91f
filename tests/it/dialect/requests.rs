//! Requests: what goes round comes back, and nothing is lost in silence.

use std::collections::HashMap;

use dragoman::{
    catalog::{
        Abilities, UpstreamModel,
        model::{BudgetRange, Effort, MaxTokensField, ThinkingControl},
    },
    dialect::{DialectId, EncodeError, Encoded, Loss, LossAction, Severity, places::Places},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{facts, fixtures, generate};

const SNAKE_BUDGET: &str = "/generation_config/thinking_config/thinking_budget";

/// What an upstream can do that speaks the dialect as its maker does.
fn abilities(dialect: DialectId, asked: &Value) -> Abilities {
    let efforts = vec![Effort::Low, Effort::Medium, Effort::High, Effort::Xhigh, Effort::Max];
    let common = Abilities {
        efforts,
        audio: true,
        developer_role: true,
        custom_tools: true,
        text_parts: true,
        tool_result_media: dialect != DialectId::OpenaiChat,
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
            web_search_options: true,
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
        DialectId::OpenaiResponses => Abilities { thinking: ThinkingControl::Effort, ..common },
        DialectId::Gemini => Abilities {
            thinking: if ["/generationConfig/thinkingConfig/thinkingBudget", SNAKE_BUDGET]
                .into_iter()
                .any(|it| asked.pointer(it).is_some())
            {
                ThinkingControl::GeminiBudget
            } else {
                ThinkingControl::GeminiLevel
            },
            thinking_budget: Some(BudgetRange { least: 0, most: 24_576 }),
            thought_signatures: true,
            ..common
        },
    }
}

pub(super) fn encode(source: DialectId, target: DialectId, asked: &Value) -> Result<Encoded, EncodeError> {
    let request = source.server().decode_request(asked.to_string().as_bytes()).unwrap();
    // Gemini names the model in the path.
    let model = UpstreamModel::parse(asked["model"].as_str().unwrap_or("m")).unwrap();
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

/// A request with its defaults written out: Responses has a short form for much.
fn spelled_out(dialect: DialectId, asked: &Value) -> Value {
    let mut asked = asked.clone();
    if dialect == DialectId::OpenaiResponses
        && let Some(items) = asked.get_mut("input").and_then(Value::as_array_mut)
    {
        items.iter_mut().for_each(spell_out_item);
    }
    asked
}

fn spell_out_item(item: &mut Value) {
    if item.get("role").is_some() && item.get("type").is_none() {
        item["type"] = "message".into();
    }
    let assistants = item["role"] == "assistant";
    if let Some(Value::String(text)) = item.get("content").cloned().as_ref() {
        let kind = if assistants { "output_text" } else { "input_text" };
        item["content"] = json!([{ "type": kind, "text": text }]);
    }
    if item["content"].is_null() {
        item.as_object_mut().unwrap().shift_remove("content");
    }
    for part in item.get_mut("content").and_then(Value::as_array_mut).into_iter().flatten() {
        if part["type"] == "output_text" && part.get("annotations").is_none() {
            part["annotations"] = json!([]);
        }
    }
}

/// Tells a request to an upstream of its own dialect and says what is not as it was.
fn changed(dialect: DialectId, asked: &Value) -> Vec<String> {
    let encoded = encode(dialect, dialect, asked).unwrap();
    let told: Value = serde_json::from_slice(&encoded.body).unwrap();
    let mut found = Vec::new();
    differences("", &spelled_out(dialect, asked), &spelled_out(dialect, &told), &mut found);
    found.retain(|it| !encoded.losses.iter().any(|loss| !loss.at.is_empty() && it.starts_with(&loss.at)));
    found
}

/// Tells a request to an upstream of another dialect and says what has vanished without a note.
fn vanished(source: DialectId, target: DialectId, asked: &Value) -> Vec<facts::Fact> {
    // What is refused is not lost in silence.
    let Ok(encoded) = encode(source, target, asked) else { return Vec::new() };
    let before = source.server().decode_request(asked.to_string().as_bytes()).unwrap();
    let mut after = target.server().decode_request(&encoded.body).unwrap();
    if target == DialectId::Gemini {
        // Said in the path.
        after.stream.enabled = before.stream.enabled;
    }
    let before = facts::of(&before, &HashMap::new());
    let after = facts::of(&after, &encoded.recall.names);
    facts::lost_in_silence(&before, &after, &encoded.losses)
}

#[test]
fn a_request_comes_back_as_it_was() {
    // Legacy functions are told as tools, names in snake case are told in camel case: their form is not kept, what they say is.
    let other_form = |it: &&fixtures::Fixture| it.name == "legacy-functions" || it.name == "snake-case";
    for fixture in fixtures::all("requests").iter().filter(|it| !other_form(it)) {
        let changed = changed(fixture.dialect, &fixture.json());
        assert!(changed.is_empty(), "{}: {changed:#?}", fixture.title());
    }
}

#[test]
fn a_request_loses_nothing_in_silence() {
    for fixture in fixtures::all("requests") {
        for target in fixtures::DIALECTS {
            let vanished = vanished(fixture.dialect, target, &fixture.json());
            assert!(vanished.is_empty(), "{} to {}: {vanished:#?}", fixture.title(), target.name());
        }
    }
}

/// What is noted of a request and points to nothing in it, but for what is made: a limit that the client did not say.
fn misplaced(source: DialectId, target: DialectId, asked: &Value) -> Vec<Loss> {
    let places = Places::of(source, asked.to_string().as_bytes());
    match encode(source, target, asked) {
        Ok(Encoded { losses: noted, .. }) => {
            let mut losses = noted.clone();
            places.put(&mut losses);
            let is_there = |it: &Loss| asked.pointer(&it.at).is_some();
            let is_default = |it: &Loss| it.action == LossAction::Synthesized && is_limit(source, &it.at);
            let is_somewhere = |(before, after): (&Loss, &Loss)| before.at.is_empty() || !after.at.is_empty();
            let lost = noted.iter().zip(&losses).filter(|it| !is_somewhere(*it)).map(|it| it.0.clone());
            let lost: Vec<Loss> = lost.collect();
            losses.into_iter().filter(|it| !is_there(it) && !is_default(it)).chain(lost).collect()
        }
        Err(refused) => {
            let at = places.put_error(refused.clone()).at;
            let noted = Loss::dropped(at, Severity::Semantic, refused.message);
            Some(noted).filter(|it| asked.pointer(&it.at).is_none()).into_iter().collect()
        }
    }
}

/// The name of the limit in each dialect: Anthropic needs one, and is told ours.
fn is_limit(dialect: DialectId, at: &str) -> bool {
    let name = match dialect {
        DialectId::OpenaiChat => "/max_completion_tokens",
        DialectId::OpenaiResponses => "/max_output_tokens",
        DialectId::AnthropicMessages => "/max_tokens",
        DialectId::Gemini => "/generationConfig/maxOutputTokens",
    };
    at == name
}

#[test]
fn every_loss_points_into_the_clients_own_request() {
    for fixture in fixtures::all("requests") {
        for target in fixtures::DIALECTS {
            let misplaced = misplaced(fixture.dialect, target, &fixture.json());
            assert!(misplaced.is_empty(), "{} to {}: {misplaced:#?}", fixture.title(), target.name());
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
        for target in fixtures::DIALECTS {
            let Ok(encoded) = encode(fixture.dialect, target, &fixture.json()) else { continue };
            let told = target.server().decode_request(&encoded.body).unwrap();
            let names = |tools: &[dragoman::dialect::canonical::Tool]| {
                tools.iter().map(|it| it.name.clone()).collect::<Vec<_>>()
            };
            let (asked, told) = (names(&source.tools), names(&told.tools));
            let told: Vec<String> =
                told.into_iter().map(|it| encoded.recall.names.get(&it).cloned().unwrap_or(it)).collect();
            let mut left = asked.iter();
            // A provider's own tool is called otherwise elsewhere.
            let known = told.iter().filter(|it| asked.contains(it));
            let in_order = known.into_iter().all(|it| left.any(|asked| asked == it));
            assert!(in_order, "{} to {}: {asked:?} {told:?}", fixture.title(), target.name());
        }
    }
}

#[test]
fn ec_184_a_request_for_another_upstream_is_made_anew() {
    let source = fixtures::DIALECTS;
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

#[test]
fn ec_103_snake_case_says_what_camel_case_says() {
    let fixtures = fixtures::of(DialectId::Gemini, "requests");
    let told = |name: &str| {
        let asked = fixtures.iter().find(|it| it.name == name).unwrap().json();
        encode(DialectId::Gemini, DialectId::Gemini, &asked).unwrap().body
    };
    assert_eq!(told("snake-case"), told("camel-case"));
}

#[test]
fn what_gemini_is_told_it_is_told_the_same_way_again() {
    for fixture in fixtures::all("requests") {
        let Ok(first) = encode(fixture.dialect, DialectId::Gemini, &fixture.json()) else { continue };
        let asked: Value = serde_json::from_slice(&first.body).unwrap();
        let changed = changed(DialectId::Gemini, &asked);
        assert!(changed.is_empty(), "{}: {changed:#?}", fixture.title());
    }
}

fn any_dialect() -> impl Strategy<Value = DialectId> {
    prop::sample::select(fixtures::DIALECTS.to_vec())
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
    fn a_made_up_responses_request_comes_back_as_it_was(asked in generate::request(DialectId::OpenaiResponses)) {
        prop_assert_eq!(changed(DialectId::OpenaiResponses, &asked), Vec::<String>::new());
    }

    #[test]
    fn a_made_up_responses_request_loses_nothing_in_silence(asked in generate::request(DialectId::OpenaiResponses)) {
        prop_assert_eq!(vanished(DialectId::OpenaiResponses, DialectId::AnthropicMessages, &asked), Vec::new());
        prop_assert_eq!(vanished(DialectId::OpenaiResponses, DialectId::OpenaiChat, &asked), Vec::new());
    }

    #[test]
    fn a_made_up_gemini_request_comes_back_as_it_was(asked in generate::request(DialectId::Gemini)) {
        prop_assert_eq!(changed(DialectId::Gemini, &asked), Vec::<String>::new());
    }

    #[test]
    fn a_made_up_gemini_request_loses_nothing_in_silence(asked in generate::request(DialectId::Gemini)) {
        prop_assert_eq!(vanished(DialectId::Gemini, DialectId::OpenaiChat, &asked), Vec::new());
        prop_assert_eq!(vanished(DialectId::Gemini, DialectId::AnthropicMessages, &asked), Vec::new());
    }

    #[test]
    fn a_made_up_chat_request_loses_nothing_in_silence(asked in generate::request(DialectId::OpenaiChat)) {
        prop_assert_eq!(vanished(DialectId::OpenaiChat, DialectId::Gemini, &asked), Vec::new());
        prop_assert_eq!(vanished(DialectId::OpenaiChat, DialectId::AnthropicMessages, &asked), Vec::new());
        prop_assert_eq!(vanished(DialectId::OpenaiChat, DialectId::OpenaiResponses, &asked), Vec::new());
    }

    #[test]
    fn a_made_up_messages_request_loses_nothing_in_silence(asked in generate::request(DialectId::AnthropicMessages)) {
        prop_assert_eq!(vanished(DialectId::AnthropicMessages, DialectId::Gemini, &asked), Vec::new());
        prop_assert_eq!(vanished(DialectId::AnthropicMessages, DialectId::OpenaiChat, &asked), Vec::new());
        prop_assert_eq!(vanished(DialectId::AnthropicMessages, DialectId::OpenaiResponses, &asked), Vec::new());
    }

    #[test]
    fn every_loss_of_a_made_up_request_points_into_it(
        (source, asked) in any_dialect().prop_flat_map(|it| generate::request(it).prop_map(move |asked| (it, asked))),
    ) {
        for target in fixtures::DIALECTS {
            prop_assert_eq!(misplaced(source, target, &asked), Vec::new(), "to {}", target.name());
        }
    }
}
