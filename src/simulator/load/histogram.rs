//! Durations, counted in buckets that grow with them: 128 for each doubling, so a quantile is off by less than 1 %.

use std::time::Duration;

/// Buckets for each doubling, as a power of two.
const BITS: u32 = 7;
const BUCKETS: usize = (64 - BITS as usize + 1) << BITS;

pub(super) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0 }
    }
}

impl Histogram {
    pub(super) fn record(&mut self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(nanos)] += 1;
        self.total += 1;
    }

    /// The time in microseconds that a share of `quantile` stays within; 0 if nothing was recorded.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts of one run are far below 2^52"
    )]
    pub(super) fn micros(&self, quantile: f64) -> f64 {
        let rank = ((quantile * self.total as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let place = self.counts.iter().position(|it| {
            seen += it;
            seen >= rank
        });
        place.map_or(0.0, |it| middle(it) as f64 / 1000.0)
    }
}

fn bucket(nanos: u64) -> usize {
    let doublings = nanos.checked_ilog2().unwrap_or(0).saturating_sub(BITS);
    usize::try_from((u64::from(doublings) << BITS) + (nanos >> doublings)).unwrap_or(BUCKETS - 1)
}

/// The nanoseconds in the middle of a bucket.
fn middle(bucket: usize) -> u64 {
    let doublings = (bucket >> BITS).saturating_sub(1);
    let low = ((bucket - (doublings << BITS)) as u64) << doublings;
    low + ((1_u64 << doublings) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_falls_into_a_bucket_near_it() {
        for nanos in [0, 1, 127, 128, 129, 255, 256, 1_000, 123_456, 9_999_999_999, u64::MAX / 2, u64::MAX] {
            let off = middle(bucket(nanos)).abs_diff(nanos);
            assert!(off <= nanos / 128, "{nanos} is off by {off}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_recorded_times() {
        let mut histogram = Histogram::default();
        assert!(histogram.micros(0.5).abs() < f64::EPSILON);
        (1..=1000).for_each(|it| histogram.record(Duration::from_micros(it)));
        for (quantile, expected) in [(0.5, 500.0), (0.9, 900.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = histogram.micros(quantile);
            assert!((found - expected).abs() <= expected / 100.0, "{quantile}: {found}");
        }
    }
}
