//! The providers: how each is called, and what its failures mean.
//!
//! Everything here is pure but `transport`, the one place that opens connections.

pub mod discovery;
mod endpoint;
mod envelope;
pub mod errand;
mod google;
mod headers;
mod judge;
pub mod kind;
pub mod kinds;
pub mod limits;
pub mod models;
mod packing;
mod place;
pub mod redact;
pub mod token;
pub mod transport;
pub mod verdict;

#[cfg(test)]
mod tests;

use std::{sync::atomic::AtomicBool, time::Duration};

use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::{
    catalog::{UpstreamModel, UpstreamName},
    credential::Credential,
    dialect::{DialectId, Pieces},
    kernel::id::AttemptId,
};

pub use endpoint::InvalidBaseUrl;
pub use errand::Errand;
pub use judge::Tried;
pub use kind::{AuthScheme, Operation, PolicyClass, UpstreamKind};
pub use packing::Packing;
pub use place::{InvalidPlace, Place};
pub use verdict::{Failure, Fault, Next, Verdict};

use endpoint::Endpoint;
use transport::{HttpMode, InvalidProxy, Proxy, Reach, SendOptions, Timeouts};

/// What the operator says of an upstream.
#[derive(Clone)]
pub struct UpstreamSpec {
    pub name: UpstreamName,
    pub kind: &'static UpstreamKind,
    /// Absent: the kind's own.
    pub base_url: Option<Url>,
    /// For kinds whose address has one.
    pub place: Option<Place>,
    /// Sent with every call; goes before whatever the kind or a client says.
    pub headers: Vec<(HeaderName, SecretString)>,
    /// Absent: the kind's own.
    pub auth: Option<AuthScheme>,
    pub proxy: Proxy,
    pub timeouts: Timeouts,
    /// A stream that sends nothing but signs of life is given up after this time.
    pub dead_after: Duration,
    /// `Auto`: the kind's own preference.
    pub http: HttpMode,
    /// Values of `anthropic-beta` that are never sent: this upstream would answer 400.
    pub denied_betas: Vec<String>,
    pub streaming: Streaming,
    /// How request bodies are compressed; absent: not at all.
    pub packing: Option<Packing>,
}

/// Which answers an upstream is asked to stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Streaming {
    /// Those the client wants streamed.
    #[default]
    Auto,
    /// All: it cannot answer otherwise, or takes too long to. The client's whole answer is made of the stream.
    Always,
    /// None: it cannot, or not well. The client's stream is made of the whole answer.
    Never,
}

impl UpstreamSpec {
    pub fn new(name: UpstreamName, kind: &'static UpstreamKind) -> Self {
        Self {
            name,
            kind,
            base_url: None,
            place: None,
            headers: Vec::new(),
            auth: None,
            proxy: Proxy::Default,
            timeouts: Timeouts::default(),
            dead_after: Duration::from_mins(10),
            http: HttpMode::Auto,
            denied_betas: Vec::new(),
            streaming: Streaming::Auto,
            packing: None,
        }
    }
}

/// Why an upstream cannot be used as it was configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUpstream {
    #[error(transparent)]
    BaseUrl(#[from] InvalidBaseUrl),
    #[error("the value of header `{0}` has characters that no header may have")]
    Header(HeaderName),
}

/// One configured place to call.
#[derive(Debug)]
pub struct Upstream {
    name: UpstreamName,
    kind: &'static UpstreamKind,
    endpoint: Endpoint,
    headers: HeaderMap,
    auth: AuthScheme,
    options: SendOptions,
    dead_after: Duration,
    denied_betas: Vec<String>,
    streaming: Streaming,
    packing: Option<Packing>,
    /// Whether it has refused a compressed request.
    refuses_packed: AtomicBool,
}

/// One call that is to be made. It has no `Debug` form: it holds what people wrote.
pub struct Call<'a> {
    pub operation: Operation,
    pub model: &'a UpstreamModel,
    /// Whether the answer is to come as a stream.
    pub streaming: bool,
    /// In the upstream's dialect; empty for the list of models.
    pub body: Pieces,
    pub credential: &'a Credential,
    pub client_headers: &'a HeaderMap,
    /// Values of `anthropic-beta` that the body needs.
    pub betas: &'a [String],
    pub attempt: AttemptId,
}

/// Why a call cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    #[error("the upstream has no operation `{}`", .0.name())]
    NoOperation(Operation),
    #[error("the credential has no secret")]
    NoSecret,
    #[error("the credential's secret has characters that no header may have")]
    UnprintableSecret,
    #[error("the model's name does not fit into an address")]
    Address,
    #[error("the type of the body has characters that no header may have")]
    ContentType,
}

