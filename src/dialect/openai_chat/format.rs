//! `response_format`: how the answer must look, and what is done for upstreams that cannot promise it.

use serde_json::{Map, Value, json};

use super::{CHAT, extra};
use crate::{
    catalog::{Abilities, model::StructuredOutput},
    dialect::{
        DecodeError, Loss, Severity,
        canonical::{ChatRequest, Extra, OutputFormat, ReasoningMode},
        fields::Fields,
    },
};

/// The tool whose arguments are the answer, where structured output is emulated.
pub(super) const JSON_TOOL: &str = "respond_with_json";

/// Takes `response_format`. One we do not know stays where it is.
pub(super) fn decode(fields: &mut Fields) -> Result<(OutputFormat, Extra), DecodeError> {
    let kind = fields.peek("response_format").and_then(|it| it.get("type")).and_then(Value::as_str);
    if kind.is_some_and(|it| !["text", "json_object", "json_schema"].contains(&it)) {
        return Ok((OutputFormat::Text, Extra::default()));
    }
    let Some(mut format) = fields.object("response_format")? else {
        return Ok((OutputFormat::Text, Extra::default()));
    };
    match format.required_string("type")?.as_str() {
        "json_schema" => schema(format),
        "json_object" => Ok((OutputFormat::JsonObject, format.rest(CHAT))),
        _ => Ok((OutputFormat::Text, Extra::default())),
    }
}

fn schema(mut format: Fields) -> Result<(OutputFormat, Extra), DecodeError> {
    let mut inner = format.object("json_schema")?.ok_or_else(|| format.missing("json_schema"))?;
    let output = OutputFormat::JsonSchema {
        name: inner.string("name")?,
        description: inner.string("description")?,
        schema: inner.any("schema").ok_or_else(|| inner.missing("schema"))?,
        strict: inner.bool("strict")?,
    };
    Ok((output, extra::nest(format.rest(CHAT), "json_schema", &inner.rest(CHAT))))
}

/// How an upstream is asked for the answer's form.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// `response_format`.
    pub response_format: Option<Value>,
    /// What is added to the system prompt.
    pub prompt: Option<String>,
    /// The schema of the tool whose arguments are the answer.
    pub tool: Option<Value>,
}

/// Lowers the wanted form to what the upstream has.
pub(super) fn encode(request: &ChatRequest, abilities: &Abilities, losses: &mut Vec<Loss>) -> Asked {
    let json_object = || Some(json!({ "type": "json_object" }));
    match (&request.output, abilities.structured_output) {
        (OutputFormat::Text, _) => Asked::default(),
        (OutputFormat::JsonObject, StructuredOutput::Native | StructuredOutput::JsonObject) => {
            Asked { response_format: json_object(), ..Asked::default() }
        }
        (OutputFormat::JsonObject, _) => {
            losses.push(lowered("the upstream cannot promise JSON and was asked for it in the prompt"));
            Asked { prompt: Some(PLEASE.to_owned()), ..Asked::default() }
        }
        (OutputFormat::JsonSchema { .. }, StructuredOutput::Native) => {
            Asked { response_format: Some(native(&request.output)), ..Asked::default() }
        }
        (OutputFormat::JsonSchema { schema, .. }, StructuredOutput::JsonObject) => {
            losses.push(lowered("the upstream was given the schema in the prompt"));
            Asked { response_format: json_object(), prompt: Some(please(schema)), ..Asked::default() }
        }
        (OutputFormat::JsonSchema { schema, .. }, StructuredOutput::Tool)
            if is_object(schema) && may_force_a_tool(request) =>
        {
            losses.push(lowered("the upstream was given the schema as a tool"));
            Asked { tool: Some(schema.clone()), ..Asked::default() }
        }
        (OutputFormat::JsonSchema { schema, .. }, StructuredOutput::Tool | StructuredOutput::Prompt) => {
            losses.push(lowered("the upstream was given the schema in the prompt"));
            Asked { prompt: Some(please(schema)), ..Asked::default() }
        }
    }
}

/// A forced tool would keep the model from the client's own tools, and models that think refuse it.
fn may_force_a_tool(request: &ChatRequest) -> bool {
    request.tools.is_empty() && matches!(request.reasoning.mode, ReasoningMode::Default | ReasoningMode::Off)
}

/// The arguments of a tool are an object, so only an object can be told by them.
fn is_object(schema: &Value) -> bool {
    schema.get("type").is_none_or(|it| it == "object")
}

fn native(output: &OutputFormat) -> Value {
    let OutputFormat::JsonSchema { name, description, schema, strict } = output else { return Value::Null };
    let mut inner = Map::new();
    inner.insert("name".to_owned(), name.as_deref().unwrap_or("response").into());
    if let Some(description) = description {
        inner.insert("description".to_owned(), description.as_str().into());
    }
    inner.insert("schema".to_owned(), schema.clone());
    if let Some(strict) = strict {
        inner.insert("strict".to_owned(), (*strict).into());
    }
    json!({ "type": "json_schema", "json_schema": inner })
}

const PLEASE: &str = "Answer with one JSON object and nothing else.";

fn please(schema: &Value) -> String {
    format!("{PLEASE} It must match this JSON Schema:\n{schema}")
}

fn lowered(reason: &str) -> Loss {
    Loss::approximated("/response_format", Severity::Semantic, reason)
}
