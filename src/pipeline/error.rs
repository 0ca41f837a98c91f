//! The only place where the floors' errors become a `GatewayError`.

use std::time::Duration;

use crate::{
    credential::{NoCredential, NoCredentialReason, Rest},
    dialect::{DecodeError, EncodeError, Loss, WireError},
    kernel::{
        clock::Clock,
        error::{ErrorKind, GatewayError},
    },
    routing::NoRoute,
    usage::SpoolError,
};

/// The client's request cannot be read.
pub fn decode(error: DecodeError) -> GatewayError {
    GatewayError::new(ErrorKind::BadRequest, error.message).at(error.at)
}

/// The request cannot be said to its target.
pub fn encode(error: EncodeError) -> GatewayError {
    GatewayError::new(ErrorKind::Unsupported, error.message).at(error.at)
}

/// The request's policy is `strict`, and its meaning would not reach the target.
pub fn too_much_lost(loss: &Loss) -> GatewayError {
    let message = format!(
        "the model's upstream cannot be asked this: {}; leave it out, or allow losses with `x-dragoman-translation: warn`",
        loss.reason
    );
    GatewayError::new(ErrorKind::Unsupported, message).at(loss.at.as_str())
}

/// The upstream's answer cannot be read.
pub fn answer(error: &DecodeError) -> GatewayError {
    let place = if error.at.is_empty() { String::new() } else { format!(" at `{}`", error.at) };
    GatewayError::new(
        ErrorKind::UpstreamFailed,
        format!("the upstream's answer cannot be read{place}: {}", error.message),
    )
}

/// No model is called that.
pub fn no_route(error: &NoRoute) -> GatewayError {
    let message = match &error.similar {
        Some(similar) => format!("{error}; did you mean `{similar}`?"),
        None => format!("{error}; `GET /v1/models` lists those you can call"),
    };
    GatewayError::new(ErrorKind::UnknownModel, message).at("/model")
}

/// No credential can be drawn now.
pub fn no_credential(error: &NoCredential, clock: &dyn Clock) -> GatewayError {
    let wait = error.ready_at.map(|it| (it - clock.now()).to_std().unwrap_or(Duration::from_secs(1)));
    let (kind, message) = match error.why {
        NoCredentialReason::AllCooling => match error.rest {
            Some(Rest::Refused) => {
                (ErrorKind::UpstreamRefused, "the upstream refuses every credential for this model")
            }
            Some(Rest::Failing) => (ErrorKind::Unavailable, "the upstream of this model is failing"),
            Some(Rest::Limited) | None => {
                (ErrorKind::RateLimited, "every credential for this model is cooling down")
            }
        },
        NoCredentialReason::NoneForModel => (ErrorKind::Unavailable, "no credential serves this model"),
        NoCredentialReason::NoneConfigured => {
            (ErrorKind::Unavailable, "the upstream of this model has no credential")
        }
        NoCredentialReason::AllTried => (ErrorKind::Unavailable, "every credential for this model was tried"),
    };
    GatewayError::new(kind, message).retry_after(wait.map(|it| it.max(Duration::from_secs(1))))
}

/// The usage of an attempt could not be written down, so the attempt is not made. The spool has said why in the log.
pub fn spool(_: &SpoolError) -> GatewayError {
    GatewayError::new(ErrorKind::Unavailable, "usage cannot be recorded at the moment")
        .retry_after(Some(Duration::from_secs(5)))
}

/// The upstream said in its stream that it failed.
pub fn wire(error: &WireError) -> GatewayError {
    let mut gateway = GatewayError::new(error.kind, error.message.clone());
    gateway.code.clone_from(&error.code);
    gateway
}

/// The upstream's stream broke off.
pub fn truncated() -> GatewayError {
    GatewayError::new(ErrorKind::Truncated, "the upstream's answer broke off before its end")
}

/// The gateway stops before the answer's end.
pub fn stopping() -> GatewayError {
    GatewayError::new(ErrorKind::Unavailable, "the gateway is restarting: try again")
        .retry_after(Some(Duration::from_secs(1)))
}

/// Of two failures the one that tells the client more.
pub fn more_telling(first: GatewayError, second: GatewayError) -> GatewayError {
    if rank(second.kind) > rank(first.kind) {
        return second;
    }
    if second.kind == first.kind && first.retry_after > second.retry_after && second.retry_after.is_some() {
        return second;
    }
    first
}

const fn rank(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::ClientGone => 0,
        ErrorKind::Internal | ErrorKind::Unavailable => 1,
        ErrorKind::UpstreamRefused => 2,
        ErrorKind::Timeout | ErrorKind::Truncated => 3,
        ErrorKind::UpstreamFailed | ErrorKind::UnknownModel => 4,
        ErrorKind::Overloaded => 5,
        ErrorKind::QuotaExhausted => 6,
        ErrorKind::RateLimited => 7,
        ErrorKind::Unsupported => 8,
        ErrorKind::BadRequest
        | ErrorKind::Unauthenticated
        | ErrorKind::Forbidden
        | ErrorKind::NotFound
        | ErrorKind::MethodNotAllowed
        | ErrorKind::Conflict
        | ErrorKind::TooLarge
        | ErrorKind::UnsupportedMediaType
        | ErrorKind::SlowRequest
        | ErrorKind::ContextTooLong => 9,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failure_that_says_more_is_told() {
        let failed = GatewayError::new(ErrorKind::UpstreamFailed, "500");
        let limited = GatewayError::new(ErrorKind::RateLimited, "429");
        assert_eq!(more_telling(failed.clone(), limited.clone()).kind, ErrorKind::RateLimited);
        assert_eq!(more_telling(limited, failed).kind, ErrorKind::RateLimited);
    }

    #[test]
    fn a_client_hears_why_every_credential_rests() {
        use crate::{catalog::UpstreamName, kernel::clock::SystemClock};
        let told = |rest| {
            let resting = NoCredential {
                upstream: UpstreamName::new("main"),
                ready_at: None,
                why: NoCredentialReason::AllCooling,
                rest: Some(rest),
            };
            no_credential(&resting, &SystemClock).kind
        };
        assert_eq!(told(Rest::Limited), ErrorKind::RateLimited);
        assert_eq!(told(Rest::Failing), ErrorKind::Unavailable);
        assert_eq!(told(Rest::Refused), ErrorKind::UpstreamRefused);
    }

    #[test]
    fn of_two_rate_limits_the_sooner_is_told() {
        let late = GatewayError::new(ErrorKind::RateLimited, "").retry_after(Some(Duration::from_mins(1)));
        let soon = GatewayError::new(ErrorKind::RateLimited, "").retry_after(Some(Duration::from_secs(2)));
        assert_eq!(more_telling(late.clone(), soon.clone()).retry_after, Some(Duration::from_secs(2)));
        assert_eq!(more_telling(soon, late).retry_after, Some(Duration::from_secs(2)));
    }
}
