//! Every upstream kind, one line each.

pub mod anthropic;
pub mod gemini;
pub mod openai;
pub mod openai_compatible;
pub mod openai_responses;
pub mod vertex;

use super::kind::UpstreamKind;

/// The kinds that are not presets.
pub static KINDS: &[&UpstreamKind] = &[
    &openai::OPENAI,
    &openai_responses::OPENAI_RESPONSES,
    &openai_compatible::OPENAI_COMPATIBLE,
    &anthropic::ANTHROPIC,
    &gemini::GEMINI,
    &vertex::VERTEX,
    &vertex::VERTEX_API_KEY,
];

/// Finds a kind, or a preset, by the name it has in configuration.
pub fn find(name: &str) -> Option<&'static UpstreamKind> {
    all().find(|it| it.name == name)
}

/// Every name that `find` knows.
pub fn names() -> impl Iterator<Item = &'static str> {
    all().map(|it| it.name)
}

fn all() -> impl Iterator<Item = &'static UpstreamKind> {
    KINDS.iter().copied().chain(openai_compatible::PRESETS)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::upstream::transport::HttpMode;

    #[test]
    fn names_are_unique_and_found() {
        let mut seen = HashSet::new();
        for name in names() {
            assert!(seen.insert(name), "{name} is there twice");
            assert_eq!(find(name).unwrap().name, name);
        }
        assert!(find("no-such-kind").is_none());
    }

    #[test]
    fn header_lists_are_lower_case_and_hold_nothing_private() {
        const NEVER: &[&str] = &[
            "authorization",
            "cookie",
            "set-cookie",
            "host",
            "content-length",
            "content-encoding",
            "transfer-encoding",
            "connection",
            "x-api-key",
            "openai-organization",
            "openai-project",
            "cf-ray",
        ];
        for kind in all() {
            for name in kind.client_headers.iter().chain(kind.reply_headers) {
                assert_eq!(*name, name.to_ascii_lowercase(), "{}", kind.name);
                let stem = name.trim_end_matches('*');
                assert!(!NEVER.iter().any(|it| it == name || (stem != *name && it.starts_with(stem))));
            }
            for (name, _) in kind.headers {
                assert_eq!(*name, name.to_ascii_lowercase(), "{}", kind.name);
            }
        }
    }

    #[test]
    fn base_urls_are_urls() {
        for kind in all() {
            if let Some(base) = kind.default_base_url {
                let url = url::Url::parse(&base.replace("{location}", "here")).unwrap();
                let local = url.host_str() == Some("localhost");
                assert_eq!(url.scheme(), if local { "http" } else { "https" }, "{}", kind.name);
                assert_eq!(kind.is_keyless(), local, "{}", kind.name);
            }
        }
    }

    #[test]
    fn a_preset_may_prefer_http_1() {
        assert_eq!(find("nvidia").unwrap().http, HttpMode::Http1);
        assert_eq!(find("openai").unwrap().http, HttpMode::Auto);
    }
}
