//! The attempts that one call took.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::price::Usd;
use crate::counts::is_zero;
use crate::error::ErrorKind;

/// One attempt of a call, as the journal keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Attempt {
    /// When it was sent, in milliseconds since the beginning of 1970; `None` where that was not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<u64>,
    /// How long it took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<u64>,
    /// Why it failed; `None` for the one that was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<ErrorKind>,
    /// What the provider may have billed for it without saying so.
    #[serde(default, skip_serializing_if = "UnconfirmedCost::is_none")]
    pub unconfirmed: UnconfirmedCost,
}

impl Attempt {
    /// Creates an attempt that failed, or was answered if there is no error.
    #[must_use]
    pub fn new(failed: Option<ErrorKind>) -> Self {
        Self {
            failed,
            ..Self::default()
        }
    }

    /// Sets what the provider may have billed for it without saying so.
    #[must_use]
    pub fn with_unconfirmed(mut self, unconfirmed: UnconfirmedCost) -> Self {
        self.unconfirmed = unconfirmed;
        self
    }

    pub(crate) fn sent(mut self, at: SystemTime, took: Duration) -> Self {
        let millis = |time: Duration| u64::try_from(time.as_millis()).ok();
        // A clock before 1970 is not set.
        self.sent_at = at.duration_since(UNIX_EPOCH).ok().and_then(millis);
        self.took = millis(took);
        self
    }
}

/// Returns how the attempts failed that did, in order.
pub fn failures(attempts: &[Attempt]) -> impl Iterator<Item = ErrorKind> {
    attempts.iter().filter_map(|attempt| attempt.failed)
}

/// Calls of unknown cost, and the most that they can have used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UnconfirmedCost {
    /// How many calls.
    pub calls: u64,
    /// The most tokens.
    pub tokens: u64,
    /// The most they can have cost.
    pub cost: Usd,
    /// Calls besides these that were made and cost nothing, where no other entry tells of them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub free_calls: u64,
}

impl UnconfirmedCost {
    /// Creates the bounds of a number of calls.
    #[must_use]
    pub fn new(calls: u64, tokens: u64, cost: Usd) -> Self {
        Self {
            calls,
            tokens,
            cost,
            free_calls: 0,
        }
    }

    /// Returns what the attempts of a call add up to.
    #[must_use]
    pub fn of(attempts: &[Attempt]) -> Self {
        let mut sum = Self::default();
        attempts
            .iter()
            .for_each(|attempt| sum.add(attempt.unconfirmed));
        sum
    }

    /// Returns what the attempts of a call add up to of which nothing else will tell: each that was sent is a call, and one
    /// that failed before the model ran is a call that cost nothing.
    pub(crate) fn of_unlogged(attempts: &[Attempt]) -> Self {
        let mut sum = Self::of(attempts);
        // One that was dropped and not charged stood in line, and was never sent.
        let free = attempts.iter().filter(|attempt| {
            attempt.unconfirmed.is_none() && attempt.failed != Some(ErrorKind::Cancelled)
        });
        sum.free_calls += free.count() as u64;
        sum
    }

    /// Returns whether there is no such call.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.cost += other.cost;
        self.free_calls += other.free_calls;
    }
}

/// Collects the attempts that are made for one request, whatever layers make them. Clones collect into the same place.
///
/// A handle and not a part of the result, since a call that is dropped has no result and may be billed all the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct AttemptLog(Arc<Mutex<Attempts>>);

#[derive(Debug, Default)]
struct Attempts {
    in_flight: u32,
    ended: Vec<Attempt>,
}

impl AttemptLog {
    /// Books that an attempt is sent.
    pub(crate) fn start(&self) {
        self.lock().in_flight += 1;
    }

    /// Books how an attempt ended.
    pub(crate) fn end(&self, attempt: Attempt) {
        let mut attempts = self.lock();
        attempts.in_flight -= 1;
        attempts.ended.push(attempt);
    }

    /// Books what the attempt that ended last may have cost.
    pub(crate) fn charge(&self, unconfirmed: UnconfirmedCost) {
        let ended = &mut self.lock().ended;
        match ended.last_mut() {
            Some(attempt) => attempt.unconfirmed.add(unconfirmed),
            None => ended.push(Attempt::default().with_unconfirmed(unconfirmed)),
        }
    }

    /// Returns whether an attempt is in flight, or was answered and the answer is on its way back.
    pub(crate) fn is_under_way(&self) -> bool {
        let attempts = self.lock();
        let answered = |attempt: &Attempt| attempt.failed.is_none();
        attempts.in_flight > 0 || attempts.ended.last().is_some_and(answered)
    }

    /// Returns whether both collect into the same place.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns the attempts that have ended, in order.
    pub(crate) fn ended(&self) -> Vec<Attempt> {
        self.lock().ended.clone()
    }

    /// Takes the attempts that have ended, in order.
    pub(crate) fn take(&self) -> Vec<Attempt> {
        std::mem::take(&mut self.lock().ended)
    }

    fn lock(&self) -> MutexGuard<'_, Attempts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a request is followed is no part of what it asks.
impl PartialEq for AttemptLog {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_under_way_until_it_failed_or_its_answer_is_taken() {
        let log = AttemptLog::default();
        let same = log.clone();
        assert!(!log.is_under_way());
        same.start();
        assert!(log.is_under_way());
        log.end(Attempt::new(Some(ErrorKind::Timeout)));
        log.charge(UnconfirmedCost::new(1, 20, Usd::ZERO));
        assert!(!same.is_under_way());
        log.start();
        log.end(Attempt::new(None));
        assert!(same.is_under_way());
        let attempts = same.take();
        assert_eq!(
            failures(&attempts).collect::<Vec<_>>(),
            [ErrorKind::Timeout]
        );
        assert_eq!(UnconfirmedCost::of(&attempts).tokens, 20);
        assert!(!log.is_under_way());
    }
}
