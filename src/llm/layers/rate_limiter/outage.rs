//! A breaker: stops asking a provider that is out, and probes until it is back.

use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row, with no answer between them, that make an outage. Of calls that fail one in ten by
/// chance, five in a row are one in a hundred thousand.
const FAILURES: u32 = 5;

/// The first probe follows soon, since most outages are short.
const FIRST_PROBE: Duration = Duration::from_millis(500);

/// Probes are never farther apart, so that the end of an outage is noticed within this.
const LAST_PROBE: Duration = Duration::from_secs(2);

/// Delays between probes grow by half each time.
const GROWTH: f64 = 1.5;

/// A probe that lives this many times longer than failures took so far is probably being answered, and so
/// more calls may follow before it is.
const ALIVE: u32 = 3;
const ALIVE_AT_LEAST: Duration = Duration::from_millis(300);

/// Calls that follow a living probe double in this time.
const DOUBLING: Duration = Duration::from_millis(300);

#[derive(Debug, Clone, Default)]
pub(super) struct Outage {
    failures: u32,
    /// The first call of the failures in a row.
    first: u64,
    /// The longest of the failures in a row.
    took: Duration,
    open: Option<Open>,
}

#[derive(Debug, Clone)]
struct Open {
    since: Instant,
    next_probe: Instant,
    delay: Duration,
    /// When the oldest probe in flight was sent.
    probing: Option<Instant>,
    probes: usize,
}

/// A call that ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) number: u64,
    pub(super) sent: Instant,
    pub(super) probe: bool,
}

/// Whether a call may be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Open,
    /// As a probe, whose end must be told.
    Probe,
    /// Not before then.
    Closed {
        until: Instant,
        since: Instant,
    },
}

impl Outage {
    pub(super) fn gate(&self, now: Instant) -> Gate {
        let Some(open) = &self.open else {
            return Gate::Open;
        };
        let until = match open.probing {
            None => open.next_probe,
            // The n-th call to follow waits for the logarithm of n.
            Some(sent) => {
                #[allow(clippy::cast_precision_loss)]
                let doublings = (open.probes as f64).log2() + 1.0;
                sent + self.alive_after() + DOUBLING.mul_f64(doublings)
            }
        };
        if now >= until {
            Gate::Probe
        } else {
            let since = open.since;
            Gate::Closed { until, since }
        }
    }

    fn alive_after(&self) -> Duration {
        (self.took * ALIVE).max(ALIVE_AT_LEAST)
    }

    pub(super) fn is_on(&self) -> bool {
        self.open.is_some()
    }

    pub(super) fn probe_sent(&mut self, now: Instant) {
        if let Some(open) = &mut self.open {
            open.probing.get_or_insert(now);
            open.probes += 1;
        }
    }

    /// Returns whether calls fail, though perhaps not enough for an outage.
    pub(super) fn is_feared(&self) -> bool {
        self.failures > 0 || self.is_on()
    }

    /// A call was answered. Returns whether that ends an outage. The answer to a call that was sent before
    /// the first failure proves nothing.
    pub(super) fn answered(&mut self, call: Call) -> bool {
        if call.number > self.first {
            self.failures = 0;
        }
        call.probe && self.open.take().is_some()
    }

    /// A call failed in a way that an outage would explain.
    pub(super) fn failed(&mut self, call: Call, now: Instant) {
        if !self.is_feared() {
            (self.first, self.took) = (call.number, Duration::ZERO);
        }
        self.took = self.took.max(now.saturating_duration_since(call.sent));
        match &mut self.open {
            Some(open) if call.probe => {
                open.next_probe = now + open.delay;
                open.delay = open.delay.mul_f64(GROWTH).min(LAST_PROBE);
                self.probe_ended();
            }
            Some(_) => {}
            None => {
                self.failures += 1;
                if self.failures >= FAILURES {
                    self.failures = 0;
                    self.open = Some(Open {
                        since: now,
                        next_probe: now + FIRST_PROBE,
                        delay: FIRST_PROBE,
                        probing: None,
                        probes: 0,
                    });
                }
            }
        }
    }

