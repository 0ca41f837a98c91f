//! Reads `messages`, or the `input` of Responses that some clients send in their place.

use serde_json::{Value, json};

use crate::dialect::{
    DecodeError,
    canonical::{Arguments, Extra, Part, PartKind, Role, ToolCall, ToolResult, Turn},
    fields::{Fields, wrong},
    openai_chat::{CHAT, content, extra},
};

/// Takes the turns out of a request.
pub(in crate::dialect::openai_chat) fn take(fields: &mut Fields) -> Result<Vec<Turn>, DecodeError> {
    let key = if fields.has("messages") || !fields.has("input") { "messages" } else { "input" };
    let at = fields.at(key);
    let values = match fields.any(key) {
        Some(Value::Array(values)) => values,
        Some(Value::String(text)) if key == "input" => vec![json!({ "role": "user", "content": text })],
        Some(other) => return Err(wrong(at, "an array", &other)),
        None => return Err(fields.missing(key)),
    };
    if values.is_empty() {
        return Err(DecodeError::new(at, format!("`{key}` must hold at least one message")));
    }
    let mut reader = Reader::default();
    let mut turns = Vec::with_capacity(values.len());
    for (index, value) in values.into_iter().enumerate() {
        turns.push(reader.message(value, format!("{at}/{index}"))?);
    }
    Ok(turns)
}

/// Reads messages in order.
#[derive(Default)]
struct Reader {
    /// The id given to the last legacy call, and how many there were: the legacy form has no ids.
    legacy_call: Option<String>,
    legacy_calls: usize,
}

impl Reader {
    fn message(&mut self, value: Value, at: String) -> Result<Turn, DecodeError> {
        let mut fields = Fields::of(value, at)?;
        if !fields.has("role") {
            match fields.peek("type").and_then(Value::as_str) {
                Some("function_call" | "custom_tool_call") => return item_call(fields),
                Some("function_call_output" | "custom_tool_call_output") => return item_result(fields),
                _ => {}
            }
        }
        let role = fields.required_string("role")?;
        if fields.peek("type").and_then(Value::as_str) == Some("message") {
            fields.any("type");
        }
        match role.as_str() {
            "system" => spoken(fields, Role::System),
            "developer" => spoken(fields, Role::Developer),
            "user" => spoken(fields, Role::User),
            "assistant" => self.assistant(fields),
            "tool" => tool(fields),
            "function" => self.function(fields),
            other => Err(DecodeError::new(
                fields.at("role"),
                format!(
                    "`role` must be `system`, `developer`, `user`, `assistant`, `tool` or `function`, not `{other}`"
                ),
            )),
        }
    }

    fn assistant(&mut self, mut fields: Fields) -> Result<Turn, DecodeError> {
        let mut parts = Vec::new();
        if let Some(text) = reasoning(&mut fields)? {
            parts.push(Part::new(PartKind::Reasoning { text, state: None }));
        }
        let content = content::decode::take(&mut fields, "content")?.unwrap_or_default();
        parts.extend(content.parts);
        if let Some(text) = fields.string("refusal")? {
            parts.push(Part::new(PartKind::Refusal { text }));
        }
        let at = fields.at("tool_calls");
        for (index, call) in fields.array("tool_calls")?.unwrap_or_default().into_iter().enumerate() {
            parts.push(tool_call(call, format!("{at}/{index}"))?);
        }
        if let Some(call) = fields.object("function_call")? {
            parts.push(self.legacy(call)?);
        }
        turn(fields, Role::Assistant, parts, content.plain)
    }

    fn legacy(&mut self, mut call: Fields) -> Result<Part, DecodeError> {
        self.legacy_calls += 1;
        let id = format!("call_function_{}", self.legacy_calls);
        self.legacy_call = Some(id.clone());
        let (name, arguments) = (call.required_string("name")?, arguments(&mut call, "arguments")?);
        Ok(Part::new(PartKind::ToolCall(ToolCall { id, name, arguments, custom: false })))
    }

