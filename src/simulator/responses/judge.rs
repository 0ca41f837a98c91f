//! What the Responses API refuses. Field lists: the official SDK's parameter types (openai-python 3.54,
//! `response_create_params`, `input_token_count_params`, `response_compact_params`).

use serde_json::Value;

use crate::simulator::{
    ask::Task,
    responses::{history, read::is_reasoning, tools},
    vendor::{Call, Closed, Complaint, closed_schema, is_name},
};

pub(in crate::simulator) const FIELDS: &[&str] = &[
    "access_programs",
    "background",
    "background_options",
    // Not in the types: Codex sends it, to the public service too.
    "client_metadata",
    "context_management",
    "conversation",
    "image",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "moderation",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

const COUNTED: &[&str] = &[
    "conversation",
    "input",
    "instructions",
    "model",
    "parallel_tool_calls",
    "personality",
    "previous_response_id",
    "reasoning",
    "text",
    "tool_choice",
    "tools",
    "truncation",
];

const COMPACTED: &[&str] = &[
    "image",
    "input",
    "instructions",
    "model",
    "previous_response_id",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "service_tier",
];

const INCLUDABLE: &[&str] = &[
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
];

const EFFORTS: &[&str] = &["none", "minimal", "low", "medium", "high", "xhigh", "max"];

pub(super) fn judge(body: &Value, call: Call<'_>) -> Result<(), Complaint> {
    if !body.is_object() {
        return wrong_type("", body, "an object");
    }
    let known = match call.told.task {
        Task::Answer => FIELDS,
        Task::Count => COUNTED,
        Task::Compact => COMPACTED,
    };
    only(body, known, "")?;
    if call.told.task != Task::Count {
        text(body, "model", Need::Must)?;
    }
    numbers(body)?;
    switches(body)?;
    lists(body)?;
    reasoning(body)?;
    format(&body["text"])?;
    tools::judge(body)?;
    if call.told.task == Task::Answer
        && body["input"].is_null()
        && body["prompt"].is_null()
        && body["conversation"].is_null()
        && body["previous_response_id"].is_null()
    {
        return Complaint::coded(
            "missing_required_parameter",
            "input",
            "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' must be provided.",
        );
    }
    history::judge(&body["input"], call)
}

/// Whether a field has to be there.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Need {
    Must,
    May,
}

/// Refuses fields that are not in `known`.
pub(super) fn only(object: &Value, known: &[&str], at: &str) -> Result<(), Complaint> {
    let unknown = object.as_object().and_then(|it| it.keys().find(|key| !known.contains(&key.as_str())));
    match unknown {
        None => Ok(()),
        Some(key) => {
            let at = inside(at, key);
            Complaint::coded("unknown_parameter", at.clone(), format!("Unknown parameter: '{at}'."))
        }
    }
}

pub(super) fn inside(at: &str, field: &str) -> String {
    if at.is_empty() { field.to_owned() } else { format!("{at}.{field}") }
}

pub(super) fn missing<T>(at: &str) -> Result<T, Complaint> {
    Complaint::coded("missing_required_parameter", at, format!("Missing required parameter: '{at}'."))
}

pub(super) fn wrong_type<T>(at: &str, value: &Value, wanted: &str) -> Result<T, Complaint> {
    let got = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    Complaint::coded(
        "invalid_type",
        at,
        format!("Invalid type for '{at}': expected {wanted}, but got {got} instead."),
    )
}

pub(super) fn wrong_value<T>(at: &str, value: &str, supported: &[&str]) -> Result<T, Complaint> {
    let supported = supported.iter().map(|it| format!("'{it}'")).collect::<Vec<_>>().join(", ");
    Complaint::coded(
        "invalid_value",
        at,
        format!("Invalid value: '{value}'. Supported values are: {supported}."),
    )
}

/// The text of a field, which may have to be there.
pub(super) fn text<'a>(object: &'a Value, field: &str, need: Need) -> Result<Option<&'a str>, Complaint> {
    text_in(object, field, "", need)
}

pub(super) fn text_in<'a>(
    object: &'a Value,
    field: &str,
    at: &str,
    need: Need,
) -> Result<Option<&'a str>, Complaint> {
    let at = inside(at, field);
    match &object[field] {
        Value::String(text)
            if text.is_empty()
                && need == Need::Must
                && field != "arguments"
                && field != "output"
                && field != "input"
                && field != "text" =>
        {
            missing(&at)
        }
        Value::String(text) => Ok(Some(text)),
        Value::Null if need == Need::May => Ok(None),
        Value::Null => missing(&at),
        other => wrong_type(&at, other, "a string"),
    }
}

