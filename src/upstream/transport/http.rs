//! The one HTTP client.
//!
//! A client for each worker thread, so that a connection's work stays on the thread whose request it serves; and on each
//! thread one for every way of connecting (proxy, timeout, HTTP version, reach).

use std::{
    cell::RefCell,
    collections::HashMap,
    convert::Infallible,
    error::Error,
    sync::{Arc, Weak},
    time::Duration,
};

use ::http::{Request, Response, StatusCode, header::CONTENT_LENGTH};
use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use parking_lot::Mutex;
use reqwest::{Client, redirect};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::time::{Instant, timeout_at};

use super::{
    ByteStream, Cause, HttpMode, Opened, Proxy, Reach, SendOptions, TimeoutKind, Transport, TransportError,
    UploadStream,
    body::TimedBody,
    guard::{self, NotPublic, PublicResolver},
    websocket,
};

use crate::dialect::Pieces;

/// How long a connection without work is kept.
const POOL_IDLE: Duration = Duration::from_mins(1);
/// How many connections without work are kept for one host, on one thread.
const POOL_SIZE: usize = 256;
/// How often a silent HTTP/2 connection with work on it is asked whether it lives, and how long it may take to answer.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(15);

thread_local! {
    static CLIENTS: RefCell<HashMap<ClientKey, (Weak<Tls>, Client)>> = RefCell::default();
}

/// What two calls must have in common to share connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ClientKey {
    /// The address of the transport's `Tls`.
    transport: usize,
    proxy: Proxy,
    connect: Duration,
    http: HttpMode,
    reach: Reach,
}

/// Sends requests over HTTP/1.1 or HTTP/2, with TLS of rustls and ring.
#[derive(Debug, Clone)]
pub struct HttpTransport {
    tls: Arc<Tls>,
}

#[derive(Debug)]
struct Tls(ClientConfig);

/// The certificates to trust cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum InvalidCertificates {
    #[error("the certificates are not in PEM form")]
    Pem(#[source] Cause),
    #[error("there is no certificate among them")]
    None,
    #[error("one of them is no certificate that can be trusted")]
    Untrusted(#[source] rustls::Error),
    #[error("TLS cannot be set up")]
    Provider(#[source] rustls::Error),
}

impl HttpTransport {
    /// Trusts the roots of the web (Mozilla's list), and those in `extra` besides: certificates in PEM form.
    pub fn new(extra: Option<&[u8]>) -> Result<Self, InvalidCertificates> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(pem) = extra {
            let before = roots.len();
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|it| InvalidCertificates::Pem(Box::new(it)))?;
                roots.add(certificate).map_err(InvalidCertificates::Untrusted)?;
            }
            if roots.len() == before {
                return Err(InvalidCertificates::None);
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(InvalidCertificates::Provider)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: Arc::new(Tls(config)) })
    }

    /// This thread's client for such calls.
    fn client(&self, options: &SendOptions) -> Result<Client, TransportError> {
        let key = ClientKey {
            transport: Arc::as_ptr(&self.tls) as usize,
            proxy: options.proxy.clone(),
            connect: options.timeouts.connect,
            http: options.http,
            reach: options.reach,
        };
        CLIENTS.with_borrow_mut(|clients| {
            if let Some((owner, client)) = clients.get(&key)
                && owner.strong_count() > 0
            {
                return Ok(client.clone());
            }
            // A new way of connecting is rare, and a good moment to forget the transports that are gone.
            clients.retain(|_, (owner, _)| owner.strong_count() > 0);
            let client = self.build(&key).map_err(|it| TransportError::Request { source: cause(it) })?;
            clients.insert(key, (Arc::downgrade(&self.tls), client.clone()));
            Ok(client)
        })
    }

    fn build(&self, key: &ClientKey) -> reqwest::Result<Client> {
        let mut tls = self.tls.0.clone();
        tls.alpn_protocols = match key.http {
            HttpMode::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            HttpMode::Http1 => vec![b"http/1.1".to_vec()],
            HttpMode::Http2 => vec![b"h2".to_vec()],
        };
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .referer(false)
            .tcp_nodelay(true)
            .tcp_keepalive(POOL_IDLE)
            .connect_timeout(key.connect)
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_SIZE)
            .http2_adaptive_window(true)
            .http2_keep_alive_interval(PING_EVERY)
            .http2_keep_alive_timeout(PING_TIMEOUT);
        builder = match key.http {
            HttpMode::Auto => builder,
            HttpMode::Http1 => builder.http1_only(),
            HttpMode::Http2 => builder.http2_prior_knowledge(),
        };
        if let Proxy::Url(url) = &key.proxy {
            builder = builder.proxy(reqwest::Proxy::all(url.as_url().clone())?);
        }
        if key.reach == Reach::PublicOnly {
            builder = builder.dns_resolver(Arc::new(PublicResolver));
        }
        builder.build()
    }

    /// Sends, and waits for the answer's head until `patience` says that it was too long.
    async fn execute(
        &self,
        request: reqwest::Request,
        options: &SendOptions,
        patience: Patience,
    ) -> Result<reqwest::Response, TransportError> {
        if options.reach == Reach::PublicOnly {
            // A proxy resolves names out of our sight.
            let through_proxy = matches!(options.proxy, Proxy::Url(_));
            if through_proxy || guard::check(request.url()).is_err() {
                return Err(TransportError::NotPublic);
            }
        }
        let answer = self.client(options)?.execute(request);
        patience.wait(answer).await?.map_err(|it| no_answer(it, &options.proxy))
    }
}

