//! The items of an answer, as they are when they are done.

use serde_json::{Value, json};

use crate::simulator::{
    ask::Ask,
    reply::{Answer, Call, Finish, Manner},
    scenario::Quirk,
    seal,
};

/// The items, in the order in which they are told.
pub(super) fn items(answer: &Answer, ask: &Ask, manner: Manner<'_>) -> Vec<Value> {
    let mut items = Vec::new();
    if answer.blocked.is_some() {
        return items;
    }
    if let Some(text) = &answer.reasoning {
        items.push(reasoning(text, answer, ask, manner));
    }
    for (number, query) in answer.searches.iter().enumerate() {
        items.push(json!({
            "id": format!("ws_{}_{number}", answer.id), "type": "web_search_call", "status": "completed",
            "action": {"type": "search", "query": query},
        }));
    }
    for (number, image) in answer.images.iter().enumerate() {
        let format = image.media_type.trim_start_matches("image/");
        items.push(json!({
            "id": format!("ig_{}_{number}", answer.id), "type": "image_generation_call", "status": "completed",
            "output_format": format, "result": image.data,
        }));
    }
    if !answer.text.is_empty() || answer.refusal.is_some() || items.is_empty() && answer.calls.is_empty() {
        items.push(message(answer));
    }
    items.extend(answer.calls.iter().enumerate().map(|(number, it)| call(it, number, answer)));
    if status(answer).0 == "incomplete"
        && let Some(last) = items.last_mut()
    {
        last["status"] = json!("incomplete");
    }
    items
}

/// How the response ended, and why it is incomplete.
pub(super) fn status(answer: &Answer) -> (&'static str, Option<&str>) {
    match &answer.finish {
        _ if answer.blocked.is_some() => ("incomplete", Some("content_filter")),
        Finish::Length => ("incomplete", Some("max_output_tokens")),
        Finish::Said(said) => match said.as_str() {
            "length" | "max_output_tokens" => ("incomplete", Some("max_output_tokens")),
            "content_filter" => ("incomplete", Some("content_filter")),
            "failed" => ("failed", None),
            _ => ("completed", None),
        },
        _ => ("completed", None),
    }
}

fn reasoning(text: &str, answer: &Answer, ask: &Ask, manner: Manner<'_>) -> Value {
    let told = !answer.redacted && !text.is_empty();
    let summary = if told && ask.summary && !manner.has(Quirk::ReasoningText) {
        // A blank line parts the summary, as the service does.
        text.split("\n\n").map(|it| json!({"type": "summary_text", "text": it})).collect()
    } else {
        Vec::new()
    };
    let mut item = json!({"id": format!("rs_{}", answer.id), "type": "reasoning", "summary": summary});
    if told && manner.has(Quirk::ReasoningText) {
        item["content"] = json!([{"type": "reasoning_text", "text": text}]);
    }
    if ask.encrypted || answer.state.is_some() {
        item["encrypted_content"] =
            json!(answer.state.clone().unwrap_or_else(|| seal::seal(manner.account, text)));
    }
    item
}

fn message(answer: &Answer) -> Value {
    let content = match &answer.refusal {
        Some(refusal) => json!([{"type": "refusal", "refusal": refusal}]),
        None => json!([{
            "type": "output_text", "annotations": annotations(answer), "logprobs": [], "text": answer.text,
        }]),
    };
    json!({
        "id": format!("msg_{}", answer.id), "type": "message", "status": "completed", "content": content,
        "role": "assistant",
    })
}

pub(super) fn annotations(answer: &Answer) -> Vec<Value> {
    let annotation = |it: &crate::simulator::reply::Cited| {
        json!({
            "type": "url_citation", "start_index": it.characters.start, "end_index": it.characters.end,
            "title": it.title, "url": it.url,
        })
    };
    answer.citations.iter().map(annotation).collect()
}

fn call(call: &Call, number: usize, answer: &Answer) -> Value {
    let (space, name) = match call.name.split_once('.') {
        Some((space, name)) => (Some(space), name),
        None => (None, call.name.as_str()),
    };
    let mut item = if call.custom {
        json!({
            "id": format!("ctc_{}_{number}", answer.id), "type": "custom_tool_call", "status": "completed",
            "call_id": call.id, "input": call.arguments, "name": name,
        })
    } else {
        json!({
            "id": format!("fc_{}_{number}", answer.id), "type": "function_call", "status": "completed",
            "arguments": call.arguments, "call_id": call.id, "name": name,
        })
    };
    if let Some(space) = space {
        item["namespace"] = json!(space);
    }
    item
}
