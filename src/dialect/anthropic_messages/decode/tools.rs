//! Tools, and which of them must be called.

use serde_json::Value;

use super::{
    super::ID,
    client_tools,
    parts::{cache_mark, with_odd_mark},
};
use crate::dialect::{
    DecodeError,
    canonical::{Builtin, Location, Tool, ToolChoice, ToolKind, WebSearch},
    fields::{Fields, wrong},
};

pub(super) fn tools(fields: &mut Fields) -> Result<Vec<Tool>, DecodeError> {
    let at = fields.at("tools");
    let tools = fields.array("tools")?.unwrap_or_default();
    tools.into_iter().enumerate().map(|(index, it)| tool(it, format!("{at}/{index}"))).collect()
}

/// A tool with a type of its own is the provider's. `type: custom` is what a tool without one has; it is kept as written.
fn tool(value: Value, at: String) -> Result<Tool, DecodeError> {
    let Value::Object(map) = &value else { return Err(wrong(at, "an object", &value)) };
    if map.get("type").and_then(Value::as_str).is_some_and(|it| it != "custom") {
        return Ok(Tool { at, ..builtin(value) });
    }
    let mut fields = Fields::of(value, at)?;
    let (cache, odd) = cache_mark(&mut fields)?;
    let at = fields.here().to_owned();
    Ok(Tool {
        kind: ToolKind::Function,
        namespaced: None,
        name: fields.required_string("name")?,
        description: fields.string("description")?,
        schema: schema(&mut fields)?,
        strict: fields.bool("strict")?,
        cache,
        at,
        extra: with_odd_mark(fields, odd),
    })
}

fn schema(fields: &mut Fields) -> Result<Option<Value>, DecodeError> {
    match fields.any("input_schema") {
        Some(it) if !it.is_object() => {
            Err(wrong(fields.at("input_schema"), "a JSON schema (an object)", &it))
        }
        it => Ok(it),
    }
}

fn builtin(raw: Value) -> Tool {
    let kind = raw.get("type").and_then(Value::as_str).unwrap_or_default();
    let family = match kind {
        it if it.starts_with("web_search_") => Some(Builtin::WebSearch(web_search(&raw))),
        it if it.starts_with("web_fetch_") => Some(Builtin::UrlFetch),
        it if it.starts_with("code_execution_") => Some(Builtin::CodeExecution),
        it => client_tools::of(it),
    };
    Tool {
        name: raw.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(),
        namespaced: None,
        kind: ToolKind::Builtin { dialect: ID, raw, family },
        description: None,
        schema: None,
        strict: None,
        cache: None,
        at: String::new(),
        extra: crate::dialect::canonical::Extra::default(),
    }
}

fn web_search(raw: &Value) -> WebSearch {
    let domains = |key: &str| {
        let listed = raw.get(key).and_then(Value::as_array).into_iter().flatten();
        listed.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let location = raw.get("user_location").filter(|it| it.is_object()).map(|it| {
        let text = |key: &str| it.get(key).and_then(Value::as_str).map(str::to_owned);
        Location {
            city: text("city"),
            region: text("region"),
            country: text("country"),
            timezone: text("timezone"),
        }
    });
    WebSearch {
        max_uses: raw.get("max_uses").and_then(Value::as_u64),
        allowed_domains: domains("allowed_domains"),
        blocked_domains: domains("blocked_domains"),
        location,
        context_size: None,
    }
}

/// Reads `tool_choice`, and from it whether several tools may be called at once.
pub(super) fn choice(fields: &mut Fields) -> Result<(Option<ToolChoice>, Option<bool>), DecodeError> {
    let Some(raw) = fields.any("tool_choice") else { return Ok((None, None)) };
    let mut choice = Fields::of(raw.clone(), fields.at("tool_choice"))?;
    let kind = choice.required_string("type")?;
    let parallel = choice.bool("disable_parallel_tool_use")?.map(|it| !it);
    let known = match kind.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(choice.required_string("name")?),
        _ => return Ok((Some(ToolChoice::Other { dialect: ID, raw }), None)),
    };
    if choice.rest(ID).get().is_some() {
        return Ok((Some(ToolChoice::Other { dialect: ID, raw }), None));
    }
    Ok((Some(known), parallel))
}
