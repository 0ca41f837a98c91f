//! Events to a Responses stream. Whatever the events, what comes out is of the grammar: items announced before their
//! deltas, numbered without gaps, all of them done or told as cut, one end.

use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value, json};

use super::{
    blocks::{Block, Told},
    frames::Frames,
    hosted::Step,
};
use crate::{
    dialect::{
        EventEncoder, ReplyContext, TokenUsage,
        canonical::{BlockKind, ChatEvent, Delta, Extra, Finish, FinishReason},
        openai_responses::{
            ID, error,
            response::{
                finish,
                item::{self, Ids, Kind, Status, take_id},
                shell::{Outcome, Shell},
            },
        },
        wire,
    },
    kernel::error::{ErrorKind, GatewayError},
};

/// One stream's state.
#[derive(Debug)]
pub(super) struct Encoder {
    pub(super) context: ReplyContext,
    pub(super) frames: Frames,
    /// The answer around the items, once the stream has begun.
    shell: Option<Shell>,
    /// The items that are done, by their place; nothing where one is not yet.
    items: Vec<Option<Bytes>>,
    ids: Ids,
    pub(super) message: Option<Message>,
    blocks: Vec<Block>,
    /// A tool of the provider that runs.
    pub(super) step: Option<Step>,
    /// The last item, whole but not told as done: how it ended is known by what follows it.
    last: Option<Last>,
    pub(super) refused: bool,
    usage: Option<TokenUsage>,
    reason: Option<FinishReason>,
    over: bool,
}

/// The message that is being said.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) place: usize,
    pub(super) id: String,
    phase: Option<Value>,
    /// The parts that are done.
    pub(super) content: Vec<Value>,
}

impl Message {
    fn item(&self, status: Status) -> Value {
        item::message(&self.id, status, &self.content, self.phase.as_ref())
    }
}

/// An item that lacks nothing but the word that it is done.
#[derive(Debug)]
struct Last {
    place: usize,
    item: Value,
}

impl Encoder {
    pub(super) fn new(context: &ReplyContext) -> Self {
        Self {
            context: context.clone(),
            frames: Frames::default(),
            shell: None,
            items: Vec::new(),
            ids: Ids::new(context.request),
            message: None,
            blocks: Vec::new(),
            step: None,
            last: None,
            refused: false,
            usage: None,
            reason: None,
            over: false,
        }
    }

    fn start(&mut self, created: Option<i64>, out: &mut BytesMut) {
        if self.shell.is_some() {
            return;
        }
        let shell = Shell::new(&self.context, created.unwrap_or(self.context.created), &Map::new());
        for kind in ["response.created", "response.in_progress"] {
            let write = |out: &mut BytesMut| shell.write(Outcome::InProgress, [], None, out);
            self.frames.put_with(kind, &json!({}), "response", write, out);
        }
        self.shell = Some(shell);
    }

    fn open(&mut self, key: u32, kind: &BlockKind, extra: &Extra, out: &mut BytesMut) {
        self.start(None, out);
        let own = extra.get().filter(|it| it.dialect == ID).map(|it| it.fields.clone()).unwrap_or_default();
        let mut block = match kind {
            BlockKind::Text => Block::text(key, own),
            BlockKind::Refusal => Block::refusal(key, own),
            BlockKind::Reasoning => Block::reasoning(key, own),
            BlockKind::ToolCall { id, name, custom, .. } => Block::call(key, id, name, *custom, own),
            BlockKind::Whole(part) => {
                self.close_others(out);
                return self.whole(part, out);
            }
        };
        self.close_others(out);
        block.begin_call(self, out);
        self.blocks.push(block);
    }

    /// Ends the blocks that are no calls: calls may be told at once, nothing else may be.
    fn close_others(&mut self, out: &mut BytesMut) {
        while let Some(at) = self.blocks.iter().position(|it| !matches!(it.told, Told::Call(_))) {
            let block = self.blocks.remove(at);
            block.end(self, out);
        }
    }

    fn close_all(&mut self, out: &mut BytesMut) {
        for block in std::mem::take(&mut self.blocks) {
            block.end(self, out);
        }
    }

    /// Takes the place of a new item that is no message, and tells of it. `own`: the upstream's id of it.
    pub(super) fn add_item(
        &mut self,
        kind: Kind,
        own: Option<&str>,
        item: impl FnOnce(&str) -> Value,
        out: &mut BytesMut,
    ) -> (usize, String) {
        self.end_message(out);
        self.end_step(out);
        self.tell_last(Status::Completed, out);
        self.announce(kind, own, item, out)
    }

    fn announce(
        &mut self,
        kind: Kind,
        own: Option<&str>,
        item: impl FnOnce(&str) -> Value,
        out: &mut BytesMut,
    ) -> (usize, String) {
        let place = self.items.len();
        self.items.push(None);
        let id = self.ids.give(kind, own);
        let fields = json!({ "output_index": place, "item": item(&id) });
        self.frames.put("response.output_item.added", &fields, out);
        (place, id)
    }

    /// The message that is being said; a new one if none is, or if what comes has a message's id of its own.
    pub(super) fn message(&mut self, mut own: Map<String, Value>, out: &mut BytesMut) -> &mut Message {
        let told = take_id(&mut own);
        if told.is_some() {
            self.end_message(out);
        }
        if self.message.is_none() {
            self.end_step(out);
            self.tell_last(Status::Completed, out);
            let phase = own.shift_remove("phase");
            let item = |id: &str| item::message(id, Status::InProgress, &[], phase.as_ref());
            let (place, id) = self.announce(Kind::Message, told.as_deref(), item, out);
            self.message = Some(Message { place, id, phase, content: Vec::new() });
        }
        self.message.as_mut().expect("it was made just before")
    }

