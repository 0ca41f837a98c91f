//! Requests: what a client says, as its upstream is told it.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
};

use dragoman::dialect::{DialectId, Loss, LossAction, Severity, canonical::ChatRequest};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{super::requests, Cell, Mark, Row, paths};
use crate::support::{
    facts::{self, Fact},
    fixtures,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Feature {
    #[serde(rename = "feature")]
    name: String,
    /// By the name of the client's dialect: the fields that say it. A dialect without words for it is not there.
    asked: BTreeMap<String, Value>,
}

/// The table; what is not as it should be goes to `wrong`.
pub(super) fn rows(wrong: &mut Vec<String>) -> Vec<Row> {
    let text = fs::read(fixtures::root().join("fidelity/requests.json")).unwrap();
    let features: Vec<Feature> = serde_json::from_slice(&text).unwrap();
    features.into_iter().map(|it| row(it, wrong)).collect()
}

fn row(feature: Feature, wrong: &mut Vec<String>) -> Row {
    let cells = paths().into_iter().map(|(client, upstream)| {
        [false, true].map(|streamed| match feature.asked.get(client.name()) {
            None => Cell::new(Mark::Unsaid),
            Some(fields) => cell(fields, client, upstream, streamed).unwrap_or_else(|it| {
                let path = format!("{} to {}", client.name(), upstream.name());
                wrong.push(format!("{}: {path}: {it}", feature.name));
                Cell::new(Mark::Lost)
            }),
        })
    });
    Row { cells: cells.collect(), feature: feature.name }
}

/// The shortest request of a dialect, with `fields` in their place.
fn body(client: DialectId, fields: &Value, streamed: bool) -> Value {
    let mut body = match client {
        DialectId::OpenaiChat => json!({"model": "m", "messages": [{"role": "user", "content": "Hello"}]}),
        DialectId::OpenaiResponses => json!({"model": "m", "input": [{"type": "message", "role": "user",
            "content": [{"type": "input_text", "text": "Hello"}]}]}),
        DialectId::AnthropicMessages => json!({"model": "m", "max_tokens": 100,
            "messages": [{"role": "user", "content": "Hello"}]}),
        DialectId::Gemini => json!({"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}),
    };
    if streamed && client != DialectId::Gemini {
        body["stream"] = json!(true);
    }
    for (key, value) in fields.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

/// What becomes of a feature; an error says what is wrong.
fn cell(fields: &Value, client: DialectId, upstream: DialectId, streamed: bool) -> Result<Cell, String> {
    let asked = body(client, fields, streamed);
    let before = decode(client, &asked);
    let encoded = match requests::encode(client, upstream, &asked) {
        Ok(encoded) => encoded,
        Err(refused) => return Ok(Cell::noted(Mark::Lost, [format!("refused: {}", refused.message)])),
    };
    let mut after = upstream.server().decode_request(&encoded.body).map_err(|it| it.to_string())?;
    after.stream = before.stream;
    if let Some(cell) = marks(&before, &after, upstream) {
        return Ok(cell);
    }

    let plain = facts::of(&decode(client, &body(client, &json!({}), streamed)), &HashMap::new());
    let asked = facts::of(&before, &HashMap::new());
    let told = facts::of(&after, &encoded.recall.names);
    let silent = facts::lost_in_silence(&asked, &told, &encoded.losses);
    if !silent.is_empty() {
        return Err(format!("lost in silence: {silent:?}"));
    }

    let says = |fact: &&Fact| !plain.iter().any(|it| it.kind == fact.kind && it.value == fact.value);
    let ours: Vec<Fact> = asked.iter().filter(says).cloned().collect();
    if ours.is_empty() {
        return Err("it says nothing".to_owned());
    }
    Ok(judge(&ours, &told, &encoded.losses))
}

fn decode(client: DialectId, asked: &Value) -> ChatRequest {
    client.server().decode_request(asked.to_string().as_bytes()).unwrap()
}

/// Judges by the facts that are told, and by what is noted of them.
fn judge(ours: &[Fact], told: &[Fact], losses: &[Loss]) -> Cell {
    let missing = facts::lost_in_silence(ours, told, &[]);
    let about: Vec<&Loss> = losses.iter().filter(|it| facts::concerns(it, ours)).collect();
    let missed: Vec<&Loss> = losses.iter().filter(|it| facts::concerns(it, &missing)).collect();
    let words = |losses: &[&Loss]| losses.iter().map(|it| it.reason.clone()).collect::<Vec<_>>();
    if missing.is_empty() {
        let matters: Vec<&Loss> = about
            .into_iter()
            .filter(|it| it.severity == Severity::Semantic || it.action == LossAction::Dropped)
            .collect();
        return match matters.as_slice() {
            [] => Cell::new(Mark::Survives),
            some => Cell::noted(Mark::Changed, words(some)),
        };
    }
    let all_dropped = missed.iter().all(|it| it.action == LossAction::Dropped);
    let mark = if all_dropped && missing.len() == ours.len() { Mark::Lost } else { Mark::Changed };
    Cell::noted(mark, words(&missed))
}

/// Cache marks are no facts: who has no marks caches without them.
fn marks(before: &ChatRequest, after: &ChatRequest, upstream: DialectId) -> Option<Cell> {
    let has = |request: &ChatRequest| {
        let parts = request.conversation.turns.iter().flat_map(|it| &it.parts);
        parts.filter(|it| it.cache.is_some()).count()
    };
    if has(before) == 0 {
        return None;
    }
    if has(after) == has(before) {
        return Some(Cell::new(Mark::Survives));
    }
    assert!(upstream != DialectId::AnthropicMessages, "a mark is lost");
    Some(Cell::noted(Mark::Changed, ["this provider caches without being told where".to_owned()]))
}
