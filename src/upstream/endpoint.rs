//! Where an operation of an upstream is: the base URL as people write it, joined with the kind's path.

use std::fmt::{self, Write as _};

use http::Uri;
use url::Url;

use super::{
    kind::{Operation, UpstreamKind, Version},
    place::Place,
};
use crate::catalog::UpstreamModel;

/// Why a base URL cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBaseUrl {
    #[error("the kind `{0}` has no base URL of its own: say `base-url`")]
    Missing(&'static str),
    #[error("a base URL begins with `http://` or `https://`")]
    Scheme,
    #[error("a base URL has a host")]
    Host,
    #[error("a base URL must not hold a user or password: put the secret into a credential")]
    Credentials,
    #[error("the kind `{0}` needs a `project`, and may have a `location`")]
    Place(&'static str),
}

/// A base URL, cleaned: no slash at its end, the version where the kind wants it, no operation's path.
#[derive(Clone)]
pub(super) struct Endpoint {
    /// `https://host[:port]/path`, without a slash at its end.
    base: String,
    /// `?…` or nothing.
    query: String,
}

/// Without the query, in which people put keys.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// `place` is filled into what the kind says of the address; an operator's base URL comes filled.
    pub(super) fn new(
        kind: &UpstreamKind,
        base_url: Option<&Url>,
        place: Option<&Place>,
    ) -> Result<Self, InvalidBaseUrl> {
        if kind.has_place() && place.is_none() {
            return Err(InvalidBaseUrl::Place(kind.name));
        }
        let fill = |it: &str| place.map_or_else(|| it.to_owned(), |place| place.fill(it));
        let default;
        let url = match (base_url, kind.default_base_url) {
            (Some(url), _) => url,
            (None, Some(text)) => {
                default = Url::parse(&fill(text)).map_err(|_| InvalidBaseUrl::Missing(kind.name))?;
                &default
            }
            (None, None) => return Err(InvalidBaseUrl::Missing(kind.name)),
        };
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidBaseUrl::Scheme);
        }
        let host = url.host_str().ok_or(InvalidBaseUrl::Host)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidBaseUrl::Credentials);
        }
        let mut base = format!("{}://{host}", url.scheme());
        if let Some(port) = url.port() {
            base.push(':');
            base.push_str(&port.to_string());
        }
        base.push_str(&fill(&path_of(kind, url.path())));
        let query = url.query().filter(|it| !it.is_empty()).map(|it| format!("?{it}")).unwrap_or_default();
        Ok(Self { base, query })
    }

    /// The address of an operation, if the kind has it.
    pub(super) fn uri(
        &self,
        kind: &UpstreamKind,
        operation: Operation,
        model: &UpstreamModel,
    ) -> Option<Result<Uri, http::uri::InvalidUri>> {
        let path = kind.path(operation)?;
        Some(match path.split_once("/models/{model}") {
            None => self.join(path),
            Some((before, after)) => self.join(&format!("{before}{}{after}", resource(model.as_str()))),
        })
    }

    /// Scheme, host and port.
    pub(super) fn origin(&self) -> Option<url::Origin> {
        Url::parse(&self.base).ok().map(|it| it.origin())
    }

    /// A path, which may have a query, below the base, which may have one too.
    fn join(&self, path: &str) -> Result<Uri, http::uri::InvalidUri> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let own = if query.is_empty() { String::new() } else { format!("?{query}") };
        let more = if own.is_empty() { self.query.clone() } else { self.query.replacen('?', "&", 1) };
        format!("{}{path}{own}{more}", self.base).parse()
    }

    /// The address of the list of models, if the kind has one, with one more field in the query.
    pub(super) fn models(
        &self,
        kind: &UpstreamKind,
        field: Option<(&str, &str)>,
    ) -> Option<Result<Uri, http::uri::InvalidUri>> {
        let path = kind.path(Operation::Models)?;
        let Some((name, value)) = field else { return Some(self.join(path)) };
        let separator = if path.contains('?') { '&' } else { '?' };
        Some(self.join(&format!("{path}{separator}{name}={}", segment(value))))
    }
}

/// The base's path, without what people paste too much of, and with the version if it must be added.
fn path_of(kind: &UpstreamKind, path: &str) -> String {
    let path = path.trim_end_matches('/');
    let path = [Some(kind.paths.generate), kind.paths.models]
        .into_iter()
        .flatten()
        .map(|it| it.split('?').next().unwrap_or(it))
        .find_map(|it| path.strip_suffix(it))
        .unwrap_or(path)
        .trim_end_matches('/');
    let last = path.rsplit('/').next().unwrap_or_default();
    let version = match kind.version {
        Version::IfBare(version) if path.is_empty() => version,
        Version::IfMissing(version) if !is_version(last) => version,
        Version::IfBare(_) | Version::IfMissing(_) => "",
    };
    format!("{path}{version}")
}

