//! The key a caller shows: in any of the forms, on any path.

use actix_web::http::header::{AUTHORIZATION, HeaderMap, SEC_WEBSOCKET_PROTOCOL};

/// Finds the key: `Authorization: Bearer`, `x-api-key`, `x-goog-api-key`, `?key=`, a WebSocket's protocol, in this
/// order.
pub fn key(headers: &HeaderMap, query: &str) -> Option<String> {
    bearer(headers)
        .or_else(|| header(headers, "x-api-key"))
        .or_else(|| header(headers, "x-goog-api-key"))
        .or_else(|| parameter(query))
        .or_else(|| protocol(headers))
}

/// As browsers must say it, which cannot set headers on a WebSocket.
const KEY_PROTOCOL: &str = "openai-insecure-api-key.";

fn protocol(headers: &HeaderMap) -> Option<String> {
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).filter_map(|it| it.to_str().ok());
    let mut keys = offered.flat_map(|it| it.split(',')).filter_map(|it| it.trim().strip_prefix(KEY_PROTOCOL));
    keys.find(|it| !it.is_empty()).map(str::to_owned)
}

/// Whether the caller writes as Anthropic's clients do.
pub fn is_anthropic(headers: &HeaderMap) -> bool {
    headers.contains_key("anthropic-version")
        || (headers.contains_key("x-api-key") && !headers.contains_key(AUTHORIZATION))
}

/// Whether the caller writes as Google's clients do.
pub fn is_gemini(headers: &HeaderMap) -> bool {
    headers.contains_key("x-goog-api-key") || headers.contains_key("x-goog-api-client")
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = text.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !key.trim().is_empty()).then(|| key.trim().to_owned())
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn parameter(query: &str) -> Option<String> {
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, value)| name == "key" && !value.is_empty())
        .map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        headers
    }

    #[test]
    fn a_key_is_found_in_every_form() {
        assert_eq!(key(&headers("authorization", "Bearer abc"), "").as_deref(), Some("abc"));
        assert_eq!(key(&headers("authorization", "bearer  abc "), "").as_deref(), Some("abc"));
        assert_eq!(key(&headers("x-api-key", "abc"), "").as_deref(), Some("abc"));
        assert_eq!(key(&headers("x-goog-api-key", "abc"), "").as_deref(), Some("abc"));
        assert_eq!(key(&HeaderMap::new(), "alt=sse&key=a%2Bc").as_deref(), Some("a+c"));
        let protocols = headers(
            "sec-websocket-protocol",
            "realtime, openai-insecure-api-key.abc, openai-beta.realtime-v1",
        );
        assert_eq!(key(&protocols, "").as_deref(), Some("abc"));
    }

    #[test]
    fn what_is_no_key_is_none() {
        assert_eq!(key(&headers("authorization", "Basic abc"), ""), None);
        assert_eq!(key(&headers("authorization", "Bearer "), "key="), None);
    }
}
