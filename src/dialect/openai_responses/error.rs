//! Errors: as bodies they are as in Chat; in a stream and in a failed answer they have codes that clients tell apart.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::ID;
use crate::{
    dialect::{WireError, openai_error},
    kernel::error::{ErrorKind, GatewayError},
};

pub(super) fn encode(error: &GatewayError) -> (StatusCode, Bytes) {
    openai_error::encode(error, ID)
}

pub(super) fn decode(status: StatusCode, body: &[u8]) -> WireError {
    openai_error::decode(status, body)
}

/// The error a response object holds, if it is of an answer that failed.
pub(in crate::dialect) fn told(response: &Map<String, Value>) -> Option<WireError> {
    openai_error::told(response, "output").or_else(|| match response.get("status")?.as_str()? {
        status @ ("failed" | "cancelled") => Some(WireError {
            kind: ErrorKind::UpstreamFailed,
            message: format!("the upstream's answer is {status}, and it does not say why"),
            error_type: None,
            code: None,
            param: None,
        }),
        _ => None,
    })
}

/// Reads an `error` event: flat, as OpenAI sends it, or with the error in a field, as others do.
pub(in crate::dialect) fn of_event(mut event: Value) -> WireError {
    if let Some(fields) = event.as_object_mut() {
        if fields.get("error").is_none_or(Value::is_null) {
            // It names the event, and not the error.
            fields.remove("type");
        }
        // An error inside of a response object (`response.failed`) says more than what stands around it.
        if let Some(Value::Object(response)) = fields.get("response")
            && let Some(error) = told(response)
        {
            return error;
        }
    }
    openai_error::from_stream(&event)
}

/// The `code` of an error in a stream. Codex gives up on some, waits on others, and asks again on those it does not know.
pub(super) fn code(error: &GatewayError) -> &str {
    match error.kind {
        ErrorKind::ContextTooLong => "context_length_exceeded",
        ErrorKind::QuotaExhausted => "insufficient_quota",
        ErrorKind::RateLimited => "rate_limit_exceeded",
        ErrorKind::Overloaded | ErrorKind::Unavailable => "server_is_overloaded",
        ErrorKind::BadRequest | ErrorKind::Unsupported | ErrorKind::TooLarge => {
            error.code.as_deref().unwrap_or("invalid_prompt")
        }
        _ => error.code.as_deref().unwrap_or("server_error"),
    }
}

/// The message of an error in a stream. There are no headers any more: Codex reads in the words how long to wait.
pub(super) fn message(error: &GatewayError) -> String {
    match (error.kind, error.retry_after) {
        (ErrorKind::RateLimited, Some(after))
            if !error.message.to_ascii_lowercase().contains("try again in") =>
        {
            format!("{}: try again in {:.1}s", error.message, after.as_secs_f64())
        }
        _ => error.message.clone(),
    }
}

/// The fields of an `error` event. They are flat: with the error in a field, SDKs raise before `response.failed` is read.
pub(super) fn event(error: &GatewayError) -> Value {
    json!({ "code": code(error), "message": message(error), "param": null })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn ec_128_a_policy_error_is_the_requests_fault_and_keeps_its_words() {
        let event = json!({"type": "response.failed", "response": {"status": "failed", "output": [], "error": {
            "code": "cyber_policy", "message": "This request has been flagged."
        }}});
        let error = of_event(event);
        assert_eq!(
            (error.kind, error.message.as_str()),
            (ErrorKind::BadRequest, "This request has been flagged.")
        );
        assert_eq!(error.code.as_deref(), Some("cyber_policy"));
    }

    #[test]
    fn ec_210_an_error_event_is_read_flat_and_nested() {
        let flat = json!({"type": "error", "code": "rate_limit_exceeded", "message": "slow", "param": null});
        let nested = json!({"type": "error", "error": {"type": "rate_limit_error", "code": "rate_limit_exceeded", "message": "slow"}});
        for event in [flat, nested] {
            let error = of_event(event.clone());
            assert_eq!((error.kind, error.message.as_str()), (ErrorKind::RateLimited, "slow"), "{event}");
            assert_ne!(error.error_type.as_deref(), Some("error"));
        }
        let told = event(&GatewayError::new(ErrorKind::Overloaded, "busy"));
        assert_eq!(told, json!({"code": "server_is_overloaded", "message": "busy", "param": null}));
    }

    #[test]
    fn every_code_that_codex_tells_apart_survives_a_stream() {
        for (word, kind) in [
            ("context_length_exceeded", ErrorKind::ContextTooLong),
            ("insufficient_quota", ErrorKind::QuotaExhausted),
            ("rate_limit_exceeded", ErrorKind::RateLimited),
            ("server_is_overloaded", ErrorKind::Overloaded),
            ("invalid_prompt", ErrorKind::BadRequest),
            ("server_error", ErrorKind::UpstreamFailed),
        ] {
            let read = of_event(json!({"type": "error", "code": word, "message": "m"}));
            assert_eq!(read.kind, kind, "{word}");
            assert_eq!(code(&GatewayError::new(kind, "m")), word);
        }
    }

    #[test]
    fn ec_082_how_long_to_wait_is_in_the_words() {
        let error =
            GatewayError::new(ErrorKind::RateLimited, "slow").retry_after(Some(Duration::from_millis(1500)));
        assert_eq!(message(&error), "slow: try again in 1.5s");
        assert_eq!(message(&GatewayError::new(ErrorKind::RateLimited, "slow")), "slow");
    }

    #[test]
    fn a_failed_answer_without_words_is_an_error_too() {
        let failed = json!({"status": "failed", "output": [], "error": null});
        assert_eq!(told(failed.as_object().unwrap()).unwrap().kind, ErrorKind::UpstreamFailed);
        let whole = json!({"status": "completed", "output": [], "error": null});
        assert_eq!(told(whole.as_object().unwrap()), None);
    }
}
