//! Gemini answers, whole and as chunks. Each chunk is a whole answer of which only the parts are new.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::simulator::{
    ask::Ask,
    reply::{Answer, Call, Cited, Finish, Manner},
    scenario::{Quirk, Tokens},
    seal,
};

/// Whether a model of this name signs its calls and texts unasked, and gives its calls ids.
pub(super) fn is_third(model: &str) -> bool {
    model.starts_with("gemini-3")
}

pub(super) fn whole(answer: &Answer, ask: &Ask, manner: Manner<'_>) -> String {
    let candidates: Vec<Value> = (0..ask.choices)
        .map(|index| {
            let mut parts = before(answer, ask, manner);
            let text = answer.text_of(index);
            if !text.is_empty() {
                parts.push(json!({"text": text}));
            }
            sign_text(&mut parts, answer, ask, manner);
            parts.extend(after(answer, ask, manner));
            let mut candidate = candidate(&parts, index, manner);
            finish(&mut candidate, answer, index);
            candidate
        })
        .collect();
    envelope(answer, ask, &candidates, Some(usage(answer, manner)), manner).to_string()
}

/// `chunk* last`, as events or as the elements of an array.
pub(super) fn frames(answer: &Answer, ask: &Ask, manner: Manner<'_>) -> Vec<Bytes> {
    let mut chunks: Vec<Value> = Vec::new();
    let told = |parts: &[Value], index: u64| {
        let mut candidate = candidate(parts, index, manner);
        if manner.has(Quirk::FinishInEveryChunk) {
            candidate["finishReason"] = json!("STOP");
        }
        let so_far = Tokens { output: 0, reasoning: 0, ..answer.usage };
        envelope(answer, ask, &[candidate], Some(figures(so_far, manner)), manner)
    };
    if answer.blocked.is_none() {
        for index in 0..ask.choices {
            for part in before(answer, ask, manner) {
                match part["text"].as_str() {
                    Some(text) => {
                        let pieces = manner.deltas(text);
                        let count = pieces.len();
                        for (number, piece) in pieces.into_iter().enumerate() {
                            let mut one = part.clone();
                            one["text"] = json!(piece);
                            if number + 1 < count
                                && let Some(fields) = one.as_object_mut()
                            {
                                fields.shift_remove("thoughtSignature");
                            }
                            chunks.push(told(&[one], index));
                        }
                    }
                    None => chunks.push(told(&[part], index)),
                }
            }
            for piece in manner.deltas(answer.text_of(index)) {
                chunks.push(told(&[json!({"text": piece})], index));
            }
            for part in after(answer, ask, manner) {
                chunks.push(told(&[part], index));
            }
        }
    }
    // The last part is empty; the signature of a text rides on it.
    let last: Vec<Value> = (0..ask.choices)
        .map(|index| {
            let mut parts = vec![json!({"text": ""})];
            if answer.calls.is_empty() {
                sign_text(&mut parts, answer, ask, manner);
            }
            let mut candidate = candidate(&parts, index, manner);
            finish(&mut candidate, answer, index);
            candidate
        })
        .collect();
    if !manner.has(Quirk::MissingDone) {
        chunks.push(envelope(answer, ask, &last, Some(usage(answer, manner)), manner));
    }
    let space = if manner.has(Quirk::NoSpace) { "" } else { " " };
    let count = chunks.len();
    let written = chunks.iter().enumerate().map(|(number, it)| match (ask.array, number) {
        (false, _) => format!("data:{space}{it}\r\n\r\n"),
        (true, _) => {
            let open = if number == 0 { "[" } else { ",\r\n" };
            let close = if number + 1 == count { "]" } else { "" };
            format!("{open}{it}{close}")
        }
    });
    written.map(Bytes::from).collect()
}

/// Thoughts, searches and images: what comes before the text.
fn before(answer: &Answer, ask: &Ask, manner: Manner<'_>) -> Vec<Value> {
    let mut parts = Vec::new();
    if let Some(thought) = answer.reasoning.as_ref().filter(|_| !answer.redacted) {
        let mut part = json!({"text": thought, "thought": true});
        if manner.has(Quirk::SignThoughts) {
            part["thoughtSignature"] = signature("thought", answer, manner);
        }
        parts.push(part);
    }
    for image in &answer.images {
        let mut part = json!({"inlineData": {"mimeType": image.media_type, "data": image.data}});
        if signs(answer, ask, manner) {
            part["thoughtSignature"] = signature("image", answer, manner);
        }
        parts.push(part);
    }
    parts
}

/// The calls; the first carries the signature of its step.
fn after(answer: &Answer, ask: &Ask, manner: Manner<'_>) -> Vec<Value> {
    answer
        .calls
        .iter()
        .enumerate()
        .map(|(number, it)| {
            let mut part = json!({"functionCall": call(it, ask, manner)});
            if number == 0 && signs(answer, ask, manner) {
                part["thoughtSignature"] = signature("call", answer, manner);
            }
            part
        })
        .collect()
}

fn call(call: &Call, ask: &Ask, manner: Manner<'_>) -> Value {
    let mut told = json!({"name": call.name});
    // What is no object cannot be said here.
    told["args"] =
        serde_json::from_str(&call.arguments).ok().filter(Value::is_object).unwrap_or_else(|| json!({}));
    let known = call.named || manner.has(Quirk::CallIds) || is_third(&ask.model);
    if known && !ask.vertex && !manner.has(Quirk::MissingCallIds) {
        told["id"] = json!(call.id);
    }
    told
}

