//! How many calls may be in flight: more while answers come, fewer when the provider struggles.

use std::time::Duration;

use tokio::time::Instant;

/// Calls in flight at first: a handful, which every provider's lowest tier takes, and few enough that the
/// first answers show the latency of a server with nothing in line.
const FIRST: f64 = 4.0;

/// Doubling takes at least this long: Anthropic refuses sharp ramps, and says so without numbers.
const DOUBLING: Duration = Duration::from_secs(3);

/// What is left of the window after a refusal.
const AFTER_REFUSAL: f64 = 0.7;

/// Additive increase for each window of answers, as a share of the size at the last decrease: eight rounds
/// regain what a few refusals took, whatever the size.
const STEP: f64 = 1.0 / 8.0;

/// Latency may grow to this multiple of the unloaded latency before it is taken for a queue. The window
/// settles where it is reached, so a server that queues is kept busy with half as much again in line.
const TOLERANCE: f64 = 1.5;

/// Answers needed before latency says anything, since they vary in length; at the very first, as many as
/// were sent.
const SAMPLES: u32 = 8;
const FIRST_SAMPLES: u32 = 4;

/// The time to the first token, counted in tokens: half a second to a second at usual speeds.
const FIXED_TOKENS: f64 = 64.0;

/// After this long the unloaded latency is measured again, with a third of the window for one round: less
/// than the server works on at a time, since the window is at most about twice that.
const STALE: Duration = Duration::from_secs(600);

/// The number of calls that may be in flight.
#[derive(Debug, Clone)]
pub(super) struct Window {
    size: f64,
    /// Grow fast up to here, then additively.
    threshold: f64,
    /// Where the last decrease began; the additive step is a share of it.
    peak: f64,
    /// Calls sent before this one were sent under an older window and say nothing about this one.
    after: u64,
    grown: Growth,
    latency: Latency,
    /// The size before calls began to fail, in case it is an outage.
    before_failures: Option<f64>,
}

/// Bounds how fast the window doubles.
#[derive(Debug, Clone)]
struct Growth {
    since: Option<Instant>,
    base: f64,
}

/// One answered call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// The call's number, in the order of sending.
    pub(super) call: u64,
    pub(super) latency: Duration,
    /// Tokens of the answer, zero if unknown.
    pub(super) tokens: u64,
    /// Calls in flight when it ended, itself included.
    pub(super) in_flight: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            size: FIRST,
            threshold: f64::INFINITY,
            peak: FIRST,
            after: 0,
            grown: Growth {
                since: None,
                base: FIRST,
            },
            latency: Latency::default(),
            before_failures: None,
        }
    }
}

impl Window {
    /// Returns how many calls may be in flight, at least one.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // It is small and positive.
    pub(super) fn size(&self) -> usize {
        self.size.max(1.0) as usize
    }

    /// A call was answered; `next` is the number of the next call to be sent.
    pub(super) fn answered(&mut self, sample: Sample, next: u64, now: Instant) {
        #[allow(clippy::cast_precision_loss)]
        let in_flight = sample.in_flight as f64;
        // A window that is not used proves nothing, so it does not grow.
        if in_flight * 2.0 >= self.size {
            self.grow(now);
        }
        if let Some(verdict) = self.latency.add(sample, self.size, next, now) {
            match verdict {
                Verdict::Fine => {}
                Verdict::Queueing(size) => self.shrink(size, next),
                Verdict::Resize(size) => {
                    self.size = size;
                    self.after = next;
                }
            }
        }
    }

    /// A call was refused or timed out: fewer at a time, though no fewer than the provider's known rate
    /// `needs`. Refusals of calls that were sent before the last decrease count as one.
    pub(super) fn refused(&mut self, call: u64, in_flight: usize, needs: f64, next: u64) {
        if call < self.after {
            return;
        }
        #[allow(clippy::cast_precision_loss)]
        let used = self.size.min(in_flight as f64 + 1.0);
        self.shrink((used * AFTER_REFUSAL).max(needs.min(self.size)), next);
    }

    /// A call failed, as in an outage.
    pub(super) fn failed(&mut self, call: u64, in_flight: usize, next: u64) {
        self.before_failures.get_or_insert(self.size);
        self.refused(call, in_flight, 0.0, next);
    }

