//! What a client of OpenAI Responses accepts: events numbered without gaps, items announced before what is said of them,
//! every one of them done and told again in the answer, one end.

use serde_json::Value;

use super::{Arguments, Event, Told, check_calls, ensure, json};

/// Fields that a response object always has, though they be null.
const ALWAYS: [&str; 26] = [
    "id",
    "object",
    "created_at",
    "status",
    "completed_at",
    "error",
    "incomplete_details",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "output",
    "parallel_tool_calls",
    "previous_response_id",
    "reasoning",
    "service_tier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_p",
    "truncation",
    "usage",
    "background",
];

pub(super) fn check(events: &[Event<'_>], arguments: Arguments) -> Result<Told, String> {
    let mut stream = Stream::default();
    for event in events {
        ensure(!stream.done, "something follows [DONE]")?;
        if event.data == "[DONE]" {
            ensure(event.name.is_none(), "[DONE] has a name")?;
            stream.done = true;
            continue;
        }
        let data = json(event.data)?;
        let kind = data["type"].as_str().ok_or("an event without type")?;
        ensure(event.name == Some(kind), "an event's name is not its type")?;
        ensure(stream.over.is_none(), "something follows the last event")?;
        ensure(data["sequence_number"].as_u64() == Some(stream.events), "numbers of events have a gap")?;
        stream.take(kind, &data).map_err(|it| format!("{kind}: {it}"))?;
        stream.events += 1;
    }
    if stream.over == Some(Told::Success) && arguments == Arguments::Json && !stream.incomplete {
        check_calls(&stream.calls)?;
    }
    stream.over.ok_or_else(|| "neither response.completed nor another end".to_owned())
}

#[derive(Default)]
struct Stream {
    events: u64,
    /// The answer's id, from the first event on.
    id: Option<String>,
    /// The items by their place.
    items: Vec<Item>,
    /// The arguments of functions.
    calls: Vec<String>,
    incomplete: bool,
    over: Option<Told>,
    done: bool,
}

struct Item {
    kind: String,
    id: Value,
    call_id: Value,
    parts: Vec<Part>,
    /// What deltas said of a call, or of code.
    said: String,
    input_done: bool,
    /// The item as `output_item.done` told it.
    whole: Option<Value>,
}

/// A part of a message, or of thoughts.
struct Part {
    kind: String,
    said: String,
    text_done: bool,
    annotations: Vec<Value>,
    whole: Option<Value>,
}

impl Stream {
    fn take(&mut self, kind: &str, data: &Value) -> Result<(), String> {
        match kind {
            "response.created" => {
                ensure(self.events == 0, "it is not the first event")?;
                let response = &data["response"];
                self.id = response["id"].as_str().map(str::to_owned);
                ensure(
                    self.id.as_deref().is_some_and(|it| it.starts_with("resp_")),
                    "an odd id of the answer",
                )?;
                self.check_response(response, "in_progress")
            }
            "error" => {
                ensure(self.id.is_some(), "it comes before response.created")?;
                ensure(data.get("error").is_none(), "the error is not flat")?;
                ensure(data["message"].is_string(), "an error without message")?;
                ensure(
                    data.get("code").is_some() && data.get("param").is_some(),
                    "an error without its fields",
                )
            }
            _ if self.id.is_none() => Err("it comes before response.created".to_owned()),
            "response.in_progress" => {
                ensure(self.events == 1, "it is not the second event")?;
                self.check_response(&data["response"], "in_progress")
            }
            "response.completed" => self.end(&data["response"], "completed"),
            "response.incomplete" => self.end(&data["response"], "incomplete"),
            "response.failed" => self.fail(&data["response"]),
            "response.output_item.added" => self.add(data),
            "response.output_item.done" => self.finish(data),
            _ => self.of_item(kind, data),
        }
    }

    /// Checks what a response object must have at any time.
    fn check_response(&self, response: &Value, status: &str) -> Result<(), String> {
        for key in ALWAYS {
            ensure(response.get(key).is_some(), &format!("the answer has no {key}"))?;
        }
        ensure(response["id"].as_str() == self.id.as_deref(), "the answer's id changes")?;
        ensure(response["object"] == "response" && response["status"] == status, "an odd object or status")?;
        ensure(response["created_at"].is_number() && response["model"].is_string(), "no time or model")?;
        ensure(response["tools"].is_array() && response["output"].is_array(), "no list of tools or items")?;
        ensure(response["parallel_tool_calls"].is_boolean(), "parallel_tool_calls is no boolean")?;
        let choice = &response["tool_choice"];
        ensure(choice.is_string() || choice.is_object(), "an odd tool_choice")?;
        ensure(response["text"]["format"]["type"].is_string(), "no format of text")?;
        ensure(response["metadata"].is_object(), "metadata is no object")?;
        ensure(response["error"].is_null() == (status != "failed"), "an error, or none, at the wrong time")?;
        let cut = status == "incomplete";
        ensure(response["incomplete_details"].is_null() != cut, "incomplete_details at the wrong time")?;
        if status == "in_progress" {
            ensure(response["output"].as_array().is_some_and(Vec::is_empty), "it begins with items")?;
            ensure(response["usage"].is_null(), "it begins with usage")?;
        }
        Ok(())
    }

    fn end(&mut self, response: &Value, status: &str) -> Result<(), String> {
        self.check_response(response, status)?;
        check_usage(&response["usage"])?;
        self.incomplete = status == "incomplete";
        let output = response["output"].as_array().ok_or("no output")?;
        ensure(output.len() == self.items.len(), "the answer has other items than the stream")?;
        for (item, told) in self.items.iter().zip(output) {
            let done = item.whole.as_ref().ok_or("an item is not done")?;
            ensure(done == told, "an item of the answer is not as it was done")?;
        }
        for (place, item) in output.iter().enumerate() {
            // How a tool of the provider's ended is said by its own item.
            let told = ["message", "reasoning", "function_call", "custom_tool_call"];
            let cut = item["status"] == "incomplete" && told.iter().any(|it| item["type"] == *it);
            ensure(
                !cut || (self.incomplete && place + 1 == output.len()),
                "an item is cut that is not the last",
            )?;
        }
        if self.incomplete {
            let reason = response["incomplete_details"]["reason"].as_str();
            ensure(matches!(reason, Some("max_output_tokens" | "content_filter")), "an odd reason")?;
        }
        self.over = Some(Told::Success);
        Ok(())
    }

    fn fail(&mut self, response: &Value) -> Result<(), String> {
        self.check_response(response, "failed")?;
        let error = &response["error"];
        ensure(error["code"].is_string() && error["message"].is_string(), "an error without its texts")?;
        for item in response["output"].as_array().into_iter().flatten() {
            ensure(self.items.iter().any(|it| it.id == item["id"]), "an item that was not announced")?;
        }
        self.over = Some(Told::Error);
        Ok(())
    }

    fn add(&mut self, data: &Value) -> Result<(), String> {
        let item = &data["item"];
        ensure(data["output_index"].as_u64() == Some(self.items.len() as u64), "places of items have a gap")?;
        let kind = item["type"].as_str().ok_or("an item without type")?.to_owned();
        let id = item["id"].as_str().ok_or("an item without id")?;
        ensure(id.len() <= 64 && !self.items.iter().any(|it| it.id == item["id"]), "an id is used twice")?;
        check_item(item)?;
        let empty = match kind.as_str() {
            "message" => item["content"] == Value::Array(Vec::new()),
            "reasoning" => item["summary"] == Value::Array(Vec::new()),
            "function_call" => item["arguments"] == "",
            "custom_tool_call" => item["input"] == "",
            _ => true,
        };
        ensure(empty, "an item begins with content")?;
        let known = matches!(kind.as_str(), "message" | "reasoning" | "function_call" | "custom_tool_call");
        ensure(!known || item["status"] == "in_progress", "an item begins with an odd status")?;
        self.items.push(Item {
            kind,
            id: item["id"].clone(),
            call_id: item["call_id"].clone(),
            parts: Vec::new(),
            said: String::new(),
            input_done: false,
            whole: None,
        });
        Ok(())
    }

    fn finish(&mut self, data: &Value) -> Result<(), String> {
        let told = &data["item"];
        let item = item_at(&mut self.items, data)?;
        ensure(
            told["id"] == item.id && told["type"] == item.kind.as_str(),
            "an item changes its id or type",
        )?;
        ensure(told["call_id"] == item.call_id, "a call changes its id")?;
        check_item(told)?;
        ensure(told["status"] != "in_progress", "an item that is done is in progress")?;
        match item.kind.as_str() {
            "message" => {
                let parts: Vec<&Value> = item.parts.iter().filter_map(|it| it.whole.as_ref()).collect();
                ensure(parts.len() == item.parts.len(), "a part is not done")?;
                let content = told["content"].as_array().ok_or("no content")?;
                ensure(content.iter().eq(parts), "the content is not that of the parts")?;
                ensure(!content.is_empty(), "a message without content")?;
            }
            "reasoning" => {
                let parts: Vec<&Value> = item.parts.iter().filter_map(|it| it.whole.as_ref()).collect();
                ensure(parts.len() == item.parts.len(), "a part is not done")?;
                let list = if item.parts.iter().any(|it| it.kind == "reasoning_text") {
                    "content"
                } else {
                    "summary"
                };
                let told = told[list].as_array().ok_or("no list of thoughts")?;
                ensure(told.iter().eq(parts), "the thoughts are not those of the parts")?;
            }
            "function_call" => {
                ensure(item.input_done, "arguments are not done")?;
                ensure(told["arguments"] == item.said.as_str(), "arguments are not those of the deltas")?;
                self.calls.push(item.said.clone());
            }
            "custom_tool_call" => {
                ensure(item.input_done, "the input is not done")?;
                ensure(told["input"] == item.said.as_str(), "the input is not that of the deltas")?;
            }
            _ => {}
        }
        item.whole = Some(told.clone());
        Ok(())
    }

    fn of_item(&mut self, kind: &str, data: &Value) -> Result<(), String> {
        let name = kind.strip_prefix("response.").ok_or("an unknown event")?;
        let item = item_at(&mut self.items, data)?;
        ensure(data["item_id"] == item.id, "it is of another item")?;
        match name {
            "content_part.added" | "reasoning_summary_part.added" => {
                ensure(
                    item.kind
                        == if ["summary_text", "reasoning_text"].iter().any(|it| data["part"]["type"] == *it)
                        {
                            "reasoning"
                        } else {
                            "message"
                        },
                    "a part of the wrong item",
                )?;
                ensure(item.parts.last().is_none_or(|it| it.whole.is_some()), "two parts are open")?;
                ensure(
                    part_index(name, data) == Some(item.parts.len() as u64),
                    "places of parts have a gap",
                )?;
                let kind = data["part"]["type"].as_str().ok_or("a part without type")?.to_owned();
                check_part(&data["part"])?;
                let text = if kind == "refusal" { "refusal" } else { "text" };
                let known = is_known_part(&data["part"]);
                ensure(!known || data["part"][text] == "", "a part begins with text")?;
                let part = Part {
                    kind,
                    said: String::new(),
                    text_done: !known,
                    annotations: Vec::new(),
                    whole: None,
                };
                item.parts.push(part);
                Ok(())
            }
            "output_text.delta" => {
                ensure(data["logprobs"].is_array(), "a delta without logprobs")?;
                say(item, name, data, "output_text")
            }
            "refusal.delta" => say(item, name, data, "refusal"),
            "reasoning_summary_text.delta" => say(item, name, data, "summary_text"),
            "reasoning_text.delta" => say(item, name, data, "reasoning_text"),
            "output_text.annotation.added" => {
                let part = part_at(item, name, data)?;
                let next = part.annotations.len() as u64;
                ensure(data["annotation_index"].as_u64() == Some(next), "places of annotations have a gap")?;
                ensure(data["annotation"]["type"].is_string(), "an annotation without type")?;
                part.annotations.push(data["annotation"].clone());
                Ok(())
            }
            "output_text.done" | "reasoning_summary_text.done" | "reasoning_text.done" | "refusal.done" => {
                let part = part_at(item, name, data)?;
                ensure(!part.text_done, "a text is done twice")?;
                part.text_done = true;
                let text = if name == "refusal.done" { "refusal" } else { "text" };
                ensure(data[text] == part.said.as_str(), "the text is not that of the deltas")
            }
            "content_part.done" | "reasoning_summary_part.done" => {
                let part = part_at(item, name, data)?;
                let told = &data["part"];
                ensure(part.text_done, "a part is done before its text")?;
                ensure(told["type"] == part.kind.as_str(), "a part changes its type")?;
                check_part(told)?;
                let text = if part.kind == "refusal" { "refusal" } else { "text" };
                let known = is_known_part(told);
                ensure(!known || told[text] == part.said.as_str(), "the part is not what was said")?;
                if part.kind == "output_text" {
                    let annotations = Value::Array(part.annotations.clone());
                    ensure(told["annotations"] == annotations, "annotations are not those that were added")?;
                }
                part.whole = Some(told.clone());
                Ok(())
            }
            "function_call_arguments.delta" => say_input(item, data, "function_call"),
            "custom_tool_call_input.delta" => say_input(item, data, "custom_tool_call"),
            "code_interpreter_call_code.delta" => say_input(item, data, "code_interpreter_call"),
            "function_call_arguments.done" => end_input(item, data, "arguments"),
            "custom_tool_call_input.done" => end_input(item, data, "input"),
            "code_interpreter_call_code.done" => end_input(item, data, "code"),
            _ => {
                let (what, stage) = name.rsplit_once('.').ok_or("an unknown event")?;
                ensure(what == item.kind, "a stage of another kind of item")?;
                let stages =
                    ["in_progress", "searching", "interpreting", "generating", "completed", "failed"];
                ensure(stages.contains(&stage), "an unknown stage")
            }
        }
    }
}

/// The item an event is of, while it is open.
fn item_at<'a>(items: &'a mut [Item], data: &Value) -> Result<&'a mut Item, String> {
    let place = usize::try_from(data["output_index"].as_u64().ok_or("no output_index")?).unwrap();
    let item = items.get_mut(place).ok_or("it comes before its item was added")?;
    ensure(item.whole.is_none(), "it comes after its item was done")?;
    Ok(item)
}

