//! How the answer must look (`text`) and how much to think (`reasoning`).

use serde_json::Value;

use super::{Leftovers, rest_of};
use crate::dialect::{
    DecodeError,
    canonical::{OutputFormat, Reasoning, ReasoningMode, ReasoningShow, effort},
    fields::Fields,
};

/// Takes `text`: the format of the answer, and how many words it makes.
pub(super) fn text(
    fields: &mut Fields,
    left: &mut Leftovers,
) -> Result<(OutputFormat, Option<String>), DecodeError> {
    let Some(mut text) = fields.object("text")? else { return Ok((OutputFormat::Text, None)) };
    let verbosity = text.string("verbosity")?;
    let kind = text.peek("format").and_then(|it| it.get("type")).and_then(Value::as_str);
    let mut rest = None;
    let output = match kind.map(str::to_owned).as_deref() {
        Some("json_schema") => {
            let mut format = text.object("format")?.ok_or_else(|| text.missing("format"))?;
            format.any("type");
            let output = schema(&mut format)?;
            rest = Some(rest_of(format));
            output
        }
        Some("json_object") => {
            text.any("format");
            OutputFormat::JsonObject
        }
        Some("text") => {
            text.any("format");
            OutputFormat::Text
        }
        // A format we do not know stays where it is.
        _ => OutputFormat::Text,
    };
    let mut over = rest_of(text);
    if let Some(rest) = rest.filter(|it| !it.is_empty()) {
        over.insert("format".to_owned(), Value::Object(rest));
    }
    left.keep("text", over);
    Ok((output, verbosity))
}

fn schema(format: &mut Fields) -> Result<OutputFormat, DecodeError> {
    Ok(OutputFormat::JsonSchema {
        name: format.string("name")?,
        description: format.string("description")?,
        schema: format.any("schema").ok_or_else(|| format.missing("schema"))?,
        strict: format.bool("strict")?,
    })
}

/// Takes `reasoning`. A word we do not know, and which kind of summary is wanted, stay where they are.
pub(super) fn reasoning(fields: &mut Fields, left: &mut Leftovers) -> Result<Reasoning, DecodeError> {
    let Some(mut reasoning) = fields.object("reasoning")? else { return Ok(Reasoning::default()) };
    let mode = match reasoning.peek("effort").and_then(Value::as_str) {
        Some("none") => ReasoningMode::Off,
        Some(word) => effort::parse(word).map_or(ReasoningMode::Default, ReasoningMode::Effort),
        None => ReasoningMode::Default,
    };
    if mode != ReasoningMode::Default {
        reasoning.any("effort");
    }
    let summary = reasoning.peek("summary").and_then(Value::as_str);
    let show = if summary.is_some() { ReasoningShow::Summary } else { ReasoningShow::Default };
    if summary == Some("auto") {
        reasoning.any("summary");
    }
    left.keep("reasoning", rest_of(reasoning));
    Ok(Reasoning { mode, show })
}
