//! Tools, and which of them must be called.

use serde_json::{Map, Value};

use super::{
    super::{
        super::{ID, schema},
        proto,
    },
    Kept, extended, noted,
};
use crate::dialect::{
    DecodeError,
    canonical::{Builtin, Extra, Tool, ToolChoice, ToolKind, WebSearch},
    fields::{Fields, wrong},
};

pub(super) fn tools(fields: &mut Fields) -> Result<Vec<Tool>, DecodeError> {
    let at = fields.at("tools");
    let given = match fields.any("tools") {
        None => return Ok(Vec::new()),
        Some(Value::Array(it)) => it,
        Some(one @ Value::Object(_)) => vec![one],
        Some(other) => return Err(wrong(at, "an array of tools", &other)),
    };
    let mut tools = Vec::new();
    for (index, it) in given.into_iter().enumerate() {
        let mut fields = proto::open(it, format!("{at}/{index}"))?;
        let at = fields.at("functionDeclarations");
        for (index, it) in fields.array("functionDeclarations")?.unwrap_or_default().into_iter().enumerate() {
            tools.push(function(it, &format!("{at}/{index}"))?);
        }
        let place = fields.here().to_owned();
        tools.extend(proto::rest(fields).into_iter().map(|(key, value)| builtin(&key, value, &place)));
    }
    Ok(tools)
}

fn function(value: Value, at: &str) -> Result<Tool, DecodeError> {
    let mut fields = proto::open(value, at)?;
    let name = fields.required_string("name")?;
    let description = fields.string("description")?;
    let full = fields.any("parametersJsonSchema");
    let mut form = None;
    let schema = match full {
        Some(it) => Some(it),
        None => match fields.any("parameters") {
            Some(own @ Value::Object(_)) => {
                let restored = schema::restore(&own);
                form = Some(noted("parameters", own));
                Some(restored)
            }
            Some(other) => return Err(wrong(fields.at("parameters"), "a schema (an object)", &other)),
            None => None,
        },
    };
    Ok(Tool {
        kind: ToolKind::Function,
        name,
        namespaced: None,
        description,
        schema,
        strict: None,
        cache: None,
        at: at.to_owned(),
        extra: extended(&fields.rest(ID), at, form),
    })
}

/// A tool that Google runs, by the one field it has.
fn builtin(key: &str, value: Value, at: &str) -> Tool {
    let family = match key {
        "googleSearch" | "googleSearchRetrieval" | "enterpriseWebSearch" => {
            Some(Builtin::WebSearch(web_search(&value)))
        }
        "codeExecution" => Some(Builtin::CodeExecution),
        "urlContext" => Some(Builtin::UrlFetch),
        _ => None,
    };
    let raw = Value::Object(Map::from_iter([(key.to_owned(), value)]));
    Tool {
        kind: ToolKind::Builtin { dialect: ID, raw, family },
        name: key.to_owned(),
        namespaced: None,
        description: None,
        schema: None,
        strict: None,
        cache: None,
        at: format!("{at}/{key}"),
        extra: Extra::default(),
    }
}

fn web_search(value: &Value) -> WebSearch {
    let excluded = value.get("excludeDomains").or_else(|| value.get("exclude_domains"));
    let blocked = excluded.and_then(Value::as_array).into_iter().flatten();
    WebSearch {
        blocked_domains: blocked.filter_map(Value::as_str).map(str::to_owned).collect(),
        ..WebSearch::default()
    }
}

/// Reads `toolConfig`. `VALIDATED` is `AUTO` with arguments that are checked: only an upstream of this dialect is told of it.
pub(super) fn choice(fields: &mut Fields, kept: &mut Kept) -> Result<Option<ToolChoice>, DecodeError> {
    let Some(mut config) = proto::message(fields, "toolConfig")? else { return Ok(None) };
    let mut choice = None;
    if let Some(mut calling) = proto::message(&mut config, "functionCallingConfig")? {
        let mode = proto::word(&mut calling, "mode")?;
        let mut names = proto::texts(&mut calling, "allowedFunctionNames")?;
        let mut left = Map::new();
        choice = match mode.as_deref() {
            Some("NONE") => Some(ToolChoice::None),
            Some("ANY") if names.is_empty() => Some(ToolChoice::Required),
            Some("ANY") if names.len() == 1 => Some(ToolChoice::Named(names.remove(0))),
            Some("ANY") => Some(ToolChoice::Allowed { names, required: true }),
            Some("AUTO" | "VALIDATED") if names.is_empty() => Some(ToolChoice::Auto),
            Some("AUTO" | "VALIDATED") => Some(ToolChoice::Allowed { names, required: false }),
            _ => None,
        };
        if let Some(mode) = mode.filter(|it| it == "VALIDATED" || choice.is_none()) {
            left.insert("mode".to_owned(), mode.into());
        }
        left.extend(proto::rest(calling));
        if !left.is_empty() {
            let mut rest = proto::rest(config);
            rest.insert("functionCallingConfig".to_owned(), Value::Object(left));
            kept.rest("toolConfig", rest);
            return Ok(choice);
        }
    }
    kept.rest("toolConfig", proto::rest(config));
    Ok(choice)
}
