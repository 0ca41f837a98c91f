//! What failures mean.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use proptest::prelude::*;

use super::*;
use crate::{
    credential::Outcome,
    dialect::WireError,
    kernel::error::ErrorKind,
    upstream::{
        judge::{LONGEST_MESSAGE, pointer},
        transport::{TimeoutKind, TransportError},
    },
};

fn wire(kind: ErrorKind, error_type: &str, code: &str, message: &str) -> WireError {
    let text = |it: &str| (!it.is_empty()).then(|| it.to_owned());
    WireError { kind, message: message.into(), error_type: text(error_type), code: text(code), param: None }
}

fn status(status: u16, headers: &[(&'static str, &str)], wire: WireError) -> Failure {
    let body = serde_json::json!({"error": {"message": wire.message, "code": wire.code}}).to_string().into();
    Failure::Status {
        status: StatusCode::from_u16(status).unwrap(),
        headers: header_map(headers),
        body,
        wire,
    }
}

fn judge(kind: &str, failure: &Failure) -> Verdict {
    judge_for(kind, failure, Operation::Generate)
}

fn judge_for(kind: &str, failure: &Failure, operation: Operation) -> Verdict {
    let tried = Tried { operation, model: &model(), credential: &credential(SECRET), now: now() };
    upstream(kind).judge(failure, &tried)
}

#[test]
fn each_status_has_its_verdict() {
    use ErrorKind as K;
    use Next::{GiveUp, NextCredential, NextTarget};
    use Outcome::{Exhausted, Failing, Forbidden, ModelMissing, RateLimited, Unauthorized, Unharmed};
    type Row = (&'static str, u16, K, &'static str, &'static str, &'static str, Next, Outcome, K);
    let failing = || Failing { after: None };
    let rows: Vec<Row> = vec![
        ("openai", 400, K::BadRequest, "invalid_request_error", "", "bad", GiveUp, Unharmed, K::BadRequest),
        (
            "openai",
            400,
            K::ContextTooLong,
            "",
            "context_length_exceeded",
            "long",
            GiveUp,
            Unharmed,
            K::ContextTooLong,
        ),
        (
            "anthropic",
            400,
            K::ContextTooLong,
            "invalid_request_error",
            "",
            "prompt is too long: 9 > 8",
            GiveUp,
            Unharmed,
            K::ContextTooLong,
        ),
        ("anthropic", 413, K::TooLarge, "request_too_large", "", "big", GiveUp, Unharmed, K::TooLarge),
        ("openai", 413, K::UpstreamFailed, "", "", "big", GiveUp, Unharmed, K::TooLarge),
        ("mistral", 422, K::BadRequest, "", "", "extra", GiveUp, Unharmed, K::BadRequest),
        ("openai", 409, K::Conflict, "", "", "again", GiveUp, Unharmed, K::Conflict),
        ("openai", 405, K::UpstreamFailed, "", "", "no", GiveUp, Unharmed, K::MethodNotAllowed),
        (
            "xai",
            400,
            K::BadRequest,
            "",
            "",
            "Incorrect API key provided: xa***",
            NextCredential,
            Unauthorized,
            K::UpstreamRefused,
        ),
        (
            "xai",
            400,
            K::BadRequest,
            "",
            "",
            "you wrote: Incorrect API key provided",
            GiveUp,
            Unharmed,
            K::BadRequest,
        ),
        (
            "openai",
            401,
            K::Unauthenticated,
            "",
            "invalid_api_key",
            "no",
            NextCredential,
            Unauthorized,
            K::UpstreamRefused,
        ),
        ("anthropic", 401, K::UpstreamFailed, "", "", "no", NextCredential, Unauthorized, K::UpstreamRefused),
        (
            "openrouter",
            402,
            K::QuotaExhausted,
            "",
            "402",
            "credits",
            NextCredential,
            Forbidden,
            K::QuotaExhausted,
        ),
        (
            "anthropic",
            402,
            K::QuotaExhausted,
            "billing_error",
            "",
            "pay",
            NextCredential,
            Forbidden,
            K::QuotaExhausted,
        ),
        (
            "anthropic",
            400,
            K::BadRequest,
            "invalid_request_error",
            "",
            "Your credit balance is too low to access",
            NextCredential,
            Forbidden,
            K::QuotaExhausted,
        ),
        (
            "anthropic",
            403,
            K::Forbidden,
            "permission_error",
            "",
            "no",
            NextCredential,
            Forbidden,
            K::UpstreamRefused,
        ),
        (
            "openai",
            403,
            K::Forbidden,
            "",
            "model_not_found",
            "no access",
            NextTarget,
            ModelMissing,
            K::UnknownModel,
        ),
        (
            "openai",
            404,
            K::UnknownModel,
            "",
            "model_not_found",
            "no",
            NextTarget,
            ModelMissing,
            K::UnknownModel,
        ),
        (
            "anthropic",
            404,
            K::NotFound,
            "not_found_error",
            "",
            "model: claude-9",
            NextTarget,
            ModelMissing,
            K::UnknownModel,
        ),
        (
            "vllm",
            404,
            K::NotFound,
            "NotFoundError",
            "404",
            "The model `x` does not exist.",
            NextTarget,
            ModelMissing,
            K::UnknownModel,
        ),
        (
            "anthropic",
            404,
            K::NotFound,
            "not_found_error",
            "",
            "File not found: the model.txt",
            GiveUp,
            Unharmed,
            K::NotFound,
        ),
        ("vllm", 404, K::NotFound, "", "", "404 page not found", NextTarget, failing(), K::UpstreamFailed),
        ("openai", 408, K::Timeout, "", "", "slow", NextCredential, failing(), K::Timeout),
        (
            "openai",
            429,
            K::RateLimited,
            "requests",
            "rate_limit_exceeded",
            "slow down",
            NextCredential,
            RateLimited { after: None },
            K::RateLimited,
        ),
        (
            "openai",
            429,
            K::RateLimited,
            "insufficient_quota",
            "insufficient_quota",
            "quota",
            NextCredential,
            Exhausted { resets_at: None },
            K::QuotaExhausted,
        ),
        (
            "moonshot",
            429,
            K::RateLimited,
            "exceeded_current_quota_error",
            "",
            "quota",
            NextCredential,
            Exhausted { resets_at: None },
            K::QuotaExhausted,
        ),
        (
            "anthropic",
            429,
            K::RateLimited,
            "rate_limit_error",
            "",
            "Usage credits are required for fast mode.",
            GiveUp,
            Unharmed,
            K::BadRequest,
        ),
        (
            "zai",
            429,
            K::RateLimited,
            "",
            "1302",
            "many",
            NextCredential,
            RateLimited { after: None },
            K::RateLimited,
        ),
        (
            "zai",
            429,
            K::RateLimited,
            "",
            "1308",
            "window",
            NextCredential,
            Exhausted { resets_at: None },
            K::QuotaExhausted,
        ),
        ("zai", 429, K::RateLimited, "", "1113", "balance", NextCredential, Forbidden, K::QuotaExhausted),
        (
            "openai",
            500,
            K::UpstreamFailed,
            "server_error",
            "",
            "oops",
            NextCredential,
            failing(),
            K::UpstreamFailed,
        ),
        ("openai", 502, K::UpstreamFailed, "", "", "<html>", NextCredential, failing(), K::UpstreamFailed),
        ("openai", 503, K::Overloaded, "", "", "busy", NextCredential, failing(), K::Overloaded),
        ("openai", 504, K::Timeout, "", "", "slow", NextCredential, failing(), K::Timeout),
        (
            "anthropic",
            529,
            K::Overloaded,
            "overloaded_error",
            "",
            "Overloaded",
            NextTarget,
            failing(),
            K::Overloaded,
        ),
        (
            "openai",
            503,
            K::Overloaded,
            "",
            "server_is_overloaded",
            "busy",
            NextTarget,
            failing(),
            K::Overloaded,
        ),
        ("openai", 302, K::UpstreamFailed, "", "", "moved", NextTarget, failing(), K::UpstreamFailed),
        (
            "openrouter",
            200,
            K::RateLimited,
            "",
            "429",
            "slow",
            NextCredential,
            RateLimited { after: None },
            K::RateLimited,
        ),
        (
            "openrouter",
            200,
            K::UpstreamFailed,
            "",
            "",
            "provider",
            NextCredential,
            failing(),
            K::UpstreamFailed,
        ),
    ];
    for (name, code, read, error_type, error_code, message, next, outcome, kind) in rows {
        let verdict = judge(name, &status(code, &[], wire(read, error_type, error_code, message)));
        let got = (verdict.next, verdict.outcome, verdict.error.kind);
        assert_eq!(got, (next, outcome, kind), "{name} {code} {error_code} {message}");
        assert_eq!(verdict.error.status, Some(code));
    }
}

#[test]
fn each_break_of_the_transport_has_its_verdict() {
    use Next::{GiveUp, NextCredential, NextTarget};
    let cause = || -> transport::Cause { "refused".into() };
    let rows = [
        (TransportError::Connect { source: cause() }, NextTarget, ErrorKind::UpstreamFailed),
        (TransportError::Tls { source: cause() }, NextTarget, ErrorKind::UpstreamFailed),
        (TransportError::Timeout(TimeoutKind::Connect), NextTarget, ErrorKind::UpstreamFailed),
        (TransportError::Timeout(TimeoutKind::FirstByte), NextCredential, ErrorKind::Timeout),
        (TransportError::Timeout(TimeoutKind::Idle), NextCredential, ErrorKind::Timeout),
        (TransportError::Proxy { source: cause() }, NextCredential, ErrorKind::UpstreamFailed),
        (TransportError::Closed { source: cause() }, NextCredential, ErrorKind::UpstreamFailed),
        (TransportError::Body { source: cause() }, NextCredential, ErrorKind::UpstreamFailed),
        (TransportError::TooLarge { limit: 1 }, GiveUp, ErrorKind::UpstreamFailed),
        (TransportError::NotPublic, GiveUp, ErrorKind::BadRequest),
    ];
    for (error, next, kind) in rows {
        let text = error.to_string();
        let verdict = judge("openai", &Failure::Transport(error));
        assert_eq!((verdict.next, verdict.error.kind), (next, kind), "{text}");
        assert_eq!(verdict.outcome == Outcome::Unharmed, next == GiveUp, "{text}");
        assert!(verdict.error.original.is_none());
    }
}

#[test]
fn an_error_in_a_stream_is_judged_by_what_it_says() {
    use Next::{GiveUp, NextCredential, NextTarget};
    let rows = [
        (
            wire(ErrorKind::Overloaded, "overloaded_error", "", "Overloaded"),
            NextTarget,
            ErrorKind::Overloaded,
        ),
        (wire(ErrorKind::RateLimited, "rate_limit_error", "", "x"), NextCredential, ErrorKind::RateLimited),
        (wire(ErrorKind::Truncated, "", "", "x"), NextCredential, ErrorKind::Truncated),
        (wire(ErrorKind::Internal, "api_error", "", "x"), NextCredential, ErrorKind::UpstreamFailed),
        (wire(ErrorKind::BadRequest, "invalid_request_error", "", "x"), GiveUp, ErrorKind::BadRequest),
        (wire(ErrorKind::ContextTooLong, "", "", "x"), GiveUp, ErrorKind::ContextTooLong),
        (wire(ErrorKind::Unauthenticated, "", "", "x"), NextCredential, ErrorKind::UpstreamRefused),
    ];
    for (wire, next, kind) in rows {
        let verdict = judge("openrouter", &Failure::Stream(wire));
        assert_eq!((verdict.next, verdict.error.kind), (next, kind));
    }
}

#[test]
fn ec_082_a_wait_is_taken_over() {
    let failure =
        status(429, &[("retry-after", "20")], wire(ErrorKind::RateLimited, "rate_limit_error", "", "slow"));
    let verdict = judge("anthropic", &failure);
    let wait = Duration::from_secs(20);
    assert_eq!(verdict.outcome, Outcome::RateLimited { after: Some(wait) });
    assert_eq!(verdict.error.retry_after, Some(wait));

    let failure = status(402, &[("retry-after", "60")], wire(ErrorKind::QuotaExhausted, "", "", "credits"));
    let resets_at = Some(now() + chrono::Duration::seconds(60));
    assert_eq!(judge("openrouter", &failure).outcome, Outcome::Exhausted { resets_at });

    let failure = status(400, &[("retry-after", "60")], wire(ErrorKind::BadRequest, "", "", "bad"));
    assert_eq!(judge("openai", &failure).error.retry_after, None, "a wrong request is not worth repeating");
}

#[test]
fn ec_084_a_refused_credential_is_not_the_clients_fault() {
    let failure = status(
        401,
        &[],
        wire(ErrorKind::Unauthenticated, "", "invalid_api_key", "Incorrect API key: sk-abc***"),
    );
    let verdict = judge("openai", &failure);
    assert_eq!(verdict.error.kind, ErrorKind::UpstreamRefused);
    assert_eq!(verdict.error.message, "upstream `u` refused the gateway's credential");
    assert!(verdict.error.original.is_none(), "a client of the same dialect would see a 401");
    assert_eq!(verdict.said, "Incorrect API key: [redacted]");
}

#[test]
fn a_failures_debug_form_does_not_repeat_the_upstream() {
    let failure = status(400, &[], wire(ErrorKind::BadRequest, "", SECRET, SECRET));
    assert!(!format!("{failure:?}").contains(SECRET));
}

#[test]
fn a_page_for_browsers_cools_a_little() {
    let failure = Failure::Status {
        status: StatusCode::FORBIDDEN,
        headers: header_map(&[("content-type", "text/html; charset=utf-8")]),
        body: Bytes::from_static(b"<!DOCTYPE html><title>Just a moment...</title>"),
        wire: wire(ErrorKind::Forbidden, "", "", "Just a moment..."),
    };
    let verdict = judge("openai", &failure);
    assert_eq!(verdict.outcome, Outcome::Failing { after: Some(Duration::from_secs(10)) });
    assert!(verdict.error.original.is_none());
}

#[test]
fn a_flagged_input_does_not_cost_a_credential() {
    let failure = Failure::Status {
        status: StatusCode::FORBIDDEN,
        headers: HeaderMap::new(),
        body: Bytes::from_static(
            br#"{"error":{"code":403,"message":"flagged","metadata":{"reasons":["x"]}}}"#,
        ),
        wire: wire(ErrorKind::Forbidden, "", "403", "flagged"),
    };
    let verdict = judge("openrouter", &failure);
    assert_eq!((verdict.next, verdict.outcome), (Next::GiveUp, Outcome::Unharmed));
}

#[test]
fn ec_038_a_missing_count_does_not_harm_a_model() {
    for code in [404, 405, 501] {
        let failure = status(code, &[], wire(ErrorKind::UnknownModel, "", "", "model not found"));
        let verdict = judge_for("anthropic", &failure, Operation::CountTokens);
        assert_eq!((verdict.next, verdict.outcome), (Next::GiveUp, Outcome::Unharmed), "{code}");
        assert_eq!(verdict.error.kind, ErrorKind::Unsupported);
    }
}

#[test]
fn an_error_keeps_its_body_for_clients_of_the_same_dialect() {
    let failure = status(400, &[], wire(ErrorKind::BadRequest, "", "bad", "wrong"));
    let original = judge("openai", &failure).error.original.unwrap();
    assert_eq!((original.dialect, original.status), ("openai-chat", 400));
    assert_eq!(original.body, r#"{"error":{"message":"wrong","code":"bad"}}"#);

    for body in [&b"<html>502</html>"[..], b"", b"\x1f\x8b\x08\x00", b"\"text\"", b"{\"cut"] {
        let failure = Failure::Status {
            status: StatusCode::BAD_REQUEST,
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body),
            wire: wire(ErrorKind::BadRequest, "", "", "wrong"),
        };
        assert!(judge("openai", &failure).error.original.is_none(), "{body:?}");
    }
}

#[test]
fn a_parameter_becomes_a_pointer() {
    let rows = [
        ("messages[0].content", "/messages/0/content"),
        ("temperature", "/temperature"),
        ("/a/b", "/a/b"),
        ("tools[2].function.parameters", "/tools/2/function/parameters"),
        ("a~b", "/a~0b"),
    ];
    for (param, expected) in rows {
        assert_eq!(pointer(param), expected);
    }
}

#[test]
fn an_endless_message_is_shortened() {
    let failure = status(400, &[], wire(ErrorKind::BadRequest, "", "", &"ä ".repeat(10_000)));
    assert!(judge("openai", &failure).error.message.len() <= LONGEST_MESSAGE + '…'.len_utf8());
}

proptest! {
    #[test]
    fn ec_192_a_verdict_never_holds_the_secret(
        secret in "[A-Za-z0-9_./+-]{8,60}",
        before in "[a-zA-Z \"]{0,30}",
        code in prop::sample::select(vec![400_u16, 401, 403, 404, 429, 500]),
    ) {
        let message = format!("{before}{secret} is not right");
        let failure = status(code, &[], wire(ErrorKind::BadRequest, "t", &secret, &message));
        let credential = credential(&secret);
        let tried =
            Tried { operation: Operation::Generate, model: &model(), credential: &credential, now: now() };
        let verdict = upstream("openai").judge(&failure, &tried);
        prop_assume!(!"upstream `u` does not allow the gateway's credential".contains(&secret));
        let body = verdict.error.original.map(|it| String::from_utf8(it.body.to_vec()).unwrap());
        let all = format!("{} {} {:?} {:?}", verdict.error.message, verdict.said, verdict.error.code, body);
        prop_assert!(!all.contains(&secret), "{all}");
    }

    #[test]
    fn a_fault_of_the_request_never_cools_a_credential(
        code in prop::sample::select(vec![400_u16, 405, 406, 409, 410, 411, 413, 414, 415, 417, 422, 431]),
        message in "[ -~]{0,40}",
        kind in prop::sample::select(kinds::names().collect::<Vec<_>>()),
    ) {
        prop_assume!(!message.starts_with("Incorrect API key") && !message.starts_with("Your credit"));
        let verdict = judge(kind, &status(code, &[], wire(ErrorKind::BadRequest, "invalid_request_error", "", &message)));
        prop_assert_eq!((verdict.next, verdict.outcome), (Next::GiveUp, Outcome::Unharmed));
    }
}

/// An error as Google writes it, judged for the kind `gemini`.
fn judge_google(code: u16, rpc: &str, message: &str, details: &serde_json::Value) -> Verdict {
    let body = serde_json::json!({"error": {
        "code": code, "message": message, "status": rpc, "details": details,
    }});
    let body = Bytes::from(body.to_string());
    let code = StatusCode::from_u16(code).unwrap();
    let wire = DialectId::Gemini.client().decode_error(code, &body);
    judge("gemini", &Failure::Status { status: code, headers: HeaderMap::new(), body, wire })
}

fn error_info(reason: &str) -> serde_json::Value {
    serde_json::json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}])
}

