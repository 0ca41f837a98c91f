//! What a client accepts as a stream of its dialect, written down without our encoders: automata over the bytes.

pub(crate) mod gemini;
mod responses;

use std::collections::BTreeMap;

use dragoman::dialect::DialectId;
use serde_json::Value;

/// How a well-formed stream told its client that it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Success,
    Error,
}

/// What is asked of the arguments of tool calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arguments {
    /// They are JSON, unless the answer was cut by its limit.
    Json,
    /// What the model wrote is passed on, whatever it is (edge case 141).
    Any,
}

/// Reads a stream as a client of `dialect` does; `Err` says which rule was broken.
pub(crate) fn check(dialect: DialectId, stream: &[u8]) -> Result<Told, String> {
    walk(dialect, stream, Arguments::Json)
}

/// Reads a stream whose upstream may have said nonsense: only its form counts.
pub(crate) fn check_form(dialect: DialectId, stream: &[u8]) -> Result<Told, String> {
    walk(dialect, stream, Arguments::Any)
}

fn walk(dialect: DialectId, stream: &[u8], arguments: Arguments) -> Result<Told, String> {
    let text = std::str::from_utf8(stream).map_err(|it| format!("not UTF-8: {it}"))?;
    if dialect == DialectId::Gemini {
        ensure(!text.split('\n').any(|it| it.starts_with(':')), "a comment, which Google's SDK breaks on")?;
        // Blank lines keep a silent stream alive.
        let mut plain = text.to_owned();
        while plain.contains("\n\n\n") {
            plain = plain.replace("\n\n\n", "\n\n");
        }
        return gemini::check(&split(&plain)?, arguments);
    }
    let events = split(text)?;
    match dialect {
        DialectId::OpenaiChat => check_chat(&events, arguments),
        DialectId::AnthropicMessages => check_messages(&events, arguments),
        DialectId::OpenaiResponses => responses::check(&events, arguments),
        DialectId::Gemini => unreachable!("it was read above"),
    }
}

struct Event<'t> {
    name: Option<&'t str>,
    data: &'t str,
}

/// Splits as strictly as the strictest client: `\n` alone, one `data: ` line an event, each event ended by a blank line.
fn split(text: &str) -> Result<Vec<Event<'_>>, String> {
    ensure(text.is_empty() || text.ends_with("\n\n"), "the last event is not ended")?;
    let odd = |it: char| matches!(it, '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
    ensure(!text.contains(odd), "a character stands there that some clients split lines at")?;
    let mut events = Vec::new();
    for block in text.split_terminator("\n\n") {
        let mut event = Event { name: None, data: "" };
        let mut comment = false;
        for line in block.split('\n') {
            if let Some(data) = line.strip_prefix("data: ") {
                ensure(event.data.is_empty(), "an event has two data lines")?;
                event.data = data;
            } else if let Some(name) = line.strip_prefix("event: ") {
                event.name = Some(name);
            } else if line.starts_with(':') {
                comment = true;
            } else {
                return Err(format!("an odd line: {line:?}"));
            }
        }
        ensure(comment || !event.data.is_empty(), "an event has no data")?;
        if !event.data.is_empty() {
            events.push(event);
        }
    }
    Ok(events)
}

fn ensure(holds: bool, rule: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(rule.to_owned()) }
}

fn json(data: &str) -> Result<Value, String> {
    serde_json::from_str(data).map_err(|it| format!("{it}: {data}"))
}

#[derive(Default)]
struct ChatChoice {
    role: bool,
    /// The arguments of each call, by its index.
    calls: Vec<String>,
    finish: Option<String>,
}

