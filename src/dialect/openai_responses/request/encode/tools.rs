//! Tools, and which of them must be called.

use serde_json::{Map, Value, json};

use super::{super::super::ID, Writer, decode::is_revealed};
use crate::{
    catalog::model::ThinkingControl,
    dialect::{
        DialectId, Severity,
        canonical::{Builtin, Location, Namespaced, ReasoningMode, Tool, ToolChoice, ToolKind, WebSearch},
        foreign,
    },
};

impl Writer<'_> {
    /// Puts `tools`, `tool_choice` and `parallel_tool_calls` into the body. Without tools none of them is sent.
    pub(super) fn tools(&mut self, body: &mut Map<String, Value>) {
        let request = self.request;
        let mut kept: Vec<&Tool> = Vec::new();
        let mut written: Vec<Value> = Vec::new();
        for (index, tool) in request.tools.iter().enumerate() {
            if is_revealed(tool) {
                if let Some(it) = &tool.namespaced {
                    self.recall.names.insert(Namespaced::key(&it.namespace, &it.name), tool.name.clone());
                }
                kept.push(tool);
                continue;
            }
            let Some(value) = self.tool(tool, &request.tool_at(index)) else { continue };
            kept.push(tool);
            match &tool.namespaced {
                Some(place) => into_namespace(&mut written, place, value),
                None => written.push(value),
            }
        }
        if kept.is_empty() {
            return self.without_tools();
        }
        if !written.is_empty() {
            body.insert("tools".to_owned(), Value::Array(written));
        }
        if let Some(choice) = self.choice(&kept) {
            body.insert("tool_choice".to_owned(), choice);
        }
        if let Some(parallel) = request.parallel_tool_calls {
            body.insert("parallel_tool_calls".to_owned(), parallel.into());
        }
    }

    fn without_tools(&mut self) {
        let severity = match self.request.tool_choice {
            None => None,
            Some(ToolChoice::Auto | ToolChoice::None) => Some(Severity::Cosmetic),
            Some(_) => Some(Severity::Semantic),
        };
        if let Some(severity) = severity {
            self.drop("/tool_choice", severity, "there are no tools to choose from");
        }
        if self.request.parallel_tool_calls.is_some() {
            let at = if self.ours { "/parallel_tool_calls" } else { "/tool_choice" };
            self.drop(at, Severity::Cosmetic, "there are no tools to call at once");
        }
    }

    fn tool(&mut self, tool: &Tool, at: &str) -> Option<Value> {
        let (name, told) = match &tool.namespaced {
            Some(it) => {
                let key = Namespaced::key(&it.namespace, &it.name);
                self.recall.names.insert(key.clone(), tool.name.clone());
                (it.name.clone(), key)
            }
            None => (self.names.wire(&tool.name).to_owned(), self.names.wire(&tool.name).to_owned()),
        };
        let mut written = match &tool.kind {
            ToolKind::Function => self.function(&name, tool.description.as_deref(), tool),
            ToolKind::Custom { format } if self.abilities.custom_tools => {
                custom(&name, tool, format.as_ref())
            }
            ToolKind::Custom { format } => {
                let reason = "the model has no tools of free text and was told a function with one string";
                self.approximate(at, Severity::Cosmetic, reason);
                self.recall.custom_tools.insert(told);
                let (description, schema) = tool.as_function_of_text(format.as_ref());
                function(&name, description.as_deref(), schema, Some(false))
            }
            ToolKind::Builtin { dialect: ID, raw, .. } => return Some(raw.clone()),
            ToolKind::Builtin { dialect, raw, family } => {
                self.builtin(*dialect, raw, family.as_ref(), tool, at)?
            }
        };
        tool.extra.write(ID, &mut written, &mut self.losses);
        Some(Value::Object(written))
    }

    /// A function. One whose client never heard of `strict` is told to be lax: left unsaid, the upstream tries to be strict.
    fn function(&self, name: &str, description: Option<&str>, tool: &Tool) -> Map<String, Value> {
        let schema = match &tool.schema {
            Some(it) if self.ours => it.clone(),
            it => with_properties(it.as_ref()),
        };
        let strict = tool.strict.or((!self.ours).then_some(false));
        function(name, description, schema, strict)
    }

    fn builtin(
        &mut self,
        dialect: DialectId,
        raw: &Value,
        family: Option<&Builtin>,
        tool: &Tool,
        at: &str,
    ) -> Option<Map<String, Value>> {
        let kind = raw.get("type").and_then(Value::as_str).unwrap_or(&tool.name);
        match family {
            Some(Builtin::WebSearch(search)) => {
                self.approximate(at, Severity::Cosmetic, format!("`{kind}` was told as `web_search`"));
                Some(self.web_search(search, at))
            }
            Some(Builtin::CodeExecution) => {
                self.approximate(at, Severity::Cosmetic, format!("`{kind}` was told as `code_interpreter`"));
                Some(object(json!({"type": "code_interpreter", "container": {"type": "auto"}})))
            }
            Some(Builtin::ClientRun { description, schema }) => {
                let reason = format!("`{kind}` was told as a function with its published schema");
                self.approximate(at, Severity::Cosmetic, reason);
                let description = tool.description.as_deref().unwrap_or(description);
                let name = self.names.wire(&tool.name);
                Some(function(name, Some(description), with_properties(Some(schema)), Some(false)))
            }
            Some(Builtin::UrlFetch) | None => {
                let reason = format!("`{kind}` is a tool that only {} runs", dialect.name());
                self.drop(at, foreign::severity(dialect, raw), reason);
                None
            }
        }
    }

    fn web_search(&mut self, search: &WebSearch, at: &str) -> Map<String, Value> {
        let mut written = object(json!({"type": "web_search"}));
        if !search.allowed_domains.is_empty() {
            written.insert("filters".to_owned(), json!({"allowed_domains": search.allowed_domains}));
        }
        if let Some(place) = &search.location {
            written.insert("user_location".to_owned(), location(place));
        }
        if let Some(size) = &search.context_size {
            written.insert("search_context_size".to_owned(), size.as_str().into());
        }
        if !search.blocked_domains.is_empty() {
            let at = format!("{at}/blocked_domains");
            self.drop(at, Severity::Semantic, "the upstream's search cannot leave out domains");
        }
        if search.max_uses.is_some() {
            let at = format!("{at}/max_uses");
            self.drop(at, Severity::Cosmetic, "the upstream's search cannot be counted");
        }
        written
    }

    fn choice(&mut self, kept: &[&Tool]) -> Option<Value> {
        let choice = self.request.tool_choice.as_ref()?;
        let forced = matches!(
            choice,
            ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Allowed { required: true, .. }
        );
        if forced && self.thinks() && !self.abilities.forced_tool_while_thinking {
            let reason = "the upstream cannot force a tool while it thinks";
            self.approximate("/tool_choice", Severity::Semantic, reason);
            return Some("auto".into());
        }
        match choice {
            ToolChoice::Auto => Some("auto".into()),
            ToolChoice::None => Some("none".into()),
            ToolChoice::Required => Some("required".into()),
            ToolChoice::Named(name) => {
                let Some(tool) = kept.iter().find(|it| it.name == *name) else {
                    let reason = format!("the tool `{name}` could not be told to the upstream");
                    self.drop("/tool_choice", Severity::Semantic, reason);
                    return None;
                };
                Some(self.reference(tool))
            }
            ToolChoice::Allowed { names, required } => {
                let allowed = kept.iter().filter(|it| names.contains(&it.name));
                let tools: Vec<Value> = allowed.map(|it| self.reference(it)).collect();
                let mode = if *required { "required" } else { "auto" };
                Some(json!({"type": "allowed_tools", "mode": mode, "tools": tools}))
            }
            ToolChoice::Other { dialect: ID, raw } => Some(raw.clone()),
            ToolChoice::Other { dialect, .. } => {
                let reason = format!("only {} knows this choice", dialect.name());
                self.drop("/tool_choice", Severity::Semantic, reason);
                None
            }
        }
    }

    fn thinks(&self) -> bool {
        self.abilities.thinking != ThinkingControl::None
            && !matches!(self.request.reasoning.mode, ReasoningMode::Default | ReasoningMode::Off)
    }

    /// How a choice speaks of a tool.
    fn reference(&self, tool: &Tool) -> Value {
        let name = match &tool.namespaced {
            Some(it) => it.name.as_str(),
            None => self.names.wire(&tool.name),
        };
        match &tool.kind {
            ToolKind::Custom { .. } if self.abilities.custom_tools => json!({"type": "custom", "name": name}),
            ToolKind::Builtin { dialect: ID, raw, .. } => json!({"type": raw["type"]}),
            ToolKind::Builtin { family: Some(Builtin::WebSearch(_)), .. } => json!({"type": "web_search"}),
            ToolKind::Builtin { family: Some(Builtin::CodeExecution), .. } => {
                json!({"type": "code_interpreter"})
            }
            _ => json!({"type": "function", "name": name}),
        }
    }
}

