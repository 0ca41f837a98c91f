//! Whether a credential may be used now, and the one way in which that changes.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Outcome;

/// The first wait after a 429 that does not say how long; it doubles with every further one (`CLIProxyAPI`: 1 s · 2ⁿ).
pub const RATE_FIRST: Duration = Duration::from_secs(1);
/// The longest wait after a 429, also if the upstream asks for more (`CLIProxyAPI`: 30 min for its own ladder, no cap on
/// what the upstream asks, which cost its users days).
pub const RATE_CAP: Duration = Duration::from_mins(30);
/// The shortest wait, whatever the upstream asks: `Retry-After: 0` is no invitation to hammer.
pub const SHORTEST: Duration = Duration::from_secs(1);
/// The first wait after a 5xx or a time-out; it doubles with every further one. Short, because one bad answer says little
/// and the trip may wait that long (`routing.retry.max-wait`); the seeds close the only credential for a minute at once.
pub const FAILING_FIRST: Duration = Duration::from_secs(2);
/// The longest wait after 5xx and time-outs (`CLIProxyAPI`: 1 min for 408, 500, 502, 503, 504).
pub const FAILING_CAP: Duration = Duration::from_mins(1);
/// The wait after a 401, 402 or 403 (`CLIProxyAPI`: 30 min): somebody has to mend it, so longer waits gain nothing.
pub const REFUSED: Duration = Duration::from_mins(30);
/// The wait after the upstream said it has no such model (`CLIProxyAPI`: 12 h).
pub const MODEL_MISSING: Duration = Duration::from_hours(12);
/// The wait when a quota is used up and the upstream does not say until when: as for a 402.
pub const EXHAUSTED_UNTOLD: Duration = Duration::from_mins(30);
/// The latest reset that is believed: weekly quotas are the longest known, and a day for clocks and time zones.
pub const EXHAUSTED_CAP: Duration = Duration::from_hours(8 * 24);

/// Whether a credential (or a credential with one model) may be used.
///
/// Once its time has passed, a cooling or exhausted one is *half open*: it stays as it is until a probe tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuotaState {
    Ready,
    /// Not before `until`; `strikes` failures happened in a row, each after the wait of the one before.
    Cooling {
        until: DateTime<Utc>,
        strikes: u32,
    },
    /// Its quota is used up.
    Exhausted {
        resets_at: DateTime<Utc>,
    },
    /// An operator switched it off; only an operator switches it on again.
    Disabled {
        reason: String,
    },
}

impl QuotaState {
    /// Returns the state after `outcome`: the only way it moves by itself.
    ///
    /// - A success opens what was cooling. What is exhausted opens only after its reset: an answer that was on its way
    ///   when the quota ran out proves nothing.
    /// - A failure while it is closed comes from a request that was on its way: it may lengthen the wait, never shorten
    ///   it, and it is not another strike.
    /// - A failure of the probe is another strike.
    #[must_use]
    pub fn after(self, outcome: &Outcome, now: DateTime<Utc>) -> Self {
        let is_open = self.is_due(now);
        match (self, outcome) {
            (state @ Self::Disabled { .. }, _) | (state, Outcome::Unharmed) => state,
            (state @ Self::Exhausted { .. }, Outcome::Success) if !is_open => state,
            (_, Outcome::Success) => Self::Ready,
            (state, Outcome::Exhausted { resets_at }) => {
                let told = resets_at.map_or_else(|| later(now, EXHAUSTED_UNTOLD), |it| clamp(it, now));
                Self::Exhausted { resets_at: state.ready_at().map_or(told, |it| it.max(told)) }
            }
            (state @ Self::Exhausted { .. }, _) if !is_open => state,
            (Self::Cooling { until, strikes }, failure) if !is_open => {
                Self::Cooling { until: until.max(later(now, wait(failure, strikes))), strikes }
            }
            (Self::Cooling { strikes, .. }, failure) => {
                let strikes = strikes.saturating_add(1);
                Self::Cooling { until: later(now, wait(failure, strikes)), strikes }
            }
            (_, failure) => Self::Cooling { until: later(now, wait(failure, 0)), strikes: 0 },
        }
    }

    /// Whether it may be used without reserve.
    pub const fn is_ready(&self) -> bool {
        matches!(self, Self::Ready)
    }

    /// Whether its time has come: it is ready, or half open and waiting for a probe.
    pub fn is_due(&self, now: DateTime<Utc>) -> bool {
        match self {
            Self::Ready => true,
            Self::Cooling { until: at, .. } | Self::Exhausted { resets_at: at } => *at <= now,
            Self::Disabled { .. } => false,
        }
    }

