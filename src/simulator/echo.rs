//! What is said when no scenario says otherwise: a short, polite answer that follows from the request.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::simulator::{
    ask::{Ask, Choice, Tool},
    example,
    scenario::{AnswerReply, ToolReply},
};

/// Answers from the request alone.
pub(super) fn answer(ask: &Ask) -> AnswerReply {
    let length = ask.user_text.chars().count();
    let reasoning = Some(format!("The user wrote {length} characters. A short answer will do."));
    let tools = calls(ask);
    let text = if tools.is_empty() { text(ask, length) } else { String::new() };
    AnswerReply { reasoning, text, tools, ..AnswerReply::default() }
}

fn text(ask: &Ask, length: usize) -> String {
    if let Some(schema) = &ask.schema {
        return example::of(schema).to_string();
    }
    if ask.any_json {
        return json!({"length": length}).to_string();
    }
    let mut said = match ask.results.as_slice() {
        [] => format!("You wrote {length} characters."),
        [result] => format!("The tool said: {}", shorten(result)),
        results => {
            format!(
                "The tools said: {}",
                results.iter().map(|it| shorten(it)).collect::<Vec<_>>().join(" | ")
            )
        }
    };
    match ask.images {
        0 => {}
        1 => said.push_str(" I saw 1 image."),
        count => {
            let _ = write!(said, " I saw {count} images.");
        }
    }
    match ask.documents {
        0 => {}
        1 => said.push_str(" I read 1 document."),
        count => {
            let _ = write!(said, " I read {count} documents.");
        }
    }
    said
}

fn shorten(text: &str) -> String {
    text.chars().take(200).collect()
}

/// The tools to call: the ones the user names, else one if one must be called.
fn calls(ask: &Ask) -> Vec<ToolReply> {
    if ask.choice == Choice::Never || !ask.results.is_empty() {
        return Vec::new();
    }
    let mut calls = named_by_user(&ask.user_text, &ask.tools);
    match &ask.choice {
        Choice::Named(name) => {
            calls.retain(|it| it.name == *name);
            if calls.is_empty() {
                calls.extend(ask.tools.iter().find(|it| it.name == *name).map(call_of_example));
            }
        }
        Choice::Any if calls.is_empty() => calls.extend(ask.tools.first().map(call_of_example)),
        Choice::Any | Choice::Auto | Choice::Never => {}
    }
    if ask.single_call {
        calls.truncate(1);
    }
    calls
}

/// Every `call <tool>`, with the JSON object that follows it, if one does.
fn named_by_user(text: &str, tools: &[Tool]) -> Vec<ToolReply> {
    let mut calls = Vec::new();
    for (at, word) in text.match_indices("call ") {
        let rest = text[at + word.len()..].trim_start();
        let end = rest.find(|it: char| !(it.is_alphanumeric() || "_-.".contains(it))).unwrap_or(rest.len());
        let name = rest[..end].trim_end_matches('.');
        if let Some(tool) = tools.iter().find(|it| it.name == name) {
            let after = &rest[end..];
            calls.push(if tool.custom { custom(name, line(after)) } else { call(name, object_at(after)) });
        }
    }
    calls
}

fn object_at(text: &str) -> Value {
    let first = serde_json::Deserializer::from_str(text).into_iter::<Value>().next();
    match first {
        Some(Ok(object @ Value::Object(_))) => object,
        _ => json!({}),
    }
}

/// The rest of the line, or one word if there is none.
fn line(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() { "text" } else { line }
}

fn call_of_example(tool: &Tool) -> ToolReply {
    if tool.custom {
        return custom(&tool.name, "text");
    }
    let example = example::of(&tool.schema);
    call(&tool.name, if example.is_object() { example } else { json!({}) })
}

fn call(name: &str, arguments: Value) -> ToolReply {
    ToolReply { name: name.to_owned(), arguments, arguments_text: None, custom_input: None, id: None }
}

fn custom(name: &str, input: &str) -> ToolReply {
    ToolReply { custom_input: Some(input.to_owned()), ..call(name, Value::Null) }
}
