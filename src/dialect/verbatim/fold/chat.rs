//! Chat's chunks, folded: deltas are added to what is there.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Unknown, append, merge};

#[derive(Debug, Default)]
pub(super) struct Answer {
    fields: Map<String, Value>,
    choices: BTreeMap<u64, Choice>,
}

#[derive(Debug, Default)]
struct Choice {
    fields: Map<String, Value>,
    message: Map<String, Value>,
    calls: BTreeMap<u64, Map<String, Value>>,
}

impl Answer {
    pub(super) fn push(&mut self, mut chunk: Map<String, Value>) -> Result<(), Unknown> {
        if chunk.get("error").is_some_and(|it| !it.is_null()) {
            return Err(Unknown);
        }
        let choices = chunk.shift_remove("choices");
        // What one chunk left out another may say: `null` says nothing of a whole answer.
        chunk.retain(|_, it| !it.is_null());
        merge(&mut self.fields, chunk);
        for choice in choices.and_then(array).into_iter().flatten() {
            let Value::Object(mut choice) = choice else { return Err(Unknown) };
            let index = choice.shift_remove("index").and_then(|it| it.as_u64()).unwrap_or(0);
            let delta = choice.shift_remove("delta");
            let folded = self.choices.entry(index).or_default();
            if let Some(Value::Object(logprobs)) = choice.shift_remove("logprobs") {
                folded.add_logprobs(logprobs);
            }
            merge(&mut folded.fields, choice);
            match delta {
                Some(Value::Object(delta)) => folded.add(delta)?,
                None | Some(Value::Null) => {}
                Some(_) => return Err(Unknown),
            }
        }
        Ok(())
    }

    /// `None`: a choice has no end.
    pub(super) fn finish(self) -> Option<Map<String, Value>> {
        let mut answer = self.fields;
        let usage = answer.shift_remove("usage");
        answer.insert("object".to_owned(), "chat.completion".into());
        let choices: Option<Vec<Value>> =
            self.choices.into_iter().map(|(index, it)| it.finish(index)).collect();
        let choices = choices.filter(|it| !it.is_empty())?;
        answer.insert("choices".to_owned(), choices.into());
        answer.extend(usage.map(|it| ("usage".to_owned(), it)));
        Some(answer)
    }
}

impl Choice {
    fn add(&mut self, delta: Map<String, Value>) -> Result<(), Unknown> {
        for (name, value) in delta {
            match (name.as_str(), value) {
                ("tool_calls", Value::Array(calls)) => {
                    for call in calls {
                        self.add_call(call)?;
                    }
                }
                ("function_call", Value::Object(call)) => {
                    let begun = self.message.entry("function_call").or_insert_with(|| Map::new().into());
                    add_function(begun.as_object_mut().ok_or(Unknown)?, call)?;
                }
                ("role", value) => {
                    self.message.entry("role").or_insert(value);
                }
                (name, Value::String(text)) => append(&mut self.message, name, &text),
                (name, Value::Null) => {
                    self.message.entry(name).or_insert(Value::Null);
                }
                // Sounds and images come in pieces of their own kind.
                (name, Value::Array(more)) if name == "annotations" => {
                    match self.message.entry(name).or_insert_with(|| Value::Array(Vec::new())) {
                        Value::Array(list) => list.extend(more),
                        other => *other = more.into(),
                    }
                }
                _ => return Err(Unknown),
            }
        }
        Ok(())
    }

    /// Calls without an index, or that all say the same one, cannot be told apart here.
    fn add_call(&mut self, call: Value) -> Result<(), Unknown> {
        let Value::Object(mut call) = call else { return Err(Unknown) };
        let index = call.shift_remove("index").and_then(|it| it.as_u64()).ok_or(Unknown)?;
        let begun = self.calls.entry(index).or_default();
        let id =
            |it: &Map<String, Value>| it.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        if !begun.is_empty() && !id(&call).is_empty() && id(begun) != id(&call) {
            return Err(Unknown);
        }
        let function = call.shift_remove("function");
        call.retain(|_, it| !it.is_null() && it.as_str() != Some(""));
        if call.values().any(Value::is_object) {
            return Err(Unknown);
        }
        merge(begun, call);
        if let Some(Value::Object(function)) = function {
            let told = begun.entry("function").or_insert_with(|| Map::new().into());
            add_function(told.as_object_mut().ok_or(Unknown)?, function)?;
        }
        Ok(())
    }

    fn add_logprobs(&mut self, more: Map<String, Value>) {
        let begun = self.fields.entry("logprobs").or_insert_with(|| Map::new().into());
        let Some(begun) = begun.as_object_mut() else { return };
        for (name, value) in more {
            match (begun.get_mut(&name), value) {
                (Some(Value::Array(list)), Value::Array(more)) => list.extend(more),
                (Some(_), Value::Null) => {}
                (_, value) => {
                    begun.insert(name, value);
                }
            }
        }
    }

    fn finish(mut self, index: u64) -> Option<Value> {
        let reason = self.fields.shift_remove("finish_reason").filter(Value::is_string)?;
        self.message.entry("content").or_insert(Value::Null);
        let says_other = !self.calls.is_empty() || self.message.get("refusal").is_some_and(Value::is_string);
        if says_other && self.message.get("content").and_then(Value::as_str) == Some("") {
            self.message.insert("content".to_owned(), Value::Null);
        }
        if !self.calls.is_empty() {
            let calls: Vec<Value> = self.calls.into_values().map(Value::Object).collect();
            self.message.insert("tool_calls".to_owned(), calls.into());
        }
        let logprobs = self.fields.shift_remove("logprobs").unwrap_or(Value::Null);
        let mut choice = Map::from_iter([
            ("index".to_owned(), index.into()),
            ("message".to_owned(), Value::Object(self.message)),
            ("logprobs".to_owned(), logprobs),
            ("finish_reason".to_owned(), reason),
        ]);
        merge(&mut choice, self.fields);
        Some(Value::Object(choice))
    }
}

/// Adds to a call's arguments, which are a text; its name is said once, or again and again.
fn add_function(begun: &mut Map<String, Value>, more: Map<String, Value>) -> Result<(), Unknown> {
    for (name, value) in more {
        match value {
            Value::String(text) if name == "arguments" => append(begun, "arguments", &text),
            Value::Null => {}
            Value::String(text) if text.is_empty() => {}
            _ if name == "arguments" => return Err(Unknown),
            value => {
                begun.insert(name, value);
            }
        }
    }
    Ok(())
}

fn array(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(list) => Some(list),
        _ => None,
    }
}
