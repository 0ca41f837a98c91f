//! Frames to events. Clones are forgiven what they leave out or say twice; an end that was not said is never taken for one.

use serde_json::{Map, Value};

use super::{
    event::{self, Event},
    items::{Channel, Items},
};
use crate::{
    dialect::{
        DecodeError, EventDecoder, Recall, SseFrame, WireError,
        canonical::ChatEvent,
        collect::Serializer,
        json,
        openai_responses::{
            error,
            response::{created, finish, text},
            usage,
        },
    },
    kernel::error::ErrorKind,
};

/// One stream's state.
#[derive(Debug)]
pub(super) struct Decoder {
    phase: Phase,
    items: Items,
    /// OpenAI may tell several items at once; our events tell one after another.
    serializer: Serializer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Before,
    Running,
    Ended,
}

impl Decoder {
    pub(super) fn new(recall: &Recall) -> Self {
        Self { phase: Phase::Before, items: Items::new(recall), serializer: Serializer::new() }
    }

    fn event(&mut self, kind: &str, event: &Event<'_>, data: &[u8], out: &mut Vec<ChatEvent>) {
        let items = &mut self.items;
        match kind {
            "response.output_text.delta" => {
                let text = event::text(event.delta);
                self.begin(None, out);
                self.items.content(event, false, text, out);
            }
            "response.refusal.delta" => {
                self.begin(None, out);
                self.items.content(event, true, event::text(event.delta), out);
            }
            "response.function_call_arguments.delta" => {
                self.begin(None, out);
                self.items.arguments(event, false, event::text(event.delta), out);
            }
            "response.custom_tool_call_input.delta" => {
                self.begin(None, out);
                self.items.arguments(event, true, event::text(event.delta), out);
            }
            "response.reasoning_summary_text.delta" => {
                self.begin(None, out);
                self.items.thought(event, Channel::Summary, event::text(event.delta), out);
            }
            // The second is Open Responses' word.
            "response.reasoning_text.delta" | "response.reasoning.delta" => {
                self.begin(None, out);
                self.items.thought(event, Channel::Content, event::text(event.delta), out);
            }
            "response.output_text.done" => items.content_done(event, false, event::text(event.text), out),
            "response.refusal.done" => items.content_done(event, true, event::text(event.refusal), out),
            "response.content_part.done" => items.part_done(event, event::value(event.part), out),
            "response.output_text.annotation.added" => items.annotation(event, out),
            "response.reasoning_summary_text.done" => {
                items.thought_done(event, Channel::Summary, event::text(event.text), out);
            }
            "response.reasoning_text.done" | "response.reasoning.done" => {
                items.thought_done(event, Channel::Content, event::text(event.text), out);
            }
            "response.function_call_arguments.done" => {
                items.arguments_done(event, event::text(event.arguments), out);
            }
            "response.custom_tool_call_input.done" => {
                items.arguments_done(event, event::text(event.input), out);
            }
            "response.output_item.added" => {
                self.begin(None, out);
                if let Some(item) = event::value(event.item) {
                    self.items.added(event.output_index, item, out);
                }
            }
            "response.output_item.done" => {
                self.begin(None, out);
                if let Some(item) = event::value(event.item) {
                    self.items.done(event.output_index, item, out);
                }
            }
            "response.created" | "response.in_progress" | "response.queued" => {
                self.begin(event::value(event.response), out);
            }
            "response.completed" | "response.incomplete" | "response.done" => {
                self.end(event::value(event.response), kind, out);
            }
            "response.failed" | "response.cancelled" | "error" => {
                let said = json::parse(data).unwrap_or_default();
                self.fail(error::of_event(said), out);
            }
            _ => self.other(data, out),
        }
    }

