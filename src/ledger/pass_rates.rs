//! How likely an answer of each topic is to give something, learned from all that came, and so whether a streak of answers
//! that gave nothing is bad luck.

/// Rates at which answers may give something.
const RATES: [f64; 10] = [0.0, 0.03, 0.08, 0.15, 0.25, 0.4, 0.55, 0.7, 0.85, 0.97];

/// The first rate that is worth asking at: twenty answers are the most that is paid for a record (`diversity::saturation`).
const WORTHWHILE: usize = 2;

/// How many of a run's topics may be given up by mere bad luck, though they could still give: one in fifty.
const BAD_LUCK: f64 = 0.02;

/// The most misses in a row that a topic has that never gave anything, whatever the others do.
const MOST_FROM_NOTHING: u32 = 30;

/// The most that one has which gave something: at one answer in twenty, a longer streak is bad luck in one case of fifty.
const MOST: u32 = 76;

/// What is assumed before anything is known: as much as two topics tell, for each rate alike.
const ASSUMED_TOPICS: f64 = 2.0;

/// Chance that a topic gives at the next lower rate from a record on: each leaves less to say.
const WEARING: f64 = 0.2;

type Weights = [f64; RATES.len()];

/// What the answers of a run tell of the rates at which its topics give.
///
/// The yield of an answer is the part of its records that was accepted, and counts as one draw, however many records it held:
/// records of one answer resemble one another, and whatever they have in common, an answer of many gives nothing no more
/// often than one of a single record does.
#[derive(Debug)]
pub(super) struct PassRates {
    topics: Vec<Topic>,
    /// How many topics give at each rate, as far as that can be told.
    shares: Weights,
}

#[derive(Debug, Clone)]
struct Topic {
    /// How well each rate explains what came until the last answer that gave something, up to a factor.
    likelihood: Weights,
    /// How likely each rate is to be the topic's, as it stands in the shares of the run.
    share: Weights,
    has_given: bool,
}

impl PassRates {
    /// Starts with this many topics of which nothing is known.
    pub(super) fn new(topics: usize) -> Self {
        let unknown = Topic {
            likelihood: [1.0; RATES.len()],
            share: [0.0; RATES.len()],
            has_given: false,
        };
        Self {
            topics: vec![unknown; topics],
            shares: [0.0; RATES.len()],
        }
    }

    /// Books an answer of this yield, above 0, that came after this many misses in a row.
    pub(super) fn gave(&mut self, topic: usize, misses: u32, its_yield: f64) {
        let known = &mut self.topics[topic];
        known.has_given = true;
        let nothing = f64::from(misses.min(MOST)) + 1.0 - its_yield;
        for (likelihood, rate) in known.likelihood.iter_mut().zip(RATES) {
            *likelihood *= power(rate, its_yield) * power(1.0 - rate, nothing);
        }
        for above in WORTHWHILE + 1..RATES.len() {
            known.likelihood[above - 1] += WEARING * known.likelihood[above];
        }
        let largest = known.likelihood.iter().copied().fold(0.0, f64::max);
        known.likelihood.iter_mut().for_each(|it| *it /= largest);
        self.renew_share(topic, 0);
    }

    /// Books an answer that gave nothing, the last of this many in a row.
    pub(super) fn gave_nothing(&mut self, topic: usize, misses: u32) {
        self.renew_share(topic, misses);
    }

    /// Returns how many misses in a row are more than bad luck, where this many records are wanted in all.
    ///
    /// That is where a topic that can still give would show this many less than once in fifty times. Each record begins a new
    /// streak, so that the chance is shared out over the records.
    pub(super) fn misses_to_give_up(&self, topic: usize, records: u64) -> u32 {
        let known = &self.topics[topic];
        let most = if known.has_given {
            MOST
        } else {
            MOST_FROM_NOTHING
        };
        let mut weights = self.before_the_streak(topic);
        weights[..WORTHWHILE].fill(0.0);
        #[allow(clippy::cast_precision_loss)] // A chance needs no more than a double's precision.
        let bad_luck = BAD_LUCK / records.max(1) as f64 * weights.iter().sum::<f64>();
        for misses in 1..most {
            for (weight, rate) in weights.iter_mut().zip(RATES) {
                *weight *= 1.0 - rate;
            }
            if weights.iter().sum::<f64>() < bad_luck {
                return misses;
            }
        }
        most
    }

