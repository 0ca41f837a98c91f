//! The conversation as items: in order, each where it stood; a plain system prompt before all of it as `instructions`.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::{super::super::ID, Writer};
use crate::dialect::{
    EncodeError, Loss, Severity,
    canonical::{
        Conversation, Part, PartKind, Role, ToolResult, Turn,
        names::{clean_id, is_plain},
        pairing,
    },
    foreign,
};

/// The longest `call_id` that is taken, in characters.
pub(super) const LONGEST_ID: usize = 64;

impl<'a> Writer<'a> {
    /// Puts `instructions` and `input` into the body. `prompt`: what is to be added to the system prompt.
    pub(super) fn talk(
        &mut self,
        prompt: Option<&str>,
        body: &mut Map<String, Value>,
    ) -> Result<(), EncodeError> {
        let conversation = self.conversation();
        let turns = conversation.turns.as_slice();
        if let [only] = turns
            && only.at == "/input"
            && only.plain
            && prompt.is_none()
            && let Some(text) = only.parts.first().and_then(Part::as_text)
        {
            body.insert("input".to_owned(), text.into());
            return Ok(());
        }
        let (instructions, turns) = self.instructions(turns)?;
        let leading = turns.iter().take_while(|it| is_system(it)).count();
        let customs = customs(&conversation);
        let mut items = Vec::new();
        for (index, turn) in turns.iter().enumerate() {
            if index == leading {
                items.extend(prompt.map(instruct));
            }
            let last = index + 1 == turns.len();
            match turn.role {
                Role::Assistant if last && !self.ours && !self.abilities.prefill => {
                    self.drop(&turn.at, Severity::Semantic, "the model cannot go on from a begun answer");
                    turn.extra.lose(&mut self.losses);
                }
                Role::Assistant => self.assistant(turn, &mut items),
                _ => self.spoken(turn, &customs, &mut items)?,
            }
        }
        if leading == turns.len() {
            items.extend(prompt.map(instruct));
        }
        self.finish(instructions, items, body)
    }

    fn finish(
        &mut self,
        mut instructions: Option<Value>,
        mut items: Vec<Value>,
        body: &mut Map<String, Value>,
    ) -> Result<(), EncodeError> {
        let elsewhere = self.request.previous_response.is_some()
            || ["conversation", "prompt"].iter().any(|it| self.request.extra.field(ID, it).is_some());
        if items.is_empty() && !elsewhere {
            let Some(Value::String(text)) = instructions.take() else {
                let at = self.request.conversation.turns.first().map(|it| it.at.clone()).unwrap_or_default();
                let message = "nothing is left of the conversation that this model can be told".to_owned();
                return Err(EncodeError { at, message });
            };
            self.losses.push(Loss::moved("/messages", "a conversation needs a user's turn"));
            items.push(json!({"type": "message", "role": "user", "content": text}));
        }
        if let Some(instructions) = instructions {
            body.insert("instructions".to_owned(), instructions);
        }
        if !items.is_empty() {
            body.insert("input".to_owned(), Value::Array(items));
        }
        Ok(())
    }

