//! How the answer must look: by the upstream's own means, by a tool whose arguments are the answer, or by asking.

use serde_json::{Value, json};

use super::{Writer, answer};
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

    /// A schema of this dialect is the client's own affair.
    fn native(&mut self, schema: &Value) -> Output {
        let mut schema = schema.clone();
        if !self.is_own_schema() {
            let (closed, was_open) = answer::closed(&schema);
            if was_open {
                let reason = "objects with further properties of any name became objects without";
                self.approximate("/response_format", Severity::Semantic, reason);
            } else if closed != schema {
                let reason = "the schema of the answer was put in the upstream's words";
                self.approximate("/response_format", Severity::Cosmetic, reason);
            }
            schema = closed;
        }
        Output { format: Some(json!({"type": "json_schema", "schema": schema})), ..Output::default() }
    }

    /// Chat and Responses name a schema, and Gemini's turns stand elsewhere.
    fn is_own_schema(&self) -> bool {
        let is_named = matches!(&self.request.output, OutputFormat::JsonSchema { name: Some(_), .. });
        !is_named && !self.request.conversation.turns.iter().any(|it| it.at.starts_with("/contents"))
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
