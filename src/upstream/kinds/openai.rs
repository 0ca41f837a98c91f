//! OpenAI's own API, called with an API key.

use crate::{
    dialect::DialectId,
    upstream::{
        kind::{AuthScheme, Envelope, Framing, Operation, Paths, PolicyClass, UpstreamKind, Version},
        limits::LimitParser,
        transport::HttpMode,
        verdict::Fault,
    },
};

/// Headers of a client that OpenAI's interface documents and that are the client's to set.
pub(super) const CLIENT_HEADERS: &[&str] = &["openai-beta", "idempotency-key"];

/// Headers of an answer that concern the caller.
pub(super) const REPLY_HEADERS: &[&str] = &[
    "x-ratelimit-*",
    "ratelimit-*",
    "retry-after",
    "retry-after-ms",
    "x-request-id",
    "openai-processing-ms",
    "openai-version",
    "openai-model",
    "x-should-retry",
];

pub static OPENAI: UpstreamKind = API;

/// What OpenAI's interfaces have in common; as it stands, Chat Completions.
pub(super) const API: UpstreamKind = UpstreamKind {
    name: "openai",
    provider: "openai",
    default_base_url: Some("https://api.openai.com/v1"),
    version: Version::IfBare("/v1"),
    paths: PATHS,
    dialect: |_| DialectId::OpenaiChat,
    envelope: Envelope::Plain,
    framing: Framing::Sse,
    headers: &[],
    auth: AuthScheme::Bearer,
    limits: LimitParser::OpenAi,
    judge: Fault::of,
    client_headers: CLIENT_HEADERS,
    reply_headers: REPLY_HEADERS,
    attempt_header: Some("x-client-request-id"),
    http: HttpMode::Auto,
    policy: PolicyClass::Official,
};

/// What OpenAI offers beside answers, from its API reference.
const OTHERS: &[(Operation, &str)] = &[
    (Operation::Embeddings, "/embeddings"),
    (Operation::Completions, "/completions"),
    (Operation::ImageGeneration, "/images/generations"),
    (Operation::ImageEdit, "/images/edits"),
    (Operation::ImageVariation, "/images/variations"),
    (Operation::Speech, "/audio/speech"),
    (Operation::Transcription, "/audio/transcriptions"),
    (Operation::SpeechTranslation, "/audio/translations"),
    (Operation::Moderation, "/moderations"),
    (Operation::Files, "/files"),
    (Operation::Batches, "/batches"),
    (Operation::Realtime, "/realtime"),
];

/// `OTHERS`, and one more.
pub(super) const fn others_and(
    one: (Operation, &'static str),
) -> [(Operation, &'static str); OTHERS.len() + 1] {
    let mut others = [one; OTHERS.len() + 1];
    let mut index = 0;
    while index < OTHERS.len() {
        others[index] = OTHERS[index];
        index += 1;
    }
    others
}

/// Chat Completions has no way to count tokens.
pub(super) const PATHS: Paths = Paths {
    generate: "/chat/completions",
    stream: None,
    count_tokens: None,
    models: Some("/models"),
    others: OTHERS,
};
