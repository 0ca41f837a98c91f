//! The blocks of a Messages stream, from start to stop.

use serde_json::{Map, Value};

use super::super::{
    decode,
    response::{Callee, callee, custom_input, read_block},
};
use crate::dialect::{
    ChatEvent, Recall,
    canonical::{Arguments, BlockKind, Delta, Part, StateKind},
};

/// The blocks of one stream.
#[derive(Debug)]
pub(super) struct Blocks {
    recall: Recall,
    /// The next block's key.
    next: u32,
    /// Blocks that have begun and not ended, oldest first. More than one only if all are tool calls.
    open: Vec<Open>,
    called: bool,
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
    /// `whole`: the input that came with the start (`{}`, or all of it from clones), until a delta says it again.
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

impl Blocks {
    pub(super) fn new(recall: &Recall) -> Self {
        Self { recall: recall.clone(), next: 0, open: Vec::new(), called: false }
    }

    /// Handles `content_block_start`.
    pub(super) fn start(&mut self, index: Option<u64>, block: Value, events: &mut Vec<ChatEvent>) {
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
                    for it in citations {
                        self.cite(Some(index), it, events);
                    }
                }
            }
            "thinking" => {
                let (first, signature) = (text("thinking"), text("signature"));
                self.open(index, BlockKind::Reasoning, Kind::Thinking { signature }, events);
                self.thinking(Some(index), first, events);
            }
            "tool_use" => {
                let (id, name) = (text("id"), text("name"));
                if name.is_empty() {
                    // Nobody could be called: a call without a name is none.
                    return;
                }
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
        let kind = if custom {
            Kind::Custom { arguments: whole.unwrap_or_default() }
        } else {
            Kind::Tool { whole: whole.or_else(|| Some("{}".to_owned())) }
        };
        self.open(index, BlockKind::ToolCall { id, name, custom, state: None }, kind, events);
    }

    fn open(&mut self, index: u64, kind: BlockKind, state: Kind, events: &mut Vec<ChatEvent>) {
        let new = if matches!(kind, BlockKind::ToolCall { .. }) { NewBlock::Tool } else { NewBlock::Other };
        self.make_room(index, new, events);
        let block = self.key();
        events.push(ChatEvent::block(0, block, kind));
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

    pub(super) fn delta(&mut self, index: Option<u64>, delta: Value, events: &mut Vec<ChatEvent>) {
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
        let index = index.unwrap_or_else(|| u64::from(self.next));
        let (kind, state) = match wanted {
            Wanted::Text => (BlockKind::Text, Kind::Text),
            Wanted::Thinking => (BlockKind::Reasoning, Kind::Thinking { signature: String::new() }),
        };
        self.open(index, kind, state, events);
        self.next - 1
    }

    pub(super) fn text(&mut self, index: Option<u64>, text: String, events: &mut Vec<ChatEvent>) {
        if text.is_empty() {
            return;
        }
        let block = self.wanted(index, Wanted::Text, events);
        events.push(ChatEvent::Delta { block, delta: Delta::Text(text) });
    }

    pub(super) fn thinking(&mut self, index: Option<u64>, text: String, events: &mut Vec<ChatEvent>) {
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
        events.push(ChatEvent::Delta { block, delta: Delta::Citation(decode::citation(citation)) });
    }

    pub(super) fn input(&mut self, index: Option<u64>, piece: String, events: &mut Vec<ChatEvent>) {
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

    /// Handles `content_block_stop`.
    pub(super) fn stop(&mut self, index: Option<u64>, events: &mut Vec<ChatEvent>) {
        if let Some(at) = self.position(index) {
            self.close(at, events);
        }
    }

    pub(super) fn stop_all(&mut self, events: &mut Vec<ChatEvent>) {
        while !self.open.is_empty() {
            self.close(0, events);
        }
    }

    pub(super) fn are_closed(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether the client's tools were called.
    pub(super) fn called(&self) -> bool {
        self.called
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
                let Some(part) = whole(raw, &input) else { return };
                let block = self.key();
                let kind = BlockKind::Whole(Box::new(part));
                events.push(ChatEvent::block(0, block, kind));
                events.push(ChatEvent::BlockEnd { block });
                return;
            }
        };
        if let Some(delta) = last {
            events.push(ChatEvent::Delta { block, delta });
        }
        events.push(ChatEvent::BlockEnd { block });
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
fn whole(mut raw: Map<String, Value>, input: &str) -> Option<Part> {
    if !input.is_empty() {
        let (input, _) = Arguments(input.to_owned()).to_object();
        raw.insert("input".to_owned(), Value::Object(input));
    }
    read_block(Value::Object(raw))
}
