//! Trying: targets × credentials, until one answers or nobody will.

use tokio::time::Instant;
use tracing::Instrument as _;

use super::{
    Inbound, Pipeline, Refusal, Reply, Trail, attempt::Failed, error, question::Question, travel::Thoughts,
};
use crate::{
    credential::Lease,
    kernel::{
        error::{ErrorKind, GatewayError},
        id::CredentialId,
    },
    routing::{Route, Target},
    session::{Session, identify},
    telemetry::names,
    upstream::{Next, Upstream},
};

/// What is known of the tries so far.
struct Tries {
    began: Instant,
    trail: Trail,
    worst: Option<GatewayError>,
}

impl Tries {
    fn failed(&mut self, error: GatewayError) {
        self.worst = Some(match self.worst.take() {
            Some(before) => error::more_telling(before, error),
            None => error,
        });
    }
}

/// One try that is to be made.
pub(super) struct Try<'a> {
    pub upstream: &'a Upstream,
    pub target: &'a Target,
    pub lease: Lease,
    pub trail: &'a mut Trail,
    pub thoughts: Thoughts,
}

impl Pipeline {
    /// Tries the route's targets in order, and of each target the credentials, before the first byte goes to the client.
    pub(super) async fn dispatch(
        &self,
        inbound: &Inbound,
        question: &Question,
        route: &Route,
    ) -> Result<Reply, Refusal> {
        let attempt = async |it: Try<'_>| {
            let Try { upstream, target, lease, trail, thoughts } = it;
            self.attempt(inbound, question, upstream, target, lease, trail, thoughts).await
        };
        self.try_each(route.targets(), || session(inbound, question), attempt).await
    }

    /// Tries targets in order with what `attempt` does. `session` is asked where conversations keep to their credential.
    pub(super) async fn try_each<'a, T>(
        &self,
        targets: impl Iterator<Item = &'a Target>,
        session: impl Fn() -> Option<Session>,
        attempt: impl AsyncFn(Try<'_>) -> Result<T, Failed>,
    ) -> Result<T, Refusal> {
        let mut tries = Tries { began: Instant::now(), trail: Trail::default(), worst: None };
        for target in targets {
            let Some(upstream) = self.upstreams.get(&target.upstream) else { continue };
            let session = self.pool.keeps_sessions(&target.upstream).then(&session).flatten();
            match self.try_target(upstream, target, session, &attempt, &mut tries).await {
                Ok(Some(reply)) => return Ok(reply),
                Ok(None) => {}
                Err(Enough) => break,
            }
        }
        let error = tries.worst.unwrap_or_else(|| {
            GatewayError::new(ErrorKind::Unavailable, "no upstream can answer this model now")
        });
        Err(Refusal { error, trail: tries.trail })
    }

    /// Tries a target with one credential after another. `None`: the next target may do better.
    async fn try_target<T>(
        &self,
        upstream: &Upstream,
        target: &Target,
        session: Option<Session>,
        attempt: &impl AsyncFn(Try<'_>) -> Result<T, Failed>,
        tries: &mut Tries,
    ) -> Result<Option<T>, Enough> {
        let mut tried: Vec<CredentialId> = Vec::new();
        let mut thoughts = Thoughts::Sent;
        loop {
            if self.is_enough(tries) {
                return Err(Enough);
            }
            let lease = match self.pool.lease(
                &target.upstream,
                &target.model,
                session.as_ref().map(Session::as_str),
                &tried,
            ) {
                Ok(lease) => lease,
                Err(none) => {
                    if tried.is_empty() {
                        tries.failed(error::no_credential(&none, &*self.clock));
                    }
                    return Ok(None);
                }
            };
            tried.push(lease.credential().id);
            tries.trail.attempts += 1;
            tries.trail.upstream = Some(target.upstream.clone());
            tries.trail.model = Some(target.model.as_str().to_owned());
            let span = tracing::info_span!(
                "attempt",
                { names::ATTEMPT_NUMBER } = tries.trail.attempts,
                { names::UPSTREAM_NAME } = target.upstream.as_str(),
                { names::CREDENTIAL_ID } = %lease.credential().id,
                { names::REQUEST_MODEL } = target.model.as_str()
            );
            let attempt = attempt(Try { upstream, target, lease, trail: &mut tries.trail, thoughts });
            match attempt.instrument(span).await {
                Ok(reply) => return Ok(Some(reply)),
                Err(failed) if failed.state_refused && thoughts == Thoughts::Sent => {
                    tries.failed(failed.error);
                    // The credential is as good as before: only what was thought is left out.
                    thoughts = Thoughts::LeftOut;
                    tried.pop();
                }
                Err(failed) => {
                    tries.failed(failed.error);
                    match failed.next {
                        Next::GiveUp => return Err(Enough),
                        Next::NextCredential => {}
                        Next::NextTarget => return Ok(None),
                    }
                }
            }
        }
    }

    fn is_enough(&self, tries: &Tries) -> bool {
        tries.trail.attempts >= self.bounds.attempts
            || (tries.trail.attempts > 0 && tries.began.elapsed() >= self.bounds.max_wait)
            || self.stop.is_cancelled()
    }
}

/// Which conversation keeps to its credential.
fn session(inbound: &Inbound, question: &Question) -> Option<Session> {
    identify(&inbound.scope, question.dialect, &inbound.headers, &question.body, &question.scan)
}

/// No further target will be tried.
struct Enough;
