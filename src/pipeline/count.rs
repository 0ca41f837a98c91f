//! How many tokens a request has: the upstream's own count where it counts, else an estimate rounded up.

use http::{HeaderMap, StatusCode};

use super::{Inbound, Pipeline, Refusal, Reply, ReplyBody, ReplyForm, Trail, error, question::Question};
use crate::{
    dialect::{count, tokenizer::Family, verbatim},
    kernel::{error::GatewayError, id::AttemptId},
    routing::Target,
    upstream::{Call, Failure, Next, Operation, Tried, Upstream, transport::read_whole},
};

/// The largest count that is read, in bytes.
const MAX_COUNT: usize = 64 << 10;

impl Pipeline {
    /// Counts the tokens of a request. Only a fault of the request is an error: everything else ends in an estimate.
    pub async fn count(&self, inbound: Inbound) -> Result<Reply, Refusal> {
        let question = Question::read(inbound.dialect, &inbound.body, &inbound.told)?;
        let route = self
            .routes
            .route(&inbound.scope, &question.model, inbound.upstream.as_deref())
            .map_err(|it| error::no_route(&it))?;
        let (question, _) = self.continued(&inbound, question, self.is_native(&route)).await?;
        let codec = inbound.dialect.server();
        let request = codec.decode_count_request(&question.body).map_err(error::decode)?;
        let target = route.targets().next();
        let counted = match target.and_then(|it| Some((it, self.upstreams.get(&it.upstream)?))) {
            Some((target, upstream)) => self.ask(&inbound, &question, upstream, target).await?,
            None => None,
        };
        let trail = Trail {
            upstream: target.map(|it| it.upstream.clone()),
            model: target.map(|it| it.model.as_str().to_owned()),
            ..Trail::default()
        };
        let body = counted.unwrap_or_else(|| {
            let model = target.map_or(question.model.as_str(), |it| it.model.as_str());
            codec.encode_count(count::estimate(&request, Family::of(model)))
        });
        Ok(Reply {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            form: ReplyForm::Json,
            body: ReplyBody::Whole(body),
            trail,
        })
    }

    /// Asks the upstream, if it speaks the client's dialect and counts. `None`: it could not say.
    async fn ask(
        &self,
        inbound: &Inbound,
        question: &Question,
        upstream: &Upstream,
        target: &Target,
    ) -> Result<Option<bytes::Bytes>, GatewayError> {
        let dialect = upstream.dialect(&target.model);
        if dialect != inbound.dialect || !upstream.has(Operation::CountTokens) || !question.is_verbatim() {
            return Ok(None);
        }
        let Ok(lease) = self.pool.lease(&target.upstream, &target.model, None, &[]) else { return Ok(None) };
        let body = verbatim::splice(
            dialect,
            &question.body,
            &question.scan,
            &target.model,
            verbatim::IncludeUsage::Never,
        );
        let Ok(shown) = self.tokens.present(upstream, lease.credential()).await else { return Ok(None) };
        let Ok(request) = upstream.prepare(Call {
            operation: Operation::CountTokens,
            model: &target.model,
            streaming: false,
            body,
            credential: &shown,
            client_headers: &inbound.headers,
            betas: &[],
            attempt: AttemptId::new(),
        }) else {
            return Ok(None);
        };
        let Ok(options) = upstream.options(lease.credential()) else { return Ok(None) };
        let Ok(response) = upstream.send(&*self.transport, request, &options).await else { return Ok(None) };
        let (parts, body) = response.into_parts();
        let Ok(body) = read_whole(body, MAX_COUNT).await else { return Ok(None) };
        if parts.status.is_success() {
            return Ok(Some(body));
        }
        if parts.status == StatusCode::BAD_REQUEST {
            let wire = dialect.client().decode_error(parts.status, &body);
            let failure = Failure::Status { status: parts.status, headers: parts.headers, body, wire };
            let tried = Tried {
                operation: Operation::CountTokens,
                model: &target.model,
                credential: lease.credential(),
                now: self.clock.now(),
            };
            let verdict = upstream.judge(&failure, &tried);
            if verdict.next == Next::GiveUp {
                return Err(verdict.error);
            }
        }
        Ok(None)
    }
}
