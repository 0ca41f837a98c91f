//! What the Messages API refuses in a conversation: broken pairs, empty texts, changed thinking.

use serde_json::Value;

use crate::simulator::{
    anthropic::{judge::EXTRA, read::blocks},
    seal,
    vendor::{Complaint, base64, is_name, only_known, require, sniff},
};

pub(super) fn judge(body: &Value, account: &str) -> Result<(), Complaint> {
    let Some(messages) = body["messages"].as_array() else {
        return Complaint::of("messages", "messages: Field required");
    };
    require(!messages.is_empty(), "messages", "messages: at least one message is required")?;
    require(messages[0]["role"] == "user", "messages", "messages: first message must use the \"user\" role")?;
    for (number, it) in messages.iter().enumerate() {
        message(it, &format!("messages.{number}"), number + 1 == messages.len(), account)?;
    }
    system_places(messages)?;
    pairs(body, messages)?;
    ending(body, messages)
}

fn message(message: &Value, at: &str, is_last: bool, account: &str) -> Result<(), Complaint> {
    require(message.is_object(), at, &format!("{at}: Input should be an object"))?;
    let role = message["role"].as_str().unwrap_or_default();
    require(["user", "assistant", "system"].contains(&role), at, &format!("{at}.role: unexpected role"))?;
    let known: &[&str] =
        if role == "system" { &["role", "content", "output_config"] } else { &["role", "content"] };
    only_known(message, known, at, EXTRA)?;
    match &message["content"] {
        Value::String(text) => {
            let excused = is_last && role == "assistant";
            require(
                !text.is_empty() || excused,
                at,
                &format!("{at}: {role} messages must have non-empty content"),
            )
        }
        Value::Array(content) => {
            let excused = role == "system" || is_last && role == "assistant";
            require(
                !content.is_empty() || excused,
                at,
                &format!("{at}: {role} messages must have non-empty content"),
            )?;
            content
                .iter()
                .enumerate()
                .try_for_each(|(number, it)| block(it, role, &format!("{at}.content.{number}"), account))
        }
        _ => Complaint::of(at, format!("{at}.content: Input should be a valid string or list")),
    }
}

fn block(block: &Value, role: &str, at: &str, account: &str) -> Result<(), Complaint> {
    let kind = block["type"].as_str().unwrap_or_default();
    let wrong_side = match kind {
        "tool_use" | "thinking" | "redacted_thinking" => role != "assistant",
        "tool_result" | "image" | "document" => role == "assistant",
        "" => true,
        _ => false,
    };
    require(!wrong_side, at, &format!("{at}: `{kind}` blocks are not allowed in {role} messages"))?;
    match kind {
        "text" => text(block, at),
        "image" => image(&block["source"], at),
        "tool_use" => tool_use(block, at),
        "tool_result" => tool_result(block, at),
        "thinking" => thinking(block, at, account),
        "web_search_tool_result" => {
            let ours = |it: &Value| {
                let state = it["encrypted_content"].as_str();
                it["type"] != "web_search_result" || state.is_some_and(|it| seal::open(account, it).is_some())
            };
            let fits = block["content"].as_array().is_none_or(|it| it.iter().all(ours));
            require(fits, at, &format!("{at}: Invalid `encrypted_content` in `web_search_result` block"))
        }
        "redacted_thinking" => {
            let ours = block["data"].as_str().is_some_and(|it| seal::open(account, it).is_some());
            require(ours, at, &format!("{at}: Invalid `data` in `redacted_thinking` block"))
        }
        _ => Ok(()),
    }
}

pub(super) fn text(block: &Value, at: &str) -> Result<(), Complaint> {
    only_known(block, &["type", "text", "cache_control", "citations"], at, EXTRA)?;
    let Some(text) = block["text"].as_str() else {
        return Complaint::of(at, format!("{at}.text: Input should be a valid string"));
    };
    require(!text.is_empty(), at, &format!("{at}: text content blocks must be non-empty"))?;
    require(
        !text.trim().is_empty(),
        at,
        &format!("{at}: text content blocks must contain non-whitespace text"),
    )
}

