//! The rate a provider takes, learned from what it refuses, where it does not say it in headers.
//!
//! At a refusal the provider's bucket is empty. So between two refusals it took exactly what it had to give,
//! and what was taken divided by the time is its rate. The pace stays just below that, and then tries a
//! little more, rarely enough that refusals stay rare.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::bucket::Bucket;

/// A measurement needs this much time and this many calls between two refusals.
const LEAST_TIME: Duration = Duration::from_secs(2);
const LEAST_CALLS: u64 = 5;

/// A longer time between two refusals measures better, but this much is enough.
const ENOUGH_TIME: Duration = Duration::from_secs(10);

/// A lesson comes with other refusals, and those of the first calls after it met what they left.
const AFTERMATH: Duration = Duration::from_millis(200);

/// Older refusals are forgotten.
const KEPT: usize = 64;

/// Two refused paces that differ by less than this met the same limit.
const SAME: f64 = 1.25;

/// Where the pace starts after a refusal, as a share of the measured rate: less, the sooner refusals follow
/// each other, since calls of uneven size need more room than even ones.
const BELOW: f64 = 0.98;
const WELL_BELOW: f64 = 0.92;
const SOON: u64 = 60;
const LATE: u64 = 200;

/// While the limit is not known, the pace doubles in this many seconds, or calls if that is longer.
const DOUBLING: f64 = 5.0;
const DOUBLING_CALLS: f64 = 15.0;

/// Once it is known, trying for more takes this many calls, or this many seconds of calls if that is more:
/// one refusal in three hundred calls is what it costs.
const TRY_CALLS: f64 = 130.0;
const TRY_SECONDS: f64 = 10.0;

#[derive(Debug, Clone, Default)]
pub(super) struct Pace {
    refusals: VecDeque<Mark>,
    learned: Option<Learned>,
}

/// A refusal: when the refused call was sent, and how many were accepted before it.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at: Instant,
    accepted: u64,
}

#[derive(Debug, Clone)]
struct Learned {
    rate: f64,
    /// The pace at the last refusal.
    refused: f64,
    since: Instant,
    calls: u64,
    known: bool,
    below: f64,
    bucket: Bucket,
}

impl Pace {
    /// Returns the calls per second that the provider seems to take.
    pub(super) fn per_second(&self) -> Option<f64> {
        self.learned.as_ref().map(|learned| learned.rate)
    }

    /// Returns the time between two calls at that rate; a tenth of a second before it is known.
    pub(super) fn interval(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.per_second().unwrap_or(10.0))
    }

    /// Returns how long the next call has to wait.
    pub(super) fn wait(&mut self, now: Instant) -> Duration {
        self.learned.as_mut().map_or(Duration::ZERO, |learned| {
            let pace = learned.pace(now);
            learned.bucket.set_rate(pace, burst(pace), now);
            learned.bucket.wait(1.0, now)
        })
    }

    pub(super) fn sent(&mut self) {
        if let Some(learned) = &mut self.learned {
            learned.bucket.take(1.0);
            learned.calls += 1;
        }
    }

    /// Returns whether the refusal of a call that was sent then may be chance, as far as the rate is known: none was sent
    /// above it.
    pub(super) fn may_be_chance(&self, sent: Instant, now: Instant) -> bool {
        self.learned.as_ref().is_none_or(|learned| {
            sent >= learned.since && !(learned.known && learned.pace(now) > learned.rate)
        })
    }

    /// A call was refused: when it was sent, how many calls had been accepted before it, and whether the pace was too high.
    pub(super) fn refused(&mut self, sent: Instant, accepted: u64, too_fast: bool, now: Instant) {
        let mark = Mark { at: sent, accepted };
        let measured = self.measure(mark);
        self.refusals.push_back(mark);
        if self.refusals.len() > KEPT {
            self.refusals.pop_front();
        }
        // A call that was sent before the last lesson was sent at another pace, and the first ones after it still met what
        // that left.
        let news = self
            .learned
            .as_ref()
            .is_none_or(|learned| sent >= learned.since + AFTERMATH);
        if let Some(measured) = measured.filter(|_| news && too_fast) {
            self.learned = Some(match &self.learned {
                None => Learned::new(measured, BELOW, now),
                Some(learned) => learned.refused(measured, now),
            });
        }
    }

    fn measure(&self, now: Mark) -> Option<f64> {
        let long_ago = |mark: &&Mark| {
            now.at.saturating_duration_since(mark.at) >= ENOUGH_TIME
                && now.accepted >= mark.accepted + LEAST_CALLS
        };
        let from = self
            .refusals
            .iter()
            .rev()
            .find(long_ago)
            .or(self.refusals.front())?;
        let time = now.at.saturating_duration_since(from.at);
        let calls = now.accepted.saturating_sub(from.accepted);
        #[allow(clippy::cast_precision_loss)]
        let rate = calls as f64 / time.as_secs_f64();
        (time >= LEAST_TIME && calls >= LEAST_CALLS).then_some(rate)
    }
}

