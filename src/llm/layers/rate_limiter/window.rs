//! How many calls may be in flight: more while answers come, fewer when the provider struggles.

use std::ops::RangeInclusive;
use std::time::Duration;

use tokio::time::Instant;

/// Calls in flight at first, as a share of what the run may have. So the whole width is reached in two doublings, and a
/// provider that takes less is met with less than the whole.
const FIRST_SHARE: usize = 4;

/// Every provider's lowest tier takes a handful, and no provider should be met with more than this.
const FIRST: RangeInclusive<usize> = 8..=32;

/// What is left of the window after a refusal.
const AFTER_REFUSAL: f64 = 0.7;

/// Additive increase for each window of answers, as a share of the size at the last decrease: eight rounds
/// regain what a few refusals took, whatever the size.
const STEP: f64 = 1.0 / 8.0;

/// Latency may grow to this multiple of the unloaded latency before it is taken for a queue. The window
/// settles where it is reached, so a server that queues is kept busy with half as much again in line.
const TOLERANCE: f64 = 1.5;

/// Where calls time out in line, half the tolerated line is left each round that they do, and a tenth more comes back each
/// round that none does; the lengths of answers alone make a round so much slower.
const LEAST_TOLERANCE: f64 = 1.1;

/// Answers needed before latency says anything, since they vary in length.
const SAMPLES: u32 = 8;

/// The calls sent before all others: a server that works through a line answers them first, so they show the latency
/// with nothing in line, however many were sent with them.
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
    latency: Latency,
    /// The size before calls began to fail, in case it is an outage.
    before_failures: Option<f64>,
}

/// One answered call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// The call's number, in the order of sending.
    pub(super) call: u64,
    pub(super) latency: Duration,
    /// Tokens of the answer, zero if unknown.
    pub(super) tokens: u64,
    /// Whether it was not waited for any longer.
    pub(super) timed_out: bool,
    /// Calls in flight when it was sent, itself included: those it may have stood in line behind.
    pub(super) in_flight: usize,
}

/// Returns how many calls a run begins with that may have this many in flight.
pub(crate) fn first_calls(max_concurrency: usize) -> usize {
    (max_concurrency / FIRST_SHARE).clamp(*FIRST.start(), *FIRST.end())
}

impl Default for Window {
    fn default() -> Self {
        Self::starting(0)
    }
}

impl Window {
    /// Creates the window of a run that may have this many calls in flight.
    #[allow(clippy::cast_precision_loss)] // At most 32.
    pub(super) fn starting(max_concurrency: usize) -> Self {
        let first = first_calls(max_concurrency) as f64;
        Self {
            size: first,
            threshold: f64::INFINITY,
            peak: first,
            after: 0,
            latency: Latency::starting(first),
            before_failures: None,
        }
    }

    /// Returns how many calls may be in flight, at least one.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // It is small and positive.
    pub(super) fn size(&self) -> usize {
        self.size.max(1.0) as usize
    }

    /// A call was answered, of this many that were in flight until then; `next` is the number of the next call to be sent.
    pub(super) fn answered(&mut self, sample: Sample, in_flight: usize, next: u64, now: Instant) {
        // Answers come in bursts, in which few are left in flight before more are sent.
        self.latency.most = self.latency.most.max(in_flight);
        #[allow(clippy::cast_precision_loss)]
        let in_use = self.latency.most as f64;
        // A window that is not used proves nothing, so it does not grow, and neither do answers that stood in line.
        if in_use * 2.0 >= self.size && !self.latency.stood_in_line(&sample) {
            self.grow();
        }
        self.judge(sample, next, now);
    }

    fn judge(&mut self, sample: Sample, next: u64, now: Instant) {
        match self.latency.add(sample, self.size, next, now) {
            None | Some(Verdict::Fine) => {}
            Some(Verdict::Queueing(size)) => self.shrink(size, next),
            Some(Verdict::Resize(size)) => {
                self.size = size;
                self.after = next;
            }
        }
    }

    /// A call was refused or timed out: fewer at a time, though no fewer than the provider's known rate
    /// `needs`. Refusals of calls that were sent before the last decrease count as one.
    pub(super) fn refused(&mut self, call: u64, in_flight: usize, needs: f64, next: u64) {
        #[allow(clippy::cast_precision_loss)]
        let used = self.size.min(in_flight as f64 + 1.0);
        let needs = needs.min(self.size);
        if call < self.after {
            // What is left of those that were sent together was taken.
            self.size = used.max(needs).max(self.peak * STEP);
        } else {
            self.shrink((used * AFTER_REFUSAL).max(needs), next);
        }
    }

