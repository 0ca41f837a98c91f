//! Which response answers which call: by id, else by name in order, else by order alone.

use std::collections::VecDeque;

use super::parts::note;
use crate::dialect::canonical::{Part, PartKind, Role, Turn, names::is_plain};

/// The longest id that is made, in characters: what every upstream takes.
const LONGEST_ID: usize = 40;

/// A call that waits for its response.
struct Open {
    id: String,
    name: String,
}

/// Gives calls without an id one, and responses the id of the call they answer. The same request gets the same ids.
pub(super) fn pair(turns: &mut [Turn]) {
    let mut open: VecDeque<Open> = VecDeque::new();
    let mut asked = false;
    for (index, turn) in turns.iter_mut().enumerate() {
        match turn.role {
            Role::Assistant => {
                if !asked {
                    open.clear();
                }
                asked = true;
                open.extend(calls(index, turn));
            }
            Role::User => {
                asked = false;
                answer(index, turn, &mut open);
            }
            Role::System | Role::Developer => {}
        }
    }
}

fn calls(index: usize, turn: &mut Turn) -> Vec<Open> {
    let mut calls = Vec::new();
    for part in &mut turn.parts {
        let PartKind::ToolCall(call) = &mut part.kind else { continue };
        if call.id.is_empty() {
            call.id = made_id(index, calls.len(), &call.name);
        }
        calls.push(Open { id: call.id.clone(), name: call.name.clone() });
    }
    calls
}

fn made_id(turn: usize, nth: usize, name: &str) -> String {
    let head = format!("call_{turn}_{nth}_");
    let name = name.chars().map(|it| if is_plain(it) { it } else { '_' });
    head.chars().chain(name).take(LONGEST_ID).collect()
}

fn answer(index: usize, turn: &mut Turn, open: &mut VecDeque<Open>) {
    let mut waiting: Vec<(usize, &mut Part)> = Vec::new();
    for part in &mut turn.parts {
        let PartKind::ToolResult(result) = &part.kind else { continue };
        let nth = waiting.len();
        match open.iter().position(|it| it.id == result.call_id) {
            Some(at) => drop(open.remove(at)),
            None => waiting.push((nth, part)),
        }
    }
    let mut nameless = Vec::new();
    for (nth, part) in waiting {
        let name = name_of(part);
        match open.iter().position(|it| it.name == name) {
            Some(at) => take(part, open.remove(at)),
            None => nameless.push((nth, part)),
        }
    }
    for (nth, part) in nameless {
        let name = name_of(part);
        match open.pop_front() {
            Some(it) => take(part, Some(it)),
            None => {
                if let PartKind::ToolResult(result) = &mut part.kind
                    && result.call_id.is_empty()
                {
                    result.call_id = made_id(index, nth, &name);
                }
            }
        }
    }
}

fn name_of(part: &Part) -> String {
    note(&part.extra, "name").and_then(|it| it.as_str()).unwrap_or_default().to_owned()
}

fn take(part: &mut Part, call: Option<Open>) {
    if let (PartKind::ToolResult(result), Some(call)) = (&mut part.kind, call) {
        result.call_id = call.id;
    }
}