impl Learned {
    fn new(rate: f64, below: f64, now: Instant) -> Self {
        let mut bucket = Bucket::new(rate, burst(rate), now);
        bucket.set_level(0.0, now);
        Self {
            rate,
            refused: rate,
            since: now,
            calls: 0,
            known: false,
            below,
            bucket,
        }
    }

    /// Returns what follows from a refusal at the present pace, given the rate measured since the last ones.
    fn refused(&self, measured: f64, now: Instant) -> Self {
        let refused = self.pace(now);
        let known = refused < self.refused * SAME && self.refused < refused * SAME;
        // The provider's bucket may have overflowed while the pace was below its rate, and then less was
        // taken than it had to give. So it surely takes nearly all of the refused pace where it had nothing
        // saved up and refused at once, less where it may have had, or where the pace grew fast.
        let surely = refused
            * match (self.known, known) {
                (true, _) if refused < self.rate * 1.04 => 0.99,
                (true, _) => 0.97,
                (false, true) => 0.95,
                // The truth lies between what was taken while the pace grew and what was refused.
                (false, false) => (measured / refused).sqrt(),
            };
        Self {
            refused,
            known: known || self.known && refused < self.refused,
            ..Self::new(
                measured.max(surely).min(refused.max(measured)),
                self.next_below(),
                now,
            )
        }
    }

    fn next_below(&self) -> f64 {
        match self.calls {
            _ if !self.known => self.below,
            0..SOON => (self.below - 0.02).max(WELL_BELOW),
            SOON..LATE => self.below,
            _ => (self.below + 0.01).min(BELOW),
        }
    }

    fn pace(&self, now: Instant) -> f64 {
        if !self.known {
            let seconds = now.saturating_duration_since(self.since).as_secs_f64();
            let doubling = DOUBLING.max(DOUBLING_CALLS / self.rate);
            let grown = 2_f64.powf((seconds / doubling).min(32.0));
            // What is sent more slowly for another reason proves no more than that.
            #[allow(clippy::cast_precision_loss)]
            let sent = 2.0 * self.calls as f64 / (seconds * self.rate).max(DOUBLING_CALLS);
            return self.rate * self.below * grown.min(sent.max(2.0));
        }
        // Flat near the known limit, then ever steeper, in case the limit was raised.
        #[allow(clippy::cast_precision_loss)]
        let tries = self.calls as f64 / TRY_CALLS.max(self.rate * TRY_SECONDS);
        let rise = (tries / 1.5).min(1.0) * (1.0 - self.below);
        let beyond = 0.05 * (tries - 1.5).clamp(0.0, 100.0).powi(3);
        self.rate * (self.below + rise + beyond)
    }
}

/// Calls that may go out at once after a pause: few, since the provider's bucket is about empty.
fn burst(per_second: f64) -> f64 {
    (per_second * 0.1).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_accepted_between_two_refusals_is_the_rate() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.refused(start, 100, true, start);
        assert_eq!(pace.per_second(), None);
        let later = start + Duration::from_secs(20);
        pace.refused(later, 300, true, later);
        assert_eq!(pace.per_second(), Some(10.0));
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_close_together_measure_nothing() {
        let start = Instant::now();
        let mut pace = Pace::default();
        for tenth in 0..15 {
            let at = start + Duration::from_millis(tenth * 100);
            pace.refused(at, 100 + tenth, true, at);
        }
        assert_eq!(pace.per_second(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_pace_is_flat_near_a_known_limit_and_steep_beyond_it() {
        let now = Instant::now();
        let learned = |calls| Learned {
            calls,
            known: true,
            ..Learned::new(10.0, BELOW, now)
        };
        assert!((learned(0).pace(now) - 9.8).abs() < 1e-9);
        assert!((learned(195).pace(now) - 10.0).abs() < 1e-9);
        assert!(learned(325).pace(now) < 10.6);
        assert!(learned(650).pace(now) > 30.0);
    }
}
