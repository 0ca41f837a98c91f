//! What the Messages API refuses. Field lists: the official SDK's parameter types (anthropic-python 2.11,
//! `message_create_params`, plain and beta).

use serde_json::Value;

use crate::simulator::{
    anthropic::history,
    ask::Task,
    vendor::{Call, Closed, Complaint, closed_schema, integer, is_name, only_known, require, within},
};

const FIELDS: &[&str] = &[
    "cache_control",
    "container",
    "diagnostics",
    "inference_geo",
    "max_tokens",
    "messages",
    "metadata",
    "model",
    "output_config",
    "service_tier",
    "speed",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
    "user_profile_id",
    "workspace_id",
];

/// Known with an `anthropic-beta` header only.
const BETA_FIELDS: &[&str] = &[
    "billing_policy",
    "compaction",
    "context_management",
    "fallback_credit_token",
    "fallbacks",
    "mcp_servers",
    "output_format",
    "thread",
];

/// A count has no answer to shape.
const NOT_COUNTED: &[&str] =
    &["max_tokens", "metadata", "stop_sequences", "stream", "temperature", "top_k", "top_p"];

const TOOL_FIELDS: &[&str] = &[
    "input_schema",
    "name",
    "allowed_callers",
    "cache_control",
    "defer_loading",
    "description",
    "eager_input_streaming",
    "input_examples",
    "strict",
    "type",
];

pub(super) const EXTRA: &str = "Extra inputs are not permitted";

