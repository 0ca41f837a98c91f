//! The object that Gemini wants for what a function gave, and the text that everyone else has for it.

use serde_json::{Map, Value};

/// What a function gave, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) text: String,
    pub(super) failed: bool,
}

/// Reads a response: `output` or `result` alone is what was given, `error` alone is what went wrong, any other object is
/// given as it is. The Vercel AI SDK wraps what was given as `{name, content}`.
pub(super) fn read(response: &Map<String, Value>, name: &str) -> Given {
    let mut fields = response.iter();
    let (text, failed) = match (fields.next(), fields.next(), fields.next()) {
        (Some((key, value)), None, None) if key == "output" || key == "result" => (as_text(value), false),
        (Some((key, value)), None, None) if key == "error" => (as_text(value), true),
        (Some((first, it)), Some((second, content)), None)
            if first == "name" && second == "content" && it == name =>
        {
            (as_text(content), false)
        }
        _ => (Value::Object(response.clone()).to_string(), false),
    };
    Given { text, failed }
}

fn as_text(value: &Value) -> String {
    match value {
        Value::String(it) => it.clone(),
        other => other.to_string(),
    }
}

/// Writes a response: an object's JSON is that object, any other text is `output`, or `error` if the call failed.
pub(super) fn write(given: &Given) -> Map<String, Value> {
    if given.failed {
        return Map::from_iter([("error".to_owned(), Value::from(given.text.as_str()))]);
    }
    match serde_json::from_str(&given.text) {
        Ok(Value::Object(object)) => object,
        _ => Map::from_iter([("output".to_owned(), Value::from(given.text.as_str()))]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn given(response: &Value) -> Given {
        read(response.as_object().unwrap(), "f")
    }

    #[test]
    fn a_response_is_read_by_its_keys() {
        for (response, text, failed) in [
            (json!({"output": "a"}), "a", false),
            (json!({"result": [1, 2.5]}), "[1,2.5]", false),
            (json!({"error": "no"}), "no", true),
            (json!({"a": 1}), "{\"a\":1}", false),
            (json!({}), "{}", false),
            (json!({"name": "f", "content": "a"}), "a", false),
            (json!({"name": "g", "content": "a"}), "{\"name\":\"g\",\"content\":\"a\"}", false),
            (json!({"output": "a", "error": "b"}), "{\"output\":\"a\",\"error\":\"b\"}", false),
        ] {
            assert_eq!(given(&response), Given { text: text.to_owned(), failed }, "{response}");
        }
    }

    proptest! {
        #[test]
        fn a_text_survives_its_object(text in "[a-z0-9 \"{}:\\[\\]]{0,12}", failed in any::<bool>()) {
            let given = Given { text, failed };
            let written = write(&given);
            let back = read(&written, "");
            let same = back == given;
            // An object is kept as what it says, not as it was spaced; one that looks like a result is read as one.
            let object = matches!(serde_json::from_str(&given.text), Ok(Value::Object(_)));
            prop_assert!(same || object);
        }
    }
}
