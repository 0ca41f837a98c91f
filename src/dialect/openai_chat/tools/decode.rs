//! Reads tools in Chat's form, and in the forms that some clients send here by mistake: flat, and Anthropic's.

use serde_json::Value;

use crate::dialect::{
    DecodeError,
    canonical::{
        Builtin, CacheMark, Extra, Location, Tool, ToolChoice, ToolKind, WEB_SEARCH_OPTIONS, WebSearch,
    },
    fields::{Fields, wrong},
    openai_chat::{CHAT, extra},
};

/// Reads `tools`.
pub(in crate::dialect::openai_chat) fn tools(values: Vec<Value>, at: &str) -> Result<Vec<Tool>, DecodeError> {
    values.into_iter().enumerate().map(|(index, value)| tool(value, format!("{at}/{index}"))).collect()
}

/// Reads the legacy `functions`.
pub(in crate::dialect::openai_chat) fn functions(
    values: Vec<Value>,
    at: &str,
) -> Result<Vec<Tool>, DecodeError> {
    let read = |(index, value)| {
        let mut fields = Fields::of(value, format!("{at}/{index}"))?;
        let tool = function(&mut fields)?;
        Ok(Tool { at: fields.here().to_owned(), extra: fields.rest(CHAT), ..tool })
    };
    values.into_iter().enumerate().map(read).collect()
}

/// Takes `web_search_options`: to every other dialect a tool that its provider runs.
pub(in crate::dialect::openai_chat) fn search(fields: &mut Fields) -> Result<Option<Tool>, DecodeError> {
    let Some(options) = fields.any(WEB_SEARCH_OPTIONS) else { return Ok(None) };
    if !options.is_object() {
        return Err(wrong(fields.at(WEB_SEARCH_OPTIONS), "an object", &options));
    }
    let family = Some(Builtin::WebSearch(web_search(&options)));
    let raw = serde_json::json!({ WEB_SEARCH_OPTIONS: options });
    Ok(Some(Tool {
        name: WEB_SEARCH_OPTIONS.to_owned(),
        kind: ToolKind::Builtin { dialect: CHAT, raw, family },
        namespaced: None,
        description: None,
        schema: None,
        strict: None,
        cache: None,
        at: fields.at(WEB_SEARCH_OPTIONS),
        extra: Extra::default(),
    }))
}

fn web_search(options: &Value) -> WebSearch {
    let location = options.get("user_location").filter(|it| it.is_object()).map(|it| {
        // Some clients write it flat, as Responses does.
        let place = it.get("approximate").unwrap_or(it);
        let text = |key: &str| place.get(key).and_then(Value::as_str).map(str::to_owned);
        Location {
            city: text("city"),
            region: text("region"),
            country: text("country"),
            timezone: text("timezone"),
        }
    });
    WebSearch {
        location,
        context_size: options.get("search_context_size").and_then(Value::as_str).map(str::to_owned),
        ..WebSearch::default()
    }
}

fn tool(value: Value, at: String) -> Result<Tool, DecodeError> {
    let raw = value.clone();
    let mut fields = Fields::of(value, at.clone())?;
    let kind = fields.string("type")?;
    let flat = fields.has("name");
    let cache = cache_mark(&fields);
    let tool = match kind.as_deref() {
        Some("function") | None if fields.has("function") => nested(fields, "function", function)?,
        Some("custom") if fields.has("custom") => nested(fields, "custom", custom)?,
        Some("custom") if flat && !fields.has("input_schema") => flattened(fields, custom)?,
        Some("function" | "custom") | None if flat => flattened(fields, function)?,
        Some("function") | None => return Err(fields.missing("function")),
        Some("custom") => return Err(fields.missing("custom")),
        Some(kind) => Tool {
            name: fields.string("name")?.unwrap_or_else(|| kind.to_owned()),
            kind: ToolKind::Builtin { dialect: CHAT, raw, family: None },
            namespaced: None,
            description: None,
            schema: None,
            strict: None,
            cache: None,
            at: String::new(),
            extra: Extra::default(),
        },
    };
    Ok(Tool { cache: cache.or(tool.cache), at, ..tool })
}

fn nested(
    mut fields: Fields,
    key: &str,
    read: fn(&mut Fields) -> Result<Tool, DecodeError>,
) -> Result<Tool, DecodeError> {
    let mut inner = fields.object(key)?.ok_or_else(|| fields.missing(key))?;
    let tool = read(&mut inner)?;
    Ok(Tool { extra: extra::nest(fields.rest(CHAT), key, &inner.rest(CHAT)), ..tool })
}

fn flattened(
    mut fields: Fields,
    read: fn(&mut Fields) -> Result<Tool, DecodeError>,
) -> Result<Tool, DecodeError> {
    let tool = read(&mut fields)?;
    Ok(Tool { extra: fields.rest(CHAT), ..tool })
}

fn function(fields: &mut Fields) -> Result<Tool, DecodeError> {
    let schema = match fields.any("parameters") {
        Some(it) => Some(it),
        None => fields.any("input_schema"),
    };
    Ok(Tool {
        kind: ToolKind::Function,
        namespaced: None,
        name: fields.required_string("name")?,
        description: fields.string("description")?,
        schema,
        strict: fields.bool("strict")?,
        cache: None,
        at: String::new(),
        extra: Extra::default(),
    })
}

fn custom(fields: &mut Fields) -> Result<Tool, DecodeError> {
    Ok(Tool {
        kind: ToolKind::Custom { format: fields.any("format") },
        namespaced: None,
        name: fields.required_string("name")?,
        description: fields.string("description")?,
        schema: None,
        strict: None,
        cache: None,
        at: String::new(),
        extra: Extra::default(),
    })
}

