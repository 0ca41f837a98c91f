//! How the answer must look: by the upstream's own means, or by asking.

use serde_json::{Map, Value, json};

use super::{
    super::{
        super::{ID, schema},
        decode::note,
    },
    Writer,
};
use crate::{
    catalog::model::{SchemaProfile, StructuredOutput},
    dialect::{Severity, canonical::OutputFormat},
};

/// Where other dialects ask for a form of the answer.
const AT: &str = "/response_format";

impl Writer<'_> {
    /// Writes the form into the configuration, or returns a sentence for the system prompt that asks for it.
    pub(super) fn output(&mut self, functions: bool, config: &mut Map<String, Value>) -> Option<String> {
        let schema = match &self.request.output {
            OutputFormat::Text => {
                if let Some(mime) = note(&self.request.extra, "responseMimeType") {
                    config.insert("responseMimeType".to_owned(), mime.clone());
                }
                return None;
            }
            OutputFormat::JsonObject => None,
            OutputFormat::JsonSchema { schema, .. } => Some(schema),
        };
        if functions && !self.abilities.json_with_tools {
            let reason =
                "the model takes no form for its answer beside functions: the system prompt asks for it";
            self.approximate(AT, Severity::Semantic, reason);
            return Some(asked(schema));
        }
        if matches!(self.abilities.structured_output, StructuredOutput::Prompt | StructuredOutput::Tool) {
            let reason = "the model takes no form for its answer: the system prompt asks for it";
            self.approximate(AT, Severity::Semantic, reason);
            return Some(asked(schema));
        }
        config.insert("responseMimeType".to_owned(), json!(self.mime()));
        let schema = schema?;
        if self.abilities.structured_output == StructuredOutput::JsonObject {
            let reason = "the model takes no schema for its answer: the system prompt asks for it";
            self.approximate(AT, Severity::Semantic, reason);
            return Some(asked(Some(schema)));
        }
        self.schema(schema, config);
        None
    }

    /// An answer that is one of several words has a type of its own in this dialect.
    fn mime(&self) -> &'static str {
        let left = self.request.extra.field(ID, "generationConfig").and_then(|it| it.get("responseMimeType"));
        match left.and_then(Value::as_str) {
            Some("text/x.enum") => "text/x.enum",
            _ => "application/json",
        }
    }

    fn schema(&mut self, asked: &Value, config: &mut Map<String, Value>) {
        let own = note(&self.request.extra, "responseSchema");
        if let Some(own) = own.filter(|it| schema::restore(it) == *asked) {
            config.insert("responseSchema".to_owned(), own.clone());
            return;
        }
        if self.abilities.schema == SchemaProfile::Full {
            config.insert("responseJsonSchema".to_owned(), asked.clone());
            return;
        }
        let reduced = schema::answer(asked);
        config.insert("responseSchema".to_owned(), reduced.schema);
        self.reduced(AT, &reduced.notes);
    }

    /// Notes in one what a schema no longer says.
    pub(super) fn reduced(&mut self, at: &str, notes: &[schema::Note]) {
        if notes.is_empty() {
            return;
        }
        let matters = notes.iter().any(|it| it.matters);
        let severity = if matters { Severity::Semantic } else { Severity::Cosmetic };
        let what: Vec<&str> = notes.iter().map(|it| it.what.as_str()).collect();
        self.approximate(at, severity, format!("the schema was reduced: {}", what.join("; ")));
    }
}

fn asked(schema: Option<&Value>) -> String {
    match schema {
        None => "Answer with one JSON object and nothing else.".to_owned(),
        Some(schema) => {
            format!("Answer with one JSON value that this JSON schema describes, and nothing else:\n{schema}")
        }
    }
}
