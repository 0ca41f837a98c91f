//! An independent checker of Messages streams, for tests: the grammar of Anthropic's streaming documentation, as an automaton.

use serde_json::{Map, Value};

/// Where a stream stands.
#[derive(Debug)]
enum State {
    Nothing,
    Between,
    /// In a block of a type; the text of its input so far.
    Inside(String, String),
    Stopping,
    Over,
}

/// What a legal stream said.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The whole content, put together as an SDK does.
    pub(super) content: Vec<Value>,
    pub(super) start: Value,
    pub(super) end: Value,
    pub(super) error: Option<Value>,
}

/// Reads a stream's bytes; the error says what is wrong with them.
pub(super) fn check(bytes: &[u8]) -> Result<Told, String> {
    let text = std::str::from_utf8(bytes).map_err(|it| it.to_string())?;
    if text.contains(['\u{2028}', '\u{2029}']) {
        return Err("a line separator is not escaped".to_owned());
    }
    let mut told = Told::default();
    let mut state = State::Nothing;
    let mut called = false;
    for frame in text.split_terminator("\n\n") {
        let (event, data) = frame.split_once('\n').ok_or("a frame has two lines")?;
        let event = event.strip_prefix("event: ").ok_or("an event has its name")?;
        let data = data.strip_prefix("data: ").ok_or("an event has its data")?;
        let data: Value = serde_json::from_str(data).map_err(|it| format!("{it}: {data}"))?;
        if data["type"] != event {
            return Err(format!("`{event}` is not {}", data["type"]));
        }
        state = step(state, event, data, &mut told, &mut called)?;
    }
    match state {
        State::Over => Ok(told),
        other => Err(format!("the stream ends in {other:?}")),
    }
}

fn step(state: State, event: &str, data: Value, told: &mut Told, called: &mut bool) -> Result<State, String> {
    let last = told.content.len();
    Ok(match (state, event) {
        (State::Over, _) => return Err(format!("`{event}` after the end")),
        (_, "error") => {
            if !data["error"]["type"].is_string() || !data["error"]["message"].is_string() {
                return Err("an error says what it is".to_owned());
            }
            told.error = Some(data);
            State::Over
        }
        (State::Nothing, "message_start") => {
            let message = &data["message"];
            if !message["usage"]["input_tokens"].is_u64() || message["content"] != Value::Array(Vec::new()) {
                return Err(format!("a bad start: {data}"));
            }
            told.start = data;
            State::Between
        }
        (State::Between, "content_block_start") => {
            if data["index"] != last {
                return Err(format!("block {} is not {last}", data["index"]));
            }
            let block = data["content_block"].clone();
            let kind = block["type"].as_str().ok_or("a block has a type")?.to_owned();
            let named = |key: &str| block[key].as_str().is_some_and(|it| !it.is_empty());
            if kind == "tool_use"
                && !(named("id") && named("name") && block["input"] == Value::Object(Map::new()))
            {
                return Err(format!("a bad call: {block}"));
            }
            told.content.push(block);
            State::Inside(kind, String::new())
        }
        (State::Inside(kind, input), "content_block_delta") => {
            if data["index"] != last - 1 {
                return Err("a delta of a block that is not open".to_owned());
            }
            let input = add(&kind, input, &data["delta"], &mut told.content[last - 1])?;
            State::Inside(kind, input)
        }
        (State::Inside(kind, input), "content_block_stop") => {
            if data["index"] != last - 1 {
                return Err("the end of a block that is not open".to_owned());
            }
            if kind == "tool_use" && input.is_empty() {
                return Err("a call without arguments".to_owned());
            }
            if !input.is_empty() {
                let input = serde_json::from_str(&input).unwrap_or(Value::String(input));
                told.content[last - 1]["input"] = input;
            }
            *called |= kind == "tool_use";
            State::Between
        }
        (State::Between, "message_delta") => {
            if !data["usage"]["output_tokens"].is_u64() {
                return Err("`message_delta` has usage".to_owned());
            }
            if data["delta"]["stop_reason"] == "tool_use" && !*called {
                return Err("`tool_use` without a call".to_owned());
            }
            told.end = data;
            State::Stopping
        }
        (State::Stopping, "message_stop") => State::Over,
        (State::Nothing, _) => return Err(format!("`{event}` before the start")),
        (state, "ping") => state,
        (state, _) => return Err(format!("`{event}` in {state:?}")),
    })
}

fn add(kind: &str, mut input: String, delta: &Value, block: &mut Value) -> Result<String, String> {
    let piece = delta["type"].as_str().unwrap_or_default();
    let mut append = |field: &str| -> Result<(), String> {
        let text = delta[field].as_str().ok_or_else(|| format!("a bad delta: {delta}"))?;
        let old = block[field].as_str().unwrap_or_default();
        block[field] = Value::String(format!("{old}{text}"));
        Ok(())
    };
    match (kind, piece) {
        ("text", "text_delta") => append("text")?,
        ("thinking", "thinking_delta") => append("thinking")?,
        ("thinking", "signature_delta") => append("signature")?,
        ("text", "citations_delta") if delta["citation"].is_object() => {}
        ("tool_use" | "server_tool_use" | "mcp_tool_use", "input_json_delta") => {
            input.push_str(delta["partial_json"].as_str().ok_or("a bad delta")?);
        }
        _ => return Err(format!("`{piece}` in a block of `{kind}`")),
    }
    Ok(input)
}
