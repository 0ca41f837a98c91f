//! One call of an operation beside answers: written down first, judged if it fails.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, response::Parts};

use super::upload::{Broken, Freight};
use crate::{
    credential::Lease,
    dialect::{DecodeError, DialectId, Loss, Pieces, Prompt, WireError},
    kernel::{
        clock::Clock,
        error::{ErrorKind, GatewayError},
        id::AttemptId,
    },
    pipeline::{Inbound, Pipeline, attempt::Failed, error},
    routing::Target,
    telemetry::names,
    upstream::{
        Errand, Failure, Next, Operation, Tried, Upstream,
        transport::{ByteStream, Opened, SendOptions, Socket, read_whole},
    },
    usage::{Ending, Intent, Losses, Meter},
};

/// The largest error body that is read, in bytes.
const MAX_ERROR: usize = 256 << 10;

/// What is sent.
pub(super) enum Load {
    None,
    Json(Pieces),
    Upload(Freight),
}

/// A call that is to be made.
pub(super) struct Order<'a> {
    pub inbound: &'a Inbound,
    pub operation: Operation,
    pub method: Method,
    pub upstream: &'a Upstream,
    pub target: &'a Target,
    pub lease: Lease,
    /// 1 for the first attempt of the exchange.
    pub number: u32,
    /// As the client wrote it.
    pub model_name: &'a str,
    /// Whether the client waits for events.
    pub streamed: bool,
    /// Whether the answer passes as it comes, so that nothing may hold it back.
    pub passes: bool,
    /// What is counted if the upstream does not.
    pub prompt: Prompt,
    /// What the upstream is not told as the client said it.
    pub losses: &'a [Loss],
    pub tail: &'a [&'a str],
    pub query: &'a [(String, String)],
    pub load: Load,
}

/// A call under way.
pub(super) struct Voyage<'a> {
    pub upstream: &'a Upstream,
    pub target: &'a Target,
    pub lease: Lease,
    pub meter: Meter,
    operation: Operation,
    clock: &'a dyn Clock,
    /// Set if the body was sent while it came: it is gone.
    broken: Option<Broken>,
}

impl Pipeline {
    /// Makes the call; gives its answer if that is a success.
    pub(super) async fn launch<'a>(
        &'a self,
        order: Order<'a>,
    ) -> Result<(Parts, ByteStream, Voyage<'a>), Failed> {
        let (request, options, intent) = self.papers(&order).await?;
        let (load, mut voyage) = self.embark(order, intent).await?;
        let upstream = voyage.upstream;
        let sending = async {
            match load {
                Load::None => self.transport.send(request.map(|()| Pieces::default()), &options).await,
                Load::Json(body) => upstream.send(&*self.transport, request.map(|()| body), &options).await,
                Load::Upload(freight) => {
                    self.transport.upload(request.map(|()| freight.pieces), &options).await
                }
            }
        };
        let sent = tokio::select! {
            sent = sending => sent,
            () = self.stop.cancelled() => return Err(voyage.interrupted()),
        };
        let (parts, body) = match sent {
            Ok(response) => response.into_parts(),
            Err(it) => return Err(voyage.failed(&Failure::Transport(it))),
        };
        voyage.meter.status(parts.status.as_u16());
        if parts.status.is_success() {
            return Ok((parts, body, voyage));
        }
        Err(voyage.refused(parts.status, parts.headers, body).await)
    }

    /// Opens a WebSocket instead; an answer of HTTP is a failure.
    pub(super) async fn launch_socket<'a>(
        &'a self,
        order: Order<'a>,
    ) -> Result<(Socket, Voyage<'a>), Failed> {
        let (request, options, intent) = self.papers(&order).await?;
        let (_, mut voyage) = self.embark(order, intent).await?;
        let opened = tokio::select! {
            opened = self.transport.open(request, &options, self.bounds.max_frame) => opened,
            () = self.stop.cancelled() => return Err(voyage.interrupted()),
        };
        match opened {
            Ok(Opened::Socket(socket)) => {
                voyage.meter.status(StatusCode::SWITCHING_PROTOCOLS.as_u16());
                Ok((socket, voyage))
            }
            Ok(Opened::Refused(response)) => {
                let (parts, body) = response.into_parts();
                voyage.meter.status(parts.status.as_u16());
                Err(voyage.refused(parts.status, parts.headers, body).await)
            }
            Err(it) => Err(voyage.failed(&Failure::Transport(it))),
        }
    }

    /// The request, how it is sent, and what is written down of it.
    async fn papers(&self, order: &Order<'_>) -> Result<(Request<()>, SendOptions, Intent), Failed> {
        let internal =
            |error: String, next| Failed::here(GatewayError::new(ErrorKind::Internal, error), next);
        let credential = order.lease.credential();
        let shown = match self.tokens.present(order.upstream, credential).await {
            Ok(shown) => shown,
            Err(it) => return Err(self.not_shown(order.upstream, order.target, &order.lease, &it)),
        };
        let (content_type, length) = match &order.load {
            Load::None => (None, None),
            Load::Json(_) => (Some("application/json"), None),
            Load::Upload(freight) => (Some(freight.content_type.as_str()), freight.length),
        };
        let attempt = AttemptId::new();
        let request = order
            .upstream
            .errand(&Errand {
                operation: order.operation,
                method: order.method.clone(),
                model: &order.target.model,
                tail: order.tail,
                query: order.query,
                content_type,
                length,
                streaming: order.passes,
                credential: &shown,
                client_headers: &order.inbound.headers,
                attempt,
            })
            .map_err(|it| internal(it.to_string(), Next::NextTarget))?;
        let options = order
            .upstream
            .options(credential)
            .map_err(|it| internal(it.to_string(), Next::NextCredential))?;
        let inbound = order.inbound;
        let intent = Intent {
            attempt,
            request: inbound.id,
            number: order.number,
            tenant: inbound.scope.tenant(),
            key: inbound.scope.key(),
            credential: credential.id,
            upstream: order.target.upstream.as_str().to_owned(),
            client_dialect: inbound.dialect.name().to_owned(),
            upstream_dialect: order.upstream.dialect(&order.target.model).name().to_owned(),
            model_name: order.model_name.to_owned(),
            upstream_model: order.target.model.as_str().to_owned(),
            streamed: order.streamed,
            operation: name(order.operation).to_owned(),
            estimated_input: order.prompt.roughly(),
            started_at: self.clock.now(),
            losses: Losses::of(order.losses),
        };
        Ok((request, options, intent))
    }

    /// Writes the intent down.
    async fn embark<'a>(&'a self, order: Order<'a>, intent: Intent) -> Result<(Load, Voyage<'a>), Failed> {
        let begun = self.accounts.begin(intent, order.prompt).await;
        let meter = begun.map_err(|it| Failed::here(error::spool(&it), Next::GiveUp))?;
        let broken = match &order.load {
            Load::Upload(freight) => Some(Broken::clone(&freight.broken)),
            Load::None | Load::Json(_) => None,
        };
        let voyage = Voyage {
            upstream: order.upstream,
            target: order.target,
            lease: order.lease,
            meter,
            operation: order.operation,
            clock: &*self.clock,
            broken,
        };
        Ok((order.load, voyage))
    }
}

