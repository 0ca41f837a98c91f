//! The items of a stream, from `added` to `done`. What a `done` says and no delta did is told then; nothing is told twice.

use serde_json::{Map, Value};

use super::event::{self, Event};
use crate::dialect::{
    ChatEvent, Recall,
    canonical::{BlockKind, Delta, Extra, StateKind, TokenLogprob},
    collect, openai_logprobs,
    openai_responses::{
        ID,
        response::parts::{self, Form, PARAGRAPH, Reader},
    },
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

#[derive(Debug, Default)]
struct Message {
    own: Own,
    parts: Vec<Content>,
}

/// A part of a message.
#[derive(Debug)]
struct Content {
    index: u64,
    refusal: bool,
    block: Option<u32>,
    /// How many bytes of its text were told.
    told: usize,
    annotations: usize,
    tokens: usize,
    closed: bool,
}

/// A piece of a text, and how likely its tokens were.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) tokens: Vec<TokenLogprob>,
}

/// Where thoughts are told: in a summary, or as they are. What is told first counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    Summary,
    Content,
}

#[derive(Debug, Default)]
struct Thought {
    own: Own,
    block: Option<u32>,
    channel: Option<Channel>,
    /// The part that is being told, and how many of its bytes were.
    part: u64,
    told: usize,
    /// Whether any part was told before this one.
    before: bool,
    /// The state that was there from the beginning: it counts if no other comes.
    early: Option<String>,
}

#[derive(Debug, Default)]
struct Call {
    own: Own,
    custom: bool,
    id: String,
    name: String,
    namespace: String,
    block: Option<u32>,
    form: Option<Form>,
    /// Arguments that wait for the block to begin, or for all of them.
    held: String,
    /// How many bytes of them came.
    came: usize,
    /// The arguments that were there from the beginning: they count if no others come.
    early: String,
}

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

impl Message {
    /// A part of it, and what the message says of its own.
    fn part(&mut self, index: u64, refusal: bool) -> (&mut Content, &mut Own) {
        let at = self.parts.iter().position(|it| it.index == index).unwrap_or_else(|| {
            self.parts.push(Content {
                index,
                refusal,
                block: None,
                told: 0,
                annotations: 0,
                tokens: 0,
                closed: false,
            });
            self.parts.len() - 1
        });
        (&mut self.parts[at], &mut self.own)
    }

    /// Tells what is in a part and was not told, and ends it. One of a type we do not know is told as it is.
    fn fill(&mut self, index: u64, part: &Value, next: &mut u32, out: &mut Vec<ChatEvent>) {
        let (kind, Value::Object(fields)) = (part.get("type").and_then(Value::as_str), part) else { return };
        let refusal = match kind {
            Some("output_text" | "text") => false,
            Some("refusal") => true,
            None | Some("" | "summary_text" | "reasoning_text") => return,
            Some(_) => {
                let (content, own) = self.part(index, false);
                if !std::mem::replace(&mut content.closed, true) && content.block.is_none() {
                    let part = parts::unknown_content(fields.clone(), std::mem::take(own));
                    collect::unfold_part(part, 0, take_key(next), out);
                }
                return;
            }
        };
        let text = word(part, if refusal { "refusal" } else { "text" }).unwrap_or_default();
        let tokens = part.get("logprobs").and_then(openai_logprobs::read).unwrap_or_default();
        let (content, own) = self.part(index, refusal);
        content.complete(&text, tokens, own, next, out);
        let told = content.annotations;
        let annotations = part.get("annotations").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for annotation in annotations.iter().skip(told) {
            content.cite(annotation.clone(), own, next, out);
        }
        content.close(out);
    }
}

impl Content {
    fn tell(&mut self, said: Said, own: &mut Own, next: &mut u32, out: &mut Vec<ChatEvent>) {
        let Said { text, tokens } = said;
        if self.closed || text.is_empty() {
            return;
        }
        let block = self.open(own, next, out);
        self.told += text.len();
        self.likely(block, tokens, out);
        let delta = if self.refusal { Delta::Refusal(text) } else { Delta::Text(text) };
        out.push(ChatEvent::Delta { block, delta });
    }

