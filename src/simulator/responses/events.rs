//! A Responses answer as events, numbered without gaps.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::simulator::{
    ask::Ask,
    reply::{Answer, Manner},
    responses::{
        item::{items, status},
        write::{begun, ended},
    },
    scenario::Quirk,
};

/// What deltas are padded with, so that their length tells nothing.
const PADDING: &str = "q7Zr0XmKp2VtLw9c";

/// `response.created response.in_progress item* terminal`.
pub(super) fn frames(answer: &Answer, ask: &Ask, manner: Manner<'_>) -> Vec<Bytes> {
    let items = items(answer, ask, manner);
    let mut events = Events { frames: Vec::new(), number: 0, manner, padded: ask.obfuscated };
    for kind in ["response.created", "response.in_progress"] {
        events.tell(kind, json!({"response": begun(answer, ask, "in_progress")}));
    }
    let told: Vec<&Value> =
        items.iter().filter(|it| !(manner.has(Quirk::UnannouncedCalls) && is_call(it))).collect();
    let (calls, others): (Vec<_>, Vec<_>) = told.into_iter().enumerate().partition(|(_, it)| is_call(it));
    for (index, it) in others {
        events.item(index, it);
    }
    if answer.interleaved {
        events.in_turns(&calls);
    } else {
        for (at, it) in calls {
            events.item(at, it);
        }
    }
    if !manner.has(Quirk::MissingDone) {
        let output: &[Value] = if manner.has(Quirk::EmptyOutput) { &[] } else { &items };
        let terminal = format!("response.{}", status(answer).0);
        events.tell(&terminal, json!({"response": ended(answer, ask, manner, output)}));
    }
    if manner.has(Quirk::TrailingDone) {
        events.frames.push(Bytes::from_static(b"data: [DONE]\n\n"));
    }
    events.frames
}

fn is_call(item: &Value) -> bool {
    matches!(item["type"].as_str(), Some("function_call" | "custom_tool_call"))
}

/// The events told so far.
struct Events<'a> {
    frames: Vec<Bytes>,
    number: u64,
    manner: Manner<'a>,
    padded: bool,
}

