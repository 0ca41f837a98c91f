//! What is being counted: one meter for each attempt, from its intent to its settlement.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Ending, Intent, Spool, SpoolError, UsageRecord};
use crate::{
    dialect::{DialectId, Excerpt, Prompt, TokenUsage, canonical::response::FinishReason, tokenizer::Family},
    kernel::{clock::Clock, error::ErrorKind, id::AttemptId},
};

/// The output that Messages' `message_start` says when nothing is there yet. Some upstreams never say another.
const FIRST_FIGURE: u64 = 1;
/// What is counted too high may still be one token.
const FEW: u64 = 4;

/// Who is told of each attempt as it is settled.
pub type Observe = fn(&UsageRecord);

/// Opens meters.
#[derive(Clone)]
pub struct Accounts {
    spool: Arc<Spool>,
    clock: Arc<dyn Clock>,
    observe: Observe,
}

impl Accounts {
    pub fn new(spool: Arc<Spool>, clock: Arc<dyn Clock>) -> Self {
        Self { spool, clock, observe: |_| {} }
    }

    /// Tells `observe` of each attempt as it is settled: for counters, so it must be quick.
    #[must_use]
    pub fn observed_by(mut self, observe: Observe) -> Self {
        self.observe = observe;
        self
    }

    /// Writes down that an attempt begins. When it returns, the intent survives what was asked of the spool, and the
    /// upstream may be called; on an error it must not be. `prompt` is counted if the upstream does not.
    pub async fn begin(&self, intent: Intent, prompt: Prompt) -> Result<Meter, SpoolError> {
        let entry = self.spool.append_intent(&intent)?;
        // From here on the intent is open: the meter settles it even if nobody waits for us any more.
        let meter = Meter::new(self.clone(), intent, prompt);
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
    prompt: Prompt,
    usage: TokenUsage,
    text: Excerpt,
    first_byte_at: Option<DateTime<Utc>>,
    upstream_id: Option<String>,
    answered_model: Option<String>,
    status: Option<u16>,
    finish: Option<FinishReason>,
}

impl Meter {
    fn new(accounts: Accounts, intent: Intent, prompt: Prompt) -> Self {
        Self {
            accounts,
            attempt: intent.attempt,
            intent: Some(intent),
            prompt,
            usage: TokenUsage::default(),
            text: Excerpt::default(),
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

    /// Notes what the answer grew by: text, thinking, calls of tools; no framing. It is taken over.
    pub fn text(&mut self, more: &mut Excerpt) {
        self.text.append(more);
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
        let (usage, estimated) = self.measured(ending, &intent);
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

    /// The upstream's figures, completed by our own where it said nothing, and whether ours are among them. Nothing is counted
    /// that it said.
    ///
    /// An upstream that failed without producing anything used nothing. One that was cut off had no chance to give its
    /// last figure, so what it produced counts if that is more than what it said so far.
    fn measured(&self, ending: Ending, intent: &Intent) -> (TokenUsage, bool) {
        let model = &intent.upstream_model;
        let mut usage = self.usage;
        let mut estimated = false;
        let answered = !self.text.is_empty() || matches!(ending, Ending::Completed | Ending::Truncated);
        if answered && usage.total_input() == 0 {
            let asked = self.prompt.count(Family::of(model));
            if asked > 0 {
                usage.input = Some(asked);
                estimated = true;
            }
        }
        // Elsewhere what is said is said at the end, and believed, but for none where there is something.
        let most =
            if intent.upstream_dialect == DialectId::AnthropicMessages.name() { FIRST_FIGURE } else { 0 };
        let is_first_figure = usage.total_output() <= most;
        if !self.text.is_empty() && (is_first_figure || ending != Ending::Completed) {
            let produced = self.text.count(Family::of(model));
            let is_final = ending == Ending::Completed && usage.has_output() && produced <= FEW;
            if produced > usage.total_output() && !is_final {
                usage.output = Some(produced - usage.reasoning.unwrap_or(0));
                estimated = true;
            }
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
        Bench { accounts: Accounts::new(spool, clock.clone()), dir, clock }
    }

    async fn settled(act: impl FnOnce(&ManualClock, Meter)) -> UsageRecord {
        settled_of(intent(1), act).await
    }

    async fn settled_of(intent: Intent, act: impl FnOnce(&ManualClock, Meter)) -> UsageRecord {
        let bench = bench(Limits::default());
        act(&bench.clock, bench.accounts.begin(intent, prompt()).await.unwrap());
        let mut records = written(bench.dir.path());
        assert_eq!(records.len(), 1);
        records.remove(0)
    }

    /// The family of `intent`'s model.
    const MODELS: Family = Family::Other;
    const PROSE: &str = "The quick brown fox jumps over the lazy dog. ";

    fn text(text: &str) -> Excerpt {
        let mut excerpt = Excerpt::default();
        excerpt.push(text);
        excerpt
    }

    fn prompt() -> Prompt {
        Prompt::of_other(&"Please say something of foxes.".into())
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
            meter.text(&mut text(&PROSE.repeat(100)));
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
            meter.text(&mut text(PROSE));
            meter.text(&mut text(PROSE));
            drop(meter);
        })
        .await;
        assert_eq!(record.ending, Ending::Abandoned);
        assert_eq!((record.usage, record.estimated), (used(7, MODELS.count(&PROSE.repeat(2))), true));
    }

    #[tokio::test]
    async fn an_upstream_that_never_says_is_estimated() {
        let record = settled(|_, mut meter| {
            meter.text(&mut text(PROSE));
            meter.end(Ending::Completed, None);
        })
        .await;
        let counted = used(prompt().count(MODELS), MODELS.count(PROSE));
        assert_eq!((record.usage, record.estimated), (counted, true));
        assert_ne!(prompt().count(MODELS), record.intent.estimated_input);
    }

    #[tokio::test]
    async fn thinking_that_was_reported_is_not_estimated_again() {
        let record = settled(|_, mut meter| {
            meter.usage(&TokenUsage { input: Some(1), reasoning: Some(60), ..TokenUsage::default() });
            meter.text(&mut text(&PROSE.repeat(20)));
            meter.end(Ending::Truncated, Some(ErrorKind::Truncated));
        })
        .await;
        let produced = MODELS.count(&PROSE.repeat(20));
        assert_eq!((record.usage.output, record.usage.reasoning), (Some(produced - 60), Some(60)));
        assert_eq!(record.usage.total_output(), produced);
        assert_eq!(record.error.as_deref(), Some("truncated"));
    }

    #[tokio::test]
    async fn what_is_said_at_the_end_is_believed_but_for_none_where_there_is_something() {
        let prose = MODELS.count(PROSE);
        for (dialect, said, produced, counted) in [
            ("openai-chat", 1, PROSE, 1),
            ("openai-chat", 0, PROSE, prose),
            ("anthropic-messages", 1, "Yes.", 1),
            ("anthropic-messages", 1, PROSE, prose),
            ("anthropic-messages", 2, PROSE, 2),
        ] {
            let intent = Intent { upstream_dialect: dialect.to_owned(), ..intent(1) };
            let record = settled_of(intent, |_, mut meter| {
                meter.usage(&used(7, said));
                meter.text(&mut text(produced));
                meter.end(Ending::Completed, None);
            })
            .await;
            assert_eq!(
                (record.usage, record.estimated),
                (used(7, counted), counted != said),
                "{dialect} {said} {produced}"
            );
        }
    }

    #[tokio::test]
    async fn what_was_said_is_never_made_less() {
        let record = settled(|_, mut meter| {
            meter.usage(&used(7, 5000));
            meter.text(&mut text(PROSE));
            meter.end(Ending::Failed, Some(ErrorKind::Truncated));
        })
        .await;
        assert_eq!((record.usage, record.estimated), (used(7, 5000), false));
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
        assert!(matches!(bench.accounts.begin(intent(1), prompt()).await, Err(SpoolError::Full { .. })));
        assert!(written(bench.dir.path()).is_empty());
    }

    #[tokio::test]
    async fn leaving_while_the_disk_confirms_still_settles() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Arc::new(open_spool(dir.path(), Durability::Disk, Limits::default()));
        let clock = Arc::new(ManualClock::at(start()));
        let accounts = Accounts::new(Arc::clone(&spool), clock);
        for number in 1..=20 {
            let mut begin = Box::pin(accounts.begin(intent(number), prompt()));
            let _ = futures::poll!(&mut begin);
        }
        assert_eq!(spool.stats().open, 0);
        assert_eq!(written(dir.path()).len(), 20);
    }
}
