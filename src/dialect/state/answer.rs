//! A whole answer's state, sealed for a client of another dialect.

use super::{CallState, Place, Seal};
use crate::dialect::{
    ChatResponse,
    canonical::{OpaqueState, Part, PartKind},
};

/// Seals the state of every part for the client. Returns what a client without room for it would lose of its tool calls.
pub fn seal_answer(answer: &mut ChatResponse, seal: &Seal) -> Vec<CallState> {
    let mut lost = Vec::new();
    for choice in &mut answer.choices {
        let mut parts = Vec::with_capacity(choice.parts.len());
        let mut thoughts = Vec::new();
        for part in std::mem::take(&mut choice.parts) {
            if seal.has_room() {
                seal_part(part, seal, &mut parts);
            } else {
                parts.extend(bare(part, seal, &mut thoughts, &mut lost));
            }
        }
        choice.parts = parts;
    }
    lost
}

/// Adds a part, and around it the carriers of what rode on it.
fn seal_part(mut part: Part, seal: &Seal, out: &mut Vec<Part>) {
    if let PartKind::Reasoning { state, .. } = &mut part.kind {
        if let Some(foreign) = state.take_if(|it| seal.is_foreign(it)) {
            *state = seal.carry(&foreign, Place::Thought);
        }
        out.push(part);
        return;
    }
    let Some(foreign) = part.state.take_if(|it| seal.is_foreign(it)) else {
        out.push(part);
        return;
    };
    let place = if matches!(part.kind, PartKind::ToolCall(_)) { Place::Call } else { Place::Text };
    let carried = seal.carry(&foreign, place);
    if seal.takes_state_on_parts() {
        part.state = carried;
        out.push(part);
        return;
    }
    let thought = carried.map(|it| Part::new(PartKind::Reasoning { text: String::new(), state: Some(it) }));
    match place {
        Place::Call => {
            out.extend(thought);
            out.push(part);
        }
        Place::Text | Place::Thought => {
            out.push(part);
            out.extend(thought);
        }
    }
}

/// A part without foreign state, which is kept for the next call.
fn bare(
    mut part: Part,
    seal: &Seal,
    thoughts: &mut Vec<(String, OpaqueState)>,
    lost: &mut Vec<CallState>,
) -> Option<Part> {
    match &mut part.kind {
        PartKind::Reasoning { text, state } => {
            if let Some(foreign) = state.take_if(|it| seal.is_foreign(it)) {
                thoughts.push((text.clone(), foreign));
                if text.is_empty() {
                    return None;
                }
            }
        }
        PartKind::ToolCall(call) => {
            let on_call = part.state.take_if(|it| seal.is_foreign(it));
            if on_call.is_some() || !thoughts.is_empty() {
                lost.push(CallState {
                    call_id: call.id.clone(),
                    tool: call.name.clone(),
                    origin: seal.origin.clone(),
                    thoughts: std::mem::take(thoughts),
                    on_call,
                });
            }
        }
        _ => drop(part.state.take_if(|it| seal.is_foreign(it))),
    }
    Some(part)
}
