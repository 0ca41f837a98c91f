//! A Messages stream, written. Whatever the events, what comes out is of the grammar: blocks one after another, numbered
//! without gaps, one end.

use bytes::BytesMut;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::{
    error, response,
    stop::{self, Seen},
    usage::Usage,
    wire,
};
use crate::{
    dialect::{
        ChatEvent, EventEncoder, ReplyContext,
        canonical::{BlockKind, Delta, Finish, FinishReason, Part, StateKind, TokenUsage},
    },
    kernel::error::GatewayError,
};

/// Writes one stream.
#[derive(Debug)]
pub(in super::super) struct MessageEncoder {
    context: ReplyContext,
    start: Start,
    done: bool,
    next_index: u32,
    block: Option<Block>,
    usage: TokenUsage,
    finish: Option<Finish>,
    called: bool,
    refused: bool,
}

/// `message_start` waits for the first event after `Start` that is not usage, so that it can tell the usage.
#[derive(Debug)]
enum Start {
    Unsaid { id: Option<String>, model: Option<String> },
    Said,
}

/// The block of the events that is open.
#[derive(Debug)]
struct Block {
    key: u32,
    form: Form,
    /// Its number on the wire, once it has begun there.
    index: Option<u32>,
    /// What it said, if it is a text: a citation quotes it.
    text: String,
}

impl Block {
    fn new(key: u32, form: Form) -> Self {
        Self { key, form, index: None, text: String::new() }
    }
}

#[derive(Debug)]
enum Form {
    Text,
    Refusal,
    Thinking {
        signature: String,
    },
    /// `any`: whether arguments were written.
    Tool {
        any: bool,
    },
    /// A custom tool's input, which goes out inside an object once it is known.
    Custom {
        input: String,
    },
    /// Said already, or not to be said.
    Closed,
}

impl MessageEncoder {
    pub(in super::super) fn new(context: &ReplyContext) -> Self {
        Self {
            context: context.clone(),
            start: Start::Unsaid { id: None, model: None },
            done: false,
            next_index: 0,
            block: None,
            usage: TokenUsage::default(),
            finish: None,
            called: false,
            refused: false,
        }
    }

    fn say_start(&mut self, out: &mut BytesMut) {
        if let Start::Unsaid { id, model } = &self.start {
            let id = response::message_id(id.as_deref(), &self.context);
            let model = model.as_deref().unwrap_or(&self.context.model);
            frame("message_start", &response::shell(&id, model, &self.usage), out);
            self.start = Start::Said;
        }
    }

    fn block_start(&mut self, key: u32, kind: &BlockKind, out: &mut BytesMut) {
        self.close(out);
        let form = match kind {
            BlockKind::Text => Form::Text,
            BlockKind::Refusal => Form::Refusal,
            BlockKind::Reasoning => Form::Thinking { signature: String::new() },
            BlockKind::ToolCall { name, .. } if name.is_empty() => Form::Closed,
            BlockKind::ToolCall { custom: true, .. } => Form::Custom { input: String::new() },
            BlockKind::ToolCall { .. } => Form::Tool { any: false },
            BlockKind::Whole(part) => {
                self.whole(part, out);
                Form::Closed
            }
        };
        let is_tool = matches!(form, Form::Tool { .. } | Form::Custom { .. });
        self.block = Some(Block::new(key, form));
        if let BlockKind::ToolCall { id, name, .. } = kind
            && is_tool
        {
            let minted = || format!("toolu_{}", uuid::Uuid::new_v4().simple());
            let id = if id.is_empty() { minted() } else { id.clone() };
            self.begin(&json!({"type": "tool_use", "id": id, "name": name, "input": {}}), out);
        }
    }

    /// Begins the open block on the wire, if it has not begun.
    fn begin(&mut self, content: &Value, out: &mut BytesMut) -> u32 {
        if let Some(index) = self.block.as_ref().and_then(|it| it.index) {
            return index;
        }
        let index = self.begin_block(content, out);
        if let Some(block) = &mut self.block {
            block.index = Some(index);
        }
        index
    }

    fn begin_block(&mut self, content: &Value, out: &mut BytesMut) -> u32 {
        let index = self.next_index;
        self.next_index += 1;
        let start = json!({"type": "content_block_start", "index": index, "content_block": content});
        frame("content_block_start", &start, out);
        index
    }