fn image(source: &Value, at: &str) -> Result<(), Complaint> {
    match source["type"].as_str() {
        Some("url") => {
            let fits = source["url"].as_str().is_some_and(|it| it.starts_with("http"));
            require(fits, at, &format!("{at}.image.source.url: Input should be a valid URL"))
        }
        Some("file") => {
            require(source["file_id"].is_string(), at, &format!("{at}.image.source.file_id: Field required"))
        }
        Some("base64") => {
            only_known(source, &["type", "media_type", "data"], at, EXTRA)?;
            let kind = source["media_type"].as_str().unwrap_or_default();
            let known = ["image/png", "image/jpeg", "image/gif", "image/webp"].contains(&kind);
            require(known, at, &format!("{at}.image.source.base64.media_type: unexpected value"))?;
            let Some(image) = source["data"].as_str().and_then(base64) else {
                return Complaint::of(
                    at,
                    format!("{at}.image.source.base64.data: The image data is not valid base64"),
                );
            };
            let fits = sniff(&image).is_none_or(|it| it == kind);
            require(fits, at, &format!("{at}.image.source.base64.media_type: does not match the image"))
        }
        _ => Complaint::of(at, format!("{at}.image.source: Input tag should be 'base64', 'url' or 'file'")),
    }
}

fn tool_use(block: &Value, at: &str) -> Result<(), Complaint> {
    only_known(block, &["type", "id", "name", "input", "cache_control", "caller"], at, EXTRA)?;
    let fits = block["id"].as_str().is_some_and(|it| is_name(it, 256));
    require(fits, at, &format!("{at}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"))?;
    let named = block["name"].as_str().is_some_and(|it| is_name(it, 200));
    require(
        named,
        at,
        &format!("{at}.tool_use.name: String should match pattern '^[a-zA-Z0-9_-]{{1,200}}$'"),
    )?;
    require(block["input"].is_object(), at, &format!("{at}.tool_use.input: Input should be an object"))
}

fn tool_result(block: &Value, at: &str) -> Result<(), Complaint> {
    only_known(block, &["type", "tool_use_id", "content", "is_error", "cache_control"], at, EXTRA)?;
    let flag = &block["is_error"];
    require(
        flag.is_null() || flag.is_boolean(),
        at,
        &format!("{at}.tool_result.is_error: Input should be a boolean"),
    )?;
    match &block["content"] {
        Value::Null | Value::String(_) => Ok(()),
        Value::Array(parts) => parts.iter().enumerate().try_for_each(|(number, it)| {
            let at = &format!("{at}.tool_result.content.{number}");
            match it["type"].as_str() {
                Some("text") => text(it, at),
                Some("image") => image(&it["source"], at),
                Some("document" | "search_result" | "tool_reference") => Ok(()),
                _ => Complaint::of(at, format!("{at}: unexpected block type")),
            }
        }),
        _ => Complaint::of(at, format!("{at}.tool_result.content: Input should be a valid string or list")),
    }
}

fn thinking(block: &Value, at: &str, account: &str) -> Result<(), Complaint> {
    only_known(block, &["type", "thinking", "signature"], at, EXTRA)?;
    let (Some(text), Some(signature)) = (block["thinking"].as_str(), block["signature"].as_str()) else {
        return Complaint::of(at, format!("{at}.thinking.signature: Field required"));
    };
    let ours = seal::is_ours(account, text, signature);
    require(
        ours,
        at,
        &format!("{at}: Invalid `signature` in `thinking` block; thinking blocks cannot be modified"),
    )
}