fn part_index(event: &str, data: &Value) -> Option<u64> {
    let key = if event.starts_with("reasoning_summary") { "summary_index" } else { "content_index" };
    data[key].as_u64()
}

/// The part an event is of, while it is open.
fn part_at<'a>(item: &'a mut Item, event: &str, data: &Value) -> Result<&'a mut Part, String> {
    let place = usize::try_from(part_index(event, data).ok_or("no place of the part")?).unwrap();
    let part = item.parts.get_mut(place).ok_or("it comes before its part was added")?;
    ensure(part.whole.is_none(), "it comes after its part was done")?;
    Ok(part)
}

fn say(item: &mut Item, event: &str, data: &Value, kind: &str) -> Result<(), String> {
    let part = part_at(item, event, data)?;
    ensure(part.kind == kind && !part.text_done, "a delta of another kind of part, or too late")?;
    part.said.push_str(data["delta"].as_str().ok_or("a delta that is no text")?);
    Ok(())
}

fn say_input(item: &mut Item, data: &Value, kind: &str) -> Result<(), String> {
    ensure(item.kind == kind && !item.input_done, "a delta of another kind of item, or too late")?;
    item.said.push_str(data["delta"].as_str().ok_or("a delta that is no text")?);
    Ok(())
}

fn end_input(item: &mut Item, data: &Value, key: &str) -> Result<(), String> {
    ensure(!item.input_done, "it is done twice")?;
    item.input_done = true;
    ensure(data[key] == item.said.as_str(), "it is not what the deltas said")
}