/// One word of a few, if it is given.
pub(super) fn word(object: &Value, field: &str, at: &str, words: &[&str]) -> Result<(), Complaint> {
    match text_in(object, field, at, Need::May)? {
        Some(it) if !words.contains(&it) => wrong_value(&inside(at, field), it, words),
        _ => Ok(()),
    }
}

fn numbers(body: &Value) -> Result<(), Complaint> {
    least(body, "max_output_tokens", 16)?;
    least(body, "max_tool_calls", 1)?;
    between(body, "temperature", 2.0)?;
    between(body, "top_p", 1.0)?;
    between(body, "top_logprobs", 20.0)?;
    let model = body["model"].as_str().unwrap_or_default();
    if is_reasoning(model) && body["reasoning"]["effort"] != "none" {
        for field in ["temperature", "top_p"] {
            if body[field].as_f64().is_some_and(|it| (it - 1.0).abs() > f64::EPSILON) {
                return Complaint::coded(
                    "unsupported_parameter",
                    field,
                    format!("Unsupported parameter: '{field}' is not supported with this model."),
                );
            }
        }
    }
    Ok(())
}

fn least(body: &Value, field: &'static str, least: i64) -> Result<(), Complaint> {
    match &body[field] {
        Value::Null => Ok(()),
        value => match value.as_i64() {
            None => wrong_type(field, value, "an integer"),
            Some(given) if given < least => Complaint::coded(
                "integer_below_min_value",
                field,
                format!(
                    "Invalid '{field}': integer below minimum value. Expected a value >= {least}, but got {given} instead."
                ),
            ),
            Some(_) => Ok(()),
        },
    }
}

fn between(body: &Value, field: &'static str, most: f64) -> Result<(), Complaint> {
    match &body[field] {
        Value::Null => Ok(()),
        value => match value.as_f64() {
            None => wrong_type(field, value, "a decimal"),
            Some(given) if !(0.0..=most).contains(&given) => Complaint::coded(
                "decimal_above_max_value",
                field,
                format!("Invalid '{field}': Expected a value between 0 and {most}, but got {given} instead."),
            ),
            Some(_) => Ok(()),
        },
    }
}

fn switches(body: &Value) -> Result<(), Complaint> {
    for field in ["background", "parallel_tool_calls", "store", "stream"] {
        if !(body[field].is_null() || body[field].is_boolean()) {
            return wrong_type(field, &body[field], "a boolean");
        }
    }
    for field in ["instructions", "previous_response_id", "prompt_cache_key", "user"] {
        text(body, field, Need::May)?;
    }
    if let Some(it) = text(body, "safety_identifier", Need::May)?
        && it.len() > 128
    {
        return too_long("safety_identifier", 128, it.len());
    }
    word(body, "service_tier", "", &["auto", "default", "fast", "flex", "priority", "scale", "ultrafast"])?;
    word(body, "truncation", "", &["auto", "disabled"])?;
    word(body, "prompt_cache_retention", "", &["in_memory", "24h"])?;
    let options = &body["stream_options"];
    only(options, &["include_obfuscation"], "stream_options")?;
    if !options.is_null() && body["stream"] != true {
        return Complaint::of(
            "stream_options",
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        );
    }
    if !body["conversation"].is_null() && !body["previous_response_id"].is_null() {
        return Complaint::of(
            "previous_response_id",
            "Mutually exclusive parameters: 'conversation' and 'previous_response_id'.",
        );
    }
    Ok(())
}

pub(super) fn too_long<T>(at: &str, most: usize, given: usize) -> Result<T, Complaint> {
    Complaint::coded(
        "string_above_max_length",
        at,
        format!(
            "Invalid '{at}': string too long. Expected a string with maximum length {most}, but got a string with length {given} instead."
        ),
    )
}