/// How long an answer's head is waited for.
struct Patience {
    first_byte: Duration,
    total: Option<Instant>,
    /// When the last piece of the body was taken.
    busy: Arc<Mutex<Instant>>,
}

impl Patience {
    fn new(options: &SendOptions) -> Self {
        let begun = Instant::now();
        Self {
            first_byte: options.timeouts.first_byte,
            total: options.timeouts.total.map(|it| begun + it),
            busy: Arc::new(Mutex::new(begun)),
        }
    }

    async fn wait<T>(&self, answer: impl Future<Output = T>) -> Result<T, TransportError> {
        let mut answer = std::pin::pin!(answer);
        loop {
            let busy = *self.busy.lock();
            let first_byte = busy + self.first_byte;
            let (until, kind) = match self.total {
                Some(total) if total < first_byte => (total, TimeoutKind::Total),
                _ => (first_byte, TimeoutKind::FirstByte),
            };
            match timeout_at(until, &mut answer).await {
                Ok(answer) => return Ok(answer),
                Err(_) if kind == TimeoutKind::FirstByte && *self.busy.lock() > busy => {}
                Err(_) => return Err(TransportError::Timeout(kind)),
            }
        }
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(
        &self,
        request: Request<Pieces>,
        options: &SendOptions,
    ) -> Result<Response<ByteStream>, TransportError> {
        let patience = Patience::new(options);
        let total = patience.total;
        let request = reqwest::Request::try_from(in_pieces(request))
            .map_err(|it| TransportError::Request { source: cause(it) })?;
        let answer = self.execute(request, options, patience).await?;
        Ok(response(answer, options.timeouts.idle, total))
    }

    async fn upload(
        &self,
        request: Request<UploadStream>,
        options: &SendOptions,
    ) -> Result<Response<ByteStream>, TransportError> {
        let patience = Patience::new(options);
        let (total, busy) = (patience.total, Arc::clone(&patience.busy));
        let request = request
            .map(|pieces| reqwest::Body::wrap_stream(pieces.inspect(move |_| *busy.lock() = Instant::now())));
        let request = reqwest::Request::try_from(request)
            .map_err(|it| TransportError::Request { source: cause(it) })?;
        let answer = self.execute(request, options, patience).await?;
        Ok(response(answer, options.timeouts.idle, total))
    }

    async fn open(
        &self,
        mut request: Request<()>,
        options: &SendOptions,
        max_frame: usize,
    ) -> Result<Opened, TransportError> {
        let key = websocket::ask(request.headers_mut());
        let request = reqwest::Request::try_from(request.map(|()| reqwest::Body::default()))
            .map_err(|it| TransportError::Request { source: cause(it) })?;
        // Only HTTP/1.1 can be upgraded; a session may last longer than any answer.
        let mut options = options.clone();
        options.http = HttpMode::Http1;
        options.timeouts.total = None;
        let answer = self.execute(request, &options, Patience::new(&options)).await?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Opened::Refused(response(answer, options.timeouts.idle, None)));
        }
        websocket::check(answer.headers(), &key)?;
        let line = answer.upgrade().await.map_err(|it| TransportError::Closed { source: cause(it) })?;
        Ok(Opened::Socket(websocket::socket(line, max_frame).await))
    }
}

/// A body in one piece is sent as such; one in several is not copied into one for it, but its length is known.
fn in_pieces(request: Request<Pieces>) -> Request<reqwest::Body> {
    let (mut head, pieces) = request.into_parts();
    let body = match pieces.iter().count() {
        1 => pieces.whole().into(),
        _ => {
            head.headers.insert(CONTENT_LENGTH, pieces.len().into());
            reqwest::Body::wrap_stream(stream::iter(pieces.into_iter().map(Ok::<_, Infallible>)))
        }
    };
    Request::from_parts(head, body)
}

fn response(mut answer: reqwest::Response, idle: Duration, total: Option<Instant>) -> Response<ByteStream> {
    let (status, version) = (answer.status(), answer.version());
    let headers = std::mem::take(answer.headers_mut());
    let bytes = answer.bytes_stream().map(|it| it.map_err(|it| TransportError::Body { source: cause(it) }));
    let mut response = Response::new(TimedBody::new(bytes, idle, total).boxed());
    *response.status_mut() = status;
    *response.version_mut() = version;
    *response.headers_mut() = headers;
    response
}

/// Says what an error before the answer's headers means.
fn no_answer(error: reqwest::Error, proxy: &Proxy) -> TransportError {
    let (timed_out, connecting) = (error.is_timeout(), error.is_connect());
    let (not_public, tls) = (is_in_chain::<NotPublic>(&error), is_in_chain::<rustls::Error>(&error));
    let source = cause(error);
    match (connecting, proxy) {
        _ if not_public => TransportError::NotPublic,
        _ if tls => TransportError::Tls { source },
        (true, _) if timed_out => TransportError::Timeout(TimeoutKind::Connect),
        (true, Proxy::Url(_)) => TransportError::Proxy { source },
        (true, _) => TransportError::Connect { source },
        (false, _) => TransportError::Closed { source },
    }
}

/// An error without the address it came from: that may hold a secret.
fn cause(error: reqwest::Error) -> Cause {
    Box::new(error.without_url())
}

/// Whether an error of this type is among the causes; an `io::Error` hides what it was made of.
fn is_in_chain<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    let inside = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    error.is::<E>()
        || inside.is_some_and(|it| is_in_chain::<E>(it))
        || error.source().is_some_and(is_in_chain::<E>)
}
