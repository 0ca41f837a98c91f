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
    /// Where the next page begins, if there is one.
    pub next: Option<NextPage>,
}

/// The field of the query that asks for a further page, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextPage {
    pub field: &'static str,
    pub value: String,
}

/// The answer is no list of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the upstream's answer is no list of models")]
pub struct NotAList;

/// Reads `{data: [{id}]}` of Chat, Responses and Messages (with `has_more`, `last_id`), and Gemini's `{models: [{name}]}` (with
/// `nextPageToken`) without those that generate nothing; also a bare array, `{models: […]}` and entries with a `name` only.
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
    let models = list.iter().filter(|it| answers(it)).filter_map(name);
    let models = models.filter_map(|it| UpstreamModel::parse(it).ok()).take(MOST_MODELS).collect();
    Ok(ModelPage { models, next: next(&value).filter(|_| !list.is_empty()) })
}

fn next(list: &Value) -> Option<NextPage> {
    let text = |name: &str| list.get(name).and_then(Value::as_str).filter(|it| !it.is_empty());
    let has_more = list.get("has_more") == Some(&Value::Bool(true));
    let (field, value) = match text("nextPageToken") {
        Some(token) => ("pageToken", token),
        None => ("after_id", text("last_id").filter(|_| has_more)?),
    };
    Some(NextPage { field, value: value.to_owned() })
}

/// Whether a model answers at all: Gemini lists those too that only embed.
fn answers(entry: &Value) -> bool {
    let methods = entry.get("supportedGenerationMethods").and_then(Value::as_array);
    methods.is_none_or(|it| it.iter().any(|it| it == "generateContent"))
}

fn name(entry: &Value) -> Option<&str> {
    let name = entry.as_str().or_else(|| entry.get("id").or_else(|| entry.get("name"))?.as_str())?;
    // Only Gemini's names have their collection before them.
    let is_gemini = entry.get("supportedGenerationMethods").is_some();
    Some(name.strip_prefix("models/").filter(|_| is_gemini).unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(body: &str) -> Vec<String> {
        parse(body.as_bytes()).unwrap().models.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_dialect_and_their_relatives_are_read() {
        let rows: &[(&str, &[&str])] = &[
            (r#"{"object":"list","data":[{"id":"gpt-5","object":"model"},{"id":"o3"}]}"#, &["gpt-5", "o3"]),
            (
                r#"{"data":[{"type":"model","id":"claude-x","display_name":"X"}],"has_more":false}"#,
                &["claude-x"],
            ),
            (r#"[{"id":"meta/llama"}]"#, &["meta/llama"]),
            (r#"{"models":[{"name":"a"}, "b"]}"#, &["a", "b"]),
            (r#"{"object":"list","data":null}"#, &[]),
            (
                r#"{"models":[
                    {"name":"models/gemini-x","supportedGenerationMethods":["generateContent","countTokens"]},
                    {"name":"models/embedder","supportedGenerationMethods":["embedContent"]},
                    {"name":"tunedModels/mine","supportedGenerationMethods":["generateContent"]}]}"#,
                &["gemini-x", "tunedModels/mine"],
            ),
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
        assert_eq!(page.next, Some(NextPage { field: "after_id", value: "a".to_owned() }));
        let page = parse(br#"{"models":[{"name":"models/a"}],"nextPageToken":"t"}"#).unwrap();
        assert_eq!(page.next, Some(NextPage { field: "pageToken", value: "t".to_owned() }));
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
