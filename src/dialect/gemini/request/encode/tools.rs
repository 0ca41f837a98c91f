//! Tools, and which of them must be called.

use serde_json::{Map, Value, json};

use super::{
    super::{
        super::{ID, schema},
        decode::note,
    },
    Writer,
};
use crate::{
    catalog::model::SchemaProfile,
    dialect::{
        Severity,
        canonical::{Builtin, Tool, ToolChoice, ToolKind, WebSearch},
        foreign,
    },
};

/// The tools, as they will be written.
#[derive(Debug, Default)]
pub(super) struct Tools {
    /// All in one tool object: Vertex refuses several.
    functions: Vec<Value>,
    /// How many of the others stand before the functions.
    before: usize,
    builtins: Vec<Value>,
    /// Names to which the functions are narrowed.
    only: Option<Vec<String>>,
}

/// A choice as `toolConfig`, and the functions that are left if it narrows them.
#[derive(Debug, Default)]
pub(super) struct Choice {
    config: Map<String, Value>,
    only: Option<Vec<String>>,
}

impl Tools {
    pub(super) fn functions(&self) -> bool {
        !self.functions.is_empty()
    }

    fn has(&self, name: &str) -> bool {
        self.functions.iter().any(|it| it["name"] == name)
    }

    /// The tools as they are written, and `toolConfig`.
    pub(super) fn narrowed(mut self, choice: Choice) -> (Vec<Value>, Map<String, Value>) {
        self.only = choice.only;
        if let Some(only) = &self.only {
            self.functions
                .retain(|it| it["name"].as_str().is_some_and(|it| only.iter().any(|name| name == it)));
        }
        let mut config = choice.config;
        if self.functions() && !self.builtins.is_empty() {
            config.insert("includeServerSideToolInvocations".to_owned(), json!(true));
        }
        let mut tools = self.builtins;
        if !self.functions.is_empty() {
            let at = self.before.min(tools.len());
            tools.insert(at, json!({"functionDeclarations": self.functions}));
        }
        (tools, config)
    }
}

/// Whether a tool is called with free text.
pub(super) fn is_custom(tool: &Tool) -> bool {
    matches!(tool.kind, ToolKind::Custom { .. })
}

