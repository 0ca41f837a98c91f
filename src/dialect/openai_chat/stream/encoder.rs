//! Events to chunks. What is the same in every chunk of a stream is written once and copied.

use bytes::{BufMut, BytesMut};
use serde_json::Value;

use crate::{
    dialect::{
        EventEncoder, ReplyContext, TokenUsage,
        canonical::{BlockKind, ChatEvent, Citation, Delta, Finish, Part, PartKind, TokenLogprob},
        openai_chat::{annotations, error, finish, logprobs, response::encode::answer_id, usage},
    },
    kernel::error::GatewayError,
};

/// One stream's state.
#[derive(Debug)]
pub(in crate::dialect::openai_chat) struct Encoder {
    context: ReplyContext,
    /// A chunk up to its choices; empty before the first.
    head: String,
    choices: Vec<ChoiceState>,
    blocks: Vec<Block>,
    usage: Option<TokenUsage>,
    failed: bool,
}

#[derive(Debug)]
struct ChoiceState {
    index: u32,
    /// How many calls were begun.
    calls: u32,
    /// How much text was told, in characters.
    length: usize,
    /// How likely the tokens were of what is told next: the text's, and the refusal's.
    likely: [Vec<TokenLogprob>; 2],
    refused: bool,
    finished: bool,
}

#[derive(Debug)]
struct Block {
    key: u32,
    /// Where its choice is in `choices`.
    choice: usize,
    kind: Kind,
    /// Where its text begins, in characters.
    from: usize,
    citations: Vec<Citation>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Reasoning,
    Refusal,
    Call {
        index: u32,
        custom: bool,
        begun: bool,
    },
    /// Nothing of it is told.
    Silent,
}

impl Encoder {
    pub(in crate::dialect::openai_chat) fn new(context: &ReplyContext) -> Self {
        Self {
            context: context.clone(),
            head: String::new(),
            choices: Vec::new(),
            blocks: Vec::new(),
            usage: None,
            failed: false,
        }
    }

    fn start(&mut self, id: Option<&str>, model: Option<&str>, created: Option<i64>) {
        if !self.head.is_empty() {
            return;
        }
        let id = Value::from(answer_id(id, self.context.request));
        let model = Value::from(model.unwrap_or(&self.context.model));
        let created = created.unwrap_or(self.context.created);
        self.head = escape_separators(format!(
            "data: {{\"id\":{id},\"object\":\"chat.completion.chunk\",\"created\":{created},\"model\":{model},"
        ));
    }

    /// Writes a chunk with one choice; `delta` writes the inside of its delta.
    fn chunk(
        &mut self,
        choice: u32,
        reason: Option<&str>,
        out: &mut BytesMut,
        delta: impl FnOnce(&mut BytesMut),
    ) {
        self.chunk_with(choice, &Value::Null, reason, out, delta);
    }

    /// The same with log probabilities.
    fn chunk_with(
        &mut self,
        choice: u32,
        likely: &Value,
        reason: Option<&str>,
        out: &mut BytesMut,
        delta: impl FnOnce(&mut BytesMut),
    ) {
        self.start(None, None, None);
        out.put_slice(self.head.as_bytes());
        out.put_slice(b"\"choices\":[{\"index\":");
        put_number(out, choice);
        out.put_slice(b",\"delta\":{");
        delta(out);
        out.put_slice(b"},\"logprobs\":");
        if likely.is_null() {
            out.put_slice(b"null");
        } else {
            out.put_slice(escape_separators(likely.to_string()).as_bytes());
        }
        out.put_slice(b",\"finish_reason\":");
        match reason {
            Some(reason) => put_string(out, reason),
            None => out.put_slice(b"null"),
        }
        out.put_slice(if self.context.include_usage { b"}],\"usage\":null}\n\n" } else { b"}]}\n\n" });
    }

    /// Writes a chunk whose delta has one text field.
    fn text(&mut self, choice: u32, field: &str, text: &str, out: &mut BytesMut) {
        if !text.is_empty() {
            let likely = self.take_likely(choice);
            self.chunk_with(choice, &likely, None, out, |out| {
                put_key(out, field);
                put_string(out, text);
            });
        }
    }

    fn take_likely(&mut self, choice: u32) -> Value {
        let Some(state) = self.choices.iter_mut().find(|it| it.index == choice) else { return Value::Null };
        let [content, refusal] = std::mem::take(&mut state.likely);
        logprobs::write(&content, &refusal)
    }

    /// Finds the choice; its first chunk says who speaks, and no other does.
    fn choice(&mut self, index: u32, opening: &[u8], out: &mut BytesMut) -> usize {
        if let Some(at) = self.choices.iter().position(|it| it.index == index) {
            return at;
        }
        self.choices.push(ChoiceState {
            index,
            calls: 0,
            length: 0,
            likely: Default::default(),
            refused: false,
            finished: false,
        });
        self.chunk(index, None, out, |out| {
            out.put_slice(b"\"role\":\"assistant\",");
            out.put_slice(opening);
        });
        self.choices.len() - 1
    }

