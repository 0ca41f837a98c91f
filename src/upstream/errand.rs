//! Requests beside answers: the client's own body, of whatever type, to wherever the kind has the operation.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri,
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};
use secrecy::ExposeSecret as _;

use super::{Operation, PrepareError, Upstream, endpoint::segment, headers};
use crate::{catalog::UpstreamModel, credential::Credential, kernel::id::AttemptId};

/// One such request. It has no `Debug` form: its address may hold what people wrote.
pub struct Errand<'a> {
    pub operation: Operation,
    pub method: Method,
    pub model: &'a UpstreamModel,
    /// What follows the operation's path: an object's id, what is to be done with it.
    pub tail: &'a [&'a str],
    pub query: &'a [(String, String)],
    /// Absent: there is no body.
    pub content_type: Option<&'a str>,
    /// Of the body, if it is known and the body is sent as it comes.
    pub length: Option<u64>,
    /// Whether the answer is to come as it is made: a compressor would hold it back.
    pub streaming: bool,
    pub credential: &'a Credential,
    pub client_headers: &'a HeaderMap,
    pub attempt: AttemptId,
}

impl Upstream {
    /// Makes the request but for its body. Pure: the same errand always gives the same request.
    pub fn errand(&self, errand: &Errand<'_>) -> Result<Request<()>, PrepareError> {
        let uri = self
            .endpoint
            .uri(self.kind, errand.operation, errand.model)
            .ok_or(PrepareError::NoOperation(errand.operation))?
            .map_err(|_| PrepareError::Address)?;
        let mut headers = HeaderMap::with_capacity(16);
        headers::describe(&mut headers, false, errand.streaming);
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers::copy_allowed(self.kind, errand.client_headers, &mut headers);
        for name in self.headers.keys() {
            headers.remove(name);
        }
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        headers::merge_betas(self.kind, errand.client_headers, &[], &self.denied_betas, &mut headers);
        if let Some(kind) = errand.content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::try_from(kind).map_err(|_| PrepareError::ContentType)?);
        }
        if let Some(length) = errand.length {
            headers.insert(CONTENT_LENGTH, length.into());
        }
        if errand.streaming {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        if let Some(name) = self.kind.attempt_header
            && let Ok(value) = HeaderValue::try_from(errand.attempt.to_string())
        {
            headers.insert(HeaderName::from_static(name), value);
        }
        headers::authenticate(self.auth, errand.credential.secret.expose_secret(), &mut headers)?;
        let mut request = Request::new(());
        *request.method_mut() = errand.method.clone();
        *request.uri_mut() = below(&uri, errand.tail, errand.query)?;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

/// The address with further segments and query fields, each of which stays one.
fn below(uri: &Uri, tail: &[&str], query: &[(String, String)]) -> Result<Uri, PrepareError> {
    if tail.is_empty() && query.is_empty() {
        return Ok(uri.clone());
    }
    let mut target = uri.path().to_owned();
    for it in tail {
        // A segment of dots would climb, however it is written.
        if it.is_empty() || it.bytes().all(|it| it == b'.') {
            return Err(PrepareError::Address);
        }
        target.push('/');
        target.push_str(&segment(it));
    }
    let fields = query.iter().map(|(name, value)| format!("{}={}", segment(name), segment(value)));
    let fields: Vec<String> = uri.query().map(str::to_owned).into_iter().chain(fields).collect();
    if !fields.is_empty() {
        target.push('?');
        target.push_str(&fields.join("&"));
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(target.parse().map_err(|_| PrepareError::Address)?);
    Uri::from_parts(parts).map_err(|_| PrepareError::Address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(uri: &str, tail: &[&str], query: &[(&str, &str)]) -> Result<String, PrepareError> {
        let query: Vec<_> = query.iter().map(|(name, it)| ((*name).to_owned(), (*it).to_owned())).collect();
        below(&uri.parse().unwrap(), tail, &query).map(|it| it.to_string())
    }

    #[test]
    fn an_objects_id_stays_one_segment() {
        assert_eq!(
            joined("https://h/v1/files", &["file-1", "content"], &[]).unwrap(),
            "https://h/v1/files/file-1/content"
        );
        assert_eq!(
            joined("https://h/v1/files", &["a/../b?c"], &[]).unwrap(),
            "https://h/v1/files/a%2F..%2Fb%3Fc"
        );
        for climbing in ["..", ".", ""] {
            assert_eq!(joined("https://h/v1/files", &[climbing], &[]), Err(PrepareError::Address));
        }
    }

    #[test]
    fn query_fields_are_added_to_those_of_the_base() {
        assert_eq!(
            joined("https://h/v1/files?k=1", &[], &[("after", "a&b"), ("limit", "2")]).unwrap(),
            "https://h/v1/files?k=1&after=a%26b&limit=2"
        );
    }
}
