//! A scenario: what to answer to whom, as data.
//!
//! YAML (or JSON, which is YAML too), in kebab-case. Rules are tried in order; the first whose `when` fits answers. Without
//! a fitting rule the simulator echoes politely.

mod reply;

pub use reply::{AnswerReply, Citation, ErrorReply, ImageReply, Raw, Reply, Tokens, ToolReply};

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

/// What the simulator plays.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the file")]
pub struct Scenario {
    /// Refuse what the vendor refuses: unknown fields, wrong types, broken conversations.
    pub strict: bool,
    /// The only API keys taken; empty takes any that is not empty.
    pub keys: Vec<String>,
    /// What `/v1/models` lists.
    pub models: Vec<String>,
    /// Decides the dice of `probability`.
    pub seed: u64,
    /// Opaque state of one API key is refused under another, as of another account.
    pub state_per_key: bool,
    /// How long the access tokens live that `/token` gives.
    #[serde(deserialize_with = "duration")]
    pub token_lifetime: Duration,
    /// Vertex paths take no bearer but those of `/token`.
    pub token_required: bool,
    /// What becomes of request bodies that come compressed.
    pub compressed_requests: Compressed,
    /// Answers are compressed if the client accepts it.
    pub compressed_answers: bool,
    pub log: LogSettings,
    /// Other scenario files, beside this one, whose rules come after these.
    pub include: Vec<PathBuf>,
    /// Answer everything the same way, as fast as possible; rules are not consulted.
    pub bench: Option<Bench>,
    pub rules: Vec<Rule>,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            strict: true,
            keys: Vec::new(),
            models: ["sim-1", "sim-1-mini", "sim-thinking"].map(String::from).to_vec(),
            seed: 1,
            state_per_key: false,
            token_lifetime: Duration::from_hours(1),
            token_required: false,
            compressed_requests: Compressed::Accept,
            compressed_answers: false,
            log: LogSettings::default(),
            include: Vec::new(),
            bench: None,
            rules: Vec::new(),
        }
    }
}

impl Scenario {
    /// Reads a scenario from YAML or JSON text; other files it names are looked for in `folder`.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, ScenarioError> {
        let mut scenario: Self =
            serde_saphyr::from_str(text).map_err(|fault| ScenarioError::Malformed(fault.to_string()))?;
        for rule in &mut scenario.rules {
            rule.load_files(folder)?;
        }
        for file in &scenario.include {
            scenario.rules.extend(Self::load(&folder.join(file))?.rules);
        }
        Ok(scenario)
    }

    /// Reads a scenario file.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let text = fs::read_to_string(path)
            .map_err(|cause| ScenarioError::Unreadable { path: path.to_owned(), cause })?;
        Self::parse(&text, path.parent().unwrap_or(Path::new(".")))
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    #[error("cannot read `{}`", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("the scenario is malformed: {0}")]
    Malformed(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compressed {
    /// They are unpacked: gzip, deflate, br, zstd.
    Accept,
    /// 415.
    Refuse,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct LogSettings {
    /// Keep request bodies, readable at `/_sim/requests/{seq}`.
    pub bodies: bool,
    /// Entries kept; older ones are forgotten.
    pub capacity: usize,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { bodies: false, capacity: 300_000 }
    }
}

/// One fixed answer for load: `reply-bytes` of text when whole, `chunks` of `chunk-bytes` each when streamed.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Bench {
    pub reply_bytes: usize,
    pub chunks: usize,
    pub chunk_bytes: usize,
    pub delay: Delay,
}

impl Default for Bench {
    fn default() -> Self {
        Self { reply_bytes: 1024, chunks: 200, chunk_bytes: 64, delay: Delay::default() }
    }
}

/// One rule: for whom, how fast, what.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Rule {
    /// Shown in the log.
    pub name: String,
    pub when: When,
    /// Overrides the scenario's strictness.
    pub strict: Option<bool>,
    pub quota: Option<Quota>,
    pub delay: Delay,
    pub pace: Pace,
    pub fault: Option<Fault>,
    pub quirks: Vec<Quirk>,
    pub headers: BTreeMap<String, String>,
    pub reply: Reply,
}

impl Rule {
    fn load_files(&mut self, folder: &Path) -> Result<(), ScenarioError> {
        let Reply::Raw(Raw { file: Some(file), body, .. }) = &mut self.reply else { return Ok(()) };
        let path = folder.join(file);
        *body = fs::read(&path).map_err(|cause| ScenarioError::Unreadable { path, cause })?;
        Ok(())
    }
}

/// Conditions; all that are given must hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct When {
    pub dialect: Option<Dialect>,
    /// Globs (`*`, `?`) over path, model and the API key presented.
    pub path: Option<String>,
    pub model: Option<String>,
    pub credential: Option<String>,
    /// Header name → glob over its value.
    pub headers: BTreeMap<String, String>,
    /// Occurs in the body's text.
    pub contains: Option<String>,
    /// JSON pointer → the value it must lead to.
    pub pointer: BTreeMap<String, Value>,
    /// A tool of this name is declared.
    pub has_tool: Option<String>,
    pub stream: Option<bool>,
    /// Which of the requests that fit everything above, counted from 1.
    pub nth: Option<Nth>,
    /// Chance from 0 to 1, drawn from the scenario's seed.
    pub probability: Option<f64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Nth {
    pub from: Option<u64>,
    pub to: Option<u64>,
    pub every: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    OpenaiChat,
    OpenaiResponses,
    AnthropicMessages,
    Gemini,
}