    /// The conversation with its calls and results in pairs; this dialect takes a result anywhere after its call. What
    /// the upstream holds of a conversation may have the calls that are missing here.
    fn conversation(&mut self) -> Cow<'a, Conversation> {
        let request = self.request;
        let conversation = &request.conversation;
        if (self.ours && is_paired(conversation)) || self.continues() {
            return Cow::Borrowed(conversation);
        }
        let (repaired, losses) = pairing::repair(conversation);
        self.losses.extend(losses);
        repaired
    }

    fn continues(&self) -> bool {
        let parts = self.request.conversation.turns.iter().flat_map(|it| &it.parts);
        let refers = |it: &Part| match &it.kind {
            PartKind::Opaque { dialect: ID, raw } => raw.get("type").is_none_or(|it| it == "item_reference"),
            _ => false,
        };
        self.request.previous_response.is_some()
            || self.request.extra.field(ID, "conversation").is_some()
            || parts.into_iter().any(refers)
    }

    /// The system prompt before all else, and the turns after it.
    fn instructions<'t>(&mut self, turns: &'t [Turn]) -> Result<(Option<Value>, &'t [Turn]), EncodeError> {
        let listed = turns.iter().take_while(|it| it.at.starts_with("/instructions/")).count();
        if listed > 0 {
            let mut items = Vec::new();
            for turn in &turns[..listed] {
                self.spoken(turn, &HashSet::new(), &mut items)?;
            }
            return Ok((Some(Value::Array(items)), &turns[listed..]));
        }
        let Some((first, rest)) = turns.split_first() else { return Ok((None, turns)) };
        let written = first.at == "/instructions";
        let lone = first.role == Role::System && !rest.first().is_some_and(is_system);
        if !written && (self.ours || !lone) {
            return Ok((None, turns));
        }
        let mut kept = first.parts.iter().filter(|it| !foreign::is_billing(it));
        match (kept.next(), kept.next()) {
            (Some(only), None) if first.name.is_none() && first.extra.get().is_none() => {
                let Some(text) = only.as_text().filter(|it| !it.trim().is_empty()) else {
                    return Ok((None, turns));
                };
                self.lose_billing(first);
                only.extra.lose(&mut self.losses);
                Ok((Some(text.into()), rest))
            }
            _ => Ok((None, turns)),
        }
    }

    fn lose_billing(&mut self, turn: &Turn) {
        for (index, _) in turn.parts.iter().enumerate().filter(|it| foreign::is_billing(it.1)) {
            let at = if turn.at == "/system" { format!("/system/{index}") } else { turn.at.clone() };
            self.drop(at, Severity::Cosmetic, "the billing header means nothing to this upstream");
        }
    }

    /// Writes a turn of anyone but the assistant.
    fn spoken(
        &mut self,
        turn: &Turn,
        customs: &HashSet<String>,
        items: &mut Vec<Value>,
    ) -> Result<(), EncodeError> {
        self.lose_billing(turn);
        let mut rest = Vec::new();
        for (index, part) in turn.parts.iter().enumerate() {
            match &part.kind {
                PartKind::ToolResult(result) => items.push(self.result(turn, part, result, customs)?),
                PartKind::Opaque { dialect: ID, raw } if part.extra.get().is_none() => {
                    items.push(raw.clone());
                }
                PartKind::Text { text, .. } if !self.ours && text.trim().is_empty() => {}
                _ if foreign::is_billing(part) => {}
                _ => rest.extend(self.input_part(part, &place(turn, index))?),
            }
        }
        if rest.is_empty() && !(turn.parts.is_empty() && self.ours) {
            turn.extra.lose(&mut self.losses);
            return Ok(());
        }
        let role = match turn.role {
            Role::System if self.abilities.system_role => "system",
            Role::System | Role::Developer => "developer",
            Role::User | Role::Assistant => "user",
        };
        let content = match rest.as_slice() {
            [Value::Object(only)] if turn.plain && only.len() == 2 => only.get("text").cloned(),
            _ => None,
        };
        let mut message = Map::new();
        message.insert("type".to_owned(), "message".into());
        message.insert("role".to_owned(), role.into());
        message.insert("content".to_owned(), content.unwrap_or(Value::Array(rest)));
        if turn.name.is_some() {
            let at = format!("{}/name", turn.at);
            self.drop(at, Severity::Cosmetic, "the dialect has no names of speakers");
        }
        turn.extra.write(ID, &mut message, &mut self.losses);
        items.push(Value::Object(message));
        Ok(())
    }

    fn result(
        &mut self,
        turn: &Turn,
        part: &Part,
        result: &ToolResult,
        customs: &HashSet<String>,
    ) -> Result<Value, EncodeError> {
        let mut content = Vec::new();
        for inner in &result.content {
            content.extend(self.input_part(inner, &turn.at)?);
        }
        if result.is_error == Some(true) {
            self.mark_error(turn, &mut content);
        }
        let output = match content.as_slice() {
            [] if result.plain => Value::from(""),
            [Value::Object(only)] if result.plain && only.len() == 2 && only.contains_key("text") => {
                only["text"].clone()
            }
            _ => Value::Array(content),
        };
        let custom = customs.contains(&result.call_id) && self.abilities.custom_tools;
        let kind = if custom { "custom_tool_call_output" } else { "function_call_output" };
        let mut item = Map::new();
        // The type of an output whose call is not here is among the fields that were kept.
        let kind = part.extra.field(ID, "type").cloned().unwrap_or_else(|| kind.into());
        item.insert("type".to_owned(), kind);
        item.insert("call_id".to_owned(), clean_id(&result.call_id, is_plain, LONGEST_ID).into());
        item.insert("output".to_owned(), output);
        part.extra.write(ID, &mut item, &mut self.losses);
        Ok(Value::Object(item))
    }

    /// The dialect has no flag for a tool that failed: its text says so.
    fn mark_error(&mut self, turn: &Turn, content: &mut Vec<Value>) {
        let reason = "that a tool failed is told in its result's text";
        self.approximate(&turn.at, Severity::Cosmetic, reason);
        match content.iter_mut().find_map(|it| it.get_mut("text")) {
            Some(Value::String(text)) if !text.trim_start().to_ascii_lowercase().starts_with("error") => {
                text.insert_str(0, "Error: ");
            }
            Some(_) => {}
            None => content.insert(0, json!({"type": "input_text", "text": "Error: the tool failed"})),
        }
    }
}

fn is_system(turn: &Turn) -> bool {
    matches!(turn.role, Role::System | Role::Developer)
}

fn instruct(text: &str) -> Value {
    json!({"type": "message", "role": "developer", "content": text})
}

/// Whether each call has one result somewhere after it, and each result a call before it.
fn is_paired(conversation: &Conversation) -> bool {
    let mut seen = HashSet::new();
    let mut open = HashSet::new();
    for part in conversation.turns.iter().flat_map(|it| &it.parts) {
        let fine = match &part.kind {
            PartKind::ToolCall(call) => {
                open.insert(call.id.as_str());
                !call.id.is_empty() && seen.insert(call.id.as_str())
            }
            PartKind::ToolResult(result) => open.remove(result.call_id.as_str()),
            _ => true,
        };
        if !fine {
            return false;
        }
    }
    open.is_empty()
}

/// The ids of the calls of tools of free text.
fn customs(conversation: &Conversation) -> HashSet<String> {
    let parts = conversation.turns.iter().flat_map(|it| &it.parts);
    let custom = parts.filter_map(|it| match &it.kind {
        PartKind::ToolCall(call) if call.custom => Some(call.id.clone()),
        _ => None,
    });
    custom.collect()
}

/// Where a part of a turn stands in the client's request.
pub(super) fn place(turn: &Turn, index: usize) -> String {
    // What the assistant did is one turn and stands in many items of Responses.
    if turn.at.starts_with("/input/") && turn.role == Role::Assistant {
        let item = turn.parts.get(index).and_then(|it| it.extra.get());
        return item.map_or_else(|| turn.at.clone(), |it| it.at.clone());
    }
    let content = match turn.at.as_str() {
        "/system" => "",
        // Gemini's contents have parts.
        it if it.starts_with("/contents") || it == "/systemInstruction" => "/parts",
        _ => "/content",
    };
    if turn.plain { format!("{}{content}", turn.at) } else { format!("{}{content}/{index}", turn.at) }
}
