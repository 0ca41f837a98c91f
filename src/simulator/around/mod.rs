//! The operations around the dialects, played: embeddings, completions, images, audio, moderations, rerank, files, batches.

mod audio;
mod batch;
mod completion;
mod embedding;
mod form;
mod image;
mod judgement;
mod shelf;

pub(super) use form::{File, read as read_form};
pub(super) use shelf::Shelf;

use serde_json::{Value, json};

use crate::simulator::{
    ask::{Ask, tokens},
    delivery::Delivery,
    scenario::{Dialect, Tokens},
    vendor::Complaint,
};

/// When everything was made; a fixed time keeps answers reproducible.
const CREATED: u64 = 1_767_225_600;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation<'a> {
    Embeddings,
    /// Gemini's embedding of one content.
    EmbedContent,
    /// Gemini's embedding of many.
    BatchEmbedContents,
    Completions,
    ImageGenerations,
    ImageEdits,
    ImageVariations,
    Speech,
    Transcriptions,
    Translations,
    Moderations,
    Rerank,
    /// The list of files, or one of them, or its content.
    Files(&'a str),
    Batches(&'a str),
}

impl<'a> Operation<'a> {
    /// What an OpenAI-like path asks for.
    pub(super) fn of(path: &'a str) -> Option<Self> {
        let (_, rest) = path.split_once("/v1/").or_else(|| path.split_once('/'))?;
        Some(match rest {
            "embeddings" => Self::Embeddings,
            "completions" => Self::Completions,
            "images/generations" => Self::ImageGenerations,
            "images/edits" => Self::ImageEdits,
            "images/variations" => Self::ImageVariations,
            "audio/speech" => Self::Speech,
            "audio/transcriptions" => Self::Transcriptions,
            "audio/translations" => Self::Translations,
            "moderations" => Self::Moderations,
            "rerank" => Self::Rerank,
            "files" | "batches" => {
                return Some(if rest == "files" { Self::Files("") } else { Self::Batches("") });
            }
            _ => {
                let files = rest.strip_prefix("files/").map(Self::Files);
                return files.or_else(|| rest.strip_prefix("batches/").map(Self::Batches));
            }
        })
    }

    pub(super) fn dialect(self) -> Dialect {
        match self {
            Self::EmbedContent | Self::BatchEmbedContents => Dialect::Gemini,
            _ => Dialect::OpenaiChat,
        }
    }
}

/// One such request.
#[derive(Clone, Copy)]
pub(super) struct Errand<'a> {
    pub operation: Operation<'a>,
    /// `GET`, `POST`, `DELETE`.
    pub method: &'a str,
    /// JSON, or a form as an object; its files are objects with `filename` and `bytes`.
    pub body: &'a Value,
    pub ask: &'a Ask,
    pub serial: &'a str,
    pub strict: bool,
    pub shelf: &'a Shelf,
    /// The request's bytes, for the files in them.
    pub files: &'a [File],
}

/// What came of it.
pub(super) struct Done {
    pub delivery: Delivery,
    pub usage: Option<Tokens>,
}

impl Done {
    fn json(body: &Value, usage: Option<Tokens>) -> Self {
        Self { delivery: Delivery::whole(200, "application/json", body.to_string()), usage }
    }
}

/// What rules and the log see of it.
pub(super) fn read(body: &Value, model: &str) -> Ask {
    let named = body["model"].as_str().unwrap_or(model);
    let said = ["input", "prompt", "query", "content", "requests"].iter().map(|it| &body[*it]);
    let text = said.filter(|it| !it.is_null()).map(text_of).collect::<Vec<_>>().join("\n");
    Ask {
        model: named.to_owned(),
        stream: body["stream"] == true || body["stream"] == "true",
        prompt_tokens: tokens(text.len()).max(1),
        include_usage: body["stream_options"]["include_usage"] == true,
        choices: number(&body["n"]).unwrap_or(1).clamp(1, 10),
        max_tokens: body["max_tokens"].as_u64(),
        user_text: text,
        ..Ask::default()
    }
}

/// The refusal, or the answer.
pub(super) fn answer(errand: &Errand<'_>) -> Result<Done, Complaint> {
    match errand.operation {
        Operation::Embeddings => embedding::embeddings(errand),
        Operation::EmbedContent => embedding::content(errand),
        Operation::BatchEmbedContents => embedding::contents(errand),
        Operation::Completions => completion::completions(errand),
        Operation::ImageGenerations => image::generated(errand, None),
        Operation::ImageEdits | Operation::ImageVariations => image::generated(errand, Some("image")),
        Operation::Speech => audio::speech(errand),
        Operation::Transcriptions | Operation::Translations => audio::transcribed(errand),
        Operation::Moderations => judgement::moderations(errand),
        Operation::Rerank => judgement::rerank(errand),
        Operation::Files(rest) => shelf::files(errand, rest),
        Operation::Batches(rest) => batch::batches(errand, rest),
    }
}

/// All texts in a value, one after the other.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text_of).collect::<Vec<_>>().join("\n"),
        Value::Object(fields) => fields.values().map(text_of).collect::<Vec<_>>().join("\n"),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) => String::new(),
    }
}

/// A number, which in a form is text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Refuses a request without one of these fields, or with a field not known.
fn demand(errand: &Errand<'_>, required: &[&str], known: &[&str]) -> Result<(), Complaint> {
    if !errand.strict {
        return Ok(());
    }
    if let Some(field) = required.iter().find(|it| errand.body[**it].is_null()) {
        return Complaint::coded(
            "missing_required_parameter",
            *field,
            format!("Missing required parameter: '{field}'."),
        );
    }
    let mut fields = errand.body.as_object().into_iter().flat_map(serde_json::Map::keys);
    let all = |field: &str| known.contains(&field) || required.contains(&field);
    match fields.find(|it| !all(it.trim_end_matches("[]"))) {
        Some(field) => Complaint::coded("unknown_parameter", field, format!("Unknown parameter: '{field}'.")),
        None => Ok(()),
    }
}

/// The refusal of a method.
fn no_such_method() -> Done {
    let error = json!({"error": {"message": "Not allowed.", "type": "invalid_request_error", "param": null, "code": null}});
    Done { delivery: Delivery::whole(405, "application/json", error.to_string()), usage: None }
}

fn not_found(what: &str) -> Done {
    let error = json!({"error": {"message": format!("No such {what}."), "type": "invalid_request_error", "param": "id", "code": null}});
    Done { delivery: Delivery::whole(404, "application/json", error.to_string()), usage: None }
}
