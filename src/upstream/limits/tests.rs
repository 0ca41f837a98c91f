//! Every way in which an upstream says how long to wait.

use proptest::prelude::*;

use super::*;

fn now() -> DateTime<Utc> {
    instant("2026-03-01T12:00:00Z").unwrap()
}

fn headers(rows: &[(&'static str, &str)]) -> HeaderMap {
    rows.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
}

#[test]
fn waits_are_read_in_every_form() {
    use LimitParser::{Anthropic, Generic, OpenAi};
    type Row<'a> = (LimitParser, &'a [(&'static str, &'static str)], Option<u64>);
    let rows: &[Row<'_>] = &[
        (Generic, &[("retry-after", "7")], Some(7_000)),
        (Generic, &[("retry-after", "0.25")], Some(250)),
        (Generic, &[("retry-after", "Sun, 01 Mar 2026 12:00:30 GMT")], Some(30_000)),
        (Generic, &[("retry-after", "Sun, 01 Mar 2026 11:00:00 GMT")], Some(1_000)),
        (Generic, &[("retry-after", "0")], Some(1_000)),
        (Generic, &[("retry-after", "-5")], Some(1_000)),
        (Generic, &[("retry-after", "soon")], None),
        (Generic, &[("retry-after", "99999999999999999999999")], Some(691_200_000)),
        (Generic, &[("retry-after", "Mon, 01 Mar 2027 12:00:00 GMT")], Some(691_200_000)),
        (Generic, &[("retry-after-ms", "300"), ("retry-after", "1")], Some(300)),
        (Generic, &[], None),
        (Generic, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1772366410000")], Some(10_000)),
        (Generic, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1772366420")], Some(20_000)),
        (Generic, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "15")], Some(15_000)),
        (Generic, &[("x-ratelimit-remaining", "3"), ("x-ratelimit-reset", "15")], None),
        (
            OpenAi,
            &[
                ("x-ratelimit-remaining-requests", "0"),
                ("x-ratelimit-reset-requests", "6m0s"),
                ("x-ratelimit-remaining-tokens", "12"),
                ("x-ratelimit-reset-tokens", "9h"),
            ],
            Some(360_000),
        ),
        (OpenAi, &[("retry-after", "2"), ("x-ratelimit-reset-requests", "6m0s")], Some(2_000)),
        (OpenAi, &[("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "20ms")], Some(20)),
        (
            Anthropic,
            &[
                ("anthropic-ratelimit-input-tokens-remaining", "0"),
                ("anthropic-ratelimit-input-tokens-reset", "2026-03-01T12:01:00Z"),
                ("anthropic-ratelimit-requests-remaining", "5"),
                ("anthropic-ratelimit-requests-reset", "2026-03-01T13:00:00Z"),
            ],
            Some(60_000),
        ),
        (
            Anthropic,
            &[
                ("anthropic-ratelimit-requests-remaining", "0"),
                ("anthropic-ratelimit-requests-reset", "2026-03-01T11:59:00Z"),
            ],
            Some(1_000),
        ),
    ];
    for (parser, rows, expected) in rows {
        let wait = parser.wait(&headers(rows), b"", now());
        assert_eq!(wait, expected.map(Duration::from_millis), "{rows:?}");
    }
}

#[test]
fn durations_are_read() {
    let rows = [
        ("6m0s", Some(360_000)),
        ("1.2s", Some(1_200)),
        ("20ms", Some(20)),
        ("4h51m33.9s", Some(17_493_900)),
        ("1d2h", Some(93_600_000)),
        ("12", Some(12_000)),
        ("", None),
        ("s", None),
        ("5", Some(5_000)),
        ("5x", None),
        ("1s5", None),
        ("-1s", None),
    ];
    for (text, expected) in rows {
        assert_eq!(go_duration(text), expected.map(Duration::from_millis), "{text}");
    }
}

#[test]
fn ec_082_rate_limit_headers_are_renamed() {
    use DialectId::{AnthropicMessages, OpenaiChat};
    let chat = headers(&[
        ("x-ratelimit-limit-requests", "60"),
        ("x-ratelimit-remaining-tokens", "149984"),
        ("x-ratelimit-reset-requests", "6m0s"),
        ("x-request-id", "req_1"),
        ("retry-after-ms", "1500"),
        ("openai-processing-ms", "12"),
    ]);
    let messages = translate_headers(OpenaiChat, AnthropicMessages, &chat, now());
    let expected = headers(&[
        ("anthropic-ratelimit-requests-limit", "60"),
        ("anthropic-ratelimit-tokens-remaining", "149984"),
        ("anthropic-ratelimit-requests-reset", "2026-03-01T12:06:00Z"),
        ("request-id", "req_1"),
        ("retry-after", "2"),
    ]);
    assert_eq!(messages, expected);

    let back = translate_headers(AnthropicMessages, OpenaiChat, &messages, now());
    let expected = headers(&[
        ("x-ratelimit-limit-requests", "60"),
        ("x-ratelimit-remaining-tokens", "149984"),
        ("x-ratelimit-reset-requests", "6m0s"),
        ("x-request-id", "req_1"),
        ("retry-after", "2"),
    ]);
    assert_eq!(back, expected);
    assert_eq!(translate_headers(OpenaiChat, OpenaiChat, &chat, now()), chat);
}

#[test]
fn an_unreadable_time_of_reset_is_left_out() {
    let chat = headers(&[("x-ratelimit-reset-tokens", "later")]);
    let out = translate_headers(DialectId::OpenaiChat, DialectId::AnthropicMessages, &chat, now());
    assert!(out.is_empty());
}

proptest! {
    #[test]
    fn a_duration_is_read_back_as_it_was_said(ms in 0_u64..691_200_000) {
        let wait = Duration::from_millis(ms);
        let read = go_duration(&say_duration(wait)).unwrap();
        prop_assert!(read.abs_diff(wait) < Duration::from_micros(1));
    }

    #[test]
    fn no_header_makes_a_wait_out_of_bounds(value in "[ -~]{0,24}", name in 0_usize..4) {
        let names = ["retry-after", "retry-after-ms", "x-ratelimit-reset-requests", "anthropic-ratelimit-tokens-reset"];
        let map = headers(&[
            (names[name], &value),
            ("x-ratelimit-remaining-requests", "0"),
            ("anthropic-ratelimit-tokens-remaining", "0"),
        ]);
        let detail = serde_json::json!({"@type": "google.rpc.RetryInfo", "retryDelay": value});
        let body = serde_json::json!({"error": {"details": [detail]}}).to_string();
        for parser in [LimitParser::Generic, LimitParser::OpenAi, LimitParser::Anthropic, LimitParser::Google] {
            if let Some(wait) = parser.wait(&map, body.as_bytes(), now()) {
                prop_assert!(!wait.is_zero() && wait <= LONGEST_WAIT);
            }
        }
    }
}
