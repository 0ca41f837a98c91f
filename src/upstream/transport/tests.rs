//! Against servers that do one thing each, on real sockets.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::Duration,
};

use ::http::{Request, Response, StatusCode};
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};

use super::*;
use crate::dialect::pieces::{SHARED, Writer};

/// No test waits for this long; a hang ends in a failure.
const LONG: Duration = Duration::from_mins(1);
/// How long a server that never answers is waited for.
const SHORT: Duration = Duration::from_millis(50);

/// Answers connections one after another with `serve`, on a thread of its own.
fn server(serve: impl Fn(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let connection = connection.unwrap();
            connection.set_read_timeout(Some(LONG)).unwrap();
            serve(connection);
        }
    });
    address
}

/// Reads a request up to the end of its body.
fn read_request(connection: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        if connection.read(&mut byte).unwrap_or(0) == 0 {
            return String::new();
        }
        text.push(byte[0]);
    }
    let head = String::from_utf8(text).unwrap();
    let length = head.to_ascii_lowercase();
    let length = length.split("content-length: ").nth(1).and_then(|it| it.lines().next()?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    connection.read_exact(&mut body).unwrap();
    head + &String::from_utf8(body).unwrap()
}

/// A server that gives everyone the same bytes, then waits until the other side closes.
fn canned(answer: impl Into<Vec<u8>>) -> SocketAddr {
    let answer = answer.into();
    server(move |mut connection| {
        read_request(&mut connection);
        connection.write_all(&answer).unwrap();
        let _ = connection.read(&mut [0]);
    })
}

fn options() -> SendOptions {
    let timeouts = Timeouts { connect: LONG, first_byte: LONG, idle: LONG, total: None };
    SendOptions { timeouts, ..SendOptions::default() }
}

fn request(address: SocketAddr) -> Request<Pieces> {
    get(&format!("http://{address}/v1/x?key=hunter2hunter2"))
}

fn get(uri: &str) -> Request<Pieces> {
    Request::post(uri).body(Bytes::from_static(b"{\"a\":1}").into()).unwrap()
}

async fn send(
    request: Request<Pieces>,
    options: &SendOptions,
) -> Result<Response<ByteStream>, TransportError> {
    HttpTransport::new(None).unwrap().send(request, options).await
}

async fn whole(response: Response<ByteStream>) -> Result<Bytes, TransportError> {
    read_whole(response.into_body(), 1 << 20).await
}

