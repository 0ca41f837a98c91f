//! What makes one provider's interface differ from another's: a value made of parts, not a class.

use crate::{catalog::UpstreamModel, dialect::DialectId};

use super::{
    limits::LimitParser,
    transport::HttpMode,
    verdict::{Failure, Fault},
};

/// How a provider is called, and what its failures mean.
#[derive(Debug)]
pub struct UpstreamKind {
    /// The name in configuration (`kind: openai`).
    pub name: &'static str,
    /// `gen_ai.provider.name` of OpenTelemetry.
    pub provider: &'static str,
    /// Absent: the operator must say where. `{project}` and `{location}` stand for the `Place`.
    pub default_base_url: Option<&'static str>,
    pub version: Version,
    pub paths: Paths,
    pub dialect: fn(&UpstreamModel) -> DialectId,
    pub envelope: Envelope,
    pub framing: Framing,
    /// Sent with every call.
    pub headers: &'static [(&'static str, &'static str)],
    pub auth: AuthScheme,
    pub limits: LimitParser,
    pub judge: fn(&Failure) -> Fault,
    /// Headers of the client that are sent on, lower case.
    pub client_headers: &'static [&'static str],
    /// Headers of the answer that are given to the client, lower case; a trailing `*` stands for any ending.
    pub reply_headers: &'static [&'static str],
    /// The header in which the upstream takes an id of ours, for its support to find the call by.
    pub attempt_header: Option<&'static str>,
    pub http: HttpMode,
    pub policy: PolicyClass,
}

impl UpstreamKind {
    /// The path of an operation below the base URL, with a query if the operation needs one, if the upstream has it.
    /// `{model}` stands for the model.
    pub fn path(&self, operation: Operation) -> Option<&'static str> {
        match operation {
            Operation::Generate => Some(self.paths.generate),
            Operation::Stream => Some(self.paths.stream.unwrap_or(self.paths.generate)),
            Operation::CountTokens => self.paths.count_tokens,
            Operation::Models => self.paths.models,
            other => self.paths.others.iter().find(|it| it.0 == other).map(|it| it.1),
        }
    }

    /// Whether it can be called without a secret.
    pub fn is_keyless(&self) -> bool {
        matches!(self.auth, AuthScheme::BearerIfAny | AuthScheme::None)
    }

    /// Whether its address names a project and a location.
    pub fn has_place(&self) -> bool {
        self.default_base_url.is_some_and(|it| it.contains("{location}"))
    }
}

/// What is asked of an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A whole answer.
    Generate,
    /// An answer as a stream.
    Stream,
    CountTokens,
    Models,
    /// Responses: a conversation made short.
    Compact,
    Embeddings,
    /// Embeddings of several texts, where that is another call (Gemini).
    EmbeddingBatch,
    /// The legacy text completions.
    Completions,
    ImageGeneration,
    ImageEdit,
    ImageVariation,
    Speech,
    Transcription,
    /// Speech in any language to English text.
    SpeechTranslation,
    Moderation,
    Rerank,
    Files,
    Batches,
    Realtime,
}

impl Operation {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::Stream => "stream",
            Self::CountTokens => "count_tokens",
            Self::Models => "models",
            Self::Compact => "compact",
            Self::Embeddings => "embeddings",
            Self::EmbeddingBatch => "embedding_batch",
            Self::Completions => "completions",
            Self::ImageGeneration => "image_generation",
            Self::ImageEdit => "image_edit",
            Self::ImageVariation => "image_variation",
            Self::Speech => "speech",
            Self::Transcription => "transcription",
            Self::SpeechTranslation => "speech_translation",
            Self::Moderation => "moderation",
            Self::Rerank => "rerank",
            Self::Files => "files",
            Self::Batches => "batches",
            Self::Realtime => "realtime",
        }
    }
}

/// Where each operation lives, without the version; absent: the upstream does not have it.
#[derive(Debug, Clone, Copy)]
pub struct Paths {
    pub generate: &'static str,
    /// Absent: where `generate` is; the body says that a stream is wanted.
    pub stream: Option<&'static str>,
    pub count_tokens: Option<&'static str>,
    pub models: Option<&'static str>,
    /// Operations without a canonical form.
    pub others: &'static [(Operation, &'static str)],
}

/// Who says the version in the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Added to a base URL without a path, the `Place` filled in; any other base is taken as it stands (`…/api/paas/v4`).
    IfBare(&'static str),
    /// Added unless the base URL already ends in a version.
    IfMissing(&'static str),
}

/// How the secret is put on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthScheme {
    /// `Authorization: Bearer`.
    Bearer,
    /// The same, and nothing if the secret is empty: a server of one's own.
    BearerIfAny,
    /// A header of that name.
    Header(&'static str),
    /// `x-api-key`, or `Authorization: Bearer` for a token made by a login (`sk-ant-oat…`).
    AnthropicAuto,
    /// `Authorization: Bearer` with a token that `Tokens` gets for the account the credential's secret is.
    GoogleToken,
    None,
}

/// What is wrapped around the dialect's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Envelope {
    Plain,
    /// A Gemini body whose calls and results have no `id`: Vertex refuses them, and pairs by name and order.
    WithoutCallIds,
}

/// How a stream is cut into frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events; the dialect knows the end.
    Sse,
}

/// What the provider's terms say about sharing a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyClass {
    /// Made for programs.
    Official,
    /// Made for programs, and for its holder alone.
    Scoped,
}