#[test]
fn googles_errors_mean_what_their_details_say() {
    use ErrorKind as K;
    use Next::{GiveUp, NextCredential, NextTarget};
    use Outcome::{Failing, Forbidden, ModelMissing, RateLimited, Unauthorized, Unharmed};
    let none = serde_json::Value::Null;
    let rows = [
        (400, "INVALID_ARGUMENT", "Invalid value", none.clone(), GiveUp, Unharmed, K::BadRequest),
        (
            400,
            "INVALID_ARGUMENT",
            "API key not valid. Please pass a valid API key.",
            error_info("API_KEY_INVALID"),
            NextCredential,
            Unauthorized,
            K::UpstreamRefused,
        ),
        (
            400,
            "FAILED_PRECONDITION",
            "User location is not supported for the API use.",
            none.clone(),
            NextCredential,
            Forbidden,
            K::UpstreamRefused,
        ),
        (401, "UNAUTHENTICATED", "no", none.clone(), NextCredential, Unauthorized, K::UpstreamRefused),
        (403, "PERMISSION_DENIED", "no", none.clone(), NextCredential, Forbidden, K::UpstreamRefused),
        (
            403,
            "PERMISSION_DENIED",
            "This API method requires billing to be enabled.",
            error_info("BILLING_DISABLED"),
            NextCredential,
            Forbidden,
            K::QuotaExhausted,
        ),
        (
            404,
            "NOT_FOUND",
            "models/m-1 is not found for API version v1beta, or is not supported for generateContent.",
            none.clone(),
            NextTarget,
            ModelMissing,
            K::UnknownModel,
        ),
        (
            404,
            "NOT_FOUND",
            "Publisher Model `projects/p/locations/l/publishers/google/models/m-1` was not found.",
            none.clone(),
            NextTarget,
            ModelMissing,
            K::UnknownModel,
        ),
        (404, "NOT_FOUND", "Requested entity was not found.", none.clone(), GiveUp, Unharmed, K::NotFound),
        (
            429,
            "RESOURCE_EXHAUSTED",
            "Resource exhausted. Please try again later.",
            none.clone(),
            NextCredential,
            RateLimited { after: None },
            K::RateLimited,
        ),
        (
            503,
            "UNAVAILABLE",
            "overloaded",
            none.clone(),
            NextCredential,
            Failing { after: None },
            K::Overloaded,
        ),
        (504, "DEADLINE_EXCEEDED", "late", none, NextCredential, Failing { after: None }, K::Timeout),
    ];
    for (code, rpc, message, details, next, outcome, kind) in rows {
        let verdict = judge_google(code, rpc, message, &details);
        assert_eq!((verdict.next, verdict.error.kind), (next, kind), "{message}");
        assert_eq!(verdict.outcome, outcome, "{message}");
    }
}

