//! One credential's place in the pool, and the record that stays when its settings change.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use secrecy::ExposeSecret;

use super::{Candidate, CredentialStatus};
use crate::{
    catalog::{Glob, UpstreamModel},
    credential::{Credential, Outcome, QuotaState, Rest, quota::SHORTEST},
};

/// How long a half-open credential waits for its probe before it lets another try: a long answer is no failure.
const PROBE_PATIENCE: Duration = Duration::from_secs(5);
/// The most models with a state of their own that are kept for one credential: clients choose the names.
const MOST_MODELS: usize = 1024;

/// A credential with its settings as they are now.
pub(super) struct Seat {
    pub(super) credential: Arc<Credential>,
    pub(super) record: Arc<Record>,
    models: Vec<Glob>,
    excluded: Vec<Glob>,
}

/// Whether a credential can be leased for a model.
#[derive(Debug, Clone, Copy)]
pub(super) enum Access {
    Open,
    Rests {
        until: DateTime<Utc>,
        why: Rest,
    },
    NotForModel,
    /// Switched off, in its settings or by an operator.
    Off,
}

impl Seat {
    pub(super) fn new(credential: Credential) -> Self {
        Self::with(credential, Arc::default())
    }

    /// Returns the seat of the same credential with other settings.
    pub(super) fn succeeded_by(&self, credential: Credential) -> Self {
        if credential.secret.expose_secret() != self.credential.secret.expose_secret() {
            self.record.forget_refusal();
        }
        Self::with(credential, self.record.clone())
    }

    fn with(credential: Credential, record: Arc<Record>) -> Self {
        let globs = |patterns: &[String]| patterns.iter().map(|it| Glob::new(it)).collect();
        let (models, excluded) = (globs(&credential.models), globs(&credential.excluded_models));
        Self { credential: Arc::new(credential), record, models, excluded }
    }

    fn serves(&self, model: &UpstreamModel) -> bool {
        let is_in = |globs: &[Glob]| globs.iter().any(|it| it.matches(model.as_str()));
        (self.models.is_empty() || is_in(&self.models)) && !is_in(&self.excluded)
    }

    pub(super) fn access(&self, model: &UpstreamModel, now: DateTime<Utc>) -> Access {
        if !self.credential.enabled {
            return Access::Off;
        }
        if self.serves(model) { self.record.access(model, now) } else { Access::NotForModel }
    }

    pub(super) fn candidate(&self) -> Candidate {
        let inner = self.record.0.lock();
        Candidate {
            id: self.credential.id,
            priority: self.credential.priority,
            weight: self.credential.weight,
            in_flight: inner.in_flight,
            last_used: inner.last_used,
        }
    }

    pub(super) fn status(&self) -> CredentialStatus {
        let inner = self.record.0.lock();
        let mut models: Vec<_> =
            inner.models.iter().map(|(model, gate)| (model.clone(), gate.state.clone())).collect();
        models.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let off = || QuotaState::Disabled { reason: "disabled in its settings".to_owned() };
        CredentialStatus {
            id: self.credential.id,
            upstream: self.credential.upstream.clone(),
            name: self.credential.name.clone(),
            state: if self.credential.enabled { inner.whole.state.clone() } else { off() },
            models,
            in_flight: inner.in_flight,
            last_used_at: inner.last_used_at,
            leased: inner.leased,
            succeeded: inner.succeeded,
            failed: inner.failed,
        }
    }
}

/// What is known of a credential. Outlives its settings: a reload makes a new seat on the same record.
#[derive(Default)]
pub(super) struct Record(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    whole: Gate,
    /// Only the models that are not ready.
    models: HashMap<UpstreamModel, Gate>,
    in_flight: u32,
    last_used: u64,
    last_used_at: Option<DateTime<Utc>>,
    leased: u64,
    succeeded: u64,
    failed: u64,
}

/// A state with what has to be remembered around it.
struct Gate {
    state: QuotaState,
    /// Why it is closed.
    cause: Outcome,
    /// The newest lease when it closed: a success of that one or an older one was on its way.
    closed_at: u64,
    probe: Option<Probe>,
}

struct Probe {
    ticket: u64,
    began_at: DateTime<Utc>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { state: QuotaState::Ready, cause: Outcome::Success, closed_at: 0, probe: None }
    }
}

impl Gate {
    fn access(&self, now: DateTime<Utc>) -> Access {
        let until = match (&self.state, &self.probe) {
            (QuotaState::Ready, _) => return Access::Open,
            (QuotaState::Disabled { .. }, _) => return Access::Off,
            (state, _) if !state.is_due(now) => state.ready_at(),
            (_, Some(probe)) if (now - probe.began_at).to_std().is_ok_and(|it| it < PROBE_PATIENCE) => {
                Some(now + SHORTEST)
            }
            _ => return Access::Open,
        };
        match (until, &self.cause) {
            (Some(_), Outcome::ModelMissing) => Access::NotForModel,
            (Some(until), cause) => Access::Rests { until, why: Rest::after(cause) },
            (None, _) => Access::Off,
        }
    }