    /// When its time comes; `None` if it is ready already, or never will be by itself.
    pub const fn ready_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Cooling { until: at, .. } | Self::Exhausted { resets_at: at } => Some(*at),
            Self::Ready | Self::Disabled { .. } => None,
        }
    }

    /// The name used in metrics and the management API.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Cooling { .. } => "cooling",
            Self::Exhausted { .. } => "exhausted",
            Self::Disabled { .. } => "disabled",
        }
    }
}

/// How long to wait after `failure`, if it follows `strikes` others.
fn wait(failure: &Outcome, strikes: u32) -> Duration {
    match failure {
        Outcome::RateLimited { after: Some(asked) } => (*asked).clamp(SHORTEST, RATE_CAP),
        Outcome::RateLimited { after: None } => doubled(RATE_FIRST, strikes, RATE_CAP),
        Outcome::Failing { after: Some(asked) } => (*asked).clamp(SHORTEST, FAILING_CAP),
        Outcome::Failing { after: None } => doubled(FAILING_FIRST, strikes, FAILING_CAP),
        Outcome::Unauthorized | Outcome::Forbidden => REFUSED,
        Outcome::ModelMissing => MODEL_MISSING,
        Outcome::Success | Outcome::Unharmed | Outcome::Exhausted { .. } => Duration::ZERO,
    }
}

fn doubled(first: Duration, times: u32, cap: Duration) -> Duration {
    first.saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX)).min(cap)
}