    /// An event of a kind we do not know says nothing to us, unless it is an error in another form.
    fn other(&mut self, data: &[u8], out: &mut Vec<ChatEvent>) {
        if memchr::memmem::find(data, b"\"error\"").is_none() {
            return;
        }
        if let Ok(Value::Object(fields)) = json::parse(data)
            && fields.get("type").is_none_or(Value::is_null)
            && fields.get("error").is_some_and(|it| !it.is_null())
        {
            self.fail(error::of_event(Value::Object(fields)), out);
        }
    }

    fn begin(&mut self, response: Option<Value>, out: &mut Vec<ChatEvent>) {
        if self.phase != Phase::Before {
            return;
        }
        self.phase = Phase::Running;
        let response = match response {
            Some(Value::Object(response)) => response,
            _ => Map::new(),
        };
        let id = text(&response, "id");
        self.items.reader.seed = id.clone().unwrap_or_default();
        out.push(ChatEvent::Start {
            id,
            model: text(&response, "model"),
            created: created(response.get("created_at")),
        });
    }

    fn end(&mut self, response: Option<Value>, kind: &str, out: &mut Vec<ChatEvent>) {
        let Some(Value::Object(mut response)) = response else {
            return self.truncated("the upstream ended its answer without the answer", out);
        };
        if let Some(error) = error::told(&response) {
            return self.fail(error, out);
        }
        self.begin(Some(Value::Object(response.clone())), out);
        self.phase = Phase::Ended;
        if let Some(Value::Array(output)) = response.shift_remove("output") {
            self.items.settle(output, out);
        }
        self.items.end(out);
        if !response.get("status").is_some_and(Value::is_string) && kind == "response.incomplete" {
            response.insert("status".to_owned(), "incomplete".into());
        }
        if let Some(counted) = response.get("usage").filter(|it| it.is_object()) {
            out.push(ChatEvent::Usage(usage::decode(counted)));
        }
        let finish = finish::decode(&response, self.items.reader.held);
        out.push(ChatEvent::Finish { choice: 0, finish });
        out.push(ChatEvent::End);
    }

    fn fail(&mut self, error: WireError, out: &mut Vec<ChatEvent>) {
        self.begin(None, out);
        self.phase = Phase::Ended;
        out.push(ChatEvent::Error(error));
        out.push(ChatEvent::End);
    }

    fn truncated(&mut self, message: &str, out: &mut Vec<ChatEvent>) {
        let error = WireError {
            kind: ErrorKind::Truncated,
            message: message.to_owned(),
            error_type: None,
            code: None,
            param: None,
        };
        self.fail(error, out);
    }

    fn read(
        &mut self,
        frame: &SseFrame,
        data: &[u8],
        out: &mut Vec<ChatEvent>,
    ) -> Result<(), serde_json::Error> {
        let event: Event<'_> = serde_json::from_slice(data)?;
        let kind = event.kind.as_deref().or(frame.event.as_deref()).unwrap_or_default();
        self.event(kind, &event, data, out);
        Ok(())
    }
}

impl EventDecoder for Decoder {
    fn decode(&mut self, frame: &SseFrame, events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        let data = frame.data.trim_ascii();
        // `[DONE]` ends nothing: the answer's end is said before it.
        if self.phase == Phase::Ended || data.is_empty() || data == b"[DONE]" {
            return Ok(());
        }
        let mut out = Vec::new();
        if self.read(frame, data, &mut out).is_err() {
            // Not as it should be: lone surrogates are repaired, the rest is refused.
            let repaired = json::parse(data)?.to_string();
            self.read(frame, repaired.as_bytes(), &mut out).map_err(|it| {
                DecodeError::new("", format!("an event of the answer is not one of Responses: {it}"))
            })?;
        }
        for event in out {
            self.serializer.push(event, events);
        }
        Ok(())
    }

    fn finish(&mut self, events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        if self.phase != Phase::Ended {
            let mut out = Vec::new();
            self.truncated("the upstream's answer ended before its end", &mut out);
            for event in out {
                self.serializer.push(event, events);
            }
        }
        Ok(())
    }
}
