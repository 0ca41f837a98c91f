//! Google's Gemini API, called with an API key.

use crate::{
    dialect::DialectId,
    kernel::error::ErrorKind,
    upstream::{
        google::{self, RpcError},
        kind::{AuthScheme, Envelope, Framing, Operation, Paths, PolicyClass, UpstreamKind, Version},
        limits::LimitParser,
        transport::HttpMode,
        verdict::{Failure, Fault},
    },
};

pub static GEMINI: UpstreamKind = API;

/// What every address of Gemini has in common; as it stands, Google AI Studio's. Without `alt=sse` a stream would be one
/// JSON array.
pub(super) const API: UpstreamKind = UpstreamKind {
    name: "gemini",
    provider: "gcp.gemini",
    default_base_url: Some("https://generativelanguage.googleapis.com"),
    version: Version::IfMissing("/v1beta"),
    paths: Paths {
        generate: "/models/{model}:generateContent",
        stream: Some("/models/{model}:streamGenerateContent?alt=sse"),
        count_tokens: Some("/models/{model}:countTokens"),
        models: Some("/models?pageSize=1000"),
        others: &[
            (Operation::Embeddings, "/models/{model}:embedContent"),
            (Operation::EmbeddingBatch, "/models/{model}:batchEmbedContents"),
        ],
    },
    dialect: |_| DialectId::Gemini,
    envelope: Envelope::Plain,
    framing: Framing::Sse,
    headers: &[],
    auth: AuthScheme::Header("x-goog-api-key"),
    limits: LimitParser::Google,
    judge,
    // How long the client waits, as Google's SDKs say it.
    client_headers: &["x-server-timeout"],
    reply_headers: &["retry-after", "server-timing"],
    attempt_header: None,
    http: HttpMode::Auto,
    policy: PolicyClass::Official,
};

/// Google says what it means in `status` and in the `reason` of its details; the HTTP status alone is often 400 or 403.
fn judge(failure: &Failure) -> Fault {
    let Failure::Status { body, .. } = failure else { return Fault::of(failure) };
    google::read(body).and_then(|it| fault(&it)).unwrap_or_else(|| Fault::of(failure))
}

/// `google.rpc.ErrorInfo.reason` and `google.rpc.Code`, as the Gemini API and Vertex use them.
fn fault(error: &RpcError) -> Option<Fault> {
    let by_reason = error.reasons.iter().find_map(|it| match it.as_str() {
        "API_KEY_INVALID"
        | "API_KEY_EXPIRED"
        | "ACCESS_TOKEN_EXPIRED"
        | "ACCESS_TOKEN_TYPE_UNSUPPORTED"
        | "CREDENTIALS_MISSING"
        | "ACCOUNT_STATE_INVALID" => Some(Fault::Refused),
        "BILLING_DISABLED" => Some(Fault::Unpaid),
        "SERVICE_DISABLED"
        | "CONSUMER_INVALID"
        | "CONSUMER_SUSPENDED"
        | "IAM_PERMISSION_DENIED"
        | "USER_PROJECT_DENIED"
        | "API_KEY_SERVICE_BLOCKED"
        | "API_KEY_HTTP_REFERRER_BLOCKED"
        | "API_KEY_IP_ADDRESS_BLOCKED"
        | "API_KEY_ANDROID_APP_BLOCKED"
        | "API_KEY_IOS_APP_BLOCKED" => Some(Fault::Forbidden),
        "RATE_LIMIT_EXCEEDED" if !error.is_daily() => Some(Fault::Rate),
        _ => None,
    });
    // Only a message's beginning is looked at: the rest may repeat what the client wrote.
    let begins = |it: &str| error.message.starts_with(it);
    by_reason.or_else(|| match error.status.as_str() {
        "INVALID_ARGUMENT" if begins("API key not valid") || begins("API key expired") => {
            Some(Fault::Refused)
        }
        // Where the gateway, or its proxy, is.
        "FAILED_PRECONDITION" if begins("User location is not supported") => Some(Fault::Forbidden),
        "FAILED_PRECONDITION" if begins("Gemini API free tier is not available") => Some(Fault::Unpaid),
        "UNAUTHENTICATED" => Some(Fault::Refused),
        "PERMISSION_DENIED" if begins("CachedContent not found") => Some(Fault::Request(ErrorKind::NotFound)),
        "PERMISSION_DENIED" => Some(Fault::Forbidden),
        "NOT_FOUND" if begins("models/") || begins("tunedModels/") || begins("Publisher Model") => {
            Some(Fault::Model)
        }
        "NOT_FOUND" => Some(Fault::Request(ErrorKind::NotFound)),
        "RESOURCE_EXHAUSTED" if error.is_daily() => Some(Fault::Quota),
        "RESOURCE_EXHAUSTED" => Some(Fault::Rate),
        // The other side gave up by itself: a client that leaves gets no answer.
        "CANCELLED" => Some(Fault::Attempt(ErrorKind::UpstreamFailed)),
        _ => None,
    })
}
