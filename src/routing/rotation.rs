//! Whose turn it is, by weight: smooth weighted round robin.

use std::{collections::HashMap, hash::Hash};

use parking_lot::Mutex;

/// Gives turns in proportion to weights, interleaved: with weights 5, 1, 1 it is a a b a c a a, not five times a first.
///
/// Over `k · Σw` turns among the same takers each gets exactly `k · w`. A taker that is absent (it cannot serve this one)
/// neither gains nor loses by it, and a turn without takers changes nothing.
#[derive(Debug)]
pub struct Rotation<K>(Mutex<HashMap<K, i64>>);

impl<K> Default for Rotation<K> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Clone + Eq + Hash> Rotation<K> {
    /// Gives the next turn to one of `takers` and returns its place in the list. A weight below 1 counts as 1.
    pub fn next(&self, takers: &[(K, u32)]) -> Option<usize> {
        if let [_] = takers {
            return Some(0);
        }
        let mut credit = self.0.lock();
        let mut best: Option<(usize, i64)> = None;
        let mut total = 0;
        for (place, (taker, weight)) in takers.iter().enumerate() {
            let weight = i64::from((*weight).max(1));
            let balance = credit.entry(taker.clone()).or_default();
            *balance += weight;
            total += weight;
            if best.is_none_or(|(_, highest)| *balance > highest) {
                best = Some((place, *balance));
            }
        }
        let (place, balance) = best?;
        credit.insert(takers[place].0.clone(), balance - total);
        Some(place)
    }

    /// Forgets the takers that are gone.
    pub fn retain(&self, is_there: impl Fn(&K) -> bool) {
        self.0.lock().retain(|taker, _| is_there(taker));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn turns_are_interleaved() {
        let rotation = Rotation::default();
        let turns: Vec<_> = (0..7).map(|_| rotation.next(&[('a', 5), ('b', 1), ('c', 1)]).unwrap()).collect();
        assert_eq!(turns, [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn nobody_gets_a_turn_among_nobody() {
        assert_eq!(Rotation::<char>::default().next(&[]), None);
    }

    fn weights() -> impl Strategy<Value = Vec<u32>> {
        prop::collection::vec(1..12_u32, 1..6)
    }

    proptest! {
        #[test]
        fn shares_are_exact_after_every_round(weights in weights(), rounds in 1..4_usize) {
            let takers: Vec<_> = weights.iter().copied().enumerate().collect();
            let rotation = Rotation::default();
            let mut turns = vec![0_usize; takers.len()];
            let sum: u32 = weights.iter().sum();
            for _ in 0..rounds * sum as usize {
                turns[rotation.next(&takers).unwrap()] += 1;
            }
            for (turns, weight) in turns.iter().zip(&weights) {
                prop_assert_eq!(*turns, rounds * *weight as usize);
            }
        }

        #[test]
        fn turns_only_one_or_nobody_can_take_do_not_change_the_others_sequence(
            weights in weights(),
            between in prop::collection::vec(prop::option::of(any::<prop::sample::Index>()), 40),
        ) {
            let takers: Vec<_> = weights.iter().copied().enumerate().collect();
            let (plain, mixed) = (Rotation::default(), Rotation::default());
            for alone in between {
                match alone {
                    Some(index) => { mixed.next(&[takers[index.index(takers.len())]]); }
                    None => { mixed.next(&[]); }
                }
                prop_assert_eq!(plain.next(&takers), mixed.next(&takers));
            }
        }

        /// Among takers that come and go, each gets its share of the turns it was there for, give or take a bounded few.
        #[test]
        fn absence_neither_helps_nor_harms(
            weights in weights(),
            present in prop::collection::vec(any::<u8>(), 200),
        ) {
            let rotation = Rotation::default();
            let mut due = vec![0.0_f64; weights.len()];
            for mask in present {
                let takers: Vec<_> =
                    weights.iter().copied().enumerate().filter(|(it, _)| mask >> it & 1 == 1).collect();
                let Some(place) = rotation.next(&takers) else { continue };
                let total: u32 = takers.iter().map(|it| it.1).sum();
                for (taker, weight) in &takers {
                    due[*taker] += f64::from(*weight);
                }
                due[takers[place].0] -= f64::from(total);
            }
            let bound = f64::from(weights.iter().sum::<u32>()) * 5.0;
            for due in due {
                prop_assert!(due.abs() <= bound, "{} is owed of {}", due, bound);
            }
        }
    }
}
