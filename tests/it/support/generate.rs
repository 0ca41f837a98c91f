//! Requests as clients write them, made up at random, and ways to cut bytes.

mod gemini;
mod responses;

use dragoman::dialect::DialectId;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Bytes cut at random places.
pub(crate) fn cut(bytes: &[u8], at: &[prop::sample::Index]) -> Vec<Vec<u8>> {
    let mut places: Vec<usize> = at.iter().map(|it| it.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|it| bytes[it[0]..it[1]].to_vec()).collect()
}

pub(crate) fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..20)
}

/// A request that a client of the dialect could send: whole rounds of calls and results, no nulls.
pub(crate) fn request(dialect: DialectId) -> BoxedStrategy<Value> {
    match dialect {
        DialectId::OpenaiChat => chat_request().boxed(),
        DialectId::AnthropicMessages => messages_request().boxed(),
        DialectId::OpenaiResponses => responses::request().boxed(),
        DialectId::Gemini => gemini::request().boxed(),
    }
}

fn text() -> impl Strategy<Value = String> {
    "[a-zA-Zé東😀 .\\n\"\\\\<&{}]{0,18}[a-z]"
}

fn arguments() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(
        "[a-z]{1,6}",
        prop_oneof![
            text().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            Just(json!(null)),
            Just(json!([1, {"x": 2.50}])),
        ],
        0..3,
    )
    .prop_map(|it| Value::Object(it.into_iter().collect()))
}

/// A user's text, what is answered to it, and what its calls gave: (name, arguments, result).
#[derive(Debug, Clone)]
struct Round {
    asked: String,
    said: Option<String>,
    calls: Vec<(String, Value, String)>,
}

fn rounds() -> impl Strategy<Value = Vec<Round>> {
    let call = ("(read|write|run)", arguments(), text());
    let round = (text(), prop::option::of(text()), prop::collection::vec(call, 0..3))
        .prop_map(|(asked, said, calls)| Round { asked, said, calls });
    prop::collection::vec(round, 0..4)
}

fn schema() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!({ "type": "object", "properties": {} }),
        json!({ "type": "object", "properties": { "title": { "type": "string" }, "a": { "$ref": "#/$defs/a" } },
            "required": ["a"], "$defs": { "a": { "type": ["integer", "null"], "default": 1.0 } } }),
    ])
}

/// Puts a field in now and then.
fn maybe(fields: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        fields.insert(key.to_owned(), value);
    }
}

/// How the web is to be searched, in Chat's words.
fn search() -> impl Strategy<Value = Value> {
    let place = prop::collection::btree_map(
        prop::sample::select(vec!["city", "country", "region", "timezone"]),
        "[A-Z][a-z]{1,6}",
        0..4,
    );
    let size = prop::sample::select(vec!["low", "medium", "high"]);
    (prop::option::of(size), prop::option::of(place)).prop_map(|(size, place)| {
        let mut options = Map::new();
        maybe(&mut options, "search_context_size", size.map(Value::from));
        let location = place.map(|it| json!({ "type": "approximate", "approximate": it }));
        maybe(&mut options, "user_location", location);
        Value::Object(options)
    })
}

fn chat_request() -> impl Strategy<Value = Value> {
    let settings = (
        prop::option::of(1..9_000u32),
        prop::option::of(prop::sample::select(vec![json!(0), json!(0.5), json!(1)])),
        prop::option::of(any::<u32>()),
        prop::option::of(prop::sample::select(vec![json!(["A"]), json!(["A", "B"])])),
        prop::option::of(prop::sample::select(vec!["low", "medium", "high"])),
        prop::option::of("[a-z0-9]{1,8}"),
        prop::option::of(search()),
        any::<bool>(),
    );
    (prop::option::of(text()), rounds(), text(), schema(), settings).prop_map(
        |(system, rounds, last, schema, (limit, temperature, seed, stop, effort, user, search, stream))| {
            let mut messages = Vec::new();
            let mut calls = 0;
            messages.extend(system.map(|it| json!({ "role": "system", "content": it })));
            for round in rounds {
                messages.push(json!({ "role": "user", "content": round.asked }));
                let first = calls;
                let asked: Vec<Value> = round.calls.iter().enumerate().map(|(index, (name, arguments, _))| {
                    let function = json!({ "name": name, "arguments": arguments.to_string() });
                    json!({ "id": format!("call_{}", first + index), "type": "function", "function": function })
                }).collect();
                let mut answer = json!({ "role": "assistant", "content": round.said.unwrap_or_else(|| "so".into()) });
                if !asked.is_empty() {
                    answer["tool_calls"] = asked.into();
                }
                messages.push(answer);
                for (_, _, result) in round.calls {
                    messages.push(json!({ "role": "tool", "tool_call_id": format!("call_{calls}"), "content": result }));
                    calls += 1;
                }
            }
            messages.push(json!({ "role": "user", "content": [{ "type": "text", "text": last }] }));
            let mut body = Map::new();
            body.insert("model".into(), "m".into());
            body.insert("messages".into(), messages.into());
            let tools: Vec<Value> = ["read", "write", "run"].iter().map(|it| {
                json!({ "type": "function", "function": { "name": it, "description": "Does.", "parameters": schema } })
            }).collect();
            body.insert("tools".into(), tools.into());
            maybe(&mut body, "max_tokens", limit.map(Value::from));
            maybe(&mut body, "temperature", temperature);
            maybe(&mut body, "seed", seed.map(Value::from));
            maybe(&mut body, "stop", stop);
            maybe(&mut body, "reasoning_effort", effort.map(Value::from));
            maybe(&mut body, "user", user.map(Value::from));
            maybe(&mut body, "web_search_options", search);
            if stream {
                body.insert("stream".into(), true.into());
                body.insert("stream_options".into(), json!({ "include_usage": true }));
            }
            Value::Object(body)
        },
    )
}

