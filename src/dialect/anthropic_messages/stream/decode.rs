//! A Messages stream, read. Clones are forgiven what they leave out; an end that was not said is never taken for one.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::{
    decode::block,
    error,
    response::{Callee, callee, custom_input},
    stop,
    usage::WireUsage,
};
use crate::{
    dialect::{
        ChatEvent, DecodeError, EventDecoder, Recall, SseFrame, WireError,
        canonical::{Arguments, BlockKind, Delta, Part, PartKind, StateKind},
        json,
    },
    kernel::error::ErrorKind,
};

/// Reads one stream.
#[derive(Debug)]
pub(in super::super) struct MessageDecoder {
    recall: Recall,
    phase: Phase,
    /// The next block's key.
    next: u32,
    /// Blocks that have begun and not ended, oldest first. More than one only if all are tool calls.
    open: Vec<Open>,
    usage: WireUsage,
    stop: Option<Stop>,
    called: bool,
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

#[derive(Debug)]
struct Open {
    /// As the upstream numbers it.
    index: u64,
    /// As our events number it.
    block: u32,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Text,
    Thinking {
        signature: String,
    },
    /// `whole`: the input that came with the start (clones), until a delta says it again.
    Tool {
        whole: Option<String>,
    },
    /// A custom tool told as a function: its input is inside the arguments.
    Custom {
        arguments: String,
    },
    /// The tool that structured output was emulated with: its arguments are text.
    Answer {
        whole: Option<String>,
    },
    /// A block that is passed on whole; `input` is what its deltas add up to.
    Whole {
        raw: Map<String, Value>,
        input: String,
    },
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
        Self {
            recall: recall.clone(),
            phase: Phase::Before,
            next: 0,
            open: Vec::new(),
            usage: WireUsage::default(),
            stop: None,
            called: false,
        }
    }

