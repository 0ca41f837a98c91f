//! What can go wrong with an exchange, in words every dialect can say.

use std::time::Duration;

use bytes::Bytes;

/// The closed list of what a client can be told. Each dialect maps every kind in one exhaustive `match`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is malformed, or a field of it is wrong.
    BadRequest,
    /// No key, or a key nobody knows.
    Unauthenticated,
    /// The key is known and may not do this.
    Forbidden,
    /// No such path or object.
    NotFound,
    /// No model has that name for this key.
    UnknownModel,
    MethodNotAllowed,
    Conflict,
    /// The body is larger than the limit.
    TooLarge,
    UnsupportedMediaType,
    /// The client did not send its body in time.
    SlowRequest,
    /// The prompt is longer than the model's window.
    ContextTooLong,
    /// What was asked cannot be said to the chosen target.
    Unsupported,
    RateLimited,
    /// The upstream's account has no money or quota left.
    QuotaExhausted,
    /// The upstream refused the gateway's own credential: not the client's fault.
    UpstreamRefused,
    /// The upstream failed or answered nonsense.
    UpstreamFailed,
    Overloaded,
    Timeout,
    /// The upstream's answer ended before its end.
    Truncated,
    /// Nobody can answer now: no credential is ready, or the gateway is stopping.
    Unavailable,
    Internal,
    /// The client left before it was answered.
    ClientGone,
}

impl ErrorKind {
    /// The name used in metrics, logs and the ledger.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::UnknownModel => "unknown_model",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::SlowRequest => "slow_request",
            Self::ContextTooLong => "context_too_long",
            Self::Unsupported => "unsupported",
            Self::RateLimited => "rate_limited",
            Self::QuotaExhausted => "quota_exhausted",
            Self::UpstreamRefused => "upstream_refused",
            Self::UpstreamFailed => "upstream_failed",
            Self::Overloaded => "overloaded",
            Self::Timeout => "timeout",
            Self::Truncated => "truncated",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
            Self::ClientGone => "client_gone",
        }
    }

    pub const ALL: [Self; 22] = [
        Self::BadRequest,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::UnknownModel,
        Self::MethodNotAllowed,
        Self::Conflict,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::SlowRequest,
        Self::ContextTooLong,
        Self::Unsupported,
        Self::RateLimited,
        Self::QuotaExhausted,
        Self::UpstreamRefused,
        Self::UpstreamFailed,
        Self::Overloaded,
        Self::Timeout,
        Self::Truncated,
        Self::Unavailable,
        Self::Internal,
        Self::ClientGone,
    ];
}

/// An exchange's failure, as it will be told to the client in its own dialect.
///
/// `message` is written for the client: what, where, what to change; never a secret, never another tenant.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct GatewayError {
    pub kind: ErrorKind,
    pub message: String,
    /// Where in the request: a JSON pointer such as `/messages/0/content`.
    pub at: Option<String>,
    /// The upstream's own code (`insufficient_quota`), where it gave one.
    pub code: Option<String>,
    /// The status the upstream gave, kept where the client's dialect has it.
    pub status: Option<u16>,
    pub retry_after: Option<Duration>,
    /// The upstream's own error body, to be passed untouched to a client of the same dialect.
    pub original: Option<OriginalError>,
}

/// An upstream's error as it came, already redacted.
#[derive(Debug, Clone)]
pub struct OriginalError {
    /// The name of the dialect the body is in (`DialectId::name`).
    pub dialect: &'static str,
    pub status: u16,
    pub body: Bytes,
}

impl GatewayError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            at: None,
            code: None,
            status: None,
            retry_after: None,
            original: None,
        }
    }

    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.at = Some(pointer.into());
        self
    }

    #[must_use]
    pub fn retry_after(mut self, after: Option<Duration>) -> Self {
        self.retry_after = after;
        self
    }
}
