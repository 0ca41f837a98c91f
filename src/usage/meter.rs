//! What is being counted: one meter for each attempt, from its intent to its settlement.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Ending, Intent, Spool, SpoolError, UsageRecord};
use crate::{
    dialect::{TokenUsage, canonical::response::FinishReason},
    kernel::{clock::Clock, error::ErrorKind, id::AttemptId},
};

/// Counts the tokens of an answer from its bytes, for upstreams that never say.
pub type Estimate = fn(bytes: u64) -> u64;

/// Who is told of each attempt as it is settled.
pub type Observe = fn(&UsageRecord);

/// The usual estimate: four bytes a token, rounded up.
pub const fn four_bytes_a_token(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}

/// Opens meters.
#[derive(Clone)]
pub struct Accounts {
    spool: Arc<Spool>,
    clock: Arc<dyn Clock>,
    estimate: Estimate,
    observe: Observe,
}

impl Accounts {
    pub fn new(spool: Arc<Spool>, clock: Arc<dyn Clock>, estimate: Estimate) -> Self {
        Self { spool, clock, estimate, observe: |_| {} }
    }

    /// Tells `observe` of each attempt as it is settled: for counters, so it must be quick.
    #[must_use]
    pub fn observed_by(mut self, observe: Observe) -> Self {
        self.observe = observe;
        self
    }

    /// Writes down that an attempt begins. When it returns, the intent survives what was asked of the spool, and the
    /// upstream may be called; on an error it must not be.
    pub async fn begin(&self, intent: Intent) -> Result<Meter, SpoolError> {
        let entry = self.spool.append_intent(&intent)?;
        // From here on the intent is open: the meter settles it even if nobody waits for us any more.
        let meter = Meter::new(self.clone(), intent);
        match self.spool.durable(entry).await {
            Ok(()) => Ok(meter),
            Err(error) => {
                meter.end(Ending::Failed, Some(ErrorKind::Unavailable));
                Err(error)
            }
        }
    }
}

/// Counts one attempt, and settles it exactly once: when it ends, or is dropped.
#[must_use = "a meter that is dropped settles its attempt as abandoned"]
pub struct Meter {
    accounts: Accounts,
    attempt: AttemptId,
    /// Taken by the settlement.
    intent: Option<Intent>,
    usage: TokenUsage,
    output_bytes: u64,
    first_byte_at: Option<DateTime<Utc>>,
    upstream_id: Option<String>,
    answered_model: Option<String>,
    status: Option<u16>,
    finish: Option<FinishReason>,
}

impl Meter {
    fn new(accounts: Accounts, intent: Intent) -> Self {
        Self {
            accounts,
            attempt: intent.attempt,
            intent: Some(intent),
            usage: TokenUsage::default(),
            output_bytes: 0,
            first_byte_at: None,
            upstream_id: None,
            answered_model: None,
            status: None,
            finish: None,
        }
    }

    pub fn attempt(&self) -> AttemptId {
        self.attempt
    }

    /// Notes the upstream's HTTP status.
    pub fn status(&mut self, status: u16) {
        self.status = Some(status);
    }

    /// Notes that the answer began; the first time counts.
    pub fn first_byte(&mut self) {
        if self.first_byte_at.is_none() {
            self.first_byte_at = Some(self.accounts.clock.now());
        }
    }

    /// Notes what the upstream says was used; later figures take the place of earlier ones.
    pub fn usage(&mut self, usage: &TokenUsage) {
        self.usage.merge(usage);
    }

    /// Notes that the answer grew by `bytes` of content: text, thinking, arguments of tools; no framing.
    pub fn output_bytes(&mut self, bytes: usize) {
        self.output_bytes = self.output_bytes.saturating_add(bytes as u64);
    }