    fn lend(&mut self, ticket: u64, now: DateTime<Utc>) {
        if !self.state.is_ready() {
            self.probe = Some(Probe { ticket, began_at: now });
        }
    }

    fn learn(&mut self, ticket: u64, newest: u64, outcome: &Outcome, now: DateTime<Utc>) {
        let was_on_its_way = ticket <= self.closed_at;
        let proves_nothing = matches!(self.cause, Outcome::RateLimited { .. } | Outcome::ModelMissing);
        if *outcome == Outcome::Success && was_on_its_way && proves_nothing {
            return;
        }
        let (was_due, before) = (self.state.is_due(now), self.state.ready_at());
        self.state = std::mem::replace(&mut self.state, QuotaState::Ready).after(outcome, now);
        if !self.state.is_due(now) && self.state.ready_at() != before {
            self.cause = outcome.clone();
            if was_due {
                self.closed_at = newest;
            }
        }
    }

    fn end_probe(&mut self, ticket: u64) {
        self.probe.take_if(|it| it.ticket == ticket);
    }
}

impl Record {
    fn access(&self, model: &UpstreamModel, now: DateTime<Utc>) -> Access {
        let inner = self.0.lock();
        let whole = inner.whole.access(now);
        let with_model = inner.models.get(model).map_or(Access::Open, |it| it.access(now));
        match (whole, with_model) {
            (Access::Off, _) => Access::Off,
            (_, Access::NotForModel) => Access::NotForModel,
            (Access::Rests { until: one, why }, Access::Rests { until: other, why: also }) => {
                Access::Rests { until: one.max(other), why: why.max(also) }
            }
            (rests @ Access::Rests { .. }, _) => rests,
            (_, with_model) => with_model,
        }
    }

    /// Counts a lease, and makes it the probe of what is half open.
    pub(super) fn lend(&self, model: &UpstreamModel, ticket: u64, now: DateTime<Utc>) {
        let mut inner = self.0.lock();
        inner.in_flight += 1;
        inner.leased += 1;
        inner.last_used = ticket;
        inner.last_used_at = Some(now);
        inner.whole.lend(ticket, now);
        if let Some(gate) = inner.models.get_mut(model) {
            gate.lend(ticket, now);
        }
    }

    pub(super) fn take_back(&self, model: &UpstreamModel, ticket: u64) {
        let mut inner = self.0.lock();
        inner.in_flight = inner.in_flight.saturating_sub(1);
        inner.whole.end_probe(ticket);
        if let Some(gate) = inner.models.get_mut(model) {
            gate.end_probe(ticket);
        }
    }

    pub(super) fn learn(&self, model: &UpstreamModel, ticket: u64, outcome: &Outcome, now: DateTime<Utc>) {
        let mut inner = self.0.lock();
        let newest = inner.last_used;
        match outcome {
            Outcome::Unharmed => return,
            Outcome::Success => {
                inner.succeeded += 1;
                inner.whole.learn(ticket, newest, outcome, now);
                if let Some(gate) = inner.models.get_mut(model) {
                    gate.learn(ticket, newest, outcome, now);
                }
            }
            Outcome::Exhausted { .. } | Outcome::Unauthorized | Outcome::Forbidden => {
                inner.failed += 1;
                inner.whole.learn(ticket, newest, outcome, now);
            }
            Outcome::RateLimited { .. } | Outcome::Failing { .. } | Outcome::ModelMissing => {
                inner.failed += 1;
                inner.make_room(model);
                inner.models.entry(model.clone()).or_default().learn(ticket, newest, outcome, now);
            }
        }
        inner.whole.end_probe(ticket);
        if let Some(gate) = inner.models.get_mut(model) {
            gate.end_probe(ticket);
            if gate.state.is_ready() {
                inner.models.remove(model);
            }
        }
    }

    pub(super) fn reset(&self) {
        let mut inner = self.0.lock();
        inner.models.clear();
        if !matches!(inner.whole.state, QuotaState::Disabled { .. }) {
            inner.whole = Gate::default();
        }
    }

    pub(super) fn disable(&self, reason: &str) {
        self.0.lock().whole.state = QuotaState::Disabled { reason: reason.to_owned() };
    }

    pub(super) fn enable(&self) {
        let mut inner = self.0.lock();
        if matches!(inner.whole.state, QuotaState::Disabled { .. }) {
            inner.whole = Gate::default();
        }
    }

    fn forget_refusal(&self) {
        let mut inner = self.0.lock();
        if matches!(inner.whole.state, QuotaState::Cooling { .. }) {
            inner.whole = Gate::default();
        }
    }
}

impl Inner {
    /// Gives up the model that costs least to learn again, if there are too many: one that is missing, else the one that
    /// would be ready first.
    fn make_room(&mut self, model: &UpstreamModel) {
        if self.models.len() < MOST_MODELS || self.models.contains_key(model) {
            return;
        }
        let worth = |gate: &Gate| (gate.cause != Outcome::ModelMissing, gate.state.ready_at());
        let first = self.models.iter().min_by_key(|(_, gate)| worth(gate)).map(|it| it.0.clone());
        if let Some(first) = first {
            self.models.remove(&first);
        }
    }
}
