//! The trip of what is no conversation: embeddings, images, sounds, files. The same admission and the same meter, no
//! translation but for embeddings, and nothing held that can pass.

mod embed;
mod launch;
mod multipart;
mod objects;
mod passage;
mod realtime;
mod upload;
mod usage;
mod wish;

use bytes::Bytes;
use futures::StreamExt as _;
use http::{
    HeaderMap, HeaderName, Method, StatusCode,
    header::{CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};
use tokio::time::timeout;

pub use objects::Deed;
pub use passage::{BrokenOff, Passage};
pub use realtime::{Hearing, Line, Speaking, beta_of_protocols};
pub use upload::Upload;

pub use crate::upstream::transport::websocket::{Farewell, Frame};

use super::{Inbound, Pipeline, Refusal, Trail, attempt::Failed, dispatch::Try, error};
use crate::{
    credential::Outcome,
    dialect::{
        DialectId, ReplyContext,
        scan::{self, ValueKind},
        tokenizer::Family,
        verbatim::{self, IncludeUsage},
    },
    kernel::error::{ErrorKind, GatewayError},
    routing::Target,
    upstream::{
        Failure, Next, Operation,
        transport::{ByteStream, TransportError},
    },
    usage::Ending,
};
use embed::Way;
use launch::{Load, Order, Voyage};
use passage::Watch;
use wish::{Body, Wish};

/// What goes back to the client.
#[derive(Debug)]
pub struct Delivery {
    pub status: StatusCode,
    /// Of the upstream's headers, those that may pass, and what the body is.
    pub headers: HeaderMap,
    pub body: Goods,
    pub trail: Trail,
}

/// An answer's body.
#[derive(Debug)]
pub enum Goods {
    /// JSON.
    Whole(Bytes),
    /// Anything, on its way.
    Passage(Box<Passage>),
}

/// What is done with a successful answer.
struct Home<'a> {
    inbound: &'a Inbound,
    wish: &'a Wish,
    way: Way,
}

impl Pipeline {
    /// Carries out an operation that has a model. `upload` is the body if it is passed on while it comes.
    pub async fn forward(
        &self,
        inbound: Inbound,
        operation: Operation,
        upload: Option<Upload>,
    ) -> Result<Delivery, Refusal> {
        let wish = match upload {
            Some(upload) => Wish::on_its_way(operation, upload, self.bounds.max_held).await?,
            None => Wish::held(&inbound, operation)?,
        };
        let route = self
            .routes
            .route(&inbound.scope, &wish.model, inbound.upstream.as_deref())
            .map_err(|it| error::no_route(&it))?;
        let able: Vec<&Target> = route
            .targets()
            .filter(|target| {
                let upstream = self.upstreams.get(&target.upstream);
                upstream.is_some_and(|it| embed::suits(it, target, inbound.dialect, operation))
            })
            .collect();
        if able.is_empty() {
            let message = format!("the upstream of `{}` has no operation `{}`", wish.model, operation.name());
            return Err(GatewayError::new(ErrorKind::Unsupported, message).into());
        }
        let attempt = async |it: Try<'_>| self.carry(&inbound, &wish, it).await;
        self.try_each(able.into_iter(), || None, attempt).await
    }