    /// The failures were not an outage.
    pub(super) fn working(&mut self) {
        self.before_failures = None;
    }

    /// The provider is back after an outage. Failures then were no sign of too much load, so it is asked for
    /// as much as before; the calls that follow a living probe ramp up to it.
    pub(super) fn recovered(&mut self, next: u64) {
        if let Some(before) = self.before_failures.take() {
            self.size = before;
        }
        self.after = next;
        self.latency.restart(self.size, next);
    }

    fn grow(&mut self, now: Instant) {
        if self.size >= self.threshold {
            self.size += (self.peak * STEP).max(1.0) / self.size;
            return;
        }
        let since = *self.grown.since.get_or_insert(now);
        let doublings = (now - since).as_secs_f64() / DOUBLING.as_secs_f64();
        let bearable = self.grown.base * 2_f64.powf(1.0 + doublings.min(64.0));
        // And no more than double before latency was looked at.
        let most = bearable.min(self.latency.size * 2.0);
        self.size = (self.size + 1.0).min(most).max(self.size);
    }

    fn shrink(&mut self, size: f64, next: u64) {
        self.peak = self.size;
        self.size = size.max(1.0);
        self.threshold = self.size;
        self.after = next;
        self.latency.restart(self.size, next);
    }
}

/// Tells a queue from a slow provider by how latency follows the window.
#[derive(Debug, Clone)]
struct Latency {
    /// Only calls from this one on belong to the round.
    from: u64,
    /// The window when the round began; so many answers make a round.
    size: f64,
    count: u32,
    seconds: f64,
    tokens: f64,
    unloaded: Option<(f64, Instant)>,
    /// Load and latency where a series of decreases began.
    shrinking: Option<(f64, f64)>,
    /// The window to come back to after the unloaded latency was measured again.
    measuring: Option<f64>,
}

/// What a round's latency says about the window.
enum Verdict {
    Fine,
    /// Calls stand in line there; with this many in flight, few would.
    Queueing(f64),
    /// To measure the unloaded latency, or after that.
    Resize(f64),
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            from: 0,
            size: FIRST,
            count: 0,
            seconds: 0.0,
            tokens: 0.0,
            unloaded: None,
            shrinking: None,
            measuring: None,
        }
    }
}

impl Latency {
    fn restart(&mut self, size: f64, next: u64) {
        (self.from, self.size) = (next, size);
        (self.count, self.seconds, self.tokens) = (0, 0.0, 0.0);
    }

    /// Adds a call, and judges the round once it has enough.
    fn add(&mut self, sample: Sample, size: f64, next: u64, now: Instant) -> Option<Verdict> {
        if sample.call < self.from {
            return None;
        }
        self.count += 1;
        self.seconds += sample.latency.as_secs_f64();
        #[allow(clippy::cast_precision_loss)]
        let tokens = sample.tokens as f64;
        self.tokens += tokens + FIXED_TOKENS;
        let needed = if self.unloaded.is_none() {
            FIRST_SAMPLES
        } else {
            SAMPLES
        };
        if self.count < needed || f64::from(self.count) < self.size {
            return None;
        }
        // Of the sums, so that a few long answers do not look like a queue.
        let latency = self.seconds / self.tokens;
        // The window grew during the round; its answers tell of what lies between.
        let load = f64::midpoint(self.size, size);
        self.restart(size, next);
        Some(self.judge(latency, load, size, now))
    }

