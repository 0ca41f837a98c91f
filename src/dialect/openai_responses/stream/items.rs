//! The items of a stream, from `added` to `done`. What a `done` says and no delta did is told then; nothing is told twice.

mod call;
mod message;
mod thought;

use serde_json::{Map, Value};

use call::Call;
use message::Message;
pub(super) use message::Said;
pub(super) use thought::Channel;
use thought::{Thought, thought_part};

use super::event::{self, Event};
use crate::dialect::{
    ChatEvent, Recall,
    canonical::{BlockKind, Extra},
    collect,
    openai_responses::{ID, response::parts::Reader},
};

/// The items of one stream.
#[derive(Debug)]
pub(super) struct Items {
    pub(super) reader: Reader,
    known: Vec<Item>,
    /// The next block's key.
    next: u32,
}

#[derive(Debug)]
struct Item {
    /// Its place in the output, as the upstream says. Ids are no better: some upstreams change them from event to event.
    index: Option<u64>,
    id: Option<String>,
    kind: Kind,
    done: bool,
}

#[derive(Debug)]
enum Kind {
    Message(Message),
    Reasoning(Thought),
    Call(Call),
    /// Told when it is done.
    Whole(Value),
}

/// What an item is told to be of its own: its id, and whether a message is a comment. It goes with its first block.
type Own = Map<String, Value>;

impl Items {
    pub(super) fn new(recall: &Recall) -> Self {
        Self { reader: Reader::new(recall), known: Vec::new(), next: 0 }
    }

    fn find(&self, index: Option<u64>, id: Option<&str>) -> Option<usize> {
        match (index, id) {
            (Some(_), _) => self.known.iter().rposition(|it| it.index == index),
            (None, Some(id)) => self.known.iter().rposition(|it| it.id.as_deref() == Some(id)),
            (None, None) => self.known.len().checked_sub(1),
        }
    }

    /// The item of an event that is not done; a new one if it was never announced.
    fn place(&mut self, event: &Event<'_>, kind: impl FnOnce(Own) -> Kind) -> Option<&mut Item> {
        let at = match self.find(event.output_index, event.item_id.as_deref()) {
            Some(at) => at,
            None => {
                let id = event.item_id.as_deref().map(str::to_owned);
                let own = id.iter().map(|it| ("id".to_owned(), it.as_str().into())).collect();
                self.known.push(Item { index: event.output_index, id, kind: kind(own), done: false });
                self.known.len() - 1
            }
        };
        Some(&mut self.known[at]).filter(|it| !it.done)
    }

    /// Handles `output_item.added`.
    pub(super) fn added(&mut self, index: Option<u64>, item: Value, out: &mut Vec<ChatEvent>) {
        let id = word(&item, "id");
        if index.is_some() && self.find(index, None).is_some() {
            return;
        }
        let kind = match item.get("type").and_then(Value::as_str) {
            Some("message") => Kind::Message(Message { own: own_of(&item), ..Message::default() }),
            Some("reasoning") => {
                let early = word(&item, "encrypted_content");
                Kind::Reasoning(Thought { own: own_of(&item), early, ..Thought::default() })
            }
            Some(kind @ ("function_call" | "custom_tool_call")) => {
                let mut call = Call { custom: kind == "custom_tool_call", ..Call::default() };
                call.learn(&item);
                call.early = call.arguments(&item);
                call.begin(&mut self.reader, &mut self.next, out);
                Kind::Call(call)
            }
            _ => Kind::Whole(item),
        };
        self.known.push(Item { index, id, kind, done: false });
    }

    /// Handles a piece of a message's text.
    pub(super) fn content(
        &mut self,
        event: &Event<'_>,
        refusal: bool,
        text: Option<String>,
        out: &mut Vec<ChatEvent>,
    ) {
        let Some(text) = text.filter(|it| !it.is_empty()) else { return };
        let said = Said { text, tokens: event::logprobs(event.logprobs) };
        let index = event.content_index.unwrap_or(0);
        let mut next = self.next;
        if let Some(Item { kind: Kind::Message(message), .. }) = self.place(event, said_before) {
            let (content, own) = message.part(index, refusal);
            content.tell(said, own, &mut next, out);
            self.reader.held.refusal |= refusal;
        }
        self.next = next;
    }

    /// Handles the whole text of a message's part.
    pub(super) fn content_done(
        &mut self,
        event: &Event<'_>,
        refusal: bool,
        text: Option<String>,
        out: &mut Vec<ChatEvent>,
    ) {
        let index = event.content_index.unwrap_or(0);
        let tokens = event::logprobs(event.logprobs);
        let mut next = self.next;
        if let Some(Item { kind: Kind::Message(message), .. }) = self.place(event, said_before) {
            let (content, own) = message.part(index, refusal);
            content.complete(&text.unwrap_or_default(), tokens, own, &mut next, out);
            self.reader.held.refusal |= refusal;
        }
        self.next = next;
    }