    /// Notes the upstream's own id of the answer and its own name for the model, where it gave them.
    pub fn answered(&mut self, id: Option<&str>, model: Option<&str>) {
        self.upstream_id = id.map(str::to_owned).or(self.upstream_id.take());
        self.answered_model = model.map(str::to_owned).or(self.answered_model.take());
    }

    pub fn finish(&mut self, reason: FinishReason) {
        self.finish = Some(reason);
    }

    /// Settles the attempt.
    pub fn end(mut self, ending: Ending, error: Option<ErrorKind>) {
        self.settle(ending, error);
    }

    fn settle(&mut self, ending: Ending, error: Option<ErrorKind>) {
        let Some(intent) = self.intent.take() else { return };
        let ended_at = self.accounts.clock.now();
        let (usage, estimated) = self.measured(ending, intent.estimated_input);
        let record = UsageRecord {
            ending,
            error: error.map(|it| it.name().to_owned()),
            status: self.status,
            finish: self.finish.map(|it| it.name().to_owned()),
            upstream_id: self.upstream_id.take(),
            answered_model: self.answered_model.take().filter(|it| *it != intent.upstream_model),
            usage,
            estimated,
            cost: None,
            first_byte_ms: self.first_byte_at.map(|at| milliseconds(intent.started_at, at)),
            duration_ms: milliseconds(intent.started_at, ended_at),
            ended_at,
            intent,
        };
        (self.accounts.observe)(&record);
        if let Err(error) = self.accounts.spool.append_settled(&record) {
            tracing::error!(%error, attempt.id = %self.attempt, "An attempt could not be settled");
        }
    }

    /// The upstream's figures, completed by our own where it said nothing, and whether ours are among them.
    ///
    /// An upstream that failed without producing anything used nothing. One that was cut off had no chance to give its
    /// last figure, so what it produced counts if that is more than what it said so far.
    fn measured(&self, ending: Ending, estimated_input: u64) -> (TokenUsage, bool) {
        let mut usage = self.usage;
        let mut estimated = false;
        let answered = self.output_bytes > 0 || matches!(ending, Ending::Completed | Ending::Truncated);
        if answered && usage.total_input() == 0 && estimated_input > 0 {
            usage.input = Some(estimated_input);
            estimated = true;
        }
        let produced = (self.accounts.estimate)(self.output_bytes);
        let unsaid = usage.output.is_none() && usage.reasoning.is_none();
        if produced > usage.total_output() && (unsaid || ending != Ending::Completed) {
            usage.output = Some(produced - usage.reasoning.unwrap_or(0));
            estimated = true;
        }
        (usage, estimated)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        // That is what an attempt is if nobody says otherwise.
        self.settle(Ending::Abandoned, None);
    }
}

