//! Tools: flat, in namespaces, those that the conversation revealed; and which of them must be called.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::super::super::ID;
use crate::dialect::{
    DecodeError,
    canonical::{Builtin, Extra, Location, Namespaced, Tool, ToolChoice, ToolKind, WebSearch},
    fields::{Fields, wrong},
};

/// The tools of a request, and what the names in namespaces became.
#[derive(Debug, Default)]
pub(in super::super) struct Toolbox {
    pub tools: Vec<Tool>,
    /// (namespace, name) → flat name.
    flat: HashMap<(String, String), String>,
    taken: HashSet<String>,
}

impl Toolbox {
    /// Takes `tools`, and reads those that items of `input` reveal. Of two with one name the first declared wins.
    pub(super) fn read(fields: &mut Fields) -> Result<Self, DecodeError> {
        let at = fields.at("tools");
        let declared = fields.array("tools")?.unwrap_or_default();
        let revealed =
            fields.peek("input").and_then(Value::as_array).map(|it| revealed(it)).unwrap_or_default();
        let mut toolbox = Self::default();
        let all = declared.iter().chain(revealed.iter().map(|it| &it.1));
        toolbox.taken = all.filter_map(direct_name).map(str::to_owned).collect();
        for (index, value) in declared.into_iter().enumerate() {
            let tools = toolbox.tool(value, format!("{at}/{index}"))?;
            toolbox.tools.extend(tools);
        }
        for (at, value) in revealed {
            for tool in toolbox.tool(value, at.clone())? {
                if !toolbox.tools.iter().any(|it| it.name == tool.name) {
                    toolbox.tools.push(from_conversation(tool, &at));
                }
            }
        }
        Ok(toolbox)
    }

    /// Whether a tool of this name was declared in this namespace.
    pub(super) fn knows(&self, namespace: &str, name: &str) -> bool {
        self.flat.contains_key(&(namespace.to_owned(), name.to_owned()))
    }

    /// The flat name of a tool in a namespace.
    pub(super) fn flat(&self, namespace: &str, name: &str) -> String {
        let known = self.flat.get(&(namespace.to_owned(), name.to_owned()));
        known.cloned().unwrap_or_else(|| Namespaced::flat_name(namespace, name))
    }

    fn tool(&mut self, value: Value, at: String) -> Result<Vec<Tool>, DecodeError> {
        let Value::Object(map) = &value else { return Err(wrong(at, "a tool (an object)", &value)) };
        let kind = match map.get("type") {
            Some(Value::String(kind)) => kind.clone(),
            None | Some(Value::Null) if map.contains_key("function") || map.contains_key("name") => {
                "function".to_owned()
            }
            None | Some(Value::Null) => {
                return Err(DecodeError::new(
                    format!("{at}/type"),
                    "a tool needs a `type`, such as `function`",
                ));
            }
            Some(other) => return Err(wrong(format!("{at}/type"), "a string", other)),
        };
        match kind.as_str() {
            "function" | "custom" => Ok(vec![plain(value, at, &kind)?]),
            "namespace" => self.namespace(value, at),
            _ => Ok(vec![builtin(value, &kind, &at)]),
        }
    }

    fn namespace(&mut self, value: Value, at: String) -> Result<Vec<Tool>, DecodeError> {
        let whole = value.clone();
        let mut fields = Fields::of(value, at)?;
        let namespace = fields.required_string("name")?;
        let description = fields.string("description")?;
        let at = fields.at("tools");
        let values = fields.array("tools")?.unwrap_or_default();
        if values.is_empty() {
            return Ok(vec![builtin(whole, "namespace", fields.here())]);
        }
        let mut tools = Vec::new();
        for (index, value) in values.into_iter().enumerate() {
            let kind = value.get("type").and_then(Value::as_str).unwrap_or("function").to_owned();
            let at = format!("{at}/{index}");
            let mut tool = match kind.as_str() {
                "function" | "custom" => plain(value, at, &kind)?,
                _ if !value.is_object() => return Err(wrong(at, "a tool (an object)", &value)),
                _ => builtin(value, &kind, &at),
            };
            let name = std::mem::take(&mut tool.name);
            tool.name = self.name_flat(&namespace, &name);
            tool.namespaced =
                Some(Namespaced { namespace: namespace.clone(), description: description.clone(), name });
            tools.push(tool);
        }
        Ok(tools)
    }

