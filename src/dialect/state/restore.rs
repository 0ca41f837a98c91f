//! A request's carriers, opened: each state back where it was, if its target is who made it.

use super::{
    CallState,
    envelope::{Envelope, Origin, Place, Sealed, is_carrier},
};
use crate::{
    dialect::{
        ChatRequest, Loss, Severity,
        canonical::{OpaqueState, Part, PartKind, Role, StateKind, Turn},
    },
    kernel::id::TenantId,
};

/// Whether any part of a request holds a carrier.
pub fn holds_carriers(request: &ChatRequest) -> bool {
    request.conversation.turns.iter().flat_map(|it| &it.parts).any(|part| {
        let state = match &part.kind {
            PartKind::Reasoning { state, .. } => state.as_ref(),
            _ => part.state.as_ref(),
        };
        state.is_some_and(|it| is_carrier(&it.data))
    })
}

/// Puts the state of every carrier back on its part, and what was remembered of calls before them. What `target` did not make
/// is dropped; what may be shown of it stays.
pub fn restore(
    request: &mut ChatRequest,
    envelope: &Envelope,
    tenant: TenantId,
    target: &Origin,
    remembered: impl Fn(&str) -> Option<CallState>,
) -> Vec<Loss> {
    let mut homeward = Homeward {
        envelope,
        tenant,
        target,
        turns: Vec::with_capacity(request.conversation.turns.len()),
        parts: Vec::new(),
        for_call: None,
        last_text: None,
        losses: Vec::new(),
    };
    for mut turn in std::mem::take(&mut request.conversation.turns) {
        if turn.role == Role::Assistant {
            recall(&mut turn, target, &remembered);
        }
        homeward.turn(turn);
    }
    homeward.give_up_call();
    request.conversation.turns = homeward.turns;
    homeward.losses
}

/// Takes away all thoughts and state: for an upstream that refuses them. Says whether there were any.
pub fn strip(request: &mut ChatRequest) -> bool {
    let mut found = false;
    request.conversation.turns.retain_mut(|turn| {
        let before = turn.parts.len();
        turn.parts.retain(|part| !is_thought(part));
        found |= turn.parts.len() < before;
        for part in &mut turn.parts {
            found |= part.state.take().is_some();
        }
        before == 0 || !turn.parts.is_empty()
    });
    found
}

fn is_thought(part: &Part) -> bool {
    match &part.kind {
        PartKind::Reasoning { .. } => true,
        PartKind::Opaque { raw, .. } => {
            matches!(raw["type"].as_str(), Some("reasoning" | "thinking" | "redacted_thinking"))
        }
        _ => false,
    }
}

/// Puts what is remembered of a turn's calls before them, if the turn has no state of its own.
fn recall(turn: &mut Turn, target: &Origin, remembered: impl Fn(&str) -> Option<CallState>) {
    let has_state = |part: &Part| match &part.kind {
        PartKind::Reasoning { state, .. } => state.is_some(),
        _ => part.state.is_some(),
    };
    if turn.parts.iter().any(has_state) {
        return;
    }
    let mut is_first = true;
    let mut parts = Vec::with_capacity(turn.parts.len());
    let mut shown = std::mem::take(&mut turn.parts);
    let known: Vec<Option<CallState>> = shown.iter().map(|it| of_call(it, target, &remembered)).collect();
    if known.iter().flatten().any(|it| !it.thoughts.is_empty()) {
        // The client's copy of the same thoughts, without their state.
        let mut known = known.iter();
        shown.retain(|it| known.next().is_some_and(Option::is_some) || !is_thought(it));
    }
    let mut known = known.into_iter().flatten().peekable();
    for mut part in shown {
        let is_known =
            |it: &CallState| matches!(&part.kind, PartKind::ToolCall(call) if call.id == it.call_id);
        if let Some(state) = known.next_if(is_known) {
            let thoughts = state
                .thoughts
                .into_iter()
                .map(|(text, state)| Part::new(PartKind::Reasoning { text, state: Some(state) }));
            // A dialect without room for thoughts says all text before all calls: the first thoughts came before both.
            let at = if is_first { 0 } else { parts.len() };
            parts.splice(at..at, thoughts);
            part.state = state.on_call;
        }
        is_first &= !matches!(part.kind, PartKind::ToolCall(_));
        parts.push(part);
    }
    turn.parts = parts;
}

/// What is remembered of a part, if it is a call and `target` can read it.
fn of_call(
    part: &Part,
    target: &Origin,
    remembered: impl Fn(&str) -> Option<CallState>,
) -> Option<CallState> {
    let PartKind::ToolCall(call) = &part.kind else { return None };
    let mut known = remembered(&call.id).filter(|it| it.tool == call.name)?;
    let suits = |state: &OpaqueState| {
        let sealed = Sealed { state: state.clone(), place: Place::Call, origin: known.origin.clone() };
        sealed.suits(target)
    };
    let thoughts = known.thoughts.iter().filter(|(_, state)| suits(state)).cloned().collect();
    let on_call = known.on_call.as_ref().filter(|it| suits(it)).cloned();
    known.thoughts = thoughts;
    known.on_call = on_call;
    (known.on_call.is_some() || !known.thoughts.is_empty()).then_some(known)
}

