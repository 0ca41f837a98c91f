//! What the Gemini API refuses, beyond names it does not know.

use serde_json::Value;

use crate::simulator::{
    ask::Task,
    gemini::{
        form, history,
        read::{get, list},
        write::is_third,
    },
    vendor::{Call, Complaint, require},
};

pub(super) fn judge(body: &Value, call: Call<'_>) -> Result<(), Complaint> {
    let vertex = call.told.vertex;
    let message = match (call.told.task, vertex) {
        (Task::Count, false) => form::COUNT,
        (Task::Count, true) => form::VERTEX_COUNT,
        (_, false) => form::REQUEST,
        (_, true) => form::VERTEX_REQUEST,
    };
    form::judge(body, message, "")?;
    let wrapped = get(body, "generateContentRequest");
    let body = if wrapped.is_null() { body } else { wrapped };
    cached(body)?;
    tools(body, call)?;
    config(body, call.told.model)?;
    for part in list(get(body, "systemInstruction"), "parts") {
        require(
            part["text"].is_string(),
            "system_instruction",
            "system_instruction: only text parts are supported in the system instruction",
        )?;
    }
    history::judge(body, call)
}

/// What is in a cache must not be said again.
fn cached(body: &Value) -> Result<(), Complaint> {
    let doubled = ["systemInstruction", "tools", "toolConfig"].iter().any(|it| !get(body, it).is_null());
    require(
        get(body, "cachedContent").is_null() || !doubled,
        "cached_content",
        "CachedContent can not be used with GenerateContent request setting system_instruction, tools or tool_config. Proposed fix: move those values to CachedContent from GenerateContent request.",
    )
}

fn tools(body: &Value, call: Call<'_>) -> Result<(), Complaint> {
    let mut names: Vec<&str> = Vec::new();
    let mut holders = 0;
    let mut hosted = false;
    for (number, tool) in list(body, "tools").enumerate() {
        let declarations: Vec<&Value> = list(tool, "functionDeclarations").collect();
        holders += usize::from(!declarations.is_empty());
        hosted |= tool.as_object().is_some_and(|it| {
            it.iter().any(|(key, value)| {
                !value.is_null() && key != "functionDeclarations" && key != "function_declarations"
            })
        });
        for (place, it) in declarations.into_iter().enumerate() {
            declaration(it, &format!("tools[{number}].function_declarations[{place}]"), &mut names)?;
        }
    }
    require(
        !call.told.vertex || holders < 2,
        "tools",
        "Multiple tools are supported only when they are all search tools.",
    )?;
    let invoked = get(get(body, "toolConfig"), "includeServerSideToolInvocations") == true;
    if hosted && !names.is_empty() {
        require(
            is_third(call.told.model),
            "tools",
            "Built-in tools and Function Calling cannot be combined in the same request.",
        )?;
        require(
            invoked,
            "tool_config",
            "Please enable tool_config.include_server_side_tool_invocations to use Built-in tools with Function calling.",
        )?;
    }
    choice(get(get(body, "toolConfig"), "functionCallingConfig"), &names)
}

fn declaration<'a>(declaration: &'a Value, at: &str, names: &mut Vec<&'a str>) -> Result<(), Complaint> {
    let name = declaration["name"].as_str().unwrap_or_default();
    let first = name.bytes().next().is_some_and(|it| it.is_ascii_alphabetic() || it == b'_');
    let fits =
        name.len() <= 128 && name.bytes().all(|it| it.is_ascii_alphanumeric() || b"_.:-".contains(&it));
    require(
        first && fits,
        at,
        &format!(
            "{at}.name: Invalid function name. Must start with a letter or an underscore. Must be alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 128."
        ),
    )?;
    require(!names.contains(&name), at, &format!("Duplicate function declaration found: {name}"))?;
    names.push(name);
    let parameters = &declaration["parameters"];
    require(
        parameters.is_null() || get(declaration, "parametersJsonSchema").is_null(),
        at,
        &format!("{at}: parameters and parameters_json_schema cannot both be set"),
    )?;
    let typed = parameters.is_null()
        || parameters["type"].as_str().is_some_and(|it| it.eq_ignore_ascii_case("object"));
    require(typed, at, &format!("{at}.parameters: schema at top-level must be of type OBJECT"))
}

