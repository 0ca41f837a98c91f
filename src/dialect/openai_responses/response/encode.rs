//! Writes a whole answer with every field official SDKs and strict clients insist on.

use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value};

use super::{
    finish,
    item::{self, Ids, Kind, Raw, Status, own_fields, take_id},
    shell::{Outcome, Shell},
};
use crate::dialect::{
    ChatResponse, ReplyContext,
    canonical::{FinishReason, Part, PartKind, ServerStep, StateKind},
    openai_responses::ID,
    wire,
};

/// Writes a `response` object. Of several choices it says the first.
pub(in crate::dialect::openai_responses) fn encode(response: &ChatResponse, context: &ReplyContext) -> Bytes {
    let choice = response.choices.iter().find(|it| it.index == 0).or(response.choices.first());
    let reason = choice.map_or(FinishReason::Other, |it| it.finish.reason);
    let ids = Ids::new(context.request);
    let mut output = Output { context, ids, items: Vec::new(), run: Run::Closed };
    for part in choice.map_or(&[][..], |it| &it.parts) {
        output.add(part);
    }
    // It refused without words of refusal: the part says that it did.
    if reason == FinishReason::Refusal && !output.refused() {
        output.content(item::refusal(""), Map::new());
    }
    let outcome = match finish::incomplete(reason) {
        Some(reason) => {
            output.cut();
            Outcome::Incomplete { reason }
        }
        None => Outcome::Completed { at: Some(context.created) },
    };
    let items: Vec<Bytes> = output.items.iter().map(wire::bytes).collect();
    let created = response.created.unwrap_or(context.created);
    let told =
        response.extra.get().filter(|it| it.dialect == ID).map(|it| it.fields.clone()).unwrap_or_default();
    let shell = Shell::new(context, created, &told);
    let mut out = BytesMut::new();
    let usage = response.usage.unwrap_or_default();
    shell.write(outcome, &items, Some(&usage), &mut out);
    out.freeze()
}

/// The items of an answer, being put together from its parts.
struct Output<'a> {
    context: &'a ReplyContext,
    ids: Ids,
    items: Vec<Value>,
    run: Run,
}

/// What the next part may be added to.
#[derive(Debug, PartialEq)]
enum Run {
    Closed,
    /// The last item is a message.
    Message,
    /// The last item is a step of a tool whose result may follow: the id of its call.
    Step(String),
}

impl Output<'_> {
    fn add(&mut self, part: &Part) {
        match &part.kind {
            PartKind::Text { text, .. } if text.is_empty() => {}
            PartKind::Text { text, citations } => {
                let length = text.chars().count();
                let told: Vec<Value> =
                    citations.iter().filter_map(|it| item::annotation(it, length)).collect();
                self.content(item::output_text(text, &told, &part.logprobs), own_fields(part));
            }
            PartKind::Refusal { text } => self.content(item::refusal(text), own_fields(part)),
            PartKind::Reasoning { text, state } => {
                let state = state.as_ref().filter(|it| it.kind == StateKind::Encrypted);
                if !text.is_empty() || state.is_some() {
                    let encrypted = state.map(|it| it.data.as_str());
                    let item = |id: &str| item::reasoning(id, Status::Completed, text, encrypted);
                    self.push(Kind::Reasoning, item, part);
                }
            }
            PartKind::ToolCall(call) => {
                let kind = if call.custom { Kind::Custom } else { Kind::Function };
                let mut call = call.clone();
                if !call.custom && call.arguments.0.trim().is_empty() {
                    "{}".clone_into(&mut call.arguments.0);
                }
                let context = self.context;
                self.push(kind, |id| item::call(id, Status::Completed, &call, context), part);
            }
            PartKind::Media(media) => {
                if let Some(item) = item::image("", media) {
                    self.push(Kind::Image, |id| with_id(item, id), part);
                }
            }
            PartKind::Opaque { dialect: ID, raw } if item::is_content(part) => {
                let mut own = own_fields(part);
                own.shift_remove(item::IN_MESSAGE);
                self.content(raw.clone(), own);
            }
            PartKind::ServerTool { dialect: ID, raw, .. } | PartKind::Opaque { dialect: ID, raw } => {
                if let Some(Raw { kind, id, fields }) = item::raw(raw) {
                    let id = self.ids.give(kind, id.as_deref());
                    self.items.push(with_id(Value::Object(fields), &id));
                    self.run = Run::Closed;
                }
            }
            PartKind::ServerTool { step: Some(step), .. } => self.step(step, part),
            // What only another dialect's clients can read.
            PartKind::ServerTool { .. } | PartKind::Opaque { .. } | PartKind::ToolResult(_) => {}
        }
    }

    /// Adds to the message that is being said, or begins one. An id of its own begins a message of its own.
    fn content(&mut self, mut content: Value, mut own: Map<String, Value>) {
        let (id, phase) = (take_id(&mut own), own.shift_remove("phase"));
        if self.run != Run::Message || id.is_some() {
            let id = self.ids.give(Kind::Message, id.as_deref());
            self.items.push(item::message(&id, Status::Completed, &[], phase.as_ref()));
            self.run = Run::Message;
        }
        for (key, value) in own {
            content[key] = value;
        }
        if let Some(Value::Array(list)) = self.items.last_mut().and_then(|it| it.get_mut("content")) {
            list.push(content);
        }
    }

    fn push(&mut self, kind: Kind, item: impl FnOnce(&str) -> Value, part: &Part) {
        let mut own = own_fields(part);
        let mut item = item(&self.ids.give(kind, take_id(&mut own).as_deref()));
        for (key, value) in own {
            item[key] = value;
        }
        self.items.push(item);
        self.run = Run::Closed;
    }

    fn step(&mut self, step: &ServerStep, part: &Part) {
        match step {
            ServerStep::WebSearch { id: call, queries } => {
                let item = |id: &str| item::web_search(id, Status::Completed, queries, None);
                self.push(Kind::WebSearch, item, part);
                self.run = Run::Step(call.clone());
            }
            ServerStep::Code { id: call, code, .. } => {
                self.push(Kind::Code, |id| item::code(id, Status::Completed, code, None), part);
                self.run = Run::Step(call.clone());
            }
            ServerStep::WebSearchResults { call_id, results } if self.run == Run::Step(call_id.clone()) => {
                let found = item::web_search("", Status::Completed, &[], Some(results));
                if let Some(last) = self.items.last_mut() {
                    last["action"]["sources"] = found["action"]["sources"].clone();
                }
                self.run = Run::Closed;
            }
            ServerStep::CodeOutput { call_id, output, .. } if self.run == Run::Step(call_id.clone()) => {
                let ran = item::code("", Status::Completed, "", Some(output));
                if let Some(last) = self.items.last_mut() {
                    last["outputs"] = ran["outputs"].clone();
                }
                self.run = Run::Closed;
            }
            // A result of a call that was not told.
            ServerStep::WebSearchResults { .. } | ServerStep::CodeOutput { .. } => {}
        }
    }

    fn refused(&self) -> bool {
        let contents = self.items.iter().filter_map(|it| it.get("content")?.as_array());
        contents.flatten().any(|it| it.get("type").and_then(Value::as_str) == Some("refusal"))
    }

    /// The answer met its limit: so did its last item.
    fn cut(&mut self) {
        if let Some(status) = self.items.last_mut().and_then(|it| it.get_mut("status")) {
            *status = Status::Incomplete.name().into();
        }
    }
}

fn with_id(mut item: Value, id: &str) -> Value {
    item["id"] = id.into();
    item
}