    /// The result of a legacy call: of the last one.
    fn function(&mut self, mut fields: Fields) -> Result<Turn, DecodeError> {
        let content = content::decode::take(&mut fields, "content")?.unwrap_or_default();
        let name = fields.string("name")?.unwrap_or_default();
        let call_id = self.legacy_call.take().unwrap_or(name);
        result_turn(fields, call_id, content)
    }
}

/// Takes what the model thought: `reasoning_content` (`DeepSeek` and most clones) or `reasoning` (`OpenRouter`).
fn reasoning(fields: &mut Fields) -> Result<Option<String>, DecodeError> {
    let text = fields.string("reasoning_content")?;
    match fields.peek("reasoning") {
        Some(Value::String(other)) if text.as_ref().is_none_or(|it| it == other) => {
            fields.string("reasoning")
        }
        _ => Ok(text),
    }
    .map(|it| it.filter(|it| !it.is_empty()))
}

fn spoken(mut fields: Fields, role: Role) -> Result<Turn, DecodeError> {
    let content = content::decode::take(&mut fields, "content")?.ok_or_else(|| fields.missing("content"))?;
    turn(fields, role, content.parts, content.plain)
}

fn turn(mut fields: Fields, role: Role, parts: Vec<Part>, plain: bool) -> Result<Turn, DecodeError> {
    let name = fields.string("name")?;
    let at = fields.here().to_owned();
    Ok(Turn { role, parts, plain, name, at, extra: fields.rest(CHAT) })
}

fn tool(mut fields: Fields) -> Result<Turn, DecodeError> {
    let content = content::decode::take(&mut fields, "content")?.unwrap_or_default();
    let call_id = fields.required_string("tool_call_id")?;
    result_turn(fields, call_id, content)
}

fn result_turn(
    fields: Fields,
    call_id: String,
    content: content::decode::Content,
) -> Result<Turn, DecodeError> {
    let result = ToolResult { call_id, content: content.parts, plain: content.plain, is_error: None };
    turn(fields, Role::User, vec![Part::new(PartKind::ToolResult(result))], false)
}

fn tool_call(value: Value, at: String) -> Result<Part, DecodeError> {
    let mut fields = Fields::of(value, at)?;
    let id = fields.required_string("id")?;
    let kind = fields.string("type")?;
    let custom = kind.as_deref() == Some("custom") || (kind.is_none() && fields.has("custom"));
    let (key, text) = if custom { ("custom", "input") } else { ("function", "arguments") };
    let mut inner = fields.object(key)?;
    if inner.is_none() && !fields.has("name") {
        return Err(fields.missing(key));
    }
    let source = inner.as_mut().unwrap_or(&mut fields);
    let (name, arguments) = (source.required_string("name")?, arguments(source, text)?);
    let extra = match inner {
        Some(inner) => extra::nest(fields.rest(CHAT), key, &inner.rest(CHAT)),
        None => fields.rest(CHAT),
    };
    let call = ToolCall { id, name, arguments, custom };
    Ok(Part { extra, ..Part::new(PartKind::ToolCall(call)) })
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

/// A call as Responses writes it.
fn item_call(mut fields: Fields) -> Result<Turn, DecodeError> {
    let custom = fields.string("type")?.as_deref() == Some("custom_tool_call");
    let call = ToolCall {
        id: fields.required_string("call_id")?,
        name: fields.required_string("name")?,
        arguments: arguments(&mut fields, if custom { "input" } else { "arguments" })?,
        custom,
    };
    Ok(item(&fields, Role::Assistant, Part::new(PartKind::ToolCall(call))))
}

/// A result as Responses writes it.
fn item_result(mut fields: Fields) -> Result<Turn, DecodeError> {
    let content = content::decode::take(&mut fields, "output")?.unwrap_or_default();
    let result = ToolResult {
        call_id: fields.required_string("call_id")?,
        content: content.parts,
        plain: content.plain,
        is_error: None,
    };
    Ok(item(&fields, Role::User, Part::new(PartKind::ToolResult(result))))
}

fn item(fields: &Fields, role: Role, part: Part) -> Turn {
    let at = fields.here().to_owned();
    Turn { role, parts: vec![part], plain: false, name: None, at, extra: Extra::default() }
}
