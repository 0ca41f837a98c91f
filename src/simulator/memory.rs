//! Responses that were stored, so that a conversation can go on from them.

use std::{
    borrow::Cow,
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use serde_json::{Value, json};

use crate::simulator::{responses, vendor::Complaint};

/// Responses kept; older ones are forgotten.
const KEPT: usize = 1000;

/// One stored response.
#[derive(Clone)]
struct Stored {
    id: String,
    /// Everything the model was given.
    input: Vec<Value>,
    response: Value,
}

#[derive(Default)]
pub(super) struct Memory(Mutex<VecDeque<Stored>>);

impl Memory {
    /// Keeps a response unless the request says otherwise; `body` is the request with its history.
    pub(super) fn keep(&self, body: &Value, response: &str) {
        if body["store"] == false {
            return;
        }
        let Ok(response) = serde_json::from_str::<Value>(response) else { return };
        let id = response["id"].as_str().unwrap_or_default().to_owned();
        let mut stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stored.push_back(Stored { id, input: responses::items(&body["input"]), response });
        if stored.len() > KEPT {
            stored.pop_front();
        }
    }

    /// The request with the items of the response it goes on from before its own.
    pub(super) fn expand<'a>(&self, body: &'a Value) -> Result<Cow<'a, Value>, Complaint> {
        let Some(id) = body["previous_response_id"].as_str() else { return Ok(Cow::Borrowed(body)) };
        let Some(stored) = self.find(id) else {
            return Complaint::coded(
                "previous_response_not_found",
                "previous_response_id",
                format!("Previous response with id '{id}' not found."),
            );
        };
        let mut items = stored.input;
        items.extend(stored.response["output"].as_array().into_iter().flatten().cloned());
        items.extend(responses::items(&body["input"]));
        let mut whole = body.clone();
        whole["input"] = json!(items);
        Ok(Cow::Owned(whole))
    }

    pub(super) fn response(&self, id: &str) -> Option<Value> {
        self.find(id).map(|it| it.response)
    }

    /// What the model was given, the latest first.
    pub(super) fn input(&self, id: &str) -> Option<Value> {
        let mut items = self.find(id)?.input;
        items.reverse();
        Some(json!({"object": "list", "data": items, "first_id": null, "last_id": null, "has_more": false}))
    }

    /// Forgets one; whether it was there.
    pub(super) fn delete(&self, id: &str) -> bool {
        let mut stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = stored.len();
        stored.retain(|it| it.id != id);
        stored.len() < before
    }

    pub(super) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn find(&self, id: &str) -> Option<Stored> {
        let stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stored.iter().find(|it| it.id == id).cloned()
    }
}