/// Checks what an item of a kind we know must have at any time.
fn check_item(item: &Value) -> Result<(), String> {
    let text = |key: &str| item[key].as_str().is_some_and(|it| !it.is_empty());
    let named = |prefix: &str| item["id"].as_str().is_some_and(|it| it.starts_with(prefix));
    let status = item["status"].is_string();
    let holds = match item["type"].as_str().unwrap_or_default() {
        "message" => {
            let parts = item["content"].as_array().ok_or("a message without a list of parts")?;
            parts.iter().try_for_each(check_part)?;
            named("msg_") && status && item["role"] == "assistant"
        }
        "reasoning" => {
            let summary = item["summary"].as_array().ok_or("thoughts without a list")?;
            summary.iter().try_for_each(check_part)?;
            let state = &item["encrypted_content"];
            named("rs_") && (state.is_null() || text("encrypted_content"))
        }
        "function_call" => {
            named("fc_") && status && text("call_id") && text("name") && item["arguments"].is_string()
        }
        "custom_tool_call" => named("ctc_") && text("call_id") && text("name") && item["input"].is_string(),
        "web_search_call" => named("ws_") && status && item["action"]["type"].is_string(),
        "code_interpreter_call" => named("ci_") && status && item["container_id"].is_string(),
        "image_generation_call" => named("ig_") && status,
        _ => true,
    };
    ensure(holds, "an item lacks what its kind must have")
}

