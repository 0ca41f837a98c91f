//! What the Responses API refuses of a conversation: the form of each item, and how calls, outputs and reasoning belong
//! together.

use serde_json::Value;

use crate::simulator::{
    ask::Task,
    responses::{
        judge::{Need, inside, missing, only, pattern, text_in, too_long, word, wrong_type, wrong_value},
        read::{is_call, is_output},
        tools,
    },
    seal,
    vendor::{Call, Complaint, base64, is_name},
};

/// Longest id of an item and of a call.
const LONGEST_ID: usize = 64;

const STATUSES: &[&str] = &["in_progress", "completed", "incomplete"];

/// An item: its type, its fields (those with `!` are required) and what its id begins with.
struct Kind(&'static str, &'static [&'static str], &'static str);

const KINDS: &[Kind] = &[
    Kind(
        "function_call",
        &["arguments!", "call_id!", "name!", "type", "id", "caller", "namespace", "status"],
        "fc",
    ),
    Kind(
        "function_call_output",
        &["output!", "call_id!", "type", "id", "caller", "name", "namespace", "status"],
        "fc",
    ),
    Kind(
        "custom_tool_call",
        &["call_id!", "input!", "name!", "type", "id", "caller", "namespace", "status"],
        "ctc",
    ),
    Kind(
        "custom_tool_call_output",
        &["call_id!", "output!", "type", "id", "caller", "name", "namespace", "status"],
        "ctc",
    ),
    Kind("reasoning", &["summary!", "type", "id", "content", "encrypted_content", "status"], "rs"),
    Kind("compaction", &["encrypted_content!", "type", "id", "created_by"], "cmp"),
    Kind("compaction_trigger", &["type", "id"], ""),
    Kind("item_reference", &["id!", "type"], ""),
    Kind("web_search_call", &["id!", "action!", "status!", "type", "results"], "ws"),
    Kind("file_search_call", &["id!", "queries!", "status!", "type", "results"], "fs"),
    Kind("code_interpreter_call", &["id!", "code", "container_id", "outputs", "status!", "type"], "ci"),
    Kind(
        "image_generation_call",
        &[
            "id!",
            "result",
            "status",
            "type",
            "action",
            "background",
            "error",
            "output_format",
            "quality",
            "revised_prompt",
            "size",
            "svg_usage",
        ],
        "ig",
    ),
    Kind(
        "computer_call",
        &["id", "call_id!", "action", "actions", "pending_safety_checks", "status", "type"],
        "cu",
    ),
    Kind(
        "computer_call_output",
        &["call_id!", "output!", "type", "id", "acknowledged_safety_checks", "status"],
        "cu",
    ),
    Kind("local_shell_call", &["id!", "action!", "call_id!", "status", "type"], "lsh"),
    Kind("local_shell_call_output", &["id", "call_id", "output!", "type", "status"], ""),
    Kind(
        "shell_call",
        &["action!", "call_id!", "type", "id", "caller", "environment", "status", "created_by"],
        "sh",
    ),
    Kind(
        "shell_call_output",
        &["call_id!", "output!", "type", "id", "caller", "max_output_length", "status", "created_by"],
        "sh",
    ),
    Kind(
        "apply_patch_call",
        &["call_id!", "operation!", "status!", "type", "id", "caller", "created_by"],
        "apc",
    ),
    Kind(
        "apply_patch_call_output",
        &["call_id!", "status!", "type", "id", "caller", "output", "created_by"],
        "apco",
    ),
    Kind("mcp_list_tools", &["id!", "server_label!", "tools!", "type", "error"], "mcpl"),
    Kind("mcp_approval_request", &["id!", "arguments!", "name!", "server_label!", "type"], "mcpr"),
    Kind("mcp_approval_response", &["approval_request_id!", "approve!", "type", "id", "reason"], ""),
    Kind(
        "mcp_call",
        &[
            "id!",
            "arguments!",
            "name!",
            "server_label!",
            "type",
            "approval_request_id",
            "error",
            "output",
            "status",
        ],
        "mcp",
    ),
    Kind(
        "tool_search_call",
        &["arguments!", "type", "id", "call_id", "execution", "status", "created_by"],
        "tsc",
    ),
    Kind(
        "tool_search_output",
        &["tools!", "type", "id", "call_id", "execution", "status", "created_by"],
        "tso",
    ),
    Kind("additional_tools", &["role!", "tools!", "type", "id"], ""),
    Kind("configuration_update", &["type", "id", "configuration", "reasoning", "text", "tool_choice"], ""),
    Kind("program", &["id!", "call_id!", "code!", "fingerprint!", "type"], ""),
    Kind("program_output", &["id!", "call_id!", "result!", "status!", "type"], ""),
];

pub(super) fn judge(input: &Value, call: Call<'_>) -> Result<(), Complaint> {
    let items = match input {
        Value::Null | Value::String(_) => return Ok(()),
        Value::Array(items) => items,
        other => return wrong_type("input", other, "a string or an array"),
    };
    for (number, it) in items.iter().enumerate() {
        item(it, &format!("input[{number}]"), call.account)?;
    }
    calls(items)?;
    if call.told.task == Task::Compact { Ok(()) } else { followed(items) }
}

fn item(item: &Value, at: &str, account: &str) -> Result<(), Complaint> {
    if !item.is_object() {
        return wrong_type(at, item, "an object");
    }
    let kind = match item["type"].as_str() {
        None if item["role"].is_string() => "message",
        None if item["id"].is_string() => "item_reference",
        None => return missing(&inside(at, "type")),
        Some(kind) => kind,
    };
    if kind == "message" {
        return message(item, at);
    }
    let Some(Kind(_, fields, prefix)) = KINDS.iter().find(|it| it.0 == kind) else {
        let supported: Vec<&str> = KINDS.iter().map(|it| it.0).chain(["message"]).collect();
        return wrong_value(&inside(at, "type"), kind, &supported);
    };
    let known: Vec<&str> = fields.iter().map(|it| it.trim_end_matches('!')).collect();
    only(item, &known, at)?;
    let required = fields.iter().filter_map(|it| it.strip_suffix('!'));
    if let Some(field) = required.into_iter().find(|it| item[*it].is_null()) {
        return missing(&inside(at, field));
    }
    id(item, at, prefix)?;
    call_id(item, at)?;
    match kind {
        "function_call" | "custom_tool_call" => called(item, at),
        "function_call_output" | "custom_tool_call_output" => output(&item["output"], &inside(at, "output")),
        "reasoning" => reasoning(item, at, account),
        "compaction" => sealed(&item["encrypted_content"], &inside(at, "encrypted_content"), account),
        "additional_tools" => {
            let mut names = Vec::new();
            item["tools"]
                .as_array()
                .into_iter()
                .flatten()
                .enumerate()
                .try_for_each(|(number, it)| tools::tool(it, &format!("{at}.tools[{number}]"), &mut names))
        }
        _ => Ok(()),
    }
}

/// The id of an item begins as its kind demands.
fn id(item: &Value, at: &str, prefix: &str) -> Result<(), Complaint> {
    let at = &inside(at, "id");
    let Some(id) = text_in(item, "id", at.trim_end_matches(".id"), Need::May)? else { return Ok(()) };
    if id.len() > LONGEST_ID {
        return too_long(at, LONGEST_ID, id.len());
    }
    if !is_name(id, LONGEST_ID) {
        return Complaint::coded(
            "invalid_value",
            at,
            format!(
                "Invalid '{at}': '{id}'. Expected an ID that contains letters, numbers, underscores, or dashes, but this value contained additional characters."
            ),
        );
    }
    if !id.starts_with(prefix) {
        return Complaint::coded(
            "invalid_value",
            at,
            format!("Invalid '{at}': '{id}'. Expected an ID that begins with '{prefix}'."),
        );
    }
    Ok(())
}

fn call_id(item: &Value, at: &str) -> Result<(), Complaint> {
    match text_in(item, "call_id", at, Need::May)? {
        Some("") => Complaint::coded(
            "empty_string",
            inside(at, "call_id"),
            format!(
                "Invalid '{at}.call_id': empty string. Expected a string with minimum length 1, but got an empty string instead."
            ),
        ),
        Some(id) if id.len() > LONGEST_ID => too_long(&inside(at, "call_id"), LONGEST_ID, id.len()),
        _ => Ok(()),
    }
}

fn called(item: &Value, at: &str) -> Result<(), Complaint> {
    let name = text_in(item, "name", at, Need::Must)?.unwrap_or_default();
    if !is_name(name, 128) {
        return pattern(&inside(at, "name"));
    }
    let field = if item["type"] == "function_call" { "arguments" } else { "input" };
    text_in(item, field, at, Need::Must)?;
    word(item, "status", at, STATUSES)
}

fn output(output: &Value, at: &str) -> Result<(), Complaint> {
    match output {
        Value::String(_) => Ok(()),
        Value::Array(parts) => parts.iter().enumerate().try_for_each(|(number, it)| {
            part(it, &format!("{at}[{number}]"), &["input_text", "input_image", "input_file"])
        }),
        other => wrong_type(at, other, "a string or an array"),
    }
}

fn reasoning(item: &Value, at: &str, account: &str) -> Result<(), Complaint> {
    for (field, kind) in [("summary", "summary_text"), ("content", "reasoning_text")] {
        let at = inside(at, field);
        match &item[field] {
            Value::Null => {}
            Value::Array(parts) => {
                for (number, it) in parts.iter().enumerate() {
                    part(it, &format!("{at}[{number}]"), &[kind])?;
                }
            }
            other => return wrong_type(&at, other, "an array"),
        }
    }
    sealed(&item["encrypted_content"], &inside(at, "encrypted_content"), account)
}

fn sealed(content: &Value, at: &str, account: &str) -> Result<(), Complaint> {
    let Some(content) = content.as_str() else { return Ok(()) };
    if seal::open(account, content).is_some() {
        return Ok(());
    }
    let shown: String = content.chars().take(4).collect();
    Complaint::coded(
        "invalid_encrypted_content",
        at,
        format!(
            "The encrypted content {shown}... could not be verified. Reason: Encrypted content could not be decrypted or parsed."
        ),
    )
}

fn message(item: &Value, at: &str) -> Result<(), Complaint> {
    only(item, &["type", "role", "content", "id", "status", "phase"], at)?;
    let role = text_in(item, "role", at, Need::Must)?.unwrap_or_default();
    let roles = ["assistant", "system", "developer", "user"];
    if !roles.contains(&role) {
        return wrong_value(&inside(at, "role"), role, &roles);
    }
    id(item, at, "msg")?;
    word(item, "status", at, STATUSES)?;
    word(item, "phase", at, &["commentary", "final_answer"])?;
    if role != "assistant" && !item["phase"].is_null() {
        return Complaint::coded(
            "invalid_value",
            inside(at, "phase"),
            "'phase' is for assistant messages only.",
        );
    }
    let allowed: &[&str] = if role == "assistant" {
        &["output_text", "refusal"]
    } else {
        &["input_text", "input_image", "input_file", "input_audio"]
    };
    let at = inside(at, "content");
    match &item["content"] {
        Value::String(_) => Ok(()),
        Value::Null => missing(&at),
        Value::Array(parts) => parts
            .iter()
            .enumerate()
            .try_for_each(|(number, it)| part(it, &format!("{at}[{number}]"), allowed)),
        other => wrong_type(&at, other, "a string or an array"),
    }
}

fn part(part: &Value, at: &str, allowed: &[&str]) -> Result<(), Complaint> {
    let kind = text_in(part, "type", at, Need::Must)?.unwrap_or_default();
    if !allowed.contains(&kind) {
        return wrong_value(&inside(at, "type"), kind, allowed);
    }
    let fields: &[&str] = match kind {
        "input_text" => &["type", "text", "prompt_cache_breakpoint"],
        "output_text" => &["type", "text", "annotations", "logprobs"],
        "refusal" => &["type", "refusal"],
        "input_image" => &["type", "detail", "file_id", "image_url", "prompt_cache_breakpoint"],
        "input_file" => {
            &["type", "detail", "file_data", "file_id", "file_url", "filename", "prompt_cache_breakpoint"]
        }
        "input_audio" => &["type", "input_audio"],
        _ => &["type", "text"],
    };
    only(part, fields, at)?;
    match kind {
        "input_image" => image(part, at),
        "input_file" => file(part, at),
        "input_audio" => {
            if part["input_audio"]["data"].is_string() {
                Ok(())
            } else {
                missing(&inside(at, "input_audio"))
            }
        }
        "refusal" => text_in(part, "refusal", at, Need::Must).map(|_| ()),
        _ => text_in(part, "text", at, Need::Must).map(|_| ()),
    }
}

fn image(part: &Value, at: &str) -> Result<(), Complaint> {
    word(part, "detail", at, &["low", "high", "auto", "original"])?;
    text_in(part, "file_id", at, Need::May)?;
    let Some(url) = text_in(part, "image_url", at, Need::May)? else {
        return if part["file_id"].is_string() { Ok(()) } else { missing(&inside(at, "image_url")) };
    };
    let fits = match url.strip_prefix("data:") {
        Some(data) => data.split_once(";base64,").is_some_and(|(kind, data)| {
            ["image/png", "image/jpeg", "image/gif", "image/webp"].contains(&kind)
                && base64(data).is_some_and(|it| !it.is_empty())
        }),
        None => url.starts_with("http://") || url.starts_with("https://"),
    };
    if fits {
        return Ok(());
    }
    Complaint::coded(
        "invalid_value",
        inside(at, "image_url"),
        format!(
            "Invalid '{at}.image_url'. Expected a valid URL or a base64-encoded data URL with an image MIME type."
        ),
    )
}

fn file(part: &Value, at: &str) -> Result<(), Complaint> {
    let given = ["file_data", "file_id", "file_url"].iter().filter(|it| part[**it].is_string()).count();
    if given != 1 {
        return Complaint::coded(
            "missing_required_parameter",
            at,
            format!("Invalid '{at}': exactly one of 'file_id', 'file_data' and 'file_url' must be given."),
        );
    }
    let Some(data) = part["file_data"].as_str() else { return Ok(()) };
    let fits = data
        .strip_prefix("data:")
        .and_then(|it| it.split_once(";base64,"))
        .is_some_and(|(_, data)| base64(data).is_some_and(|it| !it.is_empty()));
    if !fits {
        return Complaint::coded(
            "invalid_value",
            inside(at, "file_data"),
            format!(
                "Invalid '{at}.file_data'. Expected a base64-encoded data URL with an application/pdf MIME type (e.g. 'data:application/pdf;base64,...')."
            ),
        );
    }
    if part["filename"].is_string() { Ok(()) } else { missing(&inside(at, "filename")) }
}

/// Each call has one output, each output follows its call, no id comes twice.
fn calls(items: &[Value]) -> Result<(), Complaint> {
    let mut seen: Vec<&str> = Vec::new();
    let mut answered: Vec<&str> = Vec::new();
    for (number, it) in items.iter().enumerate() {
        let id = it["call_id"].as_str().unwrap_or_default();
        if is_call(it) {
            if seen.contains(&id) {
                return Complaint::of(
                    "input",
                    format!("Duplicate function call with call_id {id} at input[{number}]."),
                );
            }
            seen.push(id);
        } else if is_output(it) {
            if !seen.contains(&id) {
                return Complaint::of(
                    "input",
                    format!("No tool call found for function call output with call_id {id}."),
                );
            }
            if answered.contains(&id) {
                return Complaint::of(
                    "input",
                    format!("Duplicate function call output with call_id {id} at input[{number}]."),
                );
            }
            answered.push(id);
        }
    }
    match seen.iter().find(|it| !answered.contains(it)) {
        Some(id) => Complaint::of("input", format!("No tool output found for function call {id}.")),
        None => Ok(()),
    }
}

/// A reasoning item is followed by what it led to: the assistant's message or a call.
fn followed(items: &[Value]) -> Result<(), Complaint> {
    for (number, it) in items.iter().enumerate() {
        if it["type"] != "reasoning" {
            continue;
        }
        let next = items[number + 1..].iter().find(|it| it["type"] != "reasoning");
        let fits = next.is_some_and(|it| {
            it["role"] == "assistant"
                || it["type"]
                    .as_str()
                    .is_some_and(|it| it.ends_with("_call") || it == "compaction" || it == "item_reference")
        });
        if !fits {
            let id = it["id"].as_str().unwrap_or_default();
            return Complaint::of(
                "input",
                format!("Item '{id}' of type 'reasoning' was provided without its required following item."),
            );
        }
    }
    Ok(())
}
