//! What is watched of a stream or an answer of OpenAI Responses.

use serde_json::{Map, Value};

use super::{super::peek, KEYS, Tap, kind_of, text};
use crate::dialect::{
    SseFrame, WireError, json,
    openai_responses::error,
    scan::{self, Scan},
};

impl Tap {
    /// Nearly all events are told by their name alone; of those that hold the whole answer only its ends are read.
    pub(super) fn watch_responses(&mut self, frame: &SseFrame) {
        let data = &frame.data;
        let kind = match frame.event.as_deref() {
            Some("message") | None => kind_of(data),
            Some(event) => Some(event.to_owned()),
        };
        match kind.as_deref() {
            Some(kind) if kind.strip_suffix(".delta").is_some() => {
                let lengths = peek::values(data, &KEYS.delta).filter_map(peek::string_length);
                self.seen.text_bytes += lengths.map(|it| it as u64).sum::<u64>();
                self.seen.content_seen = true;
            }
            Some("response.output_item.added" | "response.output_item.done") => self.seen.content_seen = true,
            Some("response.created" | "response.in_progress" | "response.queued") => self.watch_answer(data),
            Some("response.completed" | "response.incomplete" | "response.done") => {
                self.watch_answer(data);
                self.watch_end(data);
            }
            Some("response.failed" | "response.cancelled") => {
                let told = json::parse(data).ok().map(error::of_event);
                self.seen.error = told.or_else(|| self.failing.take());
            }
            Some("error") => self.failing = json::parse(data).ok().map(error::of_event),
            // An error in another form; or something that was invented later.
            _ => {
                if KEYS.error.find(data).is_some()
                    && let Ok(event) = json::parse(data)
                    && event.get("type").is_none_or(Value::is_null)
                    && event.get("error").is_some_and(|it| !it.is_null())
                {
                    self.seen.error = Some(error::of_event(event));
                }
            }
        }
    }

    /// Looks at the response object of an event, and at nothing in it that it need not read.
    fn watch_answer(&mut self, data: &[u8]) {
        let Ok(Some(response)) = scan::scan(data).and_then(|it| it.nested(data, "response")) else { return };
        for (seen, key) in [(&mut self.seen.id, "id"), (&mut self.seen.model, "model")] {
            if seen.is_none() {
                let word = response.string(data, key).ok().flatten();
                *seen = word.filter(|it| !it.is_empty()).map(Into::into);
            }
        }
        let usage = response.span("usage").and_then(|it| json::parse(&data[it]).ok());
        if let Some(usage) = usage.filter(Value::is_object) {
            self.seen.usage = self.usage.add(&usage);
        }
    }

    fn watch_end(&mut self, data: &[u8]) {
        let Ok(Some(response)) = scan::scan(data).and_then(|it| it.nested(data, "response")) else { return };
        let ends = ends(&response, data);
        self.seen.error = error::told(&ends);
        if self.seen.error.is_none() {
            self.seen.finish = Some(reason(&ends, response.span("output").map_or(&[][..], |it| &data[it])));
            self.terminal = true;
        }
    }
}

/// What a response object says of its end.
fn ends(response: &Scan, body: &[u8]) -> Map<String, Value> {
    let part = |key: &str| Some((key.to_owned(), json::parse(&body[response.span(key)?]).ok()?));
    ["status", "error", "incomplete_details"].into_iter().filter_map(part).collect()
}

/// Why an answer ended: why it is incomplete, else that it calls a tool, else its status.
fn reason(ends: &Map<String, Value>, output: &[u8]) -> String {
    let status = text(ends, "status").unwrap_or_else(|| "completed".to_owned());
    let incomplete = ends.get("incomplete_details").and_then(|it| it.get("reason")?.as_str());
    if let Some(reason) = incomplete {
        return reason.to_owned();
    }
    if status != "completed" {
        return status;
    }
    let calls = ["function_call", "custom_tool_call"];
    let called = |word: &str| {
        let quoted = format!("\"{word}\"");
        peek::values(output, &KEYS.kind).any(|it| it.starts_with(quoted.as_bytes()))
    };
    calls.into_iter().find(|it| called(it)).map_or(status, str::to_owned)
}

/// Why a whole answer ended, in the upstream's own word.
pub(super) fn finish(scan: &Scan, body: &[u8]) -> Option<String> {
    Some(reason(&ends(scan, body), &body[scan.span("output")?]))
}

/// The error that a body of status 200 holds.
pub(super) fn error(fields: &Map<String, Value>) -> Option<WireError> {
    error::told(fields)
}
