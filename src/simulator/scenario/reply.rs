//! What a rule answers, before a dialect writes it.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::simulator::scenario::some_duration;

/// What to answer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::large_enum_variant, reason = "a scenario holds few of them")]
pub enum Reply {
    /// What the default scenario says.
    #[default]
    Echo,
    Answer(AnswerReply),
    /// One answer after the other: the n-th after n rounds of tool calls; the last one stays.
    Turns(Vec<AnswerReply>),
    Error(ErrorReply),
    Raw(Raw),
    /// Nothing, forever, not even headers.
    Hang,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct AnswerReply {
    pub reasoning: Option<String>,
    /// The reasoning is hidden: only its opaque state is told.
    pub redacted: bool,
    /// This opaque state (signature, encrypted content, thought signature) instead of one of ours.
    pub state: Option<String>,
    pub text: String,
    /// `text` so many times over.
    pub repeat: Option<usize>,
    pub refusal: Option<String>,
    pub tools: Vec<ToolReply>,
    /// The deltas of several calls come in turns, where the dialect can say so.
    pub interleaved: bool,
    /// What the model searched the web for, before the text.
    pub searches: Vec<String>,
    pub citations: Vec<Citation>,
    pub images: Vec<ImageReply>,
    /// Texts of the second and further choices; by default all choices say the same.
    pub choices: Vec<String>,
    /// The prompt is blocked for this reason (Gemini's words): nothing is said.
    pub blocked: Option<String>,
    /// In the dialect's own words; by default what fits the content.
    pub finish: Option<String>,
    pub usage: Option<Tokens>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ToolReply {
    pub name: String,
    #[serde(default)]
    pub arguments: Value,
    /// Instead of `arguments`: this text, be it JSON or not.
    #[serde(default)]
    pub arguments_text: Option<String>,
    /// Instead of `arguments`: the input of a free-form tool; a function gets it as its argument `input`.
    #[serde(default)]
    pub custom_input: Option<String>,
    #[serde(default)]
    pub id: Option<String>,
}

/// A source of what is said.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Citation {
    pub url: String,
    #[serde(default)]
    pub title: String,
    /// The part of the text that the source is for.
    pub cited: String,
}

/// An image the model made.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ImageReply {
    #[serde(default = "png")]
    pub media_type: String,
    /// Base64.
    pub data: String,
}

/// Token counts. `input`, `cached` and `cache_write` are disjoint; `reasoning` is a part of `output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Tokens {
    pub input: u64,
    pub cached: u64,
    pub cache_write: u64,
    pub output: u64,
    pub reasoning: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ErrorReply {
    #[serde(default = "bad_request")]
    pub status: u16,
    /// The vendor's error type; by default the one of the status.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    #[serde(default)]
    pub code: Option<String>,
    #[serde(default)]
    pub param: Option<String>,
    #[serde(default)]
    pub message: Option<String>,
    #[serde(default, deserialize_with = "some_duration")]
    pub retry_after: Option<Duration>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Raw {
    #[serde(default = "ok")]
    pub status: u16,
    #[serde(default = "json")]
    pub content_type: String,
    #[serde(default, deserialize_with = "bytes_of_text")]
    pub body: Vec<u8>,
    /// Instead of `body`; beside the scenario file.
    #[serde(default)]
    pub file: Option<PathBuf>,
}

fn ok() -> u16 {
    200
}

fn bad_request() -> u16 {
    400
}

fn png() -> String {
    "image/png".into()
}

fn json() -> String {
    "application/json".into()
}

fn bytes_of_text<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    String::deserialize(from).map(String::into_bytes)
}
