//! One part of an answer's content, read.

use serde_json::{Map, Value};

use super::super::ID;
use crate::dialect::canonical::{
    Extra, Media, MediaKind, MediaSource, OpaqueState, Part, PartKind, ServerStep, StateKind, WebResult,
    names::minted_id,
};

/// What a part is, before its place among the others is known.
#[derive(Debug)]
pub(in crate::dialect::gemini) enum Piece {
    /// Text, or a thought; empty if it only carries a signature, or nothing.
    Text {
        text: String,
        thought: bool,
        signature: Option<String>,
        extra: Extra,
    },
    Call(CallPiece),
    /// A part that stands alone.
    Whole(Part),
}

/// A call, or a piece of one.
#[derive(Debug, Default)]
pub(in crate::dialect::gemini) struct CallPiece {
    pub id: Option<String>,
    pub name: String,
    pub args: Value,
    /// Vertex: values at JSON paths, one after another.
    pub partial: Vec<Value>,
    pub will_continue: bool,
    pub signature: Option<String>,
}

/// Reads the parts of one candidate, and remembers what later ones refer to.
#[derive(Debug)]
pub(in crate::dialect::gemini) struct Reader {
    /// Makes the same ids in every reading of the same answer.
    seed: String,
    /// The id of the code that was last run.
    code: String,
    codes: u32,
    /// Whether the provider told of its search in a part.
    pub searched: bool,
}

impl Reader {
    pub(in crate::dialect::gemini) fn new(seed: String) -> Self {
        Self { seed, code: String::new(), codes: 0, searched: false }
    }

    /// Reads a part; `at` is its JSON pointer. What is no object is none.
    pub(in crate::dialect::gemini) fn read(&mut self, part: Value, at: &str) -> Option<Piece> {
        let Value::Object(mut fields) = part else { return None };
        let signature = take_text(&mut fields, "thoughtSignature").filter(|it| !it.is_empty());
        let thought = fields.get("thought").and_then(Value::as_bool) == Some(true);
        if let Some(call @ Value::Object(_)) = fields.get_mut("functionCall") {
            return Some(Piece::Call(call_piece(call.take(), signature)));
        }
        let is_text = fields.get("text").is_some_and(Value::is_string);
        if is_text || fields.keys().all(|it| it == "thought") {
            let text = take_text(&mut fields, "text").unwrap_or_default();
            fields.shift_remove("thought");
            fields.retain(|_, it| !it.is_null());
            return Some(Piece::Text { text, thought, signature, extra: Extra::new(ID, at, fields) });
        }
        let kind = self.whole(fields, thought)?;
        Some(Piece::Whole(Part { state: signature.map(state), ..Part::new(kind) }))
    }

    /// Reads a part that is no text. One that says nothing a client could read is none.
    fn whole(&mut self, mut fields: Map<String, Value>, thought: bool) -> Option<PartKind> {
        // A picture that was drawn while thinking is none of the answer.
        if let Some(media) = media(&fields).filter(|_| !thought) {
            return Some(PartKind::Media(media));
        }
        if !mend(&mut fields) {
            return None;
        }
        let step = self.step(&fields);
        let raw = Value::Object(fields);
        let known = ["executableCode", "codeExecutionResult", "toolCall", "toolResponse"];
        Some(if known.iter().any(|it| raw.get(it).is_some()) {
            PartKind::ServerTool { dialect: ID, raw, step }
        } else {
            PartKind::Opaque { dialect: ID, raw }
        })
    }

    fn step(&mut self, fields: &Map<String, Value>) -> Option<ServerStep> {
        let object = |key: &str| fields.get(key).and_then(Value::as_object);
        if let Some(code) = object("executableCode") {
            let id =
                text(code, "id").unwrap_or_else(|| minted_id(&format!("{}/code/{}", self.seed, self.codes)));
            self.codes += 1;
            self.code.clone_from(&id);
            let language = text(code, "language").filter(|it| it != "LANGUAGE_UNSPECIFIED");
            return Some(ServerStep::Code {
                id,
                language: language.map(|it| it.to_ascii_lowercase()),
                code: text(code, "code").unwrap_or_default(),
            });
        }
        if let Some(result) = object("codeExecutionResult") {
            return Some(ServerStep::CodeOutput {
                call_id: text(result, "id").unwrap_or_else(|| self.code.clone()),
                succeeded: text(result, "outcome").as_deref() == Some("OUTCOME_OK"),
                output: text(result, "output").unwrap_or_default(),
            });
        }
        let (call, is_call) = match object("toolCall") {
            Some(it) => (it, true),
            None => (object("toolResponse")?, false),
        };
        if !text(call, "toolType").is_some_and(|it| it.starts_with("GOOGLE_SEARCH")) {
            return None;
        }
        self.searched = true;
        let id = text(call, "id").unwrap_or_default();
        Some(if is_call {
            ServerStep::WebSearch { id, queries: queries(call.get("args")) }
        } else {
            ServerStep::WebSearchResults { call_id: id, results: results(call.get("response")) }
        })
    }
}

