//! How much to think and how the answer must look: `thinking`, `output_config`, and the older `output_format`.

use serde_json::{Map, Value};

use super::{Leftovers, rest_of};
use crate::{
    catalog::model::Effort,
    dialect::{
        DecodeError,
        canonical::{OutputFormat, Reasoning, ReasoningMode, ReasoningShow, effort},
        fields::Fields,
    },
};

/// What `thinking` says.
enum Thinking {
    Unsaid,
    Off,
    Budget(u64),
    Adaptive,
}

pub(super) fn reasoning(
    fields: &mut Fields,
    left: &mut Leftovers,
) -> Result<(Reasoning, OutputFormat), DecodeError> {
    let (thinking, show) = thinking(fields, left)?;
    let (word, output) = output_config(fields, left)?;
    let level = word.as_deref().and_then(effort::parse);
    let mode = match (thinking, level) {
        (Thinking::Unsaid, None) => ReasoningMode::Default,
        (Thinking::Unsaid, Some(it)) => ReasoningMode::Effort(it),
        (Thinking::Off, _) => ReasoningMode::Off,
        (Thinking::Budget(budget), _) => ReasoningMode::Budget(budget),
        (Thinking::Adaptive, it) => ReasoningMode::Adaptive(it),
    };
    if let Some(word) = word.filter(|_| !is_said_by(mode, level)) {
        keep_effort(left, word);
    }
    Ok((Reasoning { mode, show }, output))
}

/// Whether the mode alone says the effort as well. An effort without `thinking` asks for no thinking: a mode cannot say that.
fn is_said_by(mode: ReasoningMode, level: Option<Effort>) -> bool {
    matches!(mode, ReasoningMode::Adaptive(_)) && level.is_some()
}

fn keep_effort(left: &mut Leftovers, word: String) {
    let config = left.0.entry("output_config").or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(config) = config {
        config.insert("effort".to_owned(), Value::String(word));
    }
}

fn thinking(fields: &mut Fields, left: &mut Leftovers) -> Result<(Thinking, ReasoningShow), DecodeError> {
    let Some(raw) = fields.any("thinking") else { return Ok((Thinking::Unsaid, ReasoningShow::Default)) };
    let mut thinking = Fields::of(raw.clone(), fields.at("thinking"))?;
    let mode = match thinking.required_string("type")?.as_str() {
        "enabled" => {
            let budget = thinking.count("budget_tokens")?;
            Thinking::Budget(budget.ok_or_else(|| thinking.missing("budget_tokens"))?)
        }
        "adaptive" => Thinking::Adaptive,
        "disabled" => Thinking::Off,
        _ => {
            left.keep_whole("thinking", raw);
            return Ok((Thinking::Unsaid, ReasoningShow::Default));
        }
    };
    let show = match thinking.peek("display").and_then(Value::as_str) {
        Some("summarized") => ReasoningShow::Summary,
        Some("omitted") => ReasoningShow::Hidden,
        _ => ReasoningShow::Default,
    };
    if show != ReasoningShow::Default {
        thinking.any("display");
    }
    left.keep("thinking", rest_of(thinking));
    Ok((mode, show))
}

fn output_config(
    fields: &mut Fields,
    left: &mut Leftovers,
) -> Result<(Option<String>, OutputFormat), DecodeError> {
    let (mut word, mut output) = (None, OutputFormat::Text);
    if let Some(mut config) = fields.object("output_config")? {
        word = config.string("effort")?;
        output = format(&mut config, "format")?;
        left.keep("output_config", rest_of(config));
    }
    if output == OutputFormat::Text {
        output = format(fields, "output_format")?;
    }
    Ok((word, output))
}

/// A format of a kind we do not know stays where it is.
fn format(fields: &mut Fields, key: &str) -> Result<OutputFormat, DecodeError> {
    let kind = fields.peek(key).and_then(|it| it.get("type")).and_then(Value::as_str);
    if kind != Some("json_schema") {
        return Ok(OutputFormat::Text);
    }
    let Some(mut format) = fields.object(key)? else { return Ok(OutputFormat::Text) };
    let schema = format.any("schema").ok_or_else(|| format.missing("schema"))?;
    Ok(OutputFormat::JsonSchema {
        name: format.string("name")?,
        description: format.string("description")?,
        schema,
        strict: format.bool("strict")?,
    })
}
