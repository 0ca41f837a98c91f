//! Session affinity: a conversation stays with one credential, so that the upstream's prompt cache and its opaque
//! reasoning stay good.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;

use super::{Candidate, Selector};
use crate::kernel::{clock::Clock, id::CredentialId};

/// The most conversations that are remembered. Beyond it memory is dropped: the hash alone then finds the same credential
/// for all conversations that were never moved.
const MOST_SESSIONS: usize = 16_384;

/// Picks by rendezvous hash for who names a session, and lets `inner` pick for the others.
///
/// The hash needs no memory, agrees between instances, and moves only the sessions of a credential that goes. What it is
/// remembered for is the way back: a session that had to move stays where it moved to, while it lives.
pub struct Sticky {
    inner: Box<dyn Selector>,
    ttl: Duration,
    clock: Arc<dyn Clock>,
    bindings: Mutex<HashMap<u64, Binding>>,
}

struct Binding {
    credential: CredentialId,
    used_at: DateTime<Utc>,
}

impl Sticky {
    pub fn new(inner: Box<dyn Selector>, ttl: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { inner, ttl, clock, bindings: Mutex::default() }
    }

    fn is_alive(&self, binding: &Binding, now: DateTime<Utc>) -> bool {
        (now - binding.used_at).to_std().is_ok_and(|rested| rested <= self.ttl)
    }

    fn make_room(&self, bindings: &mut HashMap<u64, Binding>, now: DateTime<Utc>) {
        if bindings.len() >= MOST_SESSIONS {
            bindings.retain(|_, it| self.is_alive(it, now));
        }
        if bindings.len() >= MOST_SESSIONS {
            bindings.clear();
        }
    }
}

impl Selector for Sticky {
    fn pick(&self, candidates: &[Candidate], session: Option<&str>) -> Option<usize> {
        let Some(session) = session else { return self.inner.pick(candidates, None) };
        let (key, now) = (hash(session.as_bytes()), self.clock.now());
        let mut bindings = self.bindings.lock();
        let bound = bindings.get(&key).filter(|it| self.is_alive(it, now)).map(|it| it.credential);
        let place = bound
            .and_then(|bound| candidates.iter().position(|it| it.id == bound))
            .or_else(|| rendezvous(key, candidates))?;
        self.make_room(&mut bindings, now);
        bindings.insert(key, Binding { credential: candidates[place].id, used_at: now });
        Some(place)
    }

    fn retain(&self, is_there: &dyn Fn(CredentialId) -> bool) {
        self.bindings.lock().retain(|_, it| is_there(it.credential));
        self.inner.retain(is_there);
    }
}

/// The candidate with the highest score; scores fall so that shares follow the weights (weighted rendezvous hashing).
fn rendezvous(key: u64, candidates: &[Candidate]) -> Option<usize> {
    let scores = candidates.iter().map(|it| score(key, it)).enumerate();
    scores.max_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(place, _)| place)
}

fn score(key: u64, candidate: &Candidate) -> f64 {
    let mixed = mix(key ^ hash(candidate.id.as_uuid().as_bytes()));
    let high_bits = u32::try_from(mixed >> 32).unwrap_or(u32::MAX);
    let between_0_and_1 = (f64::from(high_bits) + 0.5) / (f64::from(u32::MAX) + 1.0);
    -f64::from(candidate.weight.max(1)) / between_0_and_1.ln()
}

/// FNV-1a: the same in every process and version, unlike the standard library's.
fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The finalizer of `SplitMix64`: FNV alone spreads badly in its high bits.
const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;
    use crate::{credential::selector::Strategy, kernel::clock::ManualClock};

    fn candidates(weights: &[u32]) -> Vec<Candidate> {
        let candidate = |(place, weight): (usize, &u32)| Candidate {
            id: CredentialId::declared(&format!("sticky-{place}")),
            priority: 0,
            weight: *weight,
            in_flight: 0,
            last_used: 0,
        };
        weights.iter().enumerate().map(candidate).collect()
    }

    fn sticky() -> (Box<dyn Selector>, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(Utc.with_ymd_and_hms(2026, 11, 20, 12, 0, 0).unwrap()));
        let dynamic: Arc<dyn Clock> = clock.clone();
        (Strategy::RoundRobin.selector(Some(Duration::from_hours(1)), &dynamic), clock)
    }

    fn picked(selector: &dyn Selector, candidates: &[Candidate], session: &str) -> CredentialId {
        candidates[selector.pick(candidates, Some(session)).unwrap()].id
    }

    #[test]
    fn a_session_stays_with_its_credential_and_the_others_rotate() {
        let (selector, _) = sticky();
        let candidates = candidates(&[1, 1, 1]);
        let first = picked(&*selector, &candidates, "ten_a/s1");
        assert!((0..9).all(|_| picked(&*selector, &candidates, "ten_a/s1") == first));
        let mut rotated: Vec<_> = (0..3).map(|_| selector.pick(&candidates, None).unwrap()).collect();
        rotated.sort_unstable();
        assert_eq!(rotated, [0, 1, 2]);
    }

    #[test]
    fn two_tenants_with_the_same_session_are_two_sessions() {
        let (selector, _) = sticky();
        let candidates = candidates(&[1; 16]);
        let homes = |tenant: &str| -> Vec<_> {
            (0..20).map(|it| picked(&*selector, &candidates, &format!("{tenant}/{it}"))).collect()
        };
        assert_ne!(homes("ten_a"), homes("ten_b"));
    }

    #[test]
    fn only_the_sessions_of_a_credential_that_goes_are_moved() {
        let all = candidates(&[1, 1, 1, 1]);
        for session in 0..200 {
            let key = hash(session.to_string().as_bytes());
            let home = rendezvous(key, &all).unwrap();
            let without: Vec<_> = all.iter().copied().filter(|it| it.id != all[(home + 1) % 4].id).collect();
            assert_eq!(without[rendezvous(key, &without).unwrap()].id, all[home].id);
        }
    }

    #[test]
    fn a_session_that_had_to_move_comes_back_only_after_its_rest() {
        let (selector, clock) = sticky();
        let candidates = candidates(&[1, 1, 1]);
        let home = picked(&*selector, &candidates, "s");
        let others: Vec<_> = candidates.iter().copied().filter(|it| it.id != home).collect();
        let refuge = picked(&*selector, &others, "s");
        assert_eq!(picked(&*selector, &candidates, "s"), refuge);
        clock.advance(chrono::Duration::minutes(61));
        assert_eq!(picked(&*selector, &candidates, "s"), home);
    }

    #[test]
    fn sessions_are_shared_out_by_weight() {
        let candidates = candidates(&[3, 1]);
        let heavy = (0..4000)
            .filter(|it: &i32| rendezvous(hash(it.to_string().as_bytes()), &candidates) == Some(0))
            .count();
        assert!((2850..3150).contains(&heavy), "{heavy} of 4000");
    }

    #[test]
    fn memory_is_bounded() {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(DateTime::UNIX_EPOCH));
        let sticky = Sticky::new(Strategy::FillFirst.selector(None, &clock), Duration::from_secs(9), clock);
        let candidates = candidates(&[1, 1]);
        for session in 0..MOST_SESSIONS + 5 {
            sticky.pick(&candidates, Some(&session.to_string()));
        }
        assert!(sticky.bindings.lock().len() <= MOST_SESSIONS);
    }
}
