//! Reads the list of models an upstream gives.

use serde_json::Value;

use crate::catalog::UpstreamModel;

/// The most models that are taken from one upstream.
pub const MOST_MODELS: usize = 10_000;

/// One page of a list of models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelPage {
    /// In the upstream's order, without those whose name we could not use.
    pub models: Vec<UpstreamModel>,
    /// Where the next page begins, if there is one (Messages: `has_more`, `last_id`).
    pub next: Option<String>,
}

/// The answer is no list of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the upstream's answer is no list of models")]
pub struct NotAList;

/// Reads `{data: [{id}]}` of either dialect; also a bare array, `{models: […]}` and entries with a `name` only.
pub fn parse(body: &[u8]) -> Result<ModelPage, NotAList> {
    let value: Value = serde_json::from_slice(body).map_err(|_| NotAList)?;
    let list: &[Value] = match &value {
        Value::Array(list) => list,
        Value::Object(object) => match object.get("data").or_else(|| object.get("models")) {
            Some(Value::Array(list)) => list.as_slice(),
            // A server without models says so (`Ollama`).
            Some(Value::Null) => &[],
            _ => return Err(NotAList),
        },
        _ => return Err(NotAList),
    };
    let models = list.iter().filter_map(name).filter_map(|it| UpstreamModel::parse(it).ok());
    let has_more = value.get("has_more") == Some(&Value::Bool(true));
    let after = value.get("last_id").and_then(Value::as_str).filter(|_| has_more && !list.is_empty());
    Ok(ModelPage { models: models.take(MOST_MODELS).collect(), next: after.map(str::to_owned) })
}

fn name(entry: &Value) -> Option<&str> {
    entry.as_str().or_else(|| entry.get("id").or_else(|| entry.get("name"))?.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(body: &str) -> Vec<String> {
        parse(body.as_bytes()).unwrap().models.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn both_dialects_and_their_relatives_are_read() {
        let rows: &[(&str, &[&str])] = &[
            (r#"{"object":"list","data":[{"id":"gpt-5","object":"model"},{"id":"o3"}]}"#, &["gpt-5", "o3"]),
            (
                r#"{"data":[{"type":"model","id":"claude-x","display_name":"X"}],"has_more":false}"#,
                &["claude-x"],
            ),
            (r#"[{"id":"meta/llama"}]"#, &["meta/llama"]),
            (r#"{"models":[{"name":"a"}, "b"]}"#, &["a", "b"]),
            (r#"{"object":"list","data":null}"#, &[]),
        ];
        for (body, expected) in rows {
            assert_eq!(names(body), *expected, "{body}");
        }
    }

    #[test]
    fn names_that_cannot_be_used_are_skipped() {
        assert_eq!(names(r#"{"data":[{"id":"../x"},{"id":""},{"id":7},{},{"id":"ok"},null]}"#), ["ok"]);
    }

    #[test]
    fn a_further_page_is_named() {
        let page = parse(br#"{"data":[{"id":"a"}],"has_more":true,"last_id":"a"}"#).unwrap();
        assert_eq!(page.next.as_deref(), Some("a"));
        let page = parse(br#"{"data":[],"has_more":true,"last_id":"a"}"#).unwrap();
        assert_eq!(page.next, None);
    }

    #[test]
    fn anything_else_is_no_list() {
        for body in ["", "<html>", "{}", r#"{"data":{}}"#, "7", r#"{"error":{"message":"no"}}"#] {
            assert_eq!(parse(body.as_bytes()), Err(NotAList), "{body}");
        }
    }
}
