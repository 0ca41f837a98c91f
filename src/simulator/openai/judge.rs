//! What the Chat API refuses. Field lists: the official SDK's parameter types (openai-python 3.52, `completion_create_params`).

use serde_json::Value;

use crate::simulator::vendor::{
    Call, Closed, Complaint, base64, closed_schema, integer, is_name, only_known, require, within,
};

const FIELDS: &[&str] = &[
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "modalities",
    "model",
    "moderation",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
];

/// `reasoning_content` and its like are no fields of OpenAI's, but we issue them, so they may come back.
const MESSAGE_FIELDS: &[&str] = &[
    "role",
    "content",
    "name",
    "tool_calls",
    "tool_call_id",
    "refusal",
    "audio",
    "function_call",
    "annotations",
    "reasoning_content",
    "reasoning",
    "reasoning_details",
];

const EFFORTS: &[&str] = &["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// Longest id of a tool call.
const LONGEST_ID: usize = 40;

pub(super) fn judge(body: &Value, _call: Call<'_>) -> Result<(), Complaint> {
    require(body.is_object(), "", "the body must be a JSON object")?;
    only_known(body, FIELDS, "", "unrecognized request argument supplied")?;
    require(
        body["model"].as_str().is_some_and(|it| !it.is_empty()),
        "model",
        "you must provide a model parameter",
    )?;
    numbers(body)?;
    switches(body)?;
    stops(&body["stop"])?;
    tools(body)?;
    format(&body["response_format"])?;
    search(body)?;
    messages(&body["messages"])
}

/// Only the models that search know the field; of OpenAI's own their name says so.
fn search(body: &Value) -> Result<(), Complaint> {
    let at = "web_search_options";
    let options = &body[at];
    if options.is_null() {
        return Ok(());
    }
    let model = body["model"].as_str().unwrap_or_default();
    let is_openais = ["gpt-3", "gpt-4", "gpt-5", "o1", "o3", "o4"].iter().any(|it| model.starts_with(it));
    require(!is_openais || model.contains("search"), at, "unknown parameter: 'web_search_options'")?;
    require(options.is_object(), at, &format!("{at}: expected an object"))?;
    only_known(options, &["search_context_size", "user_location"], at, "unknown parameter")?;
    let size = &options["search_context_size"];
    let known = size.is_null() || ["low", "medium", "high"].map(Value::from).contains(size);
    require(known, at, &format!("{at}.search_context_size: unsupported value"))?;
    let location = &options["user_location"];
    if location.is_null() {
        return Ok(());
    }
    let at = &format!("{at}.user_location");
    only_known(location, &["type", "approximate"], at, "unknown parameter")?;
    require(location["type"] == "approximate", at, &format!("{at}.type: expected `approximate`"))?;
    let place = &location["approximate"];
    require(place.is_object(), at, &format!("{at}.approximate: required"))?;
    only_known(place, &["city", "country", "region", "timezone"], at, "unknown parameter")?;
    let texts = place.as_object().is_some_and(|it| it.values().all(|it| it.is_string() || it.is_null()));
    require(texts, at, &format!("{at}.approximate: expected strings"))
}

fn numbers(body: &Value) -> Result<(), Complaint> {
    within(body, "temperature", 0.0, 2.0)?;
    within(body, "top_p", 0.0, 1.0)?;
    within(body, "presence_penalty", -2.0, 2.0)?;
    within(body, "frequency_penalty", -2.0, 2.0)?;
    within(body, "top_logprobs", 0.0, 20.0)?;
    integer(body, "n", 1)?;
    integer(body, "seed", i64::MIN)?;
    integer(body, "max_tokens", 1)?;
    integer(body, "max_completion_tokens", 1)?;
    require(
        body["max_tokens"].is_null() || body["max_completion_tokens"].is_null(),
        "max_tokens",
        "setting `max_tokens` and `max_completion_tokens` at the same time is not supported",
    )
}

fn switches(body: &Value) -> Result<(), Complaint> {
    for field in ["stream", "logprobs", "parallel_tool_calls", "store"] {
        let fits = body[field].is_null() || body[field].is_boolean();
        require(fits, field, &format!("{field}: expected a boolean"))?;
    }
    for field in ["user", "service_tier", "prompt_cache_key", "safety_identifier", "verbosity"] {
        let fits = body[field].is_null() || body[field].is_string();
        require(fits, field, &format!("{field}: expected a string"))?;
    }
    let effort = &body["reasoning_effort"];
    let known = effort.is_null() || effort.as_str().is_some_and(|it| EFFORTS.contains(&it));
    require(known, "reasoning_effort", "reasoning_effort: unsupported value")?;
    require(
        body["top_logprobs"].is_null() || body["logprobs"] == true,
        "top_logprobs",
        "top_logprobs: only allowed with `logprobs`",
    )?;
    let options = &body["stream_options"];
    require(
        options.is_null() || body["stream"] == true,
        "stream_options",
        "stream_options: only allowed when `stream` is enabled",
    )?;
    only_known(options, &["include_usage", "include_obfuscation"], "stream_options", "unknown parameter")?;
    let metadata = &body["metadata"];
    let plain = metadata.as_object().is_none_or(|it| it.len() <= 16 && it.values().all(Value::is_string));
    require(
        plain && (metadata.is_null() || metadata.is_object()),
        "metadata",
        "metadata: expected at most 16 strings",
    )
}

fn stops(stop: &Value) -> Result<(), Complaint> {
    let fits = match stop {
        Value::Null | Value::String(_) => true,
        Value::Array(many) => (1..=4).contains(&many.len()) && many.iter().all(Value::is_string),
        _ => false,
    };
    require(fits, "stop", "stop: expected a string or one to four strings")
}

fn tools(body: &Value) -> Result<(), Complaint> {
    if body["tools"].is_null() {
        require(
            body["tool_choice"].is_null(),
            "tool_choice",
            "tool_choice: only allowed when `tools` are specified",
        )?;
        return require(
            body["parallel_tool_calls"].is_null(),
            "parallel_tool_calls",
            "parallel_tool_calls: only allowed when `tools` are specified",
        );
    }
    let Some(tools) = body["tools"].as_array().filter(|it| !it.is_empty()) else {
        return Complaint::of("tools", "tools: expected a list of at least one tool");
    };
    for (number, it) in tools.iter().enumerate() {
        tool(it, &format!("tools[{number}]"))?;
    }
    choice(&body["tool_choice"], tools)
}

fn tool(tool: &Value, at: &str) -> Result<(), Complaint> {
    match tool["type"].as_str() {
        Some("custom") => {
            let named = tool["custom"]["name"].as_str().is_some_and(|it| is_name(it, 64));
            return require(named, at, &format!("{at}.custom.name: invalid"));
        }
        Some("function") => {}
        _ => return Complaint::of(at, format!("{at}.type: expected `function` or `custom`")),
    }
    only_known(tool, &["type", "function"], at, "unknown parameter")?;
    let function = &tool["function"];
    let at = &format!("{at}.function");
    only_known(function, &["name", "description", "parameters", "strict"], at, "unknown parameter")?;
    let named = function["name"].as_str().is_some_and(|it| is_name(it, 64));
    require(named, at, &format!("{at}.name: expected `^[a-zA-Z0-9_-]{{1,64}}$`"))?;
    let described = function["description"].is_null() || function["description"].is_string();
    require(described, at, &format!("{at}.description: expected a string"))?;
    let parameters = &function["parameters"];
    require(
        parameters.is_null() || parameters.is_object(),
        at,
        &format!("{at}.parameters: expected an object"),
    )?;
    let typed = parameters.is_null()
        || parameters["type"] == "object"
        || parameters.as_object().is_some_and(serde_json::Map::is_empty);
    require(typed, at, &format!("{at}.parameters: schema must be of type object"))?;
    if function["strict"] == true {
        closed_schema(parameters, at, Closed::WithAllRequired)?;
    }
    Ok(())
}

fn choice(choice: &Value, tools: &[Value]) -> Result<(), Complaint> {
    let at = "tool_choice";
    match choice {
        Value::Null => Ok(()),
        Value::String(word) => require(
            ["none", "auto", "required"].contains(&word.as_str()),
            at,
            "tool_choice: unsupported value",
        ),
        Value::Object(_) if choice["type"] == "function" => {
            let name = &choice["function"]["name"];
            let known = tools.iter().any(|it| name.is_string() && it["function"]["name"] == *name);
            require(known, at, "tool_choice: names no tool of `tools`")
        }
        Value::Object(_) => {
            let known = ["custom", "allowed_tools"].map(Value::from).contains(&choice["type"]);
            require(known, at, "tool_choice.type: unsupported value")
        }
        _ => Complaint::of(at, "tool_choice: expected a string or an object"),
    }
}

fn format(format: &Value) -> Result<(), Complaint> {
    if format.is_null() {
        return Ok(());
    }
    match format["type"].as_str() {
        Some("text" | "json_object") => only_known(format, &["type"], "response_format", "unknown parameter"),
        Some("json_schema") => {
            let inner = &format["json_schema"];
            let at = "response_format.json_schema";
            only_known(inner, &["name", "schema", "strict", "description"], at, "unknown parameter")?;
            let named = inner["name"].as_str().is_some_and(|it| is_name(it, 64));
            require(named, at, "response_format.json_schema.name: required, `^[a-zA-Z0-9_-]{1,64}$`")?;
            if inner["strict"] == true {
                closed_schema(&inner["schema"], at, Closed::WithAllRequired)?;
            }
            Ok(())
        }
        _ => Complaint::of("response_format", "response_format.type: unsupported value"),
    }
}

fn messages(messages: &Value) -> Result<(), Complaint> {
    let Some(messages) = messages.as_array().filter(|it| !it.is_empty()) else {
        return Complaint::of("messages", "messages: expected a list of at least one message");
    };
    let mut waiting: Vec<&str> = Vec::new();
    let mut answering = false;
    for (number, it) in messages.iter().enumerate() {
        let at = &format!("messages[{number}]");
        message(it, at)?;
        if it["role"] == "tool" {
            let id = it["tool_call_id"].as_str().unwrap_or_default();
            require(
                answering,
                at,
                &format!("{at}: a `tool` message must follow a message with `tool_calls`"),
            )?;
            let place = waiting.iter().position(|it| *it == id);
            let Some(place) = place else {
                return Complaint::of(at, format!("{at}.tool_call_id: no preceding tool call has this id"));
            };
            waiting.remove(place);
            continue;
        }
        unanswered(&waiting, at)?;
        waiting =
            it["tool_calls"].as_array().into_iter().flatten().filter_map(|it| it["id"].as_str()).collect();
        answering = !waiting.is_empty();
    }
    unanswered(&waiting, "messages")
}

fn unanswered(waiting: &[&str], at: &str) -> Result<(), Complaint> {
    require(
        waiting.is_empty(),
        at,
        &format!(
            "{at}: an assistant message with `tool_calls` must be followed by a tool message for each call"
        ),
    )
}

fn message(message: &Value, at: &str) -> Result<(), Complaint> {
    require(message.is_object(), at, &format!("{at}: expected an object"))?;
    only_known(message, MESSAGE_FIELDS, at, "unknown parameter")?;
    let content = &message["content"];
    match message["role"].as_str() {
        Some("system" | "developer") => parts(content, at, &["text"]),
        Some("user") => parts(content, at, &["text", "image_url", "input_audio", "file"]),
        Some("tool") => {
            require(message["tool_call_id"].is_string(), at, &format!("{at}.tool_call_id: required"))?;
            parts(content, at, &["text"])
        }
        Some("assistant") => {
            let calls = &message["tool_calls"];
            if !calls.is_null() {
                tool_calls(calls, at)?;
            }
            let excused =
                ["tool_calls", "refusal", "audio", "function_call"].iter().any(|it| !message[*it].is_null());
            if content.is_null() && excused {
                return Ok(());
            }
            parts(content, at, &["text", "refusal"])
        }
        _ => Complaint::of(at, format!("{at}.role: unsupported value")),
    }
}

fn tool_calls(calls: &Value, at: &str) -> Result<(), Complaint> {
    let Some(calls) = calls.as_array().filter(|it| !it.is_empty()) else {
        return Complaint::of(at, format!("{at}.tool_calls: expected a list of at least one call"));
    };
    let mut seen: Vec<&str> = Vec::new();
    for call in calls {
        let id = call["id"].as_str().unwrap_or_default();
        require(!id.is_empty(), at, &format!("{at}.tool_calls: `id` is required"))?;
        require(id.len() <= LONGEST_ID, at, &format!("{at}.tool_calls: `id` is longer than {LONGEST_ID}"))?;
        require(!seen.contains(&id), at, &format!("{at}.tool_calls: duplicate `id`"))?;
        seen.push(id);
        match call["type"].as_str() {
            Some("function") => {
                let named = call["function"]["name"].as_str().is_some_and(|it| is_name(it, 64));
                require(named, at, &format!("{at}.tool_calls: `function.name` is invalid"))?;
                let text = call["function"]["arguments"].is_string();
                require(text, at, &format!("{at}.tool_calls: `function.arguments` must be a string"))?;
            }
            Some("custom") => {}
            _ => return Complaint::of(at, format!("{at}.tool_calls: `type` is required")),
        }
    }
    Ok(())
}

fn parts(content: &Value, at: &str, allowed: &[&str]) -> Result<(), Complaint> {
    let at = &format!("{at}.content");
    match content {
        Value::String(_) => Ok(()),
        Value::Array(parts) if !parts.is_empty() => parts.iter().try_for_each(|it| part(it, at, allowed)),
        _ => Complaint::of(at.clone(), format!("{at}: expected a string or a list of parts")),
    }
}

fn part(part: &Value, at: &str, allowed: &[&str]) -> Result<(), Complaint> {
    let kind = part["type"].as_str().unwrap_or_default();
    require(allowed.contains(&kind), at, &format!("{at}: part type `{kind}` is not allowed here"))?;
    match kind {
        "text" => {
            only_known(part, &["type", "text", "prompt_cache_breakpoint"], at, "unknown parameter")?;
            require(part["text"].is_string(), at, &format!("{at}.text: expected a string"))
        }
        "image_url" => image(&part["image_url"], at),
        _ => Ok(()),
    }
}

fn image(image: &Value, at: &str) -> Result<(), Complaint> {
    only_known(image, &["url", "detail"], at, "unknown parameter")?;
    let detail = &image["detail"];
    let known = detail.is_null() || ["auto", "low", "high", "original"].map(Value::from).contains(detail);
    require(known, at, &format!("{at}.image_url.detail: unsupported value"))?;
    let url = image["url"].as_str().unwrap_or_default();
    let fits = match url.strip_prefix("data:") {
        Some(data) => data.split_once(";base64,").is_some_and(|(kind, data)| {
            kind.starts_with("image/") && base64(data).is_some_and(|it| !it.is_empty())
        }),
        None => url.starts_with("http://") || url.starts_with("https://"),
    };
    require(fits, at, &format!("{at}.image_url.url: expected a valid URL or base64-encoded image"))
}