    /// A call failed, as in an outage.
    pub(super) fn failed(&mut self, call: u64, in_flight: usize, next: u64) {
        self.before_failures.get_or_insert(self.size);
        self.refused(call, in_flight, 0.0, next);
    }

    /// A call timed out. It may have stood in line for too long: whether it did shows in what the others took.
    pub(super) fn timed_out(
        &mut self,
        sample: Sample,
        now_in_flight: usize,
        next: u64,
        now: Instant,
    ) {
        let before = *self.before_failures.get_or_insert(self.size);
        if self.latency.unloaded.is_some() {
            self.judge(sample, next, now);
        } else {
            self.refused(sample.call, now_in_flight, 0.0, next);
        }
        let half = (self.peak / 2.0).max(1.0);
        self.before_failures = Some(before.min(half));
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

    /// Doubles each round trip, as each answer lets one more call out, and later adds an eighth.
    fn grow(&mut self) {
        if self.size >= self.threshold {
            self.size += (self.peak * STEP).max(1.0) / self.size;
            return;
        }
        // No more than double before latency was looked at.
        let most = self.latency.size * 2.0;
        self.size = (self.size + 1.0).min(most).max(self.size);
    }

    fn shrink(&mut self, size: f64, next: u64) {
        self.peak = self.size;
        self.size = size.max(1.0);
        self.threshold = self.size;
        self.after = next;
        self.latency.next_round(self.size);
    }
}

/// Tells a queue from a slow provider by how latency follows the window.
#[derive(Debug, Clone)]
struct Latency {
    /// Only calls from this one on belong to the round.
    from: u64,
    /// The window when the round began; this many answers make a round.
    size: f64,
    /// The most calls in flight during the round.
    most: usize,
    answers: Answers,
    unloaded: Option<(Speed, Instant)>,
    /// The first calls, until all of them were answered.
    first: Answers,
    /// What latency may grow to.
    tolerance: f64,
    /// Load and speed where a series of decreases began.
    shrinking: Option<(f64, Speed)>,
    /// The window to come back to after the unloaded latency was measured again.
    measuring: Option<f64>,
}

/// Sums over answers, so that a few long ones do not look like a queue.
#[derive(Debug, Clone, Copy, Default)]
struct Answers {
    count: u32,
    seconds: f64,
    tokens: f64,
    in_flight: f64,
    /// Those that took longer than one does with nothing in line.
    in_line: u32,
    timed_out: bool,
}

impl Answers {
    fn add(&mut self, sample: &Sample) {
        #[allow(clippy::cast_precision_loss)]
        let (tokens, in_flight) = (sample.tokens as f64, sample.in_flight as f64);
        self.count += 1;
        self.in_flight += in_flight;
        self.timed_out |= sample.timed_out;
        self.seconds += sample.latency.as_secs_f64();
        self.tokens += tokens + FIXED_TOKENS;
    }

    /// Returns how many calls were in flight with each, on average.
    fn load(&self) -> f64 {
        self.in_flight / f64::from(self.count)
    }

    fn speed(&self) -> Speed {
        Speed {
            per_token: self.seconds / self.tokens,
            per_answer: self.seconds / f64::from(self.count),
        }
    }
}

/// The seconds that a token takes, and an answer. Some providers' latency follows the length of the answer, and some do
/// not even tell the length; where calls stand in line, both grow.
#[derive(Debug, Clone, Copy)]
struct Speed {
    per_token: f64,
    per_answer: f64,
}

impl Speed {
    /// Returns how much slower this is for sure.
    fn slower_than(self, other: Self) -> f64 {
        (self.per_token / other.per_token).min(self.per_answer / other.per_answer)
    }

    fn quicker(self, other: Self) -> Self {
        Self {
            per_token: self.per_token.min(other.per_token),
            per_answer: self.per_answer.min(other.per_answer),
        }
    }
}

/// What a round's latency says about the window.
enum Verdict {
    Fine,
    /// Calls stand in line there; with this many in flight, few would.
    Queueing(f64),
    /// To measure the unloaded latency, or after that.
    Resize(f64),
}

impl Latency {
    fn starting(size: f64) -> Self {
        Self {
            from: 0,
            size,
            most: 0,
            answers: Answers::default(),
            unloaded: None,
            first: Answers::default(),
            tolerance: TOLERANCE,
            shrinking: None,
            measuring: None,
        }
    }

    fn next_round(&mut self, size: f64) {
        (self.size, self.most) = (size, 0);
        self.answers = Answers::default();
    }