/// `v1`, `v4`, `v1beta`, `v1alpha2`.
fn is_version(segment: &str) -> bool {
    let Some(rest) = segment.strip_prefix('v') else { return false };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let stage = rest[digits..].trim_end_matches(|it: char| it.is_ascii_digit());
    digits > 0 && matches!(stage, "" | "alpha" | "beta")
}

/// Where a model is that is named in the path: `models/x` if its name is no more than `x`; other collections
/// (`tunedModels/x`) are named with theirs.
fn resource(model: &str) -> String {
    match model.split_once('/') {
        Some((collection @ ("models" | "tunedModels"), name)) => format!("/{collection}/{}", segment(name)),
        _ => format!("/models/{}", segment(model)),
    }
}

/// Percent-encodes everything that is not unreserved (RFC 3986 §2.3), so that it is one segment.
pub(super) fn segment(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, it| {
        if it.is_ascii_alphanumeric() || b"-._~".contains(&it) {
            out.push(char::from(it));
        } else {
            let _ = write!(out, "%{it:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::{
        kind::{AuthScheme, Envelope, Framing, Paths, PolicyClass},
        kinds::{find, gemini::GEMINI, openai::OPENAI},
        limits::LimitParser,
        transport::HttpMode,
        verdict::Fault,
    };

    fn generate(kind: &UpstreamKind, base: Option<&str>) -> String {
        let base = base.map(|it| Url::parse(it).unwrap());
        let model = UpstreamModel::parse("m").unwrap();
        let place = kind.has_place().then(|| Place::new("my-project", "europe-west4").unwrap());
        let endpoint = Endpoint::new(kind, base.as_ref(), place.as_ref()).unwrap();
        endpoint.uri(kind, Operation::Generate, &model).unwrap().unwrap().to_string()
    }

    #[test]
    fn base_urls_are_taken_as_people_write_them() {
        let rows = [
            ("openai", None, "https://api.openai.com/v1/chat/completions"),
            ("openai", Some("https://api.openai.com"), "https://api.openai.com/v1/chat/completions"),
            ("openai", Some("https://api.openai.com/v1//"), "https://api.openai.com/v1/chat/completions"),
            ("openai", Some("https://h/v1/chat/completions"), "https://h/v1/chat/completions"),
            ("zai", None, "https://api.z.ai/api/paas/v4/chat/completions"),
            ("groq", None, "https://api.groq.com/openai/v1/chat/completions"),
            ("ollama", Some("http://gpu:11434/"), "http://gpu:11434/v1/chat/completions"),
            ("openai-compatible", Some("http://[::1]:80/x/"), "http://[::1]/x/chat/completions"),
            (
                "openai-compatible",
                Some("https://a.example/openai/v1?api-version=preview#top"),
                "https://a.example/openai/v1/chat/completions?api-version=preview",
            ),
            ("anthropic", None, "https://api.anthropic.com/v1/messages"),
            ("anthropic", Some("https://api.anthropic.com/v1"), "https://api.anthropic.com/v1/messages"),
            ("anthropic", Some("https://h/v1/messages"), "https://h/v1/messages"),
            (
                "anthropic",
                Some("https://api.z.ai/api/anthropic/"),
                "https://api.z.ai/api/anthropic/v1/messages",
            ),
            ("anthropic", Some("https://h/apps/v1beta"), "https://h/apps/v1beta/messages"),
            ("anthropic", Some("https://h/video"), "https://h/video/v1/messages"),
            ("openai-responses", Some("https://h/v1/responses"), "https://h/v1/responses"),
            ("gemini", None, "https://generativelanguage.googleapis.com/v1beta/models/m:generateContent"),
            ("gemini", Some("https://h/v1alpha/models/"), "https://h/v1alpha/models/m:generateContent"),
            (
                "vertex",
                None,
                "https://europe-west4-aiplatform.googleapis.com/v1/projects/my-project/locations/europe-west4/publishers/google/models/m:generateContent",
            ),
            (
                "vertex",
                Some("https://proxy:8443"),
                "https://proxy:8443/v1/projects/my-project/locations/europe-west4/publishers/google/models/m:generateContent",
            ),
            (
                "vertex",
                Some("https://h/v1/projects/p/locations/l/publishers/google"),
                "https://h/v1/projects/p/locations/l/publishers/google/models/m:generateContent",
            ),
            (
                "vertex-api-key",
                None,
                "https://aiplatform.googleapis.com/v1/publishers/google/models/m:generateContent",
            ),
        ];
        for (kind, base, expected) in rows {
            assert_eq!(generate(find(kind).unwrap(), base), expected, "{base:?}");
        }
    }

    #[test]
    fn ec_179_a_model_in_the_path_is_encoded_once_and_stays_one_segment() {
        let kind = &MODEL_IN_PATH;
        let endpoint = Endpoint::new(kind, None, None).unwrap();
        let model = UpstreamModel::parse("a/b?c=%2e#ü").unwrap();
        let uri = endpoint.uri(kind, Operation::Generate, &model).unwrap().unwrap();
        assert_eq!(uri.path(), "/v1/models/a%2Fb%3Fc%3D%252e%23%C3%BC:generate");
        assert!(endpoint.uri(kind, Operation::CountTokens, &model).is_none());
        assert!(endpoint.models(kind, None).is_none());
    }

    #[test]
    fn a_models_collection_is_not_said_twice() {
        let endpoint = Endpoint::new(&GEMINI, None, None).unwrap();
        let path = |model: &str| {
            let model = UpstreamModel::parse(model).unwrap();
            let uri = endpoint.uri(&GEMINI, Operation::CountTokens, &model).unwrap().unwrap();
            uri.path().to_owned()
        };
        assert_eq!(path("gemini-x"), "/v1beta/models/gemini-x:countTokens");
        assert_eq!(path("models/gemini-x"), "/v1beta/models/gemini-x:countTokens");
        assert_eq!(path("tunedModels/mine-1"), "/v1beta/tunedModels/mine-1:countTokens");
        assert_eq!(path("vendor/x@1"), "/v1beta/models/vendor%2Fx%401:countTokens");
    }

    #[test]
    fn an_operators_query_is_joined_with_the_operations_own() {
        let base = Url::parse("https://h/v1beta?key=a%26b&x=1").unwrap();
        let endpoint = Endpoint::new(&GEMINI, Some(&base), None).unwrap();
        let model = UpstreamModel::parse("m").unwrap();
        let uri = endpoint.uri(&GEMINI, Operation::Stream, &model).unwrap().unwrap();
        assert_eq!(uri, "https://h/v1beta/models/m:streamGenerateContent?alt=sse&key=a%26b&x=1");
        let uri = endpoint.models(&GEMINI, Some(("pageToken", "a=b"))).unwrap().unwrap();
        assert_eq!(uri, "https://h/v1beta/models?pageSize=1000&pageToken=a%3Db&key=a%26b&x=1");
    }

    #[test]
    fn a_page_of_models_is_asked_for_in_the_query() {
        let base = Url::parse("https://h/v1?k=1").unwrap();
        let endpoint = Endpoint::new(&OPENAI, Some(&base), None).unwrap();
        let uri = endpoint.models(&OPENAI, Some(("after_id", "a&b"))).unwrap().unwrap();
        assert_eq!(uri, "https://h/v1/models?after_id=a%26b&k=1");
    }

    #[test]
    fn a_base_url_that_cannot_be_used_is_refused() {
        let refused = |kind: &str, base: Option<&str>| {
            let base = base.map(|it| Url::parse(it).unwrap());
            Endpoint::new(find(kind).unwrap(), base.as_ref(), None).unwrap_err()
        };
        assert_eq!(refused("openai-compatible", None), InvalidBaseUrl::Missing("openai-compatible"));
        assert_eq!(refused("vertex", None), InvalidBaseUrl::Place("vertex"));
        assert_eq!(refused("openai", Some("ftp://h/v1")), InvalidBaseUrl::Scheme);
        assert_eq!(refused("openai", Some("https://u:p@h/v1")), InvalidBaseUrl::Credentials);
    }

    const MODEL_IN_PATH: UpstreamKind = UpstreamKind {
        name: "test",
        provider: "test",
        default_base_url: Some("https://h/v1"),
        version: Version::IfBare("/v1"),
        paths: Paths {
            generate: "/models/{model}:generate",
            stream: None,
            count_tokens: None,
            models: None,
            others: &[],
        },
        dialect: |_| crate::dialect::DialectId::OpenaiChat,
        envelope: Envelope::Plain,
        framing: Framing::Sse,
        headers: &[],
        auth: AuthScheme::None,
        limits: LimitParser::Generic,
        judge: Fault::of,
        client_headers: &[],
        reply_headers: &[],
        attempt_header: None,
        http: HttpMode::Auto,
        policy: PolicyClass::Official,
    };
}