fn milliseconds(from: DateTime<Utc>, to: DateTime<Utc>) -> u64 {
    (to - from).num_milliseconds().try_into().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use chrono::Duration;

    use super::*;
    use crate::{
        kernel::clock::ManualClock,
        usage::{
            Durability, Limits,
            fixture::{intent, open_spool, start, written},
        },
    };

    struct Bench {
        dir: tempfile::TempDir,
        clock: Arc<ManualClock>,
        accounts: Accounts,
    }

    fn bench(limits: Limits) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(start()));
        let spool = Arc::new(open_spool(dir.path(), Durability::Process, limits));
        Bench { accounts: Accounts::new(spool, clock.clone(), four_bytes_a_token), dir, clock }
    }

    async fn settled(act: impl FnOnce(&ManualClock, Meter)) -> UsageRecord {
        let bench = bench(Limits::default());
        act(&bench.clock, bench.accounts.begin(intent(1)).await.unwrap());
        let mut records = written(bench.dir.path());
        assert_eq!(records.len(), 1);
        records.remove(0)
    }

    fn used(input: u64, output: u64) -> TokenUsage {
        TokenUsage { input: Some(input), output: Some(output), ..TokenUsage::default() }
    }

    #[tokio::test]
    async fn a_completed_attempt_says_what_the_upstream_said() {
        let record = settled(|clock, mut meter| {
            meter.status(200);
            clock.advance(Duration::milliseconds(40));
            meter.first_byte();
            clock.advance(Duration::milliseconds(60));
            meter.first_byte();
            meter.output_bytes(4000);
            meter.answered(Some("msg_1"), Some("other-model"));
            meter.usage(&used(7, 1));
            meter.usage(&TokenUsage { output: Some(9), ..TokenUsage::default() });
            meter.finish(FinishReason::Stop);
            meter.end(Ending::Completed, None);
        })
        .await;
        assert_eq!((record.usage, record.estimated), (used(7, 9), false));
        assert_eq!((record.first_byte_ms, record.duration_ms), (Some(40), 100));
        assert_eq!((record.status, record.finish.as_deref()), (Some(200), Some("stop")));
        assert_eq!(record.upstream_id.as_deref(), Some("msg_1"));
        assert_eq!(record.answered_model.as_deref(), Some("other-model"));
    }

    #[tokio::test]
    async fn ec_119_a_dropped_meter_is_an_abandoned_attempt_with_what_was_produced() {
        let record = settled(|_, mut meter| {
            // As Messages says it when it starts: one token so far.
            meter.usage(&used(7, 1));
            meter.output_bytes(401);
            drop(meter);
        })
        .await;
        assert_eq!(record.ending, Ending::Abandoned);
        assert_eq!((record.usage, record.estimated), (used(7, 101), true));
    }

    #[tokio::test]
    async fn an_upstream_that_never_says_is_estimated() {
        let record = settled(|_, mut meter| {
            meter.output_bytes(10);
            meter.end(Ending::Completed, None);
        })
        .await;
        assert_eq!((record.usage, record.estimated), (used(intent(1).estimated_input, 3), true));
    }

    #[tokio::test]
    async fn thinking_that_was_reported_is_not_estimated_again() {
        let record = settled(|_, mut meter| {
            meter.usage(&TokenUsage { input: Some(1), reasoning: Some(60), ..TokenUsage::default() });
            meter.output_bytes(400);
            meter.end(Ending::Truncated, Some(ErrorKind::Truncated));
        })
        .await;
        assert_eq!((record.usage.output, record.usage.reasoning), (Some(40), Some(60)));
        assert_eq!(record.error.as_deref(), Some("truncated"));
    }

    #[tokio::test]
    async fn an_upstream_that_refused_used_nothing() {
        let record = settled(|_, mut meter| {
            meter.status(429);
            meter.end(Ending::Failed, Some(ErrorKind::RateLimited));
        })
        .await;
        assert_eq!((record.usage, record.estimated), (TokenUsage::default(), false));
    }

    #[tokio::test]
    async fn a_client_that_leaves_before_the_answer_is_told_nothing_was_produced() {
        let record = settled(|_, meter| drop(meter)).await;
        assert_eq!((record.usage, record.estimated), (TokenUsage::default(), false));
    }

    #[tokio::test]
    async fn nothing_begins_when_the_spool_is_full() {
        let bench = bench(Limits { max_bytes: 10, ..Limits::default() });
        assert!(matches!(bench.accounts.begin(intent(1)).await, Err(SpoolError::Full { .. })));
        assert!(written(bench.dir.path()).is_empty());
    }

    #[tokio::test]
    async fn leaving_while_the_disk_confirms_still_settles() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Arc::new(open_spool(dir.path(), Durability::Disk, Limits::default()));
        let clock = Arc::new(ManualClock::at(start()));
        let accounts = Accounts::new(Arc::clone(&spool), clock, four_bytes_a_token);
        for number in 1..=20 {
            let mut begin = Box::pin(accounts.begin(intent(number)));
            let _ = futures::poll!(&mut begin);
        }
        assert_eq!(spool.stats().open, 0);
        assert_eq!(written(dir.path()).len(), 20);
    }
}
