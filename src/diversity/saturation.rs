//! How much a topic has left to give, told from how often it repeated itself.
//!
//! Every answer about a topic is a draw from what the model has to say about it. Records seen only once say how
//! much is still unseen: the Good–Turing estimate of the chance that the next draw is new is the share of draws
//! whose record was seen that one time only (Good, Biometrika 40, 1953). Records seen once and twice bound
//! how many there are in all (Chao, Scandinavian Journal of Statistics 11, 1984).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::random::Random;

/// The most records of one topic whose repeats are counted one by one.
///
/// The counts decide when there are few of them, and then all are kept. At 4 096 the sampling error of the
/// estimates is a few percent, less than what the estimates err by anyway, and the table takes 64 KB.
const MOST_COUNTED: usize = 4096;

/// How often one topic gave something new, and how often it repeated which record.
///
/// Pure and seedless: the same sightings in the same order give the same answers. Takes some 16 bytes for
/// each record of the topic, up to 4 096 of them; beyond that, records are sampled by a hash of their ordinal, so
/// that it never grows further.
///
/// ```
/// use topicloom::diversity::Sightings;
///
/// let mut topic = Sightings::new();
/// for ordinal in 0..5 {
///     topic.seen_new(ordinal);
/// }
/// assert!(topic.is_saturated(10).is_none());
/// for draw in 0..200 {
///     topic.seen_again(draw % 5); // The same five, over and over.
/// }
/// let saturated = topic.is_saturated(10).expect("it has nothing new to say");
/// assert_eq!(saturated.accepted, 5);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Sightings {
    candidates: u64,
    accepted: u64,
    /// How often each sampled record of this topic was seen, in the order of their ordinals, in which they come.
    counts: Vec<(u64, u32)>,
    /// Sampled records seen exactly once, and exactly twice.
    once: u32,
    twice: u32,
    /// One record in 2 to this power is sampled.
    thinned: u32,
    since_new: u64,
    /// Whether each of the last 64 candidates was new, the latest in the lowest bit.
    recent: u64,
}

impl Sightings {
    /// Creates the account of a topic that has not been asked.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Books a candidate that became the record of this ordinal.
    pub fn seen_new(&mut self, ordinal: u64) {
        self.candidates += 1;
        self.accepted += 1;
        self.since_new = 0;
        self.recent = self.recent << 1 | 1;
        if !self.is_sampled(ordinal) {
            return;
        }
        let place = match self.counts.last() {
            Some((last, _)) if *last >= ordinal => self.place(ordinal),
            _ => Err(self.counts.len()),
        };
        if let Err(place) = place {
            self.counts.insert(place, (ordinal, 1));
            self.once += 1;
            if self.counts.len() > MOST_COUNTED {
                self.thin_out();
            }
        }
    }

    /// Returns where a record is counted, or where it would be.
    fn place(&self, ordinal: u64) -> Result<usize, usize> {
        self.counts
            .binary_search_by_key(&ordinal, |counted| counted.0)
    }

    /// Books a candidate that was refused because it repeats the record of this ordinal.
    ///
    /// The record may belong to another topic; it is then no part of what this one has left to give.
    pub fn seen_again(&mut self, ordinal: u64) {
        self.seen_known();
        let Ok(place) = self.place(ordinal) else {
            return;
        };
        let count = &mut self.counts[place].1;
        *count = count.saturating_add(1);
        match *count {
            2 => {
                self.once -= 1;
                self.twice += 1;
            }
            3 => self.twice -= 1,
            _ => {}
        }
    }

    /// Books a candidate that was refused because it repeats something that is no record of this run, such as
    /// given material.
    pub fn seen_known(&mut self) {
        self.candidates += 1;
        self.since_new += 1;
        self.recent <<= 1;
    }

    /// Estimates what the topic has left.
    ///
    /// The estimate assumes that candidates are drawn one by one from an unchanging supply. Steering bends that:
    /// a model that is shown what to avoid repeats itself less than its supply alone would have it, so what
    /// is left tends to be estimated too high, and a topic is stopped late rather than early.
    fn estimate(&self) -> Saturation {
        if self.candidates == 0 {
            return Saturation {
                expected_remaining: f64::INFINITY,
                chance_of_new: 1.0,
            };
        }
        let draws = float(self.candidates);
        let (once, twice) = (self.scaled(self.once), self.scaled(self.twice));
        let chance = (once / draws).min(1.0);
        // Chao1 with the correction that needs no record seen twice.
        let unseen = once * (once - 1.0).max(0.0) / (2.0 * (twice + 1.0));
        Saturation {
            expected_remaining: unseen * (draws - 1.0) / draws,
            chance_of_new: chance,
        }
    }

