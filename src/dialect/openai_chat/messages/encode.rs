//! Writes turns as messages: results right after their calls, and what they showed after the last of them.

use serde_json::{Map, Value};

use crate::{
    catalog::Abilities,
    dialect::{
        Loss, Severity,
        canonical::{
            ChatRequest, Conversation, Extra, Part, PartKind, ReasoningMode, Role, ToolCall, ToolResult,
            Turn,
            names::{NameMap, clean_id},
        },
        foreign,
        openai_chat::{
            content::encode::{Writer, text_part},
            extra,
        },
    },
};

/// The longest id of a call OpenAI takes, in characters.
const LONGEST_ID: usize = 40;

/// What messages are written by.
pub(in crate::dialect::openai_chat) struct Context<'a> {
    pub request: &'a ChatRequest,
    pub abilities: &'a Abilities,
    pub names: &'a NameMap,
    /// What is to be added to the system prompt.
    pub prompt: Option<String>,
}

/// Writes all messages. The conversation's calls and results are in pairs already.
pub(in crate::dialect::openai_chat) fn write(
    conversation: &Conversation,
    context: &Context<'_>,
    losses: &mut Vec<Loss>,
) -> Vec<Value> {
    let turns = &conversation.turns;
    let leading = turns.iter().take_while(|it| is_system(it.role)).count();
    let mut messages = Messages { context, losses, out: Vec::new(), attachments: Vec::new() };
    for (index, turn) in turns.iter().enumerate() {
        if index == leading {
            messages.prompt();
        }
        let last = index + 1 == turns.len();
        if last && turn.role == Role::Assistant && !context.abilities.prefill {
            messages.lose(&turn.at, Severity::Semantic, "the model cannot go on from a begun answer");
            turn.extra.lose(messages.losses);
        } else {
            messages.turn(turn);
        }
    }
    if leading == turns.len() {
        messages.prompt();
    }
    messages.attach();
    messages.out
}

fn is_system(role: Role) -> bool {
    matches!(role, Role::System | Role::Developer)
}

struct Messages<'a> {
    context: &'a Context<'a>,
    losses: &'a mut Vec<Loss>,
    out: Vec<Value>,
    /// Parts of tool results that a tool message cannot hold.
    attachments: Vec<Value>,
}

