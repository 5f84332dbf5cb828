//! The limits that a provider reports in its headers.

use std::time::Duration;

use tokio::time::Instant;

use super::bucket::Bucket;
use crate::llm::RateSnapshot;

/// A share of each limit that is left unused, for what other processes send and for numbers that are late.
const MARGIN: f64 = 0.01;

/// Providers count by the minute. A reset farther away than that shows a longer window.
const MINUTE: f64 = 60.0;

/// Buckets that follow what the provider reports.
#[derive(Debug, Clone, Default)]
pub(super) struct Reported {
    pub(super) requests: Option<Bucket>,
    pub(super) tokens: Option<Bucket>,
    /// The call whose report was used last; older ones arrive out of order and are skipped.
    newest: Option<u64>,
}

/// What had been sent up to a moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) at: Instant,
    pub(super) calls: u64,
    pub(super) tokens: f64,
}

impl Reported {
    /// Takes over what the answer to a call says; `then` is when that call was sent, itself included, and
    /// `now` is now.
    pub(super) fn learn(&mut self, rate: &RateSnapshot, then: Sent, now: Sent) {
        if self.newest.is_some_and(|newest| newest > then.calls) {
            return;
        }
        self.newest = Some(then.calls);
        let age = now.at.saturating_duration_since(then.at);
        #[allow(clippy::cast_precision_loss)]
        let calls_since = now.calls.saturating_sub(then.calls) as f64;
        let requests = (rate.requests_limit, rate.requests_remaining);
        follow(
            &mut self.requests,
            requests,
            rate.requests_reset,
            age,
            calls_since,
            now.at,
        );
        let tokens = (rate.tokens_limit, rate.tokens_remaining);
        let tokens_since = (now.tokens - then.tokens).max(0.0);
        follow(
            &mut self.tokens,
            tokens,
            rate.tokens_reset,
            age,
            tokens_since,
            now.at,
        );
    }
}

fn follow(
    bucket: &mut Option<Bucket>,
    (limit, remaining): (Option<u64>, Option<u64>),
    reset: Option<Duration>,
    age: Duration,
    sent_since: f64,
    now: Instant,
) {
    // Zero is how some proxies say that there is no limit.
    let (Some(limit @ 1..), Some(remaining)) = (limit, remaining) else {
        return;
    };
    #[allow(clippy::cast_precision_loss)]
    let (limit, remaining) = (limit as f64, remaining as f64);
    let per_second = per_second(limit, remaining, reset);
    let bucket = bucket.get_or_insert_with(|| Bucket::new(per_second, limit, now));
    bucket.set_rate(per_second, limit, now);
    // The numbers were taken when the call arrived there: since then the bucket filled, and we sent more.
    let refilled = (remaining + per_second * age.as_secs_f64()).min(limit);
    bucket.set_level(refilled - sent_since - limit * MARGIN, now);
}

/// How fast a limit fills, from what is missing and when it will be whole again.
fn per_second(limit: f64, remaining: f64, reset: Option<Duration>) -> f64 {
    let missing = limit - remaining;
    match reset.map(|reset| reset.as_secs_f64()) {
        Some(reset) if reset > MINUTE && missing > 0.0 => missing / reset,
        _ => limit / MINUTE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(limit: u64, remaining: u64, reset: Duration) -> RateSnapshot {
        RateSnapshot {
            requests_limit: Some(limit),
            requests_remaining: Some(remaining),
            requests_reset: Some(reset),
            ..RateSnapshot::default()
        }
    }

    fn sent(at: Instant, calls: u64) -> Sent {
        Sent {
            at,
            calls,
            tokens: 0.0,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_sent_since_the_report_is_taken_off_and_what_came_back_is_added() {
        let then = Instant::now();
        let now = then + Duration::from_secs(2);
        let mut reported = Reported::default();
        let rate = snapshot(600, 100, Duration::from_secs(50));
        reported.learn(&rate, sent(then, 10), sent(now, 40));
        let bucket = reported.requests.as_mut().unwrap();
        // 100 left, 20 came back in two seconds, 30 were sent, 6 are the margin.
        assert_eq!(bucket.wait(84.0, now), Duration::ZERO);
        assert_eq!(bucket.wait(85.0, now), Duration::from_millis(100));
    }

    #[tokio::test(start_paused = true)]
    async fn a_daily_limit_is_seen_by_its_reset() {
        // Groq reports requests by the day: a hundredth of 14 400 is back in 864 seconds.
        assert!(
            (per_second(14_400.0, 14_256.0, Some(Duration::from_secs(864))) - 1.0 / 6.0).abs()
                < 1e-9
        );
        assert!((per_second(600.0, 300.0, Some(Duration::from_secs(30))) - 10.0).abs() < 1e-9);
        assert!((per_second(600.0, 300.0, None) - 10.0).abs() < 1e-9);
    }

    #[tokio::test(start_paused = true)]
    async fn reports_out_of_order_and_without_limits_are_skipped() {
        let now = Instant::now();
        let mut reported = Reported::default();
        reported.learn(
            &snapshot(600, 500, Duration::from_secs(10)),
            sent(now, 20),
            sent(now, 20),
        );
        reported.learn(
            &snapshot(600, 0, Duration::from_secs(60)),
            sent(now, 10),
            sent(now, 20),
        );
        assert_eq!(
            reported.requests.as_mut().unwrap().wait(494.0, now),
            Duration::ZERO
        );

        let mut reported = Reported::default();
        reported.learn(&snapshot(0, 0, Duration::ZERO), sent(now, 1), sent(now, 1));
        reported.learn(&RateSnapshot::default(), sent(now, 2), sent(now, 2));
        assert!(reported.requests.is_none() && reported.tokens.is_none());
    }
}