    /// A probe ended without telling anything: the next call may probe at once.
    pub(super) fn probe_lost(&mut self) {
        self.probe_ended();
    }

    fn probe_ended(&mut self) {
        if let Some(open) = &mut self.open {
            open.probes = open.probes.saturating_sub(1);
            // The others were sent because this one lived, so they are no longer a sign of life.
            open.probing = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const TENTH: Duration = Duration::from_millis(100);

    fn call(number: u64, now: Instant) -> Call {
        Call {
            number,
            sent: now - TENTH,
            probe: false,
        }
    }

    fn probe(now: Instant) -> Call {
        Call {
            number: 1_000,
            sent: now - TENTH,
            probe: true,
        }
    }

    fn out(now: Instant) -> Outage {
        let mut outage = Outage::default();
        for number in 1..=5 {
            assert!(!outage.is_on());
            outage.failed(call(number, now), now);
        }
        assert!(outage.is_on());
        outage
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_between_failures_starts_the_count_again() {
        let now = Instant::now();
        let mut outage = Outage::default();
        for number in (0..100).map(|round| round * 5) {
            (1..5).for_each(|n| outage.failed(call(number + n, now), now));
            outage.answered(call(number + 5, now));
        }
        assert_eq!(outage.gate(now), Gate::Open);
    }

    #[tokio::test(start_paused = true)]
    async fn answers_to_calls_from_before_the_failures_prove_nothing() {
        let now = Instant::now();
        let mut outage = Outage::default();
        for number in 101..=105 {
            outage.failed(call(number, now), now);
            outage.answered(call(number - 50, now));
        }
        assert!(outage.is_on());
        assert!(!outage.answered(call(60, now)));
        assert!(outage.is_on());
    }

    #[tokio::test(start_paused = true)]
    async fn one_probe_at_a_time_and_never_far_apart() {
        let start = Instant::now();
        let mut outage = out(start);
        let mut now = start;
        let mut probes = 0;
        while now < start + 120 * SECOND {
            match outage.gate(now) {
                Gate::Probe => {
                    outage.probe_sent(now);
                    assert!(matches!(outage.gate(now), Gate::Closed { .. }));
                    outage.failed(probe(now), now);
                    probes += 1;
                }
                Gate::Closed { until, .. } => {
                    assert!(until - now <= LAST_PROBE);
                    now = until;
                }
                Gate::Open => panic!("no probe was answered"),
            }
        }
        assert!((60..=66).contains(&probes), "{probes}");
        outage.probe_sent(now);
        assert!(outage.answered(probe(now)));
        assert_eq!(outage.gate(now), Gate::Open);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_probe_is_followed_by_another() {
        let now = Instant::now() + SECOND;
        let mut outage = out(now - SECOND);
        assert_eq!(outage.gate(now), Gate::Probe);
        outage.probe_sent(now);
        outage.probe_lost();
        assert_eq!(outage.gate(now), Gate::Probe);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_lives_is_followed_by_more_and_a_failure_stops_that() {
        let mut now = Instant::now() + SECOND;
        let mut outage = out(now - SECOND);
        let start = now;
        let mut sent = Vec::new();
        while sent.len() < 9 {
            match outage.gate(now) {
                Gate::Probe => {
                    outage.probe_sent(now);
                    sent.push((now - start).as_millis());
                }
                Gate::Closed { until, .. } => now = until,
                Gate::Open => panic!("no probe was answered"),
            }
        }
        // 300 ms to be alive, then two, four, eight in flight, 300 ms apart.
        assert_eq!(
            (sent[0], sent[1], sent[2], sent[4], sent[8]),
            (0, 600, 900, 1_200, 1_500)
        );
        outage.failed(probe(now), now);
        assert!(matches!(outage.gate(now), Gate::Closed { .. }));
    }
}
