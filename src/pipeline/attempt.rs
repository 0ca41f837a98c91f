//! One try at an upstream: said in its words, written down first, judged if it fails.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};

use super::{
    Inbound, Pipeline, Reply, ReplyBody, Trail, error,
    lane::{Lane, Spoken},
    media,
    question::Question,
    relay::Relay,
    travel::{self, Thoughts},
    window,
};
use crate::{
    credential::{Lease, Outcome},
    dialect::{
        DialectId, Excerpt, Loss, Prompt, Severity,
        canonical::FinishReason,
        verbatim::{self, IncludeUsage},
    },
    kernel::{
        clock::Clock,
        error::{ErrorKind, GatewayError},
        id::AttemptId,
    },
    routing::Target,
    telemetry::{metrics, names},
    tenant::LossPolicy,
    upstream::{
        Call, Failure, Next, Operation, Tried, Upstream, Verdict,
        token::TokenError,
        transport::{ByteStream, read_whole},
    },
    usage::{Ending, Intent, Losses, Meter},
};

/// The largest error body that is read, in bytes.
const MAX_ERROR: usize = 256 << 10;

/// A try that failed, and what to do next.
#[derive(Debug)]
pub(super) struct Failed {
    pub error: GatewayError,
    pub next: Next,
    /// Whether the upstream refused the reasoning state in the request.
    pub state_refused: bool,
}

impl Failed {
    pub(super) fn here(error: GatewayError, next: Next) -> Self {
        Self { error, next, state_refused: false }
    }
}

/// A call under way.
pub(super) struct Flight<'a> {
    pub inbound: &'a Inbound,
    pub question: &'a Question,
    pub upstream: &'a Upstream,
    pub target: &'a Target,
    pub clock: &'a dyn Clock,
    pub lease: Lease,
    pub meter: Meter,
    pub lane: Lane,
}

impl Pipeline {
    /// Makes one attempt. On success the answer has begun: its first content is here.
    #[expect(clippy::too_many_arguments, reason = "an attempt is all that is known of it")]
    pub(super) async fn attempt(
        &self,
        inbound: &Inbound,
        question: &Question,
        upstream: &Upstream,
        target: &Target,
        lease: Lease,
        trail: &mut Trail,
        thoughts: Thoughts,
    ) -> Result<Reply, Failed> {
        let dialect = upstream.dialect(&target.model);
        let asks_stream = upstream.asks_stream(question.stream) && !question.compacts;
        let spoken = self.speak(inbound, question, upstream, target, &lease, thoughts, asks_stream).await?;
        trail.losses = self.account_for(inbound, dialect, &spoken.losses)?;
        let shown = match self.tokens.present(upstream, lease.credential()).await {
            Ok(Cow::Borrowed(_)) => None,
            Ok(Cow::Owned(shown)) => Some(shown),
            Err(it) => return Err(self.not_shown(upstream, target, &lease, &it)),
        };
        let attempt = AttemptId::new();
        let request = upstream
            .prepare(Call {
                operation: question.operation(asks_stream),
                model: &target.model,
                streaming: asks_stream,
                body: spoken.body,
                credential: shown.as_ref().unwrap_or(lease.credential()),
                client_headers: &inbound.headers,
                betas: &spoken.betas,
                attempt,
            })
            .map_err(|it| {
                Failed::here(GatewayError::new(ErrorKind::Internal, it.to_string()), Next::NextTarget)
            })?;
        let options = upstream.options(lease.credential()).map_err(|it| {
            Failed::here(GatewayError::new(ErrorKind::Internal, it.to_string()), Next::NextCredential)
        })?;
        let prompt = Prompt::of_chat(question.written(), &question.body);
        let number = trail.attempts;
        let losses = &spoken.losses;
        let intent =
            self.intent(attempt, inbound, question, &prompt, target, &lease, dialect, number, losses);
        let begun = self.accounts.begin(intent, prompt).await;
        let meter = begun.map_err(|it| Failed::here(error::spool(&it), Next::GiveUp))?;
        let clock = &*self.clock;
        let mut flight =
            Flight { inbound, question, upstream, target, clock, lease, meter, lane: spoken.lane };
        let sent = tokio::select! {
            sent = upstream.send(&*self.transport, request, &options) => sent,
            () = self.stop.cancelled() => return Err(flight.interrupted()),
        };
        let response = match sent {
            Ok(response) => response,
            Err(it) => return Err(flight.failed(&Failure::Transport(it))),
        };
        let (parts, body) = response.into_parts();
        flight.meter.status(parts.status.as_u16());
        if let Some(shown) = &shown
            && parts.status == StatusCode::UNAUTHORIZED
        {
            self.tokens.forget(flight.lease.credential(), shown);
        }
        if !parts.status.is_success() {
            return Err(self.refused(flight, dialect, parts.status, parts.headers, body).await);
        }
        let headers =
            upstream.reply_headers(&target.model, inbound.dialect, &parts.headers, self.clock.now());
        match (asks_stream && is_event_stream(&parts.headers), question.stream) {
            (true, true) => self.stream(flight, headers, body, trail).await,
            (true, false) => self.gather(flight, headers, body, trail).await,
            (false, _) => self.whole(flight, headers, body, trail).await,
        }
    }

