//! Every tool call has its result and every result its call: histories that clients interrupted or cut are made so.
//!
//! What comes out holds for every upstream: ids are unique, the turns right after an assistant turn with calls hold exactly
//! the results of those calls, and nothing stands between. One assistant turn follows another only if the first has no calls.

use std::{borrow::Cow, collections::HashSet};

use super::{Conversation, Extra, Part, PartKind, Role, ToolCall, ToolResult, Turn};
use crate::dialect::{Loss, Severity};

/// What stands in for the result of a call that was interrupted.
pub const INTERRUPTED: &str = "Tool call was interrupted; no result.";

/// Repairs a conversation; borrowed if there was nothing to repair.
pub fn repair(conversation: &Conversation) -> (Cow<'_, Conversation>, Vec<Loss>) {
    if is_sound(&conversation.turns) {
        return (Cow::Borrowed(conversation), Vec::new());
    }
    let mut repair = Repair::default();
    let mut turns = conversation.turns.as_slice();
    while !turns.is_empty() {
        turns = repair.round(turns);
    }
    (Cow::Owned(Conversation { turns: repair.turns }), repair.losses)
}

fn is_sound(turns: &[Turn]) -> bool {
    let mut seen = HashSet::new();
    let mut open: Vec<&str> = Vec::new();
    for turn in turns {
        if turn.role == Role::Assistant || turn.parts.is_empty() {
            if !open.is_empty() {
                return false;
            }
            open = calls(turn).map(|it| it.id.as_str()).collect();
            if !open.iter().all(|&it| !it.is_empty() && seen.insert(it)) {
                return false;
            }
            continue;
        }
        for part in &turn.parts {
            if let PartKind::ToolResult(result) = &part.kind {
                let Some(at) = open.iter().position(|it| *it == result.call_id) else { return false };
                open.remove(at);
            } else if !open.is_empty() {
                return false;
            }
        }
    }
    open.is_empty()
}

fn calls(turn: &Turn) -> impl Iterator<Item = &ToolCall> {
    turn.parts.iter().filter_map(|it| match &it.kind {
        PartKind::ToolCall(call) => Some(call),
        _ => None,
    })
}

/// A call that waits for its result.
struct Slot {
    /// The id as the client wrote it; results name it so.
    written: String,
    /// The id as it is now.
    id: String,
    /// Where its result went: an index into `Round::results` and into that turn's parts.
    filled: Option<(usize, usize)>,
}

/// The turns after an assistant turn, up to the next one.
#[derive(Default)]
struct Round {
    slots: Vec<Slot>,
    results: Vec<Turn>,
    rest: Vec<Turn>,
}

#[derive(Default)]
struct Repair {
    turns: Vec<Turn>,
    used: HashSet<String>,
    losses: Vec<Loss>,
}

