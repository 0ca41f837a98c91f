//! What the Gemini API refuses of a conversation: parts without data, turns out of order, signatures it did not make.

use serde_json::Value;

use crate::simulator::{
    ask::Task,
    gemini::{
        form::unknown,
        read::{get, list},
        write::is_third,
    },
    seal,
    vendor::{Call, Complaint, require},
};

/// Accepted in place of a signature, for calls of other models.
const SENTINELS: &[&str] = &["skip_thought_signature_validator", "context_engineering_is_the_way_to_go"];

/// The fields of a part of which it must have one.
const DATA: &[&str] = &[
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
];

pub(super) fn judge(body: &Value, call: Call<'_>) -> Result<(), Complaint> {
    let contents: Vec<&Value> = list(body, "contents").collect();
    require(
        !contents.is_empty(),
        "contents",
        "* GenerateContentRequest.contents: contents is not specified",
    )?;
    for (number, it) in contents.iter().enumerate() {
        content(it, &format!("contents[{number}]"), call)?;
    }
    if call.told.task == Task::Count {
        return Ok(());
    }
    require(
        contents[0]["role"] != "model",
        "contents",
        "Please ensure that the first turn is of role user: a conversation cannot start with a turn of role model.",
    )?;
    order(&merged(&contents))?;
    signed(&contents, call.told.model)
}

fn content(content: &Value, at: &str, call: Call<'_>) -> Result<(), Complaint> {
    let role = content["role"].as_str().unwrap_or("user");
    require(["user", "model", "function"].contains(&role), at, "Please use a valid role: user, model.")?;
    let parts: Vec<&Value> = list(content, "parts").collect();
    require(
        !parts.is_empty(),
        at,
        &format!("* GenerateContentRequest.{at}.parts: contents.parts must not be empty."),
    )?;
    for (number, it) in parts.iter().enumerate() {
        part(it, role, &format!("{at}.parts[{number}]"), call)?;
    }
    Ok(())
}

fn part(part: &Value, role: &str, at: &str, call: Call<'_>) -> Result<(), Complaint> {
    let data: Vec<&&str> = DATA.iter().filter(|it| !get(part, it).is_null()).collect();
    require(
        data.len() == 1,
        at,
        &format!(
            "* GenerateContentRequest.{at}.data: required oneof field 'data' must have one initialized field"
        ),
    )?;
    let signature = get(part, "thoughtSignature").as_str();
    // The SDKs' chats send back the empty part a stream ended in.
    require(
        part["text"] != "" || signature.is_some() || role == "model",
        at,
        &format!("Unable to submit request because {at} must have a non-empty text parameter."),
    )?;
    let (called, answered) = (get(part, "functionCall"), get(part, "functionResponse"));
    require(
        called.is_null() || role == "model",
        at,
        &format!("{at}: function calls are for the role model"),
    )?;
    require(
        answered.is_null() || role != "model",
        at,
        &format!("{at}: function responses are for the role user"),
    )?;
    if call.told.vertex {
        for (it, name) in [(called, "function_call"), (answered, "function_response")] {
            if !it["id"].is_null() {
                return unknown("id", &format!("{at}.{name}"));
            }
        }
    }
    for it in [called, answered] {
        let named = it.is_null() || it["name"].as_str().is_some_and(|it| !it.is_empty());
        require(named, at, &format!("* GenerateContentRequest.{at}.name: Name cannot be empty."))?;
    }
    require(
        answered.is_null() || answered["response"].is_object(),
        at,
        &format!("* GenerateContentRequest.{at}.function_response.response: [FIELD_INVALID] required field"),
    )?;
    let inner = list(answered, "parts").next();
    require(
        inner.is_none() || is_third(call.told.model) || !call.told.model.starts_with("gemini-"),
        at,
        &format!("{at}: multimodal function responses are not supported by this model"),
    )?;
    media(part, at)?;
    match signature {
        Some(it) if !SENTINELS.contains(&it) && seal::open(call.account, it).is_none() => {
            Complaint::of(at, "Corrupted thought signature.")
        }
        _ => Ok(()),
    }
}