fn messages_request() -> impl Strategy<Value = Value> {
    let settings = (
        prop::option::of(prop::sample::select(vec![json!(0), json!(0.5), json!(1)])),
        prop::option::of(1..100u32),
        prop::option::of(prop::sample::select(vec![json!(["A"]), json!(["A", "B"])])),
        prop::option::of("[a-z0-9]{1,8}"),
        prop::option::of(any::<bool>()),
        any::<bool>(),
    );
    (prop::option::of((text(), any::<bool>())), rounds(), text(), schema(), settings).prop_map(
        |(system, rounds, last, schema, (temperature, top_k, stop, user, thinks, stream))| {
            let mut messages = Vec::new();
            let mut calls = 0;
            let mut asked = Vec::new();
            for round in rounds {
                asked.push(json!({ "type": "text", "text": round.asked }));
                messages.push(json!({ "role": "user", "content": asked }));
                asked = Vec::new();
                let said = round.said.unwrap_or_else(|| "so".into());
                let mut answer = vec![
                    json!({ "type": "thinking", "thinking": "hm", "signature": "c2ln" }),
                    json!({ "type": "text", "text": said, "cache_control": { "type": "ephemeral" } }),
                ];
                if thinks.is_none() {
                    answer.remove(0);
                }
                if messages.len() > 3 {
                    for part in &mut answer {
                        part.as_object_mut().unwrap().shift_remove("cache_control");
                    }
                }
                for (name, arguments, result) in round.calls {
                    let id = format!("toolu_{calls}");
                    calls += 1;
                    asked.push(json!({ "type": "tool_result", "tool_use_id": id, "content": result }));
                    answer.push(json!({ "type": "tool_use", "id": id, "name": name, "input": arguments }));
                }
                messages.push(json!({ "role": "assistant", "content": answer }));
            }
            asked.push(json!({ "type": "text", "text": last }));
            messages.push(json!({ "role": "user", "content": asked }));
            let mut body = Map::new();
            body.insert("model".into(), "m".into());
            body.insert("max_tokens".into(), 4096.into());
            maybe(
                &mut body,
                "system",
                system.map(|(text, plain)| {
                    if plain {
                        json!(text)
                    } else {
                        json!([{ "type": "text", "text": text, "cache_control": { "type": "ephemeral" } }])
                    }
                }),
            );
            body.insert("messages".into(), messages.into());
            let tools: Vec<Value> = ["read", "write", "run"]
                .iter()
                .map(|it| json!({ "name": it, "description": "Does.", "input_schema": schema }))
                .collect();
            body.insert("tools".into(), tools.into());
            maybe(&mut body, "temperature", temperature.filter(|_| thinks.is_none()));
            maybe(&mut body, "top_k", top_k.map(Value::from).filter(|_| thinks.is_none()));
            maybe(&mut body, "stop_sequences", stop);
            maybe(&mut body, "metadata", user.map(|it| json!({ "user_id": it })));
            maybe(
                &mut body,
                "thinking",
                thinks.map(|it| {
                    if it {
                        json!({ "type": "enabled", "budget_tokens": 2048 })
                    } else {
                        json!({ "type": "disabled" })
                    }
                }),
            );
            if stream {
                body.insert("stream".into(), true.into());
            }
            Value::Object(body)
        },
    )
}
