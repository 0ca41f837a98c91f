//! The credentials in use: who may be leased now, for how many attempts, and what became of them.

mod seat;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;

use super::{
    Credential, Outcome, QuotaState,
    selector::{Candidate, Selector, Strategy, top_tier},
};
use crate::{
    catalog::{UpstreamModel, UpstreamName},
    kernel::{clock::Clock, id::CredentialId},
};
use seat::{Access, Record, Seat};

/// An upstream's credentials and how one is chosen.
#[derive(Debug, Clone)]
pub struct PoolConfig {
    pub upstream: UpstreamName,
    pub strategy: Strategy,
    /// How long a conversation at rest keeps its credential; `None`: conversations are not kept together.
    pub affinity: Option<Duration>,
    /// In the order in which `fill-first` uses them.
    pub credentials: Vec<Credential>,
}

/// Every upstream's credentials. What is known of a credential survives a reload by its id.
pub struct CredentialPool {
    clock: Arc<dyn Clock>,
    rooms: ArcSwap<HashMap<UpstreamName, Arc<Room>>>,
    /// Counts leases: the pool's own order of events, for which the clock is too coarse.
    leases: AtomicU64,
}

/// One upstream's part of the pool.
struct Room {
    strategy: Strategy,
    affinity: Option<Duration>,
    selector: Arc<dyn Selector>,
    seats: Vec<Seat>,
    /// Held while one is chosen, so that choosing and counting it are one step.
    gate: Mutex<()>,
}

/// Nobody can be leased.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.why.text())]
pub struct NoCredential {
    pub upstream: UpstreamName,
    /// When the first of them may be leased again, if time alone will do.
    pub ready_at: Option<DateTime<Utc>>,
    pub why: NoCredentialReason,
    /// Why the one that rests least gravely does, if any rests.
    pub rest: Option<Rest>,
}

/// Why a credential rests, the least grave first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rest {
    /// Its allowance is used up for now.
    Limited,
    /// Its upstream failed.
    Failing,
    /// Its upstream refused it.
    Refused,
}

