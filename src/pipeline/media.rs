//! Media that are elsewhere, brought here: for upstreams that fetch none themselves.
//!
//! A stranger wrote the address, so it may lead to public ones only, redirects included; how much and how long is bounded.

use std::{borrow::Cow, collections::HashMap, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{
    HeaderMap, Method, Request, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, LOCATION},
};
use url::Url;

use crate::{
    dialect::{
        ChatRequest, Pieces,
        canonical::{
            Media, MediaKind, MediaSource, Part, PartKind,
            media::{Inline, inline},
        },
    },
    kernel::error::{ErrorKind, GatewayError},
    upstream::transport::{Reach, SendOptions, Timeouts, Transport, TransportError, read_whole},
};

/// How many redirects are followed.
const MOST_HOPS: usize = 3;
/// How many things are fetched at once for one request.
const AT_ONCE: usize = 4;

/// What may be fetched, and how long it may take.
#[derive(Debug, Clone, Copy)]
pub struct MediaBounds {
    /// Whether anything is fetched at all.
    pub fetch: bool,
    /// Of one thing, in bytes.
    pub max_size: usize,
    /// Things of one request.
    pub max_count: usize,
    /// For one thing.
    pub timeout: Duration,
    /// Whether addresses that are not public may be called: for tests and closed networks.
    pub allow_private: bool,
}

impl Default for MediaBounds {
    fn default() -> Self {
        Self {
            fetch: true,
            max_size: 20 << 20,
            max_count: 20,
            timeout: Duration::from_secs(20),
            allow_private: false,
        }
    }
}

/// Returns the request with all that it names by URL in it; the request itself if it names nothing so.
pub(super) async fn brought<'r>(
    request: &'r ChatRequest,
    transport: &dyn Transport,
    bounds: &MediaBounds,
) -> Result<Cow<'r, ChatRequest>, GatewayError> {
    let mut named: Vec<(String, String)> = Vec::new();
    for turn in &request.conversation.turns {
        collect(&turn.parts, &turn.at, &mut named);
    }
    if named.is_empty() {
        return Ok(Cow::Borrowed(request));
    }
    check(&named, bounds)?;
    let fetched: Vec<_> = stream::iter(named)
        .map(|(url, at)| async move { (fetch(&url, transport, bounds).await.map_err(|it| it.at(at)), url) })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut here = HashMap::new();
    for (result, url) in fetched {
        here.insert(url, result?);
    }
    let mut request = request.clone();
    for turn in &mut request.conversation.turns {
        put(&mut turn.parts, &here);
    }
    Ok(Cow::Owned(request))
}

fn check(named: &[(String, String)], bounds: &MediaBounds) -> Result<(), GatewayError> {
    let refused = |at: &str, message: String| Err(GatewayError::new(ErrorKind::BadRequest, message).at(at));
    if !bounds.fetch {
        let message =
            "the model's upstream takes no URLs, and this gateway fetches none: send the data itself";
        return refused(&named[0].1, message.to_owned());
    }
    if named.len() > bounds.max_count {
        let message = format!("more than {} things to be fetched: send their data itself", bounds.max_count);
        return refused(&named[bounds.max_count].1, message);
    }
    Ok(())
}

/// Each URL once, with the place where it first stands.
fn collect(parts: &[Part], at: &str, named: &mut Vec<(String, String)>) {
    for part in parts {
        match &part.kind {
            PartKind::Media(Media { source: MediaSource::Url(url), .. })
                if is_web(url) && !named.iter().any(|it| it.0 == *url) =>
            {
                named.push((url.clone(), at.to_owned()));
            }
            PartKind::Media(Media { source: MediaSource::Parts(parts), .. }) => collect(parts, at, named),
            PartKind::ToolResult(result) => collect(&result.content, at, named),
            _ => {}
        }
    }
}