fn media(part: &Value, at: &str) -> Result<(), Complaint> {
    for (field, holds) in [("inlineData", "data"), ("fileData", "fileUri")] {
        let media = get(part, field);
        if media.is_null() {
            continue;
        }
        let full = get(media, holds).as_str().is_some_and(|it| !it.is_empty());
        require(full, at, &format!("{at}: {holds} must not be empty"))?;
        let typed = get(media, "mimeType").as_str().is_some_and(|it| it.contains('/'));
        require(
            typed || field == "fileData",
            at,
            &format!("Unable to submit request because {at} must have a mimeType parameter."),
        )?;
    }
    Ok(())
}

/// The names of the functions called or answered in a turn.
fn names<'a>(content: &'a Value, field: &str) -> Vec<&'a str> {
    list(content, "parts").filter_map(|it| get(it, field)["name"].as_str()).collect()
}

/// The contents with neighbours of one role put together, as the service reads them: what was streamed comes back in pieces.
fn merged(contents: &[&Value]) -> Vec<Value> {
    let mut turns: Vec<Value> = Vec::new();
    for it in contents {
        match (turns.last_mut(), it["parts"].as_array()) {
            (Some(last), Some(parts)) if last["role"] == it["role"] && it["role"] == "model" => {
                if let Some(all) = last["parts"].as_array_mut() {
                    all.extend(parts.iter().cloned());
                }
            }
            _ => turns.push((*it).clone()),
        }
    }
    turns
}

/// A turn with calls follows a user's and is followed by as many responses, of the same names.
fn order(contents: &[Value]) -> Result<(), Complaint> {
    for (number, it) in contents.iter().enumerate() {
        let calls = names(it, "functionCall");
        let before = number.checked_sub(1).map(|it| &contents[it]);
        if !calls.is_empty() {
            require(
                before.is_some_and(|it| it["role"] != "model"),
                "contents",
                "Please ensure that function call turn comes immediately after a user turn or after a function response turn.",
            )?;
            let mut answers =
                contents.get(number + 1).map(|it| names(it, "functionResponse")).unwrap_or_default();
            require(
                answers.len() == calls.len(),
                "contents",
                "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.",
            )?;
            for name in calls {
                let Some(place) = answers.iter().position(|it| *it == name) else {
                    return Complaint::of(
                        "contents",
                        format!(
                            "Please ensure that function response turn answers the calls before it: none is named {name}."
                        ),
                    );
                };
                answers.remove(place);
            }
        } else if !names(it, "functionResponse").is_empty() {
            require(
                before.is_some_and(|it| !names(it, "functionCall").is_empty()),
                "contents",
                "Please ensure that function response turn comes immediately after a function call turn.",
            )?;
        }
    }
    Ok(())
}

/// In the current turn the first call of each step is signed, if the model demands it.
fn signed(contents: &[&Value], model: &str) -> Result<(), Complaint> {
    if !is_third(model) {
        return Ok(());
    }
    let asks = |it: &&Value| it["role"] != "model" && names(it, "functionResponse").is_empty();
    let start = contents.iter().rposition(asks).unwrap_or(0);
    for (number, it) in contents.iter().enumerate().skip(start) {
        let first = list(it, "parts").enumerate().find(|(_, it)| !get(it, "functionCall").is_null());
        if let Some((place, part)) = first
            && get(part, "thoughtSignature").is_null()
        {
            let name = get(part, "functionCall")["name"].as_str().unwrap_or_default();
            return Complaint::of(
                format!("contents[{number}].parts[{place}]"),
                format!(
                    "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, and missing thought_signature may lead to degraded model performance. Additional data, function call `default_api:{name}` , position {}. Please refer to https://ai.google.dev/gemini-api/docs/thought-signatures for more details.",
                    number + 1
                ),
            );
        }
    }
    Ok(())
}
