use proptest::prelude::*;

use super::*;
use crate::kernel::error::OriginalError;

fn body_of(error: &GatewayError) -> (u16, Value) {
    let (status, body) = encode(error, DialectId::OpenaiChat);
    (status.as_u16(), serde_json::from_slice(&body).unwrap())
}

fn read_of(status: u16, body: &str) -> WireError {
    decode(StatusCode::from_u16(status).unwrap(), body.as_bytes())
}

#[test]
fn ec_034_every_kind_is_told_in_openais_shape() {
    for kind in ErrorKind::ALL {
        let (status, body) = body_of(&GatewayError::new(kind, "no"));
        assert!((400..600).contains(&status), "{kind:?}");
        assert_eq!(body["error"]["message"], "no");
        assert!(body["error"]["type"].is_string());
        assert!(body["error"].get("param").is_some() && body["error"].get("code").is_some());
    }
}

#[test]
fn ec_083_an_overload_is_503() {
    let error = GatewayError { status: Some(529), ..GatewayError::new(ErrorKind::Overloaded, "busy") };
    assert_eq!(body_of(&error).0, 503);
}

#[test]
fn ec_084_a_refused_credential_of_ours_is_not_the_clients() {
    let original =
        OriginalError { dialect: "openai-chat", status: 401, body: Bytes::from_static(b"{\"error\":{}}") };
    let error =
        GatewayError { original: Some(original), ..GatewayError::new(ErrorKind::UpstreamRefused, "no") };
    assert_eq!(body_of(&error).0, 502);
}

#[test]
fn an_error_of_the_same_dialect_is_passed_on_untouched() {
    let body = Bytes::from_static(b"{\"error\": {\"message\":\"x\", \"own\": 1}}");
    let original = OriginalError { dialect: "openai-chat", status: 422, body: body.clone() };
    let error = GatewayError { original: Some(original), ..GatewayError::new(ErrorKind::BadRequest, "y") };
    assert_eq!(encode(&error, DialectId::OpenaiChat), (StatusCode::UNPROCESSABLE_ENTITY, body));
}

#[test]
fn a_pointer_is_told_in_openais_style() {
    assert_eq!(
        dotted("/messages/0/tool_calls/1/function~1x").as_deref(),
        Some("messages[0].tool_calls[1].function/x")
    );
    assert_eq!(dotted(""), None);
    let (_, body) = body_of(&GatewayError::new(ErrorKind::BadRequest, "no").at("/messages/0/content"));
    assert_eq!(body["error"]["param"], "messages[0].content");
}

#[test]
fn ec_035_a_prompt_that_is_too_long_is_known_by_its_words() {
    for (status, body) in [
        (400, r#"{"error":{"message":"x","type":"invalid_request_error","code":"context_length_exceeded"}}"#),
        (400, r#"{"error":{"message":"This model's maximum context length is 8192 tokens."}}"#),
        (400, r#"{"object":"error","message":"The prompt is too long: 9 > 8","code":400}"#),
        (413, r#"{"message":"Input is too long for requested model."}"#),
        (422, r#"{"detail":[{"msg":"Please reduce the length of the messages"}]}"#),
    ] {
        assert_eq!(read_of(status, body).kind, ErrorKind::ContextTooLong, "{body}");
    }
    let (status, body) = body_of(&GatewayError::new(ErrorKind::ContextTooLong, "x"));
    assert_eq!((status, &body["error"]["code"]), (400, &json!("context_length_exceeded")));
}

#[test]
fn errors_are_read_by_their_shape() {
    for (status, body, kind, message) in [
        (401, r#"{"error":{"message":"bad key"}}"#, ErrorKind::UpstreamRefused, "bad key"),
        (429, r#"{"error":{"message":"m","code":"insufficient_quota"}}"#, ErrorKind::QuotaExhausted, "m"),
        (429, r#"{"error":"slow down"}"#, ErrorKind::RateLimited, "slow down"),
        (404, r#"{"error":{"message":"m","code":"model_not_found"}}"#, ErrorKind::UnknownModel, "m"),
        (
            422,
            r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#,
            ErrorKind::BadRequest,
            "field required",
        ),
        (
            400,
            r#"[{"error":{"code":400,"message":"wrapped","status":"INVALID_ARGUMENT"}}]"#,
            ErrorKind::BadRequest,
            "wrapped",
        ),
        (200, r#"{"error":{"code":429,"message":"late"}}"#, ErrorKind::RateLimited, "late"),
        (503, r#"{"detail":"loading"}"#, ErrorKind::Overloaded, "loading"),
        (
            529,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"o"}}"#,
            ErrorKind::Overloaded,
            "o",
        ),
        (500, r#"{"message":"boom"}"#, ErrorKind::UpstreamFailed, "boom"),
    ] {
        let error = read_of(status, body);
        assert_eq!((error.kind, error.message.as_str()), (kind, message), "{body}");
    }
}

#[test]
fn ec_081_a_body_that_is_no_json_is_still_an_error() {
    let html = read_of(502, "<html><head></head><body><h1>502 Bad Gateway</h1></body></html>");
    assert_eq!((html.kind, html.message.as_str()), (ErrorKind::UpstreamFailed, "502 Bad Gateway"));
    let empty = read_of(504, "");
    assert_eq!(empty.kind, ErrorKind::Timeout);
    assert!(empty.message.contains("504"));
}

proptest! {
    #[test]
    fn no_body_panics(status in 100..1000_u16, body in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = decode(StatusCode::from_u16(status).unwrap(), &body);
    }
}