    /// Begins a round of which only calls from the next one on are a part.
    fn restart(&mut self, size: f64, next: u64) {
        self.from = next;
        self.next_round(size);
    }

    /// Returns whether an answer took longer than one does with nothing in line.
    fn stood_in_line(&self, sample: &Sample) -> bool {
        let mut answer = Answers::default();
        answer.add(sample);
        answer.in_line = 1;
        self.is_slow(&answer)
    }

    /// Returns whether answers took too long, and not just a few of them.
    fn is_slow(&self, answers: &Answers) -> bool {
        let unloaded = self.unloaded.as_ref();
        answers.in_line * 2 >= answers.count
            && unloaded.is_some_and(|(unloaded, _)| {
                answers.speed().slower_than(*unloaded) > self.tolerance
            })
    }

    /// Adds a call, and judges the round once it has enough.
    fn add(&mut self, sample: Sample, size: f64, next: u64, now: Instant) -> Option<Verdict> {
        if self.unloaded.is_none() && sample.call <= u64::from(FIRST_SAMPLES) {
            self.first.add(&sample);
            if self.first.count == FIRST_SAMPLES {
                self.unloaded = Some((self.first.speed(), now));
            }
        }
        if sample.call < self.from {
            return None;
        }
        self.answers.in_line += u32::from(self.stood_in_line(&sample));
        self.answers.add(&sample);
        let answers = self.answers;
        let is_whole = f64::from(answers.count) >= self.size;
        // The first of a round to be answered are the fastest: where they were slow, the rest will be slower.
        if answers.count < SAMPLES || !(is_whole || self.is_slow(&answers)) {
            return None;
        }
        self.next_round(size);
        let verdict = self.judge(&answers, size, now);
        if let Verdict::Resize(size) = verdict {
            self.restart(size, next);
        }
        Some(verdict)
    }

    fn judge(&mut self, answers: &Answers, size: f64, now: Instant) -> Verdict {
        let (speed, load) = (answers.speed(), answers.load());
        if let Some(before) = self.measuring.take() {
            self.unloaded = Some((speed, now));
            return Verdict::Resize(before);
        }
        let (unloaded, measured) = *self.unloaded.get_or_insert((speed, now));
        let slower = speed.slower_than(unloaded);
        if slower < 1.0 {
            self.unloaded = Some((speed.quicker(unloaded), now));
        }
        self.tolerance = if answers.timed_out && slower > LEAST_TOLERANCE {
            f64::midpoint(self.tolerance, 1.0).max(LEAST_TOLERANCE)
        } else {
            ((self.tolerance - 1.0) * 1.1 + 1.0).min(TOLERANCE)
        };
        if self.is_slow(answers) {
            let (first_load, first_speed) = *self.shrinking.get_or_insert((load, speed));
            if load < first_load * 0.6 && speed.slower_than(first_speed) > 0.8 {
                // Fewer calls did not make it faster, so it is not our queue: this is its pace now.
                self.unloaded = Some((speed, now));
                self.shrinking = None;
                return Verdict::Fine;
            }
            let bearable = load * self.tolerance / slower;
            return Verdict::Queueing(bearable.min(size));
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
                        timed_out: false,
                        in_flight: size,
                    };
                    self.window.answered(sample, size, self.call, self.now);
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
                timed_out: false,
                in_flight: 1,
            };
            window.answered(sample, 1, call + 1, now);
        }
        assert_eq!(window.size(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn the_whole_width_is_reached_in_two_round_trips() {
        for (max_concurrency, first) in [(4, 8), (32, 8), (64, 16), (128, 32), (512, 32)] {
            let window = Window::starting(max_concurrency);
            assert_eq!(window.size(), first, "{max_concurrency}");
            let mut server = Server {
                window,
                ..Server::new()
            };
            server.play(2, 1_000, 0.15);
            assert_eq!(server.window.size(), 4 * first, "{max_concurrency}");
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
    async fn calls_that_time_out_by_chance_take_nothing_and_those_in_line_do() {
        for (slots, sizes) in [(1_000, 64..=128), (4, 4..=8)] {
            let mut server = Server::new();
            server.window = Window::starting(64);
            server.play(2, 1_000, 10.0);
            let sample = Sample {
                call: server.call,
                latency: Duration::from_secs(60),
                tokens: 0,
                timed_out: true,
                in_flight: 64,
            };
            server
                .window
                .timed_out(sample, 63, server.call + 1, server.now);
            server.play(1, slots, 10.0);
            let size = server.window.size();
            assert!(sizes.contains(&size), "{slots} places: {size}");
        }
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
