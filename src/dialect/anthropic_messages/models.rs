//! Lists of models and token counts, as Anthropic's SDKs read them.

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat};
use serde::Serialize;

use super::wire;
use crate::dialect::ModelEntry;

#[derive(Serialize)]
struct Model<'a> {
    r#type: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
}

#[derive(Serialize)]
struct Page<'a> {
    data: Vec<Model<'a>>,
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
}

impl<'a> From<&'a ModelEntry> for Model<'a> {
    fn from(entry: &'a ModelEntry) -> Self {
        let created = DateTime::from_timestamp(entry.created, 0).unwrap_or_default();
        Self {
            r#type: "model",
            id: &entry.id,
            display_name: &entry.id,
            created_at: created.to_rfc3339_opts(SecondsFormat::Secs, true),
            max_input_tokens: entry.context_window,
            max_tokens: entry.max_output_tokens,
        }
    }
}

/// All models on one page.
pub(super) fn list(models: &[ModelEntry]) -> Bytes {
    wire::bytes(&Page {
        data: models.iter().map(Model::from).collect(),
        has_more: false,
        first_id: models.first().map(|it| it.id.as_str()),
        last_id: models.last().map(|it| it.id.as_str()),
    })
}

pub(super) fn one(model: &ModelEntry) -> Bytes {
    wire::bytes(&Model::from(model))
}

pub(super) fn count(tokens: u64) -> Bytes {
    #[derive(Serialize)]
    struct Count {
        input_tokens: u64,
    }
    wire::bytes(&Count { input_tokens: tokens })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn ec_180_models_are_listed_in_anthropics_shape() {
        let entry = ModelEntry {
            id: "claude-x".into(),
            owned_by: "anthropic".into(),
            created: 1_700_000_000,
            context_window: Some(200_000),
            max_output_tokens: None,
        };
        let page: Value = serde_json::from_slice(&list(&[entry])).unwrap();
        assert_eq!(
            page,
            json!({"data": [{"type": "model", "id": "claude-x", "display_name": "claude-x",
                "created_at": "2023-11-14T22:13:20Z", "max_input_tokens": 200_000}],
                "has_more": false, "first_id": "claude-x", "last_id": "claude-x"})
        );
    }

    #[test]
    fn an_empty_list_has_no_ends() {
        let page: Value = serde_json::from_slice(&list(&[])).unwrap();
        assert_eq!(page, json!({"data": [], "has_more": false, "first_id": null, "last_id": null}));
        assert_eq!(&count(12)[..], br#"{"input_tokens":12}"#);
    }
}