impl Events<'_> {
    fn tell(&mut self, kind: &str, fields: Value) {
        let mut event = json!({"type": kind, "sequence_number": self.number});
        self.number += 1;
        if let (Value::Object(event), Value::Object(fields)) = (&mut event, fields) {
            event.extend(fields);
            if self.padded && kind.rsplit('.').next() == Some("delta") {
                let length = event["delta"].as_str().map_or(0, str::len) % PADDING.len();
                event.insert("obfuscation".to_owned(), json!(&PADDING[length..]));
            }
        }
        let space = if self.manner.has(Quirk::NoSpace) { "" } else { " " };
        self.frames.push(format!("event:{space}{kind}\ndata:{space}{event}\n\n").into());
        if self.manner.has(Quirk::Keepalives) && self.number > 2 {
            self.frames.push(Bytes::from_static(b": keepalive\n\n"));
        }
    }

    fn item(&mut self, index: usize, item: &Value) {
        self.added(index, item);
        match item["type"].as_str() {
            Some("reasoning") => self.reasoning(index, item),
            Some("message") => self.message(index, item),
            Some("web_search_call") => self.phases(index, item, &["in_progress", "searching", "completed"]),
            Some("image_generation_call") => self.image(index, item),
            _ => {
                for delta in self.fragments(item) {
                    self.fragment(index, item, &delta);
                }
                self.arguments_done(index, item);
            }
        }
        self.tell("response.output_item.done", json!({"output_index": index, "item": item}));
    }

    /// Calls that are told at the same time, one fragment of each in turn.
    fn in_turns(&mut self, calls: &[(usize, &Value)]) {
        for (index, item) in calls {
            self.added(*index, item);
        }
        let fragments: Vec<Vec<String>> = calls.iter().map(|(_, it)| self.fragments(it)).collect();
        let longest = fragments.iter().map(Vec::len).max().unwrap_or_default();
        for round in 0..longest {
            for ((index, item), fragments) in calls.iter().zip(&fragments) {
                if let Some(delta) = fragments.get(round) {
                    self.fragment(*index, item, delta);
                }
            }
        }
        for (index, item) in calls {
            self.arguments_done(*index, item);
            self.tell("response.output_item.done", json!({"output_index": index, "item": item}));
        }
    }

    /// The item as it is before anything of it is told.
    fn added(&mut self, index: usize, item: &Value) {
        let mut empty = item.clone();
        for (field, nothing) in [
            ("content", json!([])),
            ("summary", json!([])),
            ("arguments", json!("")),
            ("input", json!("")),
            ("result", Value::Null),
        ] {
            if !empty[field].is_null() {
                empty[field] = nothing;
            }
        }
        if !empty["status"].is_null() {
            empty["status"] = json!("in_progress");
        }
        if let Some(fields) = empty.as_object_mut() {
            fields.shift_remove("action");
            match fields.get_mut("encrypted_content") {
                Some(state) if self.manner.has(Quirk::EarlyState) => *state = json!("gAAAAunfinished"),
                _ => {
                    fields.shift_remove("encrypted_content");
                }
            }
        }
        self.tell("response.output_item.added", json!({"output_index": index, "item": empty}));
    }

    fn reasoning(&mut self, index: usize, item: &Value) {
        let id = &item["id"];
        for (part, it) in item["summary"].as_array().into_iter().flatten().enumerate() {
            let text = it["text"].as_str().unwrap_or_default();
            let place = |fields: Value| {
                merged(json!({"item_id": id, "output_index": index, "summary_index": part}), fields)
            };
            let empty = json!({"type": "summary_text", "text": ""});
            self.tell("response.reasoning_summary_part.added", place(json!({"part": empty})));
            for delta in self.manner.deltas(text) {
                self.tell("response.reasoning_summary_text.delta", place(json!({"delta": delta})));
            }
            self.tell("response.reasoning_summary_text.done", place(json!({"text": text})));
            self.tell("response.reasoning_summary_part.done", place(json!({"part": it})));
        }
        for (part, it) in item["content"].as_array().into_iter().flatten().enumerate() {
            let text = it["text"].as_str().unwrap_or_default();
            let place = |fields: Value| {
                merged(json!({"item_id": id, "output_index": index, "content_index": part}), fields)
            };
            let empty = json!({"type": "reasoning_text", "text": ""});
            self.tell("response.content_part.added", place(json!({"part": empty})));
            for delta in self.manner.deltas(text) {
                self.tell("response.reasoning_text.delta", place(json!({"delta": delta})));
            }
            self.tell("response.reasoning_text.done", place(json!({"text": text})));
            self.tell("response.content_part.done", place(json!({"part": it})));
        }
    }

    fn message(&mut self, index: usize, item: &Value) {
        for (number, part) in item["content"].as_array().into_iter().flatten().enumerate() {
            let place = |fields: Value| {
                merged(json!({"item_id": item["id"], "output_index": index, "content_index": number}), fields)
            };
            let (kind, field) = match part["type"].as_str() {
                Some("refusal") => ("refusal", "refusal"),
                _ => ("output_text", "text"),
            };
            let mut empty = part.clone();
            empty[field] = json!("");
            if field == "text" {
                empty["annotations"] = json!([]);
            }
            self.tell("response.content_part.added", place(json!({"part": empty})));
            let text = part[field].as_str().unwrap_or_default();
            let extra = if field == "text" { json!({"logprobs": []}) } else { json!({}) };
            for delta in self.manner.deltas(text) {
                let fields = place(json!({"delta": delta}));
                self.tell(&format!("response.{kind}.delta"), merged(fields, extra.clone()));
            }
            for (which, annotation) in part["annotations"].as_array().into_iter().flatten().enumerate() {
                self.tell(
                    "response.output_text.annotation.added",
                    place(json!({"annotation_index": which, "annotation": annotation})),
                );
            }
            let mut done = place(json!({}));
            done[field] = json!(text);
            self.tell(&format!("response.{kind}.done"), merged(done, extra));
            self.tell("response.content_part.done", place(json!({"part": part})));
        }
    }

    fn phases(&mut self, index: usize, item: &Value, phases: &[&str]) {
        let kind = item["type"].as_str().unwrap_or_default();
        for phase in phases {
            self.tell(
                &format!("response.{kind}.{phase}"),
                json!({"output_index": index, "item_id": item["id"]}),
            );
        }
    }

    fn image(&mut self, index: usize, item: &Value) {
        self.phases(index, item, &["in_progress", "generating"]);
        self.tell(
            "response.image_generation_call.partial_image",
            json!({"output_index": index, "item_id": item["id"], "partial_image_index": 0,
                "partial_image_b64": item["result"], "output_format": item["output_format"]}),
        );
        self.phases(index, item, &["completed"]);
    }

    fn fragments(&self, item: &Value) -> Vec<String> {
        let text = item["arguments"].as_str().or_else(|| item["input"].as_str()).unwrap_or_default();
        self.manner.fragments(text).into_iter().map(String::from).collect()
    }

    fn fragment(&mut self, index: usize, item: &Value, delta: &str) {
        let kind = argument_kind(item).0;
        self.tell(
            &format!("response.{kind}.delta"),
            json!({"item_id": item["id"], "output_index": index, "delta": delta}),
        );
    }

    fn arguments_done(&mut self, index: usize, item: &Value) {
        let (kind, field) = argument_kind(item);
        let mut done = json!({"item_id": item["id"], "output_index": index});
        done[field] = item[field].clone();
        if field == "arguments" {
            done["name"] = item["name"].clone();
        }
        self.tell(&format!("response.{kind}.done"), done);
    }
}

fn argument_kind(item: &Value) -> (&'static str, &'static str) {
    if item["type"] == "custom_tool_call" {
        ("custom_tool_call_input", "input")
    } else {
        ("function_call_arguments", "arguments")
    }
}

fn merged(mut into: Value, from: Value) -> Value {
    if let (Value::Object(into), Value::Object(from)) = (&mut into, from) {
        into.extend(from);
    }
    into
}
