//! Edits of a request's bytes: what is not edited stays as it came, to the byte.

use std::ops::Range;

use bytes::Bytes;

use crate::{
    catalog::UpstreamModel,
    dialect::{
        DialectId, Pieces,
        pieces::{SHARED, Writer},
        scan::{Field, Scan, ValueKind},
    },
};

/// What a Chat upstream is told of usage in streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncludeUsage {
    /// It is always asked for: the gateway needs it, whether the client does or not.
    Ask,
    /// The upstream does not know `stream_options`: it gets none.
    Never,
}

/// A piece of the body and what stands there instead.
struct Edit {
    span: Range<usize>,
    text: Vec<u8>,
}

/// Whether a body cannot pass as it is: two equal keys would be read by the upstream in its own way.
pub fn needs_canonical(scan: &Scan) -> bool {
    !scan.duplicates().is_empty()
}

/// Makes the upstream's request of the client's: `model` is replaced, a byte order mark and lone surrogates go, and for
/// Chat `stream_options` is set right. What is long and not edited shares the body's memory.
///
/// `scan` is the body's; bodies that `needs_canonical` must not come here.
pub fn splice(
    dialect: DialectId,
    body: &Bytes,
    scan: &Scan,
    model: &UpstreamModel,
    include_usage: IncludeUsage,
) -> Pieces {
    let mut edits = Vec::new();
    if scan.object_span().start > 0 && body.starts_with(b"\xEF\xBB\xBF") {
        edits.push(Edit { span: 0..3, text: Vec::new() });
    }
    // Gemini's model is in the path; one in the body is the client's affair.
    if dialect != DialectId::Gemini {
        edits.extend(replaced_model(body, scan, model));
    }
    if dialect == DialectId::OpenaiChat {
        edits.extend(stream_options(body, scan, include_usage));
    }
    for span in scan.lone_surrogates() {
        let covered = edits.iter().any(|it| it.span.start < span.end && span.start < it.span.end);
        if !covered {
            edits.push(Edit { span: span.clone(), text: br"\ufffd".to_vec() });
        }
    }
    apply(body, edits)
}

/// Makes the upstream's request of one that is not a conversation: `model` is replaced, or written if it is not there.
pub fn rename(body: &Bytes, scan: &Scan, model: &UpstreamModel) -> Pieces {
    if scan.span("model").is_some() {
        // No dialect beside Chat has anything else to be set right.
        return splice(DialectId::OpenaiResponses, body, scan, model, IncludeUsage::Never);
    }
    let at = scan.object_span().start + 1;
    let comma: &[u8] = if scan.fields().is_empty() { b"" } else { b"," };
    let text = [b"\"model\":", &*quoted(model.as_str()), comma].concat();
    apply(body, vec![Edit { span: at..at, text }])
}

fn replaced_model(body: &[u8], scan: &Scan, model: &UpstreamModel) -> Option<Edit> {
    let place = scan.span("model")?;
    let text = quoted(model.as_str());
    (body[place.clone()] != text).then_some(Edit { span: place, text })
}

/// A name as a JSON string.
fn quoted(name: &str) -> Vec<u8> {
    serde_json::Value::from(name).to_string().into_bytes()
}

