//! Tools, and which of them must be called.

use serde_json::{Map, Value, json};

use super::{super::ID, Writer, cache, extras::Level, output::Output, schema, turns::Talk};
use crate::{
    catalog::model::StructuredOutput,
    dialect::{
        Loss, Severity,
        canonical::{Tool, ToolChoice, ToolKind},
        foreign,
    },
};

impl Writer<'_> {
    pub(super) fn tools(&mut self, talk: &Talk, output: &Output) -> Vec<Value> {
        let request = self.request;
        let mut tools: Vec<Value> =
            request.tools.iter().enumerate().filter_map(|(at, it)| self.tool(at, it)).collect();
        tools.extend(output.tool.clone());
        if tools.is_empty() {
            tools = self.stubs(talk);
        }
        tools
    }

    fn tool(&mut self, index: usize, tool: &Tool) -> Option<Value> {
        let at = self.request.tool_at(index);
        match &tool.kind {
            ToolKind::Function => {
                Some(self.function(tool, tool.description.clone(), tool.schema.as_ref(), &at))
            }
            ToolKind::Custom { format } => {
                let reason = "a tool of free text became a function with one text";
                self.approximate(&at, Severity::Cosmetic, reason);
                let (description, schema) = tool.as_function_of_text(format.as_ref());
                Some(self.function(tool, description, Some(&schema), &at))
            }
            ToolKind::Builtin { dialect, raw, .. } if *dialect == ID => Some(raw.clone()),
            ToolKind::Builtin { dialect, raw, family } => {
                let severity = foreign::severity(*dialect, raw);
                let told = family.as_ref().and_then(|it| self.hosted(it, tool, &at, severity));
                if family.is_none() {
                    self.drop(at, severity, format!("only {} has this tool", dialect.name()));
                }
                told
            }
        }
    }

    pub(super) fn function(
        &mut self,
        tool: &Tool,
        description: Option<String>,
        schema: Option<&Value>,
        at: &str,
    ) -> Value {
        let mut written = Map::new();
        written.insert("name".to_owned(), json!(self.names.wire(&tool.name)));
        if let Some(description) = description {
            written.insert("description".to_owned(), json!(description));
        }
        let (schema, note) = schema::arguments(schema);
        if let Some(note) = note {
            self.approximate(at, Severity::Semantic, note);
        }
        written.insert("input_schema".to_owned(), schema);
        if tool.strict == Some(true) {
            // Strict tools came with structured output.
            if self.abilities.structured_output == StructuredOutput::Native {
                written.insert("strict".to_owned(), json!(true));
            } else {
                self.drop(format!("{at}/strict"), Severity::Cosmetic, "the model has no strict tools");
            }
        }
        if let Some(mark) = &tool.cache {
            written.insert("cache_control".to_owned(), cache::mark(mark));
        }
        self.extra(&tool.extra, Level::Tool, &mut written);
        Value::Object(written)
    }

    /// Anthropic wants tools declared that were called before: they are, bare.
    fn stubs(&mut self, talk: &Talk) -> Vec<Value> {
        let names = talk.called();
        if !names.is_empty() {
            let reason = "tools that were called before are not declared: they were, and may not be called";
            self.losses.push(Loss::synthesized("/tools", Severity::Cosmetic, reason));
        }
        names.into_iter().map(|it| json!({"name": it, "input_schema": {"type": "object"}})).collect()
    }

    pub(super) fn tool_choice(
        &mut self,
        tools: &mut Vec<Value>,
        output: &Output,
        thinks: bool,
    ) -> Option<Value> {
        if let Some(name) = &output.tool_name {
            return Some(json!({"type": "tool", "name": name}));
        }
        let asked = self.request.tool_choice.as_ref();
        if self.request.tools.is_empty() && !tools.is_empty() {
            return Some(json!({"type": "none"}));
        }
        if tools.is_empty() {
            if matches!(asked, Some(ToolChoice::Required | ToolChoice::Named(_))) {
                self.drop("/tool_choice", Severity::Semantic, "there are no tools to choose from");
            }
            return None;
        }
        let mut choice = self.choice(asked, tools, thinks);
        let alone = self.request.parallel_tool_calls.map(|it| !it);
        if alone == Some(true) && choice.is_none() {
            choice = Some(kind("auto"));
        }
        let mut choice = choice?;
        if let Some(alone) = alone.filter(|_| choice.get("type") != Some(&json!("none"))) {
            choice.entry("disable_parallel_tool_use").or_insert(json!(alone));
        }
        Some(Value::Object(choice))
    }

    fn choice(
        &mut self,
        asked: Option<&ToolChoice>,
        tools: &mut Vec<Value>,
        thinks: bool,
    ) -> Option<Map<String, Value>> {
        let choice = match asked? {
            ToolChoice::Auto => kind("auto"),
            ToolChoice::None => kind("none"),
            ToolChoice::Required => kind("any"),
            ToolChoice::Named(name) if !tools.iter().any(|it| it["name"] == self.told_name(name)) => {
                let reason = format!("the tool `{name}` could not be told to the upstream");
                self.drop("/tool_choice", Severity::Semantic, reason);
                return None;
            }
            ToolChoice::Named(name) => {
                let mut choice = kind("tool");
                choice.insert("name".to_owned(), json!(self.told_name(name)));
                choice
            }
            ToolChoice::Allowed { names, required } => {
                let allowed: Vec<&str> = names.iter().map(|it| self.told_name(it)).collect();
                tools.retain(|it| it["name"].as_str().is_some_and(|it| allowed.contains(&it)));
                self.approximate(
                    "/tool_choice",
                    Severity::Cosmetic,
                    "the tools that are not allowed were left out",
                );
                for at in self.request.left_out(names) {
                    self.drop(at, Severity::Cosmetic, "it is not one of the tools that are allowed");
                }
                kind(if *required { "any" } else { "auto" })
            }
            ToolChoice::Other { dialect, raw } if *dialect == ID => {
                raw.as_object().cloned().unwrap_or_default()
            }
            ToolChoice::Other { dialect, .. } => {
                self.drop(
                    "/tool_choice",
                    Severity::Semantic,
                    format!("only {} knows this choice", dialect.name()),
                );
                return None;
            }
        };
        let forced = matches!(choice.get("type").and_then(Value::as_str), Some("any" | "tool"));
        if forced && thinks && !self.abilities.forced_tool_while_thinking {
            let reason = "a model that thinks cannot be made to call a tool: it may choose";
            self.approximate("/tool_choice", Severity::Semantic, reason);
            return Some(kind("auto"));
        }
        Some(choice)
    }

    /// The tools of free text, by the name the upstream was told.
    pub(super) fn custom_tools(&self) -> std::collections::HashSet<String> {
        let custom = self.request.tools.iter().filter(|it| matches!(it.kind, ToolKind::Custom { .. }));
        custom.map(|it| self.names.wire(&it.name).to_owned()).collect()
    }
}

fn kind(kind: &str) -> Map<String, Value> {
    Map::from_iter([("type".to_owned(), json!(kind))])
}
