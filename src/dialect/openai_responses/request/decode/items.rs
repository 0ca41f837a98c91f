//! `input`: items in order. What the assistant did in a row is one turn, whatever else comes is a turn each.

use serde_json::Value;

use super::{super::super::ID, calls, message, reasoning, tools::Toolbox};
use crate::dialect::{
    DecodeError,
    canonical::{Extra, Part, PartKind, Role, ServerStep, Turn},
    fields::wrong,
};

/// An item, read.
pub(super) struct Item {
    pub role: Role,
    pub parts: Vec<Part>,
    /// Whether it was a message whose content was one string.
    pub plain: bool,
    pub extra: Extra,
}

impl Item {
    /// An item of one part.
    pub(super) fn one(role: Role, part: Part) -> Self {
        Self { role, parts: vec![part], plain: false, extra: Extra::default() }
    }
}

/// A turn of one text.
pub(super) fn plain(role: Role, text: String, at: String) -> Turn {
    Turn { role, parts: vec![Part::text(text)], plain: true, name: None, at, extra: Extra::default() }
}

/// Reads items and adds them to `turns`.
pub(super) fn read(
    values: Vec<Value>,
    at: &str,
    toolbox: &Toolbox,
    turns: &mut Vec<Turn>,
) -> Result<(), DecodeError> {
    for (index, value) in values.into_iter().enumerate() {
        let at = format!("{at}/{index}");
        let item = item(value, &at, toolbox, turns)?;
        match turns.last_mut().filter(|it| it.role == Role::Assistant && item.role == Role::Assistant) {
            Some(turn) => {
                turn.plain = false;
                turn.parts.extend(item.parts);
            }
            None => turns.push(Turn {
                role: item.role,
                parts: item.parts,
                plain: item.plain,
                name: None,
                at,
                extra: item.extra,
            }),
        }
    }
    Ok(())
}

fn item(value: Value, at: &str, toolbox: &Toolbox, before: &[Turn]) -> Result<Item, DecodeError> {
    let Value::Object(map) = &value else {
        return Err(wrong(at, "an item (an object)", &value));
    };
    let kind = match map.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        None | Some(Value::Null) if map.contains_key("role") => "message".to_owned(),
        // The type of a reference may be left out.
        None | Some(Value::Null) if map.contains_key("id") => "item_reference".to_owned(),
        None | Some(Value::Null) => {
            return Err(DecodeError::new(
                format!("{at}/type"),
                "an item needs a `type`, such as `message`, or a `role`",
            ));
        }
        Some(other) => return Err(wrong(format!("{at}/type"), "a string", other)),
    };
    match kind.as_str() {
        "message" => message::read(value, at),
        "function_call" | "custom_tool_call" => calls::call(value, at, toolbox),
        "function_call_output" | "custom_tool_call_output" => calls::output(value, at, before),
        "reasoning" => reasoning::read(value, at),
        kind if is_server_tool(kind) => {
            let step = step(kind, &value);
            let kind = PartKind::ServerTool { dialect: ID, raw: value, step };
            Ok(Item::one(Role::Assistant, Part::new(kind)))
        }
        kind => {
            let role = if is_assistants(kind) { Role::Assistant } else { Role::User };
            Ok(Item::one(role, Part::new(PartKind::Opaque { dialect: ID, raw: value })))
        }
    }
}

/// Whether items of this type tell of a tool that the provider ran itself.
fn is_server_tool(kind: &str) -> bool {
    matches!(
        kind,
        "web_search_call"
            | "file_search_call"
            | "code_interpreter_call"
            | "image_generation_call"
            | "mcp_call"
            | "mcp_list_tools"
    )
}

/// Whether items of this type are the model's own words, and not what it was told.
fn is_assistants(kind: &str) -> bool {
    matches!(
        kind,
        "computer_call"
            | "local_shell_call"
            | "shell_call"
            | "apply_patch_call"
            | "mcp_approval_request"
            | "tool_search_call"
            | "program"
    )
}

/// What a tool of the provider did, where other dialects have words for it.
fn step(kind: &str, raw: &Value) -> Option<ServerStep> {
    let text = |pointer: &str| raw.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let id = text("/id").unwrap_or_default();
    match kind {
        "web_search_call" => {
            let listed = raw.pointer("/action/queries").and_then(Value::as_array).into_iter().flatten();
            let mut queries: Vec<String> = listed.filter_map(Value::as_str).map(str::to_owned).collect();
            if queries.is_empty() {
                queries.extend(text("/action/query"));
            }
            Some(ServerStep::WebSearch { id, queries })
        }
        "code_interpreter_call" => {
            let code = text("/code").unwrap_or_default();
            Some(ServerStep::Code { id, language: Some("python".to_owned()), code })
        }
        _ => None,
    }
}
