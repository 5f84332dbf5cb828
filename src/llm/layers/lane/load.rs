//! Tells refusals that depend on the load from those that no waiting would have avoided.
//!
//! A provider at its limit refuses a large share of what comes above it, and nothing below it. A gateway that drops a call
//! now and then drops the same share at every load. So a single refusal says nothing: many do at once, and so does whether
//! they stop when less is asked.

/// The share of calls that gateways refuse by chance, and what a provider refuses of which too much is asked. What lies
/// between is settled by asking less for a while.
const BY_CHANCE: f64 = 0.06;
const AT_A_LIMIT: f64 = 0.3;

/// Evidence that is enough: chance alone gathers it less than once in twenty thousand calls.
const ENOUGH: f64 = 9.0;

/// Fewer refusals than this are not worth finding out about.
const LEAST_SHARE: f64 = 0.01;

/// The first trial starts after so many calls; the next ones after twice as many each.
const FIRST_TRIAL: u64 = 512;

/// Refusals that a trial would see if they were chance.
const EXPECTED: f64 = 3.0;

/// What is asked in a trial, as a share of before. A provider that is asked a fifth too much refuses a sixth, which is
/// about what is enough evidence without a trial.
const LESS: f64 = 0.8;

/// Refusals in a row at a load that should have been taken, after which they are taken for chance.
const UNEXPLAINED: u32 = 8;
const MOST_BY_CHANCE: f64 = 0.08;

/// Answers in a row after which there is no more chance to reckon with: of three refusals in a hundred calls, one time in
/// a hundred.
const CLEAN: u32 = 150;

/// Weighs good ends of calls against bad ones.
#[derive(Debug, Clone, Default)]
pub(super) struct Evidence(f64);

impl Evidence {
    pub(super) fn good(&mut self) {
        self.add((1.0 - AT_A_LIMIT) / (1.0 - BY_CHANCE));
    }

    pub(super) fn bad(&mut self) {
        self.add(AT_A_LIMIT / BY_CHANCE);
    }

    /// Adds the logarithm of how much likelier this is at a limit than by chance; what came before a long good time is
    /// forgotten.
    fn add(&mut self, likelier: f64) {
        self.0 = (self.0 + likelier.ln()).clamp(0.0, 2.0 * ENOUGH);
    }

    pub(super) fn is_enough(&self) -> bool {
        self.0 >= ENOUGH
    }
}

/// Whether refusals depend on the load.
#[derive(Debug, Clone)]
pub(super) struct Load {
    refusals: Evidence,
    /// Whether they do, as far as is known.
    limited: bool,
    /// Calls and refusals since the last trial.
    calls: u64,
    refused: u64,
    next_trial: u64,
    trial: Option<Trial>,
    /// Whether there are refusals that do not, as far as is known.
    strays: bool,
    /// Refusals in a row at a load that should have been taken, and the calls with them.
    unexplained: (u32, u32),
    /// Calls answered since the last refusal.
    clean: u32,
}

/// What a refusal says of the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nothing, or nothing new.
    Stray,
    /// More was asked than is taken.
    TooMuch,
    /// The ones before it said nothing, and were taken for more.
    StraysBefore,
}

/// A time in which less is asked.
#[derive(Debug, Clone, Copy)]
struct Trial {
    /// The first call of it.
    from: u64,
    calls: u64,
    /// Calls in flight.
    most: usize,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            refusals: Evidence::default(),
            limited: false,
            calls: 0,
            refused: 0,
            next_trial: FIRST_TRIAL,
            trial: None,
            strays: false,
            unexplained: (0, 0),
            clean: 0,
        }
    }
}

impl Load {
    /// Returns how many calls may be in flight in a trial.
    pub(super) fn most(&self) -> usize {
        self.trial.map_or(usize::MAX, |trial| trial.most)
    }

    /// A call was answered, of so many in flight; `next` is the number of the next call to be sent.
    pub(super) fn answered(&mut self, call: u64, in_flight: usize, next: u64) {
        self.refusals.good();
        self.clean += 1;
        if self.clean >= CLEAN {
            self.strays = false;
        }
        self.count(call, false, in_flight, next);
    }

    /// A call was refused, which should have been taken by what is known of the rate, or not. Returns what that says.
    pub(super) fn refused(
        &mut self,
        call: u64,
        in_flight: usize,
        next: u64,
        should_take: bool,
    ) -> Refusal {
        let clean = std::mem::take(&mut self.clean);
        self.refusals.bad();
        self.count(call, true, in_flight, next);
        self.limited |= self.refusals.is_enough();
        if !self.limited {
            return Refusal::Stray;
        }
        if self.strays {
            return if self.refusals.is_enough() {
                self.refusals = Evidence::default();
                Refusal::TooMuch
            } else {
                Refusal::Stray
            };
        }
        self.unexplained = match self.unexplained {
            (count, calls) if should_take => (count + 1, calls + clean + 1),
            _ => (0, 0),
        };
        if self.unexplained.0 >= UNEXPLAINED {
            let (count, calls) = std::mem::take(&mut self.unexplained);
            // More of them than chance brings come while a rate is found that was thought to be higher.
            self.strays = f64::from(count) < f64::from(calls) * MOST_BY_CHANCE;
            if self.strays {
                return Refusal::StraysBefore;
            }
        }
        Refusal::TooMuch
    }

