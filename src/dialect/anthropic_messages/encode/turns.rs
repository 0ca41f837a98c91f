//! The conversation in the shape Anthropic takes: the user first, turns in turn, each call's result in the turn after it.

use serde_json::{Map, Value, json};

use super::{super::ID, Writer, extras::Level};
use crate::dialect::{
    EncodeError, Loss, Severity,
    canonical::{CacheMark, Role, Turn, pairing},
};

/// What stands where a turn is needed and there is nothing to say.
const NOTHING: &str = "(empty)";

/// The conversation, as it will be written.
#[derive(Debug, Default)]
pub(super) struct Talk {
    system: Content,
    messages: Vec<Message>,
}

/// Blocks, and whether they were one plain string.
#[derive(Debug, Default)]
struct Content {
    blocks: Vec<Value>,
    plain: bool,
}

#[derive(Debug)]
struct Message {
    role: Role,
    content: Content,
    /// How many of the blocks, at the front, are tool results.
    results: usize,
    at: String,
    extra: Map<String, Value>,
}

impl Content {
    fn write(self) -> Value {
        let text = match self.blocks.as_slice() {
            [Value::Object(only)] if self.plain && only.len() == 2 => only.get("text"),
            _ => None,
        };
        text.cloned().unwrap_or(Value::Array(self.blocks))
    }
}

impl Talk {
    pub(super) fn write(self, body: &mut Map<String, Value>) {
        if !self.system.blocks.is_empty() {
            body.insert("system".to_owned(), self.system.write());
        }
        let message = |it: Message| {
            let role = match it.role {
                Role::Assistant => "assistant",
                Role::System | Role::Developer => "system",
                Role::User => "user",
            };
            let mut message = Map::new();
            message.insert("role".to_owned(), json!(role));
            message.insert("content".to_owned(), it.content.write());
            message.extend(it.extra);
            Value::Object(message)
        };
        body.insert("messages".to_owned(), self.messages.into_iter().map(message).collect());
    }

    /// Adds a sentence to the system prompt.
    pub(super) fn instruct(&mut self, sentence: &str) {
        self.system.blocks.push(json!({"type": "text", "text": sentence}));
        self.system.plain = self.system.blocks.len() == 1;
    }

