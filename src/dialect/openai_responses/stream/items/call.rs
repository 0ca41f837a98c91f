//! A call of one of the client's tools.

use serde_json::Value;

use super::{Own, begin, own_of, word};
use crate::dialect::{
    ChatEvent,
    canonical::{BlockKind, Delta},
    openai_responses::response::parts::{Form, Reader},
};

#[derive(Debug, Default)]
pub(super) struct Call {
    pub(super) own: Own,
    pub(super) custom: bool,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) block: Option<u32>,
    pub(super) form: Option<Form>,
    /// Arguments that wait for the block to begin, or for all of them.
    pub(super) held: String,
    /// How many bytes of them came.
    pub(super) came: usize,
    /// The arguments that were there from the beginning: they count if no others come.
    pub(super) early: String,
}

impl Call {
    /// Takes what an item says of the call, if it was not known.
    pub(super) fn learn(&mut self, item: &Value) {
        if self.own.is_empty() {
            self.own = own_of(item);
        }
        for (known, key) in
            [(&mut self.id, "call_id"), (&mut self.name, "name"), (&mut self.namespace, "namespace")]
        {
            if known.is_empty() {
                *known = word(item, key).unwrap_or_default();
            }
        }
        self.custom |= item.get("type").and_then(Value::as_str) == Some("custom_tool_call");
    }

    /// The arguments an item has.
    pub(super) fn arguments(&self, item: &Value) -> String {
        match item.get(if self.custom { "input" } else { "arguments" }) {
            Some(Value::String(text)) => text.clone(),
            Some(value @ Value::Object(_)) => value.to_string(),
            _ => String::new(),
        }
    }

    /// Begins the block, once the name is known. A call that never gets one is none.
    pub(super) fn begin(&mut self, reader: &mut Reader, next: &mut u32, out: &mut Vec<ChatEvent>) {
        if self.block.is_some() {
            return;
        }
        let Some((name, form)) = reader.callee(&self.name, &self.namespace, self.custom) else { return };
        let kind = if form == Form::Answer {
            BlockKind::Text
        } else {
            let id = reader.call_id(self.id.clone());
            BlockKind::ToolCall { id, name, custom: form != Form::Function, state: None }
        };
        let block = begin(kind, &mut self.own, next, out);
        (self.block, self.form) = (Some(block), Some(form));
        self.flush(out);
    }

    pub(super) fn take(&mut self, text: String, out: &mut Vec<ChatEvent>) {
        self.came += text.len();
        if self.held.is_empty() {
            self.held = text;
        } else {
            self.held.push_str(&text);
        }
        self.flush(out);
    }

    /// Tells what waited, but for a text that is wrapped: it is known when all of it is.
    pub(super) fn flush(&mut self, out: &mut Vec<ChatEvent>) {
        let (Some(block), Some(form)) = (self.block, self.form) else { return };
        if form == Form::Wrapped || self.held.is_empty() {
            return;
        }
        let text = std::mem::take(&mut self.held);
        let delta = if form == Form::Answer { Delta::Text(text) } else { Delta::Arguments(text) };
        out.push(ChatEvent::Delta { block, delta });
    }

    /// Takes the rest of the arguments, all of which are known now.
    pub(super) fn complete(&mut self, full: &str, out: &mut Vec<ChatEvent>) {
        if let Some(rest) = full.get(self.came..).filter(|it| !it.is_empty()) {
            self.take(rest.to_owned(), out);
        }
    }

    pub(super) fn close(&mut self, out: &mut Vec<ChatEvent>) {
        let (Some(block), Some(form)) = (self.block, self.form) else { return };
        let last = match form {
            Form::Wrapped => form.whole(std::mem::take(&mut self.held)),
            Form::Function if self.came == 0 => form.whole(String::new()),
            Form::Function | Form::Custom | Form::Answer => String::new(),
        };
        if !last.is_empty() {
            out.push(ChatEvent::Delta { block, delta: Delta::Arguments(last) });
        }
        out.push(ChatEvent::BlockEnd { block });
    }
}
