//! A breaker: stops asking a provider that is out, and probes until it is back.

use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row, with no answer between them, that make an outage. Of calls that fail one in ten by
/// chance, five in a row are one in a hundred thousand.
const FAILURES: u32 = 5;

/// The first probe follows soon, since most outages are short.
const FIRST_PROBE: Duration = Duration::from_millis(500);

/// Probes are never farther apart, so that the end of an outage is noticed within this and one answer.
const LAST_PROBE: Duration = Duration::from_millis(2_500);

/// Delays between probes grow by half each time.
const GROWTH: f64 = 1.5;

#[derive(Debug, Clone, Default)]
pub(super) struct Outage {
    failures: u32,
    open: Option<Open>,
}

#[derive(Debug, Clone)]
struct Open {
    since: Instant,
    next_probe: Instant,
    delay: Duration,
    probing: bool,
}

/// Whether a call may be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Open,
    /// As a probe, whose end must be told.
    Probe,
    /// Not before then, or until a probe ends.
    Closed {
        until: Option<Instant>,
        since: Instant,
    },
}

impl Outage {
    pub(super) fn gate(&self, now: Instant) -> Gate {
        match &self.open {
            None => Gate::Open,
            Some(open) if !open.probing && now >= open.next_probe => Gate::Probe,
            Some(open) => Gate::Closed {
                until: (!open.probing).then_some(open.next_probe),
                since: open.since,
            },
        }
    }

    pub(super) fn is_on(&self) -> bool {
        self.open.is_some()
    }

    pub(super) fn probe_sent(&mut self) {
        if let Some(open) = &mut self.open {
            open.probing = true;
        }
    }

    /// A call was answered. Returns whether that ends an outage; the answer to a call sent before the
    /// outage began does not.
    pub(super) fn answered(&mut self, was_probe: bool) -> bool {
        self.failures = 0;
        was_probe && self.open.take().is_some()
    }

    /// A call failed in a way that an outage would explain. Returns whether an outage begins.
    pub(super) fn failed(&mut self, was_probe: bool, now: Instant) -> bool {
        match &mut self.open {
            Some(open) if was_probe => {
                open.probing = false;
                open.next_probe = now + open.delay;
                open.delay = open.delay.mul_f64(GROWTH).min(LAST_PROBE);
                false
            }
            Some(_) => false,
            None => {
                self.failures += 1;
                if self.failures < FAILURES {
                    return false;
                }
                self.failures = 0;
                self.open = Some(Open {
                    since: now,
                    next_probe: now + FIRST_PROBE,
                    delay: FIRST_PROBE,
                    probing: false,
                });
                true
            }
        }
    }

    /// A probe ended without telling anything: the next call may probe at once.
    pub(super) fn probe_lost(&mut self) {
        if let Some(open) = &mut self.open {
            open.probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn out(now: Instant) -> Outage {
        let mut outage = Outage::default();
        let begins: Vec<_> = (0..FAILURES).map(|_| outage.failed(false, now)).collect();
        assert_eq!(begins, [false, false, false, false, true]);
        outage
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_between_failures_starts_the_count_again() {
        let now = Instant::now();
        let mut outage = Outage::default();
        for _ in 0..100 {
            (0..FAILURES - 1).for_each(|_| assert!(!outage.failed(false, now)));
            outage.answered(false);
        }
        assert_eq!(outage.gate(now), Gate::Open);
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
                    outage.probe_sent();
                    assert!(matches!(outage.gate(now), Gate::Closed { until: None, .. }));
                    outage.failed(true, now);
                    probes += 1;
                }
                Gate::Closed {
                    until: Some(until), ..
                } => {
                    assert!(until - now <= LAST_PROBE);
                    now = until;
                }
                gate => panic!("{gate:?}"),
            }
        }
        assert!((48..=55).contains(&probes), "{probes}");
        outage.probe_sent();
        assert!(outage.answered(true));
        assert_eq!(outage.gate(now), Gate::Open);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_from_before_the_outage_does_not_end_it() {
        let now = Instant::now();
        let mut outage = out(now);
        assert!(!outage.answered(false));
        assert!(outage.is_on());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_probe_is_followed_by_another() {
        let now = Instant::now() + SECOND;
        let mut outage = out(now - SECOND);
        assert_eq!(outage.gate(now), Gate::Probe);
        outage.probe_sent();
        outage.probe_lost();
        assert_eq!(outage.gate(now), Gate::Probe);
    }
}
