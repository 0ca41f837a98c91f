//! Through which proxy a call goes.

use std::{fmt, sync::Arc};

use url::Url;

/// Through what a call goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Proxy {
    /// Whatever the one above says: a credential's is its upstream's, an upstream's is none.
    #[default]
    Default,
    /// None, even if the one above has one.
    Direct,
    Url(ProxyUrl),
}

/// A proxy's address, with its user and password if it has them. Its `Debug` form shows neither.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ProxyUrl(Arc<Url>);

/// The text is no proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a proxy is `direct`, or a URL that begins with `http://`, `https://`, `socks5://` or `socks5h://`")]
pub struct InvalidProxy;

impl Proxy {
    /// Reads `direct`, or a URL; nothing at all is `Default`.
    pub fn parse(text: &str) -> Result<Self, InvalidProxy> {
        match text.trim() {
            "" => Ok(Self::Default),
            "direct" | "none" => Ok(Self::Direct),
            text => {
                let url = Url::parse(text).map_err(|_| InvalidProxy)?;
                let is_known = matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h");
                if !is_known || url.host_str().is_none_or(str::is_empty) {
                    return Err(InvalidProxy);
                }
                Ok(Self::Url(ProxyUrl(Arc::new(url))))
            }
        }
    }

    /// This one, or `above` if this one leaves it open.
    #[must_use]
    pub fn or(self, above: &Self) -> Self {
        if self == Self::Default { above.clone() } else { self }
    }
}

impl ProxyUrl {
    pub(super) fn as_url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.0.host_str().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_read() {
        assert_eq!(Proxy::parse(""), Ok(Proxy::Default));
        assert_eq!(Proxy::parse(" direct "), Ok(Proxy::Direct));
        for text in ["http://p:3128", "https://u:p@p", "socks5://10.0.0.9:1080", "socks5h://p:1080"] {
            assert!(matches!(Proxy::parse(text), Ok(Proxy::Url(_))), "{text}");
        }
        for text in ["p:3128", "ftp://p", "socks4://p:1", "http://", "nonsense"] {
            assert_eq!(Proxy::parse(text), Err(InvalidProxy), "{text}");
        }
    }

    #[test]
    fn the_nearer_proxy_counts() {
        let upstream = Proxy::parse("http://p:1").unwrap();
        assert_eq!(Proxy::Default.or(&upstream), upstream);
        assert_eq!(Proxy::Direct.or(&upstream), Proxy::Direct);
        assert_eq!(Proxy::Default.or(&Proxy::Default), Proxy::Default);
    }

    #[test]
    fn a_proxys_password_is_not_printed() {
        let proxy = Proxy::parse("http://bob:hunter2@proxy.example:1").unwrap();
        let text = format!("{proxy:?}");
        assert!(text.contains("proxy.example") && !text.contains("hunter2") && !text.contains("bob"));
    }
}
