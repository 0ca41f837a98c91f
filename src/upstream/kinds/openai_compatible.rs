//! Whoever speaks Chat Completions: one kind, and a table of known places.

use serde_json::Value;

use super::openai::{CLIENT_HEADERS, PATHS, REPLY_HEADERS, others_and};
use crate::{
    dialect::DialectId,
    kernel::error::ErrorKind,
    upstream::{
        kind::{AuthScheme, Envelope, Framing, Operation, Paths, PolicyClass, UpstreamKind, Version},
        limits::LimitParser,
        transport::HttpMode,
        verdict::{Failure, Fault},
    },
};

/// Any server with a Chat interface; where it is must be said.
pub static OPENAI_COMPATIBLE: UpstreamKind = COMPATIBLE;

/// What such servers may offer beside answers: OpenAI's own (its files, batches and realtime are not copied by many), and
/// `/rerank` as vLLM, Together and others have it. One that lacks it answers 404, which harms neither key nor model.
const OTHERS: &[(Operation, &str)] = &others_and((Operation::Rerank, "/rerank"));

const COMPATIBLE: UpstreamKind = UpstreamKind {
    name: "openai-compatible",
    provider: "openai_compatible",
    default_base_url: None,
    version: Version::IfBare("/v1"),
    paths: Paths { others: OTHERS, ..PATHS },
    dialect: |_| DialectId::OpenaiChat,
    envelope: Envelope::Plain,
    framing: Framing::Sse,
    headers: &[],
    auth: AuthScheme::BearerIfAny,
    limits: LimitParser::OpenAi,
    judge: Fault::of,
    client_headers: CLIENT_HEADERS,
    reply_headers: REPLY_HEADERS,
    attempt_header: None,
    http: HttpMode::Auto,
    policy: PolicyClass::Official,
};

/// A hosted service: a key is needed.
const fn hosted(name: &'static str, provider: &'static str, base_url: &'static str) -> UpstreamKind {
    UpstreamKind { name, provider, default_base_url: Some(base_url), auth: AuthScheme::Bearer, ..COMPATIBLE }
}

/// A server of one's own: a key is sent if there is one.
const fn local(name: &'static str, base_url: &'static str) -> UpstreamKind {
    UpstreamKind { name, provider: name, default_base_url: Some(base_url), ..COMPATIBLE }
}

/// Known places, from their providers' documentation.
pub static PRESETS: &[UpstreamKind] = &[
    UpstreamKind {
        judge: judge_openrouter,
        limits: LimitParser::Generic,
        ..hosted("openrouter", "openrouter", "https://openrouter.ai/api/v1")
    },
    UpstreamKind { judge: judge_zai, ..hosted("zai", "zai", "https://api.z.ai/api/paas/v4") },
    UpstreamKind { judge: judge_zai, ..hosted("zhipu", "zai", "https://open.bigmodel.cn/api/paas/v4") },
    UpstreamKind {
        judge: judge_zai,
        policy: PolicyClass::Scoped,
        ..hosted("zai-coding-plan", "zai", "https://api.z.ai/api/coding/paas/v4")
    },
    hosted("groq", "groq", "https://api.groq.com/openai/v1"),
    hosted("deepseek", "deepseek", "https://api.deepseek.com/v1"),
    hosted("mistral", "mistral_ai", "https://api.mistral.ai/v1"),
    hosted("xai", "x_ai", "https://api.x.ai/v1"),
    hosted("moonshot", "moonshot_ai", "https://api.moonshot.ai/v1"),
    hosted("moonshot-cn", "moonshot_ai", "https://api.moonshot.cn/v1"),
    hosted("together", "together_ai", "https://api.together.xyz/v1"),
    hosted("fireworks", "fireworks_ai", "https://api.fireworks.ai/inference/v1"),
    hosted("cerebras", "cerebras", "https://api.cerebras.ai/v1"),
    UpstreamKind {
        http: HttpMode::Http1,
        ..hosted("nvidia", "nvidia", "https://integrate.api.nvidia.com/v1")
    },
    hosted("minimax", "minimax", "https://api.minimax.io/v1"),
    local("ollama", "http://localhost:11434/v1"),
    local("vllm", "http://localhost:8000/v1"),
    local("lm-studio", "http://localhost:1234/v1"),
    local("llama.cpp", "http://localhost:8080/v1"),
];

/// `OpenRouter` answers 403 when its moderation flagged the input: a fault of the request, not of the key.
fn judge_openrouter(failure: &Failure) -> Fault {
    if let Failure::Status { status, body, .. } = failure
        && status.as_u16() == 403
        && serde_json::from_slice::<Value>(body)
            .is_ok_and(|it| it.pointer("/error/metadata/reasons").is_some())
    {
        return Fault::Request(ErrorKind::BadRequest);
    }
    Fault::of(failure)
}

/// ZAI says in `code` what it means, whatever the status is.
fn judge_zai(failure: &Failure) -> Fault {
    match failure.wire().and_then(|it| it.code.as_deref()) {
        Some("1302" | "1303" | "1305") => Fault::Rate,
        Some("1308" | "1310") => Fault::Quota,
        Some("1113" | "1309" | "1316") => Fault::Unpaid,
        _ => Fault::of(failure),
    }
}