/// So many requests in a window that starts with the first, for each credential.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Quota {
    pub requests: u64,
    #[serde(deserialize_with = "duration")]
    pub per: Duration,
    /// What `retry-after` says; by default the truth.
    #[serde(default, deserialize_with = "some_duration")]
    pub retry_after: Option<Duration>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Delay {
    #[serde(deserialize_with = "duration")]
    pub headers: Duration,
    #[serde(deserialize_with = "duration")]
    pub first_chunk: Duration,
    #[serde(deserialize_with = "duration")]
    pub between: Duration,
}

/// How the bytes are cut into pieces.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Pace {
    /// How many deltas the text becomes.
    pub chunks: Option<usize>,
    /// Write pieces of so many bytes, whatever they cut through.
    pub chunk_bytes: Option<usize>,
    pub crlf: bool,
}

/// Where and how the answer breaks.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Fault {
    #[serde(default)]
    pub after_events: Option<usize>,
    #[serde(default)]
    pub after_bytes: Option<usize>,
    pub kind: FaultKind,
    /// For `error`: the vendor's type and the message.
    #[serde(default)]
    pub error: Option<ErrorReply>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// The connection is closed without an end.
    Close,
    /// The body ends properly, too early.
    End,
    /// The dialect's error event, then the end.
    Error,
    /// Bytes that are no event, then the end.
    Garbage,
    /// Nothing more, forever.
    Hang,
    /// Signs of life and nothing else, forever: one in each `delay.between`.
    Heartbeat,
}

/// Oddities of real upstreams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quirk {
    /// Chat: every tool call says `index: 0`.
    IndexZeroTools,
    /// Chat: tool calls have no `index`.
    MissingIndex,
    /// Chat: id and name come again with each fragment.
    RepeatedNames,
    /// Chat: every delta says its role.
    RepeatedRole,
    /// Chat: reasoning is told though nobody asked.
    ReasoningContent,
    /// Chat: reasoning is called `reasoning`.
    ReasoningField,
    /// Chat: tool calls end with `stop`.
    StopWithTools,
    /// Chat: the usage rides on the chunk that finishes.
    UsageWithFinish,
    /// Chat: the usage is told in every chunk.
    UsageInEveryChunk,
    /// Chat: usage though nobody asked.
    UsageUnasked,
    /// No `[DONE]`, no `message_stop`.
    MissingDone,
    MissingUsage,
    /// All tool calls share one id.
    DuplicateIds,
    /// Tool arguments come as one fragment.
    WholeArguments,
    /// Chat: tool arguments are an object, not a string.
    ObjectArguments,
    /// A tool without arguments gets the empty string.
    EmptyArguments,
    /// Comments (Chat) or pings (Messages) between all events.
    Keepalives,
    /// `data:` without a space after it.
    NoSpace,
    /// A stream was asked for, a whole answer comes.
    WholeForStream,
    /// Messages: input figures only in `message_delta`.
    UsageAtEnd,
    /// Responses: reasoning is told as text, not as a summary.
    ReasoningText,
    /// Responses: the terminal event's output is empty.
    EmptyOutput,
    /// Responses: calls appear in the terminal event only.
    UnannouncedCalls,
    /// Responses: a `[DONE]` after the terminal event.
    TrailingDone,
    /// Responses: an error in the stream is a flat `error` event, not `response.failed`.
    FlatError,
    /// Responses: an unfinished encrypted content comes with `output_item.added`.
    EarlyState,
    /// Gemini: calls carry ids whatever the model.
    CallIds,
    /// Gemini: calls carry no ids whatever the model.
    MissingCallIds,
    /// Gemini: thoughts carry signatures too.
    SignThoughts,
    /// Gemini: no signature anywhere.
    MissingSignatures,
    /// Gemini: `finishReason` in every chunk.
    FinishInEveryChunk,
    /// Gemini: `candidatesTokenCount` includes the thoughts.
    ThoughtsInCandidates,
    /// Gemini: `role` and `index` are left out.
    BareCandidates,
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    parse_duration(&text)
        .ok_or_else(|| D::Error::custom(format!("`{text}` is no duration such as `250ms`, `5s`, `2m`")))
}

fn some_duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    duration(from).map(Some)
}

fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len());
    let (amount, unit) = text.split_at(digits);
    let amount: u64 = amount.parse().ok()?;
    match unit.trim() {
        "us" => Some(Duration::from_micros(amount)),
        "ms" => Some(Duration::from_millis(amount)),
        "s" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_secs(amount * 60)),
        "h" => Some(Duration::from_secs(amount * 3600)),
        "" if amount == 0 => Some(Duration::ZERO),
        _ => None,
    }
}