impl Messages<'_> {
    fn prompt(&mut self) {
        if let Some(text) = &self.context.prompt {
            let mut message = message("system");
            message.insert("content".to_owned(), text.as_str().into());
            self.out.push(Value::Object(message));
        }
    }

    fn turn(&mut self, turn: &Turn) {
        match turn.role {
            Role::Developer if self.context.abilities.developer_role => self.spoken("developer", turn),
            Role::System | Role::Developer => self.spoken("system", turn),
            Role::User => self.user(turn),
            Role::Assistant => self.assistant(turn),
        }
    }

    fn spoken(&mut self, role: &str, turn: &Turn) {
        let (billing, parts): (Vec<_>, Vec<_>) =
            turn.parts.iter().enumerate().partition(|it| foreign::is_billing(it.1));
        for (index, _) in billing {
            let reason = "the billing header means nothing to this upstream";
            let at = if turn.at == "/system" { format!("/system/{index}") } else { turn.at.clone() };
            self.lose(&at, Severity::Cosmetic, reason);
        }
        if parts.is_empty() && !turn.parts.is_empty() {
            return turn.extra.lose(self.losses);
        }
        let parts: Vec<&Part> = parts.into_iter().map(|it| it.1).collect();
        self.attach();
        let content = self.content(turn, &parts, "\n\n");
        self.push(role, turn, content);
    }

    fn push(&mut self, role: &str, turn: &Turn, content: Value) {
        let mut message = message(role);
        message.insert("content".to_owned(), content);
        self.finish(message, turn);
    }

    fn finish(&mut self, mut message: Map<String, Value>, turn: &Turn) {
        if let Some(name) = &turn.name {
            message.insert("name".to_owned(), name.as_str().into());
        }
        extra::write(&turn.extra, &mut message, self.context.abilities, self.losses);
        self.out.push(Value::Object(message));
    }

    /// Content as the client wrote it, or joined for models that take text as a string only.
    fn content(&mut self, turn: &Turn, parts: &[&Part], joint: &str) -> Value {
        if let ([part], true) = (parts, turn.plain)
            && let Some(text) = part.as_text()
        {
            part.extra.lose(self.losses);
            return text.into();
        }
        let mut values = Vec::new();
        for part in parts {
            values.extend(self.writer(&turn.at).part(part));
        }
        self.text_or_parts(values, joint)
    }

    fn text_or_parts(&self, values: Vec<Value>, joint: &str) -> Value {
        let texts: Option<Vec<&str>> = values.iter().map(bare_text).collect();
        match texts {
            Some(texts) if !self.context.abilities.text_parts => texts.join(joint).into(),
            _ => Value::Array(values),
        }
    }

    fn writer<'b>(&'b mut self, at: &'b str) -> Writer<'b> {
        Writer { abilities: self.context.abilities, at, losses: self.losses }
    }

    fn user(&mut self, turn: &Turn) {
        let mut rest: Vec<&Part> = Vec::new();
        let mut results = 0;
        for part in &turn.parts {
            match &part.kind {
                PartKind::ToolResult(result) => {
                    results += 1;
                    self.result(turn, part, result);
                }
                _ => rest.push(part),
            }
        }
        if results > 0 && rest.is_empty() {
            if results > 1 {
                turn.extra.lose(self.losses);
            }
            return;
        }
        self.attach();
        let content = self.content(turn, &rest, "\n\n");
        let nothing = content.as_array().is_some_and(Vec::is_empty);
        if nothing && !turn.parts.is_empty() {
            return turn.extra.lose(self.losses);
        }
        // An empty list of parts is refused, an empty text is not.
        self.push("user", turn, if nothing { "".into() } else { content });
    }

    fn result(&mut self, turn: &Turn, part: &Part, result: &ToolResult) {
        let id = clean_id(&result.call_id, |it| it.is_ascii_graphic(), LONGEST_ID);
        let mut values = Vec::new();
        let unwrapped = foreign::stringified(&result.content);
        for part in unwrapped.as_deref().unwrap_or(&result.content) {
            values.extend(self.writer(&turn.at).part(part));
        }
        let media = self.context.abilities.tool_result_media;
        let (mut inside, outside): (Vec<Value>, Vec<Value>) =
            values.into_iter().partition(|it| media || is_text(it));
        if !outside.is_empty() {
            self.losses.push(Loss::moved(&turn.at, "a tool message of this upstream holds text only"));
            self.attachments.push(text_part(&format!("Attachments of tool call {id}")));
            self.attachments.extend(outside);
            if inside.is_empty() {
                inside.push(text_part("(see attachments)"));
            }
        }
        if result.is_error == Some(true) {
            self.mark_error(turn, &mut inside);
        }
        let content = match (inside.as_slice(), result.plain) {
            ([], true) => "".into(),
            ([only], true) => bare_text(only).map_or_else(|| Value::Array(inside.clone()), Value::from),
            _ => self.text_or_parts(inside, "\n"),
        };
        let mut message = message("tool");
        message.insert("tool_call_id".to_owned(), id.into());
        message.insert("content".to_owned(), content);
        part.extra.lose(self.losses);
        let alone = turn.parts.len() == 1;
        if alone {
            self.finish(message, turn);
        } else {
            self.out.push(Value::Object(message));
        }
    }

    fn mark_error(&mut self, turn: &Turn, inside: &mut Vec<Value>) {
        self.losses.push(Loss::approximated(
            &turn.at,
            Severity::Cosmetic,
            "that a tool failed is told in its result's text",
        ));
        let first = inside.iter_mut().find_map(|it| it.get_mut("text"));
        match first {
            Some(Value::String(text)) if !text.trim_start().to_ascii_lowercase().starts_with("error") => {
                text.insert_str(0, "Error: ");
            }
            Some(_) => {}
            None => inside.push(text_part("Error: the tool failed")),
        }
    }

    /// Shows what the tool messages before could not hold.
    fn attach(&mut self) {
        if !self.attachments.is_empty() {
            let mut message = message("user");
            message.insert("content".to_owned(), Value::Array(std::mem::take(&mut self.attachments)));
            self.out.push(Value::Object(message));
        }
    }

    fn assistant(&mut self, turn: &Turn) {
        self.attach();
        let mut said: Vec<&Part> = Vec::new();
        let (mut calls, mut refusal, mut thought) = (Vec::new(), String::new(), Vec::new());
        for part in &turn.parts {
            match &part.kind {
                PartKind::ToolCall(call) => calls.push(self.call(call, &part.extra)),
                PartKind::Refusal { text } => {
                    refusal.push_str(text);
                    part.extra.lose(self.losses);
                }
                PartKind::Reasoning { .. } => thought.push(part),
                _ => said.push(part),
            }
        }
        let mut message = message("assistant");
        let content = if said.is_empty() { Value::Null } else { self.content(turn, &said, "") };
        let thought = self.thought(turn, &thought, !calls.is_empty());
        let nothing = match &content {
            Value::Null => true,
            Value::Array(values) => values.is_empty(),
            _ => false,
        };
        if nothing && calls.is_empty() && refusal.is_empty() && thought.is_none() && !turn.parts.is_empty() {
            return turn.extra.lose(self.losses);
        }
        let silent = nothing && calls.is_empty() && refusal.is_empty() && !extra::is_ours(&turn.extra);
        message.insert("content".to_owned(), if silent { "".into() } else { content });
        if let Some(text) = thought {
            message.insert("reasoning_content".to_owned(), text.into());
        }
        if !refusal.is_empty() {
            message.insert("refusal".to_owned(), refusal.into());
        }
        if !calls.is_empty() {
            message.insert("tool_calls".to_owned(), Value::Array(calls));
        }
        self.finish(message, turn);
    }

    /// What the model thought, for upstreams that want it back beside its calls. They refuse a turn without any.
    fn thought(&mut self, turn: &Turn, parts: &[&Part], calls: bool) -> Option<String> {
        let mut text = String::new();
        let mut state_lost = false;
        for part in parts {
            part.extra.lose(self.losses);
            if let PartKind::Reasoning { text: thought, state } = &part.kind {
                text.push_str(thought);
                state_lost |= state.is_some();
            }
        }
        if self.context.abilities.wants_reasoning_back && calls {
            if state_lost {
                self.lose(
                    &turn.at,
                    Severity::Cosmetic,
                    "the state of thinking means nothing to this upstream",
                );
            }
            if text.is_empty() && self.context.request.reasoning.mode != ReasoningMode::Off {
                self.losses.push(Loss::synthesized(
                    &turn.at,
                    Severity::Cosmetic,
                    "the upstream wants thinking beside calls and was given a space",
                ));
                text.push(' ');
            }
            return Some(text).filter(|it| !it.is_empty());
        }
        if state_lost || !text.is_empty() {
            self.lose(&turn.at, Severity::Cosmetic, "this upstream does not want earlier thinking back");
        }
        None
    }

    fn call(&mut self, call: &ToolCall, extra: &Extra) -> Value {
        let name = self.context.names.wire(&call.name);
        let free_text = call.custom && self.context.abilities.custom_tools;
        let (kind, key, text): (_, _, Value) = if free_text {
            ("custom", "input", call.arguments.0.as_str().into())
        } else if call.custom {
            let wrapped = serde_json::json!({ "input": call.arguments.0 });
            ("function", "arguments", wrapped.to_string().into())
        } else if call.arguments.0.trim().is_empty() {
            ("function", "arguments", "{}".into())
        } else {
            ("function", "arguments", call.arguments.0.as_str().into())
        };
        let inner = Map::from_iter([("name".to_owned(), name.into()), (key.to_owned(), text)]);
        let id = clean_id(&call.id, |it| it.is_ascii_graphic(), LONGEST_ID);
        let mut object = Map::new();
        object.insert("id".to_owned(), id.into());
        object.insert("type".to_owned(), kind.into());
        object.insert(kind.to_owned(), Value::Object(inner));
        extra::write(extra, &mut object, self.context.abilities, self.losses);
        Value::Object(object)
    }

    fn lose(&mut self, at: &str, severity: Severity, reason: &str) {
        self.losses.push(Loss::dropped(at, severity, reason));
    }
}

fn message(role: &str) -> Map<String, Value> {
    Map::from_iter([("role".to_owned(), role.into())])
}

fn is_text(value: &Value) -> bool {
    value.get("type").and_then(Value::as_str) == Some("text")
}

/// The text of a text part that says nothing else.
fn bare_text(value: &Value) -> Option<&str> {
    let object = value.as_object().filter(|it| it.len() == 2)?;
    (object.get("type")? == "text").then(|| object.get("text")?.as_str())?
}
