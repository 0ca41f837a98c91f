//! Events to chunks. What is the same in every chunk of a stream is written once and copied.

use bytes::{BufMut, BytesMut};
use serde_json::{Map, Value, json};

use crate::{
    dialect::{
        EventEncoder, ReplyContext, TokenUsage,
        canonical::{
            Arguments, BlockKind, ChatEvent, Citation, Delta, Finish, FinishReason, OpaqueState, Part,
            PartKind, StateKind, TokenLogprob, ToolCall,
        },
        gemini::{
            error,
            response::{
                answer_id,
                finish::{self, Held},
                logprobs,
                sources::{Cited, Sources},
                timestamp, write,
            },
            usage,
        },
    },
    kernel::error::GatewayError,
};

/// One stream's state.
#[derive(Debug)]
pub(super) struct Encoder {
    context: ReplyContext,
    framing: Framing,
    /// A chunk after its candidates; empty before the first.
    tail: Vec<u8>,
    choices: Vec<ChoiceState>,
    blocks: Vec<Block>,
    usage: Option<TokenUsage>,
    ended: bool,
}

/// How chunks are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Events,
    /// Elements of a JSON array; `begun` says that one was written.
    Array {
        begun: bool,
    },
}

#[derive(Debug, Default)]
struct ChoiceState {
    index: u32,
    /// How much visible text was told, in bytes.
    length: usize,
    spoke: bool,
    /// How likely the tokens were of the visible text that is told next.
    likely: Vec<TokenLogprob>,
    held: Held,
    sources: Sources,
    /// Calls whose arguments are no object: they wait for the finish, which says whether the limit cut them.
    odd: Vec<(ToolCall, Option<OpaqueState>)>,
    finish: Option<Finish>,
}

#[derive(Debug)]
struct Block {
    key: u32,
    /// Where its choice is in `choices`.
    choice: usize,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// `from` is where it begins among all visible text, in bytes.
    Text {
        text: String,
        from: usize,
        citations: Vec<Citation>,
    },
    Reasoning,
    Refusal,
    Call {
        call: ToolCall,
        state: Option<OpaqueState>,
    },
    /// It was told whole, or nothing of it is told.
    Silent,
}

impl Framing {
    fn open(&mut self, out: &mut BytesMut) {
        match self {
            Self::Events => out.put_slice(b"data: "),
            Self::Array { begun } => {
                out.put_slice(if std::mem::replace(begun, true) { b",\n".as_slice() } else { b"[" });
            }
        }
    }

    fn close(self, out: &mut BytesMut) {
        if self == Self::Events {
            out.put_slice(b"\n\n");
        }
    }

    /// Ends the stream.
    fn end(self, out: &mut BytesMut) {
        match self {
            Self::Events => {}
            Self::Array { begun: true } => out.put_slice(b"]"),
            Self::Array { begun: false } => out.put_slice(b"[]"),
        }
    }
}

impl Encoder {
    pub(super) fn new(context: &ReplyContext) -> Self {
        let framing = if context.json_array { Framing::Array { begun: false } } else { Framing::Events };
        Self {
            context: context.clone(),
            framing,
            tail: Vec::new(),
            choices: Vec::new(),
            blocks: Vec::new(),
            usage: None,
            ended: false,
        }
    }

    fn start(&mut self, id: Option<&str>, model: Option<&str>, created: Option<i64>) {
        if !self.tail.is_empty() {
            return;
        }
        let mut tail = BytesMut::new();
        tail.put_slice(b",\"modelVersion\":");
        write::put_string(&mut tail, model.unwrap_or(&self.context.model));
        if let Some(time) = created.and_then(timestamp) {
            tail.put_slice(b",\"createTime\":");
            write::put_string(&mut tail, &time);
        }
        tail.put_slice(b",\"responseId\":");
        write::put_string(&mut tail, &answer_id(id, self.context.request));
        tail.put_slice(b"}");
        self.tail = tail.to_vec();
    }

    /// Writes a chunk with one part of one candidate; `part` writes the inside of it.
    fn chunk(&mut self, choice: u32, out: &mut BytesMut, part: impl FnOnce(&mut BytesMut)) {
        self.chunk_with(choice, None, out, part);
    }

    /// The same with log probabilities.
    fn chunk_with(
        &mut self,
        choice: u32,
        likely: Option<&Value>,
        out: &mut BytesMut,
        part: impl FnOnce(&mut BytesMut),
    ) {
        self.start(None, None, None);
        self.framing.open(out);
        out.put_slice(b"{\"candidates\":[{\"content\":{\"parts\":[{");
        part(out);
        out.put_slice(b"}],\"role\":\"model\"},\"index\":");
        put_number(out, choice);
        if let Some(likely) = likely {
            out.put_slice(b",\"logprobsResult\":");
            write::put_value(out, likely);
        }
        out.put_slice(b"}]");
        out.put_slice(&self.tail);
        self.framing.close(out);
    }

