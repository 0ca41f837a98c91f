//! What a failure means: for the request, and for the credential it was made with.

use std::{fmt, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderMap, StatusCode};

use super::transport::{TimeoutKind, TransportError};
use crate::{
    credential::Outcome,
    dialect::WireError,
    kernel::error::{ErrorKind, GatewayError},
};

/// How an attempt failed. Its `Debug` form leaves out what the upstream said: that is not redacted yet.
pub enum Failure {
    /// The upstream answered, and the answer is an error; also a 200 whose body is one.
    Status { status: StatusCode, headers: HeaderMap, body: Bytes, wire: WireError },
    /// There is no answer, or it broke off.
    Transport(TransportError),
    /// A stream said that it failed.
    Stream(WireError),
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { status, wire, .. } => f
                .debug_struct("Status")
                .field("status", status)
                .field("kind", &wire.kind)
                .finish_non_exhaustive(),
            Self::Transport(error) => f.debug_tuple("Transport").field(error).finish(),
            Self::Stream(wire) => f.debug_struct("Stream").field("kind", &wire.kind).finish_non_exhaustive(),
        }
    }
}

impl Failure {
    /// What the upstream said, if it said anything.
    pub fn wire(&self) -> Option<&WireError> {
        match self {
            Self::Status { wire, .. } | Self::Stream(wire) => Some(wire),
            Self::Transport(_) => None,
        }
    }
}

/// What is to be done about a failure.
#[derive(Debug, Clone)]
pub struct Verdict {
    pub next: Next,
    /// What the attempt did to its credential.
    pub outcome: Outcome,
    /// What the client is told, if nobody else can answer.
    pub error: GatewayError,
    /// What the upstream said, redacted: for logs, never for a client.
    pub said: String,
}

/// Where to try next, as long as the client has got nothing yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The request is at fault: it would fail anywhere.
    GiveUp,
    /// The same target with another credential, then the next target.
    NextCredential,
    /// The next target: no credential helps here.
    NextTarget,
}

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request's. Never harms a credential.
    Request(ErrorKind),
    /// The upstream does not have this model for this credential.
    Model,
    /// The credential is not accepted.
    Refused,
    /// The credential may not do this.
    Forbidden,
    /// Somebody before the upstream wants to see a person.
    Challenge,
    /// Nobody pays for the credential.
    Unpaid,
    /// The credential's allowance is used up.
    Quota,
    /// Too many requests.
    Rate,
    /// This attempt failed; another credential may do.
    Attempt(ErrorKind),
    /// The upstream failed as a whole.
    Upstream(ErrorKind),
}

/// The wait for a challenge that does not say how long.
const CHALLENGE_WAIT: Duration = Duration::from_secs(10);

impl Fault {
    /// Judges by status, code and type, as most providers mean them.
    pub fn of(failure: &Failure) -> Self {
        match failure {
            Failure::Transport(error) => of_transport(error),
            Failure::Stream(wire) => of_code(wire).unwrap_or_else(|| of_kind(wire.kind)),
            Failure::Status { status, headers, body, wire } => {
                if status.as_u16() == 403 && is_challenge(headers, body) {
                    return Self::Challenge;
                }
                of_code(wire).unwrap_or_else(|| of_status(*status, wire))
            }
        }
    }

    /// Where to go next, and what the credential has suffered. `wait` is what the upstream asked for.
    pub fn consequence(self, wait: Option<Duration>, now: DateTime<Utc>) -> (Next, Outcome) {
        let resets_at = wait.and_then(|it| chrono::Duration::from_std(it).ok()).map(|it| now + it);
        match self {
            Self::Request(_) => (Next::GiveUp, Outcome::Unharmed),
            Self::Model => (Next::NextTarget, Outcome::ModelMissing),
            Self::Refused => (Next::NextCredential, Outcome::Unauthorized),
            Self::Forbidden => (Next::NextCredential, Outcome::Forbidden),
            Self::Challenge => {
                let after = wait.unwrap_or_default().max(CHALLENGE_WAIT);
                (Next::NextCredential, Outcome::Failing { after: Some(after) })
            }
            Self::Unpaid if resets_at.is_none() => (Next::NextCredential, Outcome::Forbidden),
            Self::Unpaid | Self::Quota => (Next::NextCredential, Outcome::Exhausted { resets_at }),
            Self::Rate => (Next::NextCredential, Outcome::RateLimited { after: wait }),
            Self::Attempt(_) => (Next::NextCredential, Outcome::Failing { after: wait }),
            Self::Upstream(_) => (Next::NextTarget, Outcome::Failing { after: wait }),
        }
    }

    /// What the client is told it is.
    pub const fn kind(self) -> ErrorKind {
        match self {
            Self::Request(kind) | Self::Attempt(kind) | Self::Upstream(kind) => kind,
            Self::Model => ErrorKind::UnknownModel,
            Self::Refused | Self::Forbidden | Self::Challenge => ErrorKind::UpstreamRefused,
            Self::Unpaid | Self::Quota => ErrorKind::QuotaExhausted,
            Self::Rate => ErrorKind::RateLimited,
        }
    }
}

fn of_transport(error: &TransportError) -> Fault {
    match error {
        TransportError::Connect { .. }
        | TransportError::Tls { .. }
        | TransportError::Timeout(TimeoutKind::Connect) => Fault::Upstream(ErrorKind::UpstreamFailed),
        TransportError::Timeout(_) => Fault::Attempt(ErrorKind::Timeout),
        // A proxy may be the credential's own.
        TransportError::Proxy { .. } | TransportError::Closed { .. } | TransportError::Body { .. } => {
            Fault::Attempt(ErrorKind::UpstreamFailed)
        }
        TransportError::TooLarge { .. } => Fault::Request(ErrorKind::UpstreamFailed),
        TransportError::NotPublic => Fault::Request(ErrorKind::BadRequest),
        TransportError::Request { .. } => Fault::Request(ErrorKind::Internal),
    }
}