fn check_part(part: &Value) -> Result<(), String> {
    let holds = match part["type"].as_str().unwrap_or_default() {
        "output_text" => {
            part["text"].is_string() && part["annotations"].is_array() && part["logprobs"].is_array()
        }
        "refusal" => part["refusal"].is_string(),
        "summary_text" | "reasoning_text" => part["text"].is_string(),
        // A kind that was invented later: it comes whole.
        other => !other.is_empty(),
    };
    ensure(holds, "a part lacks what its kind must have")
}

fn is_known_part(part: &Value) -> bool {
    ["output_text", "refusal", "summary_text", "reasoning_text"].iter().any(|it| part["type"] == *it)
}

fn check_usage(usage: &Value) -> Result<(), String> {
    let count = |at: &str| usage.pointer(at).and_then(Value::as_u64).ok_or(format!("usage without {at}"));
    let sum = count("/input_tokens")? + count("/output_tokens")?;
    ensure(count("/total_tokens")? == sum, "total_tokens is not the sum")?;
    count("/input_tokens_details/cached_tokens")?;
    count("/output_tokens_details/reasoning_tokens")?;
    for key in ["input_tokens_details", "output_tokens_details"] {
        let numbers = usage[key].as_object().is_some_and(|it| it.values().all(Value::is_u64));
        ensure(numbers, "details of usage that are no counts")?;
    }
    Ok(())
}
