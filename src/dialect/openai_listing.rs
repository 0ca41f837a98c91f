//! Lists of models, and token counts.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::dialect::ModelEntry;

pub(super) fn models(models: &[ModelEntry]) -> Bytes {
    let data: Vec<Value> = models.iter().map(entry).collect();
    Bytes::from(json!({ "object": "list", "data": data }).to_string())
}

pub(super) fn model(model: &ModelEntry) -> Bytes {
    Bytes::from(entry(model).to_string())
}

/// Chat has no count of its own; this is the shape of `POST /v1/responses/input_tokens`.
pub(super) fn count(tokens: u64) -> Bytes {
    Bytes::from(json!({ "object": "response.input_tokens", "input_tokens": tokens }).to_string())
}

fn entry(model: &ModelEntry) -> Value {
    let mut entry = json!({
        "id": model.id,
        "object": "model",
        "created": model.created,
        "owned_by": model.owned_by,
    });
    if let Some(window) = model.context_window {
        entry["context_window"] = window.into();
    }
    if let Some(most) = model.max_output_tokens {
        entry["max_output_tokens"] = most.into();
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_listed_as_openai_lists_them() {
        let entry = ModelEntry {
            id: "fast".to_owned(),
            owned_by: "dragoman".to_owned(),
            created: 7,
            context_window: Some(1000),
            max_output_tokens: None,
        };
        let list: Value = serde_json::from_slice(&models(&[entry])).unwrap();
        assert_eq!(list["object"], "list");
        assert_eq!(
            list["data"][0],
            json!({"id": "fast", "object": "model", "created": 7, "owned_by": "dragoman", "context_window": 1000})
        );
    }
}