    /// Handles `content_part.done`.
    pub(super) fn part_done(&mut self, event: &Event<'_>, part: Option<Value>, out: &mut Vec<ChatEvent>) {
        let Some(part) = part else { return };
        let index = event.content_index.unwrap_or(0);
        let mut next = self.next;
        match self.place(event, said_before) {
            Some(Item { kind: Kind::Message(message), .. }) => {
                let refusal = is_refusal(&part);
                message.fill(index, &part, &mut next, out);
                self.reader.held.refusal |= refusal;
            }
            Some(Item { kind: Kind::Reasoning(thought), .. }) => {
                if let Some(text) = word(&part, "text") {
                    thought.complete(Channel::Content, index, &text, &mut next, out);
                }
            }
            _ => {}
        }
        self.next = next;
    }

    /// Handles `output_text.annotation.added`.
    pub(super) fn annotation(&mut self, event: &Event<'_>, out: &mut Vec<ChatEvent>) {
        let Some(annotation) = event::value(event.annotation) else { return };
        let index = event.content_index.unwrap_or(0);
        let mut next = self.next;
        if let Some(Item { kind: Kind::Message(message), .. }) = self.place(event, said_before) {
            let (content, own) = message.part(index, false);
            if event.annotation_index.is_none_or(|it| it >= content.annotations) {
                content.cite(annotation, own, &mut next, out);
            }
        }
        self.next = next;
    }

    /// Handles a piece of thoughts.
    pub(super) fn thought(
        &mut self,
        event: &Event<'_>,
        channel: Channel,
        text: Option<String>,
        out: &mut Vec<ChatEvent>,
    ) {
        let Some(text) = text.filter(|it| !it.is_empty()) else { return };
        let part = thought_part(event, channel);
        let mut next = self.next;
        if let Some(Item { kind: Kind::Reasoning(thought), .. }) =
            self.place(event, |own| Kind::Reasoning(Thought { own, ..Thought::default() }))
        {
            thought.tell(channel, part, text, &mut next, out);
        }
        self.next = next;
    }

    /// Handles the whole of a part of thoughts.
    pub(super) fn thought_done(
        &mut self,
        event: &Event<'_>,
        channel: Channel,
        text: Option<String>,
        out: &mut Vec<ChatEvent>,
    ) {
        let part = thought_part(event, channel);
        let mut next = self.next;
        if let Some(Item { kind: Kind::Reasoning(thought), .. }) =
            self.place(event, |own| Kind::Reasoning(Thought { own, ..Thought::default() }))
        {
            thought.complete(channel, part, &text.unwrap_or_default(), &mut next, out);
        }
        self.next = next;
    }

    /// Handles a piece of a call's arguments.
    pub(super) fn arguments(
        &mut self,
        event: &Event<'_>,
        custom: bool,
        text: Option<String>,
        out: &mut Vec<ChatEvent>,
    ) {
        let Some(text) = text.filter(|it| !it.is_empty()) else { return };
        if let Some(Item { kind: Kind::Call(call), .. }) =
            self.place(event, |own| Kind::Call(Call { own, custom, ..Call::default() }))
        {
            call.take(text, out);
        }
    }

    /// Handles the whole arguments of a call.
    pub(super) fn arguments_done(
        &mut self,
        event: &Event<'_>,
        text: Option<String>,
        out: &mut Vec<ChatEvent>,
    ) {
        if let Some(at) = self.find(event.output_index, event.item_id.as_deref())
            && let Item { kind: Kind::Call(call), done: false, .. } = &mut self.known[at]
        {
            call.complete(&text.unwrap_or_default(), out);
        }
    }

    /// Handles `output_item.done`: the item as it is, whatever was told of it.
    pub(super) fn done(&mut self, index: Option<u64>, item: Value, out: &mut Vec<ChatEvent>) {
        match self.find(index, word(&item, "id").as_deref()) {
            Some(at) if fits(&self.known[at].kind, &item) => self.finish(at, Some(item), out),
            Some(at) if index.is_none() || self.known[at].done => {}
            _ => self.whole(index, item, out),
        }
    }

    /// Tells an item that nothing was told of.
    fn whole(&mut self, index: Option<u64>, item: Value, out: &mut Vec<ChatEvent>) {
        let id = word(&item, "id");
        for part in self.reader.item(item) {
            collect::unfold_part(part, 0, self.next, out);
            self.next += 1;
        }
        self.known.push(Item { index, id, kind: Kind::Whole(Value::Null), done: true });
    }