    /// Gives a tool in a namespace a flat name that no other tool has. A tool outside a namespace keeps its own.
    fn name_flat(&mut self, namespace: &str, name: &str) -> String {
        let key = (namespace.to_owned(), name.to_owned());
        if let Some(known) = self.flat.get(&key) {
            return known.clone();
        }
        let base = Namespaced::flat_name(namespace, name);
        let numbered = (2..self.taken.len() + 3).map(|number| format!("{base}_{number}"));
        let mut candidates = std::iter::once(base.clone()).chain(numbered);
        // Of one more number than there are names one is free.
        let flat = candidates.find(|it| !self.taken.contains(it)).unwrap_or_default();
        self.taken.insert(flat.clone());
        self.flat.insert(key, flat.clone());
        flat
    }

    /// Takes `tool_choice` in all its forms.
    pub(super) fn choice(&self, fields: &mut Fields) -> Result<Option<ToolChoice>, DecodeError> {
        let at = fields.at("tool_choice");
        match fields.any("tool_choice") {
            None => Ok(None),
            Some(Value::String(word)) => match word.as_str() {
                "auto" => Ok(Some(ToolChoice::Auto)),
                "none" => Ok(Some(ToolChoice::None)),
                "required" | "any" => Ok(Some(ToolChoice::Required)),
                _ => Err(DecodeError::new(
                    at,
                    format!("`tool_choice` must be `auto`, `none`, `required` or an object, not `{word}`"),
                )),
            },
            Some(value @ Value::Object(_)) => self.object_choice(value, at).map(Some),
            Some(other) => Err(wrong(at, "a string or an object", &other)),
        }
    }

    fn object_choice(&self, raw: Value, at: String) -> Result<ToolChoice, DecodeError> {
        let mut fields = Fields::of(raw.clone(), at)?;
        let known = match fields.required_string("type")?.as_str() {
            "auto" => Some(ToolChoice::Auto),
            "none" => Some(ToolChoice::None),
            "required" | "any" => Some(ToolChoice::Required),
            "allowed_tools" => {
                let required = fields.string("mode")?.as_deref() == Some("required");
                let at = fields.at("tools");
                let tools = fields.array("tools")?.ok_or_else(|| fields.missing("tools"))?;
                let names = tools.iter().enumerate();
                let names = names.map(|(index, it)| self.named(it, &format!("{at}/{index}")));
                let names: Option<Vec<String>> = names.collect::<Result<_, _>>()?;
                names.map(|names| ToolChoice::Allowed { names, required })
            }
            _ => {
                let name = self.named(&raw, fields.here())?;
                // What else it says was read with the name.
                return Ok(name.map_or(ToolChoice::Other { dialect: ID, raw }, ToolChoice::Named));
            }
        };
        let plain = fields.rest(ID) == Extra::default();
        Ok(known.filter(|_| plain).unwrap_or(ToolChoice::Other { dialect: ID, raw }))
    }

    /// The tool a reference means; none if only this dialect can say it.
    fn named(&self, reference: &Value, at: &str) -> Result<Option<String>, DecodeError> {
        let mut fields = Fields::of(reference.clone(), at)?;
        let kind = fields.required_string("type")?;
        if !matches!(kind.as_str(), "function" | "custom") {
            let is_it = |it: &&Tool| matches!(it.kind, ToolKind::Builtin { .. }) && it.name == kind;
            let only = self.tools.iter().filter(is_it).count() == 1;
            let bare = fields.rest(ID) == Extra::default();
            return Ok((only && bare).then_some(kind));
        }
        // Chat nests the name.
        let mut inner = fields.object(&kind)?;
        let source = inner.as_mut().unwrap_or(&mut fields);
        let name = source.required_string("name")?;
        if let Some(namespace) = source.string("namespace")? {
            return Ok(Some(self.flat(&namespace, &name)));
        }
        if self.tools.iter().any(|it| it.name == name) {
            return Ok(Some(name));
        }
        let inside = |it: &&Tool| it.namespaced.as_ref().is_some_and(|it| it.name == name);
        let flat = self.tools.iter().find(inside).map(|it| it.name.clone());
        Ok(Some(flat.unwrap_or(name)))
    }
}

