//! What a Gemini request asks for.

use serde_json::Value;

use crate::simulator::{
    ask::{Ask, Choice, Task, Told, Tool, tokens},
    scenario::Dialect,
};

/// A field in either casing: `systemInstruction` or `system_instruction`.
pub(super) fn get<'a>(object: &'a Value, name: &str) -> &'a Value {
    match &object[name] {
        Value::Null => &object[snake(name)],
        found => found,
    }
}

/// The name as protobuf writes it.
pub(super) fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

pub(super) fn list<'a>(object: &'a Value, name: &str) -> impl DoubleEndedIterator<Item = &'a Value> {
    get(object, name).as_array().into_iter().flatten()
}

pub(super) fn read(body: &Value, told: Told<'_>) -> Ask {
    // A count may wrap the request it counts.
    let body = if told.task == Task::Count && !get(body, "generateContentRequest").is_null() {
        get(body, "generateContentRequest")
    } else {
        body
    };
    let config = get(body, "generationConfig");
    let contents: Vec<&Value> = list(body, "contents").collect();
    let last_user = contents.iter().rfind(|it| it["role"] != "model" && !text_of(it).is_empty());
    let calling = get(get(body, "toolConfig"), "functionCallingConfig");
    let schema = [get(config, "responseJsonSchema"), get(config, "responseSchema")]
        .into_iter()
        .find(|it| !it.is_null());
    let is_json = get(config, "responseMimeType") == "application/json";
    let thinking = get(config, "thinkingConfig");
    Ask {
        dialect: Dialect::Gemini,
        model: told.model.to_owned(),
        stream: told.stream,
        user_text: last_user.map(|it| text_of(it)).unwrap_or_default(),
        images: contents.iter().map(|it| media(it, "image/")).sum(),
        documents: contents.iter().map(|it| media(it, "application/pdf")).sum(),
        results: contents.last().map(|it| results(it)).unwrap_or_default(),
        rounds: contents
            .iter()
            .filter(|it| list(it, "parts").any(|it| !get(it, "functionCall").is_null()))
            .count(),
        tools: list(body, "tools").flat_map(|it| list(it, "functionDeclarations")).map(tool).collect(),
        choice: choice(calling),
        schema: schema.filter(|_| is_json).map(lowered),
        any_json: is_json && schema.is_none(),
        thinking: get(thinking, "includeThoughts") == true,
        stops: list(config, "stopSequences").filter_map(|it| it.as_str().map(String::from)).collect(),
        max_tokens: number(get(config, "maxOutputTokens")),
        choices: number(get(config, "candidateCount")).unwrap_or(1).clamp(1, 8),
        prompt_tokens: prompt(body, &contents),
        array: told.array,
        vertex: told.vertex,
        ..Ask::default()
    }
}

/// Protobuf writes 64-bit numbers as text too.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn text_of(content: &Value) -> String {
    list(content, "parts")
        .filter(|it| it["thought"] != true)
        .filter_map(|it| it["text"].as_str())
        .collect::<Vec<_>>()
        .join("\n")
}

/// How many media of this type a turn has, those in tool results included.
fn media(content: &Value, kind: &str) -> usize {
    let is_it = |part: &&Value| {
        [get(part, "inlineData"), get(part, "fileData")]
            .iter()
            .any(|it| get(it, "mimeType").as_str().is_some_and(|it| it.starts_with(kind)))
    };
    let inside: usize = list(content, "parts")
        .map(|it| list(get(it, "functionResponse"), "parts").filter(is_it).count())
        .sum();
    list(content, "parts").filter(is_it).count() + inside
}

fn results(content: &Value) -> Vec<String> {
    let said = |response: &Value| {
        let only = ["output", "result", "error", "content"].iter().find_map(|it| response.get(*it));
        match only.unwrap_or(response) {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    };
    list(content, "parts")
        .map(|it| get(it, "functionResponse"))
        .filter(|it| !it.is_null())
        .map(|it| said(&it["response"]))
        .collect()
}

fn tool(declaration: &Value) -> Tool {
    let schema = [get(declaration, "parametersJsonSchema"), get(declaration, "parameters")]
        .into_iter()
        .find(|it| !it.is_null());
    Tool {
        name: declaration["name"].as_str().unwrap_or_default().to_owned(),
        schema: schema.map(lowered).unwrap_or_default(),
        custom: false,
    }
}

/// The schema with its type names as JSON schema writes them, so that an example can be made of it.
fn lowered(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| match value.as_str().filter(|_| key == "type") {
                Some(kind) => (key.clone(), kind.to_lowercase().into()),
                None => (key.clone(), lowered(value)),
            })
            .collect(),
        Value::Array(items) => items.iter().map(lowered).collect(),
        other => other.clone(),
    }
}

fn choice(calling: &Value) -> Choice {
    let mut names = list(calling, "allowedFunctionNames").filter_map(Value::as_str);
    match calling["mode"].as_str().unwrap_or_default() {
        "NONE" => Choice::Never,
        "ANY" => match (names.next(), names.next()) {
            (Some(name), None) => Choice::Named(name.to_owned()),
            _ => Choice::Any,
        },
        _ => Choice::Auto,
    }
}

fn prompt(body: &Value, contents: &[&Value]) -> u64 {
    let tools = if body["tools"].is_null() { 0 } else { body["tools"].to_string().len() };
    let said: usize = contents.iter().map(|it| it["parts"].to_string().len() + 8).sum();
    tokens(text_of(get(body, "systemInstruction")).len() + tools + said)
}
