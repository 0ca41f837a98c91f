//! Files, and the batches that are made of them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::simulator::{
    around::{CREATED, Done, Errand, demand, no_such_method, not_found},
    delivery::Delivery,
    vendor::{Complaint, require},
};

/// What was sent and what became of it, until the simulator forgets.
#[derive(Default)]
pub(in crate::simulator) struct Shelf(Mutex<Things>);

#[derive(Default)]
pub(super) struct Things {
    pub files: Vec<(Value, Bytes)>,
    pub batches: Vec<Value>,
}

impl Shelf {
    pub(in crate::simulator) fn forget(&self) {
        *self.things() = Things::default();
    }

    pub(super) fn things(&self) -> MutexGuard<'_, Things> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn content(&self, id: &str) -> Option<Bytes> {
        self.things().files.iter().find(|(it, _)| it["id"] == id).map(|(_, content)| content.clone())
    }

    /// Keeps a file and tells of it.
    pub(super) fn put(&self, id: &str, name: &str, purpose: &str, content: Bytes) -> Value {
        let file = json!({"id": id, "object": "file", "bytes": content.len(), "created_at": CREATED,
            "filename": name, "purpose": purpose, "status": "processed", "expires_at": null});
        self.things().files.push((file.clone(), content));
        file
    }
}

/// A list as OpenAI tells it.
pub(super) fn listed(data: &[Value]) -> Value {
    let (first, last) = (data.first().map(|it| it["id"].clone()), data.last().map(|it| it["id"].clone()));
    json!({"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": false})
}

pub(super) fn files(errand: &Errand<'_>, rest: &str) -> Result<Done, Complaint> {
    let shelf = errand.shelf;
    let (id, what) = rest.split_once('/').unwrap_or((rest, ""));
    match (errand.method, id, what) {
        ("POST", "", _) => {
            demand(
                errand,
                &["file", "purpose"],
                &["expires_after", "expires_after[anchor]", "expires_after[seconds]"],
            )?;
            let file = errand.files.iter().find(|it| it.field == "file");
            require(file.is_some(), "file", "Missing required parameter: 'file'.")?;
            let Some(file) = file else { return Ok(no_such_method()) };
            let purpose = errand.body["purpose"].as_str().unwrap_or_default();
            let kept =
                shelf.put(&format!("file-{}", errand.serial), &file.name, purpose, file.content.clone());
            Ok(Done::json(&kept, None))
        }
        ("GET", "", _) => {
            let data: Vec<Value> = shelf.things().files.iter().map(|(it, _)| it.clone()).collect();
            Ok(Done::json(&listed(&data), None))
        }
        ("GET", id, "") => {
            let found = shelf.things().files.iter().find(|(it, _)| it["id"] == id).map(|(it, _)| it.clone());
            Ok(found.map_or_else(|| not_found("File object"), |it| Done::json(&it, None)))
        }
        ("GET", id, "content") => Ok(shelf.content(id).map_or_else(
            || not_found("File object"),
            |it| Done { delivery: Delivery::whole(200, "application/octet-stream", it), usage: None },
        )),
        ("DELETE", id, "") => {
            let mut things = shelf.things();
            let before = things.files.len();
            things.files.retain(|(it, _)| it["id"] != id);
            let gone = things.files.len() < before;
            drop(things);
            let answer = json!({"id": id, "object": "file", "deleted": true});
            Ok(if gone { Done::json(&answer, None) } else { not_found("File object") })
        }
        _ => Ok(no_such_method()),
    }
}
