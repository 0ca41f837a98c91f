//! Responses, whole. The field order is the vendor's.

use serde_json::{Map, Value, json};

use crate::simulator::{
    ask::Ask,
    reply::{Answer, Manner},
    responses::item::{items, status},
    scenario::{Quirk, Tokens},
    seal,
};

/// When every answer was made; a fixed time keeps answers reproducible.
const CREATED: u64 = 1_767_225_600;

pub(super) fn whole(answer: &Answer, ask: &Ask, manner: Manner<'_>) -> String {
    ended(answer, ask, manner, &items(answer, ask, manner)).to_string()
}

/// The response at its end.
pub(super) fn ended(answer: &Answer, ask: &Ask, manner: Manner<'_>, items: &[Value]) -> Value {
    let (status, reason) = status(answer);
    let mut response = begun(answer, ask, status);
    response["completed_at"] = if status == "completed" { json!(CREATED + 1) } else { Value::Null };
    if status == "failed" {
        response["error"] =
            json!({"code": "server_error", "message": "The model failed to generate a response."});
    }
    if let Some(reason) = reason {
        response["incomplete_details"] = json!({"reason": reason});
    }
    response["output"] = json!(items);
    if !manner.has(Quirk::MissingUsage) {
        response["usage"] = usage(answer.usage);
    }
    response
}

/// The response before anything is said.
pub(super) fn begun(answer: &Answer, ask: &Ask, status: &str) -> Value {
    let mut response = Map::new();
    let mut put = |name: &str, value: Value| response.insert(name.to_owned(), value);
    put("id", json!(format!("resp_{}", answer.id)));
    put("object", json!("response"));
    put("created_at", json!(CREATED));
    put("status", json!(status));
    put("completed_at", Value::Null);
    put("error", Value::Null);
    put("incomplete_details", Value::Null);
    put("model", json!(answer.model));
    put("output", json!([]));
    put("usage", Value::Null);
    for (name, value) in ask.echo.as_object().into_iter().flatten() {
        put(name, value.clone());
    }
    Value::Object(response)
}

/// Responses counts cached and written tokens inside the input.
pub(super) fn usage(it: Tokens) -> Value {
    let input = it.input + it.cached + it.cache_write;
    json!({
        "input_tokens": input,
        "input_tokens_details": {"cached_tokens": it.cached, "cache_write_tokens": it.cache_write},
        "output_tokens": it.output,
        "output_tokens_details": {"reasoning_tokens": it.reasoning},
        "total_tokens": input + it.output,
    })
}

/// `POST /v1/responses/compact`: the user's messages stay, the rest becomes one sealed item.
pub(in crate::simulator) fn compacted(
    input: &[Value],
    serial: &str,
    account: &str,
    usage_of: Tokens,
) -> Value {
    let mut output: Vec<Value> = input
        .iter()
        .filter(|it| it["role"] == "user")
        .enumerate()
        .map(|(number, it)| {
            let content = match &it["content"] {
                Value::String(text) => json!([{"type": "input_text", "text": text}]),
                parts => parts.clone(),
            };
            json!({"id": format!("msg_{serial}_{number}"), "type": "message", "status": "completed",
                "role": "user", "content": content})
        })
        .collect();
    let summary = format!("{} items, of which {} are the user's", input.len(), output.len());
    output.push(json!({
        "id": format!("cmp_{serial}"), "type": "compaction",
        "encrypted_content": seal::seal(account, &summary),
    }));
    json!({
        "id": format!("resp_{serial}"), "object": "response.compaction", "created_at": CREATED,
        "output": output, "usage": usage(usage_of),
    })
}