    /// Returns why it is hopeless to ask for this many more records, if it is.
    ///
    /// It is, once the price of a new record is above 20 candidates with confidence,
    /// unless what is wanted is so little that it would come at a small part of what the topic cost so far.
    #[must_use]
    pub fn is_saturated(&self, wanted_more: u64) -> Option<Saturated> {
        if wanted_more == 0 || self.candidates == 0 {
            return None;
        }
        let estimate = self.estimate();
        let worth_it = 1.0 / CANDIDATES_PER_RECORD;
        if estimate.chance_of_new >= worth_it {
            return None;
        }
        // Hopeful draws of late mean that the supply has changed: a new angle, a longer list to avoid.
        let revived = self.recently_new() >= REVIVED;
        let price_of_the_rest = float(wanted_more) / estimate.chance_of_new;
        let nearly_done = price_of_the_rest <= FINISH * float(self.candidates);
        let sure = self.chance_at_most(CONFIDENCE) < worth_it;
        (sure && !revived && !nearly_done).then_some(Saturated {
            candidates: self.candidates,
            accepted: self.accepted,
            since_new: self.since_new,
            chance_of_new: estimate.chance_of_new,
            expected_remaining: estimate.expected_remaining,
        })
    }

    /// Returns what the chance of a new record is at most: this many standard errors above the estimate.
    fn chance_at_most(&self, z: f64) -> f64 {
        let (once, twice) = (self.scaled(self.once), self.scaled(self.twice));
        // The variance of (what is unseen − once / draws) is about (once + 2 twice) / draws² (Esty, Annals of
        // Statistics 11, 1983). The terms in z² are those of a bound for counts near zero (Wilson).
        let spread = (once + 2.0 * twice + z * z / 4.0).sqrt();
        (once + z * z / 2.0 + z * spread) / float(self.candidates)
    }

    fn scaled(&self, count: u32) -> f64 {
        f64::from(count) * f64::from(2_u32.pow(self.thinned))
    }

    fn recently_new(&self) -> u32 {
        (self.recent & u64::from(u32::MAX)).count_ones()
    }

    fn is_sampled(&self, ordinal: u64) -> bool {
        self.thinned == 0 || Random::new(ordinal).next_u64().trailing_zeros() >= self.thinned
    }

    /// Keeps every second record by its hash, so that who is kept depends on nothing else.
    fn thin_out(&mut self) {
        self.thinned += 1;
        let thinned = self.thinned;
        self.counts
            .retain(|&(ordinal, _)| Random::new(ordinal).next_u64().trailing_zeros() >= thinned);
        let times = |times: u32| {
            self.counts
                .iter()
                .filter(|counted| counted.1 == times)
                .count()
        };
        let (once, twice) = (times(1), times(2));
        let small = |count| u32::try_from(count).expect("at most a few thousand are counted");
        (self.once, self.twice) = (small(once), small(twice));
    }
}

/// New ones among the last 32 candidates that tell of a supply that has changed: at the default price of 20
/// there are 1.6 on average, and five or more in one stretch of fifty.
const REVIVED: u32 = 5;

/// What a topic is estimated to have left.
#[derive(Debug, Clone, Copy)]
struct Saturation {
    /// Records still unseen, at least (Chao1: a lower bound where records differ in how likely they are).
    expected_remaining: f64,
    /// The chance that the next candidate is new (Good–Turing).
    chance_of_new: f64,
}

// When a topic counts as saturated. Measured on simulated topics of 20 to 5 000 records, all equally likely or skewed; see
// `docs/diversity.md` for what it costs.

/// The most candidates worth paying for one new record: of ten candidates in this field seven to nine are reported to be
/// duplicates, so up to ten a record is an ordinary price.
const CANDIDATES_PER_RECORD: f64 = 20.0;

/// How many standard errors the price must be above that. Of topics that are saturated, one or two in a hundred are then stopped
/// while a record can be had for the price, though each is looked at after every candidate.
const CONFIDENCE: f64 = 2.2;

/// The part of its cost so far that a topic may spend on its last missing records whatever they cost.
const FINISH: f64 = 0.05;

/// Why a topic counts as saturated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Saturated {
    /// Candidates that were new or repeated something.
    pub candidates: u64,
    /// Those that were new.
    pub accepted: u64,
    /// Candidates since the last new one.
    pub since_new: u64,
    /// The chance that the next one is new, as estimated.
    pub chance_of_new: f64,
    /// Records still unseen, at least, as estimated.
    pub expected_remaining: f64,
}

