//! Tells a provider that is down from a streak of bad luck.

use std::fmt;

use crate::error::ErrorKind;

/// Chance below which a streak of failed calls is no longer taken for bad luck.
///
/// One in a million per call: a run of 100 000 calls at any failure rate is stopped for nothing about once in
/// ten runs at the very worst, and in practice far less, since a streak must also span several rounds.
const BAD_LUCK: f64 = 1e-6;

/// Paid answers in a row that are too many to be of no use. All modes of asking were tried by then.
const UNUSABLE: u64 = 100;

/// Watches calls over the whole run and says when to stop.
///
/// It opens when this many answers in a row were paid and could not be used, whatever their rounds: a thousand calls at
/// once cost a thousand times as much. Otherwise it opens when two things hold of the failures since the last answer:
///
/// - they span at least `rounds` rounds, where a task counts as a new round only if it was issued after
///   the round before it had failed, so that a thousand concurrent calls failing at once count as one;
/// - a streak that long is improbable at the failure rate seen before it, so that a provider that fails a
///   third of its calls is not taken for one that is down.
#[derive(Debug)]
pub(super) struct Breaker {
    rounds_wanted: u32,
    answered: u64,
    failed: u64,
    streak: u64,
    rounds: u32,
    epoch: u64,
    last_failure: ErrorKind,
    /// Paid since the last answer that could be used.
    unusable: u64,
}

/// Why a run is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opened {
    /// So many calls in a row failed, the last of them so.
    Down(u64, ErrorKind),
    /// So many answers in a row could not be used.
    Unusable(u64),
    /// Of this many answers, which are all there are, none gave a record.
    Fruitless(u64),
    /// So many answers, which are all there are, were cut off before anything could be read.
    CutOff(u64),
}

impl fmt::Display for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down(calls, kind) if kind.is_provider_trouble() => write!(
                f,
                "{calls} calls in a row failed, so the provider is taken to be down; try again later"
            ),
            Self::Down(calls, _) => {
                write!(f, "{calls} calls in a row failed, so no more are made")
            }
            Self::Unusable(answers) => write!(
                f,
                "{answers} answers in a row could not be used, so no more are paid for; look at one with `topicloom \
                 preview`, or try another model"
            ),
            Self::CutOff(answers) => write!(
                f,
                "each of the first {answers} answers was cut off before a record was whole, so no more are paid for; raise \
                 `max_tokens`, let the model think less, or ask for shorter records"
            ),
            Self::Fruitless(answers) => write!(
                f,
                "none of the first {answers} answers gave a record, so no more are paid for; see why in the report, or look \
                 at one with `topicloom preview`; to go on all the same, set `dead_queue_threshold`"
            ),
        }
    }
}

impl Breaker {
    pub(super) fn new(rounds: u32) -> Self {
        Self {
            rounds_wanted: rounds,
            answered: 0,
            failed: 0,
            streak: 0,
            rounds: 0,
            epoch: 0,
            last_failure: ErrorKind::Unavailable,
            unusable: 0,
        }
    }

    /// Returns the mark to put on a task that is issued now.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Books an answer, whether it could be used, and the failed calls that came before it in the same task.
    pub(super) fn answered(&mut self, failed_before: usize, is_usable: bool) {
        self.unusable = if is_usable { 0 } else { self.unusable + 1 };
        self.failed += self.streak + failed_before as u64;
        self.answered += 1;
        self.streak = 0;
        self.rounds = 0;
    }

    /// Books a task that failed so after this many calls.
    pub(super) fn failed(&mut self, kind: ErrorKind, calls: usize, issued_at: u64) {
        if kind.is_about_the_prompt() {
            // A provider that looks at prompts is not down.
            self.answered(calls.saturating_sub(1), true);
            return;
        }
        if matches!(kind, ErrorKind::Malformed | ErrorKind::Empty) {
            self.unusable += calls as u64;
        }
        self.last_failure = kind;
        self.streak += calls.max(1) as u64;
        if issued_at >= self.epoch {
            self.epoch += 1;
            self.rounds += 1;
        }
    }

    /// Returns why the run is to be stopped, if it is.
    pub(super) fn is_open(&self) -> Option<Opened> {
        if self.unusable >= UNUSABLE {
            return Some(Opened::Unusable(self.unusable));
        }
        #[allow(clippy::cast_precision_loss)] // A rate needs no more than a double's precision.
        let failure_rate = (self.failed + 1) as f64 / (self.failed + self.answered + 2) as f64;
        #[allow(clippy::cast_precision_loss)]
        let chance = failure_rate.powf(self.streak as f64);
        (self.rounds >= self.rounds_wanted && chance < BAD_LUCK)
            .then_some(Opened::Down(self.streak, self.last_failure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind::{ContentFilter, ContextLength, Malformed, Overloaded};

    #[test]
    fn a_provider_that_never_answers_opens_it() {
        let mut breaker = Breaker::new(3);
        let mut tasks = 0;
        while breaker.is_open().is_none() {
            breaker.failed(Overloaded, 4, breaker.epoch());
            tasks += 1;
        }
        // Half to the twentieth is the first chance below one in a million.
        assert_eq!(tasks, 5);
    }

    #[test]
    fn many_calls_failing_at_once_are_one_round() {
        let mut breaker = Breaker::new(3);
        for _ in 0..1000 {
            breaker.failed(Overloaded, 1, 0);
        }
        assert_eq!(breaker.is_open(), None);
    }

    #[test]
    fn answers_of_no_use_are_not_paid_for_in_rounds() {
        let mut breaker = Breaker::new(3);
        for _ in 0..500 {
            for _ in 1..UNUSABLE {
                breaker.answered(0, false);
            }
            assert_eq!(breaker.is_open(), None);
            breaker.answered(0, true);
        }
        for _ in 0..UNUSABLE / 2 {
            breaker.answered(0, false);
            breaker.failed(Malformed, 1, 0);
        }
        assert_eq!(breaker.is_open(), Some(Opened::Unusable(UNUSABLE)));
    }

    #[test]
    fn a_provider_that_refuses_a_prompt_is_not_down() {
        let mut breaker = Breaker::new(3);
        for kind in [ContentFilter, ContextLength].repeat(100) {
            breaker.failed(kind, 1, breaker.epoch());
        }
        assert_eq!(breaker.is_open(), None);
    }

    #[test]
    fn only_what_passes_is_worth_another_try_later() {
        let says = |kind| Opened::Down(20, kind).to_string();
        assert!(says(Overloaded).contains("try again later"));
        assert!(!says(Malformed).contains("down"));
    }

    #[test]
    fn a_bad_streak_of_a_bad_provider_is_bad_luck() {
        let mut breaker = Breaker::new(3);
        for _ in 0..100 {
            breaker.answered(1, true);
        }
        for _ in 0..10 {
            breaker.failed(Overloaded, 1, breaker.epoch());
        }
        assert_eq!(breaker.is_open(), None);
        for _ in 0..15 {
            breaker.failed(Overloaded, 1, breaker.epoch());
        }
        assert!(breaker.is_open().is_some());
    }
}
