//! Reads a whole answer, as faithfully as its stream would be read.

use serde_json::{Map, Value};

use super::{
    super::{ID, error, usage},
    call::Calls,
    finish,
    grounding::{self, Passage},
    logprobs,
    part::{self, Piece, Reader, state},
};
use crate::dialect::{
    ChatResponse, DecodeError, Recall,
    canonical::{Choice, Extra, Finish, FinishReason, Part, PartKind},
    fields::as_count,
    json,
};

pub(in crate::dialect::gemini) fn decode(body: &[u8], recall: &Recall) -> Result<ChatResponse, DecodeError> {
    let Value::Object(mut fields) = unwrapped(json::parse(body)?) else {
        return Err(DecodeError::new("", "the answer is not an object"));
    };
    if let Some(told) = error::told(&fields) {
        return Err(DecodeError::new("/error", told.message));
    }
    fields.retain(|_, it| !it.is_null());
    let mut text = |key: &str| match fields.shift_remove(key) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    };
    let (id, model) = (text("responseId"), text("modelVersion"));
    let created = text("createTime").and_then(|it| seconds(&it));
    let usage = fields.shift_remove("usageMetadata").filter(Value::is_object);
    let candidates = match fields.shift_remove("candidates") {
        Some(Value::Array(candidates)) => candidates,
        None if usage.is_none() && !fields.contains_key("promptFeedback") && id.is_none() => {
            return Err(DecodeError::new("/candidates", "the answer has no candidates"));
        }
        _ => Vec::new(),
    };
    let seed = id.clone().unwrap_or_default();
    let mut choices = Vec::with_capacity(candidates.len());
    for (position, candidate) in candidates.into_iter().enumerate() {
        choices.push(choice(candidate, position, &seed, recall)?);
    }
    if choices.is_empty() {
        let blocked = block_reason(fields.get("promptFeedback"));
        let finish = blocked.map_or_else(|| Finish::new(FinishReason::Other), |it| finish::blocked(&it));
        choices.push(Choice { index: 0, parts: Vec::new(), finish, extra: Extra::default() });
    }
    let usage = usage.map(|it| usage::decode(&it));
    Ok(ChatResponse { id, model, created, choices, usage, extra: Extra::new(ID, "", fields) })
}

/// Takes an answer out of what Cloud Code wraps it in, and an error out of the list it may come in.
pub(in crate::dialect::gemini) fn unwrapped(value: Value) -> Value {
    match value {
        Value::Array(mut list) if list.len() == 1 => unwrapped(list.remove(0)),
        Value::Object(mut fields) if fields.get("response").is_some_and(Value::is_object) => {
            fields.shift_remove("response").unwrap_or_default()
        }
        other => other,
    }
}

/// Why the prompt was blocked, if it was.
pub(in crate::dialect::gemini) fn block_reason(feedback: Option<&Value>) -> Option<String> {
    part::text(feedback?.as_object()?, "blockReason").filter(|it| it != "BLOCKED_REASON_UNSPECIFIED")
}

/// Reads a time as RFC 3339 writes it, in Unix seconds.
pub(in crate::dialect::gemini) fn seconds(time: &str) -> Option<i64> {
    chrono::DateTime::parse_from_rfc3339(time).ok().map(|it| it.timestamp())
}