impl Writer<'_> {
    pub(super) fn tools(&mut self) -> Tools {
        let mut tools = Tools::default();
        let mut builtins = Vec::new();
        for (index, tool) in self.request.tools.iter().enumerate() {
            let at = self.request.tool_at(index);
            match self.tool(tool, &at) {
                Some((true, function)) => tools.functions.push(function),
                Some((false, builtin)) => {
                    if tools.functions.is_empty() {
                        tools.before += 1;
                    }
                    builtins.push((at, builtin));
                }
                None => {}
            }
        }
        if !tools.functions.is_empty() && !self.abilities.server_tools_with_functions {
            for (at, _) in std::mem::take(&mut builtins) {
                let reason =
                    "the model takes functions or its provider's own tools, not both: functions were told";
                self.drop(at, Severity::Semantic, reason);
            }
        }
        tools.builtins = builtins.into_iter().map(|it| it.1).collect();
        tools
    }

    /// Writes a tool, and says whether it is a function.
    fn tool(&mut self, tool: &Tool, at: &str) -> Option<(bool, Value)> {
        if let ToolKind::Builtin { dialect, .. } = &tool.kind
            && *dialect == ID
        {
            let ToolKind::Builtin { raw, .. } = &tool.kind else { return None };
            return Some((false, raw.clone()));
        }
        let description = tool.description.clone();
        match &tool.kind {
            ToolKind::Function => Some((true, self.function(tool, description, tool.schema.as_ref(), at))),
            ToolKind::Custom { format } => {
                let reason = "a tool of free text became a function with one text";
                self.approximate(at, Severity::Cosmetic, reason);
                let (description, schema) = tool.as_function_of_text(format.as_ref());
                Some((true, self.function(tool, description, Some(&schema), at)))
            }
            ToolKind::Builtin { dialect, family, raw } => {
                let reason = match family {
                    Some(_) => "a tool of another provider became the like of it".to_owned(),
                    None => format!("only {} has this tool", dialect.name()),
                };
                match family {
                    None => {
                        self.drop(at, foreign::severity(*dialect, raw), reason);
                        None
                    }
                    Some(Builtin::ClientRun { description, schema }) => {
                        self.approximate(
                            at,
                            Severity::Cosmetic,
                            "a tool that only its provider knows became a function",
                        );
                        Some((true, self.function(tool, Some((*description).to_owned()), Some(schema), at)))
                    }
                    Some(Builtin::WebSearch(search)) => {
                        self.approximate(at, Severity::Cosmetic, reason);
                        Some((false, json!({"googleSearch": self.search(search, at)})))
                    }
                    Some(Builtin::UrlFetch) => {
                        self.approximate(at, Severity::Cosmetic, reason);
                        Some((false, json!({"urlContext": {}})))
                    }
                    Some(Builtin::CodeExecution) => {
                        self.approximate(at, Severity::Cosmetic, reason);
                        Some((false, json!({"codeExecution": {}})))
                    }
                }
            }
        }
    }

    fn search(&mut self, search: &WebSearch, at: &str) -> Value {
        let narrowed = !search.allowed_domains.is_empty() || !search.blocked_domains.is_empty();
        if narrowed {
            self.drop(at, Severity::Semantic, "the search takes no list of domains");
        }
        if search.max_uses.is_some() || search.location.is_some() || search.context_size.is_some() {
            self.drop(at, Severity::Cosmetic, "the search takes no limit, place or size");
        }
        json!({})
    }

    fn function(
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
        if let Some(schema) = schema {
            self.parameters(tool, schema, at, &mut written);
        }
        if tool.strict == Some(true) {
            self.drop(format!("{at}/strict"), Severity::Cosmetic, "the dialect has no strict tools");
        }
        self.extra(&tool.extra, &mut written);
        Value::Object(written)
    }

    /// Writes a schema as the model takes it; the client's own, where it was of this dialect.
    fn parameters(&mut self, tool: &Tool, asked: &Value, at: &str, written: &mut Map<String, Value>) {
        let own = note(&tool.extra, "parameters");
        if let Some(own) = own.filter(|it| schema::restore(it) == *asked) {
            written.insert("parameters".to_owned(), own.clone());
            return;
        }
        if self.abilities.schema == SchemaProfile::Full {
            written.insert("parametersJsonSchema".to_owned(), asked.clone());
            return;
        }
        // An object without properties is refused by older models.
        if schema::is_empty(asked) {
            return;
        }
        let reduced = schema::arguments(asked);
        written.insert("parameters".to_owned(), reduced.schema);
        self.reduced(at, &reduced.notes);
    }

    pub(super) fn tool_config(&mut self, tools: &Tools) -> Choice {
        if self.request.parallel_tool_calls.is_some() {
            let alone = self.request.parallel_tool_calls == Some(false);
            let severity = if alone { Severity::Semantic } else { Severity::Cosmetic };
            self.drop(
                "/parallel_tool_calls",
                severity,
                "the dialect cannot say how many tools are called at once",
            );
        }
        let Some(asked) = &self.request.tool_choice else { return Choice::default() };
        if !tools.functions() {
            let forced = !matches!(asked, ToolChoice::Auto | ToolChoice::None);
            let severity = if forced { Severity::Semantic } else { Severity::Cosmetic };
            self.drop("/tool_choice", severity, "there are no functions to choose from");
            return Choice::default();
        }
        match asked {
            ToolChoice::Auto => calling(self.auto(), &[]),
            ToolChoice::None => calling("NONE", &[]),
            ToolChoice::Required => calling("ANY", &[]),
            ToolChoice::Named(name) => self.named(name, tools),
            ToolChoice::Allowed { names: asked, required } => {
                let names: Vec<String> = asked.iter().map(|it| self.names.wire(it).to_owned()).collect();
                if *required || self.auto() == "VALIDATED" {
                    return calling(if *required { "ANY" } else { "VALIDATED" }, &names);
                }
                self.approximate(
                    "/tool_choice",
                    Severity::Cosmetic,
                    "the tools that are not allowed were left out",
                );
                for at in self.request.left_out(asked) {
                    self.drop(at, Severity::Cosmetic, "it is not one of the tools that are allowed");
                }
                Choice { only: Some(names), ..calling("AUTO", &[]) }
            }
            ToolChoice::Other { dialect, .. } => {
                let reason = format!("only {} knows this choice", dialect.name());
                self.drop("/tool_choice", Severity::Semantic, reason);
                Choice::default()
            }
        }
    }

    fn named(&mut self, name: &str, tools: &Tools) -> Choice {
        let name = self.names.wire(name).to_owned();
        if !tools.has(&name) {
            self.drop("/tool_choice", Severity::Semantic, "only a function that is declared can be forced");
            return Choice::default();
        }
        calling("ANY", &[name])
    }

    /// `AUTO`, or `VALIDATED` if a client of this dialect said so.
    fn auto(&self) -> &'static str {
        let left = self
            .request
            .extra
            .field(ID, "toolConfig")
            .and_then(|it| it.pointer("/functionCallingConfig/mode"));
        if left.and_then(Value::as_str) == Some("VALIDATED") { "VALIDATED" } else { "AUTO" }
    }
}

fn calling(mode: &str, names: &[String]) -> Choice {
    let mut calling = Map::from_iter([("mode".to_owned(), json!(mode))]);
    if !names.is_empty() {
        calling.insert("allowedFunctionNames".to_owned(), json!(names));
    }
    let config = Map::from_iter([("functionCallingConfig".to_owned(), Value::Object(calling))]);
    Choice { config, only: None }
}