impl Voyage<'_> {
    pub(super) fn dialect(&self) -> DialectId {
        self.upstream.dialect(&self.target.model)
    }

    /// The upstream answered with an error's status.
    pub(super) async fn refused(self, status: StatusCode, headers: HeaderMap, body: ByteStream) -> Failed {
        let body = read_whole(body, MAX_ERROR).await.unwrap_or_default();
        self.answered_wrong(status, headers, body)
    }

    /// The same of a body that is here.
    pub(super) fn answered_wrong(self, status: StatusCode, headers: HeaderMap, body: Bytes) -> Failed {
        let wire = self.dialect().client().decode_error(status, &body);
        self.failed(&Failure::Status { status, headers, body, wire })
    }

    /// Judges a failure, tells the credential, closes the meter. What the client broke off is the client's fault.
    pub(super) fn failed(self, failure: &Failure) -> Failed {
        if let Some(broken) = &self.broken
            && matches!(failure, Failure::Transport(_))
            && let Some(error) = broken.lock().take()
        {
            self.meter.end(Ending::Abandoned, Some(error.kind));
            return Failed::here(error, Next::GiveUp);
        }
        let verdict = self.upstream.judge(
            failure,
            &Tried {
                operation: self.operation,
                model: &self.target.model,
                credential: self.lease.credential(),
                now: self.clock.now(),
            },
        );
        tracing::warn!(
            { names::UPSTREAM_NAME } = self.target.upstream.as_str(),
            { names::CREDENTIAL_ID } = %self.lease.credential().id,
            { names::ERROR_KIND } = verdict.error.kind.name(),
            status = verdict.error.status,
            "An attempt failed"
        );
        self.lease.report(&verdict.outcome);
        self.meter.end(Ending::Failed, Some(verdict.error.kind));
        let next = if self.broken.is_some() { Next::GiveUp } else { verdict.next };
        Failed::here(verdict.error, next)
    }

    /// The upstream's answer cannot be used.
    pub(super) fn unreadable(self, error: &DecodeError) -> Failed {
        let told = error::answer(error);
        let wire =
            WireError { kind: told.kind, message: told.message, error_type: None, code: None, param: None };
        self.failed(&Failure::Stream(wire))
    }

    /// The gateway stops while the upstream is silent.
    pub(super) fn interrupted(self) -> Failed {
        self.meter.end(Ending::Interrupted, Some(ErrorKind::Unavailable));
        Failed::here(error::stopping(), Next::GiveUp)
    }
}

/// What is written down: a batch of embeddings is no other operation to whoever reads the ledger.
const fn name(operation: Operation) -> &'static str {
    match operation {
        Operation::EmbeddingBatch => Operation::Embeddings.name(),
        other => other.name(),
    }
}
