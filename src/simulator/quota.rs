//! Request quotas: real windows, one for each rule and credential.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::simulator::scenario::Quota;

/// What a quota says about one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    pub limit: u64,
    pub remaining: u64,
    /// Until the window ends.
    pub reset: Duration,
    /// Set when the request is one too many.
    pub retry_after: Option<Duration>,
}

struct Window {
    opened: Instant,
    taken: u64,
}

/// The open windows.
#[derive(Default)]
pub(super) struct Quotas(Mutex<HashMap<(usize, String), Window>>);

impl Quotas {
    /// Takes one request of `credential` out of the quota of the rule with this index.
    pub(super) fn take(&self, rule: usize, quota: &Quota, credential: &str, now: Instant) -> Allowance {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let window =
            windows.entry((rule, credential.to_owned())).or_insert_with(|| Window { opened: now, taken: 0 });
        if now.duration_since(window.opened) >= quota.per {
            *window = Window { opened: now, taken: 0 };
        }
        let reset = quota.per.saturating_sub(now.duration_since(window.opened));
        let exceeded = window.taken >= quota.requests;
        if !exceeded {
            window.taken += 1;
        }
        Allowance {
            limit: quota.requests,
            remaining: quota.requests - window.taken,
            reset,
            retry_after: exceeded.then(|| quota.retry_after.unwrap_or(reset)),
        }
    }

    pub(super) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
