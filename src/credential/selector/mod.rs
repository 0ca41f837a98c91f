//! Which of several credentials is used next.

mod sticky;

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use crate::{
    kernel::{clock::Clock, id::CredentialId},
    routing::rotation::Rotation,
};

pub use sticky::Sticky;

/// A credential that could serve the request at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    pub id: CredentialId,
    pub priority: i32,
    pub weight: u32,
    /// The attempts it is leased to at this moment.
    pub in_flight: u32,
    /// When it was last leased, counted in leases of the whole pool; 0: never.
    pub last_used: u64,
}

/// A way to choose. Every pick becomes a lease: the pool asks once it knows who can serve.
pub trait Selector: Send + Sync {
    /// Returns a place in `candidates`; `None` only if there are none.
    ///
    /// `session` names the conversation, and already contains the tenant: two tenants never share one.
    fn pick(&self, candidates: &[Candidate], session: Option<&str>) -> Option<usize>;
    /// Forgets the credentials that are gone.
    fn retain(&self, _is_there: &dyn Fn(CredentialId) -> bool) {}
}

/// The ways to choose that can be configured (`strategy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Strategy {
    /// The first in the order of the configuration, until it may not be used.
    FillFirst,
    /// Each in turn.
    #[default]
    RoundRobin,
    /// Each in turn, in proportion to its weight.
    WeightedRoundRobin,
    /// The one that has rested longest.
    LeastRecentlyUsed,
    /// The one with the fewest attempts in flight; among equals the one that has rested longest.
    LeastBusy,
}

/// No strategy has that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no strategy is called `{0}`; there are `fill-first`, `round-robin`, `weighted-round-robin`, `least-recently-used` and `least-busy`"
)]
pub struct UnknownStrategy(pub String);

impl Strategy {
    pub const ALL: [Self; 5] = [
        Self::FillFirst,
        Self::RoundRobin,
        Self::WeightedRoundRobin,
        Self::LeastRecentlyUsed,
        Self::LeastBusy,
    ];

    /// The name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FillFirst => "fill-first",
            Self::RoundRobin => "round-robin",
            Self::WeightedRoundRobin => "weighted-round-robin",
            Self::LeastRecentlyUsed => "least-recently-used",
            Self::LeastBusy => "least-busy",
        }
    }

    /// Makes the selector; with `affinity`, a conversation stays with its credential until it has rested that long.
    pub fn selector(self, affinity: Option<Duration>, clock: &Arc<dyn Clock>) -> Box<dyn Selector> {
        let plain: Box<dyn Selector> = match self {
            Self::FillFirst => Box::new(FillFirst),
            Self::RoundRobin => Box::new(InTurn { rotation: Rotation::default(), weigh: |_| 1 }),
            Self::WeightedRoundRobin => {
                Box::new(InTurn { rotation: Rotation::default(), weigh: |it| it.weight })
            }
            Self::LeastRecentlyUsed => Box::new(Least(|it| (0, it.last_used))),
            Self::LeastBusy => Box::new(Least(|it| (it.in_flight, it.last_used))),
        };
        match affinity {
            Some(ttl) => Box::new(Sticky::new(plain, ttl, clock.clone())),
            None => plain,
        }
    }
}

impl FromStr for Strategy {
    type Err = UnknownStrategy;