    /// Returns whether some refusals do not depend on the load.
    pub(super) fn has_strays(&self) -> bool {
        self.strays
    }

    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )] // Small counts.
    fn count(&mut self, call: u64, refused: bool, in_flight: usize, next: u64) {
        if self.limited {
            self.trial = None;
            return;
        }
        match &mut self.trial {
            Some(trial) if call < trial.from => {}
            Some(_) if refused => {
                self.strays = true;
                self.end_trial();
            }
            Some(trial) if trial.calls == 1 => {
                // Not one, where three would have come by chance.
                self.limited = true;
                self.end_trial();
            }
            Some(trial) => trial.calls -= 1,
            None => {
                self.calls += 1;
                self.refused += u64::from(refused);
                let share = self.refused as f64 / self.calls as f64;
                if self.calls >= self.next_trial && share >= LEAST_SHARE {
                    self.trial = Some(Trial {
                        from: next,
                        calls: (EXPECTED / share) as u64,
                        most: ((in_flight as f64 * LESS) as usize).max(1),
                    });
                }
            }
        }
    }

    fn end_trial(&mut self) {
        self.trial = None;
        (self.calls, self.refused) = (0, 0);
        self.next_trial *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Plays calls against something that refuses a share of them, which may depend on what is asked. Returns after how
    /// many the refusals were taken for a limit, and the share of calls in trials.
    fn play(calls: u64, seed: u64, refuses: impl Fn(f64) -> f64) -> (Option<u64>, f64) {
        let (mut load, mut random) = (Load::default(), Random::new(seed));
        let mut in_trials = 0;
        for call in 1..=calls {
            let share = if load.most() < 10 { LESS } else { 1.0 };
            in_trials += u64::from(share < 1.0);
            if random.unit_f64() < refuses(share) {
                if load.refused(call, 10, call + 1, false) == Refusal::TooMuch {
                    return (Some(call), 0.0);
                }
            } else {
                load.answered(call, 10, call + 1);
            }
        }
        #[allow(clippy::cast_precision_loss)]
        let share = in_trials as f64 / calls as f64;
        (None, share)
    }

    #[test]
    fn a_limit_that_is_far_exceeded_is_seen_in_a_few_calls() {
        for seed in 0..100 {
            let (seen, _) = play(1_000, seed, |_| 0.6);
            assert!(seen.is_some_and(|call| call <= 40), "{seed}: {seen:?}");
        }
    }

    #[test]
    fn a_limit_that_is_hardly_exceeded_is_seen_when_less_is_asked() {
        for seed in 0..100 {
            let (seen, _) = play(20_000, seed, |asked| (1.0 - 0.92 / asked).max(0.0));
            assert!(seen.is_some_and(|call| call <= 1_000), "{seed}: {seen:?}");
        }
    }

    #[test]
    fn chance_is_mostly_not_taken_for_a_limit_and_finding_out_is_cheap() {
        for percent in [0.01, 0.03, 0.05] {
            let runs: Vec<_> = (0..100)
                .map(|seed| play(5_000, seed, |_| percent))
                .collect();
            let mistaken = runs.iter().filter(|(seen, _)| seen.is_some()).count();
            assert!(mistaken <= 30, "{percent}: {mistaken} of 100");
            assert!(
                runs.iter().all(|(_, in_trials)| *in_trials < 0.2),
                "{percent}"
            );
        }
    }

    #[test]
    fn refusals_that_go_on_below_the_limit_are_chance() {
        let mut load = Load {
            limited: true,
            ..Load::default()
        };
        let mut refuse = |calls: u64, should_take| {
            (0..calls).for_each(|_| load.answered(1, 10, 2));
            load.refused(1, 10, 2, should_take)
        };
        for _ in 1..UNEXPLAINED {
            assert_eq!(refuse(30, true), Refusal::TooMuch);
        }
        assert_eq!(refuse(200, false), Refusal::TooMuch);
        for _ in 0..UNEXPLAINED {
            assert_eq!(refuse(9, true), Refusal::TooMuch);
        }
        for _ in 1..UNEXPLAINED {
            assert_eq!(refuse(30, true), Refusal::TooMuch);
        }
        assert_eq!(refuse(30, true), Refusal::StraysBefore);
        assert_eq!(refuse(30, true), Refusal::Stray);
        // Many at once are more than chance, again and again.
        for _ in 0..2 {
            let seen: Vec<_> = (0..8).map(|_| refuse(1, true)).collect();
            assert_eq!(seen.iter().filter(|it| **it == Refusal::TooMuch).count(), 1);
        }
        assert_eq!(refuse(1_000, true), Refusal::TooMuch);
    }
}
