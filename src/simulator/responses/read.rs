//! What a Responses request asks for.

use serde_json::{Map, Value, json};

use crate::simulator::{
    ask::{Ask, Choice, Told, Tool, tokens},
    scenario::Dialect,
};

pub(super) fn read(body: &Value, _told: Told<'_>) -> Ask {
    let items = items(&body["input"]);
    let last_user = items.iter().rfind(|it| it["role"] == "user");
    let mut results: Vec<String> =
        items.iter().rev().take_while(|it| is_output(it)).map(|it| text_of(&it["output"])).collect();
    results.reverse();
    let format = &body["text"]["format"];
    let model = body["model"].as_str().unwrap_or_default();
    let effort = &body["reasoning"]["effort"];
    let include = |name: &str| body["include"].as_array().is_some_and(|it| it.iter().any(|it| it == name));
    let mut tools = Vec::new();
    gather(&body["tools"], "", &mut tools);
    for item in items.iter().filter(|it| it["type"] == "additional_tools") {
        gather(&item["tools"], "", &mut tools);
    }
    Ask {
        dialect: Dialect::OpenaiResponses,
        model: model.to_owned(),
        stream: body["stream"] == true,
        user_text: last_user.map(|it| text_of(&it["content"])).unwrap_or_default(),
        images: items.iter().map(|it| parts(it, "input_image")).sum(),
        documents: items.iter().map(|it| parts(it, "input_file")).sum(),
        results,
        rounds: rounds(&items),
        tools,
        choice: choice(&body["tool_choice"]),
        single_call: body["parallel_tool_calls"] == false,
        schema: (format["type"] == "json_schema").then(|| format["schema"].clone()),
        any_json: format["type"] == "json_object",
        thinking: effort.as_str().map_or_else(
            || !body["reasoning"]["summary"].is_null() || is_reasoning(model),
            |it| it != "none",
        ),
        stops: Vec::new(),
        max_tokens: body["max_output_tokens"].as_u64(),
        prompt_tokens: prompt(body, &items),
        summary: !body["reasoning"]["summary"].is_null() || !body["reasoning"]["generate_summary"].is_null(),
        encrypted: include("reasoning.encrypted_content"),
        obfuscated: body["stream_options"]["include_obfuscation"] != false,
        echo: echo(body),
        ..Ask::default()
    }
}

/// Whether a model of this name always reasons.
pub(super) fn is_reasoning(model: &str) -> bool {
    ["gpt-5", "o1", "o3", "o4"].iter().any(|it| model.starts_with(it)) || model.contains("thinking")
}

/// The input as items: a plain text is a user's message.
pub(in crate::simulator) fn items(input: &Value) -> Vec<Value> {
    match input {
        Value::String(text) => vec![json!({"role": "user", "content": text})],
        Value::Array(items) => items.clone(),
        _ => Vec::new(),
    }
}

pub(super) fn is_output(item: &Value) -> bool {
    matches!(item["type"].as_str(), Some("function_call_output" | "custom_tool_call_output"))
}

pub(super) fn is_call(item: &Value) -> bool {
    matches!(item["type"].as_str(), Some("function_call" | "custom_tool_call"))
}

/// Runs of calls, however many there are in one.
fn rounds(items: &[Value]) -> usize {
    let starts = |number: &usize| is_call(&items[*number]) && (*number == 0 || !is_call(&items[*number - 1]));
    (0..items.len()).filter(starts).count()
}

fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|it| it["text"].as_str()).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

/// How many parts of this type an item has.
fn parts(item: &Value, kind: &str) -> usize {
    let count =
        |parts: &Value| parts.as_array().map_or(0, |it| it.iter().filter(|it| it["type"] == kind).count());
    count(&item["content"]) + count(&item["output"])
}

/// Tools by the names they are called by; those of a namespace keep it aside, with a dot for the scenario.
fn gather(tools: &Value, space: &str, into: &mut Vec<Tool>) {
    for tool in tools.as_array().into_iter().flatten() {
        let name = tool["name"].as_str().unwrap_or_default();
        match tool["type"].as_str() {
            Some("namespace") => gather(&tool["tools"], &format!("{name}."), into),
            Some(kind @ ("function" | "custom")) => into.push(Tool {
                name: format!("{space}{name}"),
                schema: tool["parameters"].clone(),
                custom: kind == "custom",
            }),
            _ => {}
        }
    }
}

fn choice(choice: &Value) -> Choice {
    match choice {
        Value::String(word) if word == "none" => Choice::Never,
        Value::String(word) if word == "required" => Choice::Any,
        Value::Object(_) if choice["type"] == "allowed_tools" => {
            if choice["mode"] == "required" {
                Choice::Any
            } else {
                Choice::Auto
            }
        }
        Value::Object(_) => choice["name"].as_str().map_or(Choice::Auto, |it| Choice::Named(it.into())),
        _ => Choice::Auto,
    }
}

fn prompt(body: &Value, items: &[Value]) -> u64 {
    let tools = if body["tools"].is_null() { 0 } else { body["tools"].to_string().len() };
    let said: usize = items
        .iter()
        .map(|it| {
            text_of(&it["content"]).len()
                + text_of(&it["output"]).len()
                + it["arguments"].as_str().map_or(0, str::len)
                + 8
        })
        .sum();
    tokens(body["instructions"].as_str().map_or(0, str::len) + tools + said)
}

/// The request's fields an answer repeats, with the service's defaults.
fn echo(body: &Value) -> Value {
    let or = |field: &str, default: Value| match &body[field] {
        Value::Null => default,
        given => given.clone(),
    };
    let reasons = is_reasoning(body["model"].as_str().unwrap_or_default());
    let mut echo = Map::new();
    let mut put = |name: &str, value: Value| echo.insert(name.to_owned(), value);
    put("background", or("background", json!(false)));
    put("instructions", body["instructions"].clone());
    put("max_output_tokens", body["max_output_tokens"].clone());
    put("max_tool_calls", body["max_tool_calls"].clone());
    put("metadata", or("metadata", json!({})));
    put("parallel_tool_calls", or("parallel_tool_calls", json!(true)));
    put("previous_response_id", body["previous_response_id"].clone());
    put("prompt_cache_key", body["prompt_cache_key"].clone());
    let effort = body["reasoning"]["effort"].clone();
    let effort = if effort.is_null() && reasons { json!("medium") } else { effort };
    put("reasoning", json!({"effort": effort, "summary": body["reasoning"]["summary"]}));
    put("safety_identifier", body["safety_identifier"].clone());
    put("service_tier", json!("default"));
    put("store", or("store", json!(true)));
    put("temperature", or("temperature", json!(1.0)));
    let mut text = or("text", json!({}));
    if text["format"].is_null() {
        text["format"] = json!({"type": "text"});
    }
    if text["verbosity"].is_null() {
        text["verbosity"] = json!("medium");
    }
    put("text", text);
    put("tool_choice", or("tool_choice", json!("auto")));
    put("tools", or("tools", json!([])));
    put("top_logprobs", or("top_logprobs", json!(0)));
    put("top_p", or("top_p", json!(1.0)));
    put("truncation", or("truncation", json!("disabled")));
    put("user", body["user"].clone());
    Value::Object(echo)
}