/// Puts a tool into its namespace: the one written last, if that is it.
fn into_namespace(written: &mut Vec<Value>, place: &Namespaced, tool: Value) {
    let is_it = |it: &&mut Value| it["type"] == "namespace" && it["name"] == place.namespace.as_str();
    if let Some(Value::Array(tools)) = written.last_mut().filter(is_it).and_then(|it| it.get_mut("tools")) {
        return tools.push(tool);
    }
    let mut namespace = object(json!({"type": "namespace", "name": place.namespace}));
    if let Some(description) = &place.description {
        namespace.insert("description".to_owned(), description.as_str().into());
    }
    namespace.insert("tools".to_owned(), Value::Array(vec![tool]));
    written.push(Value::Object(namespace));
}

fn function(
    name: &str,
    description: Option<&str>,
    schema: Value,
    strict: Option<bool>,
) -> Map<String, Value> {
    let mut written = object(json!({"type": "function", "name": name}));
    if let Some(description) = description {
        written.insert("description".to_owned(), description.into());
    }
    written.insert("parameters".to_owned(), schema);
    if let Some(strict) = strict {
        written.insert("strict".to_owned(), strict.into());
    }
    written
}

/// Adds what OpenAI wants of every object's schema: an object without properties must say that it has none.
fn with_properties(schema: Option<&Value>) -> Value {
    let Some(schema) = schema else { return json!({"type": "object", "properties": {}}) };
    let mut schema = schema.clone();
    if let Value::Object(map) = &mut schema {
        let composed =
            ["properties", "$ref", "anyOf", "oneOf", "allOf"].iter().any(|it| map.contains_key(*it));
        if map.is_empty() || (map.get("type").is_some_and(|it| it == "object") && !composed) {
            map.entry("type").or_insert_with(|| "object".into());
            map.insert("properties".to_owned(), json!({}));
        }
    }
    schema
}

/// A tool of free text. Chat nests a grammar, this dialect does not.
fn custom(name: &str, tool: &Tool, format: Option<&Value>) -> Map<String, Value> {
    let mut written = object(json!({"type": "custom", "name": name}));
    if let Some(description) = &tool.description {
        written.insert("description".to_owned(), description.as_str().into());
    }
    if let Some(format) = format {
        let told = match format.get("grammar") {
            Some(Value::Object(inner)) => {
                let mut flat = object(json!({"type": "grammar"}));
                flat.extend(inner.clone());
                Value::Object(flat)
            }
            _ => format.clone(),
        };
        written.insert("format".to_owned(), told);
    }
    written
}

fn location(place: &Location) -> Value {
    let mut written = object(json!({"type": "approximate"}));
    let fields = [
        ("city", &place.city),
        ("region", &place.region),
        ("country", &place.country),
        ("timezone", &place.timezone),
    ];
    for (key, value) in fields {
        if let Some(value) = value {
            written.insert(key.to_owned(), value.as_str().into());
        }
    }
    Value::Object(written)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