fn put(parts: &mut [Part], here: &HashMap<String, Inline>) {
    for part in parts {
        match &mut part.kind {
            PartKind::Media(media) => match &mut media.source {
                MediaSource::Url(url) => {
                    if let Some(inline) = here.get(url) {
                        media.kind = kind_of(inline.media_type.as_deref()).unwrap_or(media.kind);
                        media.media_type.clone_from(&inline.media_type);
                        media.source = MediaSource::Inline(inline.data.clone());
                    }
                }
                MediaSource::Parts(parts) => put(parts, here),
                _ => {}
            },
            PartKind::ToolResult(result) => put(&mut result.content, here),
            _ => {}
        }
    }
}

fn is_web(url: &str) -> bool {
    let scheme = url.split(':').next().unwrap_or_default();
    scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http")
}

fn kind_of(media_type: Option<&str>) -> Option<MediaKind> {
    Some(match media_type?.split('/').next()? {
        "image" => MediaKind::Image,
        "audio" => MediaKind::Audio,
        "video" => MediaKind::Video,
        "application" | "text" => MediaKind::Document,
        _ => return None,
    })
}

async fn fetch(url: &str, transport: &dyn Transport, bounds: &MediaBounds) -> Result<Inline, GatewayError> {
    tokio::time::timeout(bounds.timeout, follow(url, transport, bounds))
        .await
        .unwrap_or_else(|_| Err(cannot("it took too long")))
}

async fn follow(url: &str, transport: &dyn Transport, bounds: &MediaBounds) -> Result<Inline, GatewayError> {
    let mut url = Url::parse(url).map_err(|_| cannot("it is no URL"))?;
    for _ in 0..=MOST_HOPS {
        let (status, headers, body) = get(&url, transport, bounds).await?;
        if status.is_redirection() {
            let next = headers.get(LOCATION).and_then(|it| it.to_str().ok());
            url = next.and_then(|it| url.join(it).ok()).ok_or_else(|| cannot("it leads nowhere"))?;
            continue;
        }
        if !status.is_success() {
            return Err(cannot(&format!("its server answered {}", status.as_u16())));
        }
        return settled(&headers, &body);
    }
    Err(cannot("it leads on and on"))
}

async fn get(
    url: &Url,
    transport: &dyn Transport,
    bounds: &MediaBounds,
) -> Result<(StatusCode, HeaderMap, Bytes), GatewayError> {
    if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
        return Err(cannot("it is no plain web address"));
    }
    let request = Request::builder()
        .method(Method::GET)
        .uri(url.as_str())
        .header(ACCEPT, "*/*")
        .body(Pieces::default())
        .map_err(|_| cannot("it is no URL"))?;
    let options = SendOptions {
        timeouts: Timeouts { total: Some(bounds.timeout), ..Timeouts::default() },
        reach: if bounds.allow_private { Reach::Anywhere } else { Reach::PublicOnly },
        ..SendOptions::default()
    };
    let response = transport.send(request, &options).await.map_err(|it| failed(&it))?;
    let (head, body) = response.into_parts();
    if head.status.is_redirection() {
        return Ok((head.status, head.headers, Bytes::new()));
    }
    let body = read_whole(body, bounds.max_size).await.map_err(|it| failed(&it))?;
    Ok((head.status, head.headers, body))
}

/// What the bytes are: what they say, else what their server says; a page is no picture.
fn settled(headers: &HeaderMap, body: &[u8]) -> Result<Inline, GatewayError> {
    let declared = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let data = STANDARD.encode(body);
    let inline = inline(declared, &data).map_err(|_| cannot("it cannot be read"))?;
    match inline.media_type.as_deref() {
        None | Some("application/octet-stream") => Err(cannot("nothing says what it is")),
        Some("text/html") => Err(cannot("it is a web page")),
        Some(_) => Ok(inline),
    }
}

fn failed(error: &TransportError) -> GatewayError {
    cannot(&match error {
        TransportError::NotPublic => "its address is not a public one".to_owned(),
        TransportError::TooLarge { limit } => format!("it is larger than {limit} bytes"),
        _ => "its server could not be reached".to_owned(),
    })
}

/// The client's fault, told without the address, which may hold a secret.
fn cannot(why: &str) -> GatewayError {
    GatewayError::new(ErrorKind::BadRequest, format!("the URL given here cannot be fetched: {why}"))
}

#[cfg(test)]
mod tests;
