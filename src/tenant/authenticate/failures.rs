//! Counts wrong keys by where they come from, in bounded memory.

use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, Ipv6Addr},
};

use chrono::{DateTime, TimeDelta, Utc};

/// Wrong keys that one source may show in a window before it is throttled.
const MOST_FAILURES: u32 = 20;
const WINDOW: TimeDelta = TimeDelta::minutes(1);
/// Sources kept: about a megabyte. Beyond it the oldest is forgotten.
const MOST_SOURCES: usize = 10_000;

/// The wrong keys of the last minute.
#[derive(Default)]
pub(super) struct Failures {
    windows: HashMap<IpAddr, Window>,
    /// Each source of `windows` once, oldest first.
    order: VecDeque<IpAddr>,
}

struct Window {
    started_at: DateTime<Utc>,
    count: u32,
}

impl Window {
    const fn new(now: DateTime<Utc>) -> Self {
        Self { started_at: now, count: 0 }
    }

    /// Also true if the clock was set back, so that nobody is shut out until it is there again.
    fn is_over(&self, now: DateTime<Utc>) -> bool {
        let age = now - self.started_at;
        age >= WINDOW || age < TimeDelta::zero()
    }
}

impl Failures {
    /// Counts one more wrong key of `source`, and tells whether there were too many of late.
    pub(super) fn is_too_many(&mut self, source: IpAddr, now: DateTime<Utc>) -> bool {
        let source = network(source);
        self.forget_old(now);
        if !self.windows.contains_key(&source) {
            if self.order.len() >= MOST_SOURCES {
                self.forget_oldest();
            }
            self.order.push_back(source);
        }
        let window = self.windows.entry(source).or_insert_with(|| Window::new(now));
        if window.is_over(now) {
            *window = Window::new(now);
        }
        window.count = window.count.saturating_add(1);
        window.count > MOST_FAILURES
    }

    fn forget_old(&mut self, now: DateTime<Utc>) {
        while let Some(oldest) = self.order.front() {
            if self.windows.get(oldest).is_some_and(|window| !window.is_over(now)) {
                return;
            }
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.order.pop_front() {
            self.windows.remove(&oldest);
        }
    }
}

/// Whom an address stands for: an IPv6 customer has at least a /64 to write from.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap()
    }

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::from_bits(number))
    }

    #[test]
    fn the_twenty_first_wrong_key_of_a_minute_is_too_many() {
        let mut failures = Failures::default();
        for _ in 0..20 {
            assert!(!failures.is_too_many(address(1), at(0)));
        }
        assert!(failures.is_too_many(address(1), at(59)));
        assert!(!failures.is_too_many(address(2), at(59)));
        assert!(!failures.is_too_many(address(1), at(60)));
    }

    #[test]
    fn a_whole_ipv6_network_counts_as_one_source() {
        assert_eq!(
            network("2001:db8:1:2:3:4:5:6".parse().unwrap()),
            network("2001:db8:1:2::".parse().unwrap())
        );
        assert_ne!(network("2001:db8:1:2::".parse().unwrap()), network("2001:db8:1:3::".parse().unwrap()));
        assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()), "192.0.2.1".parse::<IpAddr>().unwrap());
        assert_ne!(
            network("::ffff:192.0.2.1".parse().unwrap()),
            network("::ffff:192.0.2.2".parse().unwrap())
        );
    }

    #[test]
    fn a_clock_set_back_shuts_nobody_out() {
        let mut failures = Failures::default();
        for _ in 0..30 {
            failures.is_too_many(address(1), at(86_400));
        }
        assert!(!failures.is_too_many(address(1), at(0)));
    }

    #[test]
    fn any_number_of_sources_fits_into_bounded_memory() {
        let mut failures = Failures::default();
        for number in 0..3 * u32::try_from(MOST_SOURCES).unwrap() {
            failures.is_too_many(address(number), at(0));
        }
        assert_eq!(failures.windows.len(), MOST_SOURCES);
        assert_eq!(failures.order.len(), MOST_SOURCES);
        assert!(!failures.windows.contains_key(&address(0)), "the oldest is forgotten");
        failures.is_too_many(address(1), at(61));
        assert_eq!(failures.windows.len(), 1);
    }

    proptest! {
        #[test]
        fn every_source_is_in_the_queue_exactly_once(steps in prop::collection::vec((0_u32..5, -30_i64..90), 0..200)) {
            let mut failures = Failures::default();
            let mut second = 0;
            for (source, by) in steps {
                second += by;
                failures.is_too_many(address(source), at(second));
                prop_assert_eq!(failures.order.len(), failures.windows.len());
                prop_assert!(failures.order.iter().all(|it| failures.windows.contains_key(it)));
            }
        }
    }
}