/// A system message follows a user's, is never first, never beside another, and ends the list or precedes the assistant.
fn system_places(messages: &[Value]) -> Result<(), Complaint> {
    for (number, it) in messages.iter().enumerate() {
        if it["role"] != "system" || it["content"].as_array().is_some_and(Vec::is_empty) {
            continue;
        }
        let before = number.checked_sub(1).map(|it| &messages[it]["role"]);
        let after = messages.get(number + 1).map(|it| &it["role"]);
        let fits = before.is_some_and(|it| it != "system") && after.is_none_or(|it| it == "assistant");
        require(
            fits,
            "messages",
            &format!("messages.{number}: a system message is not allowed in this place"),
        )?;
    }
    Ok(())
}

/// Every call is answered in the next turn, before anything else in it, once; equal roles in a row are one turn.
fn pairs(body: &Value, messages: &[Value]) -> Result<(), Complaint> {
    let mut waiting: Vec<&str> = Vec::new();
    let mut used: Vec<&str> = Vec::new();
    let mut turn_had_other = false;
    let mut role = "";
    let mut tools_used = false;
    for (number, message) in messages.iter().enumerate().filter(|(_, it)| it["role"] != "system") {
        let at = &format!("messages.{number}");
        let this = message["role"].as_str().unwrap_or_default();
        if this != role {
            if this == "assistant" {
                answered(&waiting, at)?;
                waiting.clear();
            }
            turn_had_other = false;
            role = this;
        }
        let content = message["content"].as_array().into_iter().flatten();
        turn_had_other |= message["content"].is_string() && this == "user";
        for block in content {
            match block["type"].as_str() {
                Some("tool_use") => {
                    let id = block["id"].as_str().unwrap_or_default();
                    require(!used.contains(&id), at, &format!("{at}: `tool_use` ids must be unique"))?;
                    used.push(id);
                    waiting.push(id);
                    tools_used = true;
                }
                Some("tool_result") => {
                    let id = block["tool_use_id"].as_str().unwrap_or_default();
                    let Some(place) = waiting.iter().position(|it| *it == id) else {
                        return Complaint::of(
                            at,
                            format!(
                                "{at}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
                            ),
                        );
                    };
                    require(
                        !turn_had_other,
                        at,
                        &format!("{at}: `tool_result` blocks must come first in the turn"),
                    )?;
                    waiting.remove(place);
                }
                _ => turn_had_other |= this == "user",
            }
        }
    }
    answered(&waiting, "messages")?;
    let declared = body["tools"].as_array().is_some_and(|it| !it.is_empty());
    require(
        !tools_used || declared,
        "tools",
        "Requests which include `tool_use` or `tool_result` blocks must define tools",
    )
}

fn answered(waiting: &[&str], at: &str) -> Result<(), Complaint> {
    let ids = waiting.join(", ");
    require(
        waiting.is_empty(),
        at,
        &format!("{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {ids}"),
    )
}

/// The end of the conversation: no prefill while thinking, no trailing blank, thinking first in an open tool loop.
fn ending(body: &Value, messages: &[Value]) -> Result<(), Complaint> {
    let thinks = body["thinking"]["type"] == "enabled";
    let last = &messages[messages.len() - 1];
    if last["role"] == "assistant" {
        require(
            !thinks,
            "messages",
            "messages: the final message may not be the assistant's when thinking is enabled",
        )?;
        let text = last["content"]
            .as_str()
            .or_else(|| blocks(last, "text").last().and_then(|it| it["text"].as_str()));
        let clean = text.is_none_or(|it| it == it.trim_end());
        require(clean, "messages", "messages: final assistant content cannot end with trailing whitespace")?;
    }
    let looping = !blocks(last, "tool_result").is_empty();
    if let Some(turn) = messages.iter().rfind(|it| it["role"] == "assistant").filter(|_| thinks && looping) {
        let first = turn["content"][0]["type"].as_str().unwrap_or_default();
        let fits = ["thinking", "redacted_thinking"].contains(&first);
        require(
            fits,
            "messages",
            &format!(
                "messages: Expected `thinking` or `redacted_thinking`, but found `{first}`: a final `assistant` message must start with a thinking block"
            ),
        )?;
    }
    Ok(())
}
