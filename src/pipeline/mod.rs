//! The trip: what is asked, where it may go, who answers, home again.

pub mod attempt;
pub mod compaction;
pub mod conversation;
pub mod count;
mod course;
pub mod dispatch;
pub mod error;
pub mod forward;
mod gather;
pub mod lane;
mod media;
mod pulse;
pub mod question;
pub mod relay;
mod travel;
mod window;

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio_util::sync::CancellationToken;

use crate::{
    catalog::{AbilityTable, UpstreamName},
    credential::{CredentialPool, ObjectRepository},
    dialect::{DialectId, Loss, ModelEntry},
    kernel::{clock::Clock, error::GatewayError, id::RequestId},
    routing::RouteTable,
    session::Memory,
    tenant::{LossPolicy, TenantScope},
    upstream::{Upstream, token::Tokens, transport::Transport},
    usage::Accounts,
};

pub use crate::{credential::Shelf, upstream::Operation};
pub use conversation::InputPage;
pub use forward::{Deed, Delivery, Goods, Passage, Upload};
pub use media::MediaBounds;
pub use question::is_stream_asked;
pub use relay::Relay;

use question::Question;

/// One request, let in.
#[derive(Debug)]
pub struct Inbound {
    pub id: RequestId,
    pub scope: TenantScope,
    pub dialect: DialectId,
    pub body: Bytes,
    pub headers: HeaderMap,
    /// The upstream the path or `Model-Provider` names.
    pub upstream: Option<String>,
    pub told: Told,
    /// What the client wants done about losses, if this request says it.
    pub losses: Option<LossPolicy>,
}

/// What the path says that other dialects say in the body (Gemini).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    pub model: Option<String>,
    pub stream: Option<bool>,
    /// Whether the stream is to be a JSON array: Gemini without `alt=sse`.
    pub json_array: bool,
}

/// What goes back to the client.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    /// Of the upstream's headers, those that may pass.
    pub headers: HeaderMap,
    /// Whether the body is a stream's events; a whole answer may be said as one.
    pub form: ReplyForm,
    pub body: ReplyBody,
    pub trail: Trail,
}

/// What an answer's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyForm {
    Json,
    Events,
    /// A stream as a JSON array (Gemini).
    JsonArray,
}

/// An answer, here or on its way.
#[derive(Debug)]
pub enum ReplyBody {
    Whole(Bytes),
    Stream(Box<Relay>),
}

/// An exchange that nobody answered.
#[derive(Debug)]
pub struct Refusal {
    pub error: GatewayError,
    pub trail: Trail,
}

impl From<GatewayError> for Refusal {
    fn from(error: GatewayError) -> Self {
        Self { error, trail: Trail::default() }
    }
}

/// Where an exchange went: told to the client in headers.
#[derive(Debug, Clone, Default)]
pub struct Trail {
    pub attempts: u32,
    pub upstream: Option<UpstreamName>,
    pub model: Option<String>,
    /// What the translation could not say, as far as the client is told.
    pub losses: Vec<Loss>,
}

/// How long and how often.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Attempts for one exchange.
    pub attempts: u32,
    /// No further attempt begins after this time.
    pub max_wait: Duration,
    /// A silent stream is sent a sign of life after this time.
    pub keep_alive: Duration,
    /// The status is held back for the first content at most this long.
    pub commit_after: Duration,
    /// The largest whole answer, in bytes.
    pub max_answer: usize,
    /// The largest event of a stream, in bytes.
    pub max_frame: usize,
    /// What is held of an upload until its model is known, in bytes.
    pub max_held: usize,
    /// What is done about losses, unless the request, its key or its tenant says otherwise.
    pub losses: LossPolicy,
    /// What is fetched for upstreams that fetch nothing themselves.
    pub media: MediaBounds,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            attempts: 3,
            max_wait: Duration::from_secs(30),
            keep_alive: Duration::from_secs(15),
            commit_after: Duration::from_secs(5),
            max_answer: 64 << 20,
            max_frame: 32 << 20,
            max_held: 32 << 20,
            losses: LossPolicy::Warn,
            media: MediaBounds::default(),
        }
    }
}

/// All that an exchange needs, as it was when the exchange began. A reload makes a new one.
pub struct Pipeline {
    pub routes: RouteTable,
    pub upstreams: HashMap<UpstreamName, Upstream>,
    /// The upstreams whose models are not listed by the operator.
    pub unlisted: Vec<UpstreamName>,
    pub abilities: AbilityTable,
    pub pool: Arc<CredentialPool>,
    /// What tenants keep at upstreams.
    pub objects: Arc<dyn ObjectRepository>,
    pub transport: Arc<dyn Transport>,
    /// For credentials whose secret is an account.
    pub tokens: Arc<Tokens>,
    pub accounts: Arc<Accounts>,
    pub clock: Arc<dyn Clock>,
    pub memory: Memory,
    pub bounds: Bounds,
    /// Cancelled when answers that have begun must end now.
    pub stop: CancellationToken,
}

impl Pipeline {
    /// Answers a request, or says why not.
    pub async fn run(&self, inbound: Inbound) -> Result<Reply, Refusal> {
        let question = Question::read(inbound.dialect, &inbound.body, &inbound.told)?;
        question.check_limit()?;
        let route = self
            .routes
            .route(&inbound.scope, &question.model, inbound.upstream.as_deref())
            .map_err(|it| error::no_route(&it))?;
        let (question, to_keep) = self.continued(&inbound, question, self.is_native(&route)).await?;
        let reply = match self.compacted(&inbound, &question, &route).await? {
            Some(reply) => reply,
            None => self.dispatch(&inbound, &question, &route).await?,
        };
        match to_keep {
            Some(to_keep) => Ok(self.keep(&inbound, reply, to_keep).await),
            None => Ok(reply),
        }
    }

    /// The models this caller can call.
    pub fn models(&self, scope: &TenantScope) -> Vec<ModelEntry> {
        self.routes
            .list(scope)
            .iter()
            .filter_map(|listed| {
                let upstream = self.upstreams.get(&listed.upstream)?;
                let dialect = upstream.dialect(&listed.model);
                let abilities = self.abilities.abilities(dialect.name(), upstream.kind().name, &listed.model);
                Some(ModelEntry {
                    id: listed.name.as_str().to_owned(),
                    owned_by: listed.upstream.as_str().to_owned(),
                    created: 0,
                    context_window: abilities.context_window,
                    max_output_tokens: abilities.max_output_tokens,
                })
            })
            .collect()
    }
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline").field("upstreams", &self.upstreams.len()).finish_non_exhaustive()
    }
}