fn check_chat(events: &[Event<'_>], arguments: Arguments) -> Result<Told, String> {
    let mut choices: BTreeMap<u64, ChatChoice> = BTreeMap::new();
    let mut head: Option<[Value; 3]> = None;
    let (mut done, mut failed, mut usage) = (false, false, false);
    for event in events {
        ensure(event.name.is_none(), "a Chat event has a name")?;
        ensure(!done, "something follows [DONE]")?;
        if event.data == "[DONE]" {
            done = true;
            continue;
        }
        ensure(!failed, "something other than [DONE] follows an error")?;
        let chunk = json(event.data)?;
        if let Some(error) = chunk.get("error") {
            ensure(error["message"].is_string() && error["type"].is_string(), "an error without its texts")?;
            ensure(
                error.get("param").is_some() && error.get("code").is_some(),
                "an error without param and code",
            )?;
            failed = true;
            continue;
        }
        ensure(chunk["object"] == "chat.completion.chunk", "a chunk that is no chunk")?;
        let named = [chunk["id"].clone(), chunk["created"].clone(), chunk["model"].clone()];
        ensure(
            named[0].is_string() && named[1].is_number() && named[2].is_string(),
            "a chunk without its head",
        )?;
        ensure(*head.get_or_insert_with(|| named.clone()) == named, "the head of chunks changes")?;
        let list = chunk["choices"].as_array().ok_or("choices is no array")?;
        ensure(!usage, "a chunk follows the usage chunk")?;
        if list.is_empty() {
            ensure(chunk["usage"].is_object(), "a chunk without choices and usage")?;
            ensure(choices.values().all(|it| it.finish.is_some()), "usage before the end")?;
            check_chat_usage(&chunk["usage"])?;
            usage = true;
        }
        for choice in list {
            let index = choice["index"].as_u64().ok_or("a choice without index")?;
            check_chat_choice(choices.entry(index).or_default(), choice)?;
        }
    }
    if failed {
        return Ok(Told::Error);
    }
    ensure(done, "neither [DONE] nor an error")?;
    ensure(!choices.is_empty(), "no choice at all")?;
    for choice in choices.values() {
        let finish = choice.finish.as_deref().ok_or("a choice without finish_reason")?;
        if arguments == Arguments::Json && finish != "length" {
            check_calls(&choice.calls)?;
        }
        ensure(finish != "tool_calls" || !choice.calls.is_empty(), "tool_calls without a call")?;
    }
    Ok(Told::Success)
}

fn check_chat_choice(state: &mut ChatChoice, choice: &Value) -> Result<(), String> {
    ensure(state.finish.is_none(), "something follows finish_reason")?;
    let delta = choice["delta"].as_object().ok_or("a choice without delta")?;
    ensure(state.role != delta.contains_key("role"), "role is not in the first delta alone")?;
    state.role = true;
    for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
        let index = usize::try_from(call["index"].as_u64().ok_or("a call without index")?).unwrap();
        ensure(index <= state.calls.len(), "indices of calls have a gap")?;
        let first = index == state.calls.len();
        let custom = call.get("custom").is_some();
        let (kind, text) = if custom { ("custom", "input") } else { ("function", "arguments") };
        let function = &call[kind];
        let named = call["id"].as_str().is_some_and(|it| !it.is_empty())
            && call["type"] == kind
            && function["name"].as_str().is_some_and(|it| !it.is_empty());
        let unnamed = call.get("id").is_none() && function.get("name").is_none();
        ensure(if first { named } else { unnamed }, "a call's id and name are not in its first piece alone")?;
        let arguments = function[text].as_str().ok_or("a call's piece without arguments")?;
        if first {
            state.calls.push(String::new());
        }
        // A custom tool's input is no JSON: it is kept as if it were.
        state.calls[index].push_str(if custom { "" } else { arguments });
        if custom && first {
            state.calls[index].push_str("{}");
        }
    }
    if let Some(reason) = choice["finish_reason"].as_str() {
        ensure(
            matches!(reason, "stop" | "length" | "tool_calls" | "content_filter" | "function_call"),
            "an unknown finish_reason",
        )?;
        state.finish = Some(reason.to_owned());
    }
    Ok(())
}

fn check_chat_usage(usage: &Value) -> Result<(), String> {
    let count = |key: &str| usage[key].as_u64().ok_or(format!("usage without {key}"));
    let sum = count("prompt_tokens")? + count("completion_tokens")?;
    ensure(count("total_tokens")? == sum, "total_tokens is not the sum")?;
    for key in ["prompt_tokens_details", "completion_tokens_details"] {
        let details = usage.get(key).and_then(Value::as_object);
        let numbers = details.is_none_or(|it| it.values().all(Value::is_u64));
        ensure(numbers, "details of usage that are no counts")?;
    }
    Ok(())
}

fn check_calls(calls: &[String]) -> Result<(), String> {
    for arguments in calls {
        ensure(json(arguments).is_ok(), "a call's arguments are no JSON")?;
    }
    Ok(())
}

/// The open block of a Messages stream.
struct Block {
    kind: String,
    json: String,
}