    fn likely(&mut self, block: u32, tokens: Vec<TokenLogprob>, out: &mut Vec<ChatEvent>) {
        if !tokens.is_empty() {
            self.tokens += tokens.len();
            out.push(ChatEvent::Delta { block, delta: Delta::Logprobs(tokens) });
        }
    }

    fn open(&mut self, own: &mut Own, next: &mut u32, out: &mut Vec<ChatEvent>) -> u32 {
        *self.block.get_or_insert_with(|| {
            let kind = if self.refusal { BlockKind::Refusal } else { BlockKind::Text };
            begin(kind, own, next, out)
        })
    }

    /// Tells the rest of a text and of its tokens, all of which are known now.
    fn complete(
        &mut self,
        full: &str,
        mut tokens: Vec<TokenLogprob>,
        own: &mut Own,
        next: &mut u32,
        out: &mut Vec<ChatEvent>,
    ) {
        tokens.drain(..self.tokens.min(tokens.len()));
        match full.get(self.told..) {
            Some(rest) if !rest.is_empty() => {
                self.tell(Said { text: rest.to_owned(), tokens }, own, next, out);
            }
            _ => {
                if let Some(block) = self.block.filter(|_| !self.closed) {
                    self.likely(block, tokens, out);
                }
            }
        }
    }

    /// Cites. A citation of no text is none.
    fn cite(&mut self, annotation: Value, own: &mut Own, next: &mut u32, out: &mut Vec<ChatEvent>) {
        if self.closed || self.refusal || self.told == 0 {
            return;
        }
        let block = self.open(own, next, out);
        self.annotations += 1;
        out.push(ChatEvent::Delta { block, delta: Delta::Citation(parts::citation(annotation)) });
    }

    fn close(&mut self, out: &mut Vec<ChatEvent>) {
        if !std::mem::replace(&mut self.closed, true)
            && let Some(block) = self.block
        {
            out.push(ChatEvent::BlockEnd { block });
        }
    }
}

fn thought_part(event: &Event<'_>, channel: Channel) -> u64 {
    let index = match channel {
        Channel::Summary => event.summary_index,
        Channel::Content => event.content_index,
    };
    index.unwrap_or(0)
}

impl Thought {
    fn tell(&mut self, channel: Channel, part: u64, text: String, next: &mut u32, out: &mut Vec<ChatEvent>) {
        if *self.channel.get_or_insert(channel) != channel || part < self.part || text.is_empty() {
            return;
        }
        if part > self.part {
            self.before |= self.told > 0;
            (self.part, self.told) = (part, 0);
        }
        let block = self.open(next, out);
        let begins = self.told == 0 && self.before;
        self.told += text.len();
        let text = if begins { format!("{PARAGRAPH}{text}") } else { text };
        out.push(ChatEvent::Delta { block, delta: Delta::Reasoning(text) });
    }

    fn open(&mut self, next: &mut u32, out: &mut Vec<ChatEvent>) -> u32 {
        *self.block.get_or_insert_with(|| begin(BlockKind::Reasoning, &mut self.own, next, out))
    }

    /// Tells the rest of a part, all of which is known now.
    fn complete(
        &mut self,
        channel: Channel,
        part: u64,
        full: &str,
        next: &mut u32,
        out: &mut Vec<ChatEvent>,
    ) {
        let told = if part == self.part { self.told } else { 0 };
        if let Some(rest) = full.get(told..) {
            self.tell(channel, part, rest.to_owned(), next, out);
        }
    }

