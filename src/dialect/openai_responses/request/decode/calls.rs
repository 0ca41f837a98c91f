//! Calls of the client's tools among the items, and what came of them.

use serde_json::Value;

use super::{super::super::ID, items::Item, parts, tools::Toolbox};
use crate::dialect::{
    DecodeError,
    canonical::{Arguments, Part, PartKind, Role, ToolCall, ToolResult, Turn},
    fields::{Fields, wrong},
};

/// Reads a `function_call` or `custom_tool_call`. The namespace is in the name, and kept beside it only if no tool says it.
pub(super) fn call(value: Value, at: &str, toolbox: &Toolbox) -> Result<Item, DecodeError> {
    let mut fields = Fields::of(value, at)?;
    let custom = fields.string("type")?.as_deref() == Some("custom_tool_call");
    let id = fields.required_string("call_id")?;
    let name = fields.required_string("name")?;
    let arguments = arguments(&mut fields, if custom { "input" } else { "arguments" })?;
    let namespace = match fields.peek("namespace") {
        None => None,
        Some(Value::String(it)) => Some(it.clone()),
        Some(other) => return Err(wrong(fields.at("namespace"), "a string", other)),
    };
    let name = match &namespace {
        Some(namespace) => {
            if toolbox.knows(namespace, &name) {
                fields.any("namespace");
            }
            toolbox.flat(namespace, &name)
        }
        None => name,
    };
    let call = ToolCall { id, name, arguments, custom };
    let mut part = Part::new(PartKind::ToolCall(call));
    part.extra = fields.rest(ID);
    Ok(Item::one(Role::Assistant, part))
}

/// Takes arguments: a string, or the object itself, which some clients send.
fn arguments(fields: &mut Fields, key: &str) -> Result<Arguments, DecodeError> {
    match fields.any(key) {
        None => Ok(Arguments::default()),
        Some(Value::String(text)) => Ok(Arguments(text)),
        Some(value @ (Value::Object(_) | Value::Array(_))) => Ok(Arguments::of(&value)),
        Some(other) => Err(wrong(fields.at(key), "a string", &other)),
    }
}

/// Reads a `function_call_output` or `custom_tool_call_output`. Which of them it is its call says, if that is here.
pub(super) fn output(value: Value, at: &str, before: &[Turn]) -> Result<Item, DecodeError> {
    let mut fields = Fields::of(value, at)?;
    let call_id = fields.required_string("call_id")?;
    let calls = before.iter().flat_map(|it| &it.parts);
    let is_call = |it: &Part| matches!(&it.kind, PartKind::ToolCall(call) if call.id == call_id);
    let custom = fields.peek("type").is_some_and(|it| it == "custom_tool_call_output");
    if !custom || calls.into_iter().any(is_call) {
        fields.any("type");
    }
    let content = parts::take(&mut fields, "output")?.ok_or_else(|| fields.missing("output"))?;
    let result = ToolResult { call_id, content: content.parts, plain: content.plain, is_error: None };
    let mut part = Part::new(PartKind::ToolResult(result));
    part.extra = fields.rest(ID);
    Ok(Item::one(Role::User, part))
}