    /// There is no token to show the upstream: nothing is sent.
    pub(super) fn not_shown(
        &self,
        upstream: &Upstream,
        target: &Target,
        lease: &Lease,
        error: &TokenError,
    ) -> Failed {
        tracing::warn!(
            { names::UPSTREAM_NAME } = target.upstream.as_str(),
            { names::CREDENTIAL_ID } = %lease.credential().id,
            %error,
            "There is no token for this credential"
        );
        let judge = Judge { upstream, target, clock: &*self.clock };
        let verdict = judge.verdict(&error.failure(), lease);
        lease.report(&verdict.outcome);
        Failed::here(verdict.error, verdict.next)
    }

    /// Counts and logs what could not be said, refuses the request if its policy wants that, and returns what the client
    /// is told.
    pub(super) fn account_for(
        &self,
        inbound: &Inbound,
        dialect: DialectId,
        losses: &[Loss],
    ) -> Result<Vec<Loss>, Failed> {
        for loss in losses {
            metrics::lost(inbound.dialect.name(), dialect.name(), loss);
            tracing::debug!(
                at = loss.at.as_str(),
                action = loss.action.name(),
                severity = loss.severity.name(),
                reason = loss.reason.as_str(),
                "The translation lost something"
            );
        }
        let policy = inbound.losses.or(inbound.scope.losses()).unwrap_or(self.bounds.losses);
        match policy {
            LossPolicy::Warn => Ok(losses.to_vec()),
            LossPolicy::Quiet => Ok(Vec::new()),
            LossPolicy::Strict => match losses.iter().find(|it| it.severity == Severity::Semantic) {
                None => Ok(losses.to_vec()),
                Some(loss) => Err(Failed::here(error::too_much_lost(loss), Next::NextTarget)),
            },
        }
    }

