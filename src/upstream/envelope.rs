//! What some providers want of a dialect's body beside what the dialect says.

use bytes::Bytes;
use serde_json::Value;

use super::kind::Envelope;
use crate::dialect::Pieces;

/// Makes of a dialect's body what the provider takes. A body it need not change is not copied.
pub(super) fn wrap(envelope: Envelope, body: Pieces) -> Pieces {
    match envelope {
        Envelope::Plain => body,
        Envelope::WithoutCallIds => without_call_ids(&body).map_or(body, Into::into),
    }
}

/// Takes the ids out of Gemini's calls and results; `None`: there is none. Both spellings, since protobuf's JSON has both.
fn without_call_ids(body: &Pieces) -> Option<Bytes> {
    const HOLDERS: [&str; 4] = ["functionCall", "function_call", "functionResponse", "function_response"];
    // Most bodies have none, and are long: they are not parsed.
    let has = |piece: &Bytes, it: &str| memchr::memmem::find(piece, it.as_bytes()).is_some();
    if !HOLDERS.iter().any(|holder| body.iter().any(|it| has(it, holder))) {
        return None;
    }
    let mut value: Value = serde_json::from_slice(&body.whole()).ok()?;
    let contents = match value.get_mut("contents")? {
        Value::Array(list) => list.as_mut_slice(),
        one => std::slice::from_mut(one),
    };
    let parts = contents.iter_mut().filter_map(|it| match it.get_mut("parts")? {
        Value::Array(list) => Some(list.as_mut_slice()),
        one => Some(std::slice::from_mut(one)),
    });
    let mut found = false;
    for part in parts.flatten() {
        for holder in HOLDERS {
            let fields = part.get_mut(holder).and_then(Value::as_object_mut);
            found |= fields.is_some_and(|it| it.shift_remove("id").is_some());
        }
    }
    found.then(|| Bytes::from(value.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(body: &str) -> String {
        let body = wrap(Envelope::WithoutCallIds, Bytes::copy_from_slice(body.as_bytes()).into());
        String::from_utf8(body.whole().to_vec()).unwrap()
    }

    #[test]
    fn ec_154_vertex_gets_no_ids_of_calls() {
        let body = r#"{"contents":[{"role":"model","parts":[{"thoughtSignature":"c2ln","functionCall":{"id":"c1","name":"f","args":{"id":1.0}}}]},{"role":"user","parts":[{"function_response":{"id":"c1","name":"f","response":{"id":"kept"}}},{"text":"functionCall"}]}]}"#;
        let expected = r#"{"contents":[{"role":"model","parts":[{"thoughtSignature":"c2ln","functionCall":{"name":"f","args":{"id":1.0}}}]},{"role":"user","parts":[{"function_response":{"name":"f","response":{"id":"kept"}}},{"text":"functionCall"}]}]}"#;
        assert_eq!(sent(body), expected);
        assert_eq!(sent(expected), expected);
    }

    #[test]
    fn a_body_without_such_ids_stays_as_it_is() {
        for body in [
            r#"{ "contents" : [] }"#,
            r#"{ "contents":{"parts":{"functionCall":{"name":"f"}}} }"#,
            "functionCall, but no JSON",
        ] {
            assert_eq!(sent(body), body);
        }
        assert_eq!(
            sent(r#"{"contents":{"parts":{"functionCall":{"id":"1","name":"f"}}}}"#),
            r#"{"contents":{"parts":{"functionCall":{"name":"f"}}}}"#
        );
        let body = Bytes::from_static(br#"{"contents":[{"parts":[{"functionCall":{"id":"1"}}]}]}"#);
        assert_eq!(wrap(Envelope::Plain, body.clone().into()).whole(), body);
    }
}
