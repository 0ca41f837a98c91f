//! What an answer repeats of its request, with the API's own defaults where the request said nothing.

use serde_json::{Map, Value, json};

use crate::dialect::{json as body_json, scan};

/// The fields of a request that its answer repeats.
const FIELDS: [&str; 23] = [
    "background",
    "frequency_penalty",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "presence_penalty",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
];

/// Collects the fields from a body without reading the rest of it. What cannot be read is not repeated.
pub(in crate::dialect::openai_responses) fn collect(body: &[u8]) -> Map<String, Value> {
    let Ok(scan) = scan::scan(body) else { return Map::new() };
    let mut echo = Map::new();
    for key in FIELDS.into_iter().chain(["user"]) {
        if let Some(span) = scan.span(key)
            && let Ok(value) = body_json::parse(&body[span])
            && !value.is_null()
        {
            echo.insert(key.to_owned(), value);
        }
    }
    echo
}

/// All fields that an answer has of its request, in the order of their names.
pub(in crate::dialect::openai_responses) fn complete(echo: &Map<String, Value>) -> Map<String, Value> {
    let mut all = Map::new();
    for key in FIELDS.into_iter().chain(["user"]) {
        let value = echo.get(key).filter(|it| !it.is_null());
        let value = match key {
            "tools" => tools(value),
            "text" => text(value),
            "reasoning" => with_nulls(value.cloned().unwrap_or_else(|| json!({})), &["effort", "summary"]),
            _ => value.cloned().unwrap_or_else(|| default(key)),
        };
        all.insert(key.to_owned(), value);
    }
    all
}

fn default(key: &str) -> Value {
    match key {
        "background" => false.into(),
        "frequency_penalty" | "presence_penalty" => json!(0.0),
        "metadata" => json!({}),
        "parallel_tool_calls" | "store" => true.into(),
        "service_tier" => "default".into(),
        "temperature" | "top_p" => json!(1.0),
        "tool_choice" => "auto".into(),
        "top_logprobs" => 0.into(),
        "truncation" => "disabled".into(),
        _ => Value::Null,
    }
}

/// Function tools have all of their fields in an answer.
fn tools(tools: Option<&Value>) -> Value {
    let Some(Value::Array(tools)) = tools else { return json!([]) };
    let complete = |tool: &Value| match tool.get("type").and_then(Value::as_str) {
        Some("function") => with_nulls(tool.clone(), &["description", "parameters", "strict"]),
        _ => tool.clone(),
    };
    Value::Array(tools.iter().map(complete).collect())
}

fn text(text: Option<&Value>) -> Value {
    let mut text = match text {
        Some(Value::Object(text)) => text.clone(),
        _ => Map::new(),
    };
    let format = match text.get_mut("format").map(Value::take) {
        Some(format) if format.get("type") == Some(&json!("json_schema")) => {
            with_nulls(format, &["description", "strict"])
        }
        Some(format @ Value::Object(_)) => format,
        _ => json!({ "type": "text" }),
    };
    text.insert("format".to_owned(), format);
    if !text.get("verbosity").is_some_and(Value::is_string) {
        text.insert("verbosity".to_owned(), "medium".into());
    }
    Value::Object(text)
}

fn with_nulls(mut object: Value, keys: &[&str]) -> Value {
    if let Some(fields) = object.as_object_mut() {
        for key in keys {
            if !fields.contains_key(*key) {
                fields.insert((*key).to_owned(), Value::Null);
            }
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_asked_is_repeated_and_its_conversation_is_not() {
        let body = br#"{"model":"m","input":[{"role":"user","content":"secret"}],"temperature":0.20,"user":"u",
            "tools":[{"type":"function","name":"f"}],"text":{"format":{"type":"json_object"}},"stream":true}"#;
        let echo = collect(body);
        assert_eq!(echo.keys().collect::<Vec<_>>(), ["temperature", "text", "tools", "user"]);
        let all = complete(&echo);
        assert_eq!(all["temperature"].to_string(), "0.20");
        assert_eq!(
            all["tools"],
            json!([{"type": "function", "name": "f", "description": null, "parameters": null, "strict": null}])
        );
        assert_eq!(all["text"], json!({"format": {"type": "json_object"}, "verbosity": "medium"}));
    }

    #[test]
    fn ec_067_what_was_not_asked_is_told_with_its_default() {
        let all = complete(&Map::new());
        assert_eq!(all["tool_choice"], "auto");
        assert_eq!(all["tools"], json!([]));
        assert_eq!(all["reasoning"], json!({"effort": null, "summary": null}));
        for key in ["instructions", "previous_response_id", "max_output_tokens", "user", "prompt_cache_key"] {
            assert_eq!(all.get(key), Some(&Value::Null), "{key}");
        }
    }

    #[test]
    fn a_body_that_cannot_be_read_repeats_nothing() {
        assert!(collect(b"[").is_empty() && collect(b"[]").is_empty());
    }
}