    fn text(&mut self, at: usize, text: &str, thought: bool, out: &mut BytesMut) {
        if text.is_empty() {
            return;
        }
        self.choices[at].spoke = true;
        let likely = if thought { None } else { self.take_likely(at) };
        self.chunk_with(self.choices[at].index, likely.as_ref(), out, |out| {
            out.put_slice(b"\"text\":");
            write::put_string(out, text);
            if thought {
                out.put_slice(b",\"thought\":true");
            }
        });
    }

    fn take_likely(&mut self, at: usize) -> Option<Value> {
        logprobs::write(&std::mem::take(&mut self.choices[at].likely))
    }

    /// A signature of text that was told already.
    fn signature(&mut self, at: usize, data: &str, thought: bool, out: &mut BytesMut) {
        self.choices[at].spoke = true;
        self.chunk(self.choices[at].index, out, |out| {
            out.put_slice(if thought {
                b"\"text\":\"\",\"thought\":true,\"thoughtSignature\":".as_slice()
            } else {
                b"\"text\":\"\",\"thoughtSignature\":"
            });
            write::put_string(out, data);
        });
    }

    fn part(&mut self, at: usize, fields: &Map<String, Value>, out: &mut BytesMut) {
        self.choices[at].spoke = true;
        self.chunk(self.choices[at].index, out, |out| {
            for (nth, (key, value)) in fields.iter().enumerate() {
                if nth > 0 {
                    out.put_u8(b',');
                }
                write::put_string(out, key);
                out.put_u8(b':');
                write::put_value(out, value);
            }
        });
    }

    fn choice(&mut self, index: u32) -> usize {
        self.choices.iter().position(|it| it.index == index).unwrap_or_else(|| {
            self.choices.push(ChoiceState { index, ..ChoiceState::default() });
            self.choices.len() - 1
        })
    }

    fn open(&mut self, choice: u32, key: u32, kind: &BlockKind, out: &mut BytesMut) {
        let at = self.choice(choice);
        let kind = match kind {
            BlockKind::Text => {
                Kind::Text { text: String::new(), from: self.choices[at].length, citations: Vec::new() }
            }
            BlockKind::Reasoning => Kind::Reasoning,
            BlockKind::Refusal => Kind::Refusal,
            BlockKind::ToolCall { id, name, custom, state } => {
                let (id, name) = (id.clone(), name.clone());
                let call = ToolCall { id, name, arguments: Arguments::default(), custom: *custom };
                Kind::Call { call, state: state.clone() }
            }
            BlockKind::Whole(part) => {
                self.whole(at, part, out);
                Kind::Silent
            }
        };
        self.blocks.push(Block { key, choice: at, kind });
    }

    /// A part that came whole. What only another dialect's clients can read is not told.
    fn whole(&mut self, at: usize, part: &Part, out: &mut BytesMut) {
        let state = &mut self.choices[at];
        match &part.kind {
            PartKind::ToolCall(call) => return self.call(at, call.clone(), part.state.clone(), out),
            PartKind::Text { text, citations } => {
                state.sources.cite(citations, Cited { text, from: state.length, part: 0 });
                state.length += text.len();
            }
            PartKind::Refusal { text } => {
                state.held.refusal = true;
                state.length += text.len();
            }
            kind if state.sources.take(kind) => return,
            _ => {}
        }
        if let Some(fields) = write::part(part) {
            self.part(at, &fields, out);
        }
    }

    fn call(&mut self, at: usize, call: ToolCall, state: Option<OpaqueState>, out: &mut BytesMut) {
        match write::arguments(&call.arguments.0, call.custom) {
            Ok(args) => self.part(at, &write::call(&call, args, state.as_ref()), out),
            Err(write::Malformed) => self.choices[at].odd.push((call, state)),
        }
    }

    fn delta(&mut self, key: u32, delta: &Delta, out: &mut BytesMut) {
        let Some(block) = self.blocks.iter_mut().find(|it| it.key == key) else { return };
        let at = block.choice;
        match (&mut block.kind, delta) {
            (Kind::Text { text: told, .. }, Delta::Text(text)) => {
                told.push_str(text);
                self.choices[at].length += text.len();
                self.text(at, text, false, out);
            }
            (Kind::Text { .. } | Kind::Refusal, Delta::Logprobs(tokens)) => {
                self.choices[at].likely.extend_from_slice(tokens);
            }
            (Kind::Text { citations, .. }, Delta::Citation(citation)) => citations.push(citation.clone()),
            (Kind::Reasoning, Delta::Reasoning(text)) => self.text(at, text, true, out),
            (Kind::Refusal, Delta::Refusal(text) | Delta::Text(text)) => {
                self.choices[at].length += text.len();
                self.choices[at].held.refusal = true;
                self.text(at, text, false, out);
            }
            (Kind::Call { call, .. }, Delta::Arguments(text)) => call.arguments.0.push_str(text),
            (
                kind @ (Kind::Text { .. } | Kind::Reasoning),
                Delta::State { kind: StateKind::ThoughtSignature, data },
            ) => {
                let thought = matches!(kind, Kind::Reasoning);
                self.signature(at, data, thought, out);
            }
            _ => {}
        }
    }

