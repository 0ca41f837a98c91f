//! Anthropic's API, called with an API key; and whoever offers the same interface at another base URL.

use crate::{
    dialect::DialectId,
    kernel::error::ErrorKind,
    upstream::{
        kind::{AuthScheme, Envelope, Framing, Paths, PolicyClass, UpstreamKind, Version},
        limits::LimitParser,
        transport::HttpMode,
        verdict::{Failure, Fault},
    },
};

pub static ANTHROPIC: UpstreamKind = UpstreamKind {
    name: "anthropic",
    provider: "anthropic",
    default_base_url: Some("https://api.anthropic.com"),
    version: Version::IfMissing("/v1"),
    paths: Paths {
        generate: "/messages",
        stream: None,
        count_tokens: Some("/messages/count_tokens"),
        models: Some("/models"),
        others: &[],
    },
    dialect: |_| DialectId::AnthropicMessages,
    envelope: Envelope::Plain,
    framing: Framing::Sse,
    headers: &[("anthropic-version", "2023-06-01")],
    auth: AuthScheme::AnthropicAuto,
    limits: LimitParser::Anthropic,
    judge,
    client_headers: &["anthropic-version", "anthropic-beta", "idempotency-key"],
    reply_headers: &[
        "anthropic-ratelimit-*",
        "retry-after",
        "request-id",
        "x-should-retry",
        "anthropic-priority-*",
        "anthropic-fast-*",
    ],
    attempt_header: None,
    http: HttpMode::Auto,
    policy: PolicyClass::Official,
};

/// Two sentences of Anthropic's mean something else than their status. Only a message's beginning is looked at:
/// the rest may repeat what the client wrote.
fn judge(failure: &Failure) -> Fault {
    match failure.wire() {
        Some(wire) if wire.message.starts_with("Your credit balance is too low") => Fault::Unpaid,
        Some(wire) if wire.message.starts_with("Usage credits are required for fast mode") => {
            Fault::Request(ErrorKind::BadRequest)
        }
        _ => Fault::of(failure),
    }
}
