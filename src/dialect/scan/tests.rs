use proptest::prelude::*;
use serde_json::Value;

use super::*;

const BODY: &[u8] = br#" {"model" : "gpt-5", "stream":true, "max_tokens": 10.0, "n": -1,
  "stream_options": {"include_usage": false, "x": [1, {"model": 2}]}, "a\u0062": "q\"\ud83d\ude00\n", "stop": null} "#;

#[test]
fn fields_of_the_outermost_object_are_found() {
    let scan = scan(BODY).unwrap();
    assert_eq!(scan.string(BODY, "model").unwrap().as_deref(), Some("gpt-5"));
    assert!(matches!(scan.string(BODY, "model").unwrap(), Some(Cow::Borrowed(_))));
    assert_eq!(scan.bool(BODY, "stream").unwrap(), Some(true));
    assert_eq!(scan.count(BODY, "max_tokens").unwrap(), Some(10));
    assert_eq!(scan.string(BODY, "ab").unwrap().as_deref(), Some("q\"😀\n"));
    assert_eq!(scan.kind("stop"), Some(ValueKind::Null));
    assert_eq!(scan.string(BODY, "stop").unwrap(), None);
    assert_eq!(scan.kind("none"), None);
    assert_eq!(&BODY[scan.span("stream").unwrap()], b"true");
    assert!(scan.duplicates().is_empty());
}

#[test]
fn a_field_of_another_type_is_named() {
    let scan = scan(BODY).unwrap();
    let error = scan.bool(BODY, "model").unwrap_err();
    assert_eq!(
        (error.at.as_str(), error.message.as_str()),
        ("/model", "`model` must be a boolean, not a string")
    );
    assert_eq!(scan.count(BODY, "n").unwrap_err().at, "/n");
}

#[test]
fn one_object_deeper_is_read_with_places_in_the_whole_body() {
    let options = scan(BODY).unwrap().nested(BODY, "stream_options").unwrap().unwrap();
    assert_eq!(options.bool(BODY, "include_usage").unwrap(), Some(false));
    assert_eq!(&BODY[options.span("include_usage").unwrap()], b"false");
    assert_eq!(options.string(BODY, "x").unwrap_err().at, "/stream_options/x");
    assert!(scan(BODY).unwrap().nested(BODY, "stop").unwrap().is_none());
}

#[test]
fn ec_144_duplicate_keys_are_told_and_the_last_counts() {
    let body = br#"{"model":"a","mode\u006c":"b","x":{"y":1,"y":2}}"#;
    let scan = scan(body).unwrap();
    assert_eq!(scan.duplicates(), ["model"]);
    assert_eq!(scan.string(body, "model").unwrap().as_deref(), Some("b"));
}

#[test]
fn ec_117_lone_surrogates_are_found_and_read_as_a_replacement() {
    let body = br#"{"a":"x\ud83dy","b":["\udc00\ud83d\ude00\ud83d\u0041"]}"#;
    let scan = scan(body).unwrap();
    let found: Vec<&[u8]> = scan.lone_surrogates().iter().map(|it| &body[it.clone()]).collect();
    assert_eq!(found, [br"\ud83d", br"\udc00", br"\ud83d"]);
    assert_eq!(scan.string(body, "a").unwrap().as_deref(), Some("x\u{FFFD}y"));
}

#[test]
fn ec_190_what_is_nested_too_deeply_is_refused() {
    let nested = |depth: usize| {
        [b"{\"a\":".to_vec(), vec![b'['; depth - 1], vec![b']'; depth - 1], b"}".to_vec()].concat()
    };
    assert!(scan(&nested(MAX_DEPTH)).is_ok());
    assert!(serde_json::from_slice::<Value>(&nested(MAX_DEPTH)).is_ok());
    assert!(scan(&nested(MAX_DEPTH + 1)).unwrap_err().message.contains("nested too deeply"));
    assert!(serde_json::from_slice::<Value>(&nested(MAX_DEPTH + 1)).is_err());
    assert!(scan(&nested(5_000_000)).is_err());
}