    fn finish(&mut self, full: Option<&Value>, next: &mut u32, out: &mut Vec<ChatEvent>) {
        if let Some(full) = full.filter(|_| self.own.is_empty()) {
            self.own = own_of(full);
        }
        for (channel, key) in [(Channel::Summary, "summary"), (Channel::Content, "content")] {
            let parts = full.and_then(|it| it.get(key)?.as_array()).map_or(&[][..], Vec::as_slice);
            for (index, part) in (0..).zip(parts) {
                self.complete(channel, index, &word(part, "text").unwrap_or_default(), next, out);
            }
        }
        let state = full.and_then(|it| word(it, "encrypted_content")).or_else(|| self.early.take());
        if let Some(data) = state {
            let block = self.open(next, out);
            out.push(ChatEvent::Delta { block, delta: Delta::State { kind: StateKind::Encrypted, data } });
        }
        out.extend(self.block.map(|block| ChatEvent::BlockEnd { block }));
    }
}

impl Call {
    /// Takes what an item says of the call, if it was not known.
    fn learn(&mut self, item: &Value) {
        if self.own.is_empty() {
            self.own = own_of(item);
        }
        for (known, key) in
            [(&mut self.id, "call_id"), (&mut self.name, "name"), (&mut self.namespace, "namespace")]
        {
            if known.is_empty() {
                *known = word(item, key).unwrap_or_default();
            }
        }
        self.custom |= item.get("type").and_then(Value::as_str) == Some("custom_tool_call");
    }

    /// The arguments an item has.
    fn arguments(&self, item: &Value) -> String {
        match item.get(if self.custom { "input" } else { "arguments" }) {
            Some(Value::String(text)) => text.clone(),
            Some(value @ Value::Object(_)) => value.to_string(),
            _ => String::new(),
        }
    }

    /// Begins the block, once the name is known. A call that never gets one is none.
    fn begin(&mut self, reader: &mut Reader, next: &mut u32, out: &mut Vec<ChatEvent>) {
        if self.block.is_some() {
            return;
        }
        let Some((name, form)) = reader.callee(&self.name, &self.namespace, self.custom) else { return };
        let kind = if form == Form::Answer {
            BlockKind::Text
        } else {
            let id = reader.call_id(self.id.clone());
            BlockKind::ToolCall { id, name, custom: form != Form::Function, state: None }
        };
        let block = begin(kind, &mut self.own, next, out);
        (self.block, self.form) = (Some(block), Some(form));
        self.flush(out);
    }

    fn take(&mut self, text: String, out: &mut Vec<ChatEvent>) {
        self.came += text.len();
        if self.held.is_empty() {
            self.held = text;
        } else {
            self.held.push_str(&text);
        }
        self.flush(out);
    }

    /// Tells what waited, but for a text that is wrapped: it is known when all of it is.
    fn flush(&mut self, out: &mut Vec<ChatEvent>) {
        let (Some(block), Some(form)) = (self.block, self.form) else { return };
        if form == Form::Wrapped || self.held.is_empty() {
            return;
        }
        let text = std::mem::take(&mut self.held);
        let delta = if form == Form::Answer { Delta::Text(text) } else { Delta::Arguments(text) };
        out.push(ChatEvent::Delta { block, delta });
    }

    /// Takes the rest of the arguments, all of which are known now.
    fn complete(&mut self, full: &str, out: &mut Vec<ChatEvent>) {
        if let Some(rest) = full.get(self.came..).filter(|it| !it.is_empty()) {
            self.take(rest.to_owned(), out);
        }
    }

    fn close(&mut self, out: &mut Vec<ChatEvent>) {
        let (Some(block), Some(form)) = (self.block, self.form) else { return };
        let last = match form {
            Form::Wrapped => form.whole(std::mem::take(&mut self.held)),
            Form::Function if self.came == 0 => form.whole(String::new()),
            Form::Function | Form::Custom | Form::Answer => String::new(),
        };
        if !last.is_empty() {
            out.push(ChatEvent::Delta { block, delta: Delta::Arguments(last) });
        }
        out.push(ChatEvent::BlockEnd { block });
    }
}
