//! The upstreams and their credentials.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{models::Strategy, secret::Secret, unit::Period};

/// One place to call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Upstream {
    /// Also its path prefix: `/NAME/v1/chat/completions`.
    pub name: String,
    /// `openai`, `openai-responses`, `openai-compatible`, `anthropic`, `gemini`, `vertex`, `vertex-api-key`, or a preset such as
    /// `openrouter`, `groq`, `ollama`.
    pub kind: String,
    /// The project in Google's cloud the models run in: for `vertex`, which needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Where they run, such as `europe-west4`: for `vertex`; absent: `global`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Absent: the kind's own. For `vertex` it may hold `{project}` and `{location}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Clients write `PREFIX/model`; the upstream's name always works too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// How a credential is chosen; absent: `routing.strategy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// Of several upstreams with a model the highest priority goes first.
    #[serde(default)]
    pub priority: i32,
    /// Its share among upstreams of equal priority.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub weight: u32,
    #[serde(default)]
    pub credentials: Vec<Credential>,
    /// Absent: every model the upstream lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<Model>>,
    /// Globs.
    #[serde(default)]
    pub excluded_models: Vec<String>,
    /// Headers sent with every call.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// `http://`, `https://`, `socks5://` or `direct`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_url: Option<Secret>,
    #[serde(default)]
    pub timeouts: Timeouts,
    /// `auto`: HTTP/2 where the upstream offers it.
    #[serde(default)]
    pub http: Http,
    /// Which answers the upstream is asked to stream; clients get what they ask for in any case.
    #[serde(default)]
    pub streaming: Streaming,
    /// How request bodies of 1 KiB and more are compressed. An upstream that refuses it is asked without.
    #[serde(default)]
    pub request_compression: RequestCompression,
}

const fn one() -> u32 {
    1
}

/// A secret an upstream is called with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Credential {
    pub name: String,
    /// For `vertex` the JSON of an account: a service account's key, or a login for applications.
    pub api_key: Secret,
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub weight: u32,
    /// Higher is drawn first.
    #[serde(default)]
    pub priority: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_url: Option<Secret>,
    /// Globs of upstream models; empty: all.
    #[serde(default)]
    pub models: Vec<String>,
    #[serde(default)]
    pub excluded_models: Vec<String>,
}

/// A model of an upstream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Model {
    /// As the upstream calls it.
    pub name: String,
    /// As clients may call it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
}

/// How long an upstream may take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Timeouts {
    /// Until the connection stands.
    pub connect: Period,
    /// Until the answer's headers are here.
    pub first_byte: Period,
    /// Between two pieces of an answer.
    pub idle: Period,
    /// Between two events of a stream: signs of life (comments, blank lines, `ping`) are none. Not shorter than `idle`.
    pub dead_after: Period,
    /// For the whole call; absent: no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<Period>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Period::seconds(10),
            first_byte: Period::seconds(300),
            idle: Period::seconds(120),
            dead_after: Period::seconds(600),
            total: None,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Http {
    #[default]
    Auto,
    Http1,
    /// HTTP/2 from the first byte, also without TLS.
    Http2,
}

/// Which answers an upstream is asked to stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Streaming {
    /// Those the client wants streamed.
    #[default]
    Auto,
    /// All: it cannot answer otherwise.
    Always,
    /// None: it cannot.
    Never,
}

/// How request bodies are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RequestCompression {
    #[default]
    None,
    Zstd,
    Gzip,
    Br,
}
