mod conversation;
mod elsewhere;
mod fields;

use serde_json::{Value, json};

use crate::{
    catalog::{
        Abilities, UpstreamModel,
        model::{Effort, ThinkingControl},
    },
    dialect::{ChatRequest, DialectId, EncodeError, Encoded, Loss, Severity},
};

const R: DialectId = DialectId::OpenaiResponses;
const C: DialectId = DialectId::OpenaiChat;
const A: DialectId = DialectId::AnthropicMessages;

/// An OpenAI model that thinks.
fn able() -> Abilities {
    Abilities {
        thinking: ThinkingControl::Effort,
        efforts: vec![Effort::Low, Effort::Medium, Effort::High],
        custom_tools: true,
        forced_tool_while_thinking: true,
        tool_result_media: true,
        cache_control: false,
        developer_role: true,
        ..Abilities::default()
    }
}

fn decode(from: DialectId, asked: &Value) -> ChatRequest {
    from.server().decode_request(asked.to_string().as_bytes()).unwrap()
}

fn try_tell(request: &ChatRequest, to: DialectId, abilities: &Abilities) -> Result<Encoded, EncodeError> {
    to.client().encode_request(request, &UpstreamModel::parse("m").unwrap(), abilities)
}

/// Tells a request of one dialect in another's words.
fn tell(from: DialectId, to: DialectId, asked: &Value, abilities: &Abilities) -> (Value, Encoded) {
    let encoded = try_tell(&decode(from, asked), to, abilities).unwrap();
    (serde_json::from_slice(&encoded.body).unwrap(), encoded)
}

fn told(from: DialectId, asked: &Value) -> (Value, Encoded) {
    tell(from, R, asked, &able())
}

fn noted<'l>(encoded: &'l Encoded, at: &str) -> Option<&'l Loss> {
    encoded.losses.iter().find(|it| it.at == at)
}

fn is_semantic(encoded: &Encoded, at: &str) -> bool {
    noted(encoded, at).is_some_and(|it| it.severity == Severity::Semantic)
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn input(items: Value) -> Value {
    json!({"model": "m", "input": items})
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn chat(messages: Value) -> Value {
    json!({"model": "m", "messages": messages})
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn messages(messages: Value) -> Value {
    json!({"model": "m", "max_tokens": 1000, "messages": messages})
}

/// A request with more fields.
#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn with(mut asked: Value, fields: Value) -> Value {
    asked.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    asked
}

fn kinds(body: &Value) -> Vec<&str> {
    body["input"].as_array().unwrap().iter().map(|it| it["type"].as_str().unwrap()).collect()
}
