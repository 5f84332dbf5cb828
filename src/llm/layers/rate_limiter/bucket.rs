//! A token bucket that can give tokens back and can be set to what a provider reports.

use std::time::Duration;

use tokio::time::Instant;

/// Fills at a steady rate up to its capacity, and may be overdrawn by a call that turned out larger.
///
/// On the runtime's clock, so that tests can pause it.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    per_second: f64,
    capacity: f64,
    level: f64,
    at: Instant,
}

/// Sums of fractions are compared with this much slack.
const SLACK: f64 = 1e-6;

impl Bucket {
    /// Creates a full bucket.
    pub(super) fn new(per_second: f64, capacity: f64, now: Instant) -> Self {
        Self {
            per_second,
            capacity,
            level: capacity,
            at: now,
        }
    }

    pub(super) fn per_second(&self) -> f64 {
        self.per_second
    }

    /// Changes the rate from now on.
    pub(super) fn set_rate(&mut self, per_second: f64, capacity: f64, now: Instant) {
        self.fill(now);
        (self.per_second, self.capacity) = (per_second, capacity);
        self.level = self.level.min(capacity);
    }

    /// Sets what is in it.
    pub(super) fn set_level(&mut self, level: f64, now: Instant) {
        (self.level, self.at) = (level.min(self.capacity), now);
    }

    /// Returns how long it takes until this many can be taken; more than the capacity can be taken when full.
    pub(super) fn wait(&mut self, count: f64, now: Instant) -> Duration {
        self.fill(now);
        let missing = count.min(self.capacity) - self.level;
        if missing <= SLACK {
            Duration::ZERO
        } else if self.per_second > 0.0 {
            // A day is as good as never, and keeps the arithmetic within bounds.
            Duration::from_secs_f64((missing / self.per_second).min(86_400.0))
        } else {
            Duration::from_secs(86_400)
        }
    }

    /// Takes this many, which may overdraw it.
    pub(super) fn take(&mut self, count: f64) {
        self.level -= count;
    }

    /// Gives back what was taken and not used; a negative count takes what was used beyond it.
    pub(super) fn give_back(&mut self, count: f64) {
        self.level = (self.level + count).min(self.capacity);
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + elapsed * self.per_second).min(self.capacity);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_fills_at_its_rate_up_to_its_capacity() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10.0, 5.0, start);
        assert_eq!(bucket.wait(5.0, start), Duration::ZERO);
        bucket.take(5.0);
        assert_eq!(bucket.wait(1.0, start), Duration::from_millis(100));
        let later = start + Duration::from_secs(60);
        assert_eq!(bucket.wait(5.0, later), Duration::ZERO);
        bucket.take(5.0);
        assert_eq!(bucket.wait(1.0, later), Duration::from_millis(100));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_given_back_can_be_taken_again_and_an_overdraft_is_waited_out() {
        let now = Instant::now();
        let mut bucket = Bucket::new(10.0, 100.0, now);
        bucket.take(100.0);
        bucket.give_back(30.0);
        assert_eq!(bucket.wait(30.0, now), Duration::ZERO);
        bucket.give_back(-50.0);
        assert_eq!(bucket.wait(10.0, now), Duration::from_secs(3));
        bucket.give_back(1_000.0);
        assert_eq!(bucket.wait(100.0, now), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_larger_than_the_capacity_passes_when_it_is_full() {
        let now = Instant::now();
        let mut bucket = Bucket::new(10.0, 100.0, now);
        assert_eq!(bucket.wait(250.0, now), Duration::ZERO);
        bucket.take(250.0);
        assert_eq!(bucket.wait(1.0, now), Duration::from_millis(15_100));
    }
}
