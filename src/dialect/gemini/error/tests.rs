#![expect(clippy::needless_pass_by_value, reason = "a case is written shorter so")]

use std::time::Duration;

use super::*;
use crate::kernel::error::OriginalError;

fn read(status: u16, body: &Value) -> WireError {
    decode(StatusCode::from_u16(status).unwrap(), body.to_string().as_bytes())
}

fn google_error(code: u16, status: &str, message: &str, details: Value) -> Value {
    json!({"error": {"code": code, "message": message, "status": status, "details": details}})
}

#[test]
fn every_word_has_its_kind() {
    for (code, word, message, expected) in [
        (400, "INVALID_ARGUMENT", "Invalid value at `contents`", ErrorKind::BadRequest),
        (400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum", ErrorKind::ContextTooLong),
        (
            400,
            "INVALID_ARGUMENT",
            "Request payload size exceeds the limit: 20971520 bytes.",
            ErrorKind::TooLarge,
        ),
        (
            400,
            "FAILED_PRECONDITION",
            "User location is not supported for the API use.",
            ErrorKind::UpstreamRefused,
        ),
        (401, "UNAUTHENTICATED", "Request had invalid credentials", ErrorKind::UpstreamRefused),
        (403, "PERMISSION_DENIED", "The caller does not have permission", ErrorKind::UpstreamRefused),
        (404, "NOT_FOUND", "models/x is not found for API version v1beta", ErrorKind::UnknownModel),
        (404, "NOT_FOUND", "no such file", ErrorKind::NotFound),
        (409, "ABORTED", "x", ErrorKind::Conflict),
        (429, "RESOURCE_EXHAUSTED", "Resource has been exhausted", ErrorKind::RateLimited),
        (500, "INTERNAL", "An internal error has occurred", ErrorKind::UpstreamFailed),
        (503, "UNAVAILABLE", "The model is overloaded.", ErrorKind::Overloaded),
        (504, "DEADLINE_EXCEEDED", "Deadline expired", ErrorKind::Timeout),
    ] {
        let error = read(code, &google_error(code, word, message, json!([])));
        assert_eq!(error.kind, expected, "{word}: {message}");
        assert_eq!((error.error_type.as_deref(), error.message.as_str()), (Some(word), message));
    }
}

#[test]
fn a_bad_key_is_told_with_400_and_is_the_gateways_fault() {
    let info = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]);
    let error = read(400, &google_error(400, "INVALID_ARGUMENT", "Not valid.", info));
    assert_eq!((error.kind, error.code.as_deref()), (ErrorKind::UpstreamRefused, Some("API_KEY_INVALID")));
    let words =
        google_error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", json!([]));
    assert_eq!(read(400, &words).kind, ErrorKind::UpstreamRefused);
}

#[test]
fn a_quota_of_the_day_is_gone_and_one_of_the_minute_comes_back() {
    let violation = |id: &str| json!([{"violations": [{"quotaId": id}]}]);
    let error = |id: &str| {
        read(429, &google_error(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota", violation(id)))
            .kind
    };
    assert_eq!(error("GenerateRequestsPerDayPerProjectPerModel-FreeTier"), ErrorKind::QuotaExhausted);
    assert_eq!(error("GenerateRequestsPerMinutePerProjectPerModel"), ErrorKind::RateLimited);
}

#[test]
fn ec_079_and_ec_081_an_error_is_read_in_a_list_in_other_shapes_and_as_a_page() {
    let listed = json!([google_error(503, "UNAVAILABLE", "busy", json!([]))]);
    assert_eq!(read(503, &listed).kind, ErrorKind::Overloaded);
    assert_eq!(
        read(429, &json!({"error": {"message": "slow", "type": "rate_limit_error"}})).kind,
        ErrorKind::RateLimited
    );
    let page = decode(StatusCode::BAD_GATEWAY, b"<html><h1>502</h1> bad gateway</html>");
    assert_eq!((page.kind, page.message.as_str()), (ErrorKind::UpstreamFailed, "502 bad gateway"));
    let told = told(listed[0].as_object().unwrap()).unwrap();
    assert_eq!((told.kind, told.message.as_str()), (ErrorKind::Overloaded, "busy"));
    assert_eq!(super::told(json!({"error": null, "candidates": []}).as_object().unwrap()), None);
}

#[test]
fn ec_034_and_ec_082_an_error_is_told_in_googles_shape() {
    let mut error = GatewayError::new(ErrorKind::RateLimited, "wait").at("/contents/0/parts");
    error.retry_after = Some(Duration::from_secs(34));
    let (status, body) = encode(&error);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(status, 429);
    assert_eq!(
        (&body["error"]["code"], &body["error"]["status"]),
        (&json!(429), &json!("RESOURCE_EXHAUSTED"))
    );
    assert_eq!(body["error"]["details"][0]["fieldViolations"][0]["field"], "contents[0].parts");
    assert_eq!(retry_delay(body.to_string().as_bytes()), Some(Duration::from_secs(34)));
    assert_eq!(read(429, &body).param.as_deref(), Some("contents[0].parts"));
}

#[test]
fn what_is_told_is_understood_as_it_was_meant() {
    for kind in ErrorKind::ALL {
        let (status, body) = encode(&GatewayError::new(kind, "what is wrong"));
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"]["code"], status.as_u16(), "{}", kind.name());
        assert_eq!(
            class(decode(status, body.to_string().as_bytes()).kind).0 / 100,
            match kind {
                // What is the gateway's fault upstream is told as its own below.
                ErrorKind::Unauthenticated
                | ErrorKind::Forbidden
                | ErrorKind::ClientGone
                | ErrorKind::MethodNotAllowed
                | ErrorKind::SlowRequest => 5,
                _ => status.as_u16() / 100,
            },
            "{}",
            kind.name()
        );
    }
}

#[test]
fn ec_084_an_upstreams_own_words_pass_unless_they_are_about_our_credential() {
    let original =
        OriginalError { dialect: ID.name(), status: 400, body: Bytes::from_static(b"{\"error\":1}") };
    let mut error = GatewayError::new(ErrorKind::BadRequest, "x");
    error.original = Some(original);
    assert_eq!(encode(&error), (StatusCode::BAD_REQUEST, Bytes::from_static(b"{\"error\":1}")));
    error.kind = ErrorKind::UpstreamRefused;
    let (status, body) = encode(&error);
    assert!(status.is_server_error() && &body[..] != b"{\"error\":1}");
}