    /// Returns how likely each rate was to be the topic's before its streak of misses, up to a factor: by what came of
    /// the other topics, and of its own until then.
    #[allow(clippy::cast_precision_loss)] // There are ten.
    fn before_the_streak(&self, topic: usize) -> Weights {
        let known = &self.topics[topic];
        std::array::from_fn(|place| {
            let others = (self.shares[place] - known.share[place]).max(0.0);
            (others + ASSUMED_TOPICS / RATES.len() as f64) * known.likelihood[place]
        })
    }

    fn renew_share(&mut self, topic: usize, misses: u32) {
        let mut weights = self.before_the_streak(topic);
        for (weight, rate) in weights.iter_mut().zip(RATES) {
            *weight *= power(1.0 - rate, f64::from(misses.min(MOST)));
        }
        let sum: f64 = weights.iter().sum();
        let known = &mut self.topics[topic];
        for ((share, all), weight) in known.share.iter_mut().zip(&mut self.shares).zip(weights) {
            *all += weight / sum - *share;
            *share = weight / sum;
        }
    }
}

/// Raises to a power that is a whole number of at most a hundred or so nearly always, which is much quicker to work out.
fn power(base: f64, exponent: f64) -> f64 {
    #[allow(clippy::cast_possible_truncation)] // It is small, and a fraction is looked for.
    let whole = exponent as i32;
    match whole {
        _ if exponent - f64::from(whole) != 0.0 => base.powf(exponent),
        // What an answer that gave all it could is booked with.
        0 => 1.0,
        1 => base,
        _ => base.powi(whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gave(rates: &mut PassRates, topic: usize, answers: &str) {
        let mut misses = 0;
        for answer in answers.chars() {
            if answer == '1' {
                rates.gave(topic, misses, 1.0);
                misses = 0;
            } else {
                misses += 1;
                rates.gave_nothing(topic, misses);
            }
        }
    }

    #[test]
    fn of_what_nothing_is_known_is_waited_for_the_longest() {
        assert_eq!(
            PassRates::new(1).misses_to_give_up(0, 10),
            MOST_FROM_NOTHING
        );
    }

    #[test]
    fn the_other_topics_tell_what_to_expect_of_one() {
        let after = |answers: &str| {
            let mut rates = PassRates::new(31);
            (1..31).for_each(|topic| gave(&mut rates, topic, answers));
            rates.misses_to_give_up(0, 10)
        };
        let (easy, fair, hard) = (
            after("1111111111"),
            after("0110111010"),
            after("0000100001"),
        );
        assert!(easy < fair && fair < hard, "{easy} {fair} {hard}");
        assert!(easy < 20 && hard > 25, "{easy} {fair} {hard}");
    }

    #[test]
    fn a_topic_tells_for_itself() {
        let mut rates = PassRates::new(31);
        (1..31).for_each(|topic| gave(&mut rates, topic, "1111111111"));
        let before = rates.misses_to_give_up(0, 10);
        gave(&mut rates, 0, "00010000010000001");
        let after = rates.misses_to_give_up(0, 10);
        assert!(after >= 3 * before, "{before} {after}");
        // Each further record could come late: the more of them, the longer is waited for each.
        assert!(rates.misses_to_give_up(0, 1) < after);
    }

    #[test]
    fn topics_that_never_give_do_not_make_others_seem_hard() {
        let mut rates = PassRates::new(100);
        (20..100).for_each(|topic| gave(&mut rates, topic, "1101111011"));
        let before = rates.misses_to_give_up(0, 10);
        (1..20).for_each(|topic| gave(&mut rates, topic, "0000000000000000"));
        let after = rates.misses_to_give_up(0, 10);
        assert!(before < 12 && after < 24, "{before} {after}");
    }
}
