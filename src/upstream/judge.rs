//! What to make of a failure: where to go next, and what the client may be told of it.

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret as _;

use super::{Failure, Fault, Operation, Upstream, Verdict, redact::Redactor};
use crate::{
    catalog::UpstreamModel,
    credential::Credential,
    kernel::error::{ErrorKind, GatewayError, OriginalError},
};

/// The longest error body that is passed on, and the longest text of one, in bytes.
const LONGEST_ORIGINAL: usize = 64 * 1024;
pub(super) const LONGEST_MESSAGE: usize = 4 * 1024;

/// What was tried when an attempt failed.
#[derive(Debug, Clone, Copy)]
pub struct Tried<'a> {
    pub operation: Operation,
    pub model: &'a UpstreamModel,
    pub credential: &'a Credential,
    pub now: DateTime<Utc>,
}

impl Upstream {
    /// Says what a failure means, and what to tell the client.
    pub fn judge(&self, failure: &Failure, tried: &Tried<'_>) -> Verdict {
        let fault = excuse(tried.operation, failure, (self.kind.judge)(failure));
        let wait = match failure {
            Failure::Status { headers, body, .. } => self.kind.limits.wait(headers, body, tried.now),
            Failure::Transport(_) | Failure::Stream(_) => None,
        };
        let (next, outcome) = fault.consequence(wait, tried.now);
        let redactor = self.redactor(tried.credential);
        let said = match failure {
            Failure::Transport(error) => redactor.text(&error.to_string()),
            Failure::Status { wire, .. } | Failure::Stream(wire) => {
                shorten(redactor.text(&wire.message), LONGEST_MESSAGE)
            }
        };
        let error = GatewayError {
            kind: fault.kind(),
            message: self.message(fault, failure, &said),
            at: failure.wire().and_then(|it| it.param.as_deref()).map(|it| redactor.text(&pointer(it))),
            code: failure
                .wire()
                .and_then(|it| it.code.as_deref())
                .filter(|_| !is_ours(fault))
                .map(|it| redactor.text(it)),
            status: status_of(failure),
            retry_after: wait.filter(|_| !matches!(fault, Fault::Request(_) | Fault::Model)),
            original: self.original(fault, failure, tried.model, &redactor),
        };
        Verdict { next, outcome, error, said }
    }

    /// What the client is told: the upstream's own words, unless they concern the gateway's credential.
    fn message(&self, fault: Fault, failure: &Failure, said: &str) -> String {
        let name = &self.name;
        match (fault, failure) {
            (_, Failure::Transport(_)) => format!("upstream `{name}`: {said}"),
            (Fault::Refused, _) => format!("upstream `{name}` refused the gateway's credential"),
            (Fault::Forbidden, _) => {
                format!("upstream `{name}` does not allow the gateway's credential to do this")
            }
            (Fault::Challenge, _) => format!("upstream `{name}` answered with a page for browsers"),
            (_, Failure::Status { status, .. }) if status.is_redirection() => {
                format!("upstream `{name}` answered with a redirect, which is not followed")
            }
            _ if said.trim().is_empty() => format!("upstream `{name}` failed without saying why"),
            _ => said.to_owned(),
        }
    }

    /// The upstream's error as it came, if a client of the same dialect may see it and can read it.
    fn original(
        &self,
        fault: Fault,
        failure: &Failure,
        model: &UpstreamModel,
        redactor: &Redactor,
    ) -> Option<OriginalError> {
        let Failure::Status { status, body, .. } = failure else { return None };
        if is_ours(fault)
            || !(status.is_client_error() || status.is_server_error())
            || body.len() > LONGEST_ORIGINAL
        {
            return None;
        }
        let text = redactor.text(std::str::from_utf8(body).ok()?);
        let is_json = serde_json::from_str::<&serde_json::value::RawValue>(&text)
            .is_ok_and(|it| it.get().starts_with(['{', '[']));
        is_json.then(|| OriginalError {
            dialect: self.dialect(model).name(),
            status: status.as_u16(),
            body: text.into(),
        })
    }

    fn redactor(&self, credential: &Credential) -> Redactor {
        let private = self.headers.iter().filter(|(_, value)| value.is_sensitive());
        let private = private.filter_map(|(_, value)| value.to_str().ok());
        Redactor::new(private.chain([credential.secret.expose_secret()]))
    }
}

/// Whether a failure is about the gateway's credential: a client that read its code would think of its own.
const fn is_ours(fault: Fault) -> bool {
    matches!(fault, Fault::Refused | Fault::Forbidden | Fault::Challenge)
}

/// An operation beside answering that the upstream does not have says nothing about its models or credentials.
fn excuse(operation: Operation, failure: &Failure, fault: Fault) -> Fault {
    let is_missing = matches!(status_of(failure), Some(404 | 405 | 501));
    match operation {
        Operation::Generate | Operation::Stream => fault,
        _ if is_missing => Fault::Request(ErrorKind::Unsupported),
        _ => fault,
    }
}

fn status_of(failure: &Failure) -> Option<u16> {
    match failure {
        Failure::Status { status, .. } => Some(status.as_u16()),
        Failure::Transport(_) | Failure::Stream(_) => None,
    }
}

/// Turns a path as `OpenAI` writes it (`messages[0].content`) into a JSON pointer.
pub(super) fn pointer(param: &str) -> String {
    if param.starts_with('/') {
        return param.to_owned();
    }
    param.split(['.', '[', ']']).filter(|it| !it.is_empty()).fold(String::new(), |mut out, it| {
        out.push('/');
        out.push_str(&it.replace('~', "~0").replace('/', "~1"));
        out
    })
}

fn shorten(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit));
        text.push('…');
    }
    text
}
