//! What one dialect's clients say that no other dialect's upstream has words for, judged in one place for all encoders.

use serde_json::Value;

use super::{
    DialectId, EncodeError, Severity,
    canonical::{ChatRequest, Part, PartKind, media},
};

/// The first words of a text Claude Code puts before its system prompt: it changes with every request and means nothing
/// to another provider, but breaks its prompt cache.
const BILLING: &str = "x-anthropic-billing-header:";

/// Whether a part is Claude Code's billing header.
pub(in crate::dialect) fn is_billing(part: &Part) -> bool {
    part.as_text().is_some_and(|it| it.starts_with(BILLING))
}

/// Refuses what only an upstream of Responses can do, and what an answer would be wrong without.
pub(in crate::dialect) fn refuse_stateful(request: &ChatRequest) -> Result<(), EncodeError> {
    let refuse = |at: &str, message: &str| {
        Err(EncodeError { at: at.to_owned(), message: format!("`{}` {message}", at.trim_start_matches('/')) })
    };
    if request.previous_response.is_some() {
        return refuse(
            "/previous_response_id",
            "cannot be followed here: send the whole conversation as `input`",
        );
    }
    let field = |key: &str| request.extra.field(DialectId::OpenaiResponses, key);
    if field("conversation").is_some() {
        return refuse("/conversation", "cannot be followed here: send the whole conversation as `input`");
    }
    if field("prompt").is_some() {
        return refuse(
            "/prompt",
            "cannot be looked up here: write the prompt out in `instructions` and `input`",
        );
    }
    if field("background") == Some(&Value::Bool(true)) {
        return refuse("/background", "is not possible here: ask without it and wait, or stream the answer");
    }
    Ok(())
}

/// How much is lost with an item or a part that is told to nobody but its own dialect.
pub(in crate::dialect) fn severity(dialect: DialectId, raw: &Value) -> Severity {
    let kind = raw.get("type").and_then(Value::as_str).unwrap_or_default();
    // The tools that these items reveal are told with all others.
    let revealing =
        matches!(kind, "additional_tools" | "tool_search_call" | "tool_search_output" | "tool_search");
    if dialect == DialectId::OpenaiResponses && revealing { Severity::Cosmetic } else { Severity::Semantic }
}

/// Reads the parts out of a tool's output that is a string and holds the JSON of a list of parts with images: some
/// clients and MCP servers write it so. Any other text stays a text.
pub(in crate::dialect) fn stringified(content: &[Part]) -> Option<Vec<Part>> {
    let [only] = content else { return None };
    let text = only.as_text()?.trim();
    if !(text.starts_with('[') && text.ends_with(']')) {
        return None;
    }
    let values: Vec<Value> = serde_json::from_str(text).ok()?;
    let parts: Vec<Part> = values.iter().map(part).collect::<Option<_>>()?;
    parts.iter().any(|it| matches!(it.kind, PartKind::Media(_))).then_some(parts)
}

fn part(value: &Value) -> Option<Part> {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    match text("type")? {
        "text" | "input_text" | "output_text" => Some(Part::text(text("text")?)),
        "input_image" => image(media::parse_data_url(text("image_url")?)?.ok()?),
        // As the Model Context Protocol writes it.
        "image" => image(media::inline(text("mimeType"), text("data")?).ok()?),
        _ => None,
    }
}

fn image(inline: media::Inline) -> Option<Part> {
    use super::canonical::{Media, MediaKind, MediaSource};
    let media_type = inline.media_type.filter(|it| it.starts_with("image/"))?;
    Some(Part::new(PartKind::Media(Media {
        kind: MediaKind::Image,
        source: MediaSource::Inline(inline.data),
        media_type: Some(media_type),
        name: None,
        detail: None,
    })))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB";

    fn read(text: &str) -> Option<usize> {
        stringified(&[Part::text(text)]).map(|it| it.len())
    }

    #[test]
    fn ec_061_only_a_whole_list_of_parts_with_an_image_is_unwrapped() {
        let image = json!({"type": "input_image", "image_url": format!("data:image/png;base64,{PNG}")});
        let mcp = json!({"type": "image", "data": PNG, "mimeType": "image/png"});
        let text = json!({"type": "input_text", "text": "a"});
        assert_eq!(read(&json!([image, text]).to_string()), Some(2));
        assert_eq!(read(&json!([mcp]).to_string()), Some(1));
        for other in [
            json!([text]),
            json!([image, {"type": "unheard-of"}]),
            json!([image, 1]),
            json!({"content": [image]}),
            json!([]),
            json!([{"type": "input_image", "image_url": "https://example.com/a.png"}]),
        ] {
            assert_eq!(read(&other.to_string()), None, "{other}");
        }
        assert_eq!(read("[not json]"), None);
    }
}
