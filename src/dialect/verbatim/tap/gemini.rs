//! What is watched of a stream or an answer of Gemini. Its streams have no terminal: they end when their bytes do.

use serde_json::{Map, Value, value::RawValue};

use super::{super::peek, Tap};
use crate::dialect::{
    SseFrame, WireError,
    gemini::{
        error as told,
        stream::chunk::{self, Chunk},
    },
    scan::Scan,
};

impl Tap {
    pub(super) fn watch_gemini(&mut self, frame: &SseFrame) {
        let Some(chunk) = Chunk::read(&frame.data) else { return };
        if let Some(error) = chunk.error() {
            let fields = Map::from_iter([("error".to_owned(), error)]);
            self.seen.error = told::told(&fields);
        }
        if self.seen.id.is_none() {
            self.seen.id = chunk::text(chunk.response_id);
        }
        if self.seen.model.is_none() {
            self.seen.model = chunk::text(chunk.model_version);
        }
        for candidate in chunk.candidates.iter().flatten() {
            self.seen.content_seen |= !candidate.parts().is_empty();
            candidate.parts().iter().for_each(|it| self.watch_part(it.get()));
            let index = u64::from(candidate.index());
            if let Some(word) = candidate.finish() {
                self.finished.insert(index);
                self.unfinished.remove(&index);
                self.seen.finish = Some(word);
            } else if !self.finished.contains(&index) {
                self.unfinished.insert(index);
            }
        }
        if let Some(word) = chunk.block_reason() {
            self.unfinished.clear();
            self.seen.finish = Some(word);
        }
        self.seen.content_seen |= self.seen.finish.is_some();
        if let Some(usage) = chunk.usage() {
            self.seen.usage = self.usage.add(&usage);
        }
    }
}

/// What of a part is text.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told<'p> {
    #[serde(borrow, default)]
    text: Option<&'p RawValue>,
    #[serde(default)]
    thought: bool,
    #[serde(borrow, default)]
    function_call: Option<Called<'p>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Called<'p> {
    #[serde(borrow, default)]
    name: Option<&'p RawValue>,
    #[serde(borrow, default)]
    args: Option<&'p RawValue>,
    #[serde(borrow, default)]
    partial_args: Option<&'p RawValue>,
}

impl Tap {
    /// Takes a part's text, or what it calls and with what.
    fn watch_part(&mut self, part: &str) {
        let Ok(told) = serde_json::from_str::<Told<'_>>(part) else { return };
        match told.text.and_then(|it| peek::string(it.get().as_bytes())) {
            Some(text) => self.take_text_of(usize::from(told.thought), text),
            None => self.seen.text.cut(),
        }
        let Some(call) = told.function_call else { return };
        if let Some(name) = call.name.and_then(|it| peek::string(it.get().as_bytes())) {
            self.seen.text.push_escaped(name);
            self.seen.text.cut();
        }
        // Arguments that come in pieces have paths; those are about as long as the names in what they make.
        let arguments = call.args.or(call.partial_args);
        self.seen.text.push(arguments.map_or("", RawValue::get));
        self.seen.text.cut();
    }
}

/// Why a whole answer ended, in the upstream's own word.
pub(super) fn finish(scan: &Scan, body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Ended {
        #[serde(default)]
        finish_reason: Option<String>,
    }
    let first = scan
        .span("candidates")
        .and_then(|it| serde_json::from_slice::<Vec<Ended>>(&body[it]).ok()?.into_iter().next());
    match first {
        Some(candidate) => candidate.finish_reason,
        None => scan.nested(body, "promptFeedback").ok()??.string(body, "blockReason").ok()?.map(Into::into),
    }
}

/// The error that a body of status 200 holds.
pub(super) fn error(fields: &Map<String, Value>) -> Option<WireError> {
    told::told(fields)
}
