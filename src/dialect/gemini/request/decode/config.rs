//! `generationConfig`: how the answer is made, and how it must look.

use serde_json::{Map, Value, json};

use super::{
    super::{super::schema, proto},
    Kept,
};
use crate::dialect::{
    DecodeError,
    canonical::{OutputFormat, Reasoning, ReasoningMode, ReasoningShow, Sampling, effort},
    fields::Fields,
};

/// What `generationConfig` says, in nobody's words.
#[derive(Debug, Default)]
pub(super) struct Config {
    pub(super) sampling: Sampling,
    pub(super) max_tokens: Option<u64>,
    pub(super) stop: Vec<String>,
    pub(super) reasoning: Reasoning,
    pub(super) output: OutputFormat,
}

pub(super) fn read(fields: &mut Fields, kept: &mut Kept) -> Result<Config, DecodeError> {
    let Some(mut config) = proto::message(fields, "generationConfig")? else { return Ok(Config::default()) };
    let choices = proto::count(&mut config, "candidateCount")?;
    if choices == Some(0) {
        return Err(DecodeError::new(config.at("candidateCount"), "`candidateCount` must be 1 or more"));
    }
    let mut left = Map::new();
    let read = Config {
        sampling: Sampling {
            temperature: proto::number(&mut config, "temperature")?,
            top_p: proto::number(&mut config, "topP")?,
            top_k: proto::count(&mut config, "topK")?,
            frequency_penalty: proto::number(&mut config, "frequencyPenalty")?,
            presence_penalty: proto::number(&mut config, "presencePenalty")?,
            seed: proto::number(&mut config, "seed")?,
            logprobs: config.bool("responseLogprobs")?,
            top_logprobs: proto::count(&mut config, "logprobs")?,
            choices,
            ..Sampling::default()
        },
        max_tokens: proto::count(&mut config, "maxOutputTokens")?,
        stop: proto::texts(&mut config, "stopSequences")?,
        reasoning: reasoning(&mut config, &mut left, kept)?,
        output: output(&mut config, &mut left, kept)?,
    };
    left.extend(proto::rest(config));
    kept.rest("generationConfig", left);
    Ok(read)
}

/// A level wins over a budget; one of both is meant.
fn reasoning(
    config: &mut Fields,
    left: &mut Map<String, Value>,
    kept: &mut Kept,
) -> Result<Reasoning, DecodeError> {
    let Some(mut thinking) = proto::message(config, "thinkingConfig")? else {
        return Ok(Reasoning::default());
    };
    kept.note("thinkingConfig", json!(true));
    let show = match thinking.bool("includeThoughts")? {
        None => ReasoningShow::Default,
        Some(true) => ReasoningShow::Summary,
        Some(false) => ReasoningShow::Hidden,
    };
    let level = proto::word(&mut thinking, "thinkingLevel")?;
    let known = level.as_deref().and_then(|it| effort::parse(&it.to_ascii_lowercase()));
    let mode = match (known, level) {
        (Some(effort), _) => ReasoningMode::Effort(effort),
        (None, Some(word)) if word != "THINKING_LEVEL_UNSPECIFIED" => {
            left.insert("thinkingConfig".to_owned(), json!({"thinkingLevel": word}));
            ReasoningMode::Default
        }
        (None, _) => budget(&mut thinking)?,
    };
    let rest = proto::rest(thinking);
    if !rest.is_empty() {
        left.insert("thinkingConfig".to_owned(), Value::Object(rest));
    }
    Ok(Reasoning { mode, show })
}

/// -1 leaves the budget to the model.
fn budget(thinking: &mut Fields) -> Result<ReasoningMode, DecodeError> {
    let at = thinking.at("thinkingBudget");
    let Some(budget) = proto::number(thinking, "thinkingBudget")? else { return Ok(ReasoningMode::Default) };
    match (budget.as_f64(), crate::dialect::fields::as_count(&budget)) {
        (_, Some(0)) => Ok(ReasoningMode::Off),
        (_, Some(tokens)) => Ok(ReasoningMode::Budget(tokens)),
        (Some(it), None) if (it + 1.0).abs() < f64::EPSILON => Ok(ReasoningMode::Adaptive(None)),
        _ => Err(DecodeError::new(at, "`thinkingBudget` must be a whole number of 0 or more, or -1")),
    }
}

fn output(
    config: &mut Fields,
    left: &mut Map<String, Value>,
    kept: &mut Kept,
) -> Result<OutputFormat, DecodeError> {
    let mime = config.string("responseMimeType")?;
    let full = config.any("responseJsonSchema").or_else(|| config.any("_responseJsonSchema"));
    let schema = match full {
        Some(it) => Some(it),
        None => config.any("responseSchema").map(|own| {
            let restored = schema::restore(&own);
            kept.note("responseSchema", own);
            restored
        }),
    };
    match (mime.as_deref(), &schema) {
        (Some("application/json") | None, _) => {}
        (Some("text/plain"), None) => kept.note("responseMimeType", json!("text/plain")),
        (Some(other), _) => drop(left.insert("responseMimeType".to_owned(), json!(other))),
    }
    Ok(match schema {
        Some(schema) => OutputFormat::JsonSchema { name: None, description: None, schema, strict: None },
        None if mime.as_deref() == Some("application/json") => OutputFormat::JsonObject,
        None => OutputFormat::Text,
    })
}
