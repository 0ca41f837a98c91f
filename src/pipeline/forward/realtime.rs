//! Realtime: a WebSocket on both sides, its messages passed untouched, what it used summed up.

use std::borrow::Cow;

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http::{HeaderValue, Method};
use tokio_util::sync::CancellationToken;

use super::{
    launch::{Load, Order},
    usage,
};
use crate::{
    catalog::ModelName,
    credential::{Lease, Outcome},
    dialect::{Prompt, TokenUsage},
    kernel::error::{ErrorKind, GatewayError},
    pipeline::{Inbound, Pipeline, Refusal, Trail, attempt::Failed, dispatch::Try, error},
    routing::Target,
    upstream::{
        Operation,
        transport::{
            Frame, Socket, TransportError,
            websocket::{Farewell, FrameSink, FrameStream},
        },
    },
    usage::{Ending, Meter},
};

/// An open session.
pub struct Line {
    pub trail: Trail,
    /// The protocol to agree on with the client, if it offers it.
    pub speaking: Speaking,
    pub hearing: Hearing,
}

/// The way to the upstream.
pub struct Speaking(FrameSink);

/// The way from the upstream, and the bill. Dropped, the client left without a word.
pub struct Hearing {
    incoming: FrameStream,
    meter: Option<Meter>,
    lease: Lease,
    used: TokenUsage,
    stop: CancellationToken,
}

impl Pipeline {
    /// Opens a session. `query` is the client's; its `model` is where it leads.
    pub async fn realtime(&self, inbound: Inbound, query: &str) -> Result<Line, Refusal> {
        let fields: Vec<(Cow<'_, str>, Cow<'_, str>)> =
            url::form_urlencoded::parse(query.as_bytes()).collect();
        let mut named = fields.iter().filter(|it| it.0 == "model").map(|it| &*it.1);
        let bad = |message: String| GatewayError::new(ErrorKind::BadRequest, message).at("/model");
        let model = match (named.next(), named.next()) {
            (Some(model), None) => ModelName::parse(model).map_err(|it| bad(it.to_string()))?,
            (None, _) => return Err(bad("`model` is missing in the query: `?model=…`".to_owned()).into()),
            (Some(_), Some(_)) => return Err(bad("`model` is given twice: give it once".to_owned()).into()),
        };
        let rest: Vec<(String, String)> = fields
            .iter()
            .filter(|it| !matches!(&*it.0, "model" | "key"))
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect();
        let route = self
            .routes
            .route(&inbound.scope, &model, inbound.upstream.as_deref())
            .map_err(|it| error::no_route(&it))?;
        let able: Vec<&Target> = route
            .targets()
            .filter(|it| self.upstreams.get(&it.upstream).is_some_and(|it| it.has(Operation::Realtime)))
            .collect();
        if able.is_empty() {
            let message = format!("the upstream of `{model}` has no realtime sessions");
            return Err(GatewayError::new(ErrorKind::Unsupported, message).into());
        }
        let attempt = async |it: Try<'_>| self.connect(&inbound, &model, &rest, it).await;
        self.try_each(able.into_iter(), || None, attempt).await
    }

    async fn connect(
        &self,
        inbound: &Inbound,
        model: &ModelName,
        rest: &[(String, String)],
        it: Try<'_>,
    ) -> Result<Line, Failed> {
        let Try { upstream, target, lease, trail, .. } = it;
        let mut query = vec![("model".to_owned(), target.model.as_str().to_owned())];
        query.extend_from_slice(rest);
        let order = Order {
            inbound,
            operation: Operation::Realtime,
            method: Method::GET,
            upstream,
            target,
            lease,
            number: trail.attempts,
            model_name: model.as_str(),
            streamed: true,
            passes: true,
            prompt: Prompt::default(),
            losses: &[],
            tail: &[],
            query: &query,
            load: Load::None,
        };
        let (Socket { outgoing, incoming }, voyage) = self.launch_socket(order).await?;
        let hearing = Hearing {
            incoming,
            meter: Some(voyage.meter),
            lease: voyage.lease,
            used: TokenUsage::default(),
            stop: self.stop.clone(),
        };
        Ok(Line { trail: trail.clone(), speaking: Speaking(outgoing), hearing })
    }
}

/// Puts into headers what browsers can only say as a protocol (`openai-beta.realtime-v1`).
pub fn beta_of_protocols(inbound: &mut Inbound, protocols: &str) {
    let beta = protocols.split(',').map(str::trim).find_map(|it| it.strip_prefix("openai-beta."));
    if let Some((name, version)) = beta.and_then(|it| it.rsplit_once('-'))
        && !inbound.headers.contains_key("openai-beta")
        && let Ok(value) = HeaderValue::try_from(format!("{name}={version}"))
    {
        inbound.headers.insert("openai-beta", value);
    }
}

impl Speaking {
    /// Passes a message on. An error: the upstream is gone, and `Hearing` says why.
    pub async fn say(&mut self, frame: Frame) -> Result<(), TransportError> {
        self.0.send(frame).await
    }
}

impl Hearing {
    /// The next message for the client. `Close` is the last.
    pub async fn next(&mut self) -> Frame {
        let stop = self.stop.clone();
        let next = tokio::select! {
            biased;
            next = self.incoming.next() => next,
            () = stop.cancelled() => {
                self.end(Ending::Interrupted, Some(ErrorKind::Unavailable), &Outcome::Unharmed);
                return close(1012, "the gateway is restarting: connect again");
            }
        };
        match next {
            Some(Ok(Frame::Close(farewell))) => {
                self.end(Ending::Completed, None, &Outcome::Success);
                Frame::Close(farewell)
            }
            Some(Ok(frame)) => {
                self.count(&frame);
                frame
            }
            Some(Err(TransportError::TooLarge { .. })) => {
                self.end(Ending::Failed, Some(ErrorKind::UpstreamFailed), &Outcome::Unharmed);
                close(1009, "the upstream's message is too large")
            }
            Some(Err(_)) | None => {
                self.end(Ending::Truncated, Some(ErrorKind::Truncated), &Outcome::Failing { after: None });
                close(1011, "the upstream's session broke off")
            }
        }
    }

    /// The client said goodbye: the session was used as long as it was wanted.
    pub fn hung_up(&mut self) {
        self.end(Ending::Completed, None, &Outcome::Success);
    }

    /// Takes note of what a message says was used: `response.done`, each of which counts for itself.
    fn count(&mut self, frame: &Frame) {
        let (Some(meter), Frame::Text(text)) = (&mut self.meter, frame) else { return };
        meter.first_byte();
        if memchr::memmem::find(text, b"response.done").is_some()
            && is_of_type(text, "response.done")
            && let Some(used) = usage::of_event(text)
        {
            self.used = self.used.plus(&used);
            meter.usage(&self.used);
        }
    }

    fn end(&mut self, ending: Ending, error: Option<ErrorKind>, outcome: &Outcome) {
        if let Some(meter) = self.meter.take() {
            self.lease.report(outcome);
            meter.end(ending, error);
        }
    }
}

fn is_of_type(event: &Bytes, wanted: &str) -> bool {
    crate::dialect::scan::scan(event)
        .is_ok_and(|it| it.string(event, "type").ok().flatten().as_deref() == Some(wanted))
}

fn close(code: u16, reason: &str) -> Frame {
    Frame::Close(Some(Farewell { code, reason: reason.to_owned() }))
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("trail", &self.trail).finish_non_exhaustive()
    }
}
