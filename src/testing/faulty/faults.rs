//! What can go wrong, how often, and what befalls a call.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Retry};
use crate::random::Random;

/// Failures after which the very same call may be tried again.
pub(super) const TRANSIENT: [ErrorKind; 6] = [
    ErrorKind::RateLimited,
    ErrorKind::Overloaded,
    ErrorKind::Timeout,
    ErrorKind::Network,
    ErrorKind::Malformed,
    ErrorKind::Empty,
];

/// Rates of everything that can go wrong.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    /// The fate of a whole call; what remains to 1 is a good answer.
    pub(super) fates: Vec<(Fate, f64)>,
    pub(super) repeated: f64,
    pub(super) invalid: f64,
    pub(super) miscounted: f64,
    pub(super) delays: Option<RangeInclusive<Duration>>,
}

/// What befalls a whole call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fate {
    Fails(ErrorKind),
    FailsSomehow,
    Stalls,
    Malformed,
    Truncated,
    Refused,
    Empty,
    Good,
}

impl Faults {
    pub(super) fn draw_fate(&self, random: &mut Random) -> Fate {
        let mut drawn = random.unit_f64();
        for &(fate, rate) in &self.fates {
            if drawn < rate {
                return fate;
            }
            drawn -= rate;
        }
        Fate::Good
    }

    pub(super) fn draw_delay(&self, random: &mut Random) -> Option<Duration> {
        let range = self.delays.as_ref()?;
        let spread = range.end().saturating_sub(*range.start());
        Some(*range.start() + spread.mul_f64(random.unit_f64()))
    }
}

/// The error of a call that fails.
pub(super) fn failure(kind: ErrorKind, random: &mut Random) -> Error {
    let error = Error::new(kind, "the faulty model was told to fail");
    // Providers that limit say how long to wait about as often as they do not.
    if kind == ErrorKind::RateLimited && random.below(2) == 0 {
        error.with_retry(Retry::After(Duration::from_millis(random.below(2_000))))
    } else {
        error
    }
}
