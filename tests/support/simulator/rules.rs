//! What a simulated provider allows.

use std::fmt;
use std::time::Duration;

use topicloom::llm::{RateSnapshot, Usage};
use topicloom::random::Random;
use topicloom::{Error, ErrorKind, Result, Retry};

/// A rule that decides on each call when it arrives.
pub(crate) trait Rule: fmt::Debug + Send + 'static {
    /// Lets a call pass or refuses it.
    ///
    /// # Errors
    ///
    /// The refusal.
    fn admit(&mut self, at: Duration, usage: &Usage) -> Result<()>;

    /// Returns what the provider says about it in its headers, if anything.
    fn rate(&self, at: Duration) -> Option<RateSnapshot> {
        let _ = at;
        None
    }
}

/// Fills at a steady rate, and refuses what it does not hold.
#[derive(Debug, Clone)]
struct Bucket {
    per_second: f64,
    capacity: f64,
    level: f64,
    at: Duration,
}

impl Bucket {
    fn new(per_second: f64, capacity: f64) -> Self {
        Self {
            per_second,
            capacity,
            level: capacity,
            at: Duration::ZERO,
        }
    }

    fn level(&self, at: Duration) -> f64 {
        let elapsed = at.saturating_sub(self.at).as_secs_f64();
        (self.level + elapsed * self.per_second).min(self.capacity)
    }

    /// Takes this many, or says how long until it could.
    fn take(&mut self, count: f64, at: Duration) -> Result<(), Duration> {
        self.level = self.level(at);
        self.at = at;
        if self.level < count {
            return Err(Duration::from_secs_f64(
                (count - self.level) / self.per_second,
            ));
        }
        self.level -= count;
        Ok(())
    }
}

/// What a refusal and an answer say about a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tells {
    /// Limit, remaining and reset in headers, and `retry-after`, as `OpenAI` does.
    Everything,
    /// `retry-after` only.
    RetryAfter,
    /// Nothing.
    Nothing,
}

fn refusal(tells: Tells, wait: Duration) -> Error {
    let retry = match tells {
        Tells::Everything | Tells::RetryAfter => Retry::After(wait),
        Tells::Nothing => Retry::Backoff,
    };
    Error::new(ErrorKind::RateLimited, "too many requests").with_retry(retry)
}

/// Counts of a bucket as headers tell them: whole and rounded down.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Small and positive.
fn counts(bucket: &Bucket, at: Duration) -> (u64, u64, Duration) {
    let level = bucket.level(at).max(0.0);
    let reset = Duration::from_secs_f64((bucket.capacity - level) / bucket.per_second);
    (bucket.capacity as u64, level as u64, reset)
}

/// A limit of requests.
#[derive(Debug, Clone)]
pub(crate) struct RequestBucket {
    bucket: Bucket,
    tells: Tells,
}

impl RequestBucket {
    /// Creates a limit of so many requests a minute, of which the given number may come at once.
    pub(crate) fn per_minute(requests: u32, at_once: u32) -> Self {
        Self {
            bucket: Bucket::new(f64::from(requests) / 60.0, f64::from(at_once)),
            tells: Tells::Everything,
        }
    }

    /// Sends no headers, but says when to try again.
    pub(crate) fn without_headers(mut self) -> Self {
        self.tells = Tells::RetryAfter;
        self
    }

    /// Says nothing at all.
    pub(crate) fn in_silence(mut self) -> Self {
        self.tells = Tells::Nothing;
        self
    }
}

impl Rule for RequestBucket {
    fn admit(&mut self, at: Duration, _usage: &Usage) -> Result<()> {
        let taken = self.bucket.take(1.0, at);
        taken.map_err(|wait| refusal(self.tells, wait))
    }

    fn rate(&self, at: Duration) -> Option<RateSnapshot> {
        let (limit, remaining, reset) = counts(&self.bucket, at);
        if self.tells != Tells::Everything {
            return None;
        }
        let mut told = RateSnapshot::default();
        told.requests_limit = Some(limit);
        told.requests_remaining = Some(remaining);
        told.requests_reset = Some(reset);
        Some(told)
    }
}

/// A limit of tokens, prompts and answers together.
#[derive(Debug, Clone)]
pub(crate) struct TokenBucket {
    bucket: Bucket,
    tells: Tells,
}

impl TokenBucket {
    /// Creates a limit of so many tokens a minute, all of which may come at once.
    pub(crate) fn per_minute(tokens: u32) -> Self {
        Self {
            bucket: Bucket::new(f64::from(tokens) / 60.0, f64::from(tokens)),
            tells: Tells::Everything,
        }
    }