/// Whether calls and texts are signed: by the third generation always, else when thoughts are asked for.
fn signs(answer: &Answer, ask: &Ask, manner: Manner<'_>) -> bool {
    !manner.has(Quirk::MissingSignatures)
        && (is_third(&ask.model) || answer.state.is_some() || answer.reasoning.is_some())
}

fn sign_text(parts: &mut [Value], answer: &Answer, ask: &Ask, manner: Manner<'_>) {
    let signed = signs(answer, ask, manner) && answer.calls.is_empty();
    if let Some(last) =
        parts.last_mut().filter(|it| signed && it["text"].is_string() && it["thought"] != true)
    {
        last["thoughtSignature"] = signature("text", answer, manner);
    }
}

fn signature(of: &str, answer: &Answer, manner: Manner<'_>) -> Value {
    json!(answer.state.clone().unwrap_or_else(|| seal::seal(manner.account, &format!("{of} {}", answer.id))))
}

fn candidate(parts: &[Value], index: u64, manner: Manner<'_>) -> Value {
    if manner.has(Quirk::BareCandidates) {
        return json!({"content": {"parts": parts}});
    }
    json!({"content": {"parts": parts, "role": "model"}, "index": index})
}

fn finish(candidate: &mut Value, answer: &Answer, index: u64) {
    let (reason, message) = match &answer.finish {
        Finish::Stop | Finish::StopSequence(_) | Finish::Tools => ("STOP", None),
        Finish::Length => ("MAX_TOKENS", None),
        Finish::Refusal => ("SAFETY", answer.refusal.as_deref()),
        Finish::Said(said) => (said.as_str(), None),
    };
    candidate["finishReason"] = json!(reason);
    if let Some(message) = message {
        candidate["finishMessage"] = json!(message);
    }
    if reason == "SAFETY" {
        candidate["safetyRatings"] =
            json!([{"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": true}]);
        if let Some(fields) = candidate.as_object_mut() {
            fields.shift_remove("content");
        }
    }
    if index == 0 && !(answer.citations.is_empty() && answer.searches.is_empty()) {
        candidate["groundingMetadata"] = grounding(answer);
    }
}

/// Offsets are bytes of the text.
fn grounding(answer: &Answer) -> Value {
    let mut sources: Vec<&Cited> = Vec::new();
    for it in &answer.citations {
        if !sources.iter().any(|known| known.url == it.url) {
            sources.push(it);
        }
    }
    let supports = answer.citations.iter().map(|it| {
        let place = sources.iter().position(|known| known.url == it.url);
        json!({
            "segment": {"startIndex": it.bytes.start, "endIndex": it.bytes.end, "text": &answer.text[it.bytes.clone()]},
            "groundingChunkIndices": [place],
        })
    });
    json!({
        "searchEntryPoint": {"renderedContent": "<div>searched</div>"},
        "groundingChunks": sources.iter().map(|it| json!({"web": {"uri": it.url, "title": it.title}})).collect::<Vec<_>>(),
        "groundingSupports": supports.collect::<Vec<_>>(),
        "webSearchQueries": answer.searches,
    })
}

fn envelope(
    answer: &Answer,
    ask: &Ask,
    candidates: &[Value],
    usage: Option<Value>,
    manner: Manner<'_>,
) -> Value {
    let mut chunk = match &answer.blocked {
        Some(reason) => json!({"promptFeedback": {"blockReason": reason, "safetyRatings": []}}),
        None => json!({"candidates": candidates}),
    };
    if let Some(usage) = usage.filter(|_| !manner.has(Quirk::MissingUsage)) {
        chunk["usageMetadata"] = usage;
    }
    chunk["modelVersion"] = json!(answer.model);
    if ask.vertex {
        chunk["createTime"] = json!("2026-01-01T00:00:00.000000Z");
    }
    chunk["responseId"] = json!(answer.id);
    chunk
}

fn usage(answer: &Answer, manner: Manner<'_>) -> Value {
    figures(answer.usage, manner)
}

/// Gemini counts cached tokens inside the prompt and thoughts beside the candidates.
fn figures(it: Tokens, manner: Manner<'_>) -> Value {
    let prompt = it.input + it.cached + it.cache_write;
    let apart = if manner.has(Quirk::ThoughtsInCandidates) { 0 } else { it.reasoning };
    let mut usage = json!({"promptTokenCount": prompt});
    if it.output > 0 {
        usage["candidatesTokenCount"] = json!(it.output.saturating_sub(apart));
    }
    usage["totalTokenCount"] = json!(prompt + it.output);
    if it.cached > 0 {
        usage["cachedContentTokenCount"] = json!(it.cached);
        usage["cacheTokensDetails"] = json!([{"modality": "TEXT", "tokenCount": it.cached}]);
    }
    usage["promptTokensDetails"] = json!([{"modality": "TEXT", "tokenCount": prompt}]);
    if it.reasoning > 0 {
        usage["thoughtsTokenCount"] = json!(it.reasoning);
    }
    usage
}