    fn open(&mut self, choice: u32, key: u32, kind: &BlockKind, out: &mut BytesMut) {
        let opening: &[u8] = match kind {
            BlockKind::ToolCall { .. } => b"\"content\":null",
            _ => b"\"content\":\"\"",
        };
        let at = self.choice(choice, opening, out);
        let kind = match kind {
            BlockKind::Text => Kind::Text,
            BlockKind::Reasoning => Kind::Reasoning,
            BlockKind::Refusal => Kind::Refusal,
            BlockKind::ToolCall { id, name, custom, .. } => self.open_call(at, id, name, *custom, out),
            BlockKind::Whole(part) => {
                self.whole(at, part, out);
                Kind::Silent
            }
        };
        let from = self.choices[at].length;
        self.blocks.push(Block { key, choice: at, kind, from, citations: Vec::new() });
    }

    fn open_call(&mut self, at: usize, id: &str, name: &str, custom: bool, out: &mut BytesMut) -> Kind {
        let state = &mut self.choices[at];
        let (choice, index) = (state.index, state.calls);
        state.calls += 1;
        let legacy = self.context.legacy_functions;
        if legacy && (index > 0 || custom) {
            return Kind::Silent;
        }
        self.chunk(choice, None, out, |out| {
            if legacy {
                out.put_slice(b"\"function_call\":{\"name\":");
                put_string(out, name);
                out.put_slice(b",\"arguments\":\"\"}");
                return;
            }
            open_fragment(out, index);
            out.put_slice(b",\"id\":");
            put_string(out, id);
            out.put_slice(if custom {
                b",\"type\":\"custom\",\"custom\":{\"name\":".as_slice()
            } else {
                b",\"type\":\"function\",\"function\":{\"name\":"
            });
            put_string(out, name);
            out.put_slice(if custom { b",\"input\":\"\"}}]".as_slice() } else { b",\"arguments\":\"\"}}]" });
        });
        Kind::Call { index, custom, begun: false }
    }

    fn arguments(&mut self, choice: u32, index: u32, custom: bool, text: &str, out: &mut BytesMut) {
        let legacy = self.context.legacy_functions;
        self.chunk(choice, None, out, |out| {
            if legacy {
                out.put_slice(b"\"function_call\":{\"arguments\":");
                put_string(out, text);
                out.put_slice(b"}");
                return;
            }
            open_fragment(out, index);
            out.put_slice(if custom {
                b",\"custom\":{\"input\":".as_slice()
            } else {
                b",\"function\":{\"arguments\":"
            });
            put_string(out, text);
            out.put_slice(b"}}]");
        });
    }

    /// A part that came whole. What only another dialect's clients can read is not told.
    fn whole(&mut self, at: usize, part: &Part, out: &mut BytesMut) {
        let choice = self.choices[at].index;
        match &part.kind {
            PartKind::Text { text, .. } => {
                self.choices[at].length += text.chars().count();
                self.choices[at].likely[0].extend_from_slice(&part.logprobs);
                self.text(choice, "content", text, out);
            }
            PartKind::Reasoning { text, .. } => self.text(choice, "reasoning_content", text, out),
            PartKind::Refusal { text } => {
                self.choices[at].refused = true;
                self.text(choice, "refusal", text, out);
            }
            PartKind::ToolCall(call) => {
                let kind = self.open_call(at, &call.id, &call.name, call.custom, out);
                if let Kind::Call { index, custom, .. } = kind {
                    let text = if call.arguments.0.is_empty() && !custom { "{}" } else { &call.arguments.0 };
                    self.arguments(choice, index, custom, text, out);
                }
            }
            PartKind::Media(_)
            | PartKind::ToolResult(_)
            | PartKind::ServerTool { .. }
            | PartKind::Opaque { .. } => {}
        }
    }

    fn delta(&mut self, key: u32, delta: &Delta, out: &mut BytesMut) {
        let Some(block) = self.blocks.iter_mut().find(|it| it.key == key) else { return };
        let state = &mut self.choices[block.choice];
        let choice = state.index;
        match (&mut block.kind, delta) {
            (Kind::Text, Delta::Text(text)) => {
                state.length += text.chars().count();
                self.text(choice, "content", text, out);
            }
            (Kind::Text, Delta::Citation(citation)) => block.citations.push(citation.clone()),
            (Kind::Text, Delta::Logprobs(tokens)) => state.likely[0].extend_from_slice(tokens),
            (Kind::Refusal, Delta::Logprobs(tokens)) => state.likely[1].extend_from_slice(tokens),
            (Kind::Reasoning, Delta::Reasoning(text)) => self.text(choice, "reasoning_content", text, out),
            (Kind::Refusal, Delta::Refusal(text)) => {
                state.refused = true;
                self.text(choice, "refusal", text, out);
            }
            (Kind::Call { index, custom, begun }, Delta::Arguments(text)) if !text.is_empty() => {
                *begun |= !text.trim().is_empty();
                let (index, custom) = (*index, *custom);
                self.arguments(choice, index, custom, text, out);
            }
            _ => {}
        }
    }

