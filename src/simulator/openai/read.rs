//! What a Chat request asks for.

use serde_json::Value;

use crate::simulator::{
    ask::{Ask, Choice, Told, Tool, text_of, tokens},
    scenario::Dialect,
};

pub(super) fn read(body: &Value, _told: Told<'_>) -> Ask {
    let none = Vec::new();
    let messages = body["messages"].as_array().unwrap_or(&none);
    let last_user = messages.iter().rfind(|it| it["role"] == "user");
    let mut results: Vec<String> = messages
        .iter()
        .rev()
        .take_while(|it| it["role"] == "tool")
        .map(|it| text_of(&it["content"]))
        .collect();
    results.reverse();
    let format = &body["response_format"];
    Ask {
        dialect: Dialect::OpenaiChat,
        model: body["model"].as_str().unwrap_or_default().to_owned(),
        stream: body["stream"] == true,
        user_text: last_user.map(|it| text_of(&it["content"])).unwrap_or_default(),
        images: messages.iter().map(|it| parts(it, "image_url")).sum(),
        documents: messages.iter().map(|it| parts(it, "file")).sum(),
        results,
        rounds: messages
            .iter()
            .filter(|it| it["tool_calls"].as_array().is_some_and(|it| !it.is_empty()))
            .count(),
        tools: body["tools"].as_array().into_iter().flatten().map(tool).collect(),
        choice: choice(&body["tool_choice"]),
        single_call: body["parallel_tool_calls"] == false,
        schema: (format["type"] == "json_schema").then(|| format["json_schema"]["schema"].clone()),
        any_json: format["type"] == "json_object",
        thinking: body["reasoning_effort"].as_str().is_some_and(|it| it != "none"),
        stops: stops(&body["stop"]),
        max_tokens: body["max_completion_tokens"].as_u64().or_else(|| body["max_tokens"].as_u64()),
        include_usage: body["stream_options"]["include_usage"] == true,
        choices: body["n"].as_u64().unwrap_or(1).clamp(1, 128),
        cache_marks: false,
        prompt_tokens: tokens(messages.iter().map(|it| text_of(&it["content"]).len() + 8).sum()),
        ..Ask::default()
    }
}

/// How many parts of this type a message has.
fn parts(message: &Value, kind: &str) -> usize {
    message["content"].as_array().map_or(0, |parts| parts.iter().filter(|it| it["type"] == kind).count())
}

fn tool(tool: &Value) -> Tool {
    let custom = tool["type"] == "custom";
    let inner = if custom { &tool["custom"] } else { &tool["function"] };
    Tool {
        name: inner["name"].as_str().unwrap_or_default().to_owned(),
        schema: inner["parameters"].clone(),
        custom,
    }
}

fn choice(choice: &Value) -> Choice {
    match choice {
        Value::String(word) if word == "none" => Choice::Never,
        Value::String(word) if word == "required" => Choice::Any,
        Value::Object(_) => {
            let named = choice["function"]["name"].as_str().or_else(|| choice["custom"]["name"].as_str());
            named.map_or(Choice::Auto, |it| Choice::Named(it.into()))
        }
        _ => Choice::Auto,
    }
}

fn stops(stop: &Value) -> Vec<String> {
    match stop {
        Value::String(one) => vec![one.clone()],
        Value::Array(many) => many.iter().filter_map(|it| it.as_str().map(String::from)).collect(),
        _ => Vec::new(),
    }
}