impl Rest {
    const fn after(cause: &Outcome) -> Self {
        match cause {
            Outcome::RateLimited { .. } | Outcome::Exhausted { .. } => Self::Limited,
            Outcome::Unauthorized | Outcome::Forbidden => Self::Refused,
            Outcome::Failing { .. } | Outcome::ModelMissing | Outcome::Success | Outcome::Unharmed => {
                Self::Failing
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoCredentialReason {
    /// All that could serve the model have to rest.
    AllCooling,
    /// No credential may be used for the model, or the upstream said that it does not have it.
    NoneForModel,
    /// The upstream has no credential that is switched on.
    NoneConfigured,
    /// All that could serve the model were tried by this exchange, or have to rest.
    AllTried,
}

impl NoCredentialReason {
    const fn text(self) -> &'static str {
        match self {
            Self::AllCooling => "every credential of the upstream is cooling down",
            Self::NoneForModel => "no credential of the upstream serves the model",
            Self::NoneConfigured => "the upstream has no usable credential",
            Self::AllTried => "every credential of the upstream was tried",
        }
    }
}

/// A credential's state, for metrics and management.
#[derive(Debug, Clone, PartialEq)]
pub struct CredentialStatus {
    pub id: CredentialId,
    pub upstream: UpstreamName,
    pub name: String,
    /// Of the credential as a whole.
    pub state: QuotaState,
    /// Of the models that are not ready, sorted by name.
    pub models: Vec<(UpstreamModel, QuotaState)>,
    /// The attempts it is leased to at this moment.
    pub in_flight: u32,
    pub last_used_at: Option<DateTime<Utc>>,
    /// How often it was leased since the process began.
    pub leased: u64,
    pub succeeded: u64,
    pub failed: u64,
}

impl CredentialPool {
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { clock, rooms: ArcSwap::default(), leases: AtomicU64::new(0) })
    }

    /// A credential of the upstream that may be used now, for a question that is nobody's: nothing is counted.
    pub fn any(&self, upstream: &UpstreamName) -> Option<Arc<Credential>> {
        let rooms = self.rooms.load();
        let seats = &rooms.get(upstream)?.seats;
        let now = self.clock.now();
        seats.iter().find(|it| it.status().state.is_due(now)).map(|it| Arc::clone(&it.credential))
    }

    /// Makes the pool exactly these. States, counts and rotation survive by credential; leases keep what they have.
    ///
    /// A credential with a new secret gets a new chance: a refusal was the old secret's.
    pub fn configure(&self, upstreams: Vec<PoolConfig>) {
        let before = self.rooms.load();
        let known: HashMap<CredentialId, &Seat> =
            before.values().flat_map(|room| &room.seats).map(|seat| (seat.credential.id, seat)).collect();
        let mut rooms = HashMap::with_capacity(upstreams.len());
        for config in upstreams {
            let seats: Vec<Seat> = config
                .credentials
                .into_iter()
                .map(|credential| match known.get(&credential.id) {
                    Some(seat) => seat.succeeded_by(credential),
                    None => Seat::new(credential),
                })
                .collect();
            let selector = match before.get(&config.upstream) {
                Some(room) if room.strategy == config.strategy && room.affinity == config.affinity => {
                    room.selector.retain(&|id| seats.iter().any(|it| it.credential.id == id));
                    room.selector.clone()
                }
                _ => Arc::from(config.strategy.selector(config.affinity, &self.clock)),
            };
            let (strategy, affinity) = (config.strategy, config.affinity);
            let room = Room { strategy, affinity, selector, seats, gate: Mutex::new(()) };
            rooms.insert(config.upstream, Arc::new(room));
        }
        self.rooms.store(Arc::new(rooms));
    }

    /// Whether conversations stay with a credential of `upstream`.
    pub fn keeps_sessions(&self, upstream: &UpstreamName) -> bool {
        self.rooms.load().get(upstream).is_some_and(|it| it.affinity.is_some())
    }

    /// Lends a credential of `upstream` that may be used for `model` now and is not among `tried`.
    ///
    /// `session` names the conversation, with its tenant, for affinity. A credential that is half open is lent to one
    /// attempt at a time: its probe.
    pub fn lease(
        self: &Arc<Self>,
        upstream: &UpstreamName,
        model: &UpstreamModel,
        session: Option<&str>,
        tried: &[CredentialId],
    ) -> Result<Lease, NoCredential> {
        let now = self.clock.now();
        let rooms = self.rooms.load();
        let room = rooms.get(upstream);
        let nobody = |search: &Search<'_>| NoCredential {
            upstream: upstream.clone(),
            ready_at: search.ready_at,
            why: search.why(),
            rest: search.rest,
        };
        let Some(room) = room else { return Err(nobody(&Search::default())) };
        let _gate = room.gate.lock();
        let search = room.search(model, tried, now);
        let Some(seat) = room.choose(&search, session) else { return Err(nobody(&search)) };
        let ticket = self.leases.fetch_add(1, Ordering::Relaxed) + 1;
        seat.record.lend(model, ticket, now);
        Ok(Lease {
            pool: self.clone(),
            credential: seat.credential.clone(),
            record: seat.record.clone(),
            model: model.clone(),
            ticket,
        })
    }

    /// Says how every credential is doing, upstreams sorted by name.
    pub fn snapshot(&self) -> Vec<CredentialStatus> {
        let rooms = self.rooms.load();
        let mut names: Vec<&UpstreamName> = rooms.keys().collect();
        names.sort_unstable();
        names.into_iter().flat_map(|name| &rooms[name].seats).map(Seat::status).collect()
    }

    /// Makes a credential ready for every model, whatever it has to wait for. Returns whether there is such a credential.
    pub fn reset(&self, id: CredentialId) -> bool {
        self.each(id, Record::reset)
    }