    fn end_message(&mut self, out: &mut BytesMut) {
        if let Some(message) = self.message.take() {
            self.finish_item(message.place, message.item(Status::Completed), out);
        }
    }

    /// Keeps an item that is whole until it is known how it ended.
    pub(super) fn finish_item(&mut self, place: usize, item: Value, out: &mut BytesMut) {
        self.tell_last(Status::Completed, out);
        self.last = Some(Last { place, item });
    }

    /// Tells that the item that was whole is done. Only the last item of an answer can be cut.
    fn tell_last(&mut self, status: Status, out: &mut BytesMut) {
        let Some(Last { place, mut item }) = self.last.take() else { return };
        if status == Status::Incomplete
            && place + 1 == self.items.len()
            && let Some(told) = item.get_mut("status")
        {
            *told = status.name().into();
        }
        let bytes = wire::bytes(&item);
        let write = |out: &mut BytesMut| out.extend_from_slice(&bytes);
        self.frames.put_with(
            "response.output_item.done",
            &json!({ "output_index": place }),
            "item",
            write,
            out,
        );
        self.items[place] = Some(bytes);
    }

    fn end_answer(&mut self, finish: &Finish, out: &mut BytesMut) {
        self.start(None, out);
        self.close_all(out);
        if finish.reason == FinishReason::Refusal && !self.refused {
            // It refused without words of refusal: the part says that it did.
            let block = Block::refusal(u32::MAX, Map::new());
            block.begin_refusal(self, out).end(self, out);
        }
        self.end_message(out);
        self.end_step(out);
        let cut = finish::incomplete(finish.reason).is_some();
        self.tell_last(if cut { Status::Incomplete } else { Status::Completed }, out);
        self.reason = Some(finish.reason);
    }

    fn say_end(&mut self, outcome: Outcome<'_>, out: &mut BytesMut) {
        self.over = true;
        let kind = match outcome {
            Outcome::Failed(_) => "response.failed",
            Outcome::Incomplete { .. } => "response.incomplete",
            Outcome::InProgress | Outcome::Completed { .. } => "response.completed",
        };
        let Some(shell) = &self.shell else { return };
        let counted = match outcome {
            Outcome::Failed(_) => self.usage,
            _ => Some(self.usage.unwrap_or_default()),
        };
        let items = self.items.iter().flatten();
        let write = |out: &mut BytesMut| shell.write(outcome, items, counted.as_ref(), out);
        self.frames.put_with(kind, &json!({}), "response", write, out);
        // Open Responses asks for it, and OpenAI's own clients bear it.
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    /// Ends the stream with an error. What was not whole is told as cut, in the answer alone.
    fn fail(&mut self, failure: &GatewayError, out: &mut BytesMut) {
        if self.over {
            return;
        }
        self.start(None, out);
        self.tell_last(Status::Completed, out);
        for block in std::mem::take(&mut self.blocks) {
            block.cut(self);
        }
        if let Some(message) = self.message.take() {
            self.items[message.place] = Some(wire::bytes(&message.item(Status::Incomplete)));
        }
        if let Some(step) = self.step.take() {
            self.items[step.place] = Some(wire::bytes(&step.item(Status::Incomplete)));
        }
        self.frames.put("error", &error::event(failure), out);
        self.say_end(Outcome::Failed(failure), out);
    }

    /// Keeps an item that was cut off.
    pub(super) fn cut_item(&mut self, place: usize, item: &Value) {
        self.items[place] = Some(wire::bytes(item));
    }

    fn delta(&mut self, key: u32, delta: &Delta, out: &mut BytesMut) {
        let Some(at) = self.blocks.iter().position(|it| it.key == key) else { return };
        let mut block = self.blocks.remove(at);
        block.take(delta, self, out);
        self.blocks.insert(at, block);
    }

    fn close(&mut self, key: u32, out: &mut BytesMut) {
        if let Some(at) = self.blocks.iter().position(|it| it.key == key) {
            self.blocks.remove(at).end(self, out);
        }
    }
}

impl EventEncoder for Encoder {
    fn encode(&mut self, event: &ChatEvent, out: &mut BytesMut) {
        if self.over {
            return;
        }
        match event {
            ChatEvent::Start { created, .. } => self.start(*created, out),
            ChatEvent::Usage(usage) => self.usage.get_or_insert_default().merge(usage),
            ChatEvent::Error(wire) => {
                let mut failure = GatewayError::new(wire.kind, wire.message.clone());
                failure.code.clone_from(&wire.code);
                self.fail(&failure, out);
            }
            ChatEvent::End => {}
            _ if self.reason.is_some() => {}
            ChatEvent::BlockStart { choice: 0, block, kind, extra } => self.open(*block, kind, extra, out),
            ChatEvent::Delta { block, delta } => self.delta(*block, delta, out),
            ChatEvent::BlockEnd { block } => self.close(*block, out),
            ChatEvent::Finish { choice: 0, finish } => self.end_answer(finish, out),
            // The dialect has one choice.
            ChatEvent::BlockStart { .. } | ChatEvent::Finish { .. } => {}
        }
    }

    fn finish(&mut self, out: &mut BytesMut) {
        if self.over {
            return;
        }
        let Some(reason) = self.reason else {
            let message = "the upstream's answer ended before its end";
            return self.fail(&GatewayError::new(ErrorKind::Truncated, message), out);
        };
        let outcome = match finish::incomplete(reason) {
            Some(reason) => Outcome::Incomplete { reason },
            // How long it took, a stream that has no clock does not say.
            None => Outcome::Completed { at: None },
        };
        self.say_end(outcome, out);
    }

    fn abort(&mut self, error: &GatewayError, out: &mut BytesMut) {
        self.fail(error, out);
    }
}