    /// Writes a part that arrived whole.
    fn whole(&mut self, part: &Part, out: &mut BytesMut) {
        let Some(mut content) = response::block(part) else { return };
        let deltas = split(&mut content);
        self.called |= content.get("type") == Some(&json!("tool_use"));
        let index = self.begin_block(&content, out);
        for (kind, field, text) in &deltas {
            delta(index, kind, field, text, out);
        }
        stop_block(index, out);
    }

    fn delta(&mut self, key: u32, piece: &Delta, out: &mut BytesMut) {
        let Some(block) = self.block.as_mut().filter(|it| it.key == key) else { return };
        match (&mut block.form, piece) {
            (Form::Text, Delta::Text(text)) | (Form::Refusal, Delta::Refusal(text) | Delta::Text(text)) => {
                self.refused |= matches!(block.form, Form::Refusal) && !text.is_empty();
                block.text.push_str(text);
                self.text(text, out);
            }
            (Form::Text, Delta::Citation(citation)) => {
                let Some(citation) = response::citation(citation, &block.text) else { return };
                let index = self.begin(&json!({"type": "text", "text": ""}), out);
                let piece = json!({"type": "citations_delta", "citation": citation});
                let event = json!({"type": "content_block_delta", "index": index, "delta": piece});
                frame("content_block_delta", &event, out);
            }
            (Form::Thinking { .. }, Delta::Reasoning(text)) if !text.is_empty() => {
                let index = self.begin_thinking(out);
                delta(index, "thinking_delta", "thinking", text, out);
            }
            (Form::Thinking { signature }, Delta::State { kind: StateKind::Signature, data }) => {
                signature.clone_from(data);
                self.begin_thinking(out);
            }
            (Form::Thinking { .. }, Delta::State { kind: StateKind::Redacted, data }) => {
                self.redacted(data, out);
            }
            (Form::Tool { any }, Delta::Arguments(text)) if !text.is_empty() => {
                *any = true;
                if let Some(index) = block.index {
                    delta(index, "input_json_delta", "partial_json", text, out);
                }
            }
            (Form::Custom { input }, Delta::Arguments(text)) => input.push_str(text),
            _ => {}
        }
    }

    fn text(&mut self, text: &str, out: &mut BytesMut) {
        if !text.is_empty() {
            let index = match self.block.as_ref().and_then(|it| it.index) {
                Some(index) => index,
                None => self.begin(&json!({"type": "text", "text": ""}), out),
            };
            delta(index, "text_delta", "text", text, out);
        }
    }

    fn begin_thinking(&mut self, out: &mut BytesMut) -> u32 {
        match self.block.as_ref().and_then(|it| it.index) {
            Some(index) => index,
            None => self.begin(&json!({"type": "thinking", "thinking": "", "signature": ""}), out),
        }
    }

    /// Redacted thinking takes the place of the block, or follows what was shown of it.
    fn redacted(&mut self, data: &str, out: &mut BytesMut) {
        let key = self.block.as_ref().map(|it| it.key);
        self.close(out);
        let index = self.begin_block(&json!({"type": "redacted_thinking", "data": data}), out);
        stop_block(index, out);
        self.block = key.map(|key| Block::new(key, Form::Closed));
    }

    /// Ends the open block, if there is one.
    fn close(&mut self, out: &mut BytesMut) {
        let Some(Block { form, index: Some(index), .. }) = self.block.take() else { return };
        match form {
            Form::Thinking { signature } => delta(index, "signature_delta", "signature", &signature, out),
            Form::Tool { any } => {
                if !any {
                    delta(index, "input_json_delta", "partial_json", "{}", out);
                }
                self.called = true;
            }
            Form::Custom { input } => {
                let input = json!({"input": input}).to_string();
                delta(index, "input_json_delta", "partial_json", &input, out);
                self.called = true;
            }
            Form::Text | Form::Refusal | Form::Closed => {}
        }
        stop_block(index, out);
    }