    /// Says the question in the target's words: its own bytes if it speaks the same dialect.
    #[expect(clippy::too_many_arguments, reason = "what is said depends on all of them")]
    async fn speak(
        &self,
        inbound: &Inbound,
        question: &Question,
        upstream: &Upstream,
        target: &Target,
        lease: &Lease,
        thoughts: Thoughts,
        asks_stream: bool,
    ) -> Result<Spoken, Failed> {
        let dialect = upstream.dialect(&target.model);
        let abilities = self.abilities.abilities(dialect.name(), upstream.kind().name, &target.model);
        if dialect != DialectId::OpenaiResponses
            && let Some(error) = &question.openai_only
        {
            return Err(Failed::here(error.clone(), Next::NextTarget));
        }
        window::check(question, &target.model, &abilities)
            .map_err(|it| Failed::here(it, Next::NextTarget))?;
        // An answer in another form than the client's is read and written anew.
        let is_same_form = asks_stream == question.stream;
        let is_verbatim = question.is_verbatim() && thoughts == Thoughts::Sent && question.passes(&abilities);
        let is_own = dialect == question.dialect && is_verbatim;
        if is_own && is_same_form {
            let asks_usage = match dialect {
                DialectId::OpenaiChat if !abilities.stream_options => IncludeUsage::Never,
                _ => IncludeUsage::Ask,
            };
            let body = verbatim::splice(dialect, &question.body, &question.scan, &target.model, asks_usage);
            return Ok(Spoken::verbatim(dialect, body, question, self.bounds.max_frame));
        }
        let request = question.decoded().map_err(|it| Failed::here(it, Next::GiveUp))?;
        let origin = self.origin(upstream, target, lease);
        let (mut request, losses) = self.opened(inbound, request, &origin, thoughts);
        if !is_same_form {
            request.to_mut().stream.enabled = asks_stream;
        }
        if !abilities.media_urls {
            let brought = media::brought(&request, &*self.transport, &self.bounds.media);
            if let Cow::Owned(brought) = brought.await.map_err(|it| Failed::here(it, Next::NextTarget))? {
                request = Cow::Owned(brought);
            }
        }
        let mut encoded = dialect
            .client()
            .encode_request(&request, &target.model, &abilities)
            .map_err(|it| Failed::here(error::encode(question.places().put_error(it)), Next::NextTarget))?;
        encoded.losses.extend(losses);
        if !encoded.losses.is_empty() {
            question.places().put(&mut encoded.losses);
        }
        let sealing = self.sealing(inbound, dialect, origin);
        let mut spoken = Spoken::translated(dialect, encoded, question, sealing, self.bounds.max_frame);
        if is_own && !question.is_continued() {
            spoken.lane.be_own();
        }
        Ok(spoken)
    }

    #[expect(clippy::too_many_arguments, reason = "an intent is what everyone knows of the attempt")]
    fn intent(
        &self,
        attempt: AttemptId,
        inbound: &Inbound,
        question: &Question,
        prompt: &Prompt,
        target: &Target,
        lease: &Lease,
        dialect: DialectId,
        number: u32,
        losses: &[Loss],
    ) -> Intent {
        Intent {
            attempt,
            request: inbound.id,
            number,
            tenant: inbound.scope.tenant(),
            key: inbound.scope.key(),
            credential: lease.credential().id,
            upstream: target.upstream.as_str().to_owned(),
            client_dialect: inbound.dialect.name().to_owned(),
            upstream_dialect: dialect.name().to_owned(),
            model_name: question.model.as_str().to_owned(),
            upstream_model: target.model.as_str().to_owned(),
            streamed: question.stream,
            operation: "generate".to_owned(),
            estimated_input: prompt.roughly(),
            started_at: self.clock.now(),
            losses: Losses::of(losses),
        }
    }

    /// The upstream answered with an error status.
    async fn refused(
        &self,
        flight: Flight<'_>,
        dialect: DialectId,
        status: StatusCode,
        headers: HeaderMap,
        body: ByteStream,
    ) -> Failed {
        let body = read_whole(body, MAX_ERROR).await.unwrap_or_default();
        let wire = dialect.client().decode_error(status, &body);
        flight.failed(&Failure::Status { status, headers, body, wire })
    }

    /// The answer comes as a stream: it is handed over once its first content is here.
    async fn stream(
        &self,
        flight: Flight<'_>,
        headers: HeaderMap,
        body: ByteStream,
        trail: &Trail,
    ) -> Result<Reply, Failed> {
        let judge = flight.judge();
        let form = flight.question.form();
        let mut relay = Relay::new(flight, body, self);
        match relay.prime().await {
            Ok(()) => Ok(Reply {
                status: StatusCode::OK,
                headers,
                form,
                body: ReplyBody::Stream(Box::new(relay)),
                trail: trail.clone(),
            }),
            Err(failure) => {
                let verdict = judge.verdict(&failure, relay.lease());
                let state_refused = travel::is_refusal(&failure);
                Err(Failed { state_refused, ..relay.fail_before_commit(verdict) })
            }
        }
    }