    fn judge(&mut self, latency: f64, load: f64, size: f64, now: Instant) -> Verdict {
        if let Some(before) = self.measuring.take() {
            self.unloaded = Some((latency, now));
            return Verdict::Resize(before);
        }
        let (unloaded, measured) = *self.unloaded.get_or_insert((latency, now));
        if latency < unloaded {
            self.unloaded = Some((latency, now));
        }
        if latency > unloaded * TOLERANCE {
            let (first_load, first_latency) = *self.shrinking.get_or_insert((load, latency));
            if load < first_load * 0.6 && latency > first_latency * 0.8 {
                // Fewer calls did not make it faster, so it is not our queue: this is its pace now.
                self.unloaded = Some((latency, now));
                self.shrinking = None;
                return Verdict::Fine;
            }
            let bearable = load * unloaded * TOLERANCE / latency;
            return Verdict::Queueing(bearable.max(size / 2.0).min(size));
        }
        self.shrinking = None;
        if now.saturating_duration_since(measured) > STALE {
            self.measuring = Some(size);
            return Verdict::Resize((size / 3.0).max(1.0));
        }
        Verdict::Fine
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends calls one after the other to a server that works on `slots` at a time, each for two seconds.
    struct Server {
        window: Window,
        now: Instant,
        call: u64,
    }

    impl Server {
        fn new() -> Self {
            Self {
                window: Window::default(),
                now: Instant::now(),
                call: 0,
            }
        }

        /// Plays rounds of a full window; latency grows with what is beyond the slots.
        fn play(&mut self, rounds: usize, slots: usize, seconds: f64) {
            for _ in 0..rounds {
                let size = self.window.size();
                #[allow(clippy::cast_precision_loss)]
                let load = (size as f64 / slots as f64).max(1.0);
                let latency = Duration::from_secs_f64(seconds * load);
                self.now += latency;
                let sent = self.call;
                self.call += size as u64;
                for call in sent..self.call {
                    let sample = Sample {
                        call,
                        latency,
                        tokens: 100,
                        in_flight: size,
                    };
                    self.window.answered(sample, self.call, self.now);
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_settles_a_little_above_what_the_server_works_on_at_a_time() {
        let mut server = Server::new();
        server.play(200, 32, 2.0);
        assert!(
            (40..=66).contains(&server.window.size()),
            "{}",
            server.window.size()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_is_slower_for_everyone_is_not_taken_for_a_queue() {
        let mut server = Server::new();
        server.play(50, 64, 2.0);
        server.play(100, 64, 6.0);
        assert!(server.window.size() >= 48, "{}", server.window.size());
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_of_one_window_count_once() {
        let mut window = Window {
            size: 20.0,
            ..Window::default()
        };
        for call in 0..20 {
            window.refused(call, 20, 0.0, 20);
        }
        assert_eq!(window.size(), 14);
        window.refused(20, 14, 0.0, 34);
        assert_eq!(window.size(), 9);
        for call in 34..100 {
            window.refused(call, 1, 0.0, call);
        }
        assert_eq!(window.size(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_that_is_not_used_does_not_grow() {
        let mut window = Window::default();
        let now = Instant::now();
        for call in 0..1_000 {
            let sample = Sample {
                call,
                latency: Duration::from_secs(1),
                tokens: 9,
                in_flight: 1,
            };
            window.answered(sample, call + 1, now);
        }
        assert_eq!(window.size(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn it_doubles_no_faster_than_providers_bear() {
        let mut window = Window::default();
        let start = Instant::now();
        let mut call = 0;
        for second in 0..20_u64 {
            for _ in 0..10_000 {
                let in_flight = window.size();
                let sample = Sample {
                    call,
                    latency: Duration::from_millis(1),
                    tokens: 9,
                    in_flight,
                };
                call += 1;
                window.answered(sample, call, start + Duration::from_secs(second));
            }
            #[allow(clippy::cast_precision_loss)]
            let most = 8.0 * 2_f64.powf(second as f64 / DOUBLING.as_secs_f64());
            #[allow(clippy::cast_precision_loss)]
            let size = window.size() as f64;
            assert!(size <= most, "{size} after {second} s");
            assert!(size >= most / 1.2, "{size} after {second} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failures_that_were_an_outage_take_nothing_from_the_window() {
        let mut window = Window {
            size: 20.0,
            ..Window::default()
        };
        window.failed(1, 20, 21);
        window.failed(21, 14, 35);
        assert_eq!(window.size(), 9);
        window.recovered(40);
        assert_eq!(window.size(), 20);

        window.failed(41, 20, 61);
        window.working();
        window.recovered(70);
        assert_eq!(window.size(), 14);
    }

    #[tokio::test(start_paused = true)]
    async fn a_known_rate_keeps_the_window_that_it_needs() {
        let mut window = Window {
            size: 20.0,
            ..Window::default()
        };
        window.refused(1, 20, 16.0, 21);
        assert_eq!(window.size(), 16);
        window.refused(21, 16, 30.0, 37);
        assert_eq!(window.size(), 16);
    }
}