fn later(now: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    chrono::Duration::from_std(by)
        .ok()
        .and_then(|it| now.checked_add_signed(it))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn clamp(resets_at: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    resets_at.clamp(later(now, SHORTEST), later(now, EXHAUSTED_CAP))
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use proptest::prelude::*;

    use super::*;

    fn noon() -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 11, 20, 12, 0, 0).unwrap()
    }

    fn in_seconds(seconds: i64) -> DateTime<Utc> {
        noon() + chrono::Duration::seconds(seconds)
    }

    const RATE_LIMITED: Outcome = Outcome::RateLimited { after: None };

    #[test]
    fn a_rate_limit_without_a_hint_doubles_from_a_second_to_half_an_hour() {
        let (mut state, mut now) = (QuotaState::Ready, noon());
        let mut waits = Vec::new();
        for _ in 0..14 {
            state = state.after(&RATE_LIMITED, now);
            let until = state.ready_at().unwrap();
            waits.push((until - now).num_seconds());
            now = until;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1800, 1800, 1800]);
    }

    #[test]
    fn retry_after_is_honoured_between_a_second_and_half_an_hour() {
        let after = |seconds| {
            QuotaState::Ready
                .after(&Outcome::RateLimited { after: Some(Duration::from_secs(seconds)) }, noon())
                .ready_at()
                .unwrap()
        };
        assert_eq!(after(0), in_seconds(1));
        assert_eq!(after(90), in_seconds(90));
        assert_eq!(after(86_400), in_seconds(1800));
        assert_eq!(after(u64::MAX), in_seconds(1800));
    }

    #[test]
    fn failures_on_their_way_neither_climb_the_ladder_nor_shorten_the_wait() {
        let state = QuotaState::Ready
            .after(&Outcome::RateLimited { after: Some(Duration::from_mins(1)) }, noon())
            .after(&RATE_LIMITED, in_seconds(1))
            .after(&Outcome::Failing { after: None }, in_seconds(2));
        assert_eq!(state, QuotaState::Cooling { until: in_seconds(60), strikes: 0 });
    }

    #[test]
    fn refusals_and_missing_models_cool_for_as_long_as_the_seeds_do() {
        let wait = |outcome| QuotaState::Ready.after(&outcome, noon()).ready_at().unwrap() - noon();
        assert_eq!(wait(Outcome::Unauthorized).num_minutes(), 30);
        assert_eq!(wait(Outcome::Forbidden).num_minutes(), 30);
        assert_eq!(wait(Outcome::ModelMissing).num_hours(), 12);
        assert_eq!(wait(Outcome::Failing { after: None }).num_seconds(), 2);
    }

    #[test]
    fn failing_never_closes_for_more_than_a_minute() {
        let (mut state, mut now) = (QuotaState::Ready, noon());
        for _ in 0..40 {
            state = state.after(&Outcome::Failing { after: None }, now);
            assert!(state.ready_at().unwrap() - now <= chrono::Duration::minutes(1));
            now = state.ready_at().unwrap();
        }
    }

    #[test]
    fn a_quota_opens_after_its_reset_and_not_by_an_answer_that_was_on_its_way() {
        let state = QuotaState::Ready.after(&Outcome::Exhausted { resets_at: Some(in_seconds(600)) }, noon());
        let state = state.after(&Outcome::Success, in_seconds(5));
        assert_eq!(state, QuotaState::Exhausted { resets_at: in_seconds(600) });
        assert!(state.is_due(in_seconds(600)) && !state.is_due(in_seconds(599)));
        assert_eq!(state.after(&Outcome::Success, in_seconds(601)), QuotaState::Ready);
    }

    #[test]
    fn a_reset_far_away_or_long_ago_is_not_believed() {
        let resets_at =
            |it| QuotaState::Ready.after(&Outcome::Exhausted { resets_at: it }, noon()).ready_at().unwrap();
        assert_eq!(resets_at(Some(DateTime::<Utc>::MAX_UTC)), noon() + chrono::Duration::days(8));
        assert_eq!(resets_at(Some(DateTime::<Utc>::MIN_UTC)), in_seconds(1));
        assert_eq!(resets_at(None), in_seconds(1800));
    }

    #[test]
    fn nothing_but_an_operator_opens_what_an_operator_closed() {
        let disabled = QuotaState::Disabled { reason: "leaked".to_owned() };
        assert_eq!(disabled.clone().after(&Outcome::Success, noon()), disabled);
        assert!(!disabled.is_due(DateTime::<Utc>::MAX_UTC));
    }

    fn outcome() -> impl Strategy<Value = Outcome> {
        let after =
            || prop::option::of(prop_oneof![0..5_000_u64, any::<u64>()].prop_map(Duration::from_secs));
        prop_oneof![
            Just(Outcome::Success),
            Just(Outcome::Unharmed),
            after().prop_map(|after| Outcome::RateLimited { after }),
            prop::option::of(-10_000_000..10_000_000_i64)
                .prop_map(|it| Outcome::Exhausted { resets_at: it.map(in_seconds) }),
            after().prop_map(|after| Outcome::Failing { after }),
            Just(Outcome::Unauthorized),
            Just(Outcome::Forbidden),
            Just(Outcome::ModelMissing),
        ]
    }

    fn history() -> impl Strategy<Value = Vec<(Outcome, i64)>> {
        prop::collection::vec((outcome(), 0..100_000_i64), 0..80)
    }

    proptest! {
        #[test]
        fn any_history_keeps_to_the_caps_and_an_unharmed_end_changes_nothing(history in history()) {
            let (mut state, mut now) = (QuotaState::Ready, noon());
            for (outcome, seconds) in history {
                now += chrono::Duration::seconds(seconds);
                state = state.after(&outcome, now);
                let longest = match state {
                    QuotaState::Exhausted { .. } => EXHAUSTED_CAP,
                    _ => MODEL_MISSING,
                };
                if let Some(at) = state.ready_at() {
                    prop_assert!(at <= later(now, longest));
                }
                prop_assert_eq!(state.clone().after(&Outcome::Unharmed, now), state.clone());
            }
        }

        #[test]
        fn a_success_opens_whatever_is_ready_or_cooling(history in history()) {
            let (mut state, mut now) = (QuotaState::Ready, noon());
            for (outcome, seconds) in history {
                now += chrono::Duration::seconds(seconds);
                state = state.after(&outcome, now);
                if !matches!(state, QuotaState::Exhausted { .. }) {
                    prop_assert_eq!(state.clone().after(&Outcome::Success, now), QuotaState::Ready);
                }
            }
        }

        #[test]
        fn a_wait_never_gets_shorter_while_it_lasts(history in history()) {
            let (mut state, mut now) = (QuotaState::Ready, noon());
            for (outcome, seconds) in history {
                now += chrono::Duration::seconds(seconds % 50);
                let before = state.clone();
                state = state.after(&outcome, now);
                if !before.is_due(now) && outcome != Outcome::Success {
                    prop_assert!(state.ready_at() >= before.ready_at());
                }
            }
        }

        #[test]
        fn at_the_end_of_time_nothing_panics(outcome in outcome()) {
            let end = DateTime::<Utc>::MAX_UTC;
            for state in [QuotaState::Ready, QuotaState::Cooling { until: end, strikes: u32::MAX }] {
                let after = state.after(&outcome, end);
                prop_assert!(after.ready_at().is_none_or(|at| at <= end));
            }
        }
    }
}