    /// Makes one attempt.
    async fn carry(&self, inbound: &Inbound, wish: &Wish, it: Try<'_>) -> Result<Delivery, Failed> {
        let Try { upstream, target, lease, trail, .. } = it;
        let mut losses = Vec::new();
        let (operation, load, way) = match &wish.body {
            Body::Upload(opened) => {
                let opened = opened.lock().take().ok_or_else(|| {
                    let message = "the body was sent to an upstream already: send it again";
                    Failed::here(GatewayError::new(ErrorKind::Unavailable, message), Next::GiveUp)
                })?;
                let freight = opened.into_freight(target.model.as_str());
                (wish.operation, Load::Upload(freight), Way::AsItIs)
            }
            Body::Json { bytes, scan } => match wish.operation {
                Operation::Embeddings | Operation::EmbeddingBatch => {
                    let said = embed::say(inbound.dialect, wish, bytes, scan, upstream, target)?;
                    let dialect = upstream.dialect(&target.model);
                    trail.losses = self.account_for(inbound, dialect, &said.losses)?;
                    losses = said.losses;
                    (said.operation, Load::Json(said.body), said.way)
                }
                Operation::Completions => {
                    let dialect = upstream.dialect(&target.model);
                    let abilities =
                        self.abilities.abilities(dialect.name(), upstream.kind().name, &target.model);
                    let usage =
                        if abilities.stream_options { IncludeUsage::Ask } else { IncludeUsage::Never };
                    let chat = DialectId::OpenaiChat;
                    let body = verbatim::splice(chat, bytes, scan, &target.model, usage);
                    (wish.operation, Load::Json(body), Way::AsItIs)
                }
                _ => {
                    let body = verbatim::rename(bytes, scan, &target.model);
                    (wish.operation, Load::Json(body), Way::AsItIs)
                }
            },
        };
        let order = Order {
            inbound,
            operation,
            method: Method::POST,
            upstream,
            target,
            lease,
            number: trail.attempts,
            model_name: wish.model.as_str(),
            streamed: wish.streams,
            passes: wish.streams || wish.operation == Operation::Speech,
            prompt: wish.prompt.clone(),
            losses: &losses,
            tail: &[],
            query: &[],
            load,
        };
        let (parts, body, voyage) = self.launch(order).await?;
        let headers = self.headers_home(inbound, &voyage, &parts.headers);
        let home = Home { inbound, wish, way };
        let body = self.bring(home, parts.status, &parts.headers, body, voyage).await?;
        Ok(Delivery { status: parts.status, headers, body, trail: trail.clone() })
    }

    /// What the client is told beside the body: what concerns it, and what the body is.
    fn headers_home(&self, inbound: &Inbound, voyage: &Voyage<'_>, headers: &HeaderMap) -> HeaderMap {
        let mut home =
            voyage.upstream.reply_headers(&voyage.target.model, inbound.dialect, headers, self.clock.now());
        for name in [CONTENT_TYPE, CONTENT_DISPOSITION] {
            if let Some(value) = headers.get(&name) {
                home.insert(name, value.clone());
            }
        }
        home
    }

    /// Brings an answer home: JSON whole, if it is not too large; anything else as it comes.
    async fn bring(
        &self,
        home: Home<'_>,
        status: StatusCode,
        headers: &HeaderMap,
        body: ByteStream,
        voyage: Voyage<'_>,
    ) -> Result<Goods, Failed> {
        if !is(headers, "application/json") {
            let watch = self.watch(&home, headers);
            return self.pass(voyage, headers, body, watch).await;
        }
        let (pieces, rest) = match self.read_up_to(body).await {
            Ok(gathered) => gathered,
            Err(None) => return Err(voyage.interrupted()),
            Err(Some(it)) => return Err(voyage.failed(&Failure::Transport(it))),
        };
        if rest.is_some() && matches!(home.way, Way::Translated { .. }) {
            let limit = self.bounds.max_answer;
            return Err(voyage.failed(&Failure::Transport(TransportError::TooLarge { limit })));
        }
        if rest.is_some() {
            let stop = self.stop.clone();
            let passage = Passage::new(voyage, pieces, rest, Watch::Nothing, None, stop);
            return Ok(Goods::Passage(Box::new(passage)));
        }
        let body = joined(pieces);
        if is_error(&body) {
            return Err(voyage.answered_wrong(status, headers.clone(), body));
        }
        home.settle(&body, voyage)
    }