impl fmt::Display for Saturated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "it repeats itself: {} of {} candidates were new, none of the last {}, and the next one is with a chance of some {:.1} %",
            self.accepted,
            self.candidates,
            self.since_new,
            self.chance_of_new * 100.0
        )
    }
}

#[allow(clippy::cast_precision_loss)] // Counts of candidates are far below 2⁵³.
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// A topic of this many records, the k-th of them with a weight of k to the power of -`skew`.
    struct Supply {
        weights: Vec<f64>,
        upto: Vec<f64>,
        total: f64,
        random: Random,
    }

    impl Supply {
        fn new(records: u32, skew: f64, seed: u64) -> Self {
            let weights: Vec<f64> = (1..=records).map(|k| f64::from(k).powf(-skew)).collect();
            let upto: Vec<f64> = weights
                .iter()
                .scan(0.0, |sum, weight| {
                    *sum += weight;
                    Some(*sum)
                })
                .collect();
            let total = *upto.last().unwrap();
            Self {
                weights,
                upto,
                total,
                random: Random::new(seed),
            }
        }

        fn draw(&mut self) -> usize {
            let at = self.random.unit_f64() * self.total;
            self.upto
                .partition_point(|upto| *upto <= at)
                .min(self.weights.len() - 1)
        }
    }

    #[derive(Default)]
    struct Course {
        candidates: u64,
        /// Candidates after the chance of a new one fell under one in 20, and under one in 40.
        above_price: u64,
        above_twice_the_price: u64,
        complete: bool,
        stopped_too_soon: bool,
    }

    fn run(records: u32, skew: f64, quota: u64, seed: u64) -> Course {
        let mut supply = Supply::new(records, skew, seed);
        let mut sightings = Sightings::new();
        let mut ordinals: HashMap<usize, u64> = HashMap::new();
        let mut left = supply.total;
        let mut course = Course::default();
        loop {
            let accepted = ordinals.len() as u64;
            let chance = if accepted == u64::from(records) {
                0.0
            } else {
                left / supply.total
            };
            course.complete = accepted == quota;
            if course.complete {
                return course;
            }
            if sightings.is_saturated(quota - accepted).is_some() {
                course.stopped_too_soon = chance >= 0.05;
                return course;
            }
            course.candidates += 1;
            course.above_price += u64::from(chance < 0.05);
            course.above_twice_the_price += u64::from(chance < 0.025);
            let drawn = supply.draw();
            if let Some(&ordinal) = ordinals.get(&drawn) {
                sightings.seen_again(ordinal);
            } else {
                ordinals.insert(drawn, accepted);
                sightings.seen_new(accepted);
                left -= supply.weights[drawn];
            }
        }
    }

    /// The full table, for `docs/diversity.md`:
    /// `cargo test --release --lib table_of_stops -- --ignored --nocapture`.
    #[test]
    #[ignore = "a measurement of half a minute"]
    #[allow(clippy::print_stdout)]
    fn table_of_stops() {
        let mut total = (0, 0, 0, 0, 0);
        for skew in [0.0, 1.0, 1.2] {
            for records in [20, 50, 100, 300, 1000, 2000, 5000] {
                for tenths in [5, 8, 10, 15] {
                    let runs = if records > 1000 { 200 } else { 1000 };
                    let mut sum = (0, 0, 0, 0, 0);
                    for seed in 0..runs {
                        let quota = u64::from(records) * tenths / 10;
                        let course = run(records, skew, quota, seed);
                        sum.0 += course.candidates;
                        sum.1 += course.above_price;
                        sum.2 += course.above_twice_the_price;
                        sum.3 += u64::from(course.stopped_too_soon);
                        sum.4 += u64::from(course.complete);
                    }
                    let part = |part: u64, of: u64| 100.0 * float(part) / float(of);
                    println!(
                        "skew {skew:.1} records {records:4} quota x{:.1}: candidates {:8.1} above the price {:5.1} % above twice {:5.1} % too soon {:4.1} % complete {:5.1} %",
                        float(tenths) / 10.0,
                        float(sum.0) / float(runs),
                        part(sum.1, sum.0),
                        part(sum.2, sum.0),
                        part(sum.3, runs),
                        part(sum.4, runs),
                    );
                    let weight = 1000 / runs;
                    total.0 += sum.0 * weight;
                    total.1 += sum.1 * weight;
                    total.2 += sum.2 * weight;
                    total.3 += sum.3 * weight;
                    total.4 += 1000;
                }
            }
        }
        println!(
            "all: above the price {:.2} % above twice {:.2} % too soon {:.2} %",
            100.0 * float(total.1) / float(total.0),
            100.0 * float(total.2) / float(total.0),
            100.0 * float(total.3) / float(total.4)
        );
    }

    #[test]
    fn topics_with_enough_to_say_are_not_stopped() {
        for (records, skew) in [(20, 0.0), (100, 0.0), (100, 1.0), (400, 1.0)] {
            let complete = (0..200)
                .filter(|&seed| run(records, skew, u64::from(records) / 2, seed).complete)
                .count();
            assert_eq!(complete, 200, "{records} records, skew {skew}");
        }
    }

    #[test]
    fn a_saturated_topic_is_stopped_soon() {
        for (records, skew) in [(300, 0.0), (300, 1.0), (300, 1.2)] {
            let mut all = Course::default();
            let mut too_soon = 0;
            for seed in 0..100 {
                let course = run(records, skew, 2 * u64::from(records), seed);
                assert!(!course.complete);
                all.candidates += course.candidates;
                all.above_twice_the_price += course.above_twice_the_price;
                too_soon += u32::from(course.stopped_too_soon);
            }
            assert!(
                all.above_twice_the_price * 10 < all.candidates,
                "{} of {}",
                all.above_twice_the_price,
                all.candidates
            );
            assert!(too_soon <= 5, "{too_soon} of 100, skew {skew}");
        }
    }

    /// Draws from a supply and returns what was seen, and how many records were.
    fn sample(supply: &mut Supply, count: usize) -> (Sightings, usize) {
        let mut sightings = Sightings::new();
        let mut ordinals: HashMap<usize, u64> = HashMap::new();
        for _ in 0..count {
            let drawn = supply.draw();
            let next = ordinals.len() as u64;
            if let Some(&ordinal) = ordinals.get(&drawn) {
                sightings.seen_again(ordinal);
            } else {
                ordinals.insert(drawn, next);
                sightings.seen_new(next);
            }
        }
        (sightings, ordinals.len())
    }

    #[test]
    fn what_is_left_is_estimated_well_where_all_records_are_equally_likely() {
        // The second supply is beyond what is counted one by one.
        for (records, draws) in [(1000, 1500), (30_000, 45_000)] {
            let (sightings, seen) = sample(&mut Supply::new(records, 0.0, 3), draws);
            let left = f64::from(records) - float(seen as u64);
            let estimate = sightings.estimate();
            assert!(
                (estimate.expected_remaining / left - 1.0).abs() < 0.15,
                "{left} {estimate:?}"
            );
            let chance = left / f64::from(records);
            assert!(
                (estimate.chance_of_new / chance - 1.0).abs() < 0.15,
                "{chance} {estimate:?}"
            );
            assert!(sightings.chance_at_most(2.0) > chance);
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut sightings = Sightings::new();
        (0..100_000).for_each(|ordinal| sightings.seen_new(ordinal));
        assert!(sightings.counts.len() <= MOST_COUNTED);
        let estimate = sightings.estimate();
        assert!(estimate.chance_of_new > 0.9, "all were new: {estimate:?}");
    }

    #[test]
    fn records_of_other_topics_are_nothing_that_is_left() {
        let mut sightings = Sightings::new();
        (0..150).for_each(|ordinal| sightings.seen_again(1_000 + ordinal));
        sightings.seen_new(0);
        sightings.seen_again(0);
        assert_eq!((sightings.once, sightings.twice), (0, 1));
        assert!(sightings.is_saturated(5).is_some());
    }

    #[test]
    fn a_topic_that_has_what_it_needs_or_was_never_asked_is_not_dry() {
        let mut sightings = Sightings::new();
        assert_eq!(sightings.is_saturated(5), None);
        (0..1000).for_each(|_| sightings.seen_known());
        assert_eq!(sightings.is_saturated(0), None);
    }

    #[test]
    fn a_topic_that_comes_back_to_life_is_not_stopped() {
        let mut sightings = Sightings::new();
        (0..1000).for_each(|_| sightings.seen_known());
        assert!(sightings.is_saturated(50).is_some());
        (0..REVIVED).for_each(|ordinal| sightings.seen_new(u64::from(ordinal)));
        assert!(sightings.is_saturated(50).is_none());
    }

    #[test]
    fn the_last_few_records_may_cost_a_little_more() {
        let mut sightings = Sightings::new();
        (0..100).for_each(|ordinal| sightings.seen_new(ordinal));
        for ordinal in (0..80).cycle().take(2000) {
            sightings.seen_again(ordinal);
        }
        // Some one in a hundred is new: a hundred candidates are 5 % of what the topic cost, five hundred are not.
        assert!(sightings.is_saturated(1).is_none());
        assert!(sightings.is_saturated(5).is_some());
    }
}
