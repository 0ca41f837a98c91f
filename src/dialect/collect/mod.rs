//! Events → a whole answer, and back: a whole answer is a stream that was waited for.

mod serializer;

use std::collections::{BTreeMap, HashMap};

use super::{
    ChatEvent, ChatResponse, TokenUsage, WireError,
    canonical::{
        Arguments, BlockKind, Choice, Delta, Extra, Finish, OpaqueState, Part, PartKind, StateKind,
        TokenLogprob, ToolCall,
    },
};
use crate::kernel::error::ErrorKind;

pub use serializer::{MAX_HELD_BYTES, Serializer};

/// Folds a stream's events into the answer they are.
#[derive(Debug, Default)]
pub struct Collector {
    answer: ChatResponse,
    choices: BTreeMap<u32, Collected>,
    /// Which choice a block is of, and its place in it.
    blocks: HashMap<u32, (u32, usize)>,
    error: Option<WireError>,
    ended: bool,
}

#[derive(Debug, Default)]
struct Collected {
    parts: Vec<Part>,
    finish: Option<Finish>,
}

impl Collector {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next event. Events that no decoder may send (a delta of no block) are passed over.
    pub fn push(&mut self, event: ChatEvent) {
        match event {
            ChatEvent::Start { id, model, created } => {
                self.answer.id = id;
                self.answer.model = model;
                self.answer.created = created;
            }
            ChatEvent::BlockStart { choice, block, kind, extra } => {
                let parts = &mut self.choices.entry(choice).or_default().parts;
                self.blocks.insert(block, (choice, parts.len()));
                parts.push(opened(kind, extra));
            }
            ChatEvent::Delta { block, delta } => {
                let place = self.blocks.get(&block);
                let part = place.and_then(|(choice, at)| {
                    self.choices.get_mut(choice).and_then(|it| it.parts.get_mut(*at))
                });
                if let Some(part) = part {
                    extend(part, delta);
                }
            }
            ChatEvent::BlockEnd { block } => {
                self.blocks.remove(&block);
            }
            ChatEvent::Usage(usage) => {
                self.answer.usage.get_or_insert_with(TokenUsage::default).merge(&usage);
            }
            ChatEvent::Finish { choice, finish } => {
                self.choices.entry(choice).or_default().finish = Some(finish);
            }
            ChatEvent::Error(error) => {
                self.error.get_or_insert(error);
            }
            ChatEvent::End => self.ended = true,
        }
    }

    /// Gives the answer; the stream's error if it had one, and an error too if it lacks its end.
    pub fn finish(self) -> Result<ChatResponse, WireError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let mut answer = self.answer;
        if !self.ended && self.choices.is_empty() {
            return Err(truncated());
        }
        for (index, choice) in self.choices {
            let finish = choice.finish.ok_or_else(truncated)?;
            answer.choices.push(Choice { index, parts: choice.parts, finish, extra: Extra::default() });
        }
        Ok(answer)
    }
}

fn truncated() -> WireError {
    WireError {
        kind: ErrorKind::Truncated,
        message: "the upstream's answer ended before its end".to_owned(),
        error_type: None,
        code: None,
        param: None,
    }
}

/// A part before its deltas.
fn opened(kind: BlockKind, extra: Extra) -> Part {
    let kind = match kind {
        BlockKind::Text => PartKind::Text { text: String::new(), citations: Vec::new() },
        BlockKind::Reasoning => PartKind::Reasoning { text: String::new(), state: None },
        BlockKind::Refusal => PartKind::Refusal { text: String::new() },
        BlockKind::ToolCall { id, name, custom, state } => {
            let call = ToolCall { id, name, arguments: Arguments::default(), custom };
            return Part { state, extra, ..Part::new(PartKind::ToolCall(call)) };
        }
        BlockKind::Whole(part) => return *part,
    };
    Part { extra, ..Part::new(kind) }
}