fn choice(calling: &Value, names: &[&str]) -> Result<(), Complaint> {
    let allowed: Vec<&str> = list(calling, "allowedFunctionNames").filter_map(Value::as_str).collect();
    let mode = calling["mode"].as_str().unwrap_or("AUTO");
    require(
        allowed.is_empty() || ["ANY", "VALIDATED"].contains(&mode),
        "tool_config",
        "Allowed function names should only be set when function calling mode is ANY or VALIDATED.",
    )?;
    let unknown = allowed.iter().find(|it| !names.contains(it));
    require(
        unknown.is_none(),
        "tool_config",
        "tool_config.function_calling_config.allowed_function_names: names a function that is not declared",
    )?;
    require(
        mode != "ANY" || !names.is_empty(),
        "tool_config",
        "Function calling config is set without function_declarations.",
    )
}

fn config(body: &Value, model: &str) -> Result<(), Complaint> {
    let config = get(body, "generationConfig");
    let at = "generation_config";
    within(config, "temperature", 0.0, 2.0)?;
    within(config, "topP", 0.0, 1.0)?;
    within(config, "candidateCount", 1.0, 8.0)?;
    within(config, "maxOutputTokens", 1.0, f64::from(i32::MAX))?;
    within(config, "presencePenalty", -2.0, 2.0)?;
    within(config, "frequencyPenalty", -2.0, 2.0)?;
    within(config, "logprobs", 0.0, 20.0)?;
    let stops: Vec<&Value> = list(config, "stopSequences").collect();
    require(
        stops.len() <= 5,
        at,
        "Unable to submit request because it has more than 5 stopSequences but the maximum is 5.",
    )?;
    require(!stops.iter().any(|it| *it == ""), at, "generation_config.stop_sequences: must not be empty")?;
    require(
        get(config, "logprobs").is_null() || get(config, "responseLogprobs") == true,
        at,
        "generation_config.logprobs: only allowed when response_logprobs is true",
    )?;
    thinking(get(config, "thinkingConfig"), model)?;
    format(config, body, model)
}

fn thinking(config: &Value, model: &str) -> Result<(), Complaint> {
    let at = "generation_config.thinking_config";
    let (budget, level) = (get(config, "thinkingBudget"), get(config, "thinkingLevel"));
    require(
        budget.is_null() || level.is_null(),
        at,
        "You can only set only one of thinking budget and thinking level.",
    )?;
    require(
        level.is_null() || is_third(model) || !model.starts_with("gemini-"),
        at,
        "Thinking level is not supported for this model.",
    )?;
    let Some(budget) = budget.as_i64() else { return Ok(()) };
    let (low, high, off) = if model.contains("2.5-pro") {
        (128, 32_768, false)
    } else if model.contains("2.5-flash-lite") {
        (512, 24_576, true)
    } else if model.contains("2.5-flash") {
        (0, 24_576, true)
    } else {
        (0, 128_000, true)
    };
    let fits = budget == -1 || (off && budget == 0) || (low..=high).contains(&budget);
    require(
        fits,
        at,
        &format!("The thinking budget {budget} is invalid. Please choose a value between {low} and {high}."),
    )
}

fn format(config: &Value, body: &Value, model: &str) -> Result<(), Complaint> {
    let at = "generation_config";
    let mime = get(config, "responseMimeType").as_str().unwrap_or("text/plain");
    let (schema, json_schema) = (get(config, "responseSchema"), get(config, "responseJsonSchema"));
    let shaped = !schema.is_null() || !json_schema.is_null();
    require(
        ["text/plain", "application/json", "text/x.enum", "application/xml", "application/yaml"]
            .contains(&mime),
        at,
        &format!(
            "* GenerateContentRequest.generation_config.response_mime_type: allowed mimetypes are `text/plain`, `application/json`, `application/xml`, `application/yaml` and `text/x.enum`, not `{mime}`."
        ),
    )?;
    require(
        schema.is_null() || json_schema.is_null(),
        at,
        "Only one of response_schema and response_json_schema can be set.",
    )?;
    require(
        !shaped || ["application/json", "text/x.enum"].contains(&mime),
        at,
        "Response schema can only be set when response_mime_type is application/json or text/x.enum.",
    )?;
    let calls = list(body, "tools").any(|it| list(it, "functionDeclarations").next().is_some());
    let old = ["gemini-1", "gemini-2"].iter().any(|it| model.starts_with(it));
    require(
        !(calls && old && mime != "text/plain"),
        at,
        &format!("Function calling with a response mime type: '{mime}' is unsupported"),
    )
}

fn within(config: &Value, field: &str, low: f64, high: f64) -> Result<(), Complaint> {
    let fits = get(config, field).as_f64().is_none_or(|it| (low..=high).contains(&it));
    require(
        fits,
        "generation_config",
        &format!(
            "Unable to submit request because {field} is out of the supported range from {low} to {high}."
        ),
    )
}
