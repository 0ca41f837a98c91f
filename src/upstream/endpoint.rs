//! Where an operation of an upstream is: the base URL as people write it, joined with the kind's path.

use std::fmt::{self, Write as _};

use http::Uri;
use url::Url;

use super::kind::{Operation, UpstreamKind, Version};
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
    pub(super) fn new(kind: &UpstreamKind, base_url: Option<&Url>) -> Result<Self, InvalidBaseUrl> {
        let default;
        let url = match (base_url, kind.default_base_url) {
            (Some(url), _) => url,
            (None, Some(text)) => {
                default = Url::parse(text).map_err(|_| InvalidBaseUrl::Missing(kind.name))?;
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
        base.push_str(&path_of(kind, url.path()));
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
        Some(match path.split_once("{model}") {
            None => format!("{}{path}{}", self.base, self.query).parse(),
            Some((before, after)) => {
                format!("{}{before}{}{after}{}", self.base, segment(model.as_str()), self.query).parse()
            }
        })
    }

    /// The address of the list of models, if the kind has one, with one more field in the query.
    pub(super) fn models(
        &self,
        kind: &UpstreamKind,
        field: Option<(&str, &str)>,
    ) -> Option<Result<Uri, http::uri::InvalidUri>> {
        let path = kind.path(Operation::Models)?;
        let mut address = format!("{}{path}{}", self.base, self.query);
        if let Some((name, value)) = field {
            let separator = if self.query.is_empty() { '?' } else { '&' };
            address.push(separator);
            address.push_str(name);
            address.push('=');
            address.push_str(&segment(value));
        }
        Some(address.parse())
    }
}

/// The base's path, without what people paste too much of, and with the version if it must be added.
fn path_of(kind: &UpstreamKind, path: &str) -> String {
    let path = path.trim_end_matches('/');
    let path = [Some(kind.paths.generate), kind.paths.models]
        .into_iter()
        .flatten()
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
        kinds::{find, openai::OPENAI},
        limits::LimitParser,
        transport::HttpMode,
        verdict::Fault,
    };

    fn generate(kind: &UpstreamKind, base: Option<&str>) -> String {
        let base = base.map(|it| Url::parse(it).unwrap());
        let model = UpstreamModel::parse("m").unwrap();
        let endpoint = Endpoint::new(kind, base.as_ref()).unwrap();
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
        ];
        for (kind, base, expected) in rows {
            assert_eq!(generate(find(kind).unwrap(), base), expected, "{base:?}");
        }
    }

    #[test]
    fn a_model_in_the_path_stays_one_segment() {
        let kind = &MODEL_IN_PATH;
        let endpoint = Endpoint::new(kind, None).unwrap();
        let model = UpstreamModel::parse("a/b?c=%2e#ü").unwrap();
        let uri = endpoint.uri(kind, Operation::Generate, &model).unwrap().unwrap();
        assert_eq!(uri.path(), "/v1/models/a%2Fb%3Fc%3D%252e%23%C3%BC:generate");
        assert!(endpoint.uri(kind, Operation::CountTokens, &model).is_none());
        assert!(endpoint.models(kind, None).is_none());
    }

    #[test]
    fn a_page_of_models_is_asked_for_in_the_query() {
        let base = Url::parse("https://h/v1?k=1").unwrap();
        let endpoint = Endpoint::new(&OPENAI, Some(&base)).unwrap();
        let uri = endpoint.models(&OPENAI, Some(("after_id", "a&b"))).unwrap().unwrap();
        assert_eq!(uri, "https://h/v1/models?k=1&after_id=a%26b");
    }

    #[test]
    fn a_base_url_that_cannot_be_used_is_refused() {
        let refused = |kind: &str, base: Option<&str>| {
            let base = base.map(|it| Url::parse(it).unwrap());
            Endpoint::new(find(kind).unwrap(), base.as_ref()).unwrap_err()
        };
        assert_eq!(refused("openai-compatible", None), InvalidBaseUrl::Missing("openai-compatible"));
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
