//! A Messages stream, read. Clones are forgiven what they leave out; an end that was not said is never taken for one.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use super::{
    super::{error, stop, usage::WireUsage},
    blocks::Blocks,
};
use crate::{
    dialect::{ChatEvent, DecodeError, EventDecoder, Recall, SseFrame, WireError, json},
    kernel::error::ErrorKind,
};

/// Reads one stream.
#[derive(Debug)]
pub(in super::super) struct MessageDecoder {
    phase: Phase,
    blocks: Blocks,
    usage: WireUsage,
    stop: Option<Stop>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Before,
    Running,
    Ended,
}

/// What `message_delta` said.
#[derive(Debug)]
struct Stop {
    reason: String,
    sequence: Option<String>,
}

/// The frame that nearly all frames are.
#[derive(Deserialize)]
struct DeltaFrame<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    index: u64,
    #[serde(borrow)]
    delta: Piece<'a>,
}

#[derive(Deserialize)]
struct Piece<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    text: Option<String>,
    thinking: Option<String>,
    partial_json: Option<String>,
}

impl MessageDecoder {
    pub(in super::super) fn new(recall: &Recall) -> Self {
        Self { phase: Phase::Before, blocks: Blocks::new(recall), usage: WireUsage::default(), stop: None }
    }

    /// Handles a frame that only brings a piece of text; `false` if it is anything else.
    fn quick(&mut self, data: &[u8], events: &mut Vec<ChatEvent>) -> bool {
        let Ok(frame) = serde_json::from_slice::<DeltaFrame<'_>>(data) else { return false };
        if frame.kind != "content_block_delta" {
            return false;
        }
        self.start(&Value::Null, events);
        let index = Some(frame.index);
        let Piece { kind, text, thinking, partial_json } = frame.delta;
        match (kind.as_ref(), text, thinking, partial_json) {
            ("text_delta", Some(text), ..) => self.blocks.text(index, text, events),
            ("thinking_delta", _, Some(text), _) => self.blocks.thinking(index, text, events),
            ("input_json_delta", _, _, Some(text)) => self.blocks.input(index, text, events),
            _ => return false,
        }
        true
    }

    fn start(&mut self, message: &Value, events: &mut Vec<ChatEvent>) {
        if self.phase != Phase::Before {
            return;
        }
        self.phase = Phase::Running;
        let text = |key: &str| message.get(key).and_then(Value::as_str).map(str::to_owned);
        events.push(ChatEvent::Start { id: text("id"), model: text("model"), created: None });
    }

    fn used(&mut self, usage: Option<&Value>, events: &mut Vec<ChatEvent>) {
        let Some(usage) = usage.filter(|it| it.is_object()) else { return };
        self.usage.merge(&WireUsage::read(usage));
        events.push(ChatEvent::Usage(self.usage.buckets()));
    }

    fn event(&mut self, event: &str, mut value: Value, events: &mut Vec<ChatEvent>) {
        let index = value.get("index").and_then(Value::as_u64);
        match event {
            "message_start" => {
                let message = value.get("message").unwrap_or(&Value::Null);
                self.start(message, events);
                self.used(message.get("usage"), events);
            }
            "content_block_start" => {
                let block = value.get_mut("content_block").map_or(Value::Null, Value::take);
                self.start(&Value::Null, events);
                self.blocks.start(index, block, events);
            }
            "content_block_delta" => {
                let delta = value.get_mut("delta").map_or(Value::Null, Value::take);
                self.start(&Value::Null, events);
                self.blocks.delta(index, delta, events);
            }
            "content_block_stop" => self.blocks.stop(index, events),
            "message_delta" => {
                self.start(&Value::Null, events);
                self.used(value.get("usage"), events);
                self.stopped(&value);
            }
            "message_stop" => {
                self.start(&Value::Null, events);
                self.end(events);
            }
            "error" => self.fail(error::from_stream(&value), events),
            // What has no type but an error is one, in whatever dialect it was meant.
            "" if value.get("error").is_some_and(|it| !it.is_null()) => {
                self.fail(error::from_stream(&value), events);
            }
            // `ping`, and events that were invented later.
            _ => {}
        }
    }

    fn stopped(&mut self, value: &Value) {
        let delta = value.get("delta").unwrap_or(&Value::Null);
        if let Some(reason) = delta.get("stop_reason").and_then(Value::as_str) {
            let sequence = delta.get("stop_sequence").and_then(Value::as_str).map(str::to_owned);
            self.stop = Some(Stop { reason: reason.to_owned(), sequence });
        }
    }

    fn fail(&mut self, error: WireError, events: &mut Vec<ChatEvent>) {
        self.start(&Value::Null, events);
        self.phase = Phase::Ended;
        events.push(ChatEvent::Error(error));
        events.push(ChatEvent::End);
    }

    fn end(&mut self, events: &mut Vec<ChatEvent>) {
        self.blocks.stop_all(events);
        self.phase = Phase::Ended;
        let (reason, sequence) = self.stop.take().map(|it| (it.reason, it.sequence)).unzip();
        let finish = stop::decode(reason.as_deref(), sequence.flatten(), self.blocks.called().into());
        events.push(ChatEvent::Finish { choice: 0, finish });
        events.push(ChatEvent::End);
    }
}

impl EventDecoder for MessageDecoder {
    fn decode(&mut self, frame: &SseFrame, events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        if self.phase == Phase::Ended || frame.data.trim_ascii().is_empty() || frame.data == "[DONE]" {
            return Ok(());
        }
        if self.quick(&frame.data, events) {
            return Ok(());
        }
        let value = json::parse(&frame.data)?;
        let named = value.get("type").and_then(Value::as_str).map(str::to_owned);
        let event = named.or_else(|| frame.event.clone()).unwrap_or_default();
        self.event(&event, value, events);
        Ok(())
    }

    /// A stream that said why it stopped and ended all its blocks is whole, even if `message_stop` never came.
    fn finish(&mut self, events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        if self.phase == Phase::Ended {
            return Ok(());
        }
        if self.stop.is_some() && self.blocks.are_closed() {
            self.end(events);
            return Ok(());
        }
        self.fail(
            WireError {
                kind: ErrorKind::Truncated,
                message: "the upstream's answer ended before its end".to_owned(),
                error_type: None,
                code: None,
                param: None,
            },
            events,
        );
        Ok(())
    }
}
