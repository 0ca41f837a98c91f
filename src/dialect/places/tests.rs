use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn find(dialect: DialectId, asked: &Value, at: &str) -> String {
    Places::of(dialect, asked.to_string().as_bytes()).find(at)
}

#[test]
fn a_field_is_named_as_the_client_names_it() {
    let gemini = json!({"generationConfig": {"stopSequences": ["x"], "thinkingConfig": {"thinkingBudget": 5}},
        "toolConfig": {}});
    for (at, expected) in [
        ("/stop", "/generationConfig/stopSequences"),
        ("/stop/0", "/generationConfig/stopSequences/0"),
        ("/thinking", "/generationConfig/thinkingConfig/thinkingBudget"),
        ("/tool_choice", "/toolConfig"),
    ] {
        assert_eq!(find(DialectId::Gemini, &gemini, at), expected);
    }
    let responses = json!({"max_output_tokens": 5, "text": {"format": {}}, "reasoning": {"summary": "auto"}});
    for (at, expected) in [
        ("/max_tokens", "/max_output_tokens"),
        ("/response_format", "/text/format"),
        ("/thinking", "/reasoning"),
        ("/thinking/display", "/reasoning/summary"),
    ] {
        assert_eq!(find(DialectId::OpenaiResponses, &responses, at), expected);
    }
    let messages = json!({"stop_sequences": [], "output_config": {"effort": "low"}, "metadata": {"user_id": "u"},
        "tools": [{"input_schema": {"a": 1}}]});
    for (at, expected) in [
        ("/stop", "/stop_sequences"),
        ("/reasoning_effort", "/output_config/effort"),
        ("/thinking", "/output_config/effort"),
        ("/user", "/metadata/user_id"),
        ("/tools/0/parameters/a", "/tools/0/input_schema/a"),
    ] {
        assert_eq!(find(DialectId::AnthropicMessages, &messages, at), expected);
    }
    let chat = json!({"max_tokens": 1, "max_completion_tokens": 5, "function_call": "auto",
        "tools": [{"type": "function", "function": {"strict": true, "parameters": {"a": 1}}}]});
    for (at, expected) in [
        ("/max_tokens", "/max_completion_tokens"),
        ("/tool_choice", "/function_call"),
        ("/tools/0/strict", "/tools/0/function/strict"),
        ("/tools/0/parameters/a", "/tools/0/function/parameters/a"),
    ] {
        assert_eq!(find(DialectId::OpenaiChat, &chat, at), expected);
    }
}

#[test]
fn ec_103_a_field_is_spelled_as_the_client_spells_it() {
    let asked = json!({"generation_config": {"max_output_tokens": 5}, "system_instruction": {}});
    assert_eq!(find(DialectId::Gemini, &asked, "/max_tokens"), "/generation_config/max_output_tokens");
    assert_eq!(find(DialectId::Gemini, &asked, "/systemInstruction/parts/0"), "/system_instruction");
}

#[test]
fn what_is_not_there_is_its_field_or_the_default_of_its_dialect() {
    let asked = json!({"input": [{"content": [{"image_url": "u"}, {"image_url": "u", "detail": "low"}]}]});
    let responses = DialectId::OpenaiResponses;
    assert_eq!(
        find(responses, &asked, "/input/0/content/0/image_url/detail"),
        "/input/0/content/0/image_url"
    );
    assert_eq!(find(responses, &asked, "/input/0/content/1/image_url/detail"), "/input/0/content/1/detail");
    assert_eq!(find(responses, &asked, "/max_tokens"), "/max_output_tokens");
    assert_eq!(find(DialectId::Gemini, &json!({}), "/max_tokens"), "/generationConfig/maxOutputTokens");
    assert_eq!(find(responses, &asked, ""), "");
    assert_eq!(Places::of(responses, b"no json").find("/stop"), "/stop");
}

#[test]
fn names_in_pointers_are_escaped() {
    let asked = json!({"a/b~c": {"d": 1}});
    assert_eq!(find(DialectId::OpenaiChat, &asked, "/a~1b~0c/d"), "/a~1b~0c/d");
}

#[test]
fn half_of_a_pair_and_a_mark_of_byte_order_hide_nothing() {
    for body in [&b"\xEF\xBB\xBF{\"stop\":1}"[..], br#"{"x":"\ud83d","stop":1e400}"#] {
        assert_eq!(Places::of(DialectId::OpenaiChat, body).find("/stop/0"), "/stop");
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i32>().prop_map(Value::from),
        "[a-z]{0,3}".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-cA-C_/~]{1,3}", inner, 0..4)
                .prop_map(|it| it.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn a_pointer_into_the_request_is_found_as_it_is(asked in json_value(), steps in prop::collection::vec(any::<prop::sample::Index>(), 0..4)) {
        let (mut at, mut here) = (String::new(), &asked);
        for step in steps {
            here = match here {
                Value::Array(list) if !list.is_empty() => {
                    let index = step.index(list.len());
                    at = format!("{at}/{index}");
                    &list[index]
                }
                Value::Object(map) if !map.is_empty() => {
                    let (key, inner) = map.iter().nth(step.index(map.len())).unwrap();
                    at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                    inner
                }
                _ => break,
            };
        }
        prop_assert_eq!(find(DialectId::OpenaiChat, &asked, &at), at);
    }
}