    fn from_str(text: &str) -> Result<Self, UnknownStrategy> {
        Self::ALL.into_iter().find(|it| it.name() == text).ok_or_else(|| UnknownStrategy(text.to_owned()))
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Keeps those of the highest priority: a lower tier is asked only when nobody above can serve.
pub fn top_tier(candidates: &mut Vec<Candidate>) {
    if let Some(highest) = candidates.iter().map(|it| it.priority).max() {
        candidates.retain(|it| it.priority == highest);
    }
}

struct FillFirst;

impl Selector for FillFirst {
    fn pick(&self, candidates: &[Candidate], _: Option<&str>) -> Option<usize> {
        (!candidates.is_empty()).then_some(0)
    }
}

struct InTurn {
    rotation: Rotation<CredentialId>,
    weigh: fn(&Candidate) -> u32,
}

impl Selector for InTurn {
    fn pick(&self, candidates: &[Candidate], _: Option<&str>) -> Option<usize> {
        let takers: Vec<_> = candidates.iter().map(|it| (it.id, (self.weigh)(it))).collect();
        self.rotation.next(&takers)
    }

    fn retain(&self, is_there: &dyn Fn(CredentialId) -> bool) {
        self.rotation.retain(|it| is_there(*it));
    }
}

struct Least(fn(&Candidate) -> (u32, u64));

impl Selector for Least {
    fn pick(&self, candidates: &[Candidate], _: Option<&str>) -> Option<usize> {
        let least = candidates.iter().enumerate().min_by_key(|(_, it)| (self.0)(it));
        least.map(|(place, _)| place)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert_eq, proptest};

    use super::*;
    use crate::kernel::clock::SystemClock;

    fn candidates(weights: &[u32]) -> Vec<Candidate> {
        let candidate = |(place, weight): (usize, &u32)| Candidate {
            id: CredentialId::declared(&place.to_string()),
            priority: 0,
            weight: *weight,
            in_flight: 0,
            last_used: 0,
        };
        weights.iter().enumerate().map(candidate).collect()
    }

    fn selector(strategy: Strategy) -> Box<dyn Selector> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        strategy.selector(None, &clock)
    }

    #[test]
    fn every_strategy_is_read_back_from_its_name() {
        for strategy in Strategy::ALL {
            assert_eq!(strategy.name().parse(), Ok(strategy));
        }
        assert!("fastest".parse::<Strategy>().unwrap_err().to_string().contains("`least-busy`"));
    }

    #[test]
    fn no_strategy_picks_among_nobody_and_all_pick_among_somebody() {
        for strategy in Strategy::ALL {
            assert_eq!(selector(strategy).pick(&[], None), None);
            assert_eq!(selector(strategy).pick(&candidates(&[1]), None), Some(0));
        }
    }

    #[test]
    fn fill_first_stays_with_the_first_in_order() {
        let selector = selector(Strategy::FillFirst);
        assert!((0..5).all(|_| selector.pick(&candidates(&[1, 9]), None) == Some(0)));
    }

    #[test]
    fn least_recently_used_prefers_who_rested_and_least_busy_who_is_free() {
        let mut candidates = candidates(&[1, 1, 1]);
        candidates[0].last_used = 7;
        candidates[1].last_used = 3;
        candidates[2].last_used = 5;
        candidates[1].in_flight = 2;
        assert_eq!(selector(Strategy::LeastRecentlyUsed).pick(&candidates, None), Some(1));
        assert_eq!(selector(Strategy::LeastBusy).pick(&candidates, None), Some(2));
    }

    #[test]
    fn priority_comes_before_strategy() {
        let mut candidates = candidates(&[1, 1, 1]);
        candidates[1].priority = 10;
        candidates[2].priority = 10;
        let kept = [candidates[1], candidates[2]];
        top_tier(&mut candidates);
        assert_eq!(candidates, kept);
    }

    proptest! {
        #[test]
        fn weighted_shares_are_exact_and_round_robin_ones_equal(
            weights in prop::collection::vec(1..20_u32, 1..6),
            rounds in 1..4_u32,
        ) {
            let candidates = candidates(&weights);
            let shares = |strategy: Strategy, picks: u32| {
                let selector = selector(strategy);
                let mut shares = vec![0; weights.len()];
                for _ in 0..picks {
                    shares[selector.pick(&candidates, None).unwrap()] += 1;
                }
                shares
            };
            let due: Vec<u32> = weights.iter().map(|it| it * rounds).collect();
            prop_assert_eq!(shares(Strategy::WeightedRoundRobin, rounds * weights.iter().sum::<u32>()), due);
            let count = u32::try_from(weights.len()).unwrap();
            prop_assert_eq!(shares(Strategy::RoundRobin, rounds * count), vec![rounds; weights.len()]);
        }
    }
}