fn lists(body: &Value) -> Result<(), Complaint> {
    match &body["include"] {
        Value::Null => {}
        Value::Array(include) => {
            for (number, it) in include.iter().enumerate() {
                let at = format!("include[{number}]");
                match it.as_str() {
                    None => return wrong_type(&at, it, "a string"),
                    Some(word) if !INCLUDABLE.contains(&word) => return wrong_value(&at, word, INCLUDABLE),
                    Some(_) => {}
                }
            }
        }
        other => return wrong_type("include", other, "an array"),
    }
    match &body["metadata"] {
        Value::Null => Ok(()),
        Value::Object(it) if it.len() > 16 => Complaint::coded(
            "object_above_max_properties",
            "metadata",
            "Invalid 'metadata': too many properties. Expected an object with at most 16 properties.",
        ),
        Value::Object(it) => it.iter().try_for_each(|(name, value)| {
            let at = format!("metadata.{name}");
            match value.as_str() {
                _ if name.len() > 64 => too_long(&at, 64, name.len()),
                Some(text) if text.len() > 512 => too_long(&at, 512, text.len()),
                Some(_) => Ok(()),
                None => wrong_type(&at, value, "a string"),
            }
        }),
        other => wrong_type("metadata", other, "an object"),
    }
}

fn reasoning(body: &Value) -> Result<(), Complaint> {
    let reasoning = &body["reasoning"];
    if reasoning.is_null() {
        return Ok(());
    }
    if !reasoning.is_object() {
        return wrong_type("reasoning", reasoning, "an object");
    }
    only(reasoning, &["context", "effort", "generate_summary", "mode", "summary"], "reasoning")?;
    word(reasoning, "context", "reasoning", &["auto", "current_turn", "all_turns"])?;
    word(reasoning, "effort", "reasoning", EFFORTS)?;
    word(reasoning, "summary", "reasoning", &["auto", "concise", "detailed"])
}

fn format(config: &Value) -> Result<(), Complaint> {
    only(config, &["format", "verbosity"], "text")?;
    word(config, "verbosity", "text", &["low", "medium", "high"])?;
    let format = &config["format"];
    let at = "text.format";
    match format["type"].as_str() {
        None if format.is_null() => Ok(()),
        None => missing("text.format.type"),
        Some("text" | "json_object") => only(format, &["type"], at),
        Some("json_schema") => {
            only(format, &["type", "name", "schema", "strict", "description"], at)?;
            let name = text_in(format, "name", at, Need::Must)?.unwrap_or_default();
            if !is_name(name, 64) {
                return pattern("text.format.name");
            }
            match &format["schema"] {
                Value::Null => return missing("text.format.schema"),
                Value::Object(_) => {}
                other => return wrong_type("text.format.schema", other, "an object"),
            }
            if format["strict"] == true {
                strict("response_format", name, &format["schema"], "text.format.schema")
            } else {
                Ok(())
            }
        }
        Some(other) => wrong_value("text.format.type", other, &["text", "json_object", "json_schema"]),
    }
}

pub(super) fn pattern<T>(at: &str) -> Result<T, Complaint> {
    Complaint::coded(
        "invalid_value",
        at,
        format!(
            "Invalid '{at}': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
        ),
    )
}

/// A strict schema is closed, requires all and stays within the keywords the service supports.
pub(super) fn strict(what: &str, name: &str, schema: &Value, at: &str) -> Result<(), Complaint> {
    let coded = |fault: Complaint| Complaint {
        at: at.to_owned(),
        code: Some("invalid_json_schema"),
        message: format!("Invalid schema for {what} '{name}': {}", fault.message),
    };
    if schema["type"] != "object" || !schema["anyOf"].is_null() {
        return Err(coded(Complaint {
            at: String::new(),
            code: None,
            message: "schema must be a JSON Schema of 'type: \"object\"'".into(),
        }));
    }
    closed_schema(schema, at, Closed::WithAllRequired).map_err(coded)?;
    keywords(schema).map_err(|key| {
        coded(Complaint { at: String::new(), code: None, message: format!("'{key}' is not permitted") })
    })
}

/// Keywords a strict schema must not have.
const NOT_STRICT: &[&str] = &[
    "allOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
    "propertyNames",
    "prefixItems",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contains",
    "minContains",
    "maxContains",
    "uniqueItems",
    "default",
];

fn keywords(schema: &Value) -> Result<(), String> {
    let Some(fields) = schema.as_object() else { return Ok(()) };
    for (key, value) in fields {
        if NOT_STRICT.contains(&key.as_str()) {
            return Err(key.clone());
        }
        match (key.as_str(), value) {
            ("properties" | "$defs" | "definitions", Value::Object(named)) => {
                named.values().try_for_each(keywords)?;
            }
            ("anyOf", Value::Array(many)) => many.iter().try_for_each(keywords)?,
            ("items", items) => keywords(items)?,
            _ => {}
        }
    }
    Ok(())
}