/// A conversation on its way to who made its state.
struct Homeward<'a> {
    envelope: &'a Envelope,
    tenant: TenantId,
    target: &'a Origin,
    turns: Vec<Turn>,
    /// Of the turn at hand.
    parts: Vec<Part>,
    /// The state of the call that comes next, and where it was said.
    for_call: Option<(OpaqueState, String)>,
    /// Turn and part of the last text of this run of the assistant's turns.
    last_text: Option<(usize, usize)>,
    losses: Vec<Loss>,
}

impl Homeward<'_> {
    fn turn(&mut self, mut turn: Turn) {
        if turn.role != Role::Assistant {
            self.give_up_call();
            self.last_text = None;
            self.turns.push(turn);
            return;
        }
        let was_empty = turn.parts.is_empty();
        for part in std::mem::take(&mut turn.parts) {
            self.part(part, &turn.at);
        }
        turn.parts = std::mem::take(&mut self.parts);
        if was_empty || !turn.parts.is_empty() {
            self.turns.push(turn);
        }
    }

    fn part(&mut self, mut part: Part, at: &str) {
        match &mut part.kind {
            PartKind::Reasoning { text, state } => {
                let Some(carrier) = state.take_if(|it| is_carrier(&it.data)) else {
                    self.parts.push(part);
                    return;
                };
                match self.open(&carrier, at) {
                    Some(Sealed { state: original, place: Place::Thought, .. }) => {
                        *state = Some(original);
                        if carrier.kind == StateKind::ThoughtSignature {
                            self.join_pieces(text);
                        }
                        self.parts.push(part);
                    }
                    Some(Sealed { state: original, place: Place::Call, .. }) => {
                        self.give_up_call();
                        self.for_call = Some((original, at.to_owned()));
                    }
                    Some(Sealed { state: original, place: Place::Text, .. }) => {
                        self.onto_text(original, at);
                    }
                    None if text.is_empty() => {}
                    None => self.parts.push(part),
                }
            }
            PartKind::ToolCall(_) => {
                self.open_own(&mut part, at);
                if let Some((state, _)) = self.for_call.take() {
                    part.state = Some(state);
                }
                self.parts.push(part);
            }
            PartKind::Text { .. } => {
                self.open_own(&mut part, at);
                self.last_text = Some((self.turns.len(), self.parts.len()));
                self.parts.push(part);
            }
            _ => {
                self.open_own(&mut part, at);
                self.parts.push(part);
            }
        }
    }

    /// Puts the pieces of a streamed thought before its last, which is signed: Google's clients send them back as they came,
    /// and the signature is for all of them.
    fn join_pieces(&mut self, last: &mut String) {
        loop {
            // In a chat each piece is a turn of its own.
            let parts = match self.turns.last_mut() {
                Some(turn) if self.parts.is_empty() && turn.role == Role::Assistant => &mut turn.parts,
                _ => &mut self.parts,
            };
            let Some(PartKind::Reasoning { text, state: None }) = parts.last().map(|it| &it.kind) else {
                return;
            };
            last.insert_str(0, text);
            parts.pop();
            if self.parts.is_empty() && self.turns.last().is_some_and(|it| it.parts.is_empty()) {
                self.turns.pop();
            }
        }
    }

    /// Opens a carrier that rides on its own part.
    fn open_own(&mut self, part: &mut Part, at: &str) {
        if let Some(carrier) = part.state.take_if(|it| is_carrier(&it.data)) {
            part.state = self.open(&carrier, at).filter(|it| it.place != Place::Thought).map(|it| it.state);
        }
    }

    /// Opens a carrier whose state may go to the target.
    fn open(&mut self, carrier: &OpaqueState, at: &str) -> Option<Sealed> {
        match self.envelope.open(self.tenant, &carrier.data) {
            Ok(sealed) if sealed.suits(self.target) => Some(sealed),
            Ok(_) => {
                self.lose(at, "reasoning state is for the model and account that made it alone".to_owned());
                None
            }
            Err(error) => {
                self.lose(at, format!("reasoning state was not opened: {error}"));
                None
            }
        }
    }

    fn onto_text(&mut self, state: OpaqueState, at: &str) {
        let parts = match self.last_text {
            Some((turn, part)) if turn == self.turns.len() => self.parts.get_mut(part),
            Some((turn, part)) => self.turns[turn].parts.get_mut(part),
            None => None,
        };
        match parts {
            Some(text) => text.state = Some(state),
            None => self.lose(at, "the text this reasoning state was on is gone".to_owned()),
        }
    }

    /// The call that a state was for is gone.
    fn give_up_call(&mut self) {
        if let Some((_, at)) = self.for_call.take() {
            self.lose(&at, "the tool call this reasoning state was on is gone".to_owned());
        }
    }

    fn lose(&mut self, at: &str, reason: String) {
        self.losses.push(Loss::dropped(at, Severity::Cosmetic, reason));
    }
}
