//! What is watched of a stream or an answer of OpenAI Responses.

use serde_json::{Map, Value};

use super::{super::peek, KEYS, Tap, kind_of, text};
use crate::dialect::{
    DialectId, Excerpt, Recall, SseFrame, WireError, json,
    openai_responses::error,
    scan::{self, Scan},
};

/// Items that call a tool of the client's.
const CALLS: [&str; 2] = ["function_call", "custom_tool_call"];

/// What the last text was: a piece of one.
const IN_PIECES: usize = 1;

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
                // Sounds are base64.
                if !kind.ends_with("audio.delta") {
                    let texts = peek::values(data, &KEYS.delta).filter_map(peek::string);
                    texts.for_each(|it| self.take_text_of(IN_PIECES, it));
                }
                self.seen.content_seen = true;
            }
            Some("response.output_item.added") => {
                self.watch_name(data);
                self.seen.content_seen = true;
            }
            Some("response.content_part.added" | "response.reasoning_summary_part.added") => {
                self.seen.text.cut();
            }
            Some("response.output_item.done") => self.seen.content_seen = true,
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

    /// An item begins: takes what is called, if it is a call.
    fn watch_name(&mut self, data: &[u8]) {
        self.seen.text.cut();
        if CALLS.iter().any(|it| is_of_kind(data, it)) {
            let names = peek::values(data, &KEYS.name).filter_map(peek::string);
            names.for_each(|it| self.seen.text.push_escaped(it));
            self.seen.text.cut();
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
        if self.text_of != IN_PIECES && !self.seen.usage.has_output() {
            self.seen.text.append(&mut said_at_once(data));
        }
        if self.seen.error.is_none() {
            self.seen.finish = Some(reason(&ends, response.span("output").map_or(&[][..], |it| &data[it])));
            self.terminal = true;
        }
    }
}

/// The text of an answer that came in its last event alone.
fn said_at_once(event: &[u8]) -> Excerpt {
    let read = scan::scan(event).ok().and_then(|it| {
        let response = &event[it.span("response")?];
        DialectId::OpenaiResponses.client().decode_response(response, &Recall::default()).ok()
    });
    read.map_or_else(Excerpt::default, |it| Excerpt::of(&it))
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
    CALLS.into_iter().find(|it| is_of_kind(output, it)).map_or(status, str::to_owned)
}

/// Whether something in a text has this `type`.
fn is_of_kind(data: &[u8], kind: &str) -> bool {
    peek::values(data, &KEYS.kind).filter_map(peek::string).any(|it| it == kind.as_bytes())
}

/// Why a whole answer ended, in the upstream's own word.
pub(super) fn finish(scan: &Scan, body: &[u8]) -> Option<String> {
    Some(reason(&ends(scan, body), &body[scan.span("output")?]))
}

/// The error that a body of status 200 holds.
pub(super) fn error(fields: &Map<String, Value>) -> Option<WireError> {
    error::told(fields)
}