    fn close(&mut self, key: u32, out: &mut BytesMut) {
        let Some(at) = self.blocks.iter().position(|it| it.key == key) else { return };
        let block = self.blocks.swap_remove(at);
        let ChoiceState { index: choice, length, .. } = self.choices[block.choice];
        if matches!(block.kind, Kind::Text | Kind::Refusal) {
            let likely = self.take_likely(choice);
            if !likely.is_null() {
                self.chunk_with(choice, &likely, None, out, |_| {});
            }
        }
        if let Kind::Call { index, custom: false, begun: false } = block.kind {
            self.arguments(choice, index, false, "{}", out);
        }
        let told: Vec<Value> =
            block.citations.iter().filter_map(|it| annotations::encode(it, block.from, length)).collect();
        if !told.is_empty() {
            self.chunk(choice, None, out, |out| {
                put_key(out, "annotations");
                out.put_slice(escape_separators(Value::Array(told).to_string()).as_bytes());
            });
        }
    }

    fn end_choice(&mut self, choice: u32, finish: &Finish, out: &mut BytesMut) {
        let at = self.choice(choice, b"\"content\":\"\"", out);
        let state = &mut self.choices[at];
        if std::mem::replace(&mut state.finished, true) {
            return;
        }
        let reason = finish::encode(finish.reason, state.refused, self.context.legacy_functions);
        self.chunk(choice, Some(reason), out, |_| {});
    }

    fn fail(&mut self, body: &Value, out: &mut BytesMut) {
        if !std::mem::replace(&mut self.failed, true) {
            out.put_slice(b"data: ");
            out.put_slice(escape_separators(body.to_string()).as_bytes());
            out.put_slice(b"\n\n");
        }
    }
}

impl EventEncoder for Encoder {
    fn encode(&mut self, event: &ChatEvent, out: &mut BytesMut) {
        if self.failed {
            return;
        }
        match event {
            ChatEvent::Start { id, model, created } => self.start(id.as_deref(), model.as_deref(), *created),
            ChatEvent::BlockStart { choice, block, kind, .. } => self.open(*choice, *block, kind, out),
            ChatEvent::Delta { block, delta } => self.delta(*block, delta, out),
            ChatEvent::BlockEnd { block } => self.close(*block, out),
            ChatEvent::Usage(usage) => self.usage.get_or_insert_default().merge(usage),
            ChatEvent::Finish { choice, finish } => self.end_choice(*choice, finish, out),
            ChatEvent::Error(error) => self.fail(&error::wire_body(error), out),
            ChatEvent::End => {}
        }
    }

    fn finish(&mut self, out: &mut BytesMut) {
        if self.failed {
            return;
        }
        if let Some(usage) = self.usage.filter(|_| self.context.include_usage) {
            self.start(None, None, None);
            out.put_slice(self.head.as_bytes());
            out.put_slice(b"\"choices\":[],\"usage\":");
            out.put_slice(usage::encode(&usage).to_string().as_bytes());
            out.put_slice(b"}\n\n");
        }
        out.put_slice(b"data: [DONE]\n\n");
    }

    /// An error chunk, on which SDKs raise, and nothing after it: `[DONE]` would say that all went well.
    fn abort(&mut self, error: &GatewayError, out: &mut BytesMut) {
        self.fail(&error::body(error), out);
    }
}

fn open_fragment(out: &mut BytesMut, index: u32) {
    out.put_slice(b"\"tool_calls\":[{\"index\":");
    put_number(out, index);
}

fn put_key(out: &mut BytesMut, key: &str) {
    out.put_u8(b'"');
    out.put_slice(key.as_bytes());
    out.put_slice(b"\":");
}

fn put_number(out: &mut BytesMut, number: u32) {
    if number < 10 {
        #[expect(clippy::cast_possible_truncation, reason = "one digit")]
        out.put_u8(b'0' + number as u8);
    } else {
        out.put_slice(number.to_string().as_bytes());
    }
}

/// Writes a JSON string. U+2028 and U+2029 are escaped: some clients take them for the end of a line.
fn put_string(out: &mut BytesMut, text: &str) {
    if has_separators(text) {
        out.put_slice(escape_separators(Value::from(text).to_string()).as_bytes());
    } else {
        serde_json::to_writer(out.writer(), text).expect("a string is written to memory");
    }
}

fn has_separators(text: &str) -> bool {
    memchr::memmem::find(text.as_bytes(), b"\xe2\x80").is_some() && text.contains(['\u{2028}', '\u{2029}'])
}

fn escape_separators(json: String) -> String {
    if has_separators(&json) {
        json.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
    } else {
        json
    }
}
