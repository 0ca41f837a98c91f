//! Batches: done at once, each line answered by the polite echo.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::simulator::{
    around::{CREATED, Done, Errand, Operation, demand, no_such_method, not_found, read, shelf::listed},
    ask::Told,
    delivery::Body,
    echo,
    reply::{self, Manner},
    scenario::{Dialect, Pace, Tokens},
    stage::vendor,
    vendor::{Complaint, require},
};

const ENDPOINTS: &[&str] =
    &["/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/completions", "/v1/moderations"];

pub(super) fn batches(errand: &Errand<'_>, rest: &str) -> Result<Done, Complaint> {
    let (id, what) = rest.split_once('/').unwrap_or((rest, ""));
    match (errand.method, id, what) {
        ("POST", "", _) => create(errand),
        ("GET", "", _) => Ok(Done::json(&listed(&errand.shelf.things().batches), None)),
        ("GET", id, "") | ("POST", id, "cancel") => {
            let mut things = errand.shelf.things();
            let found = things.batches.iter_mut().find(|it| it["id"] == id);
            Ok(found.map_or_else(|| not_found("batch"), |it| Done::json(it, None)))
        }
        _ => Ok(no_such_method()),
    }
}

fn create(errand: &Errand<'_>) -> Result<Done, Complaint> {
    let body = errand.body;
    demand(
        errand,
        &["input_file_id", "endpoint", "completion_window"],
        &["metadata", "output_expires_after"],
    )?;
    let endpoint = body["endpoint"].as_str().unwrap_or_default();
    require(ENDPOINTS.contains(&endpoint), "endpoint", &format!("Invalid value: '{endpoint}'."))?;
    let input = body["input_file_id"].as_str().unwrap_or_default();
    let Some(lines) = errand.shelf.content(input) else {
        return Complaint::of("input_file_id", format!("Invalid file id: '{input}'."));
    };
    let text = String::from_utf8_lossy(&lines).into_owned();
    let mut used = Tokens::default();
    let mut output = String::new();
    let mut count = 0_u64;
    for (number, line) in text.lines().filter(|it| !it.trim().is_empty()).enumerate() {
        let request: Value = serde_json::from_str(line).unwrap_or_default();
        let (status, answer) = answered(errand, endpoint, &request["body"], number, &mut used);
        let line = json!({"id": format!("batch_req_{}_{number}", errand.serial), "custom_id": request["custom_id"],
            "response": {"status_code": status, "request_id": format!("req_{}_{number}", errand.serial), "body": answer}, "error": null});
        output.push_str(&line.to_string());
        output.push('\n');
        count += 1;
    }
    let file = errand.shelf.put(
        &format!("file-{}o", errand.serial),
        "output.jsonl",
        "batch_output",
        Bytes::from(output),
    );
    let batch = json!({
        "id": format!("batch_{}", errand.serial), "object": "batch", "endpoint": endpoint, "errors": null,
        "input_file_id": input, "completion_window": body["completion_window"], "status": "completed",
        "output_file_id": file["id"], "error_file_id": null, "created_at": CREATED, "in_progress_at": CREATED,
        "expires_at": CREATED + 86_400, "completed_at": CREATED + 1, "failed_at": null, "expired_at": null,
        "request_counts": {"total": count, "completed": count, "failed": 0}, "metadata": body["metadata"],
        "usage": {"input_tokens": used.input + used.cached, "output_tokens": used.output,
            "total_tokens": used.input + used.cached + used.output,
            "input_tokens_details": {"cached_tokens": used.cached}, "output_tokens_details": {"reasoning_tokens": 0}},
    });
    errand.shelf.things().batches.push(batch.clone());
    Ok(Done::json(&batch, Some(used)))
}

/// The status and the answer of one line.
fn answered(
    errand: &Errand<'_>,
    endpoint: &str,
    body: &Value,
    number: usize,
    used: &mut Tokens,
) -> (u16, Value) {
    let serial = format!("{}n{number}", errand.serial);
    let dialect = match endpoint {
        "/v1/chat/completions" => Dialect::OpenaiChat,
        "/v1/responses" => Dialect::OpenaiResponses,
        _ => return around(errand, endpoint, body, &serial, used),
    };
    let vendor = vendor(dialect);
    let mut ask = (vendor.read)(body, Told::default());
    ask.stream = false;
    let pace = Pace::default();
    let manner = Manner { pace: &pace, quirks: &[], account: "" };
    let answer = reply::build(&echo::answer(&ask), &ask, &serial, manner);
    add(used, answer.usage);
    (200, serde_json::from_str(&(vendor.whole)(&answer, &ask, manner)).unwrap_or_default())
}

fn around(
    errand: &Errand<'_>,
    endpoint: &str,
    body: &Value,
    serial: &str,
    used: &mut Tokens,
) -> (u16, Value) {
    let Some(operation) = Operation::of(endpoint) else { return (404, Value::Null) };
    let mut ask = read(body, "");
    ask.stream = false;
    match super::answer(&Errand { operation, method: "POST", body, ask: &ask, serial, ..*errand }) {
        Ok(done) => {
            add(used, done.usage.unwrap_or_default());
            let Body::Whole(whole) = done.delivery.body else { return (500, Value::Null) };
            (done.delivery.status, serde_json::from_slice(&whole).unwrap_or_default())
        }
        Err(complaint) => (400, json!({"error": {"message": complaint.message, "param": complaint.at}})),
    }
}

fn add(sum: &mut Tokens, more: Tokens) {
    sum.input += more.input;
    sum.cached += more.cached;
    sum.output += more.output;
}
