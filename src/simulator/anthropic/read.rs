//! What a Messages request asks for.

use serde_json::Value;

use crate::simulator::{
    ask::{Ask, Choice, Told, Tool, text_of, tokens},
    scenario::Dialect,
};

pub(super) fn read(body: &Value, _told: Told<'_>) -> Ask {
    let none = Vec::new();
    let messages = body["messages"].as_array().unwrap_or(&none);
    let last_user = messages
        .iter()
        .rfind(|it| it["role"] == "user" && (it["content"].is_string() || !blocks(it, "text").is_empty()));
    // A system message may follow the results; it does not answer for the user.
    let last = messages.iter().rfind(|it| it["role"] != "system");
    let results = last.map(|it| blocks(it, "tool_result")).unwrap_or_default();
    let format = &body["output_config"]["format"];
    let choice = &body["tool_choice"];
    let text = body.to_string();
    Ask {
        dialect: Dialect::AnthropicMessages,
        model: body["model"].as_str().unwrap_or_default().to_owned(),
        stream: body["stream"] == true,
        user_text: last_user.map(|it| text_of(&it["content"])).unwrap_or_default(),
        images: messages.iter().map(|it| everywhere(it, "image")).sum(),
        documents: messages.iter().map(|it| everywhere(it, "document")).sum(),
        results: results.iter().map(|it| text_of(&it["content"])).collect(),
        rounds: messages.iter().filter(|it| !blocks(it, "tool_use").is_empty()).count(),
        tools: body["tools"].as_array().into_iter().flatten().map(tool).collect(),
        choice: match choice["type"].as_str() {
            Some("none") => Choice::Never,
            Some("any") => Choice::Any,
            Some("tool") => Choice::Named(choice["name"].as_str().unwrap_or_default().to_owned()),
            _ => Choice::Auto,
        },
        single_call: choice["disable_parallel_tool_use"] == true,
        schema: (format["type"] == "json_schema").then(|| format["schema"].clone()),
        any_json: false,
        thinking: matches!(body["thinking"]["type"].as_str(), Some("enabled" | "adaptive" | "between_tools")),
        stops: body["stop_sequences"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|it| it.as_str().map(String::from))
            .collect(),
        max_tokens: body["max_tokens"].as_u64(),
        include_usage: true,
        choices: 1,
        cache_marks: text.contains(r#""cache_control":{"#),
        prompt_tokens: prompt(body, messages),
        ..Ask::default()
    }
}

/// Everything that is prompt: system, tools and turns.
fn prompt(body: &Value, messages: &[Value]) -> u64 {
    let tools = if body["tools"].is_null() { 0 } else { body["tools"].to_string().len() };
    let turns: usize = messages.iter().map(|it| it["content"].to_string().len() + 8).sum();
    tokens(text_of(&body["system"]).len() + tools + turns)
}

/// The blocks of this type in a message.
pub(super) fn blocks<'a>(message: &'a Value, kind: &str) -> Vec<&'a Value> {
    message["content"].as_array().into_iter().flatten().filter(|it| it["type"] == kind).collect()
}

/// How many blocks of this type a message has, those in tool results included.
fn everywhere(message: &Value, kind: &str) -> usize {
    let inside: usize = blocks(message, "tool_result").iter().map(|it| blocks(it, kind).len()).sum();
    blocks(message, kind).len() + inside
}

fn tool(tool: &Value) -> Tool {
    Tool {
        name: tool["name"].as_str().unwrap_or_default().to_owned(),
        schema: tool["input_schema"].clone(),
        custom: false,
    }
}
