use super::*;
use crate::kernel::error::OriginalError;

fn read(status: u16, body: &str) -> WireError {
    decode(StatusCode::from_u16(status).unwrap(), body.as_bytes())
}

fn say(error: &GatewayError) -> (u16, Value) {
    let (status, body) = encode(error, RequestId::new());
    (status.as_u16(), serde_json::from_slice(&body).unwrap())
}

#[test]
fn every_kind_has_a_legal_status_and_anthropics_shape() {
    for kind in ErrorKind::ALL {
        let (status, body) = say(&GatewayError::new(kind, "no"));
        assert!((400..600).contains(&status), "{kind:?}");
        assert_eq!(body["type"], "error");
        assert!(body["error"]["type"].is_string());
        assert!(body["error"]["message"].as_str().unwrap().contains("no"));
        assert!(body["request_id"].as_str().unwrap().starts_with("req_"));
    }
}

#[test]
fn ec_034_a_foreign_error_is_told_in_anthropics_words() {
    let mut error = GatewayError::new(ErrorKind::RateLimited, "slow down");
    let body = Bytes::from_static(b"{}");
    error.original = Some(OriginalError { dialect: "openai-chat", status: 429, body });
    let (status, body) = say(&error);
    assert_eq!((status, body["error"]["type"].as_str()), (429, Some("rate_limit_error")));
    assert_eq!(body["error"]["message"], "slow down");
}

#[test]
fn an_error_of_the_same_dialect_passes_untouched() {
    let mut error = GatewayError::new(ErrorKind::RateLimited, "x");
    let body = Bytes::from_static(br#"{"type":"error", "error":{}}"#);
    error.original = Some(OriginalError { dialect: ID.name(), status: 429, body: body.clone() });
    assert_eq!(encode(&error, RequestId::new()), (StatusCode::TOO_MANY_REQUESTS, body));
}

#[test]
fn the_place_is_written_as_anthropic_does() {
    let (_, body) =
        say(&GatewayError::new(ErrorKind::BadRequest, "`role` is missing").at("/messages/0/role"));
    assert_eq!(body["error"]["message"], "messages.0.role: `role` is missing");
}

#[test]
fn ec_035_context_errors_read_as_claude_code_expects() {
    let told = |message: &str| told(ErrorKind::ContextTooLong, message, None);
    for (said, expected) in [
        ("prompt is too long: 5 tokens > 4 maximum", "prompt is too long: 5 tokens > 4 maximum"),
        (
            "This model's maximum context length is 128000 tokens. However, you requested 130000 tokens \
             (126000 in the messages, 4000 in the completion).",
            "prompt is too long: 130000 tokens > 128000 maximum",
        ),
        (
            "input length and `max_tokens` exceed context limit: 180000 + 30000 > 200000",
            "prompt is too long: 210000 tokens > 200000 maximum",
        ),
        (
            "maximum context length is 128,000 tokens, you sent 130,500",
            "prompt is too long: 130500 tokens > 128000 maximum",
        ),
        ("the window is full", "prompt is too long: the window is full"),
    ] {
        assert_eq!(told(said), expected);
    }
}

#[test]
fn ec_035_a_clones_own_words_do_not_pass_if_they_would_not_be_understood() {
    let mut error = GatewayError::new(ErrorKind::ContextTooLong, "context length exceeded: 900 > 800");
    let body = Bytes::from_static(b"{}");
    error.original = Some(OriginalError { dialect: ID.name(), status: 400, body });
    assert_eq!(say(&error).1["error"]["message"], "prompt is too long: 900 tokens > 800 maximum");
}

#[test]
fn ec_083_overload_is_529() {
    let (status, body) = say(&GatewayError::new(ErrorKind::Overloaded, "busy"));
    assert_eq!((status, body["error"]["type"].as_str()), (529, Some("overloaded_error")));
    let busy = read(529, r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#);
    assert_eq!(busy.kind, ErrorKind::Overloaded);
}

#[test]
fn ec_084_a_refused_credential_of_ours_is_not_the_clients_401() {
    let refused =
        read(401, r#"{"type":"error","error":{"type":"authentication_error","message":"bad key"}}"#);
    assert_eq!(refused.kind, ErrorKind::UpstreamRefused);
    let mut error = GatewayError::new(refused.kind, "the upstream refused");
    error.original = Some(OriginalError { dialect: ID.name(), status: 401, body: Bytes::from_static(b"{}") });
    let (status, body) = say(&error);
    assert_eq!((status, body["error"]["type"].as_str()), (502, Some("api_error")));
}

#[test]
fn ec_081_any_shape_of_error_is_read() {
    for (status, body, kind, message) in [
        (400, r#"{"error":{"message":"bad","type":"invalid_request_error"}}"#, ErrorKind::BadRequest, "bad"),
        (500, r#"{"error":"boom"}"#, ErrorKind::UpstreamFailed, "boom"),
        (422, r#"{"detail":"no"}"#, ErrorKind::BadRequest, "no"),
        (429, r#"[{"error":{"code":429,"message":"slow"}}]"#, ErrorKind::RateLimited, "slow"),
        (502, "<html><body><h1>Bad gateway</h1></body></html>", ErrorKind::UpstreamFailed, "Bad gateway"),
        (503, "", ErrorKind::Overloaded, "the upstream answered 503: Service Unavailable"),
        (
            404,
            r#"{"error":{"type":"not_found_error","message":"model: x"}}"#,
            ErrorKind::UnknownModel,
            "model: x",
        ),
        (413, r#"{"error":{"type":"request_too_large","message":"big"}}"#, ErrorKind::TooLarge, "big"),
        (
            400,
            r#"{"error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}"#,
            ErrorKind::QuotaExhausted,
            "Your credit balance is too low",
        ),
        (
            400,
            r#"{"error":{"type":"invalid_request_error","message":"prompt is too long: 2 tokens > 1 maximum"}}"#,
            ErrorKind::ContextTooLong,
            "prompt is too long: 2 tokens > 1 maximum",
        ),
    ] {
        let error = read(status, body);
        assert_eq!((error.kind, error.message.as_str()), (kind, message), "{body}");
    }
}

#[test]
fn an_upstreams_own_words_are_kept() {
    let error = read(400, r#"{"error":{"message":"bad","type":"t","code":"c","param":"p"}}"#);
    assert_eq!(error.error_type.as_deref(), Some("t"));
    assert_eq!((error.code.as_deref(), error.param.as_deref()), (Some("c"), Some("p")));
}
