//! How the answer must look: by the upstream's own means, by a tool whose arguments are the answer, or by asking.

use serde_json::{Value, json};

use super::{
    Writer,
    schema::{self, Closing},
};
use crate::{
    catalog::model::StructuredOutput,
    dialect::{Severity, canonical::OutputFormat},
};

/// The name of the tool whose arguments are the answer.
const ANSWER_TOOL: &str = "respond_with_json";

/// How the form of the answer is asked for; all absent: any form will do.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// `output_config.format`.
    pub(super) format: Option<Value>,
    /// The tool that must be called with the answer.
    pub(super) tool: Option<Value>,
    pub(super) tool_name: Option<String>,
    /// A sentence for the system prompt.
    pub(super) instruction: Option<String>,
}

impl Writer<'_> {
    pub(super) fn output(&mut self, thinks: bool) -> Output {
        let (schema, description) = match &self.request.output {
            OutputFormat::Text => return Output::default(),
            OutputFormat::JsonObject => {
                let reason = "the dialect has no JSON mode: the system prompt asks for it";
                self.approximate("/response_format", Severity::Cosmetic, reason);
                return ask("Answer with one JSON object and nothing else.".to_owned());
            }
            OutputFormat::JsonSchema { schema, description, .. } => (schema, description.as_deref()),
        };
        match self.abilities.structured_output {
            StructuredOutput::Native => self.native(schema),
            StructuredOutput::Tool if self.may_force(schema, thinks) => answer_tool(schema, description),
            StructuredOutput::Tool | StructuredOutput::JsonObject | StructuredOutput::Prompt => {
                let reason = "the model takes no schema for its answer: the system prompt asks for it";
                self.approximate("/response_format", Severity::Semantic, reason);
                ask(format!(
                    "Answer with one JSON value that this JSON schema describes, and nothing else:\n{schema}"
                ))
            }
        }
    }

    /// The schema of an answer must close every object; other dialects leave that open.
    fn native(&mut self, schema: &Value) -> Output {
        let mut schema = schema.clone();
        match schema::close(&mut schema) {
            Closing::Needless => {}
            Closing::Unsaid => {
                let reason = "the objects of the answer's schema were closed";
                self.approximate("/response_format", Severity::Cosmetic, reason);
            }
            Closing::Against => {
                let reason = "the answer's objects may have no fields but those the schema names";
                self.approximate("/response_format", Severity::Semantic, reason);
            }
        }
        Output { format: Some(json!({"type": "json_schema", "schema": schema})), ..Output::default() }
    }

    /// A forced tool takes the place of all others, and does not go with thinking; its arguments are an object.
    fn may_force(&self, schema: &Value, thinks: bool) -> bool {
        let object = schema.get("type").and_then(Value::as_str) == Some("object");
        object && !thinks && self.request.tools.is_empty()
    }
}

fn answer_tool(schema: &Value, description: Option<&str>) -> Output {
    let description = description.unwrap_or("Gives the answer. Call it once, with the whole answer.");
    Output {
        tool: Some(json!({"name": ANSWER_TOOL, "description": description, "input_schema": schema})),
        tool_name: Some(ANSWER_TOOL.to_owned()),
        ..Output::default()
    }
}

fn ask(instruction: String) -> Output {
    Output { instruction: Some(instruction), ..Output::default() }
}