    /// The names of the tools that were called, each once, as the upstream is told them.
    pub(super) fn called(&self) -> Vec<String> {
        let mut names = Vec::new();
        for block in self.messages.iter().flat_map(|it| &it.content.blocks).filter(|it| is(it, "tool_use")) {
            let name = block["name"].as_str().unwrap_or_default().to_owned();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Whether the last turn answers calls of a turn that did not begin with thinking: older models refuse to think then.
    pub(super) fn resumes_without_thinking(&self) -> bool {
        let [.., called, answered] = self.messages.as_slice() else { return false };
        let thought = called.content.blocks.first();
        answered.results > 0 && !thought.is_some_and(|it| is(it, "thinking") || is(it, "redacted_thinking"))
    }

    /// The last block there is, for a cache mark that lost its own.
    fn last_block(&mut self) -> Option<&mut Value> {
        match self.messages.last_mut() {
            Some(it) => it.content.blocks.last_mut(),
            None => self.system.blocks.last_mut(),
        }
    }

    /// Adds a message, or adds to the last one if it is of the same role.
    fn push(&mut self, mut message: Message) {
        let Some(last) = self.messages.last_mut().filter(|it| it.role == message.role) else {
            return self.messages.push(message);
        };
        last.content.plain = false;
        let text = message.content.blocks.split_off(message.results);
        let at = last.results;
        last.results += message.results;
        last.content.blocks.splice(at..at, message.content.blocks);
        last.content.blocks.extend(text);
        last.extra.extend(message.extra);
    }
}

fn is(block: &Value, kind: &str) -> bool {
    block.get("type").and_then(Value::as_str) == Some(kind)
}

/// Puts a mark on a block that can bear one and has none.
fn mark(block: &mut Value, mark: &CacheMark) {
    let Value::Object(block) = block else { return };
    let kind = block.get("type").and_then(Value::as_str).unwrap_or_default();
    if !kind.ends_with("thinking") && !block.contains_key("cache_control") {
        block.insert("cache_control".to_owned(), super::cache::mark(mark));
    }
}

impl Writer<'_> {
    pub(super) fn talk(&mut self) -> Result<Talk, EncodeError> {
        let request = self.request;
        let (conversation, losses) = pairing::repair(&request.conversation);
        self.losses.extend(losses);
        let mut talk = Talk::default();
        let leading = conversation.turns.iter().take_while(|it| is_system(it)).count();
        let (system, mut turns) = conversation.turns.split_at(leading);
        for turn in system {
            self.system(turn, system.len() == 1, &mut talk)?;
        }
        while let Some(first) = turns.first() {
            let run = turns.iter().take_while(|it| is_system(it)).count();
            if run == 0 {
                self.turn(first, &mut talk)?;
                turns = &turns[1..];
            } else {
                let next = turns.get(run).map(|it| it.role);
                self.between(&turns[..run], next, &mut talk)?;
                turns = &turns[run..];
            }
        }
        self.start_with_user(&mut talk);
        Ok(talk)
    }

    /// Writes parts as blocks. The cache mark of a part that is left out goes to the block before it.
    fn blocks(&mut self, turn: &Turn, talk: &mut Talk) -> Result<Vec<Value>, EncodeError> {
        let mut blocks: Vec<Value> = Vec::new();
        for (index, part) in turn.parts.iter().enumerate() {
            let at = place(turn, index);
            match (self.part(part, &at)?, &part.cache) {
                (Some(block), _) => blocks.push(block),
                (None, Some(cache)) => {
                    if let Some(block) = blocks.last_mut().or_else(|| talk.last_block()) {
                        mark(block, cache);
                    }
                }
                (None, None) => {}
            }
        }
        Ok(blocks)
    }

    fn extra_of(&mut self, turn: &Turn) -> Map<String, Value> {
        if turn.name.is_some() {
            self.drop(
                format!("{}/name", turn.at),
                Severity::Cosmetic,
                "the dialect has no names of speakers",
            );
        }
        let mut extra = Map::new();
        self.extra(&turn.extra, Level::Turn, &mut extra);
        extra
    }

    fn system(&mut self, turn: &Turn, alone: bool, talk: &mut Talk) -> Result<(), EncodeError> {
        for it in self.extra_of(turn).keys() {
            self.drop(
                format!("{}/{it}", turn.at),
                Severity::Semantic,
                "a leading system prompt takes no fields",
            );
        }
        let mut blocks = self.blocks(turn, talk)?;
        let all = blocks.len();
        blocks.retain(|it| is(it, "text"));
        if blocks.len() < all {
            self.drop(&turn.at, Severity::Semantic, "a system prompt takes only text");
        }
        talk.system.plain = alone && turn.plain;
        talk.system.blocks.append(&mut blocks);
        Ok(())
    }

    fn turn(&mut self, turn: &Turn, talk: &mut Talk) -> Result<(), EncodeError> {
        let mut blocks = self.blocks(turn, talk)?;
        let extra = self.extra_of(turn);
        if blocks.is_empty() {
            return Ok(());
        }
        let mut results = 0;
        if turn.role == Role::User {
            // A stable sort: results come first, in their order.
            blocks.sort_by_key(|it| !is(it, "tool_result"));
            results = blocks.iter().take_while(|it| is(it, "tool_result")).count();
        }
        let content = Content { blocks, plain: turn.plain };
        talk.push(Message { role: turn.role, content, results, at: turn.at.clone(), extra });
        Ok(())
    }

    /// Writes system turns that stand between others: as such where that is allowed, else as a reminder to the user's turn.
    fn between(&mut self, turns: &[Turn], next: Option<Role>, talk: &mut Talk) -> Result<(), EncodeError> {
        let legal = self.abilities.system_between_turns && may_follow(talk) && next != Some(Role::User);
        for turn in turns {
            let directive = turn.parts.is_empty() && turn.extra.field(ID, "output_config").is_some();
            if self.abilities.system_between_turns && (legal || directive) {
                let blocks = self.blocks(turn, talk)?;
                let extra = self.extra_of(turn);
                if blocks.is_empty() && extra.is_empty() {
                    continue;
                }
                let content = Content { blocks, plain: turn.plain };
                talk.push(Message { role: Role::System, content, results: 0, at: turn.at.clone(), extra });
            } else {
                self.remind(turn, talk)?;
            }
        }
        Ok(())
    }

    fn remind(&mut self, turn: &Turn, talk: &mut Talk) -> Result<(), EncodeError> {
        let mut wrapped = turn.as_reminder();
        let reason = "a system prompt between turns became a reminder in the user's turn";
        self.approximate(&turn.at, Severity::Cosmetic, reason);
        for it in self.extra_of(&wrapped).keys() {
            self.drop(format!("{}/{it}", turn.at), Severity::Semantic, "a reminder takes no fields");
        }
        wrapped.extra = crate::dialect::canonical::Extra::default();
        wrapped.name = None;
        self.turn(&wrapped, talk)
    }

    /// The first turn must be the user's. With nothing but a system prompt, that is what the user says.
    fn start_with_user(&mut self, talk: &mut Talk) {
        let user = |content: Content, at: &str| Message {
            role: Role::User,
            content,
            results: 0,
            at: at.to_owned(),
            extra: Map::new(),
        };
        if talk.messages.is_empty() && !talk.system.blocks.is_empty() {
            self.losses.push(Loss::moved("/messages", "a conversation needs a user's turn"));
            let system = std::mem::take(&mut talk.system);
            talk.messages.push(user(system, "/messages"));
        } else if talk.messages.first().is_none_or(|it| it.role != Role::User) {
            let reason = "a conversation begins with a user's turn";
            self.losses.push(Loss::synthesized("/messages", Severity::Cosmetic, reason));
            let blocks = vec![json!({"type": "text", "text": NOTHING})];
            talk.messages.insert(0, user(Content { blocks, plain: true }, "/messages"));
        }
    }

    /// An assistant's turn at the end is to be continued: models that cannot do that, and all that think, refuse it.
    pub(super) fn drop_prefill(&mut self, talk: &mut Talk, thinks: bool) {
        let Some(last) = talk.messages.last_mut().filter(|it| it.role == Role::Assistant) else { return };
        // A paused turn of the provider's own tools is sent back to go on.
        if last.content.blocks.iter().any(is_server_block) {
            return;
        }
        if !self.abilities.prefill || thinks {
            let at = last.at.clone();
            talk.messages.pop();
            self.drop(at, Severity::Semantic, "the model cannot continue an answer that was begun for it");
            return;
        }
        let Some(block) = last.content.blocks.last_mut() else { return };
        if let Some(Value::String(text)) = block.get_mut("text") {
            text.truncate(text.trim_end().len());
        }
    }
}

fn is_system(turn: &Turn) -> bool {
    matches!(turn.role, Role::System | Role::Developer)
}

fn is_server_block(block: &Value) -> bool {
    let kind = block.get("type").and_then(Value::as_str).unwrap_or_default();
    super::super::decode::is_server_tool(kind)
}

/// Whether a system turn may follow what was said so far: a user's turn, or one that ends in the provider's own tool.
fn may_follow(talk: &Talk) -> bool {
    talk.messages.last().is_some_and(|it| match it.role {
        Role::User => true,
        Role::Assistant => it.content.blocks.last().is_some_and(is_server_block),
        Role::System | Role::Developer => false,
    })
}

/// Where a part of a turn stands in the client's request.
fn place(turn: &Turn, index: usize) -> String {
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