    fn close(&mut self, key: u32, out: &mut BytesMut) {
        let Some(place) = self.blocks.iter().position(|it| it.key == key) else { return };
        let Block { choice: at, kind, .. } = self.blocks.swap_remove(place);
        match kind {
            Kind::Text { text, from, citations } => {
                self.choices[at].sources.cite(&citations, Cited { text: &text, from, part: 0 });
            }
            Kind::Call { call, state } => self.call(at, call, state, out),
            Kind::Reasoning | Kind::Refusal | Kind::Silent => {}
        }
    }

    /// Tells the calls that waited, with no arguments, and the finish says that they are malformed. Of one that the limit
    /// cut Gemini does not tell.
    fn tell_odd(&mut self, out: &mut BytesMut) {
        for at in 0..self.choices.len() {
            let is_cut = self.choices[at].finish.as_ref().is_some_and(|it| it.reason == FinishReason::Length);
            for (call, state) in std::mem::take(&mut self.choices[at].odd) {
                if !is_cut {
                    self.choices[at].held.malformed = true;
                    self.part(at, &write::call(&call, json!({}), state.as_ref()), out);
                }
            }
        }
    }

    /// The last chunk: why each candidate ended, its sources, and what all of it cost.
    fn say_end(&mut self, out: &mut BytesMut) {
        self.start(None, None, None);
        let mut fields = Map::new();
        match self.choices.as_slice() {
            [only] if !only.spoke && only.finish.as_ref().and_then(finish::block_reason).is_some() => {
                let reason = only.finish.as_ref().and_then(finish::block_reason);
                fields.insert("promptFeedback".to_owned(), json!({ "blockReason": reason }));
            }
            _ => {
                if self.choices.is_empty() {
                    self.choice(0);
                }
                let candidates = self.choices.iter_mut().map(last_candidate).collect();
                fields.insert("candidates".to_owned(), candidates);
            }
        }
        if let Some(usage) = &self.usage {
            fields.insert("usageMetadata".to_owned(), usage::encode(usage));
        }
        let text = Value::Object(fields).to_string();
        self.framing.open(out);
        let inside = text.strip_suffix('}').unwrap_or(&text);
        crate::dialect::framing::sse::escape_separators(out, inside.as_bytes());
        out.put_slice(&self.tail);
        self.framing.close(out);
    }

    fn fail(&mut self, body: &Value, out: &mut BytesMut) {
        if !std::mem::replace(&mut self.ended, true) {
            self.framing.open(out);
            write::put_value(out, body);
            self.framing.close(out);
            self.framing.end(out);
        }
    }
}

fn last_candidate(choice: &mut ChoiceState) -> Value {
    let other = Finish::new(FinishReason::Other);
    let reason = finish::encode(choice.finish.as_ref().unwrap_or(&other), choice.held);
    let likely = logprobs::write(&std::mem::take(&mut choice.likely));
    let mut candidate = json!({
        "content": { "parts": [{ "text": "" }], "role": "model" },
        "finishReason": reason,
        "index": choice.index,
    });
    if let Some(grounding) = std::mem::take(&mut choice.sources).write() {
        candidate["groundingMetadata"] = grounding;
    }
    if let Some(likely) = likely {
        candidate["logprobsResult"] = likely;
    }
    candidate
}

impl EventEncoder for Encoder {
    fn encode(&mut self, event: &ChatEvent, out: &mut BytesMut) {
        if self.ended {
            return;
        }
        match event {
            ChatEvent::Start { id, model, created } => self.start(id.as_deref(), model.as_deref(), *created),
            ChatEvent::BlockStart { choice, block, kind, .. } => self.open(*choice, *block, kind, out),
            ChatEvent::Delta { block, delta } => self.delta(*block, delta, out),
            ChatEvent::BlockEnd { block } => self.close(*block, out),
            ChatEvent::Usage(usage) => self.usage.get_or_insert_default().merge(usage),
            ChatEvent::Finish { choice, finish } => {
                let at = self.choice(*choice);
                self.choices[at].finish.get_or_insert_with(|| finish.clone());
            }
            ChatEvent::Error(error) => self.fail(&error::wire_body(error), out),
            ChatEvent::End => {}
        }
    }

    fn finish(&mut self, out: &mut BytesMut) {
        if self.ended {
            return;
        }
        let open: Vec<u32> = self.blocks.iter().map(|it| it.key).collect();
        for key in open {
            self.close(key, out);
        }
        self.tell_odd(out);
        self.say_end(out);
        self.framing.end(out);
        self.ended = true;
    }

    /// The error is the last chunk: nothing else may look like an end.
    fn abort(&mut self, error: &GatewayError, out: &mut BytesMut) {
        self.fail(&error::body(error), out);
    }
}

fn put_number(out: &mut BytesMut, number: u32) {
    if number < 10 {
        #[expect(clippy::cast_possible_truncation, reason = "one digit")]
        out.put_u8(b'0' + number as u8);
    } else {
        out.put_slice(number.to_string().as_bytes());
    }
}
