//! The conversation in the shape Gemini takes: the user first, roles in turn, each step's results in the one content after it.

use serde_json::{Map, Value, json};

use super::Writer;
use crate::dialect::{
    EncodeError, Loss, Severity,
    canonical::{Extra, Role, Turn, pairing},
    foreign,
};

/// What stands where a turn is needed and there is nothing to say.
const NOTHING: &str = "(empty)";

/// The conversation, as it will be written.
#[derive(Debug, Default)]
pub(super) struct Talk {
    pub(super) system: Vec<Value>,
    system_extra: Map<String, Value>,
    pub(super) contents: Vec<Content>,
}

#[derive(Debug)]
pub(super) struct Content {
    pub(super) is_model: bool,
    /// What functions gave, each with the place of its call.
    pub(super) results: Vec<(usize, Value)>,
    pub(super) parts: Vec<Value>,
    pub(super) at: String,
    extra: Map<String, Value>,
}

/// A part, written.
#[derive(Debug)]
pub(super) enum Written {
    Parts(Vec<Value>),
    Result {
        order: usize,
        response: Value,
        /// What it gave that cannot stand in it.
        beside: Vec<Value>,
    },
}

impl Content {
    fn user(parts: Vec<Value>) -> Self {
        Self { is_model: false, results: Vec::new(), parts, at: "/contents".to_owned(), extra: Map::new() }
    }

    fn write(mut self) -> Value {
        self.results.sort_by_key(|it| it.0);
        let parts: Vec<Value> = self.results.into_iter().map(|it| it.1).chain(self.parts).collect();
        let mut content = Map::new();
        content.insert("role".to_owned(), json!(if self.is_model { "model" } else { "user" }));
        content.insert("parts".to_owned(), Value::Array(parts));
        content.extend(self.extra);
        Value::Object(content)
    }
}

impl Talk {
    pub(super) fn write(self, body: &mut Map<String, Value>) {
        if !self.system.is_empty() {
            let mut system = Map::from_iter([("parts".to_owned(), Value::Array(self.system))]);
            system.extend(self.system_extra);
            body.insert("systemInstruction".to_owned(), Value::Object(system));
        }
        let contents = self.contents.into_iter().map(Content::write).collect();
        body.insert("contents".to_owned(), Value::Array(contents));
    }

    /// Adds a sentence to the system prompt.
    pub(super) fn instruct(&mut self, sentence: &str) {
        self.system.push(json!({"text": sentence}));
    }

    /// Adds a content, or adds to the last one if it is of the same role.
    fn push(&mut self, content: Content) {
        match self.contents.last_mut().filter(|it| it.is_model == content.is_model) {
            Some(last) => {
                last.results.extend(content.results);
                last.parts.extend(content.parts);
                last.extra.extend(content.extra);
            }
            None => self.contents.push(content),
        }
    }
}

impl Writer<'_> {
    pub(super) fn talk(&mut self) -> Result<Talk, EncodeError> {
        let request = self.request;
        let (conversation, losses) = pairing::repair(&request.conversation);
        self.losses.extend(losses);
        let mut talk = Talk::default();
        let leading = conversation.turns.iter().take_while(|it| is_system(it)).count();
        let (system, turns) = conversation.turns.split_at(leading);
        for turn in system {
            self.system(turn, &mut talk)?;
        }
        for turn in turns {
            if is_system(turn) {
                self.remind(turn, &mut talk)?;
            } else {
                self.turn(turn, &mut talk)?;
            }
        }
        Ok(talk)
    }

    fn system(&mut self, turn: &Turn, talk: &mut Talk) -> Result<(), EncodeError> {
        if let Some(role) = super::super::decode::note(&turn.extra, "role") {
            talk.system_extra.insert("role".to_owned(), role.clone());
        }
        talk.system_extra.extend(self.extra_of(turn));
        for (index, part) in turn.parts.iter().enumerate() {
            let at = place(turn, index);
            if foreign::is_billing(part) {
                self.drop(
                    at,
                    Severity::Cosmetic,
                    "Claude Code's billing header means nothing to another provider",
                );
            } else if part.as_text().is_none() {
                part.extra.lose(&mut self.losses);
                self.drop(at, Severity::Semantic, "a system prompt takes only text");
            } else if let Written::Parts(parts) = self.part(part, &at)? {
                talk.system.extend(parts);
            }
        }
        Ok(())
    }

    fn turn(&mut self, turn: &Turn, talk: &mut Talk) -> Result<(), EncodeError> {
        let extra = self.extra_of(turn);
        let is_model = turn.role == Role::Assistant;
        let mut content =
            Content { is_model, results: Vec::new(), parts: Vec::new(), at: turn.at.clone(), extra };
        for (index, part) in turn.parts.iter().enumerate() {
            match self.part(part, &place(turn, index))? {
                Written::Parts(parts) => content.parts.extend(parts),
                Written::Result { order, response, beside } => {
                    content.results.push((order, response));
                    content.parts.extend(beside);
                }
            }
        }
        if !content.parts.is_empty() || !content.results.is_empty() {
            talk.push(content);
        }
        Ok(())
    }

    /// A system turn that stands between others becomes a reminder in the user's turn, after the results that are due.
    fn remind(&mut self, turn: &Turn, talk: &mut Talk) -> Result<(), EncodeError> {
        let wrapped = turn.as_reminder();
        let reason = "a system prompt between turns became a reminder in the user's turn";
        self.approximate(&turn.at, Severity::Cosmetic, reason);
        self.turn(&wrapped, talk)
    }

    fn extra_of(&mut self, turn: &Turn) -> Map<String, Value> {
        if turn.name.is_some() {
            let reason = "the dialect has no names of speakers";
            self.drop(format!("{}/name", turn.at), Severity::Cosmetic, reason);
        }
        let mut extra = Map::new();
        self.extra(&turn.extra, &mut extra);
        extra
    }

    /// Ends and begins the conversation with the user. With nothing but a system prompt, that is what the user says.
    pub(super) fn finish(&mut self, talk: &mut Talk) {
        let begun = talk.contents.last().is_some_and(|it| it.is_model);
        if begun
            && !self.abilities.prefill
            && let Some(last) = talk.contents.pop()
        {
            let reason = "the model cannot continue an answer that was begun for it";
            self.drop(last.at, Severity::Semantic, reason);
        }
        if talk.contents.is_empty() && !talk.system.is_empty() {
            self.losses.push(Loss::moved("/systemInstruction", "a conversation needs a user's turn"));
            talk.contents.push(Content::user(std::mem::take(&mut talk.system)));
        } else if talk.contents.first().is_none_or(|it| it.is_model) {
            let reason = "a conversation begins with a user's turn";
            self.losses.push(Loss::synthesized("/contents", Severity::Cosmetic, reason));
            talk.contents.insert(0, Content::user(vec![json!({"text": NOTHING})]));
        }
    }
}

fn is_system(turn: &Turn) -> bool {
    matches!(turn.role, Role::System | Role::Developer)
}

/// Where a part of a turn stands in the client's request.
fn place(turn: &Turn, index: usize) -> String {
    let content = match turn.at.as_str() {
        "/system" | "/instructions" => "",
        it if it.starts_with("/contents") || it == "/systemInstruction" => "/parts",
        _ => "/content",
    };
    if turn.plain { format!("{}{content}", turn.at) } else { format!("{}{content}/{index}", turn.at) }
}

/// Whether nobody wrote the extra fields of a part but its own decoder.
pub(super) fn is_noted(extra: &Extra, key: &str) -> bool {
    super::super::decode::note(extra, key).is_some()
}
