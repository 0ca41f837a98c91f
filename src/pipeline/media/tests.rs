use async_trait::async_trait;
use http::Response;
use serde_json::{Value, json};

use super::*;
use crate::{
    dialect::DialectId,
    upstream::transport::{ByteStream, HttpTransport, TransportError},
};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n0000";

/// A web of few pages: status, `content-type` or `location`, and bytes.
struct Web(HashMap<&'static str, (u16, &'static str, &'static [u8])>);

#[async_trait]
impl Transport for Web {
    async fn send(
        &self,
        request: Request<Pieces>,
        options: &SendOptions,
    ) -> Result<Response<ByteStream>, TransportError> {
        assert_eq!(options.reach, Reach::PublicOnly, "a stranger wrote the address");
        let url = request.uri().to_string();
        let Some((status, header, body)) = self.0.get(url.as_str()).copied() else {
            return Err(TransportError::NotPublic);
        };
        let name = if (300..400).contains(&status) { LOCATION } else { CONTENT_TYPE };
        let body = stream::once(async move { Ok(Bytes::from_static(body)) }).boxed();
        Ok(Response::builder().status(status).header(name, header).body(body).unwrap())
    }
}

fn request(content: &Value) -> ChatRequest {
    let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": content}]});
    DialectId::AnthropicMessages.server().decode_request(body.to_string().as_bytes()).unwrap()
}

fn image(url: &str) -> Value {
    json!({"type": "image", "source": {"type": "url", "url": url}})
}

async fn bring(request: &ChatRequest, web: Web, bounds: &MediaBounds) -> Result<ChatRequest, GatewayError> {
    brought(request, &web, bounds).await.map(Cow::into_owned)
}

fn web(pages: impl IntoIterator<Item = (&'static str, (u16, &'static str, &'static [u8]))>) -> Web {
    Web(pages.into_iter().collect())
}

fn medias(request: &ChatRequest) -> Vec<Media> {
    fn of(parts: &[Part], found: &mut Vec<Media>) {
        for part in parts {
            match &part.kind {
                PartKind::Media(media) => found.push(media.clone()),
                PartKind::ToolResult(result) => of(&result.content, found),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    request.conversation.turns.iter().for_each(|it| of(&it.parts, &mut found));
    found
}

#[tokio::test]
async fn ec_108_what_is_named_by_url_is_brought_and_its_type_is_seen() {
    let content = json!([
        image("https://a.example/one"),
        image("https://a.example/one"),
        {"type": "tool_result", "tool_use_id": "t", "content": [image("https://a.example/two")]},
    ]);
    let pages = web([
        ("https://a.example/one", (200, "image/jpeg", PNG)),
        ("https://a.example/two", (302, "/three", b"")),
        ("https://a.example/three", (200, "image/webp; x=y", b"RIFF0000WEBPVP8 ")),
    ]);
    let brought = bring(&request(&content), pages, &MediaBounds::default()).await.unwrap();
    let found = medias(&brought);
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|it| matches!(it.source, MediaSource::Inline(_))), "{found:?}");
    let types: Vec<_> = found.iter().map(|it| it.media_type.as_deref().unwrap()).collect();
    assert_eq!(types, ["image/png", "image/png", "image/webp"]);
    assert_eq!(found[0].source, MediaSource::Inline(STANDARD.encode(PNG)));
}

#[tokio::test]
async fn a_request_without_urls_is_left_as_it_is() {
    let request = request(&json!("hi"));
    let unchanged = brought(&request, &web([]), &MediaBounds::default()).await;
    assert!(matches!(unchanged, Ok(Cow::Borrowed(_))));
}

#[tokio::test]
async fn what_cannot_be_brought_is_the_clients_fault_and_says_where() {
    let refused = async |pages: Web, bounds: &MediaBounds| {
        let content = json!([{"type": "text", "text": "see"}, image("https://a.example/x?token=hidden")]);
        let error = bring(&request(&content), pages, bounds).await.unwrap_err();
        assert_eq!((error.kind, error.at.as_deref()), (ErrorKind::BadRequest, Some("/messages/0")));
        assert!(!error.message.contains("hidden"), "{}", error.message);
        error.message
    };
    let url = "https://a.example/x?token=hidden";
    let bounds = MediaBounds::default();
    for (page, why) in [
        ((404, "text/plain", b"".as_slice()), "answered 404"),
        ((200, "text/html", b"<html>"), "a web page"),
        ((200, "application/octet-stream", b"\x01\x02"), "nothing says what it is"),
        ((302, "", b""), "on and on"),
        ((302, "ftp://a.example/x", b""), "no plain web address"),
        ((302, "http://user:secret@a.example/x", b""), "no plain web address"),
    ] {
        let message = refused(web([(url, page)]), &bounds).await;
        assert!(message.contains(why), "{message}");
    }
    assert!(refused(web([]), &bounds).await.contains("not a public one"));
    assert!(refused(web([]), &MediaBounds { fetch: false, ..bounds }).await.contains("fetches none"));
    let small = MediaBounds { max_size: 4, ..bounds };
    assert!(refused(web([(url, (200, "image/png", PNG))]), &small).await.contains("larger than 4 bytes"));
    assert!(refused(web([]), &MediaBounds { max_count: 0, ..bounds }).await.contains("more than 0"));
}

#[tokio::test]
async fn ec_189_an_address_of_our_own_network_is_not_called() {
    let transport = HttpTransport::new(None).unwrap();
    for url in [
        "http://127.0.0.1:9/x.png",
        "http://[::1]:9/",
        "http://169.254.169.254/latest",
        "http://localhost:9/",
    ] {
        let request = request(&json!([image(url)]));
        let error = brought(&request, &transport, &MediaBounds::default()).await.unwrap_err();
        assert!(error.message.contains("not a public one"), "{url}: {}", error.message);
    }
}