    /// Handles a frame that only brings a piece of text; `false` if it is anything else.
    fn quick(&mut self, data: &[u8], events: &mut Vec<ChatEvent>) -> bool {
        let Ok(frame) = serde_json::from_slice::<DeltaFrame<'_>>(data) else { return false };
        if frame.kind != "content_block_delta" {
            return false;
        }
        let index = Some(frame.index);
        let Piece { kind, text, thinking, partial_json } = frame.delta;
        match (kind.as_ref(), text, thinking, partial_json) {
            ("text_delta", Some(text), ..) => self.text(index, text, events),
            ("thinking_delta", _, Some(text), _) => self.thinking(index, text, events),
            ("input_json_delta", _, _, Some(text)) => self.input(index, text, events),
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
                self.block_start(index, block, events);
            }
            "content_block_delta" => {
                let delta = value.get_mut("delta").map_or(Value::Null, Value::take);
                self.delta(index, delta, events);
            }
            "content_block_stop" => {
                if let Some(at) = self.position(index) {
                    self.close(at, events);
                }
            }
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

    fn block_start(&mut self, index: Option<u64>, block: Value, events: &mut Vec<ChatEvent>) {
        self.start(&Value::Null, events);
        let Value::Object(mut raw) = block else { return };
        let index = index.unwrap_or_else(|| self.open.last().map_or(u64::from(self.next), |it| it.index + 1));
        let mut text = |key: &str| match raw.get_mut(key).map(Value::take) {
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        match text("type").as_str() {
            "text" => {
                let first = text("text");
                self.open(index, BlockKind::Text, Kind::Text, events);
                self.text(Some(index), first, events);
                if let Some(Value::Array(citations)) = raw.remove("citations") {
                    citations.into_iter().for_each(|it| self.cite(Some(index), it, events));
                }
            }
            "thinking" => {
                let (first, signature) = (text("thinking"), text("signature"));
                self.open(index, BlockKind::Reasoning, Kind::Thinking { signature }, events);
                self.thinking(Some(index), first, events);
            }
            "tool_use" => {
                let (id, name) = (text("id"), text("name"));
                let input = raw.get("input").filter(|it| it.as_object().is_none_or(|it| !it.is_empty()));
                let whole = input.filter(|it| !it.is_null()).map(|it| Arguments::of(it).0);
                self.tool_start(index, id, &name, whole, events);
            }
            kind => {
                let kind = Value::String(kind.to_owned());
                raw.insert("type".to_owned(), kind);
                self.make_room(index, NewBlock::Other, events);
                let kind = Kind::Whole { raw, input: String::new() };
                self.open.push(Open { index, block: 0, kind });
            }
        }
    }

    fn tool_start(
        &mut self,
        index: u64,
        id: String,
        name: &str,
        whole: Option<String>,
        events: &mut Vec<ChatEvent>,
    ) {
        let id = if id.is_empty() { format!("toolu_{}", uuid::Uuid::new_v4().simple()) } else { id };
        let (name, custom) = match callee(&self.recall, name) {
            Callee::Answer => return self.open(index, BlockKind::Text, Kind::Answer { whole }, events),
            Callee::Function(name) => (name, false),
            Callee::Custom(name) => (name, true),
        };
        self.called = true;
        let kind =
            if custom { Kind::Custom { arguments: whole.unwrap_or_default() } } else { Kind::Tool { whole } };
        self.open(index, BlockKind::ToolCall { id, name, custom }, kind, events);
    }

    fn open(&mut self, index: u64, kind: BlockKind, state: Kind, events: &mut Vec<ChatEvent>) {
        let new = if matches!(kind, BlockKind::ToolCall { .. }) { NewBlock::Tool } else { NewBlock::Other };
        self.make_room(index, new, events);
        let block = self.key();
        events.push(ChatEvent::BlockStart { choice: 0, block, kind });
        self.open.push(Open { index, block, kind: state });
    }

    /// Ends the blocks that the new one may not overlap.
    fn make_room(&mut self, index: u64, new: NewBlock, events: &mut Vec<ChatEvent>) {
        let stays = |it: &Open| new == NewBlock::Tool && it.is_tool() && it.index != index;
        while let Some(at) = self.open.iter().position(|it| !stays(it)) {
            self.close(at, events);
        }
    }

    fn key(&mut self) -> u32 {
        let key = self.next;
        self.next += 1;
        key
    }

    /// Where the open block of an index is; without an index, the newest.
    fn position(&self, index: Option<u64>) -> Option<usize> {
        match index {
            Some(index) => self.open.iter().position(|it| it.index == index),
            None => self.open.len().checked_sub(1),
        }
    }

    fn delta(&mut self, index: Option<u64>, delta: Value, events: &mut Vec<ChatEvent>) {
        let Value::Object(mut delta) = delta else { return };
        let mut text = |key: &str| match delta.get_mut(key).map(Value::take) {
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        match text("type").as_str() {
            "text_delta" => {
                let text = text("text");
                self.text(index, text, events);
            }
            "thinking_delta" => {
                let text = text("thinking");
                self.thinking(index, text, events);
            }
            "input_json_delta" => {
                let text = text("partial_json");
                self.input(index, text, events);
            }
            "signature_delta" => {
                let text = text("signature");
                self.sign(index, text, events);
            }
            "citations_delta" => {
                if let Some(citation) = delta.remove("citation") {
                    self.cite(index, citation, events);
                }
            }
            _ => self.add_to_whole(index, delta),
        }
    }

    /// The key of an open block of the wanted kind; one is opened if a clone never did.
    fn wanted(&mut self, index: Option<u64>, wanted: Wanted, events: &mut Vec<ChatEvent>) -> u32 {
        if let Some(at) = self.position(index) {
            let open = &self.open[at];
            match (&open.kind, wanted) {
                (Kind::Text, Wanted::Text) | (Kind::Thinking { .. }, Wanted::Thinking) => return open.block,
                _ => {}
            }
        }
        self.start(&Value::Null, events);
        let index = index.unwrap_or_else(|| u64::from(self.next));
        let (kind, state) = match wanted {
            Wanted::Text => (BlockKind::Text, Kind::Text),
            Wanted::Thinking => (BlockKind::Reasoning, Kind::Thinking { signature: String::new() }),
        };
        self.open(index, kind, state, events);
        self.next - 1
    }

    fn text(&mut self, index: Option<u64>, text: String, events: &mut Vec<ChatEvent>) {
        if text.is_empty() {
            return;
        }
        let block = self.wanted(index, Wanted::Text, events);
        events.push(ChatEvent::Delta { block, delta: Delta::Text(text) });
    }

    fn thinking(&mut self, index: Option<u64>, text: String, events: &mut Vec<ChatEvent>) {
        if text.is_empty() {
            return;
        }
        let block = self.wanted(index, Wanted::Thinking, events);
        events.push(ChatEvent::Delta { block, delta: Delta::Reasoning(text) });
    }

    fn sign(&mut self, index: Option<u64>, text: String, events: &mut Vec<ChatEvent>) {
        let block = self.wanted(index, Wanted::Thinking, events);
        let open = self.open.iter_mut().find(|it| it.block == block);
        if let Some(Open { kind: Kind::Thinking { signature }, .. }) = open {
            *signature = text;
        }
    }

    fn cite(&mut self, index: Option<u64>, citation: Value, events: &mut Vec<ChatEvent>) {
        let block = self.wanted(index, Wanted::Text, events);
        events.push(ChatEvent::Delta { block, delta: Delta::Citation(citation) });
    }

    fn input(&mut self, index: Option<u64>, piece: String, events: &mut Vec<ChatEvent>) {
        if piece.is_empty() {
            return;
        }
        let Some(at) = self.position(index) else { return };
        let Open { block, kind, .. } = &mut self.open[at];
        let delta = match kind {
            Kind::Tool { whole } => {
                *whole = None;
                Delta::Arguments(piece)
            }
            Kind::Answer { whole } => {
                *whole = None;
                Delta::Text(piece)
            }
            Kind::Custom { arguments } => return arguments.push_str(&piece),
            Kind::Whole { input, .. } => return input.push_str(&piece),
            Kind::Text | Kind::Thinking { .. } => return,
        };
        events.push(ChatEvent::Delta { block: *block, delta });
    }

    /// A delta of a kind we do not know, for a block we pass on whole: texts are appended, the rest is replaced.
    fn add_to_whole(&mut self, index: Option<u64>, delta: Map<String, Value>) {
        let Some(at) = self.position(index) else { return };
        let Kind::Whole { raw, .. } = &mut self.open[at].kind else { return };
        for (key, value) in delta.into_iter().filter(|(key, it)| key != "type" && !it.is_null()) {
            match (raw.get_mut(&key), value) {
                (Some(Value::String(old)), Value::String(new)) => old.push_str(&new),
                (_, value) => drop(raw.insert(key, value)),
            }
        }
    }

    fn close(&mut self, at: usize, events: &mut Vec<ChatEvent>) {
        let Open { block, kind, .. } = self.open.remove(at);
        let last = match kind {
            Kind::Text => None,
            Kind::Thinking { signature } => (!signature.is_empty())
                .then_some(Delta::State { kind: StateKind::Signature, data: signature }),
            Kind::Tool { whole } => whole.map(Delta::Arguments),
            Kind::Answer { whole } => whole.map(Delta::Text),
            Kind::Custom { arguments } => Some(Delta::Arguments(custom_input(arguments))),
            Kind::Whole { raw, input } => {
                let block = self.key();
                let kind = BlockKind::Whole(Box::new(whole(raw, &input)));
                events.push(ChatEvent::BlockStart { choice: 0, block, kind });
                events.push(ChatEvent::BlockEnd { block });
                return;
            }
        };
        if let Some(delta) = last {
            events.push(ChatEvent::Delta { block, delta });
        }
        events.push(ChatEvent::BlockEnd { block });
    }

    fn fail(&mut self, error: WireError, events: &mut Vec<ChatEvent>) {
        self.start(&Value::Null, events);
        self.phase = Phase::Ended;
        events.push(ChatEvent::Error(error));
        events.push(ChatEvent::End);
    }

    fn end(&mut self, events: &mut Vec<ChatEvent>) {
        while !self.open.is_empty() {
            self.close(0, events);
        }
        self.phase = Phase::Ended;
        let (reason, sequence) = self.stop.take().map(|it| (it.reason, it.sequence)).unzip();
        let finish = stop::decode(reason.as_deref(), sequence.flatten(), self.called.into());
        events.push(ChatEvent::Finish { choice: 0, finish });
        events.push(ChatEvent::End);
    }
}

impl Open {
    fn is_tool(&self) -> bool {
        matches!(self.kind, Kind::Tool { .. } | Kind::Custom { .. })
    }
}

/// What may stand beside open blocks: a tool call beside others, anything else alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NewBlock {
    Tool,
    Other,
}

#[derive(Debug, Clone, Copy)]
enum Wanted {
    Text,
    Thinking,
}

/// A block that came in pieces, put together.
fn whole(mut raw: Map<String, Value>, input: &str) -> Part {
    if !input.is_empty() {
        let (input, _) = Arguments(input.to_owned()).to_object();
        raw.insert("input".to_owned(), Value::Object(input));
    }
    let raw = Value::Object(raw);
    block(raw.clone(), String::new())
        .unwrap_or_else(|_| Part::new(PartKind::Opaque { dialect: super::super::ID, raw }))
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
        if self.stop.is_some() && self.open.is_empty() {
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
