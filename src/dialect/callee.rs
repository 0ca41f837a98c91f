//! Whom a call of an upstream means, by what its request did to the client's tools.

use serde_json::Value;

use super::Recall;

/// Whom a call of an upstream means, by what its request did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Callee {
    Function(String),
    /// A custom tool told as a function.
    Custom(String),
    /// Nobody: the arguments are the answer.
    Answer,
}

/// Finds whom `name` means. A name that nobody was told is passed on.
pub(super) fn callee(recall: &Recall, name: &str) -> Callee {
    if recall.json_tool.as_deref() == Some(name) {
        return Callee::Answer;
    }
    let known = recall.names.get(name).map_or(name, String::as_str).to_owned();
    if recall.custom_tools.contains(name) { Callee::Custom(known) } else { Callee::Function(known) }
}

/// Takes a custom tool's input out of the arguments it was wrapped in; what is not wrapped is the input.
pub(super) fn custom_input(arguments: String) -> String {
    match serde_json::from_str::<Value>(&arguments) {
        Ok(Value::Object(mut map)) => match map.remove("input") {
            Some(Value::String(input)) => input,
            _ => arguments,
        },
        _ => arguments,
    }
}