    /// The answer comes whole; if the client waits for a stream, it gets one of few pieces.
    async fn whole(
        &self,
        mut flight: Flight<'_>,
        headers: HeaderMap,
        body: ByteStream,
        trail: &Trail,
    ) -> Result<Reply, Failed> {
        let body = tokio::select! {
            body = read_whole(body, self.bounds.max_answer) => body,
            () = self.stop.cancelled() => return Err(flight.interrupted()),
        };
        let body = match body {
            Ok(body) => body,
            Err(it) => return Err(flight.failed(&Failure::Transport(it))),
        };
        flight.meter.first_byte();
        let context = flight.lane.context(flight.inbound, &*self.clock);
        match flight.lane.whole(&body, &context, flight.question.stream) {
            Ok(answer) => Ok(flight.answered(answer, headers, trail)),
            Err(failure) => Err(flight.failed(&failure)),
        }
    }
}

/// Who says what a failure means.
#[derive(Clone, Copy)]
pub(super) struct Judge<'a> {
    upstream: &'a Upstream,
    target: &'a Target,
    clock: &'a dyn Clock,
}

impl Judge<'_> {
    fn verdict(self, failure: &Failure, lease: &Lease) -> Verdict {
        let verdict = self.upstream.judge(
            failure,
            &Tried {
                operation: Operation::Generate,
                model: &self.target.model,
                credential: lease.credential(),
                now: self.clock.now(),
            },
        );
        tracing::warn!(
            { names::UPSTREAM_NAME } = self.target.upstream.as_str(),
            { names::CREDENTIAL_ID } = %lease.credential().id,
            { names::ERROR_KIND } = verdict.error.kind.name(),
            status = verdict.error.status,
            "An attempt failed"
        );
        verdict
    }
}

impl<'a> Flight<'a> {
    fn judge(&self) -> Judge<'a> {
        Judge { upstream: self.upstream, target: self.target, clock: self.clock }
    }

    /// The answer is here as a whole: tells meter and credential, and gives it to the client.
    pub(super) fn answered(mut self, mut answer: WholeAnswer, headers: HeaderMap, trail: &Trail) -> Reply {
        answer.tell(&mut self.meter);
        self.lease.report(&Outcome::Success);
        self.meter.end(Ending::Completed, None);
        Reply {
            status: StatusCode::OK,
            headers,
            form: self.question.form(),
            body: ReplyBody::Whole(answer.body),
            trail: trail.clone(),
        }
    }

    /// Judges a failure, tells the credential, closes the meter.
    pub(super) fn failed(self, failure: &Failure) -> Failed {
        let verdict = self.judge().verdict(failure, &self.lease);
        self.lease.report(&verdict.outcome);
        self.meter.end(Ending::Failed, Some(verdict.error.kind));
        let state_refused = travel::is_refusal(failure);
        Failed { error: verdict.error, next: verdict.next, state_refused }
    }

    /// The gateway stops while the upstream is silent.
    pub(super) fn interrupted(self) -> Failed {
        self.meter.end(Ending::Interrupted, Some(ErrorKind::Unavailable));
        Failed::here(error::stopping(), Next::GiveUp)
    }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    match headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()) {
        Some(kind) => !kind.trim_start().to_ascii_lowercase().starts_with("application/json"),
        None => true,
    }
}

/// An answer that is here as a whole.
pub(super) struct WholeAnswer {
    pub body: Bytes,
    pub usage: crate::dialect::TokenUsage,
    pub id: Option<String>,
    pub model: Option<String>,
    pub finish: Option<FinishReason>,
    /// To count, if there is no usage.
    pub text: Excerpt,
}

impl WholeAnswer {
    fn tell(&mut self, meter: &mut Meter) {
        meter.usage(&self.usage);
        meter.text(&mut self.text);
        meter.answered(self.id.as_deref(), self.model.as_deref());
        if let Some(finish) = self.finish {
            meter.finish(finish);
        }
    }
}