#[test]
fn a_fault_is_told_by_its_place_and_not_by_its_content() {
    let told = |body: &[u8]| scan(body).unwrap_err().message;
    assert_eq!(
        told(b"{\"a\": secret}"),
        "the body is not valid JSON: a value is expected, at line 1 column 7"
    );
    assert_eq!(told(b"{\n \"a\" 1}"), "the body is not valid JSON: a colon is expected, at line 2 column 6");
    assert_eq!(told(b"{\"a\":\"b"), "the body is not valid JSON: it ends too early, at line 1 column 8");
    assert_eq!(told(b"{\"a\":\"\xFF\"}"), "the body is not valid UTF-8 at byte 6");
    assert_eq!(told(b"[1]"), "the body must be an object, not an array");
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let body = b"\xEF\xBB\xBF{\"a\":1}";
    assert_eq!(&body[scan(body).unwrap().span("a").unwrap()], b"1");
}

/// JSON values with awkward strings and numbers.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z\"\\\\\u{0}-\u{1f}é😀]{0,40}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|it| Value::Object(it.into_iter().collect())),
        ]
    })
}

/// Whether a text has lone surrogates, which we read and `serde_json` does not.
fn has_lone_surrogates(body: &[u8]) -> bool {
    check(body).is_ok_and(|it| !it.is_empty())
}

proptest! {
    #[test]
    fn spans_hold_the_values_that_a_parser_finds(value in json(), pretty in any::<bool>()) {
        let body = serde_json::json!({ "first": value, "é\n": value, "last": [value] });
        let text = if pretty { serde_json::to_vec_pretty(&body) } else { serde_json::to_vec(&body) }.unwrap();
        let scan = scan(&text).unwrap();
        for (key, expected) in body.as_object().unwrap() {
            let found: Value = serde_json::from_slice(&text[scan.span(key).unwrap()]).unwrap();
            prop_assert_eq!(&found, expected);
        }
        prop_assert_eq!(scan.fields().len(), 3);
    }

    #[test]
    fn a_string_reads_as_a_parser_reads_it(text in any::<String>()) {
        let body = serde_json::to_vec(&serde_json::json!({ "a": text })).unwrap();
        prop_assert_eq!(scan(&body).unwrap().string(&body, "a").unwrap().unwrap(), text);
    }

    #[test]
    fn it_accepts_what_a_parser_accepts(
        text in r#"([\{\}\[\],:"]|"[a\\u0-9]{0,7}"|"a"|true|false|null|nul|-?[0-9]{1,3}|[0-9]?\.?[0-9]?[eE]?[+-]?[0-9]?|[ \n\t])*"#,
    ) {
        let ours = check(text.as_bytes()).is_ok();
        let theirs = serde_json::from_str::<Value>(&text).is_ok();
        prop_assert!(ours == theirs || has_lone_surrogates(text.as_bytes()), "{text:?}: {ours} {theirs}");
    }

    #[test]
    fn a_changed_byte_is_judged_as_a_parser_judges_it(
        value in json(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut text = serde_json::to_vec(&value).unwrap();
        let at = at.index(text.len());
        text[at] = byte;
        let ours = check(&text).is_ok();
        let theirs = serde_json::from_slice::<Value>(&text).is_ok();
        prop_assert!(ours == theirs || has_lone_surrogates(&text), "{:?}", String::from_utf8_lossy(&text));
    }

    #[test]
    fn a_text_that_is_cut_is_never_whole(value in json(), at in any::<prop::sample::Index>()) {
        let text = serde_json::to_vec(&serde_json::json!({ "a": value })).unwrap();
        prop_assert!(scan(&text[..at.index(text.len())]).is_err());
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(check(&bytes).is_ok() == serde_json::from_slice::<Value>(&bytes).is_ok() || has_lone_surrogates(&bytes));
    }
}

#[test]
fn a_key_that_the_parser_takes_for_its_own_is_refused() {
    for body in [
        r#"{"a": {"$serde_json::private::RawValue": "[]"}}"#,
        r#"{"a": [{"\u0024serde_json::private::Number": "1"}]}"#,
    ] {
        let error = scan(body.as_bytes()).unwrap_err();
        assert!(error.message.contains("not allowed"), "{}", error.message);
    }
}
