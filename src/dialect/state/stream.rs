//! A streamed answer's state, sealed for a client of another dialect: `answer`, event by event.

use std::collections::{HashMap, HashSet};

use super::{CallState, Place, Seal};
use crate::dialect::{
    ChatEvent,
    canonical::{BlockKind, Delta, Extra, OpaqueState, Part, PartKind},
};

/// The most of a thought's text that is kept beside its state for a client without room, in bytes.
const MAX_THOUGHT: usize = 1 << 20;

/// Seals state on its way to the client. Stands before the serializer: it opens blocks of its own between others.
#[derive(Debug)]
pub struct Outward {
    seal: Seal,
    /// Texts and thoughts that are open.
    open: HashMap<u32, Open>,
    /// Thoughts with state since the last call of each choice, for a client without room.
    thoughts: HashMap<u32, Vec<(String, OpaqueState)>>,
    lost: Vec<CallState>,
    /// Blocks the client is told nothing of.
    untold: HashSet<u32>,
    /// The next key given to a block of ours: from the top down, where no decoder gets to.
    next_block: u32,
}

#[derive(Debug)]
struct Open {
    choice: u32,
    is_thought: bool,
    /// A thought's text, kept if the client has no room for its state.
    text: String,
    /// What goes into a block of its own once this one ends.
    after: Option<OpaqueState>,
}

impl Outward {
    pub fn new(seal: Seal) -> Self {
        Self {
            seal,
            open: HashMap::new(),
            thoughts: HashMap::new(),
            lost: Vec::new(),
            untold: HashSet::new(),
            next_block: u32::MAX,
        }
    }

    /// What a client without room for it loses of the calls that have begun since this was last asked.
    pub fn take_lost(&mut self) -> Vec<CallState> {
        std::mem::take(&mut self.lost)
    }

    /// Takes the next event, and adds to `out` what becomes of it.
    pub fn push(&mut self, event: ChatEvent, out: &mut Vec<ChatEvent>) {
        match event {
            ChatEvent::BlockStart { choice, block, kind, extra } => {
                self.start(choice, block, kind, extra, out);
            }
            ChatEvent::Delta { block, delta: Delta::State { kind, data } } => {
                let state = OpaqueState { dialect: kind.dialect(), kind, data };
                self.state(block, state, out);
            }
            ChatEvent::Delta { block, delta: Delta::Reasoning(text) } => {
                if let Some(open) = self.open.get_mut(&block)
                    && !self.seal.has_room()
                    && open.text.len() + text.len() <= MAX_THOUGHT
                {
                    open.text.push_str(&text);
                }
                out.push(ChatEvent::Delta { block, delta: Delta::Reasoning(text) });
            }
            ChatEvent::BlockEnd { block } if self.untold.remove(&block) => {}
            ChatEvent::BlockEnd { block } => {
                out.push(ChatEvent::BlockEnd { block });
                if let Some(Open { choice, after: Some(state), .. }) = self.open.remove(&block) {
                    self.thought(choice, state, out);
                }
            }
            event => out.push(event),
        }
    }

    fn start(&mut self, choice: u32, block: u32, kind: BlockKind, extra: Extra, out: &mut Vec<ChatEvent>) {
        let kind = match kind {
            BlockKind::Text | BlockKind::Reasoning => {
                let is_thought = kind == BlockKind::Reasoning;
                self.open.insert(block, Open { choice, is_thought, text: String::new(), after: None });
                kind
            }
            BlockKind::ToolCall { id, name, custom, state } => {
                let state = self.before_call(choice, &id, &name, state, out);
                BlockKind::ToolCall { id, name, custom, state }
            }
            BlockKind::Whole(part) => return self.whole(choice, block, *part, out),
            BlockKind::Refusal => BlockKind::Refusal,
        };
        out.push(ChatEvent::BlockStart { choice, block, kind, extra });
    }

    /// Says before a call what rode on it; returns what may stay on it.
    fn before_call(
        &mut self,
        choice: u32,
        id: &str,
        name: &str,
        mut state: Option<OpaqueState>,
        out: &mut Vec<ChatEvent>,
    ) -> Option<OpaqueState> {
        let foreign = state.take_if(|it| self.seal.is_foreign(it));
        if !self.seal.has_room() {
            let thoughts = self.thoughts.remove(&choice).unwrap_or_default();
            if foreign.is_some() || !thoughts.is_empty() {
                self.lost.push(CallState {
                    call_id: id.to_owned(),
                    tool: name.to_owned(),
                    origin: self.seal.origin.clone(),
                    thoughts,
                    on_call: foreign,
                });
            }
            return state;
        }
        let Some(carried) = foreign.and_then(|it| self.seal.carry(&it, Place::Call)) else { return state };
        if self.seal.takes_state_on_parts() {
            return Some(carried);
        }
        self.thought(choice, carried, out);
        state
    }

    fn state(&mut self, block: u32, state: OpaqueState, out: &mut Vec<ChatEvent>) {
        let say = |state: OpaqueState, out: &mut Vec<ChatEvent>| {
            let OpaqueState { kind, data, .. } = state;
            out.push(ChatEvent::Delta { block, delta: Delta::State { kind, data } });
        };
        if !self.seal.is_foreign(&state) {
            return say(state, out);
        }
        let Some(open) = self.open.get_mut(&block) else { return };
        if !self.seal.has_room() {
            if open.is_thought {
                self.thoughts.entry(open.choice).or_default().push((open.text.clone(), state));
            }
            return;
        }
        let place = if open.is_thought { Place::Thought } else { Place::Text };
        let Some(carried) = self.seal.carry(&state, place) else { return };
        if place == Place::Text && !self.seal.takes_state_on_parts() {
            open.after = Some(carried);
        } else {
            say(carried, out);
        }
    }

    /// A part that comes whole: redacted thinking becomes a thought with nothing to show.
    fn whole(&mut self, choice: u32, block: u32, mut part: Part, out: &mut Vec<ChatEvent>) {
        if let PartKind::Reasoning { text, state } = &mut part.kind
            && let Some(foreign) = state.take_if(|it| self.seal.is_foreign(it))
        {
            let text = std::mem::take(text);
            if text.is_empty() && !self.seal.has_room() {
                self.untold.insert(block);
                self.thoughts.entry(choice).or_default().push((text, foreign));
                return;
            }
            out.push(ChatEvent::block(choice, block, BlockKind::Reasoning));
            if !text.is_empty() {
                out.push(ChatEvent::Delta { block, delta: Delta::Reasoning(text.clone()) });
            }
            if self.seal.has_room() {
                if let Some(it) = self.seal.carry(&foreign, Place::Thought) {
                    out.push(ChatEvent::Delta {
                        block,
                        delta: Delta::State { kind: it.kind, data: it.data },
                    });
                }
            } else {
                self.thoughts.entry(choice).or_default().push((text, foreign));
            }
            return;
        }
        drop(part.state.take_if(|it| self.seal.is_foreign(it)));
        out.push(ChatEvent::block(choice, block, BlockKind::Whole(Box::new(part))));
    }

    /// Says a thought that holds nothing but a carrier.
    fn thought(&mut self, choice: u32, carried: OpaqueState, out: &mut Vec<ChatEvent>) {
        let block = self.next_block;
        self.next_block -= 1;
        let delta = Delta::State { kind: carried.kind, data: carried.data };
        out.push(ChatEvent::block(choice, block, BlockKind::Reasoning));
        out.push(ChatEvent::Delta { block, delta });
        out.push(ChatEvent::BlockEnd { block });
    }
}
