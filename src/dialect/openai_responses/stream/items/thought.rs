//! What was thought, in a summary or as it is.

use serde_json::Value;

use super::{super::event::Event, Own, begin, own_of, word};
use crate::dialect::{
    ChatEvent,
    canonical::{BlockKind, Delta, StateKind},
    openai_responses::response::parts::PARAGRAPH,
};

/// Where thoughts are told: in a summary, or as they are. What is told first counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Channel {
    Summary,
    Content,
}

#[derive(Debug, Default)]
pub(super) struct Thought {
    pub(super) own: Own,
    pub(super) block: Option<u32>,
    pub(super) channel: Option<Channel>,
    /// The part that is being told, and how many of its bytes were.
    pub(super) part: u64,
    pub(super) told: usize,
    /// Whether any part was told before this one.
    pub(super) before: bool,
    /// The state that was there from the beginning: it counts if no other comes.
    pub(super) early: Option<String>,
}

pub(super) fn thought_part(event: &Event<'_>, channel: Channel) -> u64 {
    let index = match channel {
        Channel::Summary => event.summary_index,
        Channel::Content => event.content_index,
    };
    index.unwrap_or(0)
}

impl Thought {
    pub(super) fn tell(
        &mut self,
        channel: Channel,
        part: u64,
        text: String,
        next: &mut u32,
        out: &mut Vec<ChatEvent>,
    ) {
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

    pub(super) fn open(&mut self, next: &mut u32, out: &mut Vec<ChatEvent>) -> u32 {
        *self.block.get_or_insert_with(|| begin(BlockKind::Reasoning, &mut self.own, next, out))
    }

    /// Tells the rest of a part, all of which is known now.
    pub(super) fn complete(
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

    pub(super) fn finish(&mut self, full: Option<&Value>, next: &mut u32, out: &mut Vec<ChatEvent>) {
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
