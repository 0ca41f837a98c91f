//! Gemini's chunks, folded: each is an answer of its own; texts that go on are put together.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Unknown, append, merge};

#[derive(Debug, Default)]
pub(super) struct Answer {
    fields: Map<String, Value>,
    candidates: BTreeMap<u64, Candidate>,
}

#[derive(Debug, Default)]
struct Candidate {
    fields: Map<String, Value>,
    content: Map<String, Value>,
    parts: Vec<Map<String, Value>>,
}

impl Answer {
    pub(super) fn push(&mut self, mut chunk: Map<String, Value>) -> Result<(), Unknown> {
        // Cloud Code's chunks are in something else.
        if chunk.contains_key("response") || chunk.contains_key("error") {
            return Err(Unknown);
        }
        let candidates = chunk.shift_remove("candidates");
        merge_told(&mut self.fields, chunk);
        let candidates = match candidates {
            Some(Value::Array(candidates)) => candidates,
            None | Some(Value::Null) => Vec::new(),
            Some(_) => return Err(Unknown),
        };
        for candidate in candidates {
            let Value::Object(mut candidate) = candidate else { return Err(Unknown) };
            let index = candidate.get("index").and_then(Value::as_u64).unwrap_or(0);
            let content = candidate.shift_remove("content");
            let likely = candidate.shift_remove("logprobsResult");
            let folded = self.candidates.entry(index).or_default();
            merge_told(&mut folded.fields, candidate);
            if let Some(Value::Object(likely)) = likely {
                add_likely(&mut folded.fields, likely);
            }
            match content {
                Some(Value::Object(content)) => folded.add(content)?,
                None | Some(Value::Null) => {}
                Some(_) => return Err(Unknown),
            }
        }
        Ok(())
    }

    /// `None`: nothing was said.
    pub(super) fn finish(self) -> Option<Map<String, Value>> {
        let mut answer = self.fields;
        if self.candidates.is_empty() && !answer.contains_key("promptFeedback") {
            return None;
        }
        if !self.candidates.is_empty() {
            let candidates: Vec<Value> = self.candidates.into_values().map(Candidate::finish).collect();
            answer.insert("candidates".to_owned(), candidates.into());
        }
        Some(answer)
    }
}

impl Candidate {
    fn add(&mut self, mut content: Map<String, Value>) -> Result<(), Unknown> {
        let parts = content.shift_remove("parts");
        merge(&mut self.content, content);
        let Some(Value::Array(parts)) = parts else { return Ok(()) };
        for part in parts {
            let Value::Object(part) = part else { return Err(Unknown) };
            let comes_in_pieces =
                |it: &Value| it.get("willContinue").is_some() || it.get("partialArgs").is_some();
            if part.get("functionCall").is_some_and(comes_in_pieces) {
                return Err(Unknown);
            }
            self.add_part(part);
        }
        Ok(())
    }

    fn add_part(&mut self, part: Map<String, Value>) {
        if let (Some(last), Some(text)) = (self.parts.last_mut(), text(&part))
            && goes_on(last, &part)
        {
            append(last, "text", text);
            if let Some(signature) = part.get("thoughtSignature") {
                last.insert("thoughtSignature".to_owned(), signature.clone());
            }
        } else if text(&part) != Some("") || part.contains_key("thoughtSignature") {
            self.parts.push(part);
        }
    }

    fn finish(mut self) -> Value {
        let parts: Vec<Value> = self.parts.into_iter().map(Value::Object).collect();
        if !parts.is_empty() {
            self.content.insert("parts".to_owned(), parts.into());
        }
        if !self.content.is_empty() {
            self.fields.insert("content".to_owned(), self.content.into());
        }
        Value::Object(self.fields)
    }
}

/// Takes every field that says something. Usage, and what a candidate is founded on, are told bit by bit.
fn merge_told(into: &mut Map<String, Value>, fields: Map<String, Value>) {
    for (name, value) in fields {
        match (into.get_mut(&name), value) {
            (Some(Value::Object(told)), Value::Object(more)) => merge(told, more),
            (Some(_), Value::Null) => {}
            (_, value) => {
                into.insert(name, value);
            }
        }
    }
}

/// Adds how likely a chunk's tokens were: each chunk tells of its own.
fn add_likely(into: &mut Map<String, Value>, likely: Map<String, Value>) {
    let Some(Value::Object(all)) = into.get_mut("logprobsResult") else {
        into.insert("logprobsResult".to_owned(), likely.into());
        return;
    };
    for (key, value) in likely {
        match (all.get_mut(&key), value) {
            (Some(Value::Array(told)), Value::Array(more)) => told.extend(more),
            (_, value) => drop(all.insert(key, value)),
        }
    }
}

/// The text of a part that is text and nothing else.
fn text(part: &Map<String, Value>) -> Option<&str> {
    let is_plain = part.keys().all(|it| ["text", "thought", "thoughtSignature"].contains(&it.as_str()));
    part.get("text").and_then(Value::as_str).filter(|_| is_plain)
}

/// Whether a text goes on with the next part: what is signed is over.
fn goes_on(last: &Map<String, Value>, next: &Map<String, Value>) -> bool {
    let is_thought = |it: &Map<String, Value>| it.get("thought").and_then(Value::as_bool).unwrap_or(false);
    text(last).is_some() && !last.contains_key("thoughtSignature") && is_thought(last) == is_thought(next)
}
