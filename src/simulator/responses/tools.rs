//! What the Responses API refuses of tools and of the choice among them.

use serde_json::Value;

use crate::simulator::{
    responses::judge::{
        Need, inside, missing, only, pattern, strict, text_in, word, wrong_type, wrong_value,
    },
    vendor::{Complaint, is_name},
};

/// Type → fields; those of hosted tools are not looked at more closely.
const KINDS: &[(&str, &[&str])] = &[
    (
        "function",
        &[
            "allowed_callers",
            "async",
            "defer_loading",
            "description",
            "name",
            "output_schema",
            "parameters",
            "strict",
            "type",
        ],
    ),
    ("custom", &["allowed_callers", "defer_loading", "description", "format", "name", "type"]),
    ("namespace", &["description", "name", "tools", "type"]),
    ("apply_patch", &["allowed_callers", "type"]),
    ("code_interpreter", &["allowed_callers", "container", "type"]),
    ("computer", &["type"]),
    ("computer_use_preview", &["display_height", "display_width", "environment", "type"]),
    ("file_search", &["filters", "max_num_results", "ranking_options", "type", "vector_store_ids"]),
    (
        "image_generation",
        &[
            "action",
            "background",
            "complexity",
            "frame_count",
            "frame_duration_ms",
            "input_fidelity",
            "input_image_mask",
            "model",
            "moderation",
            "output_compression",
            "output_format",
            "partial_images",
            "quality",
            "size",
            "svg",
            "type",
        ],
    ),
    ("local_shell", &["type"]),
    (
        "mcp",
        &[
            "allowed_callers",
            "allowed_tools",
            "authorization",
            "connector_id",
            "defer_loading",
            "headers",
            "require_approval",
            "server_description",
            "server_label",
            "server_url",
            "tunnel_id",
            "type",
        ],
    ),
    ("programmatic_tool_calling", &["type"]),
    ("shell", &["allowed_callers", "environment", "type"]),
    ("tool_search", &["description", "execution", "parameters", "type"]),
    ("web_search", WEB_SEARCH),
    ("web_search_2025_08_26", WEB_SEARCH),
    ("web_search_preview", WEB_SEARCH),
    ("web_search_preview_2025_03_11", WEB_SEARCH),
];

const WEB_SEARCH: &[&str] = &[
    "external_web_access",
    "filters",
    "image_settings",
    "return_token_budget",
    "search_content_types",
    "search_context_size",
    "type",
    "user_location",
];

pub(super) fn judge(body: &Value) -> Result<(), Complaint> {
    let mut names = Vec::new();
    match &body["tools"] {
        Value::Null => {}
        Value::Array(tools) => {
            for (number, it) in tools.iter().enumerate() {
                tool(it, &format!("tools[{number}]"), &mut names)?;
            }
        }
        other => return wrong_type("tools", other, "an array"),
    }
    choice(&body["tool_choice"], &body["tools"], &names)
}

pub(super) fn tool<'a>(tool: &'a Value, at: &str, names: &mut Vec<&'a str>) -> Result<(), Complaint> {
    let kind = text_in(tool, "type", at, Need::Must)?.unwrap_or_default();
    let Some((_, fields)) = KINDS.iter().find(|(it, _)| *it == kind) else {
        let supported: Vec<&str> = KINDS.iter().map(|(it, _)| *it).collect();
        return wrong_value(&inside(at, "type"), kind, &supported);
    };
    only(tool, fields, at)?;
    match kind {
        "function" => function(tool, at, names),
        "custom" => {
            named(tool, at, names)?;
            text_in(tool, "description", at, Need::May)?;
            grammar(&tool["format"], &inside(at, "format"))
        }
        "namespace" => {
            let mut inner = Vec::new();
            named(tool, at, &mut inner)?;
            let Some(tools) = tool["tools"].as_array().filter(|it| !it.is_empty()) else {
                return missing(&inside(at, "tools"));
            };
            inner.clear();
            tools
                .iter()
                .enumerate()
                .try_for_each(|(number, it)| self::tool(it, &format!("{at}.tools[{number}]"), &mut inner))
        }
        "mcp" => text_in(tool, "server_label", at, Need::Must).map(|_| ()),
        "code_interpreter" if tool["container"].is_null() => missing(&inside(at, "container")),
        "file_search" if !tool["vector_store_ids"].is_array() => missing(&inside(at, "vector_store_ids")),
        _ => Ok(()),
    }
}