fn check_messages(events: &[Event<'_>], arguments: Arguments) -> Result<Told, String> {
    let mut open: Option<Block> = None;
    let mut blocks = 0;
    let mut calls = Vec::new();
    let (mut started, mut stop_reason, mut over) = (false, None, None);
    for event in events {
        let data = json(event.data)?;
        let kind = data["type"].as_str().ok_or("an event without type")?;
        ensure(event.name == Some(kind), "an event's name is not its type")?;
        ensure(over.is_none(), "something follows the last event")?;
        match kind {
            "error" => {
                let error = &data["error"];
                ensure(
                    error["type"].is_string() && error["message"].is_string(),
                    "an error without its texts",
                )?;
                over = Some(Told::Error);
            }
            "message_start" => {
                ensure(!started, "message_start twice")?;
                started = true;
                check_message_start(&data["message"])?;
            }
            _ => ensure(started, "an event before message_start")?,
        }
        match kind {
            "content_block_start" => {
                ensure(stop_reason.is_none(), "a block after message_delta")?;
                ensure(open.is_none(), "two blocks are open")?;
                ensure(data["index"].as_u64() == Some(blocks), "indices of blocks have a gap")?;
                blocks += 1;
                open = Some(opened(&data["content_block"])?);
            }
            "content_block_delta" => {
                let block = open.as_mut().ok_or("a delta of no block")?;
                ensure(data["index"].as_u64() == Some(blocks - 1), "a delta of another block")?;
                check_delta(block, &data["delta"])?;
            }
            "content_block_stop" => {
                ensure(data["index"].as_u64() == Some(blocks - 1), "the stop of another block")?;
                let block = open.take().ok_or("a stop of no block")?;
                if block.kind == "tool_use" {
                    calls.push(if block.json.is_empty() { "{}".to_owned() } else { block.json });
                }
            }
            "message_delta" => {
                ensure(open.is_none(), "message_delta while a block is open")?;
                ensure(stop_reason.is_none(), "message_delta twice")?;
                ensure(data["usage"]["output_tokens"].is_u64(), "message_delta without usage")?;
                stop_reason = Some(data["delta"]["stop_reason"].as_str().ok_or("no stop_reason")?.to_owned());
            }
            "message_stop" => {
                ensure(stop_reason.is_some(), "message_stop without message_delta")?;
                over = Some(Told::Success);
            }
            "ping" | "error" | "message_start" => {}
            other => return Err(format!("an unknown event {other}")),
        }
    }
    if over == Some(Told::Success) {
        if arguments == Arguments::Json && stop_reason.as_deref() != Some("max_tokens") {
            check_calls(&calls)?;
        }
        ensure(stop_reason.as_deref() != Some("tool_use") || !calls.is_empty(), "tool_use without a call")?;
    }
    over.ok_or_else(|| "neither message_stop nor an error".to_owned())
}

fn check_message_start(message: &Value) -> Result<(), String> {
    ensure(message["id"].is_string() && message["model"].is_string(), "a message without id or model")?;
    ensure(message["type"] == "message" && message["role"] == "assistant", "a message that is none")?;
    ensure(message["content"].as_array().is_some_and(Vec::is_empty), "a message that begins with content")?;
    ensure(message.get("stop_reason") == Some(&Value::Null), "stop_reason is not null at first")?;
    ensure(message.get("stop_sequence") == Some(&Value::Null), "stop_sequence is not null at first")?;
    let usage = &message["usage"];
    ensure(usage["input_tokens"].is_u64() && usage["output_tokens"].is_u64(), "a message without usage")
}

fn opened(block: &Value) -> Result<Block, String> {
    let kind = block["type"].as_str().ok_or("a block without type")?;
    let holds = match kind {
        "text" => block["text"] == "",
        "thinking" => block["thinking"] == "" && block["signature"].is_string(),
        "redacted_thinking" => block["data"].is_string(),
        "tool_use" => {
            let texts = ["id", "name"].iter().all(|it| block[it].as_str().is_some_and(|it| !it.is_empty()));
            texts && block["input"].is_object()
        }
        _ => true,
    };
    ensure(holds, &format!("a block of type {kind} begins wrongly"))?;
    Ok(Block { kind: kind.to_owned(), json: String::new() })
}

fn check_delta(block: &mut Block, delta: &Value) -> Result<(), String> {
    let kind = delta["type"].as_str().ok_or("a delta without type")?;
    let fits = match kind {
        "text_delta" => block.kind == "text" && delta["text"].is_string(),
        "citations_delta" => block.kind == "text" && delta["citation"].is_object(),
        "thinking_delta" => block.kind == "thinking" && delta["thinking"].is_string(),
        "signature_delta" => block.kind == "thinking" && delta["signature"].is_string(),
        "input_json_delta" => {
            block.json.push_str(delta["partial_json"].as_str().unwrap_or_default());
            block.kind.ends_with("tool_use") && delta["partial_json"].is_string()
        }
        _ => true,
    };
    ensure(fits, &format!("{kind} in a block of type {}", block.kind))
}
