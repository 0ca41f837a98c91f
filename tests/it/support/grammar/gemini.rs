//! Gemini's streams, as `google-genai` and Gemini CLI read them: chunks that are each a whole answer of their own.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Arguments, Event, Told, ensure, json};

/// What a candidate has said.
#[derive(Default)]
struct Candidate {
    finish: Option<String>,
    said: bool,
}

/// A stream of events: no names, and nothing but the end of the bytes after the last chunk.
pub(super) fn check(events: &[Event<'_>], arguments: Arguments) -> Result<Told, String> {
    ensure(events.iter().all(|it| it.name.is_none()), "an event of Gemini has a name")?;
    check_chunks(events.iter().map(|it| it.data), arguments)
}

/// A stream that is one JSON array, an element a chunk, each on its own line.
pub(crate) fn check_array(stream: &[u8]) -> Result<Told, String> {
    let text = std::str::from_utf8(stream).map_err(|it| format!("not UTF-8: {it}"))?;
    ensure(json(text)?.is_array(), "the stream is no array")?;
    let inside = text.trim().strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    check_chunks(inside.ok_or("the array is not closed")?.split(",\n"), Arguments::Any)
}

fn check_chunks<'t>(chunks: impl Iterator<Item = &'t str>, arguments: Arguments) -> Result<Told, String> {
    let mut candidates: BTreeMap<u64, Candidate> = BTreeMap::new();
    let mut head: Option<[Value; 2]> = None;
    let mut over: Option<Told> = None;
    for chunk in chunks {
        ensure(over.is_none(), "something follows the last chunk")?;
        let chunk = json(chunk)?;
        let fields = chunk.as_object().ok_or("a chunk that is no object")?;
        if let Some(error) = fields.get("error") {
            ensure(
                error["code"].is_u64() && error["message"].is_string(),
                "an error without code or message",
            )?;
            ensure(error["status"].is_string(), "an error without status")?;
            ensure(fields.len() == 1, "an error has something beside it")?;
            over = Some(Told::Error);
            continue;
        }
        let named = [fields.get("responseId"), fields.get("modelVersion")];
        let [Some(id @ Value::String(_)), Some(model @ Value::String(_))] = named else {
            return Err("a chunk without responseId or modelVersion".to_owned());
        };
        let named = [id.clone(), model.clone()];
        ensure(*head.get_or_insert_with(|| named.clone()) == named, "the head of chunks changes")?;
        check_usage(fields.get("usageMetadata"))?;
        match fields.get("candidates") {
            None => {
                ensure(chunk["promptFeedback"]["blockReason"].is_string(), "a chunk without candidates")?;
                ensure(candidates.is_empty(), "a prompt is blocked after its answer began")?;
                over = Some(Told::Success);
            }
            Some(list) => {
                let list = list.as_array().ok_or("candidates are no array")?;
                ensure(!list.is_empty(), "candidates are empty")?;
                for candidate in list {
                    let index = candidate["index"].as_u64().ok_or("a candidate without index")?;
                    check_candidate(candidates.entry(index).or_default(), candidate, arguments)?;
                }
                let ended = candidates.values().all(|it| it.finish.is_some());
                over = ended.then_some(Told::Success);
            }
        }
    }
    over.ok_or_else(|| "no finishReason of some candidate, and no error".to_owned())
}

fn check_usage(usage: Option<&Value>) -> Result<(), String> {
    let Some(usage) = usage else { return Ok(()) };
    let count = |key: &str| match usage.get(key) {
        None => Ok(0),
        Some(count) => count.as_u64().ok_or(format!("{key} is no count")),
    };
    let parts = ["promptTokenCount", "toolUsePromptTokenCount", "candidatesTokenCount", "thoughtsTokenCount"];
    let sum = parts.into_iter().map(count).sum::<Result<u64, String>>()?;
    ensure(count("totalTokenCount")? == sum, "totalTokenCount is not the sum")?;
    ensure(count("cachedContentTokenCount")? <= count("promptTokenCount")?, "more is cached than was asked")
}

fn check_candidate(state: &mut Candidate, candidate: &Value, arguments: Arguments) -> Result<(), String> {
    ensure(state.finish.is_none(), "something follows finishReason")?;
    let content = &candidate["content"];
    ensure(content["role"] == "model", "content whose role is not model")?;
    let parts = content["parts"].as_array().ok_or("content without parts")?;
    ensure(!parts.is_empty(), "content with no part at all")?;
    let is_bare = |part: &Value| part.as_object().is_some_and(|it| it.len() == 1) && part["text"] == "";
    match candidate.get("finishReason") {
        None => {
            for part in parts {
                ensure(!is_bare(part), "an empty part that does not end anything")?;
                check_part(part, parts.len(), arguments)?;
            }
            ensure(candidate.get("groundingMetadata").is_none(), "sources before the end")?;
            state.said = true;
        }
        Some(reason) => {
            let reason = reason.as_str().ok_or("a finishReason that is no text")?;
            ensure(is_reason(reason), "an unknown finishReason")?;
            ensure(parts.len() == 1 && is_bare(&parts[0]), "the finish is not in a chunk of its own")?;
            state.finish = Some(reason.to_owned());
        }
    }
    Ok(())
}

/// A part has one kind of data; an empty text carries a signature and stands alone.
fn check_part(part: &Value, siblings: usize, arguments: Arguments) -> Result<(), String> {
    let fields = part.as_object().ok_or("a part that is no object")?;
    if fields.contains_key("thought") {
        ensure(part["thought"] == true, "thought is not true")?;
    }
    if let Some(signature) = fields.get("thoughtSignature") {
        ensure(signature.as_str().is_some_and(|it| !it.is_empty()), "a signature that is no text")?;
    }
    let data = fields.keys().filter(|it| !matches!(it.as_str(), "thought" | "thoughtSignature"));
    let known = ["text", "functionCall", "inlineData", "fileData", "executableCode", "codeExecutionResult"];
    let kinds: Vec<&String> = data.collect();
    if let Some(text) = fields.get("text") {
        let text = text.as_str().ok_or("a text that is none")?;
        ensure(kinds.len() == 1, "a text with other data")?;
        let signs = fields.contains_key("thoughtSignature") && siblings == 1;
        return ensure(!text.is_empty() || signs, "an empty text beside others, or without a signature");
    }
    // A model may draw or run code while it thinks.
    let is_call = fields.contains_key("functionCall");
    ensure(!(fields.contains_key("thought") && is_call), "a thought that is a call")?;
    let its: Vec<&&String> = kinds.iter().filter(|it| known.contains(&it.as_str())).collect();
    ensure(its.len() <= 1, "a part with two kinds of data")?;
    if let Some(call) = fields.get("functionCall") {
        let named = |key: &str| call[key].as_str().is_some_and(|it| !it.is_empty());
        ensure(named("name") && named("id"), "a call without name or id")?;
        ensure(call["args"].is_object() || arguments == Arguments::Any, "a call whose args are no object")?;
        ensure(call.get("partialArgs").is_none() && call.get("willContinue").is_none(), "a call in pieces")?;
    }
    if let Some(data) = fields.get("inlineData") {
        ensure(data["mimeType"].is_string() && data["data"].is_string(), "inlineData without type or data")?;
    }
    Ok(())
}

/// The words of `google-genai`'s `FinishReason`; one that was invented later is in capitals too.
fn is_reason(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit() || it == b'_')
}
