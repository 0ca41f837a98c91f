//! Requests of Gemini.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Round, maybe, rounds, schema, text};

/// Rounds of calls with ids, signed as Gemini 3 signs them: so that what comes back can be compared.
pub(super) fn request() -> impl Strategy<Value = Value> {
    let settings = (
        prop::option::of(1..9_000u32),
        prop::option::of(prop::sample::select(vec![json!(0), json!(0.5), json!(1)])),
        prop::option::of(1..100u32),
        prop::option::of(prop::sample::select(vec![json!(["A"]), json!(["A", "B"])])),
        prop::option::of(prop::sample::select(vec!["LOW", "MEDIUM", "HIGH"])),
        prop::option::of(prop::sample::select(vec!["AUTO", "ANY", "NONE"])),
        any::<bool>(),
    );
    (prop::option::of(text()), rounds(), text(), schema(), settings).prop_map(
        |(system, rounds, last, schema, (limit, temperature, top_k, stop, level, mode, has_ids))| {
            let mut body = Map::new();
            maybe(&mut body, "systemInstruction", system.map(|it| json!({ "parts": [{ "text": it }] })));
            body.insert("contents".into(), contents(rounds, &last, has_ids).into());
            let declared =
                |name: &str| json!({ "name": name, "description": "Does.", "parametersJsonSchema": schema });
            let functions: Vec<Value> = ["read", "write", "run"].into_iter().map(declared).collect();
            body.insert("tools".into(), json!([{ "functionDeclarations": functions }]));
            let calling = mode.map(|it| json!({ "functionCallingConfig": { "mode": it } }));
            maybe(&mut body, "toolConfig", calling);
            let mut config = Map::new();
            maybe(&mut config, "maxOutputTokens", limit.map(Value::from));
            maybe(&mut config, "temperature", temperature);
            maybe(&mut config, "topK", top_k.map(Value::from));
            maybe(&mut config, "stopSequences", stop);
            maybe(&mut config, "thinkingConfig", level.map(|it| json!({ "thinkingLevel": it })));
            if !config.is_empty() {
                body.insert("generationConfig".into(), config.into());
            }
            Value::Object(body)
        },
    )
}

fn contents(rounds: Vec<Round>, last: &str, has_ids: bool) -> Vec<Value> {
    let mut contents = Vec::new();
    let mut answered: Vec<Value> = Vec::new();
    let mut count = 0;
    for round in rounds {
        answered.push(json!({ "text": round.asked }));
        contents.push(json!({ "role": "user", "parts": answered }));
        answered = Vec::new();
        let mut parts: Vec<Value> = round.said.into_iter().map(|it| json!({ "text": it })).collect();
        for (nth, (name, arguments, result)) in round.calls.into_iter().enumerate() {
            let mut call = json!({ "name": name, "args": arguments });
            let mut response = json!({ "name": name, "response": { "output": result } });
            if has_ids {
                call["id"] = format!("{name}-{count}").into();
                response["id"] = format!("{name}-{count}").into();
            }
            count += 1;
            let mut part = json!({ "functionCall": call });
            if nth == 0 {
                part["thoughtSignature"] = "c2lnbmVk".into();
            }
            parts.push(part);
            answered.push(json!({ "functionResponse": response }));
        }
        if parts.is_empty() {
            parts.push(json!({ "text": "so" }));
        }
        contents.push(json!({ "role": "model", "parts": parts }));
    }
    answered.push(json!({ "text": last }));
    contents.push(json!({ "role": "user", "parts": answered }));
    contents
}
