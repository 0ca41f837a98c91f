//! Requests of OpenAI Responses.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Round, maybe, rounds, schema, text};

/// What the settings of a request are made of.
#[derive(Debug, Clone)]
struct Settings {
    limit: Option<u32>,
    temperature: Option<Value>,
    effort: Option<&'static str>,
    user: Option<String>,
    stream: bool,
    store: Option<bool>,
    thinks: bool,
    namespace: bool,
}

fn settings() -> impl Strategy<Value = Settings> {
    (
        prop::option::of(16..9_000u32),
        prop::option::of(prop::sample::select(vec![json!(0), json!(0.5), json!(1)])),
        prop::option::of(prop::sample::select(vec!["low", "medium", "high"])),
        prop::option::of("[a-z0-9]{1,8}"),
        any::<bool>(),
        prop::option::of(any::<bool>()),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(limit, temperature, effort, user, stream, store, thinks, namespace)| Settings {
            limit,
            temperature,
            effort,
            user,
            stream,
            store,
            thinks,
            namespace,
        })
}

pub(super) fn request() -> impl Strategy<Value = Value> {
    (prop::option::of((text(), any::<bool>())), rounds(), text(), schema(), settings()).prop_map(
        |(system, rounds, last, schema, settings)| {
            let mut body = Map::new();
            body.insert("model".into(), "m".into());
            let mut input = Vec::new();
            match system {
                Some((text, true)) => drop(body.insert("instructions".into(), text.into())),
                Some((text, false)) => input.push(json!({ "role": "developer", "content": text })),
                None => {}
            }
            let mut calls = 0;
            for round in rounds {
                write(round, &settings, &mut calls, &mut input);
            }
            input.push(json!({ "type": "message", "role": "user", "content": [{ "type": "input_text", "text": last }] }));
            body.insert("input".into(), input.into());
            body.insert("tools".into(), tools(&schema, settings.namespace));
            maybe(&mut body, "max_output_tokens", settings.limit.map(Value::from));
            maybe(&mut body, "temperature", settings.temperature);
            maybe(&mut body, "reasoning", settings.effort.map(|it| json!({ "effort": it, "summary": "auto" })));
            maybe(&mut body, "user", settings.user.map(Value::from));
            maybe(&mut body, "store", settings.store.map(Value::from));
            if settings.stream {
                body.insert("stream".into(), true.into());
            }
            Value::Object(body)
        },
    )
}

fn write(round: Round, settings: &Settings, calls: &mut usize, input: &mut Vec<Value>) {
    input.push(json!({ "role": "user", "content": round.asked }));
    let said = round.said.unwrap_or_else(|| "so".into());
    if settings.thinks {
        input.push(json!({ "type": "reasoning", "id": format!("rs_{calls}"), "summary": [{ "type": "summary_text", "text": "hm" }],
            "encrypted_content": "ZW5j" }));
    }
    input.push(
        json!({ "type": "message", "role": "assistant", "id": format!("msg_{calls}"), "status": "completed",
        "content": [{ "type": "output_text", "text": said, "annotations": [] }] }),
    );
    let first = *calls;
    for (index, (name, arguments, _)) in round.calls.iter().enumerate() {
        let mut call = json!({ "type": "function_call", "call_id": format!("call_{}", first + index), "name": name,
            "arguments": arguments.to_string() });
        if settings.namespace && name == "run" {
            call["namespace"] = "box".into();
        }
        input.push(call);
    }
    for (_, _, result) in round.calls {
        input.push(
            json!({ "type": "function_call_output", "call_id": format!("call_{calls}"), "output": result }),
        );
        *calls += 1;
    }
}

fn tools(schema: &Value, namespace: bool) -> Value {
    let tool = |name: &str| json!({ "type": "function", "name": name, "description": "Does.", "parameters": schema, "strict": false });
    if namespace {
        let inner =
            json!({ "type": "namespace", "name": "box", "description": "A box.", "tools": [tool("run")] });
        json!([tool("read"), tool("write"), inner])
    } else {
        json!([tool("read"), tool("write"), tool("run")])
    }
}