    /// Opens the passage once the first bytes are here, so that a failure before them can still be another's success.
    async fn pass(
        &self,
        voyage: Voyage<'_>,
        headers: &HeaderMap,
        mut body: ByteStream,
        watch: Watch,
    ) -> Result<Goods, Failed> {
        let stop = self.stop.clone();
        let first = tokio::select! {
            first = timeout(self.bounds.commit_after, body.next()) => first,
            () = stop.cancelled() => return Err(voyage.interrupted()),
        };
        let (ready, rest) = match first {
            Err(_) => (Vec::new(), Some(body)),
            Ok(Some(Ok(piece))) => (vec![piece], Some(body)),
            Ok(Some(Err(it))) => return Err(voyage.failed(&Failure::Transport(it))),
            Ok(None) => (Vec::new(), None),
        };
        // What is watched as events may lose one of them, so its length is not the upstream's.
        let length = matches!(watch, Watch::Nothing | Watch::Events(_))
            .then(|| headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok())
            .flatten()
            .filter(|_| !headers.contains_key(CONTENT_ENCODING));
        Ok(Goods::Passage(Box::new(Passage::new(voyage, ready, rest, watch, length, stop))))
    }

    fn watch(&self, home: &Home<'_>, headers: &HeaderMap) -> Watch {
        let max_frame = self.bounds.max_frame;
        if !is(headers, "text/event-stream") {
            return Watch::Nothing;
        }
        if home.wish.operation != Operation::Completions {
            return Watch::events(max_frame);
        }
        let created = self.clock.now().timestamp();
        let context = ReplyContext::new(home.inbound.id, home.wish.model.as_str(), created);
        Watch::completions(!home.wish.include_usage, max_frame, &context)
    }

    /// Reads a body to its end, or until it is larger than a whole answer may be: then the rest is returned too.
    /// `Err(None)`: the gateway stops.
    async fn read_up_to(
        &self,
        mut body: ByteStream,
    ) -> Result<(Vec<Bytes>, Option<ByteStream>), Option<TransportError>> {
        let (mut pieces, mut length) = (Vec::new(), 0);
        loop {
            let next = tokio::select! {
                next = body.next() => next,
                () = self.stop.cancelled() => return Err(None),
            };
            let Some(piece) = next.transpose().map_err(Some)? else { return Ok((pieces, None)) };
            length += piece.len();
            pieces.push(piece);
            if length > self.bounds.max_answer {
                return Ok((pieces, Some(body)));
            }
        }
    }
}

impl Home<'_> {
    /// Settles an answer that is here.
    fn settle(&self, body: &Bytes, mut voyage: Voyage<'_>) -> Result<Goods, Failed> {
        let used = usage::of_reply(body);
        let answered = scan::scan(body).ok();
        let said = |name: &str| {
            let scan = answered.as_ref()?;
            scan.string(body, name).ok().flatten().map(std::borrow::Cow::into_owned)
        };
        let (id, model) = (said("id"), said("model"));
        let family = Family::of(voyage.target.model.as_str());
        let counted = || self.wish.prompt.count(family);
        let told = match self.way.home(body.clone(), self.wish.model.as_str(), counted) {
            Ok(told) => told,
            Err(it) => return Err(voyage.unreadable(&it)),
        };
        voyage.meter.first_byte();
        voyage.meter.usage(&used);
        voyage.meter.answered(id.as_deref(), model.as_deref());
        if !used.has_output() && makes_text(self.wish.operation) {
            voyage.meter.text(&mut usage::text(body));
        }
        voyage.lease.report(&Outcome::Success);
        voyage.meter.end(Ending::Completed, None);
        Ok(Goods::Whole(told))
    }
}

fn joined(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() == 1 { pieces.swap_remove(0) } else { pieces.concat().into() }
}

/// Whether a body's type is this one, whatever its parameters.
fn is(headers: &HeaderMap, wanted: &str) -> bool {
    header(headers, &CONTENT_TYPE)
        .is_some_and(|it| it.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(wanted))
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Whether a body of status 200 is an error, and nothing else.
fn is_error(body: &[u8]) -> bool {
    scan::scan(body).is_ok_and(|it| {
        it.kind("error") == Some(ValueKind::Object)
            && !["data", "results", "choices", "text", "embedding", "embeddings", "id"]
                .into_iter()
                .any(|name| it.kind(name).is_some())
    })
}

const fn makes_text(operation: Operation) -> bool {
    matches!(operation, Operation::Completions | Operation::Transcription | Operation::SpeechTranslation)
}
