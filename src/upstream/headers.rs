//! Which headers go upstream, and which come back to the client.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, USER_AGENT},
};

use super::{
    PrepareError,
    kind::{AuthScheme, UpstreamKind},
};

/// What we call ourselves.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("dragoman/", env!("CARGO_PKG_VERSION")));

/// Where Anthropic is told which unreleased features a request uses: a list with commas.
const BETA: HeaderName = HeaderName::from_static("anthropic-beta");

/// The headers that say what is sent and what is wanted back.
pub(super) fn describe(headers: &mut HeaderMap, has_body: bool, streaming: bool) {
    if has_body {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if streaming {
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        // A compressor between us would hold events back.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    } else {
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    }
    headers.insert(USER_AGENT, AGENT);
}

/// Copies what the kind sends always, then what it lets clients say.
pub(super) fn copy_allowed(kind: &UpstreamKind, client: &HeaderMap, headers: &mut HeaderMap) {
    for (name, value) in kind.headers {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    for name in kind.client_headers {
        let name = HeaderName::from_static(name);
        if name == BETA {
            continue;
        }
        for (index, value) in client.get_all(&name).iter().enumerate() {
            if index == 0 {
                headers.insert(&name, value.clone());
            } else {
                headers.append(&name, value.clone());
            }
        }
    }
}

/// Joins the client's betas, the encoder's and those set already (the operator's), each once, without the denied ones.
pub(super) fn merge_betas(
    kind: &UpstreamKind,
    client: &HeaderMap,
    betas: &[String],
    denied: &[String],
    headers: &mut HeaderMap,
) {
    let from_client = client.get_all(BETA).iter().filter(|_| kind.client_headers.contains(&BETA.as_str()));
    let own = headers.remove(BETA);
    let mut merged: Vec<&str> = Vec::new();
    let listed = from_client.chain(&own).filter_map(|it| it.to_str().ok()).flat_map(|it| it.split(','));
    for beta in listed.chain(betas.iter().map(String::as_str)).map(str::trim) {
        if !beta.is_empty() && !merged.contains(&beta) && !denied.iter().any(|it| it == beta) {
            merged.push(beta);
        }
    }
    if !merged.is_empty()
        && let Ok(value) = merged.join(",").try_into()
    {
        headers.insert(BETA, value);
    }
}

/// Puts the secret on, marked so that nobody prints it.
pub(super) fn authenticate(
    scheme: AuthScheme,
    secret: &str,
    headers: &mut HeaderMap,
) -> Result<(), PrepareError> {
    let (name, text) = match scheme {
        AuthScheme::None => return Ok(()),
        AuthScheme::BearerIfAny if secret.is_empty() => return Ok(()),
        _ if secret.is_empty() => return Err(PrepareError::NoSecret),
        AuthScheme::Bearer | AuthScheme::BearerIfAny | AuthScheme::GoogleToken => {
            (AUTHORIZATION, format!("Bearer {secret}"))
        }
        AuthScheme::AnthropicAuto if secret.starts_with("sk-ant-oat") => {
            (AUTHORIZATION, format!("Bearer {secret}"))
        }
        AuthScheme::AnthropicAuto => (HeaderName::from_static("x-api-key"), secret.to_owned()),
        AuthScheme::Header(name) => (HeaderName::from_static(name), secret.to_owned()),
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| PrepareError::UnprintableSecret)?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

/// The headers of an answer that concern the client.
pub(super) fn reply(kind: &UpstreamKind, headers: &HeaderMap) -> HeaderMap {
    let allowed = |name: &HeaderName| {
        kind.reply_headers.iter().any(|it| match it.strip_suffix('*') {
            Some(stem) => name.as_str().starts_with(stem),
            None => name == it,
        })
    };
    headers
        .iter()
        .filter(|(name, _)| allowed(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Whether a header's value is nobody's business, by its name.
pub(super) fn is_private(name: &HeaderName) -> bool {
    ["auth", "key", "token", "secret", "cookie", "password"].iter().any(|it| name.as_str().contains(it))
}