    /// Sends no headers, but says when to try again.
    pub(crate) fn without_headers(mut self) -> Self {
        self.tells = Tells::RetryAfter;
        self
    }
}

impl Rule for TokenBucket {
    fn admit(&mut self, at: Duration, usage: &Usage) -> Result<()> {
        #[allow(clippy::cast_precision_loss)]
        let taken = self.bucket.take(usage.total() as f64, at);
        taken.map_err(|wait| refusal(self.tells, wait))
    }

    fn rate(&self, at: Duration) -> Option<RateSnapshot> {
        let (limit, remaining, reset) = counts(&self.bucket, at);
        if self.tells != Tells::Everything {
            return None;
        }
        let mut told = RateSnapshot::default();
        told.tokens_limit = Some(limit);
        told.tokens_remaining = Some(remaining);
        told.tokens_reset = Some(reset);
        Some(told)
    }
}

/// A time in which every call fails.
#[derive(Debug, Clone)]
pub(crate) struct Outage {
    from: Duration,
    until: Duration,
}

impl Outage {
    /// Creates an outage between two times since the start.
    pub(crate) fn between(from: Duration, until: Duration) -> Self {
        Self { from, until }
    }
}

impl Rule for Outage {
    fn admit(&mut self, at: Duration, _usage: &Usage) -> Result<()> {
        if (self.from..self.until).contains(&at) {
            return Err(Error::new(ErrorKind::Overloaded, "service unavailable"));
        }
        Ok(())
    }
}

/// Faults that come by chance, whatever the load.
#[derive(Debug, Clone)]
pub(crate) struct Stray {
    kind: ErrorKind,
    share: f64,
    chance: Random,
}

impl Stray {
    /// Creates faults of this kind that hit this share of calls.
    pub(crate) fn new(kind: ErrorKind, share: f64, seed: u64) -> Self {
        Self {
            kind,
            share,
            chance: Random::new(seed),
        }
    }
}

impl Rule for Stray {
    fn admit(&mut self, _at: Duration, _usage: &Usage) -> Result<()> {
        if self.chance.unit_f64() < self.share {
            return Err(Error::new(self.kind, "by chance"));
        }
        Ok(())
    }
}

/// An end of all answers, as with a daily quota or a spending limit.
#[derive(Debug, Clone)]
pub(crate) struct Quota {
    calls: u64,
    tokens: u64,
}

impl Quota {
    /// Creates a quota of calls.
    pub(crate) fn of_calls(calls: u64) -> Self {
        Self {
            calls,
            tokens: u64::MAX,
        }
    }

    /// Creates a quota of tokens, as a spending limit is.
    pub(crate) fn of_tokens(tokens: u64) -> Self {
        Self {
            calls: u64::MAX,
            tokens,
        }
    }
}

impl Rule for Quota {
    fn admit(&mut self, _at: Duration, usage: &Usage) -> Result<()> {
        if self.calls == 0 || self.tokens == 0 {
            return Err(Error::new(ErrorKind::Quota, "the quota is used up"));
        }
        self.calls -= 1;
        self.tokens = self.tokens.saturating_sub(usage.total());
        Ok(())
    }
}

/// A limit on how fast the load may grow: in each window at most twice what was accepted in the one before.
/// Whoever exceeds it is refused for a while.
#[derive(Debug, Clone)]
pub(crate) struct Ramp {
    window: Duration,
    least: u64,
    penalty: Duration,
    current: u32,
    accepted: u64,
    allowed: u64,
    refuses_until: Duration,
}

impl Ramp {
    /// Creates a limit for windows of ten seconds that always takes the given number of calls, and refuses
    /// for five seconds once it is exceeded.
    pub(crate) fn from(least: u64) -> Self {
        Self {
            window: Duration::from_secs(10),
            least,
            penalty: Duration::from_secs(5),
            current: 0,
            accepted: 0,
            allowed: least,
            refuses_until: Duration::ZERO,
        }
    }
}

impl Rule for Ramp {
    fn admit(&mut self, at: Duration, _usage: &Usage) -> Result<()> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Small and positive.
        let window = at.div_duration_f64(self.window) as u32;
        if window > self.current {
            let before = if window == self.current + 1 {
                self.accepted
            } else {
                0
            };
            self.allowed = (2 * before).max(self.least);
            (self.current, self.accepted) = (window, 0);
        }
        if at >= self.refuses_until && self.accepted < self.allowed {
            self.accepted += 1;
            return Ok(());
        }
        if at >= self.refuses_until {
            self.refuses_until = at + self.penalty;
        }
        Err(refusal(
            Tells::RetryAfter,
            self.refuses_until.saturating_sub(at),
        ))
    }
}