/// Adds a delta to the part it is of; one of another kind is passed over.
fn extend(part: &mut Part, delta: Delta) {
    match (&mut part.kind, delta) {
        (PartKind::Text { text, .. }, Delta::Text(more))
        | (PartKind::Reasoning { text, .. }, Delta::Reasoning(more))
        | (PartKind::Refusal { text }, Delta::Refusal(more)) => text.push_str(&more),
        (PartKind::ToolCall(call), Delta::Arguments(more)) => call.arguments.0.push_str(&more),
        (PartKind::Text { citations, .. }, Delta::Citation(citation)) => citations.push(citation),
        (PartKind::Text { .. } | PartKind::Refusal { .. }, Delta::Logprobs(more)) => {
            part.logprobs.extend(more);
        }
        (PartKind::Reasoning { state, .. }, Delta::State { kind, data }) => {
            *state = Some(OpaqueState { dialect: kind.dialect(), kind, data });
        }
        (PartKind::Text { .. }, Delta::State { kind, data }) => {
            part.state = Some(OpaqueState { dialect: kind.dialect(), kind, data });
        }
        _ => {}
    }
}

/// Says a whole answer as a stream: one delta for each block. Fields that only one dialect knows (`extra`) have a place in
/// a stream if they are a part's; cache marks have none.
pub fn unfold(answer: ChatResponse) -> Vec<ChatEvent> {
    let ChatResponse { id, model, created, choices, usage, extra: _ } = answer;
    let mut events = vec![ChatEvent::Start { id, model, created }];
    if let Some(usage) = &usage {
        // What a stream knows at its beginning, for encoders that say it there.
        let asked = TokenUsage { output: None, reasoning: None, ..*usage };
        events.push(ChatEvent::Usage(asked));
    }
    let mut finishes = Vec::with_capacity(choices.len());
    let mut block = 0;
    for choice in choices {
        for part in choice.parts {
            unfold_part(part, choice.index, block, &mut events);
            block += 1;
        }
        finishes.push(ChatEvent::Finish { choice: choice.index, finish: choice.finish });
    }
    events.extend(usage.map(ChatEvent::Usage));
    events.extend(finishes);
    events.push(ChatEvent::End);
    events
}

/// Says one part as a block.
pub(super) fn unfold_part(part: Part, choice: u32, block: u32, events: &mut Vec<ChatEvent>) {
    let likely = |it: Vec<TokenLogprob>| (!it.is_empty()).then_some(Delta::Logprobs(it));
    let mut extra = part.extra;
    let (kind, deltas) = match part.kind {
        PartKind::Text { text, citations } => {
            let mut deltas: Vec<Delta> = likely(part.logprobs).into_iter().collect();
            deltas.extend(nonempty(text, Delta::Text));
            deltas.extend(citations.into_iter().map(Delta::Citation));
            deltas.extend(part.state.map(|it| Delta::State { kind: it.kind, data: it.data }));
            (BlockKind::Text, deltas)
        }
        PartKind::Reasoning { text, state }
            if state.as_ref().is_none_or(|it| it.kind != StateKind::Redacted) =>
        {
            let mut deltas = nonempty(text, Delta::Reasoning);
            deltas.extend(state.map(|it| Delta::State { kind: it.kind, data: it.data }));
            (BlockKind::Reasoning, deltas)
        }
        PartKind::ToolCall(ToolCall { id, name, arguments, custom }) => (
            BlockKind::ToolCall { id, name, custom, state: part.state },
            nonempty(arguments.0, Delta::Arguments),
        ),
        PartKind::Refusal { text } => {
            let told = nonempty(text, Delta::Refusal);
            (BlockKind::Refusal, likely(part.logprobs).into_iter().chain(told).collect())
        }
        whole => {
            let extra = std::mem::take(&mut extra);
            (BlockKind::Whole(Box::new(Part { kind: whole, extra, ..part })), Vec::new())
        }
    };
    events.push(ChatEvent::BlockStart { choice, block, kind, extra });
    events.extend(deltas.into_iter().map(|delta| ChatEvent::Delta { block, delta }));
    events.push(ChatEvent::BlockEnd { block });
}

fn nonempty(text: String, delta: fn(String) -> Delta) -> Vec<Delta> {
    if text.is_empty() { Vec::new() } else { vec![delta(text)] }
}

#[cfg(test)]
mod tests;
