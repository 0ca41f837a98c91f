//! The messages of a connection: what a client may say, and events that no codec writes.

use actix_web::web::Bytes;
use serde_json::{Map, Value, json};

use super::{DIALECT, held::Held};
use crate::{
    dialect::json,
    kernel::{
        error::{ErrorKind, GatewayError},
        id::RequestId,
    },
};

/// A `response.create`.
pub(super) struct Create {
    body: Map<String, Value>,
    /// All items, those of held responses before those that are new.
    input: Vec<Value>,
    /// Whether an answer is wanted, or only that what is sent be held (`generate: false`).
    pub(super) generates: bool,
}

impl Create {
    pub(super) fn read(text: &[u8]) -> Result<Self, GatewayError> {
        let bad = |message: &str, at: &str| GatewayError::new(ErrorKind::BadRequest, message).at(at);
        let body = json::parse(text).map_err(|it| bad(&it.message, &it.at))?;
        let Value::Object(mut body) = body else {
            return Err(bad("a message must be an object", ""));
        };
        match body.shift_remove("type") {
            Some(Value::String(it)) if it == "response.create" => {}
            Some(Value::String(_)) => return Err(bad("`type` must be `response.create`", "/type")),
            _ => return Err(bad("`type` is missing: say `response.create`", "/type")),
        }
        let generates = match body.shift_remove("generate") {
            None | Some(Value::Null | Value::Bool(true)) => true,
            Some(Value::Bool(false)) => false,
            Some(_) => return Err(bad("`generate` must be true or false", "/generate")),
        };
        if body.contains_key("stream_id") {
            let message = "`stream_id` is not understood: open a WebSocket for each conversation";
            let mut error = bad(message, "/stream_id");
            error.code = Some("unsupported_parameter".to_owned());
            return Err(error);
        }
        let input = match body.get("input") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => items.clone(),
            Some(Value::String(text)) => vec![json!({
                "type": "message", "role": "user", "content": [{"type": "input_text", "text": text}],
            })],
            Some(_) => return Err(bad("`input` must be a string or an array", "/input")),
        };
        body.insert("stream".to_owned(), true.into());
        Ok(Self { body, input, generates })
    }

    /// The response it goes on from.
    pub(super) fn previous(&self) -> Option<&str> {
        self.body.get("previous_response_id")?.as_str()
    }

    /// Puts what is held of the response it goes on from before its input. What is not held may be stored, or the upstream's.
    pub(super) fn go_on_from(&mut self, held: &Held) {
        let Some((base, items)) = self.previous().and_then(|it| held.find(it)) else { return };
        let mut input = items.to_vec();
        input.append(&mut self.input);
        self.input = input;
        match base {
            Some(base) => drop(self.body.insert("previous_response_id".to_owned(), base.into())),
            None => drop(self.body.shift_remove("previous_response_id")),
        }
        self.body.insert("input".to_owned(), Value::Array(self.input.clone()));
    }

    /// What it goes on from that is not held.
    pub(super) fn base(&self) -> Option<&str> {
        self.previous()
    }

    pub(super) fn input(&self) -> &[Value] {
        &self.input
    }

    /// The request it is.
    pub(super) fn body(&self) -> Bytes {
        serde_json::to_vec(&self.body).expect("JSON is written as JSON").into()
    }

    /// The answer to a warm-up: its id, and its events.
    pub(super) fn warmed_up(&self, id: RequestId, created_at: i64) -> (String, Vec<Bytes>) {
        let id = format!("resp_{}", id.as_uuid().simple());
        let usage = json!({
            "input_tokens": 0,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 0,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 0,
        });
        let mut response = DIALECT.server().echo(&self.body());
        let Value::Object(own) = json!({
            "id": id, "object": "response", "created_at": created_at, "status": "in_progress",
            "model": self.body.get("model"), "output": [], "error": null, "incomplete_details": null,
            "usage": null, "store": false,
        }) else {
            unreachable!("an object is written above")
        };
        response.extend(own);
        let begun = json!({"type": "response.created", "sequence_number": 0, "response": response});
        response.insert("status".to_owned(), "completed".into());
        response.insert("usage".to_owned(), usage);
        let ended = json!({"type": "response.completed", "sequence_number": 1, "response": response});
        (id, vec![begun.to_string().into(), ended.to_string().into()])
    }
}

/// An error as an event, with the status it would have over HTTP.
pub(super) fn error_event(error: &GatewayError) -> Bytes {
    let (status, body) = DIALECT.server().encode_error(error, RequestId::new());
    let said = serde_json::from_slice::<Value>(&body).ok().map(|mut it| it["error"].take());
    let said = said.filter(Value::is_object).unwrap_or_else(|| json!({ "message": error.message }));
    json!({"type": "error", "status": status.as_u16(), "error": said}).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(text: &Value) -> Create {
        Create::read(text.to_string().as_bytes()).unwrap_or_else(|it| panic!("{it}"))
    }

    #[test]
    fn ec_207_a_create_is_a_request_with_its_type() {
        let create =
            create(&json!({"type": "response.create", "model": "m", "input": "Hi", "temperature": 0.5}));
        let body: Value = serde_json::from_slice(&create.body()).unwrap();
        assert_eq!(body, json!({"model": "m", "input": "Hi", "temperature": 0.5, "stream": true}));
        assert!(create.generates);
    }

    #[test]
    fn what_is_no_create_is_told_what_to_change() {
        for (text, at) in [
            (json!({"type": "response.cancel"}), "/type"),
            (json!({"model": "m"}), "/type"),
            (json!({"type": "response.create", "generate": 1}), "/generate"),
            (json!({"type": "response.create", "stream_id": "s"}), "/stream_id"),
            (json!({"type": "response.create", "input": 1}), "/input"),
        ] {
            let error = Create::read(text.to_string().as_bytes()).err().unwrap();
            assert_eq!(error.at.as_deref(), Some(at), "{text}");
        }
        assert!(Create::read(b"{").is_err() && Create::read(b"[]").is_err());
    }

    #[test]
    fn what_is_held_comes_before_what_is_new() {
        let mut held = Held::new(1000);
        held.hold("r1", Some("far"), vec![json!({"a": 1}), json!({"b": 2})]);
        let mut create =
            create(&json!({"type": "response.create", "previous_response_id": "r1", "input": [{"c": 3}]}));
        create.go_on_from(&held);
        let body: Value = serde_json::from_slice(&create.body()).unwrap();
        assert_eq!(body["input"], json!([{"a": 1}, {"b": 2}, {"c": 3}]));
        assert_eq!(body["previous_response_id"], "far");
        assert_eq!((create.base(), create.input().len()), (Some("far"), 3));
    }

    #[test]
    fn what_is_not_held_is_left_to_the_store() {
        let mut create =
            create(&json!({"type": "response.create", "previous_response_id": "r1", "input": [{"c": 3}]}));
        create.go_on_from(&Held::new(1000));
        assert_eq!((create.previous(), create.input().len()), (Some("r1"), 1));
    }
}
