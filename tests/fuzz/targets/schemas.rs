//! Schemas of tools and answers as Gemini takes them: any schema is reduced, to keywords Gemini knows, in bounded time.
//!
//! Input: a JSON schema.
#![no_main]

use dragoman::{
    catalog::{Abilities, UpstreamModel},
    dialect::DialectId,
};
use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::{Value, json};

fuzz_target!(|input: &[u8]| -> Corpus {
    let Ok(schema) = serde_json::from_slice::<Value>(input) else { return Corpus::Reject };
    let asked = json!({
        "model": "some-model",
        "messages": [{"role": "user", "content": "hello"}],
        "tools": [{"type": "function", "function": {"name": "look", "parameters": schema}}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "said", "schema": schema}},
    });
    let body = asked.to_string();
    let Ok(request) = DialectId::OpenaiChat.server().decode_request(body.as_bytes()) else {
        return Corpus::Keep;
    };
    let model = UpstreamModel::parse("some-model").expect("a plain name");
    let told = DialectId::Gemini.client().encode_request(&request, &model, &Abilities::default());
    let Ok(told) = told else { return Corpus::Keep };
    let told: Value = serde_json::from_slice(&told.body).expect("a request in JSON");
    if let Some(reduced) = told.pointer("/tools/0/functionDeclarations/0/parameters") {
        check(reduced);
    }
    if let Some(reduced) = told.pointer("/generationConfig/responseSchema") {
        check(reduced);
    }
    // What others make of the same schema.
    for upstream in [DialectId::AnthropicMessages, DialectId::OpenaiResponses] {
        if let Ok(told) = upstream.client().encode_request(&request, &model, &Abilities::default()) {
            serde_json::from_slice::<Value>(&told.body).expect("a request in JSON");
        }
    }
    Corpus::Keep
});

/// Fails unless a schema is one of Gemini's `Schema`, whose field list is the `google-genai` SDK's.
fn check(schema: &Value) {
    const KEYWORDS: [&str; 24] = [
        "additionalProperties",
        "anyOf",
        "default",
        "defs",
        "description",
        "enum",
        "example",
        "format",
        "items",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "nullable",
        "pattern",
        "properties",
        "propertyOrdering",
        "required",
        "title",
        "type",
    ];
    const TYPES: [&str; 7] = ["STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"];
    let map = schema.as_object().expect("a schema is an object");
    for (key, value) in map {
        assert!(KEYWORDS.contains(&key.as_str()), "`{key}` is no keyword of Gemini's");
        match (key.as_str(), value) {
            ("type", it) => assert!(it.as_str().is_some_and(|it| TYPES.contains(&it)), "{it} is no type"),
            ("properties", it) => it.as_object().expect("a map").values().for_each(check),
            ("items", it) => check(it),
            ("anyOf", it) => it.as_array().expect("a list").iter().for_each(check),
            ("required" | "enum" | "propertyOrdering", it) => {
                assert!(it.as_array().expect("a list").iter().all(Value::is_string), "{key} of {it}");
            }
            _ => {}
        }
    }
}