fn stream_options(body: &[u8], scan: &Scan, include_usage: IncludeUsage) -> Vec<Edit> {
    let streams = matches!(scan.bool(body, "stream"), Ok(Some(true)));
    match (scan.field("stream_options"), streams && include_usage == IncludeUsage::Ask) {
        (None, false) => Vec::new(),
        (Some(field), false) => vec![removal(body, field)],
        (None, true) => {
            let after = scan.span("stream").map_or(scan.object_span().start + 1, |it| it.end);
            vec![Edit { span: after..after, text: br#","stream_options":{"include_usage":true}"#.to_vec() }]
        }
        (Some(field), true) if field.kind == ValueKind::Null => {
            vec![Edit { span: field.value.clone(), text: br#"{"include_usage":true}"#.to_vec() }]
        }
        (Some(_), true) => asked_in_options(body, scan),
    }
}

/// Sets `include_usage` in the options that are there. What is not an object is left for the upstream to refuse.
fn asked_in_options(body: &[u8], scan: &Scan) -> Vec<Edit> {
    let Ok(Some(options)) = scan.nested(body, "stream_options") else { return Vec::new() };
    let said: Vec<&Field> = options.fields().iter().filter(|it| it.name == "include_usage").collect();
    if said.is_empty() {
        let at = options.object_span().start + 1;
        let comma = if options.fields().is_empty() { "" } else { "," };
        return vec![Edit { span: at..at, text: format!(r#""include_usage":true{comma}"#).into_bytes() }];
    }
    said.into_iter()
        .filter(|it| &body[it.value.clone()] != b"true")
        .map(|it| Edit { span: it.value.clone(), text: b"true".to_vec() })
        .collect()
}

/// Takes a field out together with one comma, the one after it or else the one before it.
fn removal(body: &[u8], field: &Field) -> Edit {
    let is_space = |it: &u8| matches!(it, b' ' | b'\n' | b'\t' | b'\r');
    let (mut from, mut to) = (field.key.start, field.value.end);
    let space_after = body[to..].iter().take_while(|it| is_space(it)).count();
    if body.get(to + space_after) == Some(&b',') {
        to += space_after + 1;
    } else {
        let space_before = body[..from].iter().rev().take_while(|it| is_space(it)).count();
        let before = from - space_before;
        if before > 0 && body[before - 1] == b',' {
            from = before - 1;
        }
    }
    Edit { span: from..to, text: Vec::new() }
}

fn apply(body: &Bytes, mut edits: Vec<Edit>) -> Pieces {
    if edits.is_empty() {
        return body.clone().into();
    }
    edits.sort_by_key(|it| it.span.start);
    let mut writer = Writer::with_capacity(SHARED.min(body.len() + 128));
    let mut from = 0;
    for edit in edits {
        writer.share(body.slice(from..edit.span.start));
        writer.copy(&edit.text);
        from = edit.span.end;
    }
    writer.share(body.slice(from..));
    writer.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::dialect::scan::scan;

    fn spliced_as(dialect: DialectId, body: &str, include_usage: IncludeUsage) -> String {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let model = UpstreamModel::parse("up-1").unwrap();
        let spliced = splice(dialect, &body, &scan(&body).unwrap(), &model, include_usage);
        String::from_utf8(spliced.whole().to_vec()).unwrap()
    }

    fn spliced(body: &str) -> String {
        spliced_as(DialectId::OpenaiChat, body, IncludeUsage::Ask)
    }

    #[test]
    fn ec_001_bytes_other_than_the_model_are_untouched() {
        let body = r#"{ "messages":[{"role":"assistant","content":[{"signature":"Eq\/\u00e9+==","thinking":"é","type":"thinking"}]}],
 "z":1e2, "model" : "fast","a":10.0 }"#;
        assert_eq!(
            spliced_as(DialectId::AnthropicMessages, body, IncludeUsage::Ask),
            body.replace("\"fast\"", "\"up-1\"")
        );
    }

    #[test]
    fn a_model_in_the_body_of_a_dialect_that_names_it_in_the_path_is_left_alone() {
        let body = r#"{"model":"models/x", "contents":[], "generationConfig":{"model":"y"}}"#;
        assert_eq!(spliced_as(DialectId::Gemini, body, IncludeUsage::Ask), body);
    }

    #[test]
    fn a_body_without_edits_is_not_copied() {
        let body = Bytes::from_static(br#"{"model":"up-1"}"#);
        let model = UpstreamModel::parse("up-1").unwrap();
        let spliced = splice(DialectId::OpenaiChat, &body, &scan(&body).unwrap(), &model, IncludeUsage::Ask);
        assert_eq!(spliced.whole().as_ptr(), body.as_ptr());
    }

    #[test]
    fn what_is_long_and_not_edited_is_not_copied() {
        let body = Bytes::from(format!(r#"{{"model":"m","messages":["{}"]}}"#, "x".repeat(SHARED)));
        let model = UpstreamModel::parse("up-1").unwrap();
        let spliced = splice(DialectId::OpenaiChat, &body, &scan(&body).unwrap(), &model, IncludeUsage::Ask);
        let pieces: Vec<&[u8]> = spliced.iter().map(|it| &it[..]).collect();
        assert_eq!(pieces, [&br#"{"model":"up-1""#[..], &body[12..]]);
        assert_eq!(pieces[1].as_ptr(), body[12..].as_ptr());
    }

    #[test]
    fn ec_049_usage_is_asked_for_in_streams() {
        for (body, expected) in [
            (r#"{"stream":true}"#, r#"{"stream":true,"stream_options":{"include_usage":true}}"#),
            (
                r#"{"stream":true,"stream_options":null}"#,
                r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"stream_options":{},"stream":true}"#,
                r#"{"stream_options":{"include_usage":true},"stream":true}"#,
            ),
            (
                r#"{"stream":true,"stream_options":{"x":[1]}}"#,
                r#"{"stream":true,"stream_options":{"include_usage":true,"x":[1]}}"#,
            ),
            (
                r#"{"stream":true,"stream_options":{ "include_usage": false, "x":1}}"#,
                r#"{"stream":true,"stream_options":{ "include_usage": true, "x":1}}"#,
            ),
        ] {
            assert_eq!(spliced(body), expected);
        }
    }

    #[test]
    fn ec_205_stream_options_without_a_stream_are_removed() {
        for (body, expected) in [
            (r#"{"stream":false,"stream_options":{"include_usage":true}}"#, r#"{"stream":false}"#),
            (r#"{"stream_options":null , "a":1}"#, r#"{ "a":1}"#),
            (r#"{"stream_options":{}}"#, "{}"),
            (r#"{"a":1, "stream_options":{} ,"b":2}"#, r#"{"a":1, "b":2}"#),
        ] {
            assert_eq!(spliced(body), expected);
        }
    }

    #[test]
    fn an_upstream_that_knows_no_stream_options_gets_none() {
        let body = r#"{"stream":true,"stream_options":{"include_usage":true}}"#;
        assert_eq!(spliced_as(DialectId::OpenaiChat, body, IncludeUsage::Never), r#"{"stream":true}"#);
        assert_eq!(spliced_as(DialectId::AnthropicMessages, body, IncludeUsage::Never), body);
    }

    #[test]
    fn ec_117_lone_surrogates_and_a_byte_order_mark_are_replaced() {
        assert_eq!(
            spliced("\u{FEFF}{\"model\":\"a\\ud83d\",\"b\":\"x\\udc00\\ud83d\\ude00\"}"),
            "{\"model\":\"up-1\",\"b\":\"x\\ufffd\\ud83d\\ude00\"}"
        );
    }

    #[test]
    fn ec_144_a_body_with_duplicate_keys_cannot_pass() {
        assert!(needs_canonical(&scan(br#"{"a":1,"a":2}"#).unwrap()));
        assert!(!needs_canonical(&scan(br#"{"a":1,"b":{"a":2}}"#).unwrap()));
    }

    #[test]
    fn a_body_without_a_model_gets_one() {
        let renamed = |body: &'static str| {
            let body = Bytes::from_static(body.as_bytes());
            let model = UpstreamModel::parse("up-1").unwrap();
            String::from_utf8(rename(&body, &scan(&body).unwrap(), &model).whole().to_vec()).unwrap()
        };
        assert_eq!(renamed(r#" {"input":"a"}"#), r#" {"model":"up-1","input":"a"}"#);
        assert_eq!(renamed("{}"), r#"{"model":"up-1"}"#);
        let body = r#"{"stream_options":{},"model":"x"}"#;
        assert_eq!(renamed(body), body.replace("\"x\"", "\"up-1\""));
    }

    proptest! {
        #[test]
        fn a_spliced_body_differs_in_what_is_spliced_alone(
            text in any::<String>(),
            streams in prop::option::of(any::<bool>()),
            options in prop_oneof![Just(None), Just(Some(json!(null))), Just(Some(json!({}))), Just(Some(json!({"include_usage": false, "é": 1})))],
            pretty in any::<bool>(),
            options_first in any::<bool>(),
        ) {
            let mut request = serde_json::Map::new();
            if options_first { options.clone().map(|it| request.insert("stream_options".into(), it)); }
            request.insert("messages".into(), json!([text]));
            streams.map(|it| request.insert("stream".into(), it.into()));
            request.insert("model".into(), json!(text));
            if !options_first { options.clone().map(|it| request.insert("stream_options".into(), it)); }
            let request = Value::Object(request);
            let body = if pretty { serde_json::to_string_pretty(&request) } else { serde_json::to_string(&request) }.unwrap();
            let result: Value = serde_json::from_str(&spliced(&body)).unwrap();

            let mut expected = request;
            expected["model"] = json!("up-1");
            if streams == Some(true) {
                let mut asked = options.filter(Value::is_object).unwrap_or_else(|| json!({}));
                asked["include_usage"] = json!(true);
                expected["stream_options"] = asked;
            } else if let Some(it) = expected.as_object_mut() {
                it.shift_remove("stream_options");
            }
            prop_assert_eq!(result, expected);
        }
    }
}
