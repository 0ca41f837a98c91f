//! What the tools of another provider did, in Anthropic's blocks: for clients that know these blocks.
//!
//! Anthropic's own blocks carry text only Anthropic can read. Ours carry a mark in its place, by which they are known when
//! they come back: they are not sent on.

use serde_json::{Value, json};

use crate::dialect::{
    canonical::{Citation, ServerStep, names::minted_id},
    state,
};

/// Writes a step as the block of its tool. The block of a result names its call.
pub(super) fn block(step: &ServerStep) -> Value {
    match step {
        ServerStep::WebSearch { id, queries } => {
            let mut input = json!({"query": queries.first().map_or("", String::as_str)});
            if queries.len() > 1 {
                input["queries"] = json!(queries);
            }
            json!({"type": "server_tool_use", "id": tool_id(id), "name": "web_search", "input": input})
        }
        ServerStep::WebSearchResults { call_id, results } => {
            let found = results.iter().map(|it| {
                json!({"type": "web_search_result", "url": it.url, "title": it.title.as_deref().unwrap_or_default(),
                    "encrypted_content": state::UNSEALED, "page_age": null})
            });
            json!({"type": "web_search_tool_result", "tool_use_id": tool_id(call_id),
                "content": found.collect::<Vec<_>>()})
        }
        ServerStep::Code { id, code, .. } => {
            json!({"type": "server_tool_use", "id": tool_id(id), "name": "code_execution", "input": {"code": code}})
        }
        ServerStep::CodeOutput { call_id, succeeded, output } => {
            let code = i32::from(!succeeded);
            let (printed, failed) = if *succeeded { (output.as_str(), "") } else { ("", output.as_str()) };
            json!({"type": "code_execution_tool_result", "tool_use_id": tool_id(call_id), "content": {
                "type": "code_execution_result", "stdout": printed, "stderr": failed, "return_code": code,
                "content": []}})
        }
    }
}

/// Writes a citation of a page, as one of the block whose text is `text`; one without a URL has no form here.
pub(super) fn citation(citation: &Citation, text: &str) -> Option<Value> {
    let cited = citation.quote.clone().or_else(|| {
        let span = citation.span.clone()?;
        Some(text.chars().skip(span.start).take(span.len()).collect())
    });
    Some(json!({
        "type": "web_search_result_location", "url": citation.url.as_deref()?, "title": citation.title,
        "encrypted_index": state::UNSEALED, "cited_text": cited.unwrap_or_else(|| text.to_owned()),
    }))
}

/// Whether a block or a citation is one of ours: Anthropic could not read it.
pub(super) fn is_ours(raw: &Value) -> bool {
    let text = |key: &str| raw.get(key).and_then(Value::as_str).unwrap_or_default();
    ["id", "tool_use_id"].iter().any(|it| text(it).starts_with(state::HOSTED_TOOL))
        || text("encrypted_index") == state::UNSEALED
}

/// Anthropic's ids have no other signs than letters, digits and `_`.
fn tool_id(id: &str) -> String {
    format!("{}{}", state::HOSTED_TOOL, minted_id(id).trim_start_matches("call_"))
}

#[cfg(test)]
mod tests {
    use super::{super::decode, *};
    use crate::dialect::{
        DialectId,
        canonical::{PartKind, WebResult},
    };

    fn read(block: Value) -> ServerStep {
        let part = decode::block(block, String::new()).unwrap();
        let PartKind::ServerTool { step: Some(step), .. } = part.kind else { panic!("{part:?}") };
        step
    }

    #[test]
    fn ec_115_what_is_written_is_read_again() {
        let call = tool_id("ws_1");
        let results = vec![WebResult { url: "https://a.example".to_owned(), title: Some("A".to_owned()) }];
        let queries = vec!["one".to_owned(), "two".to_owned()];
        for (asked, told) in [
            (
                ServerStep::WebSearch { id: "ws_1".to_owned(), queries: queries.clone() },
                ServerStep::WebSearch { id: call.clone(), queries },
            ),
            (
                ServerStep::WebSearchResults { call_id: "ws_1".to_owned(), results: results.clone() },
                ServerStep::WebSearchResults { call_id: call.clone(), results },
            ),
            (
                ServerStep::Code { id: "ws_1".to_owned(), language: None, code: "1/0".to_owned() },
                ServerStep::Code { id: call.clone(), language: None, code: "1/0".to_owned() },
            ),
            (
                ServerStep::CodeOutput {
                    call_id: "ws_1".to_owned(),
                    succeeded: false,
                    output: "no".to_owned(),
                },
                ServerStep::CodeOutput { call_id: call.clone(), succeeded: false, output: "no".to_owned() },
            ),
        ] {
            let written = block(&asked);
            assert!(is_ours(&written), "{written}");
            assert_eq!(read(written), told);
        }
    }

    #[test]
    fn ec_198_a_span_of_another_dialect_is_quoted() {
        let asked = Citation {
            url: Some("https://a.example".to_owned()),
            span: Some(2..4),
            ..Citation::plain(DialectId::OpenaiChat, Value::Null)
        };
        let written = citation(&asked, "öäüßx").unwrap();
        assert_eq!(written["cited_text"], "üß");
        assert!(is_ours(&written) && state::may_hold_carriers(written.to_string().as_bytes()));
        assert_eq!(citation(&Citation::plain(DialectId::OpenaiChat, Value::Null), "x"), None);
    }
}
