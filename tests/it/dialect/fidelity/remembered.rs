//! Reasoning state: what only the upstream can read, through the client and back to the upstream.

use std::collections::HashMap;

use dragoman::{
    catalog::{Abilities, UpstreamModel},
    dialect::{
        ChatResponse, DialectId, Recall,
        canonical::{PartKind, Role, Turn},
        collect::unfold,
        state::{self, CallState, Envelope, Origin, Outward, Seal},
    },
    kernel::id::{CredentialId, TenantId},
};
use serde_json::{Value, json};

use super::{Cell, Mark, Row, paths};
use crate::support::trip;

/// What an upstream answers: a thought with its state, and a call. Chat's providers have no such state in common.
fn answer(upstream: DialectId) -> Option<Value> {
    match upstream {
        DialectId::OpenaiChat => None,
        DialectId::OpenaiResponses => {
            Some(json!({"id": "resp_1", "object": "response", "status": "completed",
            "model": "m", "output": [
                {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": STATE},
                {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look", "arguments": "{}",
                 "status": "completed"}]}))
        }
        DialectId::AnthropicMessages => Some(json!({"id": "msg_1", "type": "message", "role": "assistant",
            "model": "m", "content": [{"type": "thinking", "thinking": "Hm.", "signature": STATE},
                {"type": "tool_use", "id": "call_1", "name": "look", "input": {}}],
            "stop_reason": "tool_use", "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 1}})),
        DialectId::Gemini => Some(json!({"candidates": [{"index": 0, "finishReason": "STOP",
            "content": {"role": "model", "parts": [{"functionCall": {"id": "call_1", "name": "look", "args": {}},
                "thoughtSignature": STATE}]}}]})),
    }
}

/// Base64, as all of them write it.
const STATE: &str = "c3RhdGUgb2YgdGhlIG1vZGVs";

pub(super) fn row() -> Row {
    let cells = paths().into_iter().map(|(client, upstream)| {
        [false, true].map(|streamed| match answer(upstream) {
            None => Cell::new(Mark::Unsaid),
            Some(answer) => {
                let body = second(&answer, client, upstream, streamed);
                assert!(body.contains(STATE), "{} for {}: {body}", upstream.name(), client.name());
                Cell::new(Mark::Survives)
            }
        })
    });
    Row { feature: "reasoning state over turns".to_owned(), cells: cells.collect() }
}

/// The second request that the upstream gets, after its first answer went through the client.
fn second(answer: &Value, client: DialectId, upstream: DialectId, streamed: bool) -> String {
    let given = upstream.client().decode_response(answer.to_string().as_bytes(), &Recall::default()).unwrap();
    let envelope = Envelope::new([7; 32]);
    let tenant = TenantId::declared("acme");
    let account = envelope.account(CredentialId::declared("one"));
    let origin = Origin { provider: "p".to_owned(), family: "m".to_owned(), account };
    let seal = Seal { envelope: envelope.clone(), tenant, origin: origin.clone(), client };
    let (seen, memory) = shown(given, client, upstream, &seal, streamed);

    // The client sends what it saw, and a result.
    let parts = seen.choices.into_iter().flat_map(|it| it.parts).collect();
    let mut request = client.server().decode_request(first(client).to_string().as_bytes()).unwrap();
    let turn = |role, parts, at: &str| Turn {
        role,
        parts,
        plain: false,
        name: None,
        at: at.to_owned(),
        extra: dragoman::dialect::canonical::Extra::default(),
    };
    request.conversation.turns.push(turn(Role::Assistant, parts, "/1"));
    let model = UpstreamModel::parse("m").unwrap();
    let abilities = Abilities { thought_signatures: true, call_ids: true, ..Abilities::default() };
    let sent = client.client().encode_request(&request, &model, &abilities).unwrap();

    let mut request = client.server().decode_request(&sent.body).unwrap();
    let memory: HashMap<String, CallState> = memory.into_iter().map(|it| (it.call_id.clone(), it)).collect();
    if client != upstream {
        state::restore(&mut request, &envelope, tenant, &origin, |id| memory.get(id).cloned());
    }
    let encoded = upstream.client().encode_request(&request, &model, &abilities).unwrap();
    String::from_utf8(encoded.body.to_vec()).unwrap()
}

/// What the client sees of the answer, as its SDK reads it, and what the gateway keeps for it.
fn shown(
    mut given: ChatResponse,
    client: DialectId,
    upstream: DialectId,
    seal: &Seal,
    streamed: bool,
) -> (ChatResponse, Vec<CallState>) {
    let foreign = client != upstream;
    if streamed {
        let mut outward = Outward::new(seal.clone());
        let mut events = Vec::new();
        for event in unfold(given) {
            if foreign { outward.push(event, &mut events) } else { events.push(event) }
        }
        let out = trip::write(client, events);
        let seen = trip::collect(trip::read(client, &[&out])).unwrap();
        return (seen, outward.take_lost());
    }
    let lost = if foreign { state::seal_answer(&mut given, seal) } else { Vec::new() };
    let body = client.server().encode_response(&given, &trip::context());
    let seen = client.client().decode_response(&body, &Recall::default()).unwrap();
    let called = seen.choices[0].parts.iter().any(|it| matches!(it.kind, PartKind::ToolCall(_)));
    assert!(called, "the call is lost");
    (seen, lost)
}

fn first(client: DialectId) -> Value {
    let text = "Look.";
    match client {
        DialectId::OpenaiChat => json!({"model": "m", "messages": [{"role": "user", "content": text}],
            "tools": [{"type": "function", "function": {"name": "look"}}]}),
        DialectId::OpenaiResponses => {
            json!({"model": "m", "store": false, "input": [{"role": "user", "content": text}],
            "tools": [{"type": "function", "name": "look"}]})
        }
        DialectId::AnthropicMessages => json!({"model": "m", "max_tokens": 100,
            "messages": [{"role": "user", "content": text}],
            "tools": [{"name": "look", "input_schema": {"type": "object"}}]}),
        DialectId::Gemini => json!({"contents": [{"role": "user", "parts": [{"text": text}]}],
            "tools": [{"functionDeclarations": [{"name": "look"}]}]}),
    }
}