pub(super) fn judge(body: &Value, call: Call<'_>) -> Result<(), Complaint> {
    require(body.is_object(), "", "the body must be a JSON object")?;
    require(call.headers.contains_key("anthropic-version"), "", "anthropic-version: header is required")?;
    fields(body, call)?;
    require(body["model"].as_str().is_some_and(|it| !it.is_empty()), "model", "model: Field required")?;
    if call.told.task != Task::Count {
        require(!body["max_tokens"].is_null(), "max_tokens", "max_tokens: Field required")?;
    }
    numbers(body)?;
    system(&body["system"])?;
    stops(&body["stop_sequences"])?;
    only_known(&body["metadata"], &["user_id"], "metadata", EXTRA)?;
    tools(body)?;
    thinking(body)?;
    output(&body["output_config"])?;
    let marks = body.to_string().matches(r#""cache_control":{"#).count();
    require(
        marks <= 4,
        "",
        &format!("A maximum of 4 blocks with cache_control may be provided. Found {marks}."),
    )?;
    history::judge(body, call.account)
}

fn fields(body: &Value, call: Call<'_>) -> Result<(), Complaint> {
    let beta = call.headers.contains_key("anthropic-beta") || call.query.contains("beta=true");
    let known: Vec<&str> = FIELDS
        .iter()
        .filter(|it| !(call.told.task == Task::Count && NOT_COUNTED.contains(it)))
        .chain(BETA_FIELDS.iter().filter(|_| beta))
        .copied()
        .collect();
    only_known(body, &known, "", EXTRA)
}

fn numbers(body: &Value) -> Result<(), Complaint> {
    integer(body, "max_tokens", 0)?;
    integer(body, "top_k", 0)?;
    within(body, "temperature", 0.0, 1.0)?;
    within(body, "top_p", 0.0, 1.0)?;
    // Unlike the other vendor, null is a value of the wrong type here.
    for field in
        ["max_tokens", "temperature", "top_p", "top_k", "stream", "stop_sequences", "tools", "tool_choice"]
    {
        require(
            body.get(field).is_none_or(|it| !it.is_null()),
            field,
            &format!("{field}: Input should be valid"),
        )?;
    }
    let stream = &body["stream"];
    require(stream.is_null() || stream.is_boolean(), "stream", "stream: Input should be a valid boolean")
}

fn system(system: &Value) -> Result<(), Complaint> {
    match system {
        Value::Null | Value::String(_) => Ok(()),
        Value::Array(blocks) => blocks.iter().enumerate().try_for_each(|(number, it)| {
            let at = &format!("system.{number}");
            require(it["type"] == "text", at, &format!("{at}.type: Input should be 'text'"))?;
            history::text(it, at)
        }),
        _ => Complaint::of("system", "system: Input should be a valid string or list"),
    }
}

fn stops(stops: &Value) -> Result<(), Complaint> {
    let Some(stops) = stops.as_array() else {
        return require(stops.is_null(), "stop_sequences", "stop_sequences: Input should be a valid list");
    };
    let fits = stops.iter().all(|it| it.as_str().is_some_and(|it| !it.trim().is_empty()));
    require(fits, "stop_sequences", "stop_sequences: each stop sequence must contain non-whitespace")
}

fn tools(body: &Value) -> Result<(), Complaint> {
    let none = Vec::new();
    let tools = body["tools"].as_array().unwrap_or(&none);
    require(
        body["tools"].is_null() || body["tools"].is_array(),
        "tools",
        "tools: Input should be a valid list",
    )?;
    let mut names: Vec<&str> = Vec::new();
    for (number, it) in tools.iter().enumerate() {
        let at = &format!("tools.{number}");
        tool(it, at)?;
        if let Some(name) = it["name"].as_str() {
            require(!names.contains(&name), at, "tools: Tool names must be unique.")?;
            names.push(name);
        }
    }
    choice(&body["tool_choice"], &names)
}

fn tool(tool: &Value, at: &str) -> Result<(), Complaint> {
    // The vendor's own tools have a dated type and fields of their own.
    if tool["type"].as_str().is_some_and(|it| it != "custom") {
        return Ok(());
    }
    only_known(tool, TOOL_FIELDS, at, EXTRA)?;
    let named = tool["name"].as_str().is_some_and(|it| is_name(it, 128));
    require(named, at, &format!("{at}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"))?;
    let schema = &tool["input_schema"];
    require(schema.is_object(), at, &format!("{at}.custom.input_schema: Field required"))?;
    require(
        schema["type"] == "object",
        at,
        &format!("{at}.custom.input_schema.type: Input should be 'object'"),
    )?;
    let described = tool.get("description").is_none_or(Value::is_string);
    require(described, at, &format!("{at}.custom.description: Input should be a valid string"))?;
    if tool["strict"] == true {
        closed_schema(schema, at, Closed::Only)?;
    }
    Ok(())
}

fn choice(choice: &Value, names: &[&str]) -> Result<(), Complaint> {
    let at = "tool_choice";
    if choice.is_null() {
        return Ok(());
    }
    require(!names.is_empty(), at, "tool_choice: may only be specified while providing tools")?;
    match choice["type"].as_str() {
        Some("auto" | "any") => only_known(choice, &["type", "disable_parallel_tool_use"], at, EXTRA),
        Some("none") => only_known(choice, &["type"], at, EXTRA),
        Some("tool") => {
            only_known(choice, &["type", "name", "disable_parallel_tool_use"], at, EXTRA)?;
            let known = choice["name"].as_str().is_some_and(|it| names.contains(&it));
            require(known, at, "tool_choice: Tool not found in provided tools")
        }
        _ => Complaint::of(at, "tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'"),
    }
}

fn thinking(body: &Value) -> Result<(), Complaint> {
    let thinking = &body["thinking"];
    let at = "thinking";
    match thinking["type"].as_str() {
        None => return require(thinking.is_null(), at, "thinking.type: Field required"),
        Some("disabled") => return only_known(thinking, &["type"], at, EXTRA),
        Some("adaptive") => return only_known(thinking, &["type", "display"], at, EXTRA),
        Some("between_tools") => return Ok(()),
        Some("enabled") => only_known(thinking, &["type", "budget_tokens", "display"], at, EXTRA)?,
        Some(_) => {
            return Complaint::of(at, "thinking.type: Input should be 'enabled', 'disabled' or 'adaptive'");
        }
    }
    let Some(budget) = thinking["budget_tokens"].as_u64() else {
        return Complaint::of(at, "thinking.enabled.budget_tokens: Field required");
    };
    require(
        budget >= 1024,
        at,
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
    )?;
    let below = body["max_tokens"].as_u64().is_none_or(|it| budget < it);
    require(below, "max_tokens", "`max_tokens` must be greater than `thinking.budget_tokens`")?;
    let warm = body["temperature"].is_null() || body["temperature"].as_f64() == Some(1.0);
    require(warm, "temperature", "`temperature` may only be set to 1 when thinking is enabled")?;
    require(body["top_k"].is_null(), "top_k", "`top_k` must be unset when thinking is enabled")?;
    let nucleus = body["top_p"].as_f64().is_none_or(|it| it >= 0.95);
    require(nucleus, "top_p", "`top_p` must be at least 0.95 when thinking is enabled")?;
    let free = !matches!(body["tool_choice"]["type"].as_str(), Some("any" | "tool"));
    require(free, "tool_choice", "Thinking may not be enabled when tool_choice forces tool use.")
}

fn output(config: &Value) -> Result<(), Complaint> {
    let at = "output_config";
    require(config.is_null() || config.is_object(), at, "output_config: Input should be an object")?;
    only_known(config, &["effort", "format", "task_budget"], at, EXTRA)?;
    let effort = &config["effort"];
    let known =
        effort.is_null() || ["low", "medium", "high", "xhigh", "max"].map(Value::from).contains(effort);
    require(known, at, "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'")?;
    let format = &config["format"];
    if format.is_null() {
        return Ok(());
    }
    only_known(format, &["type", "schema"], "output_config.format", EXTRA)?;
    require(format["type"] == "json_schema", at, "output_config.format.type: Input should be 'json_schema'")?;
    require(format["schema"].is_object(), at, "output_config.format.schema: Field required")?;
    closed_schema(&format["schema"], "output_config.format.schema", Closed::Only)
}
