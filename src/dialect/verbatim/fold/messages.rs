//! The events of Messages, folded: a message that begins empty, its blocks, and what its end adds to it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Unknown, append, merge};

#[derive(Debug, Default)]
pub(super) struct Answer {
    message: Option<Map<String, Value>>,
    blocks: BTreeMap<u64, Block>,
    is_over: bool,
}

#[derive(Debug)]
struct Block {
    fields: Map<String, Value>,
    /// The text of `input`, which comes in pieces.
    input: String,
}

impl Answer {
    pub(super) fn push(&mut self, mut event: Map<String, Value>) -> Result<(), Unknown> {
        let index = event.get("index").and_then(Value::as_u64);
        let kind = field_text(&event, "type");
        let mut field = |name: &str| event.shift_remove(name).and_then(object);
        match kind.as_str() {
            "message_start" => self.message = Some(field("message").ok_or(Unknown)?),
            "content_block_start" => {
                let fields = field("content_block").ok_or(Unknown)?;
                self.blocks.insert(index.ok_or(Unknown)?, Block { fields, input: String::new() });
            }
            "content_block_delta" => {
                let delta = field("delta").ok_or(Unknown)?;
                let block = index.and_then(|it| self.blocks.get_mut(&it)).ok_or(Unknown)?;
                block.add(delta)?;
            }
            "content_block_stop" => {
                let block = index.and_then(|it| self.blocks.get_mut(&it)).ok_or(Unknown)?;
                block.end()?;
            }
            "message_delta" => {
                let (delta, usage) = (field("delta").unwrap_or_default(), field("usage"));
                let message = self.message.as_mut().ok_or(Unknown)?;
                merge(message, delta);
                if let Some(usage) = usage {
                    let told = message.entry("usage").or_insert_with(|| Map::new().into());
                    merge(told.as_object_mut().ok_or(Unknown)?, usage);
                }
                event.retain(|name, _| name != "type");
                merge(message, event);
            }
            "message_stop" => self.is_over = true,
            "ping" => {}
            _ => return Err(Unknown),
        }
        Ok(())
    }

    /// `None`: it has no end.
    pub(super) fn finish(self) -> Option<Map<String, Value>> {
        let mut message = self.message.filter(|_| self.is_over)?;
        let blocks: Vec<Value> = self.blocks.into_values().map(|it| Value::Object(it.fields)).collect();
        message.insert("content".to_owned(), blocks.into());
        Some(message)
    }
}

impl Block {
    fn add(&mut self, mut delta: Map<String, Value>) -> Result<(), Unknown> {
        let text = |name: &str| delta.get(name).and_then(Value::as_str).ok_or(Unknown);
        match field_text(&delta, "type").as_str() {
            "text_delta" => append(&mut self.fields, "text", text("text")?),
            "thinking_delta" => append(&mut self.fields, "thinking", text("thinking")?),
            "signature_delta" => append(&mut self.fields, "signature", text("signature")?),
            "input_json_delta" => self.input.push_str(text("partial_json")?),
            "citations_delta" => {
                let citation = delta.shift_remove("citation").ok_or(Unknown)?;
                match self.fields.entry("citations").or_insert(Value::Null) {
                    Value::Array(list) => list.push(citation),
                    other => *other = vec![citation].into(),
                }
            }
            _ => return Err(Unknown),
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Unknown> {
        if !self.input.trim().is_empty() {
            let input = serde_json::from_str(&self.input).map_err(|_| Unknown)?;
            self.fields.insert("input".to_owned(), input);
        }
        Ok(())
    }
}

fn object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}

fn field_text(fields: &Map<String, Value>, name: &str) -> String {
    fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}