    fn say_end(&mut self, out: &mut BytesMut) {
        if self.done {
            return;
        }
        self.say_start(out);
        self.close(out);
        self.done = true;
        let finish = self.finish.take().unwrap_or_else(|| Finish::new(FinishReason::Other));
        let seen = Seen { called: self.called.into(), refused: self.refused };
        let (reason, sequence) = stop::encode(&finish, seen);
        let end = MessageDelta {
            r#type: "message_delta",
            delta: StopDelta { stop_reason: reason, stop_sequence: sequence },
            usage: Usage::from(&self.usage),
        };
        frame("message_delta", &end, out);
        out.extend_from_slice(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    }

    fn say_error(&mut self, data: &[u8], out: &mut BytesMut) {
        self.done = true;
        out.extend_from_slice(b"event: error\ndata: ");
        out.extend_from_slice(data);
        out.extend_from_slice(b"\n\n");
    }
}

#[derive(Serialize)]
struct MessageDelta<'a> {
    r#type: &'static str,
    delta: StopDelta<'a>,
    usage: Usage,
}

#[derive(Serialize)]
struct StopDelta<'a> {
    stop_reason: &'a str,
    stop_sequence: Option<&'a str>,
}

/// Takes out of a whole block what the grammar says in deltas.
fn split(content: &mut Value) -> Vec<(&'static str, &'static str, String)> {
    let kind = content.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut take = |field: &str| match content.get_mut(field) {
        Some(Value::String(text)) => std::mem::take(text),
        _ => String::new(),
    };
    match kind.as_str() {
        "text" => vec![("text_delta", "text", take("text"))],
        "thinking" => vec![
            ("thinking_delta", "thinking", take("thinking")),
            ("signature_delta", "signature", take("signature")),
        ],
        "tool_use" | "server_tool_use" | "mcp_tool_use" => match content.get_mut("input") {
            Some(input @ Value::Object(_)) => {
                let text = std::mem::replace(input, json!({})).to_string();
                vec![("input_json_delta", "partial_json", text)]
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn frame<T: Serialize + ?Sized>(event: &str, data: &T, out: &mut BytesMut) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(event.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    wire::write(data, out);
    out.extend_from_slice(b"\n\n");
}

/// Writes a delta by hand: it is what nearly all frames are.
fn delta(index: u32, kind: &str, field: &str, text: &str, out: &mut BytesMut) {
    out.extend_from_slice(b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":");
    wire::write(&index, out);
    out.extend_from_slice(b",\"delta\":{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"");
    out.extend_from_slice(field.as_bytes());
    out.extend_from_slice(b"\":");
    wire::write(text, out);
    out.extend_from_slice(b"}}\n\n");
}

fn stop_block(index: u32, out: &mut BytesMut) {
    out.extend_from_slice(b"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":");
    wire::write(&index, out);
    out.extend_from_slice(b"}\n\n");
}

impl EventEncoder for MessageEncoder {
    fn encode(&mut self, event: &ChatEvent, out: &mut BytesMut) {
        if self.done {
            return;
        }
        match event {
            ChatEvent::Start { id, model, .. } => {
                if let Start::Unsaid { .. } = self.start {
                    self.start = Start::Unsaid { id: id.clone(), model: model.clone() };
                }
            }
            ChatEvent::Usage(usage) => self.usage.merge(usage),
            ChatEvent::Error(error) => {
                let data = error::event_of_wire(error, &self.context.request.to_string());
                self.say_error(&data, out);
            }
            ChatEvent::BlockStart { choice: 0, block, kind, .. } => {
                self.say_start(out);
                self.block_start(*block, kind, out);
            }
            ChatEvent::Delta { block, delta } => self.delta(*block, delta, out),
            ChatEvent::BlockEnd { block } => {
                if self.block.as_ref().is_some_and(|it| it.key == *block) {
                    self.close(out);
                }
            }
            ChatEvent::Finish { choice: 0, finish } => {
                self.say_start(out);
                self.close(out);
                self.finish.get_or_insert_with(|| finish.clone());
            }
            ChatEvent::End => self.say_end(out),
            // The dialect has one choice.
            ChatEvent::BlockStart { .. } | ChatEvent::Finish { .. } => {}
        }
    }

    fn finish(&mut self, out: &mut BytesMut) {
        self.say_end(out);
    }

    fn abort(&mut self, error: &GatewayError, out: &mut BytesMut) {
        if !self.done {
            let data = error::event_of(error, &self.context.request.to_string());
            self.say_error(&data, out);
        }
    }
}