impl Upstream {
    pub fn new(spec: UpstreamSpec) -> Result<Self, InvalidUpstream> {
        let endpoint = Endpoint::new(spec.kind, spec.base_url.as_ref(), spec.place.as_ref())?;
        let mut headers = HeaderMap::new();
        for (name, value) in spec.headers {
            let Ok(mut value) = HeaderValue::from_str(value.expose_secret()) else {
                return Err(InvalidUpstream::Header(name));
            };
            value.set_sensitive(headers::is_private(&name));
            headers.append(name, value);
        }
        let http = if spec.http == HttpMode::Auto { spec.kind.http } else { spec.http };
        Ok(Self {
            name: spec.name,
            kind: spec.kind,
            endpoint,
            headers,
            auth: spec.auth.unwrap_or(spec.kind.auth),
            options: SendOptions { proxy: spec.proxy, timeouts: spec.timeouts, http, reach: Reach::Anywhere },
            dead_after: spec.dead_after,
            denied_betas: spec.denied_betas,
            streaming: spec.streaming,
            packing: spec.packing,
            refuses_packed: AtomicBool::new(false),
        })
    }

    pub fn name(&self) -> &UpstreamName {
        &self.name
    }

    pub fn kind(&self) -> &'static UpstreamKind {
        self.kind
    }

    /// The dialect in which a model is asked.
    pub fn dialect(&self, model: &UpstreamModel) -> DialectId {
        (self.kind.dialect)(model)
    }

    /// Whether a stream is asked for, if the client wants one or does not.
    pub fn asks_stream(&self, wanted: bool) -> bool {
        match self.streaming {
            Streaming::Auto => wanted,
            Streaming::Always => true,
            Streaming::Never => false,
        }
    }

    /// How long a stream may send nothing but signs of life.
    pub fn dead_after(&self) -> Duration {
        self.dead_after
    }

    /// Whether an address is on the host that is called.
    fn is_at(&self, address: &Url) -> bool {
        self.endpoint.origin().is_some_and(|it| it == address.origin())
    }

    /// Whether the upstream can do this at all.
    pub fn has(&self, operation: Operation) -> bool {
        self.kind.path(operation).is_some()
    }

    /// How a call with this credential is sent: its proxy, else the upstream's.
    pub fn options(&self, credential: &Credential) -> Result<SendOptions, InvalidProxy> {
        let mut options = self.options.clone();
        if let Some(proxy) = &credential.proxy_url {
            options.proxy = Proxy::parse(proxy)?.or(&self.options.proxy);
        }
        Ok(options)
    }

    /// Makes the request. Pure: the same call always gives the same request.
    pub fn prepare(&self, call: Call<'_>) -> Result<Request<Pieces>, PrepareError> {
        let uri = self
            .endpoint
            .uri(self.kind, call.operation, call.model)
            .ok_or(PrepareError::NoOperation(call.operation))?
            .map_err(|_| PrepareError::Address)?;
        if call.operation == Operation::Models {
            return self.listing(uri, call.credential);
        }
        let mut headers = self.headers_of(Some(&call));
        headers::authenticate(self.auth, call.credential.secret.expose_secret(), &mut headers)?;
        Ok(request(Method::POST, uri, headers, envelope::wrap(self.kind.envelope, call.body)))
    }

    /// Makes the request for a list of models.
    fn listing(&self, uri: Uri, credential: &Credential) -> Result<Request<Pieces>, PrepareError> {
        let mut headers = self.headers_of(None);
        headers::authenticate(self.auth, credential.secret.expose_secret(), &mut headers)?;
        Ok(request(Method::GET, uri, headers, Pieces::default()))
    }

    /// The headers but for the secret; `call` is what a client asked for.
    fn headers_of(&self, call: Option<&Call<'_>>) -> HeaderMap {
        let nothing = HeaderMap::new();
        let client = call.map_or(&nothing, |it| it.client_headers);
        let mut out = HeaderMap::with_capacity(16);
        headers::describe(&mut out, call.is_some(), call.is_some_and(|it| it.streaming));
        headers::copy_allowed(self.kind, client, &mut out);
        for name in self.headers.keys() {
            out.remove(name);
        }
        for (name, value) in &self.headers {
            out.append(name, value.clone());
        }
        let betas = call.map_or(&[][..], |it| it.betas);
        headers::merge_betas(self.kind, client, betas, &self.denied_betas, &mut out);
        if let (Some(name), Some(call)) = (self.kind.attempt_header, call)
            && let Ok(value) = HeaderValue::try_from(call.attempt.to_string())
        {
            out.insert(HeaderName::from_static(name), value);
        }
        out
    }

    /// The headers of an answer that a client of the dialect `client` gets, in its words.
    pub fn reply_headers(
        &self,
        model: &UpstreamModel,
        client: DialectId,
        headers: &HeaderMap,
        now: DateTime<Utc>,
    ) -> HeaderMap {
        let allowed = headers::reply(self.kind, headers);
        limits::translate_headers(self.dialect(model), client, &allowed, now)
    }
}

fn request(method: Method, uri: Uri, headers: HeaderMap, body: Pieces) -> Request<Pieces> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    request
}
