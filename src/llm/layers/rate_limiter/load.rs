//! Tells refusals that depend on the load from those that no waiting would have avoided.
//!
//! A provider at its limit refuses a large share of what comes above it, and nothing below it. A gateway that drops a call
//! now and then drops the same share at every load. So a single refusal says nothing: many do at once, and so does whether
//! they stop when less is asked.

use tokio::time::Instant;

/// The share of calls that gateways refuse by chance, and what a provider refuses of which too much is asked. What lies
/// between is settled by asking less for a while.
const BY_CHANCE: f64 = 0.06;
const AT_A_LIMIT: f64 = 0.3;

/// Evidence that is enough: chance alone gathers it less than once in twenty thousand calls.
const ENOUGH: f64 = 9.0;

/// Fewer refusals than this are not worth finding out about.
const LEAST_SHARE: f64 = 0.01;

/// The first trial starts after this many calls; the next ones after twice as many each.
const FIRST_TRIAL: u64 = 512;

/// Refusals that a trial would see if they were chance.
const EXPECTED: f64 = 3.0;

/// What is asked in a trial, as a share of before. A provider that is asked a fifth too much refuses a sixth, which is
/// about what is enough evidence without a trial.
const LESS: f64 = 0.8;

/// Calls that are sent at once after a refusal that nothing explains. A provider at its limit has less than one call to
/// give, and refuses one of them; a gateway that refuses one in a hundred takes all of them 97 times in a hundred.
const AT_ONCE: u64 = 3;

/// Calls after which it no longer matters what became of those.
const FORGOTTEN: u64 = 64;

/// Of a provider that confirmed its limit so often, twice as many refusals each time are believed: three of four at last.
const MOST_TRUSTED: u32 = 2;

/// For this many calls after a refusal by chance, there may be others.
const SUSPECTED: u64 = 1_000;

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
    finding_out: Option<FindingOut>,
    /// So many refusals are of the limit without finding out: more, the oftener in a row they were.
    trusted: u32,
    confirmed: u32,
    /// Up to which call refusals by chance are suspected.
    suspected: u64,
}

/// A time in which calls find out what a refusal meant.
#[derive(Debug, Clone, Copy)]
struct FindingOut {
    /// The first of those calls.
    first: u64,
    answered: u64,
    /// When a provider at its limit has something to give again, so that it would take what is sent later.
    until: Instant,
}

impl FindingOut {
    fn includes(&self, call: u64) -> bool {
        (self.first..self.first + AT_ONCE).contains(&call)
    }
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
            finding_out: None,
            trusted: 0,
            confirmed: 0,
            suspected: 0,
        }
    }
}

impl Load {
    /// Returns how many calls may be in flight in a trial.
    pub(super) fn most(&self) -> usize {
        self.trial.map_or(usize::MAX, |trial| trial.most)
    }

    /// A call was answered, of this many in flight; `next` is the number of the next call to be sent.
    pub(super) fn answered(&mut self, call: u64, in_flight: usize, next: u64) {
        self.refusals.good();
        if let Some(it) = self.finding_out.as_mut().filter(|it| it.includes(call)) {
            it.answered += 1;
            if it.answered == AT_ONCE {
                self.finding_out = None;
                self.suspected = call + SUSPECTED;
                self.confirmed = 0;
            }
        }
        self.count(call, false, in_flight, next);
    }

    /// A call is sent.
    pub(super) fn sent(&mut self, call: u64, now: Instant) {
        let late = |it: &mut FindingOut| it.includes(call) && now > it.until;
        if self.finding_out.take_if(late).is_some() {
            self.trusted = self.trusted.max(1);
        }
    }

    /// A call was refused, which may be chance by what is known of the rate, or not; a provider at its limit has one more
    /// to give at that time. Returns whether more was asked than is taken.
    pub(super) fn refused(
        &mut self,
        call: u64,
        in_flight: usize,
        next: u64,
        may_be_chance: bool,
        until: Instant,
    ) -> bool {
        self.refusals.bad();
        self.count(call, true, in_flight, next);
        self.limited |= self.refusals.is_enough();
        if !self.limited || self.refusals.is_enough() {
            return self.limited;
        }
        if self.is_finding_out(call) {
            self.finding_out = None;
            self.confirmed += 1;
            self.trusted = (1 << self.confirmed.min(MOST_TRUSTED)) - 1;
            return true;
        }
        if call >= self.suspected && !may_be_chance {
            return true;
        }
        if call >= self.suspected && self.trusted > 0 {
            self.trusted -= 1;
            return true;
        }
        let before = self.finding_out.filter(|it| next <= it.first + FORGOTTEN);
        self.finding_out = before.or(Some(FindingOut {
            first: next,
            answered: 0,
            until,
        }));
        false
    }

    /// Returns whether this call finds out what a refusal meant.
    pub(super) fn is_finding_out(&self, call: u64) -> bool {
        self.finding_out.is_some_and(|it| it.includes(call))
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
            Some(_) if refused => self.end_trial(),
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
    use std::time::Duration;

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
                if load.refused(call, 10, call + 1, false, Instant::now()) {
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

    #[tokio::test(start_paused = true)]
    async fn a_refusal_that_nothing_explains_is_one_of_a_limit_where_the_next_calls_meet_it_too() {
        let limited = || Load {
            limited: true,
            ..Load::default()
        };
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        for is_limit in [true, false] {
            let mut load = limited();
            assert!(!load.refused(10, 1, 14, true, now + second));
            assert!(!load.is_finding_out(13) && load.is_finding_out(14));
            // Those that were in flight say nothing new.
            assert!(!load.refused(13, 1, 14, true, now + second));
            (14..17).for_each(|call| load.sent(call, now));
            load.answered(14, 1, 17);
            load.answered(16, 1, 17);
            if is_limit {
                assert!(load.refused(15, 1, 17, true, now + second));
            } else {
                load.answered(15, 1, 17);
                // There may be more by chance, even above the rate that is known.
                assert!(!load.refused(20, 1, 21, false, now + second));
            }
        }
        // Above the rate that is known, nothing has to be found out, and many at once are no chance.
        assert!(limited().refused(10, 1, 14, false, now + second));
        let mut load = limited();
        let seen: Vec<_> = (0..8)
            .map(|call| load.refused(call, 1, 8, true, now + second))
            .collect();
        assert_eq!((seen[0], seen[7]), (false, true));
        // What is sent too late finds out nothing.
        let mut load = limited();
        assert!(!load.refused(10, 1, 11, true, now));
        load.sent(11, now + second);
        assert!(!load.is_finding_out(11) && load.refused(30, 1, 31, true, now));
    }
}
