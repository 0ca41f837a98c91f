//! Lists of models, and counts, as Google's SDKs read them.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::dialect::ModelEntry;

/// What is offered of every model: answers, streams, counts.
const METHODS: [&str; 3] = ["generateContent", "streamGenerateContent", "countTokens"];

/// All models on one page.
pub(super) fn models(models: &[ModelEntry]) -> Bytes {
    let models: Vec<Value> = models.iter().map(entry).collect();
    Bytes::from(json!({ "models": models }).to_string())
}

pub(super) fn model(model: &ModelEntry) -> Bytes {
    Bytes::from(entry(model).to_string())
}

pub(super) fn count(tokens: u64) -> Bytes {
    Bytes::from(json!({ "totalTokens": tokens }).to_string())
}

fn entry(model: &ModelEntry) -> Value {
    let mut entry = json!({ "name": format!("models/{}", model.id), "displayName": model.id });
    if let Some(window) = model.context_window {
        entry["inputTokenLimit"] = window.into();
    }
    if let Some(most) = model.max_output_tokens {
        entry["outputTokenLimit"] = most.into();
    }
    entry["supportedGenerationMethods"] = METHODS.as_slice().into();
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_listed_as_google_lists_them() {
        let entry = ModelEntry {
            id: "fast".to_owned(),
            owned_by: "dragoman".to_owned(),
            created: 7,
            context_window: Some(1000),
            max_output_tokens: Some(10),
        };
        let expected = json!({
            "name": "models/fast", "displayName": "fast", "inputTokenLimit": 1000, "outputTokenLimit": 10,
            "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"]
        });
        let list: Value = serde_json::from_slice(&models(std::slice::from_ref(&entry))).unwrap();
        assert_eq!(list, json!({ "models": [expected] }));
        assert_eq!(serde_json::from_slice::<Value>(&model(&entry)).unwrap(), expected);
        assert_eq!(&count(31)[..], br#"{"totalTokens":31}"#);
    }
}