fn choice(candidate: Value, position: usize, seed: &str, recall: &Recall) -> Result<Choice, DecodeError> {
    let at = format!("/candidates/{position}");
    let Value::Object(mut fields) = candidate else {
        return Err(DecodeError::new(at, "a candidate is not an object"));
    };
    fields.retain(|_, it| !it.is_null());
    let index = match fields.shift_remove("index") {
        Some(Value::Number(it)) => as_count(&it).and_then(|it| u32::try_from(it).ok()),
        _ => None,
    };
    let index = index.or_else(|| u32::try_from(position).ok()).unwrap_or_default();
    let raw = match fields.shift_remove("finishReason") {
        Some(Value::String(word)) if finish::is_said(&word) => Some(word),
        _ => None,
    };
    let mut content = match fields.shift_remove("content") {
        Some(Value::Object(content)) => content,
        _ => Map::new(),
    };
    let parts = match content.shift_remove("parts") {
        Some(Value::Array(parts)) => parts,
        _ => Vec::new(),
    };
    let seed = format!("{seed}/{index}");
    let mut answer = Answer {
        reader: Reader::new(seed.clone()),
        calls: Calls::new(recall, seed.clone()),
        parts: Vec::new(),
        passages: Vec::new(),
    };
    for (place, part) in parts.into_iter().enumerate() {
        answer.add(part, place, &format!("{at}/content/parts/{place}"));
    }
    answer.parts.extend(answer.calls.end());
    let grounding = match fields.shift_remove("groundingMetadata") {
        Some(Value::Object(grounding)) => grounding,
        _ => Map::new(),
    };
    answer.ground(grounding, &seed);
    if let Some(failure) = raw.as_deref().and_then(|it| finish::failure(it, answer.parts.is_empty())) {
        return Err(DecodeError::new(format!("{at}/finishReason"), failure.message));
    }
    let finish = finish::decode(raw.as_deref(), answer.calls.any());
    // It stays where it is too: Gemini says more in it than others can.
    if let Some(told) = fields.get("logprobsResult") {
        logprobs::place(logprobs::read(told), &mut answer.parts);
    }
    Ok(Choice { index, parts: answer.parts, finish, extra: Extra::new(ID, at, fields) })
}

/// A candidate's content being read.
struct Answer {
    reader: Reader,
    calls: Calls,
    parts: Vec<Part>,
    /// The index of each visible text among the candidate's parts, and where it is in `parts`.
    passages: Vec<(usize, usize)>,
}

impl Answer {
    fn add(&mut self, part: Value, place: usize, at: &str) {
        match self.reader.read(part, at) {
            None => {}
            Some(Piece::Call(call)) => self.parts.extend(self.calls.take(call)),
            Some(Piece::Whole(part)) => self.parts.push(part),
            Some(Piece::Text { text, thought, signature: Some(signature), .. }) if text.is_empty() => {
                self.sign(signature, thought);
            }
            Some(Piece::Text { text, .. }) if text.is_empty() => {}
            Some(Piece::Text { text, thought: true, signature, extra }) => {
                let kind = PartKind::Reasoning { text, state: signature.map(state) };
                self.parts.push(Part { extra, ..Part::new(kind) });
            }
            Some(Piece::Text { text, thought: false, signature, extra }) => {
                self.passages.push((place, self.parts.len()));
                self.parts.push(Part { state: signature.map(state), extra, ..Part::text(text) });
            }
        }
    }

    /// A signature without a text belongs to what came before it; if that has one, it is a thought without words.
    fn sign(&mut self, signature: String, thought: bool) {
        let place = self.parts.last_mut().and_then(|part| match &mut part.kind {
            PartKind::Reasoning { state, .. } => Some(state),
            PartKind::Text { .. } | PartKind::ToolCall(_) if !thought => Some(&mut part.state),
            _ => None,
        });
        match place {
            Some(place @ None) => *place = Some(state(signature)),
            _ => {
                let kind = PartKind::Reasoning { text: String::new(), state: Some(state(signature)) };
                self.parts.push(Part::new(kind));
            }
        }
    }

    fn ground(&mut self, grounding: Map<String, Value>, seed: &str) {
        let passages: Vec<Passage<'_>> = self
            .passages
            .iter()
            .filter_map(|(place, at)| {
                Some(Passage { part: u64::try_from(*place).ok(), text: self.parts[*at].as_text()? })
            })
            .collect();
        for (passage, citation) in grounding::citations(&grounding, &passages) {
            let part = &mut self.parts[self.passages[passage].1];
            if let PartKind::Text { citations, .. } = &mut part.kind {
                citations.push(citation);
            }
        }
        self.parts.extend(grounding::steps(grounding, self.reader.searched, seed));
    }
}