    /// Ends an item; `full` is all of it, if the upstream said so.
    fn finish(&mut self, at: usize, full: Option<Value>, out: &mut Vec<ChatEvent>) {
        let item = &mut self.known[at];
        if std::mem::replace(&mut item.done, true) {
            return;
        }
        let next = &mut self.next;
        match &mut item.kind {
            Kind::Message(message) => {
                let parts = full.as_ref().and_then(|it| it.get("content")?.as_array());
                for (index, part) in (0..).zip(parts.map_or(&[][..], Vec::as_slice)) {
                    self.reader.held.refusal |= is_refusal(part);
                    message.fill(index, part, next, out);
                }
                for content in &mut message.parts {
                    content.close(out);
                }
            }
            Kind::Reasoning(thought) => thought.finish(full.as_ref(), next, out),
            Kind::Call(call) => {
                if let Some(full) = &full {
                    call.learn(full);
                }
                call.begin(&mut self.reader, next, out);
                let all = full.map(|it| call.arguments(&it)).filter(|it| !it.is_empty());
                let early = std::mem::take(&mut call.early);
                let all = all.unwrap_or_else(|| if call.came == 0 { early } else { String::new() });
                call.complete(&all, out);
                call.close(out);
            }
            Kind::Whole(raw) => {
                let whole = full.unwrap_or_else(|| std::mem::take(raw));
                for part in self.reader.item(whole) {
                    collect::unfold_part(part, 0, *next, out);
                    *next += 1;
                }
            }
        }
    }

    /// Takes the output of the whole answer: what is there and was not told is told, what is open is ended.
    pub(super) fn settle(&mut self, output: Vec<Value>, out: &mut Vec<ChatEvent>) {
        let before = self.known.len();
        let mut met = vec![false; before];
        for (index, item) in (0..).zip(output) {
            let same = |it: &Item| {
                let same_id = it.id.is_some() && it.id == word(&item, "id");
                same_id || it.call_id().is_some_and(|id| Some(id) == word(&item, "call_id").as_deref())
            };
            let found = (0..before)
                .find(|at| !met[*at] && same(&self.known[*at]))
                .or_else(|| (0..before).find(|at| !met[*at] && self.known[*at].index == Some(index)));
            match found {
                Some(at) => {
                    met[at] = true;
                    let fitting = Some(item).filter(|it| fits(&self.known[at].kind, it));
                    self.finish(at, fitting, out);
                }
                None => self.whole(Some(index), item, out),
            }
        }
    }

    /// Ends what is open. What waited for its end, and never came whole, is told as it was.
    pub(super) fn end(&mut self, out: &mut Vec<ChatEvent>) {
        for at in 0..self.known.len() {
            self.finish(at, None, out);
        }
    }
}

impl Item {
    fn call_id(&self) -> Option<&str> {
        match &self.kind {
            Kind::Call(call) if !call.id.is_empty() => Some(&call.id),
            _ => None,
        }
    }
}

/// Whether an item is of the kind that was announced.
fn fits(kind: &Kind, item: &Value) -> bool {
    let told = item.get("type").and_then(Value::as_str).unwrap_or_default();
    match kind {
        Kind::Message(_) => told == "message",
        Kind::Reasoning(_) => told == "reasoning",
        Kind::Call(_) => matches!(told, "function_call" | "custom_tool_call"),
        Kind::Whole(raw) => raw.get("type").and_then(Value::as_str) == Some(told),
    }
}

fn word(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).filter(|it| !it.is_empty()).map(str::to_owned)
}

fn is_refusal(part: &Value) -> bool {
    part.get("type").and_then(Value::as_str) == Some("refusal")
}

fn take_key(next: &mut u32) -> u32 {
    let key = *next;
    *next += 1;
    key
}

/// A message that was never announced.
fn said_before(own: Own) -> Kind {
    Kind::Message(Message { own, ..Message::default() })
}

/// What an item says of its own, before all of it is known.
fn own_of(item: &Value) -> Own {
    let told = ["id", "phase"].map(|key| (key.to_owned(), item.get(key).cloned().unwrap_or_default()));
    told.into_iter().filter(|(_, it)| it.is_string()).collect()
}

/// Begins a block, with what its item says of its own if it is the first.
fn begin(kind: BlockKind, own: &mut Own, next: &mut u32, out: &mut Vec<ChatEvent>) -> u32 {
    let block = take_key(next);
    let extra = Extra::new(ID, "", std::mem::take(own));
    out.push(ChatEvent::BlockStart { choice: 0, block, kind, extra });
    block
}