    /// Takes a credential out of use; leases in flight go on. Returns whether there is such a credential.
    pub fn disable(&self, id: CredentialId, reason: &str) -> bool {
        self.each(id, |record| record.disable(reason))
    }

    /// Puts a credential that was disabled back to use. Returns whether there is such a credential.
    pub fn enable(&self, id: CredentialId) -> bool {
        self.each(id, Record::enable)
    }

    fn each(&self, id: CredentialId, act: impl Fn(&Record)) -> bool {
        let rooms = self.rooms.load();
        let mut is_known = false;
        for seat in rooms.values().flat_map(|room| &room.seats).filter(|it| it.credential.id == id) {
            act(&seat.record);
            is_known = true;
        }
        is_known
    }
}

/// Who of a room can serve a request, and why the others cannot.
#[derive(Default)]
struct Search<'a> {
    able: Vec<(Candidate, &'a Seat)>,
    usable: usize,
    resting: usize,
    tried: usize,
    ready_at: Option<DateTime<Utc>>,
    rest: Option<Rest>,
}

impl Search<'_> {
    fn why(&self) -> NoCredentialReason {
        match self {
            Self { usable: 0, .. } => NoCredentialReason::NoneConfigured,
            Self { tried: 1.., .. } => NoCredentialReason::AllTried,
            Self { resting: 1.., .. } => NoCredentialReason::AllCooling,
            _ => NoCredentialReason::NoneForModel,
        }
    }

    fn may_wait_until(&mut self, at: DateTime<Utc>) {
        self.ready_at = Some(self.ready_at.map_or(at, |it| it.min(at)));
    }
}

impl Room {
    fn search(&self, model: &UpstreamModel, tried: &[CredentialId], now: DateTime<Utc>) -> Search<'_> {
        let mut search = Search::default();
        for seat in &self.seats {
            let access = seat.access(model, now);
            search.usable += usize::from(!matches!(access, Access::Off));
            let was_tried = tried.contains(&seat.credential.id);
            match access {
                Access::Off | Access::NotForModel => continue,
                Access::Open if !was_tried => search.able.push((seat.candidate(), seat)),
                Access::Open => search.may_wait_until(now),
                Access::Rests { until, why } => {
                    search.may_wait_until(until);
                    search.rest = Some(search.rest.map_or(why, |it| it.min(why)));
                }
            }
            if was_tried {
                search.tried += 1;
            } else {
                search.resting += usize::from(matches!(access, Access::Rests { .. }));
            }
        }
        search
    }

    fn choose<'a>(&self, search: &Search<'a>, session: Option<&str>) -> Option<&'a Seat> {
        let mut candidates: Vec<Candidate> = search.able.iter().map(|it| it.0).collect();
        top_tier(&mut candidates);
        let picked = candidates[self.selector.pick(&candidates, session)?].id;
        search.able.iter().find(|it| it.0.id == picked).map(|it| it.1)
    }
}

/// A credential in use, until it is dropped.
pub struct Lease {
    pool: Arc<CredentialPool>,
    credential: Arc<Credential>,
    record: Arc<Record>,
    model: UpstreamModel,
    ticket: u64,
}

impl Lease {
    pub fn credential(&self) -> &Arc<Credential> {
        &self.credential
    }

    /// Says what the attempt did to the credential. A lease that is dropped without a report left it unharmed.
    ///
    /// A limit, a failure and a missing model concern the credential *with this model*; a refusal and a quota that is
    /// used up concern the credential as a whole (`CLIProxyAPI` keeps all but quotas per model, and tries a dead key once
    /// for each model).
    pub fn report(&self, outcome: &Outcome) {
        self.record.learn(&self.model, self.ticket, outcome, self.pool.clock.now());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.record.take_back(&self.model, self.ticket);
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease")
            .field("credential", &self.credential)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