fn named<'a>(tool: &'a Value, at: &str, names: &mut Vec<&'a str>) -> Result<(), Complaint> {
    let name = text_in(tool, "name", at, Need::Must)?.unwrap_or_default();
    if !is_name(name, 64) {
        return pattern(&inside(at, "name"));
    }
    if names.contains(&name) {
        return Complaint::coded("invalid_value", at, format!("Duplicate tool name: '{name}'."));
    }
    names.push(name);
    Ok(())
}

fn function<'a>(tool: &'a Value, at: &str, names: &mut Vec<&'a str>) -> Result<(), Complaint> {
    named(tool, at, names)?;
    text_in(tool, "description", at, Need::May)?;
    let name = tool["name"].as_str().unwrap_or_default();
    let parameters = &tool["parameters"];
    let at = inside(at, "parameters");
    match parameters {
        Value::Null => return Ok(()),
        Value::Object(fields) => {
            if !fields.is_empty() && parameters["type"] != "object" {
                return Complaint::coded(
                    "invalid_function_parameters",
                    at,
                    format!(
                        "Invalid schema for function '{name}': schema must be a JSON Schema of 'type: \"object\"'."
                    ),
                );
            }
        }
        other => return wrong_type(&at, other, "an object"),
    }
    match &tool["strict"] {
        Value::Bool(true) => strict("function", name, parameters, &at),
        Value::Bool(false) | Value::Null => Ok(()),
        other => wrong_type(&at.replace("parameters", "strict"), other, "a boolean"),
    }
}

fn grammar(format: &Value, at: &str) -> Result<(), Complaint> {
    match format["type"].as_str() {
        None if format.is_null() => Ok(()),
        Some("text") => only(format, &["type"], at),
        Some("grammar") => {
            only(format, &["type", "syntax", "definition"], at)?;
            text_in(format, "definition", at, Need::Must)?;
            word(format, "syntax", at, &["lark", "regex"])
        }
        Some(other) => wrong_value(&inside(at, "type"), other, &["text", "grammar"]),
        None => missing(&inside(at, "type")),
    }
}

fn choice(choice: &Value, tools: &Value, names: &[&str]) -> Result<(), Complaint> {
    let at = "tool_choice";
    let some = tools.as_array().is_some_and(|it| !it.is_empty());
    match choice {
        Value::Null => Ok(()),
        Value::String(word) => match word.as_str() {
            "none" | "auto" => Ok(()),
            "required" if some => Ok(()),
            "required" => {
                Complaint::of(at, "Tool choice 'required' must be specified with 'tools' parameter.")
            }
            other => wrong_value(at, other, &["none", "auto", "required"]),
        },
        Value::Object(_) => match choice["type"].as_str() {
            Some("function" | "custom") => {
                only(choice, &["type", "name"], at)?;
                let name = text_in(choice, "name", at, Need::Must)?.unwrap_or_default();
                if names.contains(&name) {
                    return Ok(());
                }
                Complaint::of(at, format!("Tool choice '{name}' not found in 'tools' parameter."))
            }
            Some("allowed_tools") => {
                only(choice, &["type", "mode", "tools"], at)?;
                word(choice, "mode", at, &["auto", "required"])?;
                if choice["tools"].is_array() { Ok(()) } else { missing("tool_choice.tools") }
            }
            Some("mcp") => text_in(choice, "server_label", at, Need::Must).map(|_| ()),
            Some(hosted) => {
                let there = tools.as_array().is_some_and(|it| it.iter().any(|it| it["type"] == hosted));
                if there {
                    Ok(())
                } else {
                    Complaint::of(at, format!("Tool choice '{hosted}' not found in 'tools' parameter."))
                }
            }
            None => missing("tool_choice.type"),
        },
        other => wrong_type(at, other, "a string or an object"),
    }
}