/// Reads a cache mark and leaves it in its place: OpenAI's `prompt_cache_breakpoint`, or Anthropic's `cache_control`,
/// which `OpenRouter` takes here too.
pub(in crate::dialect::openai_chat) fn cache_mark(fields: &Fields) -> Option<CacheMark> {
    let mark = fields.peek("prompt_cache_breakpoint").or_else(|| fields.peek("cache_control"))?;
    let ttl = match mark.get("ttl").and_then(Value::as_str) {
        Some("5m" | "30m") => Some("5m".to_owned()),
        Some("1h" | "12h" | "24h") => Some("1h".to_owned()),
        _ => None,
    };
    Some(CacheMark { ttl })
}

/// Reads `tool_choice` in all its forms.
pub(in crate::dialect::openai_chat) fn choice(value: Value, at: &str) -> Result<ToolChoice, DecodeError> {
    match value {
        Value::String(word) => match word.as_str() {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" | "any" => Ok(ToolChoice::Required),
            _ => Err(DecodeError::new(
                at,
                format!("`tool_choice` must be `auto`, `none`, `required` or an object, not `{word}`"),
            )),
        },
        Value::Object(_) => object_choice(value, at),
        other => Err(wrong(at, "a string or an object", &other)),
    }
}

fn object_choice(value: Value, at: &str) -> Result<ToolChoice, DecodeError> {
    let raw = value.clone();
    let mut fields = Fields::of(value, at)?;
    let kind = fields.string("type")?;
    match kind.as_deref() {
        Some(key @ ("function" | "custom")) => match fields.object(key)? {
            Some(mut inner) => inner.required_string("name").map(ToolChoice::Named),
            None => fields.required_string("name").map(ToolChoice::Named),
        },
        None if fields.has("function") => {
            let mut inner = fields.object("function")?.ok_or_else(|| fields.missing("function"))?;
            inner.required_string("name").map(ToolChoice::Named)
        }
        Some("tool") | None => fields.required_string("name").map(ToolChoice::Named),
        Some("allowed_tools") => {
            let inner = fields.object("allowed_tools")?;
            allowed(inner.unwrap_or(fields))
        }
        Some("auto") => Ok(ToolChoice::Auto),
        Some("none") => Ok(ToolChoice::None),
        Some("any" | "required") => Ok(ToolChoice::Required),
        Some(_) => Ok(ToolChoice::Other { dialect: CHAT, raw }),
    }
}

fn allowed(mut fields: Fields) -> Result<ToolChoice, DecodeError> {
    let required = fields.string("mode")?.as_deref() == Some("required");
    let at = fields.at("tools");
    let tools = fields.array("tools")?.ok_or_else(|| fields.missing("tools"))?;
    let mut names = Vec::with_capacity(tools.len());
    for (index, tool) in tools.into_iter().enumerate() {
        let mut tool = Fields::of(tool, format!("{at}/{index}"))?;
        let inner = match tool.object("function")? {
            Some(it) => Some(it),
            None => tool.object("custom")?,
        };
        names.push(inner.unwrap_or(tool).required_string("name")?);
    }
    Ok(ToolChoice::Allowed { names, required })
}

/// Reads the legacy `function_call`.
pub(in crate::dialect::openai_chat) fn legacy_choice(
    value: Value,
    at: &str,
) -> Result<ToolChoice, DecodeError> {
    match value {
        Value::Object(_) => Fields::of(value, at)?.required_string("name").map(ToolChoice::Named),
        other => choice(other, at),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Tool {
        tools(vec![value], "/tools").unwrap().remove(0)
    }

    #[test]
    fn ec_174_flat_and_foreign_tools_are_understood() {
        let schema = json!({"type": "object"});
        for value in [
            json!({"type": "function", "function": {"name": "read", "parameters": schema}}),
            json!({"type": "function", "name": "read", "parameters": schema}),
            json!({"name": "read", "input_schema": schema}),
            json!({"type": "custom", "name": "read", "input_schema": schema}),
            json!({"function": {"name": "read", "parameters": schema}}),
        ] {
            let tool = read(value);
            assert_eq!((tool.name.as_str(), tool.schema.as_ref()), ("read", Some(&schema)));
            assert_eq!(tool.kind, ToolKind::Function);
            assert_eq!(tool.extra, Extra::default());
        }
    }

    #[test]
    fn a_tool_without_name_is_refused_where_it_stands() {
        let error = tools(vec![json!({"type": "function", "function": {}})], "/tools").unwrap_err();
        assert_eq!(error.at, "/tools/0/function/name");
    }

    #[test]
    fn tool_choice_is_read_in_all_its_forms() {
        let named = ToolChoice::Named("read".to_owned());
        for (value, expected) in [
            (json!("any"), ToolChoice::Required),
            (json!({"type": "any"}), ToolChoice::Required),
            (json!({"type": "function", "function": {"name": "read"}}), named.clone()),
            (json!({"type": "function", "name": "read"}), named.clone()),
            (json!({"type": "custom", "custom": {"name": "read"}}), named.clone()),
            (json!({"type": "tool", "name": "read"}), named),
            (
                json!({"type": "allowed_tools", "allowed_tools": {"mode": "required",
                       "tools": [{"type": "function", "function": {"name": "read"}}]}}),
                ToolChoice::Allowed { names: vec!["read".to_owned()], required: true },
            ),
        ] {
            assert_eq!(choice(value, "/tool_choice").unwrap(), expected);
        }
        assert_eq!(choice(json!("often"), "/tool_choice").unwrap_err().at, "/tool_choice");
        assert_eq!(choice(json!(1), "/tool_choice").unwrap_err().at, "/tool_choice");
    }
}