#[test]
fn googles_wait_is_read_from_the_body_and_a_daily_quota_is_no_rate_limit() {
    let details = |quota: &str| {
        serde_json::json!([
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": quota}]},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"},
        ])
    };
    let wait = Duration::from_secs(34);
    let minute = judge_google(429, "RESOURCE_EXHAUSTED", "no", &details("RequestsPerMinute"));
    assert_eq!(minute.outcome, Outcome::RateLimited { after: Some(wait) });
    assert_eq!(minute.error.retry_after, Some(wait));
    let day = judge_google(429, "RESOURCE_EXHAUSTED", "no", &details("RequestsPerDayPerModel-FreeTier"));
    assert_eq!(day.outcome, Outcome::Exhausted { resets_at: Some(now() + wait) });
    assert_eq!(day.error.kind, ErrorKind::QuotaExhausted);
}

#[test]
fn ec_084_a_refused_account_of_the_gateway_is_not_the_clients_401() {
    for kind in ["openai", "openai-responses", "anthropic", "gemini", "vertex", "vertex-api-key"] {
        let dialect = upstream(kind).dialect(&model());
        let body =
            Bytes::from_static(br#"{"error":{"code":401,"message":"bad key","status":"UNAUTHENTICATED"}}"#);
        let wire = dialect.client().decode_error(StatusCode::UNAUTHORIZED, &body);
        let status = StatusCode::UNAUTHORIZED;
        let verdict = judge(kind, &Failure::Status { status, headers: HeaderMap::new(), body, wire });
        assert_eq!(verdict.outcome, Outcome::Unauthorized, "{kind}");
        assert_eq!(verdict.error.kind, ErrorKind::UpstreamRefused, "{kind}");
        assert!(verdict.error.original.is_none() && !verdict.error.message.contains("bad key"), "{kind}");
    }
}