/// The name of a tool outside a namespace.
fn direct_name(value: &Value) -> Option<&str> {
    match value.get("type").and_then(Value::as_str) {
        Some("function" | "custom") | None => {
            let inner = value.get("function").or_else(|| value.get("custom"));
            inner.unwrap_or(value).get("name").and_then(Value::as_str)
        }
        Some(_) => None,
    }
}

/// The tools that items reveal, and where they stand.
fn revealed(items: &[Value]) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let kind = item.get("type").and_then(Value::as_str);
        if matches!(kind, Some("additional_tools" | "tool_search_output"))
            && let Some(tools) = item.get("tools").and_then(Value::as_array)
        {
            let place = |(tool, it): (usize, &Value)| (format!("/input/{index}/tools/{tool}"), it.clone());
            found.extend(tools.iter().enumerate().map(place));
        }
    }
    found
}

/// Marks a tool as one that stands in the conversation: its place is there, and what kind it is was said there.
fn from_conversation(tool: Tool, at: &str) -> Tool {
    let mut fields = tool.extra.get().map(|it| it.fields.clone()).unwrap_or_default();
    let kind = match &tool.kind {
        ToolKind::Function => "function",
        ToolKind::Custom { .. } => "custom",
        ToolKind::Builtin { .. } => tool.name.as_str(),
    };
    fields.insert("type".to_owned(), kind.into());
    Tool { extra: Extra::new(ID, at, fields), ..tool }
}

/// Whether a tool stands in the conversation and not among the declared ones.
pub(in super::super) fn is_revealed(tool: &Tool) -> bool {
    tool.extra.get().is_some_and(|it| it.dialect == ID && it.at.starts_with("/input/"))
}

/// Reads a function or a tool of free text, flat or as Chat nests it.
fn plain(value: Value, at: String, kind: &str) -> Result<Tool, DecodeError> {
    let mut fields = Fields::of(value, at.clone())?;
    fields.any("type");
    let nested = fields.has(kind) && !fields.has("name");
    let mut inner = if nested { fields.object(kind)? } else { None };
    let source = inner.as_mut().unwrap_or(&mut fields);
    let name = source.required_string("name")?;
    let description = source.string("description")?;
    let (kind, schema, strict) = if kind == "custom" {
        (ToolKind::Custom { format: source.any("format") }, None, None)
    } else {
        let schema = match source.any("parameters") {
            Some(it) if !it.is_object() => {
                return Err(wrong(source.at("parameters"), "a JSON schema (an object)", &it));
            }
            it => it,
        };
        (ToolKind::Function, schema, source.bool("strict")?)
    };
    let extra = inner.unwrap_or(fields).rest(ID);
    Ok(Tool { kind, name, namespaced: None, description, schema, strict, cache: None, at, extra })
}

fn builtin(raw: Value, kind: &str, at: &str) -> Tool {
    let family = match kind {
        it if it.starts_with("web_search") => Some(Builtin::WebSearch(web_search(&raw))),
        "code_interpreter" => Some(Builtin::CodeExecution),
        _ => None,
    };
    Tool {
        name: kind.to_owned(),
        namespaced: None,
        kind: ToolKind::Builtin { dialect: ID, raw, family },
        description: None,
        schema: None,
        strict: None,
        cache: None,
        at: at.to_owned(),
        extra: Extra::default(),
    }
}

fn web_search(raw: &Value) -> WebSearch {
    let domains = |pointer: &str| {
        let listed = raw.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
        listed.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let location = raw.get("user_location").and_then(Value::as_object).map(location);
    WebSearch {
        max_uses: None,
        allowed_domains: domains("/filters/allowed_domains"),
        blocked_domains: domains("/filters/blocked_domains"),
        location,
        context_size: raw.get("search_context_size").and_then(Value::as_str).map(str::to_owned),
    }
}

fn location(raw: &Map<String, Value>) -> Location {
    let text = |key: &str| raw.get(key).and_then(Value::as_str).map(str::to_owned);
    Location {
        city: text("city"),
        region: text("region"),
        country: text("country"),
        timezone: text("timezone"),
    }
}
