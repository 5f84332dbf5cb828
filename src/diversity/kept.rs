//! A bounded number of things, of which the latest and the weightiest stay.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::mem;

use crate::random::Random;

/// Keeps a bounded number of things: the latest quarter, and of those before it the weightiest. Of those that weigh the
/// same, a random part.
///
/// Adding one costs the same however many are kept, nearly always: which part is random is drawn once for each, so
/// that those that are kept for long have drawn well, and a newcomer mostly goes at once.
#[derive(Debug, Clone)]
pub(super) struct Kept<T> {
    /// In the order of arrival.
    latest: VecDeque<One<T>>,
    earlier: BinaryHeap<One<T>>,
    most: usize,
    arrivals: u64,
}

#[derive(Debug, Clone)]
struct One<T> {
    weight: f64,
    luck: u64,
    arrival: u64,
    thing: T,
}

/// A thing that is kept.
#[derive(Debug)]
pub(super) struct Weighed<'a, T> {
    pub(super) weight: f64,
    /// Its place among all that were ever added.
    pub(super) arrival: u64,
    pub(super) thing: &'a T,
}

impl<T> Kept<T> {
    pub(super) fn new(most: usize) -> Self {
        Self {
            latest: VecDeque::new(),
            earlier: BinaryHeap::new(),
            most,
            arrivals: 0,
        }
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }

    pub(super) fn len(&self) -> usize {
        self.latest.len() + self.earlier.len()
    }

    /// Adds a thing; where there is no room, forgets the lightest but for the latest quarter, and returns it.
    pub(super) fn add(&mut self, thing: T, weight: f64) -> Option<T> {
        if self.most == 0 {
            return None;
        }
        let is_full = self.len() == self.most;
        self.latest.push_back(One {
            weight,
            luck: Random::new(self.arrivals).next_u64(),
            arrival: self.arrivals,
            thing,
        });
        self.arrivals += 1;
        if self.latest.len() <= self.most / 4 {
            return None;
        }
        let one = self.latest.pop_front()?;
        if !is_full {
            self.earlier.push(one);
            return None;
        }
        let mut first_to_go = self.earlier.peek_mut()?;
        Some(mem::replace(&mut *first_to_go, one).thing)
    }

    /// Changes the weight of each.
    pub(super) fn reweigh(&mut self, mut weight: impl FnMut(&T, f64) -> f64) {
        let mut earlier = mem::take(&mut self.earlier).into_vec();
        for one in self.latest.iter_mut().chain(&mut earlier) {
            one.weight = weight(&one.thing, one.weight);
        }
        self.earlier = earlier.into();
    }

    /// Returns all, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Weighed<'_, T>> {
        self.latest.iter().chain(&self.earlier).map(One::weighed)
    }

    /// Returns up to this many, the latest first.
    pub(super) fn latest(&self, most: usize) -> impl Iterator<Item = Weighed<'_, T>> {
        // The order of the earlier ones is made when somebody asks for them.
        let earlier = std::iter::once_with(move || {
            let all: Vec<&One<T>> = self.earlier.iter().collect();
            first(all, most, |one, other| other.arrival.cmp(&one.arrival))
        });
        let latest = self.latest.iter().rev();
        latest.chain(earlier.flatten()).take(most).map(One::weighed)
    }
}

impl<T> One<T> {
    fn weighed(&self) -> Weighed<'_, T> {
        Weighed {
            weight: self.weight,
            arrival: self.arrival,
            thing: &self.thing,
        }
    }
}

/// The greatest is the first to be forgotten.
impl<T> Ord for One<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_weight = other.weight.total_cmp(&self.weight);
        by_weight.then(other.luck.cmp(&self.luck))
    }
}

impl<T> PartialOrd for One<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for One<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for One<T> {}

/// Returns the first `most` in this order, without sorting the rest.
pub(super) fn first<T>(mut all: Vec<T>, most: usize, order: impl Fn(&T, &T) -> Ordering) -> Vec<T> {
    if most < all.len() {
        all.select_nth_unstable_by(most, &order);
        all.truncate(most);
    }
    all.sort_unstable_by(order);
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same rule, read off its words: look at all, and forget the lightest.
    fn by_looking_at_all(most: usize, weights: &[u8]) -> Vec<u64> {
        let luck = |arrival: u64| Random::new(arrival).next_u64();
        let mut kept: Vec<(u8, u64)> = Vec::new();
        for (&weight, arrival) in weights.iter().zip(0_u64..) {
            if kept.len() == most {
                let latest = arrival - most as u64 / 4;
                let earlier = kept.iter().filter(|(_, arrival)| *arrival < latest);
                let lightest = earlier.min_by_key(|(weight, arrival)| (*weight, luck(*arrival)));
                let lightest = *lightest.expect("three quarters are earlier");
                kept.retain(|one| *one != lightest);
            }
            kept.push((weight, arrival));
        }
        kept.into_iter().map(|(_, arrival)| arrival).rev().collect()
    }

    proptest! {
        #[test]
        fn the_latest_and_the_weightiest_stay(most in 1_usize..20, weights in prop::collection::vec(0_u8..3, 0..200)) {
            let mut kept = Kept::new(most);
            for &weight in &weights {
                kept.add((), f64::from(weight));
            }
            let arrivals: Vec<u64> = kept.latest(most).map(|one| one.arrival).collect();
            prop_assert_eq!(&arrivals, &by_looking_at_all(most, &weights));
            let two: Vec<u64> = kept.latest(2).map(|one| one.arrival).collect();
            prop_assert_eq!(&two[..], &arrivals[..arrivals.len().min(2)]);
        }
    }

    #[test]
    fn what_grows_heavy_later_stays() {
        let mut kept = Kept::new(8);
        for thing in 0..8 {
            kept.add(thing, 0.0);
        }
        kept.reweigh(|thing, weight| if *thing == 0 { 1.0 } else { weight });
        for thing in 8..1_000 {
            kept.add(thing, 0.0);
        }
        assert_eq!(kept.len(), 8);
        let heaviest = kept.iter().find(|one| one.weight > 0.0);
        assert_eq!(heaviest.map(|one| *one.thing), Some(0));
        Kept::new(0).add("nothing is kept", 0.0);
    }
}