/// What a code or type says by itself, whatever the status.
fn of_code(wire: &WireError) -> Option<Fault> {
    if wire.kind == ErrorKind::ContextTooLong {
        return Some(Fault::Request(ErrorKind::ContextTooLong));
    }
    [&wire.code, &wire.error_type].into_iter().flatten().find_map(|it| match it.as_str() {
        "insufficient_quota"
        | "quota_exceeded"
        | "exceeded_current_quota_error"
        | "billing_hard_limit_reached" => Some(Fault::Quota),
        "billing_error" | "insufficient_balance" | "insufficient_credits" | "billing_not_active" => {
            Some(Fault::Unpaid)
        }
        "invalid_api_key" | "incorrect_api_key" | "authentication_error" | "API_KEY_INVALID" => {
            Some(Fault::Refused)
        }
        "account_deactivated" | "bad-credentials" => Some(Fault::Forbidden),
        "model_not_found" | "model_not_available" => Some(Fault::Model),
        "server_is_overloaded" | "overloaded_error" => Some(Fault::Upstream(ErrorKind::Overloaded)),
        _ => None,
    })
}

fn of_status(status: StatusCode, wire: &WireError) -> Fault {
    match status.as_u16() {
        200..=299 => of_kind(wire.kind),
        // Redirects are not followed: they would carry the credential elsewhere.
        300..=399 => Fault::Upstream(ErrorKind::UpstreamFailed),
        400 if wire.message.starts_with("Incorrect API key") => Fault::Refused,
        400 if wire.kind == ErrorKind::UnknownModel => Fault::Model,
        401 => Fault::Refused,
        402 => Fault::Unpaid,
        403 | 429 if wire.kind == ErrorKind::QuotaExhausted => Fault::Quota,
        403 => Fault::Forbidden,
        404 => of_missing(wire),
        408 | 504 | 524 => Fault::Attempt(ErrorKind::Timeout),
        425 | 498 | 503 => Fault::Attempt(ErrorKind::Overloaded),
        429 => Fault::Rate,
        code @ 400..=499 => Fault::Request(of_request(code, wire.kind)),
        529 => Fault::Upstream(ErrorKind::Overloaded),
        _ => Fault::Attempt(ErrorKind::UpstreamFailed),
    }
}

/// 404: the model, something the request names, or a base URL that leads nowhere.
fn of_missing(wire: &WireError) -> Fault {
    const MODEL: &[&str] = &["model:", "model ", "the model", "no endpoints found", "unknown model"];
    // Only the beginning is looked at: the rest may repeat what the client wrote.
    let message = wire.message.trim_start().to_ascii_lowercase();
    if wire.kind == ErrorKind::UnknownModel
        || wire.param.as_deref() == Some("model")
        || MODEL.iter().any(|it| message.starts_with(it))
    {
        Fault::Model
    } else if wire.error_type.is_none() && wire.code.is_none() {
        Fault::Upstream(ErrorKind::UpstreamFailed)
    } else {
        Fault::Request(ErrorKind::NotFound)
    }
}

/// The kind of a fault of the request: as the dialect read it, if that is one, else by the status.
const fn of_request(status: u16, kind: ErrorKind) -> ErrorKind {
    match (status, kind) {
        (
            _,
            ErrorKind::BadRequest
            | ErrorKind::ContextTooLong
            | ErrorKind::TooLarge
            | ErrorKind::Unsupported
            | ErrorKind::UnsupportedMediaType
            | ErrorKind::Conflict
            | ErrorKind::NotFound,
        ) => kind,
        (405, _) => ErrorKind::MethodNotAllowed,
        (409, _) => ErrorKind::Conflict,
        (413, _) => ErrorKind::TooLarge,
        (415, _) => ErrorKind::UnsupportedMediaType,
        _ => ErrorKind::BadRequest,
    }
}

/// An error without a status of its own: in a stream, or in the body of a 200.
const fn of_kind(kind: ErrorKind) -> Fault {
    match kind {
        ErrorKind::BadRequest
        | ErrorKind::NotFound
        | ErrorKind::MethodNotAllowed
        | ErrorKind::Conflict
        | ErrorKind::TooLarge
        | ErrorKind::UnsupportedMediaType
        | ErrorKind::SlowRequest
        | ErrorKind::ContextTooLong
        | ErrorKind::Unsupported
        | ErrorKind::ClientGone => Fault::Request(kind),
        ErrorKind::UnknownModel => Fault::Model,
        ErrorKind::Unauthenticated | ErrorKind::UpstreamRefused => Fault::Refused,
        ErrorKind::Forbidden => Fault::Forbidden,
        ErrorKind::QuotaExhausted => Fault::Quota,
        ErrorKind::RateLimited => Fault::Rate,
        ErrorKind::Overloaded => Fault::Upstream(kind),
        ErrorKind::Timeout | ErrorKind::Truncated => Fault::Attempt(kind),
        ErrorKind::UpstreamFailed | ErrorKind::Unavailable | ErrorKind::Internal => {
            Fault::Attempt(ErrorKind::UpstreamFailed)
        }
    }
}

/// A page made for a browser, where an API's answer was expected (Cloudflare says `cf-mitigated: challenge`).
fn is_challenge(headers: &HeaderMap, body: &[u8]) -> bool {
    let is_html =
        headers.get(http::header::CONTENT_TYPE).is_some_and(|it| it.as_bytes().starts_with(b"text/html"));
    headers.contains_key("cf-mitigated") || is_html || body.trim_ascii_start().starts_with(b"<!DOCTYPE")
}