/// The kinds of data of which a part has one.
const DATA: [&str; 7] = [
    "inlineData",
    "fileData",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
    "functionCall",
];

/// Leaves of a part that is passed on as it came what clients can read: one kind of data that they know, as an object, and
/// what they do not know. Whether anything is left.
fn mend(fields: &mut Map<String, Value>) -> bool {
    let mut data = false;
    fields.retain(|key, it| match key.as_str() {
        "text" => false,
        "thought" => *it == Value::Bool(true),
        key if DATA.contains(&key) => {
            let texts = |wanted: &[&str]| wanted.iter().all(|key| it.get(key).is_some_and(Value::is_string));
            let reads = match key {
                "inlineData" => texts(&["mimeType", "data"]),
                "fileData" => texts(&["fileUri"]),
                "functionCall" => false,
                _ => it.is_object(),
            };
            reads && !std::mem::replace(&mut data, true)
        }
        _ => !it.is_null(),
    });
    fields.keys().any(|it| it != "thought")
}

/// A signature as the state of what it stands on.
pub(in crate::dialect::gemini) fn state(data: String) -> OpaqueState {
    OpaqueState { dialect: ID, kind: StateKind::ThoughtSignature, data }
}

fn call_piece(call: Value, signature: Option<String>) -> CallPiece {
    let Value::Object(mut call) = call else { return CallPiece::default() };
    let partial = match call.shift_remove("partialArgs") {
        Some(Value::Array(it)) => it,
        _ => Vec::new(),
    };
    CallPiece {
        id: take_text(&mut call, "id").filter(|it| !it.is_empty()),
        name: take_text(&mut call, "name").unwrap_or_default(),
        args: call.shift_remove("args").unwrap_or_default(),
        partial,
        will_continue: call.get("willContinue").and_then(Value::as_bool) == Some(true),
        signature,
    }
}

fn media(fields: &Map<String, Value>) -> Option<Media> {
    let object = |key: &str| fields.get(key).and_then(Value::as_object);
    let (it, source) = match object("inlineData") {
        Some(it) => (it, MediaSource::Inline(text(it, "data")?)),
        None => object("fileData").and_then(|it| Some((it, MediaSource::Url(text(it, "fileUri")?))))?,
    };
    let media_type = text(it, "mimeType");
    let kind = match media_type.as_deref().and_then(|it| it.split('/').next()) {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        Some("video") => MediaKind::Video,
        _ => MediaKind::Document,
    };
    Some(Media { kind, source, media_type, name: text(it, "displayName"), detail: None })
}

fn queries(args: Option<&Value>) -> Vec<String> {
    let Some(args) = args else { return Vec::new() };
    let listed = args.get("queries").and_then(Value::as_array).into_iter().flatten();
    listed.chain(args.get("query")).filter_map(Value::as_str).map(str::to_owned).collect()
}

fn results(response: Option<&Value>) -> Vec<WebResult> {
    let listed = response.and_then(|it| it.get("results")).and_then(Value::as_array);
    let read = |it: &Value| {
        let it = it.as_object()?;
        Some(WebResult { url: text(it, "uri").or_else(|| text(it, "url"))?, title: text(it, "title") })
    };
    listed.into_iter().flatten().filter_map(read).collect()
}

/// A text that is not empty.
pub(in crate::dialect::gemini) fn text(object: &Map<String, Value>, key: &str) -> Option<String> {
    object.get(key).and_then(Value::as_str).filter(|it| !it.is_empty()).map(str::to_owned)
}

fn take_text(object: &mut Map<String, Value>, key: &str) -> Option<String> {
    match object.shift_remove(key) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}
