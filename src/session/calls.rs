//! What was thought before tool calls, for clients whose dialect has no room for it: by tenant and call.

use std::{fmt, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use lru::LruCache;
use parking_lot::Mutex;

use crate::{
    dialect::state::CallState,
    kernel::{clock::Clock, id::TenantId},
};

/// Remembers what rode on tool calls. A miss is never an error: the state is then simply not sent.
pub trait CallMemory: Send + Sync {
    fn remember(&self, tenant: TenantId, state: CallState);
    fn recall(&self, tenant: TenantId, call_id: &str) -> Option<CallState>;
}

/// What one process remembers of the calls made last: bounded in time and in bytes, of each tenant too.
pub struct RecentCalls {
    clock: Arc<dyn Clock>,
    ttl: TimeDelta,
    max_bytes: usize,
    kept: Mutex<Kept>,
}

struct Kept {
    calls: LruCache<(TenantId, String), (CallState, DateTime<Utc>)>,
    bytes: usize,
}

impl RecentCalls {
    pub fn new(clock: Arc<dyn Clock>, ttl: TimeDelta, max_bytes: usize) -> Self {
        let kept = Kept { calls: LruCache::unbounded(), bytes: 0 };
        Self { clock, ttl, max_bytes, kept: Mutex::new(kept) }
    }
}

impl Kept {
    fn drop_oldest(&mut self) -> bool {
        let Some((_, (state, _))) = self.calls.pop_lru() else { return false };
        self.bytes -= state.size();
        true
    }

    fn remove(&mut self, key: &(TenantId, String)) {
        if let Some((state, _)) = self.calls.pop(key) {
            self.bytes -= state.size();
        }
    }
}

impl CallMemory for RecentCalls {
    fn remember(&self, tenant: TenantId, state: CallState) {
        let size = state.size();
        // A sixteenth at most, so that one call cannot push out all others.
        if size > self.max_bytes / 16 {
            return;
        }
        let key = (tenant, state.call_id.clone());
        let mut kept = self.kept.lock();
        kept.remove(&key);
        kept.bytes += size;
        kept.calls.put(key, (state, self.clock.now() + self.ttl));
        while kept.bytes > self.max_bytes && kept.drop_oldest() {}
    }

    fn recall(&self, tenant: TenantId, call_id: &str) -> Option<CallState> {
        let key = (tenant, call_id.to_owned());
        let mut kept = self.kept.lock();
        let (state, until) = kept.calls.get(&key)?;
        if *until > self.clock.now() {
            return Some(state.clone());
        }
        kept.remove(&key);
        None
    }
}

impl fmt::Debug for RecentCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecentCalls").field("bytes", &self.kept.lock().bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;
    use crate::{
        dialect::{
            canonical::{OpaqueState, StateKind},
            state::Origin,
        },
        kernel::clock::ManualClock,
    };

    fn clock() -> Arc<ManualClock> {
        Arc::new(ManualClock::at(Utc.with_ymd_and_hms(2026, 1, 2, 12, 0, 0).unwrap()))
    }

    fn state(call_id: &str, bytes: usize) -> CallState {
        let kind = StateKind::ThoughtSignature;
        CallState {
            call_id: call_id.to_owned(),
            tool: "look".to_owned(),
            origin: Origin { provider: String::new(), family: String::new(), account: String::new() },
            thoughts: Vec::new(),
            on_call: Some(OpaqueState { dialect: kind.dialect(), kind, data: "x".repeat(bytes) }),
        }
    }

    #[test]
    fn ec_183_the_same_call_id_of_another_tenant_is_another_call() {
        let memory = RecentCalls::new(clock(), TimeDelta::hours(1), 1 << 20);
        let (acme, zoo) = (TenantId::declared("acme"), TenantId::declared("zoo"));
        memory.remember(acme, state("call_0", 1));
        assert_eq!(memory.recall(zoo, "call_0"), None);
        memory.remember(zoo, state("call_0", 2));
        assert_eq!(memory.recall(acme, "call_0"), Some(state("call_0", 1)));
        assert_eq!(memory.recall(zoo, "call_0"), Some(state("call_0", 2)));
    }

    #[test]
    fn what_is_too_old_is_forgotten() {
        let clock = clock();
        let memory = RecentCalls::new(clock.clone(), TimeDelta::hours(1), 1 << 20);
        let acme = TenantId::declared("acme");
        memory.remember(acme, state("c", 1));
        clock.advance(TimeDelta::minutes(59));
        assert!(memory.recall(acme, "c").is_some());
        clock.advance(TimeDelta::minutes(1));
        assert!(memory.recall(acme, "c").is_none());
        assert_eq!(memory.kept.lock().bytes, 0);
    }

    #[test]
    fn the_least_used_go_when_the_bytes_are_full() {
        let size = state("c00", 1000).size();
        let memory = RecentCalls::new(clock(), TimeDelta::hours(1), size * 20);
        let acme = TenantId::declared("acme");
        for number in 0..20 {
            memory.remember(acme, state(&format!("c{number:02}"), 1000));
        }
        assert!(memory.recall(acme, "c00").is_some());
        memory.remember(acme, state("c20", 1000));
        assert!(memory.recall(acme, "c00").is_some(), "it was just asked for");
        assert!(memory.recall(acme, "c01").is_none());
        assert_eq!(memory.kept.lock().bytes, size * 20);
        memory.remember(acme, state("c20", 900));
        assert_eq!(memory.kept.lock().bytes, size * 20 - 100);
        memory.remember(acme, state("huge", size * 10));
        assert!(memory.recall(acme, "huge").is_none());
    }
}
