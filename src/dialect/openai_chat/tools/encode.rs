//! Writes tools as the upstream takes them, and notes those it cannot be told.

use serde_json::{Map, Value, json};

use super::search;

use crate::{
    catalog::{Abilities, model::ThinkingControl},
    dialect::{
        DialectId, Loss, Recall, Severity,
        canonical::{Builtin, ChatRequest, ReasoningMode, Tool, ToolChoice, ToolKind, names::NameMap},
        foreign,
        openai_chat::{CHAT, extra, format::JSON_TOOL},
    },
};

/// Puts `tools`, `tool_choice` and `parallel_tool_calls` into the body. Without tools none of them is sent.
pub(in crate::dialect::openai_chat) fn write(
    request: &ChatRequest,
    abilities: &Abilities,
    names: &NameMap,
    body: &mut Map<String, Value>,
    recall: &mut Recall,
    losses: &mut Vec<Loss>,
) {
    let searched = search::write(request, abilities, body, losses);
    let mut writer = Writer { abilities, names, recall, losses };
    let mut kept: Vec<&Tool> = Vec::new();
    let mut tools = Vec::new();
    for tool in &request.tools {
        if search::is_field(tool, abilities) {
            continue;
        }
        if let Some(value) = writer.tool(tool, &tool.at) {
            kept.push(tool);
            tools.push(value);
        }
    }
    // A model that searches does so every time.
    let is_met = searched.is_some_and(|it| match &request.tool_choice {
        Some(ToolChoice::Named(name)) => *name == it.name,
        Some(ToolChoice::Required) => tools.is_empty(),
        _ => false,
    });
    if is_met {
        let alone = tools.is_empty();
        let severity = if alone { Severity::Cosmetic } else { Severity::Semantic };
        let reason = "the model searches every time, and may use other tools too";
        writer.losses.push(Loss::approximated("/tool_choice", severity, reason));
    }
    if tools.is_empty() {
        if !is_met && !matches!(request.tool_choice, None | Some(ToolChoice::Auto | ToolChoice::None)) {
            writer.lose("there are no tools to choose from");
        }
        return;
    }
    body.insert("tools".to_owned(), Value::Array(tools));
    if !is_met && let Some(choice) = writer.choice(request, &kept) {
        body.insert("tool_choice".to_owned(), choice);
    }
    if let Some(parallel) = request.parallel_tool_calls {
        body.insert("parallel_tool_calls".to_owned(), parallel.into());
    }
}

/// Puts the one tool whose arguments are the answer into the body, and forces it.
pub(in crate::dialect::openai_chat) fn write_json_tool(
    schema: &Value,
    body: &mut Map<String, Value>,
    recall: &mut Recall,
) {
    let function = json!({ "name": JSON_TOOL, "description": "Give the answer.", "parameters": schema });
    body.insert("tools".to_owned(), json!([{ "type": "function", "function": function }]));
    body.insert("tool_choice".to_owned(), named(JSON_TOOL));
    recall.json_tool = Some(JSON_TOOL.to_owned());
}

struct Writer<'a> {
    abilities: &'a Abilities,
    names: &'a NameMap,
    recall: &'a mut Recall,
    losses: &'a mut Vec<Loss>,
}

