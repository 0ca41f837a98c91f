//! An assistant's turn as items: what it thought, said and called, in order.

use serde_json::{Map, Value, json};

use super::{
    super::super::ID,
    Writer,
    decode::{FIRST_PART, SAME_ITEM, texts},
    talk::{LONGEST_ID, place},
};
use crate::dialect::{
    Severity,
    canonical::{
        Namespaced, OpaqueState, Part, PartKind, StateKind, ToolCall, Turn,
        names::{clean_id, is_plain},
    },
    foreign,
};

impl Writer<'_> {
    pub(super) fn assistant(&mut self, turn: &Turn, items: &mut Vec<Value>) {
        let begun = items.len();
        let keeps_ids = self.request.store != Some(false) || turn.parts.iter().any(is_sealed);
        for (index, part) in turn.parts.iter().enumerate() {
            let at = place(turn, index);
            match &part.kind {
                PartKind::Reasoning { text, state } => {
                    if let Some(item) = self.reasoning(part, text, state.as_ref(), &at) {
                        items.push(item);
                    }
                }
                PartKind::ToolCall(call) => {
                    let item = self.call(part, call);
                    items.push(self.without_id(item, part, keeps_ids));
                }
                PartKind::ServerTool { dialect: ID, raw, .. } => items.push(raw.clone()),
                PartKind::Opaque { dialect: ID, raw } if part.extra.get().is_none() => {
                    items.push(raw.clone());
                }
                _ => {
                    let Some(content) = self.output_part(part, &at) else { continue };
                    let same = part.extra.field(ID, SAME_ITEM).is_some();
                    match items[begun..].last_mut().filter(|it| same && is_message(it)) {
                        Some(message) => append(message, content),
                        None => {
                            let item = self.message(part, &content);
                            items.push(self.without_id(item, part, keeps_ids));
                        }
                    }
                }
            }
        }
        if !self.ours {
            items[begun..].iter_mut().for_each(in_words);
        }
        self.drop_lone_reasoning(turn, begun, items);
        if turn.name.is_some() {
            let at = format!("{}/name", turn.at);
            self.drop(at, Severity::Cosmetic, "the dialect has no names of speakers");
        }
        turn.extra.lose(&mut self.losses);
    }

    fn message(&mut self, part: &Part, content: &Value) -> Map<String, Value> {
        let mut item = object(json!({"type": "message", "role": "assistant", "content": [content]}));
        self.item_fields(part, &mut item);
        item
    }

    /// The fields an item had beside those we read. Those of a message stand on its first part.
    fn item_fields(&mut self, part: &Part, item: &mut Map<String, Value>) {
        let Some(extra) = part.extra.get().filter(|it| it.dialect == ID) else {
            return part.extra.lose(&mut self.losses);
        };
        let own = [FIRST_PART, SAME_ITEM];
        for (key, value) in extra.fields.iter().filter(|it| !own.contains(&it.0.as_str())) {
            if !item.contains_key(key) {
                item.insert(key.clone(), value.clone());
            }
        }
    }

    /// Takes the id off an item that an upstream which keeps nothing could not find by it.
    fn without_id(&mut self, mut item: Map<String, Value>, part: &Part, keep: bool) -> Value {
        if !keep && item.shift_remove("id").is_some() {
            let at = part.extra.get().map(|it| format!("{}/id", it.at)).unwrap_or_default();
            self.drop(at, Severity::Cosmetic, "an item that was not stored cannot be found by its id");
        }
        Value::Object(item)
    }

    /// Thinking goes back to its maker with its state. Without it, only the upstream that stored the item knows it.
    fn reasoning(&mut self, part: &Part, text: &str, state: Option<&OpaqueState>, at: &str) -> Option<Value> {
        let sealed = state.filter(|it| it.kind == StateKind::Encrypted && !it.data.is_empty());
        let stored = self.request.store != Some(false) && part.extra.field(ID, "id").is_some();
        let wanted = self.abilities.wants_reasoning_back && !text.is_empty();
        if sealed.is_none() && !stored && !wanted {
            if part.extra.get().is_some_and(|it| it.dialect != ID) {
                part.extra.lose(&mut self.losses);
            }
            self.drop(at, Severity::Cosmetic, "thinking without its state means nothing to this upstream");
            return None;
        }
        let mut item = object(json!({"type": "reasoning", "summary": []}));
        let told = part.extra.field(ID, "content").and_then(Value::as_array).map(|it| texts(it));
        if let Some(summary) = part.extra.field(ID, "summary") {
            item.insert("summary".to_owned(), summary.clone());
        } else if !text.is_empty() && told.as_deref() != Some(text) {
            item.insert("summary".to_owned(), json!([{"type": "summary_text", "text": text}]));
        }
        if let Some(state) = sealed {
            item.insert("encrypted_content".to_owned(), state.data.as_str().into());
        } else if state.is_some() {
            self.drop(at, Severity::Cosmetic, "state of another dialect");
        }
        part.extra.write(ID, &mut item, &mut self.losses);
        Some(Value::Object(item))
    }

    /// Thinking must be followed by what it led to: else the upstream refuses the whole request.
    fn drop_lone_reasoning(&mut self, turn: &Turn, begun: usize, items: &mut Vec<Value>) {
        let lone = items[begun..].iter().rev().take_while(|it| it["type"] == "reasoning").count();
        if lone > 0 && !self.continues_after(turn) {
            items.truncate(items.len() - lone);
            self.drop(&turn.at, Severity::Cosmetic, "thinking that led to nothing cannot be told");
        }
    }

    /// Whether an item of the upstream's own keeping follows, which may be what the thinking led to.
    fn continues_after(&self, turn: &Turn) -> bool {
        let turns = &self.request.conversation.turns;
        let next = turns.iter().skip_while(|it| it.at != turn.at).nth(1).and_then(|it| it.parts.first());
        next.is_some_and(|it| match &it.kind {
            PartKind::Opaque { dialect: ID, raw } => raw.get("type").is_none_or(|it| it == "item_reference"),
            _ => false,
        })
    }

    fn call(&mut self, part: &Part, call: &ToolCall) -> Map<String, Value> {
        let free_text = call.custom && self.abilities.custom_tools;
        let (kind, key, text): (_, _, Value) = if free_text {
            ("custom_tool_call", "input", call.arguments.0.as_str().into())
        } else if call.custom {
            ("function_call", "arguments", json!({"input": call.arguments.0}).to_string().into())
        } else if call.arguments.0.trim().is_empty() {
            ("function_call", "arguments", "{}".into())
        } else {
            ("function_call", "arguments", call.arguments.0.as_str().into())
        };
        let mut item = Map::new();
        item.insert("type".to_owned(), kind.into());
        item.insert("call_id".to_owned(), clean_id(&call.id, is_plain, LONGEST_ID).into());
        let (name, namespace) = self.place_of(&call.name, part);
        item.insert("name".to_owned(), name.into());
        item.insert(key.to_owned(), text);
        if let Some(namespace) = namespace {
            item.insert("namespace".to_owned(), namespace.into());
        }
        self.item_fields(part, &mut item);
        item
    }

    /// A tool's name as the upstream knows it, and the namespace it is in.
    fn place_of(&self, flat: &str, part: &Part) -> (String, Option<String>) {
        let tool = self.request.tools.iter().find(|it| it.name == flat);
        if let Some(it) = tool.and_then(|it| it.namespaced.as_ref()) {
            return (it.name.clone(), Some(it.namespace.clone()));
        }
        // A tool that is not declared any more keeps its namespace beside it.
        if let Some(namespace) = part.extra.field(ID, "namespace").and_then(Value::as_str)
            && let Some(name) = flat.strip_prefix(&Namespaced::flat_name(namespace, ""))
        {
            return (name.to_owned(), Some(namespace.to_owned()));
        }
        (self.names.wire(flat).to_owned(), None)
    }

    /// Writes what the assistant said; nothing if it cannot be told.
    fn output_part(&mut self, part: &Part, at: &str) -> Option<Value> {
        let mut written = match &part.kind {
            PartKind::Text { text, .. } if text.is_empty() && !self.ours => return None,
            PartKind::Text { text, citations } => {
                let annotations = self.annotations(citations, at);
                object(json!({"type": "output_text", "text": text, "annotations": annotations}))
            }
            PartKind::Refusal { text } => object(json!({"type": "refusal", "refusal": text})),
            PartKind::Opaque { dialect: ID, raw } => object(raw.clone()),
            PartKind::Opaque { dialect, raw } | PartKind::ServerTool { dialect, raw, .. } => {
                let reason = format!("only {} knows this part", dialect.name());
                self.drop(at, foreign::severity(*dialect, raw), reason);
                part.extra.lose(&mut self.losses);
                return None;
            }
            PartKind::Media(_) => {
                self.drop(at, Severity::Semantic, "a model's own media cannot be told to it");
                part.extra.lose(&mut self.losses);
                return None;
            }
            PartKind::Reasoning { .. } | PartKind::ToolCall(_) | PartKind::ToolResult(_) => return None,
        };
        Self::part_fields(part, &mut written);
        Some(Value::Object(written))
    }

    /// The fields a part had beside those we read.
    fn part_fields(part: &Part, written: &mut Map<String, Value>) {
        let Some(extra) = part.extra.get().filter(|it| it.dialect == ID) else { return };
        let nested = extra.fields.get(FIRST_PART).and_then(Value::as_object);
        let following = extra.fields.contains_key(SAME_ITEM).then_some(&extra.fields);
        for (key, value) in nested.or(following).into_iter().flatten() {
            if key != SAME_ITEM && !written.contains_key(key) {
                written.insert(key.clone(), value.clone());
            }
        }
    }
}

fn is_sealed(part: &Part) -> bool {
    matches!(&part.kind, PartKind::Reasoning { state: Some(it), .. } if it.kind == StateKind::Encrypted)
}

fn is_message(item: &Value) -> bool {
    item["type"] == "message"
}

/// A message that has no id may, by the published types, hold its text but not parts of it.
fn in_words(item: &mut Value) {
    let Some([part]) = item["content"].as_array().map(Vec::as_slice) else { return };
    let plain = part["type"] == "output_text"
        && part.as_object().is_some_and(|it| it.len() == 3)
        && part["annotations"].as_array().is_some_and(Vec::is_empty);
    if plain && item["id"].is_null() && item["role"] == "assistant" {
        item["content"] = part["text"].clone();
    }
}

fn append(message: &mut Value, content: Value) {
    if let Some(Value::Array(parts)) = message.get_mut("content") {
        parts.push(content);
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
