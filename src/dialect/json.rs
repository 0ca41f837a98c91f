//! Reading JSON that real clients send: a BOM, lone surrogates, bad UTF-8.

use std::borrow::Cow;

use serde_json::Value;

use super::{DecodeError, scan};

/// Parses a whole body. Of two equal keys the last wins; half of a UTF-16 pair is read as U+FFFD; what is not UTF-8, not
/// JSON, or nested deeper than `scan::MAX_DEPTH` is an error that says where and repeats nothing of the body.
pub fn parse(body: &[u8]) -> Result<Value, DecodeError> {
    let text = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    match serde_json::from_slice(text) {
        Ok(value) => Ok(value),
        Err(_) => repaired(body),
    }
}

/// Parses what the parser refused, if lone surrogates were the only reason; otherwise says what the reason is.
fn repaired(body: &[u8]) -> Result<Value, DecodeError> {
    let text = without_lone_surrogates(body)?;
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&text);
    serde_json::from_slice(text).map_err(|_| DecodeError::new("", "the body is not valid JSON"))
}

/// Replaces each escape that is half of a UTF-16 pair by that of U+FFFD.
pub fn without_lone_surrogates(body: &[u8]) -> Result<Cow<'_, [u8]>, DecodeError> {
    let spans = scan::check(body)?;
    if spans.is_empty() {
        return Ok(Cow::Borrowed(body));
    }
    let mut text = body.to_vec();
    for span in spans {
        text[span].copy_from_slice(br"\ufffd");
    }
    Ok(Cow::Owned(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        assert_eq!(parse(b"\xEF\xBB\xBF{\"a\":1}").unwrap(), json!({ "a": 1 }));
    }

    #[test]
    fn numbers_keep_their_text() {
        let text = r#"{"a":9007199254740993,"b":1e400,"c":10.0}"#;
        assert_eq!(parse(text.as_bytes()).unwrap().to_string(), text.replace("1e400", "1e+400"));
    }

    #[test]
    fn bad_utf8_is_told_by_its_place() {
        assert_eq!(parse(b"{\"a\":\"\xC3\"}").unwrap_err().message, "the body is not valid UTF-8 at byte 6");
    }

    #[test]
    fn ec_117_a_lone_surrogate_becomes_a_replacement_character() {
        let value = parse(br#"{"a":"\ud83d x","\udc00":"\ud83d\ude00"}"#).unwrap();
        assert_eq!(value, json!({ "a": "\u{FFFD} x", "\u{FFFD}": "😀" }));
    }

    #[test]
    fn ec_144_of_two_equal_keys_the_last_wins() {
        assert_eq!(parse(br#"{"a":1,"b":2,"a":3}"#).unwrap().to_string(), r#"{"a":3,"b":2}"#);
    }

    #[test]
    fn ec_190_a_bomb_of_brackets_is_refused() {
        let error = parse("[".repeat(1_000_000).as_bytes()).unwrap_err();
        assert!(error.message.contains("nested too deeply"), "{}", error.message);
    }

    #[test]
    fn an_error_repeats_nothing_of_the_body() {
        for body in
            [&br#"{"key": sk-secret}"#[..], br#"{"sk-secret" "x"}"#, br#"{"a":"sk-secret"#, b"sk-secret"]
        {
            let message = parse(body).unwrap_err().message;
            assert!(message.contains("line 1 column") && !message.contains("secret"), "{message}");
        }
    }
}