impl Writer<'_> {
    fn tool(&mut self, tool: &Tool, at: &str) -> Option<Value> {
        let name = self.names.wire(&tool.name);
        let mut object = match &tool.kind {
            ToolKind::Function => {
                function(name, tool.description.as_deref(), tool.schema.as_ref(), tool.strict)
            }
            ToolKind::Custom { format } if self.abilities.custom_tools => custom(name, tool, format.as_ref()),
            ToolKind::Custom { format } => {
                self.recall.custom_tools.insert(name.to_owned());
                self.losses.push(Loss::approximated(
                    at,
                    Severity::Cosmetic,
                    "the upstream has no tools of free text and was told a function with one string",
                ));
                let (description, schema) = tool.as_function_of_text(format.as_ref());
                function(name, description.as_deref(), Some(&schema), None)
            }
            ToolKind::Builtin { dialect: CHAT, raw, .. } => return Some(raw.clone()),
            ToolKind::Builtin { dialect, raw, family } => {
                self.client_tool(*dialect, tool, name, (raw, family.as_ref()), at)?
            }
        };
        extra::write(&tool.extra, &mut object, self.abilities, self.losses);
        Some(Value::Object(object))
    }

    fn client_tool(
        &mut self,
        dialect: DialectId,
        tool: &Tool,
        name: &str,
        (raw, family): (&Value, Option<&Builtin>),
        at: &str,
    ) -> Option<Map<String, Value>> {
        let kind = raw.get("type").and_then(Value::as_str).unwrap_or(&tool.name);
        let Some(Builtin::ClientRun { description, schema }) = family else {
            self.losses.push(Loss::dropped(
                at,
                foreign::severity(dialect, raw),
                format!("`{kind}` is a tool that only {} runs", dialect.name()),
            ));
            return None;
        };
        self.losses.push(Loss::approximated(
            at,
            Severity::Cosmetic,
            format!("`{kind}` was told as a function with its published schema"),
        ));
        let description = tool.description.as_deref().unwrap_or(description);
        Some(function(name, Some(description), Some(schema), tool.strict))
    }

    fn choice(&mut self, request: &ChatRequest, kept: &[&Tool]) -> Option<Value> {
        let choice = request.tool_choice.as_ref()?;
        let forced = matches!(
            choice,
            ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Allowed { required: true, .. }
        );
        if forced && thinks(request, self.abilities) && !self.abilities.forced_tool_while_thinking {
            self.lose("the upstream cannot force a tool while it thinks");
            return Some("auto".into());
        }
        match choice {
            ToolChoice::Auto => Some("auto".into()),
            ToolChoice::None => Some("none".into()),
            ToolChoice::Required => Some("required".into()),
            ToolChoice::Named(name) => {
                let Some(tool) = kept.iter().find(|it| it.name == *name) else {
                    self.lose(&format!("the tool `{name}` could not be told to the upstream"));
                    return None;
                };
                Some(self.reference(tool))
            }
            ToolChoice::Allowed { names, required } => {
                let tools: Vec<Value> =
                    kept.iter().filter(|it| names.contains(&it.name)).map(|it| self.reference(it)).collect();
                let mode = if *required { "required" } else { "auto" };
                Some(json!({ "type": "allowed_tools", "allowed_tools": { "mode": mode, "tools": tools } }))
            }
            ToolChoice::Other { dialect: CHAT, raw } => Some(raw.clone()),
            ToolChoice::Other { dialect, .. } => {
                self.lose(&format!("only {} knows this form", dialect.name()));
                None
            }
        }
    }

    fn reference(&self, tool: &Tool) -> Value {
        let name = self.names.wire(&tool.name);
        if matches!(tool.kind, ToolKind::Custom { .. }) && self.abilities.custom_tools {
            json!({ "type": "custom", "custom": { "name": name } })
        } else {
            named(name)
        }
    }

    fn lose(&mut self, reason: &str) {
        self.losses.push(Loss::dropped("/tool_choice", Severity::Semantic, reason));
    }
}

fn thinks(request: &ChatRequest, abilities: &Abilities) -> bool {
    abilities.thinking != ThinkingControl::None
        && matches!(
            request.reasoning.mode,
            ReasoningMode::Effort(_) | ReasoningMode::Budget(_) | ReasoningMode::Adaptive(_)
        )
}

fn named(name: &str) -> Value {
    json!({ "type": "function", "function": { "name": name } })
}

fn function(
    name: &str,
    description: Option<&str>,
    schema: Option<&Value>,
    strict: Option<bool>,
) -> Map<String, Value> {
    let mut function = Map::new();
    function.insert("name".to_owned(), name.into());
    if let Some(description) = description {
        function.insert("description".to_owned(), description.into());
    }
    function.insert("parameters".to_owned(), with_properties(schema));
    if let Some(strict) = strict {
        function.insert("strict".to_owned(), strict.into());
    }
    tagged("function", function)
}

/// Adds what OpenAI wants of every object's schema: an object without properties must say that it has none.
fn with_properties(schema: Option<&Value>) -> Value {
    let Some(schema) = schema else { return json!({ "type": "object", "properties": {} }) };
    let mut schema = schema.clone();
    if let Value::Object(map) = &mut schema {
        let bare = map.is_empty()
            || (map.get("type").and_then(Value::as_str) == Some("object")
                && !["properties", "$ref", "anyOf", "oneOf", "allOf"].iter().any(|it| map.contains_key(*it)));
        if bare {
            map.entry("type").or_insert_with(|| "object".into());
            map.insert("properties".to_owned(), json!({}));
        }
    }
    schema
}

fn custom(name: &str, tool: &Tool, format: Option<&Value>) -> Map<String, Value> {
    let mut custom = Map::new();
    custom.insert("name".to_owned(), name.into());
    if let Some(description) = &tool.description {
        custom.insert("description".to_owned(), description.as_str().into());
    }
    if let Some(format) = format {
        custom.insert("format".to_owned(), nested(format));
    }
    tagged("custom", custom)
}

/// A format as Chat nests it; Responses does not.
fn nested(format: &Value) -> Value {
    match format.as_object() {
        Some(flat) if flat.contains_key("definition") => {
            let mut grammar = flat.clone();
            grammar.shift_remove("type");
            json!({ "type": "grammar", "grammar": grammar })
        }
        _ => format.clone(),
    }
}

fn tagged(kind: &str, inner: Map<String, Value>) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("type".to_owned(), kind.into());
    object.insert(kind.to_owned(), Value::Object(inner));
    object
}