async fn failure(request: Request<Pieces>, options: &SendOptions) -> TransportError {
    match send(request, options).await {
        Ok(_) => panic!("there was an answer"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_request_arrives_as_it_was_made() {
    let (tell, told) = mpsc::channel();
    let address = server(move |mut connection| {
        tell.send(read_request(&mut connection)).unwrap();
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-a: b\r\n\r\nok").unwrap();
    });
    let mut request = request(address);
    request.headers_mut().insert("x-one", "1".parse().unwrap());
    request.headers_mut().insert("accept-encoding", "identity".parse().unwrap());
    let response = send(request, &options()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["x-a"], "b");
    assert_eq!(whole(response).await.unwrap(), "ok");

    let text = told.recv().unwrap();
    assert!(text.starts_with("POST /v1/x?key=hunter2hunter2 HTTP/1.1\r\n"), "{text}");
    assert!(text.contains("x-one: 1\r\n") && text.ends_with("\r\n\r\n{\"a\":1}"), "{text}");
    assert!(text.contains("accept-encoding: identity\r\n"), "{text}");
    assert!(!text.contains("cookie") && !text.contains("referer"), "{text}");
}

#[tokio::test]
async fn a_body_in_pieces_arrives_whole_with_its_length() {
    let (tell, told) = mpsc::channel();
    let address = server(move |mut connection| {
        tell.send(read_request(&mut connection)).unwrap();
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
    });
    let long = "x".repeat(SHARED);
    let mut writer = Writer::default();
    writer.copy(b"[\"");
    writer.share(Bytes::from(long.clone()));
    writer.copy(b"\"]");
    send(request(address).map(|_| writer.finish()), &options()).await.unwrap();
    let text = told.recv().unwrap();
    assert!(text.ends_with(&format!("\r\n\r\n[\"{long}\"]")), "{}", &text[..200]);
    assert!(!text.to_ascii_lowercase().contains("transfer-encoding"), "{}", &text[..200]);
}

#[tokio::test]
async fn a_stream_comes_in_pieces_as_they_are_sent() {
    let (go, wait) = mpsc::channel::<()>();
    let address = server(move |mut connection| {
        read_request(&mut connection);
        connection
            .write_all(
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: text/event-stream\r\n\r\n",
            )
            .unwrap();
        for piece in ["8\r\ndata: 1\n\r\n", "8\r\ndata: 2\n\r\n", "0\r\n\r\n"] {
            wait.recv().unwrap();
            connection.write_all(piece.as_bytes()).unwrap();
        }
    });
    let mut body = send(request(address), &options()).await.unwrap().into_body();
    assert!(body.next().now_or_never().is_none(), "nothing was sent yet");
    for expected in ["data: 1\n", "data: 2\n"] {
        go.send(()).unwrap();
        assert_eq!(body.next().await.unwrap().unwrap(), expected);
    }
    go.send(()).unwrap();
    assert!(body.next().await.is_none());
}

#[tokio::test]
async fn a_compressed_answer_is_decompressed() {
    // `gzip -9n` of `hello hello hello`.
    const GZIP: &[u8] = &[
        0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x57, 0xc8,
        0x40, 0x90, 0x00, 0x80, 0x88, 0xf9, 0xe5, 0x11, 0x00, 0x00, 0x00,
    ];
    let mut answer =
        format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", GZIP.len())
            .into_bytes();
    answer.extend_from_slice(GZIP);
    let response = send(request(canned(answer)), &options()).await.unwrap();
    assert!(response.headers().get("content-encoding").is_none());
    assert!(response.headers().get("content-length").is_none());
    assert_eq!(whole(response).await.unwrap(), "hello hello hello");

    let answer = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nabcd";
    let response = send(request(canned(answer)), &options()).await.unwrap();
    assert!(matches!(whole(response).await, Err(TransportError::Body { .. })));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = canned("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhere");
    let address = canned(format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{elsewhere}/\r\ncontent-length: 0\r\n\r\n"
    ));
    let response = send(request(address), &options()).await.unwrap();
    assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
}

#[tokio::test]
async fn each_wait_has_its_timeout() {
    let silent = server(|mut connection| {
        let _ = connection.read_to_end(&mut Vec::new());
    });
    let with = |change: fn(&mut Timeouts)| {
        let mut options = options();
        change(&mut options.timeouts);
        options
    };
    let error = failure(request(silent), &with(|it| it.first_byte = SHORT)).await;
    assert!(matches!(error, TransportError::Timeout(TimeoutKind::FirstByte)), "{error}");
    let error = failure(request(silent), &with(|it| it.total = Some(SHORT))).await;
    assert!(matches!(error, TransportError::Timeout(TimeoutKind::Total)), "{error}");

    // Headers and a part of the body, and then nothing.
    let halting = canned("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart");
    let call = async |options: SendOptions| match send(request(halting), &options).await {
        Ok(response) => whole(response).await.unwrap_err(),
        Err(error) => error,
    };
    let error = call(with(|it| it.idle = SHORT)).await;
    assert!(matches!(error, TransportError::Timeout(TimeoutKind::Idle)), "{error}");
    let error = call(with(|it| it.total = Some(SHORT))).await;
    assert!(matches!(error, TransportError::Timeout(TimeoutKind::Total)), "{error}");
}

#[tokio::test]
async fn a_connection_that_ends_early_is_an_error_and_never_an_end() {
    let closing = server(|mut connection| {
        read_request(&mut connection);
    });
    let error = failure(request(closing), &options()).await;
    assert!(matches!(error, TransportError::Closed { .. }), "{error:?}");

    let breaking = server(|mut connection| {
        read_request(&mut connection);
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart").unwrap();
    });
    let response = send(request(breaking), &options()).await.unwrap();
    assert!(matches!(whole(response).await, Err(TransportError::Body { .. })));
}

#[tokio::test]
async fn nobody_there_is_a_connect_error_without_an_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = failure(request(address), &options()).await;
    assert!(matches!(error, TransportError::Connect { .. }), "{error:?}");
    let text = format!("{error} {error:?} {}", std::error::Error::source(&error).unwrap());
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_a_tls_error() {
    let address = server(|mut connection| {
        let _ = connection.read(&mut [0; 64]);
        let _ = connection.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let error = failure(get(&format!("https://{address}/")), &options()).await;
    assert!(matches!(error, TransportError::Tls { .. }), "{error:?}");
}

#[tokio::test]
async fn dropping_the_answer_closes_the_connection() {
    let (tell, told) = mpsc::channel();
    let address = server(move |mut connection| {
        read_request(&mut connection);
        connection.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n").unwrap();
        // Until the end, or a reset.
        let ended = matches!(connection.read(&mut [0]), Ok(0) | Err(_));
        tell.send(ended).unwrap();
    });
    let mut body = send(request(address), &options()).await.unwrap().into_body();
    assert_eq!(body.next().await.unwrap().unwrap(), "part");
    drop(body);
    let ended = tokio::task::spawn_blocking(move || told.recv_timeout(LONG)).await.unwrap();
    assert!(ended.unwrap());
}

#[tokio::test]
async fn an_http_proxy_is_asked_for_the_whole_address() {
    let (tell, told) = mpsc::channel();
    let proxy = server(move |mut connection| {
        tell.send(read_request(&mut connection)).unwrap();
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nproxy").unwrap();
    });
    let proxy = Proxy::parse(&format!("http://bob:pw@{proxy}")).unwrap();
    let response = send(get("http://upstream.test/v1/x"), &SendOptions { proxy, ..options() }).await.unwrap();
    assert_eq!(whole(response).await.unwrap(), "proxy");
    let text = told.recv().unwrap();
    assert!(text.starts_with("POST http://upstream.test/v1/x HTTP/1.1\r\n"), "{text}");
    assert!(text.contains("Basic Ym9iOnB3\r\n"), "{text}");
}

#[tokio::test]
async fn a_socks_proxy_is_asked_to_connect() {
    let (tell, told) = mpsc::channel();
    // RFC 1928: greeting, choice of "no authentication", request to connect, then the bytes of the connection.
    let proxy = server(move |mut connection| {
        let mut greeting = [0; 2];
        connection.read_exact(&mut greeting).unwrap();
        let mut methods = vec![0; greeting[1].into()];
        connection.read_exact(&mut methods).unwrap();
        connection.write_all(&[5, 0]).unwrap();
        let mut head = [0; 5];
        connection.read_exact(&mut head).unwrap();
        let mut name = vec![0; usize::from(head[4]) + 2];
        connection.read_exact(&mut name).unwrap();
        name.truncate(head[4].into());
        connection.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
        read_request(&mut connection);
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nsocks").unwrap();
        tell.send((head[3], name)).unwrap();
    });
    let proxy = Proxy::parse(&format!("socks5h://{proxy}")).unwrap();
    let response = send(get("http://upstream.test/v1/x"), &SendOptions { proxy, ..options() }).await.unwrap();
    assert_eq!(whole(response).await.unwrap(), "socks");
    assert_eq!(told.recv().unwrap(), (3, b"upstream.test".to_vec()), "the proxy resolves the name");
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_a_proxy_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Proxy::parse(&format!("http://bob:hunter2@{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let error = failure(get("http://upstream.test/"), &SendOptions { proxy, ..options() }).await;
    assert!(matches!(error, TransportError::Proxy { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_guarded_call_does_not_reach_our_own_network() {
    let address = canned("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let guarded = SendOptions { reach: Reach::PublicOnly, ..options() };
    for uri in [format!("http://{address}/"), format!("http://localhost:{}/", address.port())] {
        let error = failure(get(&uri), &guarded).await;
        assert!(matches!(error, TransportError::NotPublic), "{uri}: {error:?}");
    }
    let proxy = Proxy::parse(&format!("http://{address}")).unwrap();
    let error = failure(get("http://example.com/"), &SendOptions { proxy, ..guarded }).await;
    assert!(matches!(error, TransportError::NotPublic), "{error:?}");
}

#[tokio::test]
async fn connections_are_used_again() {
    let (tell, told) = mpsc::channel();
    let address = server(move |mut connection| {
        tell.send(()).unwrap();
        for _ in 0..3 {
            if read_request(&mut connection).is_empty() {
                return;
            }
            connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
        }
    });
    let transport = HttpTransport::new(None).unwrap();
    for _ in 0..3 {
        let response = transport.send(request(address), &options()).await.unwrap();
        assert_eq!(whole(response).await.unwrap(), "ok");
    }
    assert_eq!(told.try_iter().count(), 1);
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused() {
    let body =
        || futures::stream::iter(["ab", "", "cd", "e"].map(|it| Ok(Bytes::from_static(it.as_bytes()))));
    assert_eq!(read_whole(body().boxed(), 5).await.unwrap(), "abcde");
    let error = read_whole(body().boxed(), 4).await.unwrap_err();
    assert!(matches!(error, TransportError::TooLarge { limit: 4 }));
    assert_eq!(read_whole(futures::stream::empty().boxed(), 0).await.unwrap(), "");
}

#[test]
fn certificates_of_ones_own_are_read() {
    assert!(HttpTransport::new(None).is_ok());
    assert!(matches!(HttpTransport::new(Some(b"nonsense")), Err(InvalidCertificates::None)));
    let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(HttpTransport::new(Some(broken)), Err(InvalidCertificates::Untrusted(_))));
}