impl Repair {
    /// Repairs up to the next assistant turn; returns the turns that are left.
    fn round<'a>(&mut self, turns: &'a [Turn]) -> &'a [Turn] {
        let (assistant, turns) = self.assistant(turns);
        let end = turns.iter().position(|it| it.role == Role::Assistant).unwrap_or(turns.len());
        let mut round = Round::default();
        let at = assistant.as_ref().map_or_else(String::new, |it| it.at.clone());
        if let Some(mut assistant) = assistant {
            round.slots = self.rename(&mut assistant);
            self.turns.push(assistant);
        }
        for turn in &turns[..end] {
            self.sort(turn, &mut round);
        }
        self.fill(&at, &mut round);
        self.turns.append(&mut round.results);
        self.turns.append(&mut round.rest);
        &turns[end..]
    }

    /// Takes the assistant's turn, with those that follow it directly if it has calls: their results come after all of them.
    fn assistant<'a>(&mut self, turns: &'a [Turn]) -> (Option<Turn>, &'a [Turn]) {
        let Some((first, mut turns)) = turns.split_first().filter(|(it, _)| it.role == Role::Assistant)
        else {
            return (None, turns);
        };
        let mut merged = first.clone();
        while let Some((next, rest)) = turns.split_first()
            && next.role == Role::Assistant
            && calls(&merged).next().is_some()
        {
            self.losses.push(Loss::moved(&next.at, "tool results must follow their calls directly"));
            next.extra.lose(&mut self.losses);
            merged.parts.extend(next.parts.iter().cloned());
            merged.plain = false;
            turns = rest;
        }
        (Some(merged), turns)
    }

    /// Makes the ids of a turn's calls unique.
    fn rename(&mut self, turn: &mut Turn) -> Vec<Slot> {
        let mut slots = Vec::new();
        for part in &mut turn.parts {
            let PartKind::ToolCall(call) = &mut part.kind else { continue };
            let written = call.id.clone();
            if written.is_empty() || self.used.contains(&written) {
                let base = if written.is_empty() { "call" } else { written.as_str() };
                let numbered = |number: usize| format!("{base}_{number}");
                // Of one more number than there are ids one is free.
                let fresh = (2..self.used.len() + 3).map(numbered).find(|it| !self.used.contains(it));
                call.id = fresh.unwrap_or_default();
                self.losses.push(Loss::approximated(
                    &turn.at,
                    Severity::Cosmetic,
                    format!("the tool call id `{written}` is not unique and was renamed"),
                ));
            }
            self.used.insert(call.id.clone());
            slots.push(Slot { written, id: call.id.clone(), filled: None });
        }
        slots
    }

    /// Sorts a turn's parts into results and the rest.
    fn sort(&mut self, turn: &Turn, round: &mut Round) {
        let (mut results, mut rest, mut moved) = (Vec::new(), Vec::new(), false);
        let index = round.results.len();
        for part in &turn.parts {
            let PartKind::ToolResult(result) = &part.kind else {
                rest.push(part.clone());
                continue;
            };
            let waiting = |it: &&mut Slot| it.written == result.call_id && it.filled.is_none();
            if let Some(slot) = round.slots.iter_mut().find(waiting) {
                slot.filled = Some((index, results.len()));
                moved |= !rest.is_empty() || !round.rest.is_empty();
                results.push(with_id(part, result, &slot.id));
            } else if let Some(slot) = round.slots.iter().rfind(|it| it.written == result.call_id) {
                self.losses.push(Loss::dropped(
                    &turn.at,
                    Severity::Semantic,
                    format!("an earlier result of tool call `{}` was replaced by a later one", slot.written),
                ));
                let part = with_id(part, result, &slot.id);
                match slot.filled {
                    Some((turn, at)) if turn < index => round.results[turn].parts[at] = part,
                    Some((_, at)) => results[at] = part,
                    None => results.push(part),
                }
            } else {
                rest.extend(self.orphan(turn, result));
            }
        }
        if moved {
            self.losses.push(Loss::moved(&turn.at, "tool results must follow their calls directly"));
        }
        let mixed = !results.is_empty() && !rest.is_empty();
        if !results.is_empty() {
            let extra = if mixed { Extra::default() } else { turn.extra.clone() };
            round.results.push(Turn { parts: results, extra, ..shell(turn) });
        }
        if !rest.is_empty() || turn.parts.is_empty() {
            let plain = turn.plain && !mixed && rest.len() == 1;
            round.rest.push(Turn { parts: rest, plain, extra: turn.extra.clone(), ..shell(turn) });
        }
    }

    /// A result nobody asked for, as text.
    fn orphan(&mut self, turn: &Turn, result: &ToolResult) -> Vec<Part> {
        self.losses.push(Loss::approximated(
            &turn.at,
            Severity::Semantic,
            format!("the result of unknown tool call `{}` became text", result.call_id),
        ));
        let text: String = result.content.iter().filter_map(Part::as_text).collect();
        let mut parts = vec![Part::text(format!("[result of unknown tool call {}]: {text}", result.call_id))];
        parts.extend(result.content.iter().filter(|it| it.as_text().is_none()).cloned());
        parts
    }

    /// Gives the calls without a result one that says so.
    fn fill(&mut self, at: &str, round: &mut Round) {
        let missing: Vec<&Slot> = round.slots.iter().filter(|it| it.filled.is_none()).collect();
        let mut parts = Vec::new();
        for slot in missing {
            self.losses.push(Loss::synthesized(
                at,
                Severity::Semantic,
                format!("tool call `{}` has no result and was given one", slot.written),
            ));
            parts.push(Part::new(PartKind::ToolResult(ToolResult {
                call_id: slot.id.clone(),
                content: vec![Part::text(INTERRUPTED)],
                plain: true,
                is_error: Some(true),
            })));
        }
        if !parts.is_empty() {
            round.results.push(Turn {
                role: Role::User,
                parts,
                plain: false,
                name: None,
                at: at.to_owned(),
                extra: Extra::default(),
            });
        }
    }
}

fn with_id(part: &Part, result: &ToolResult, id: &str) -> Part {
    let kind = PartKind::ToolResult(ToolResult { call_id: id.to_owned(), ..result.clone() });
    Part { kind, ..part.clone() }
}

/// A turn without its parts.
fn shell(turn: &Turn) -> Turn {
    Turn {
        role: turn.role,
        parts: Vec::new(),
        plain: turn.plain,
        name: turn.name.clone(),
        at: turn.at.clone(),
        extra: Extra::default(),
    }
}

#[cfg(test)]
mod tests;
