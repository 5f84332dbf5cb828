//! All that a rate limiter knows, and its rules: who may be sent when, and what follows from how a call ended.

use std::time::Duration;

use tokio::time::Instant;

use super::bucket::Bucket;
use super::load::{Evidence, Load};
use super::outage::{Call, Gate, Outage};
use super::pace::Pace;
use super::reported::{Reported, Sent};
use super::window::{Sample, Window};
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::llm::{ChatRequest, ChatResponse, RateSnapshot, Usage};

/// Real text has three to four bytes a token; fewer tokens than meant are corrected when the call ends.
const BYTES_PER_TOKEN: f64 = 4.0;

/// The answer that is expected before one was seen, where the caller sets no limit.
const FIRST_ANSWER: f64 = 500.0;

/// How much the latest answer changes the expected length: about the last twenty answers count.
const RECENT: f64 = 0.1;

/// A rate limiter waits this long before it gives up: outages and pauses that providers report last minutes, and
/// a caller who would wait longer would rather have the records in hand.
const PATIENCE: Duration = Duration::from_secs(600);

/// A pause that is asked for counts up to a month: nobody waits longer, and a clock cannot hold every number that
/// servers send.
const LONGEST_PAUSE: Duration = Duration::from_secs(30 * 86_400);

/// Refusals of key or model in a row that are no slip, where they were answered before.
const DOUBTFUL: u32 = 3;

#[derive(Debug)]
pub(super) struct State {
    pub(super) given: Limits,
    pub(super) patience: Duration,
    reported: Reported,
    pace: Pace,
    window: Window,
    outage: Outage,
    load: Load,
    failures: Evidence,
    paused: Option<Instant>,
    in_flight: usize,
    calls: u64,
    refused: u64,
    tokens: f64,
    /// The usual length of an answer in tokens, once known.
    answer: Option<f64>,
    /// The usual time to an answer in seconds.
    latency: Option<f64>,
    /// Counts permanent refusals, so that calls that waited meanwhile are not sent after them.
    gone: (u64, ErrorKind),
    /// The first call after a permanent refusal: until one from there on is answered, one call at a time finds
    /// out whether the refusal still holds.
    barred: Option<u64>,
    /// Permanent refusals since the last answer.
    doubtful: u32,
}

/// Limits that the caller sets.
#[derive(Debug, Default)]
pub(super) struct Limits {
    pub(super) requests: Option<Bucket>,
    pub(super) tokens: Option<Bucket>,
}

/// Which rules a layer asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::llm::layers) enum Rules {
    /// Given and reported limits, and pauses.
    Limits,
    /// Those, and everything that is learned from how calls end.
    Adaptive,
}

/// What is remembered of a call that was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    sent: Sent,
    tokens: f64,
    /// Calls in flight when it was sent, itself included.
    in_flight: usize,
    probe: bool,
}

impl Ticket {
    /// Returns how long the call took; without tokens, it was given up.
    fn sample(&self, tokens: Option<u64>, now: Instant) -> Sample {
        Sample {
            call: self.sent.calls,
            latency: now.saturating_duration_since(self.sent.at),
            tokens: tokens.unwrap_or(0),
            timed_out: tokens.is_none(),
            in_flight: self.in_flight,
        }
    }

    fn call(&self) -> Call {
        Call {
            number: self.sent.calls,
            sent: self.sent.at,
            probe: self.probe,
        }
    }
}

/// Whether the first in line may go.
#[derive(Debug)]
pub(super) enum Step {
    Go(Ticket),
    /// Not before then, unless something changes.
    At(Instant),
    /// Not before something changes.
    Later,
    Never(Error),
}

/// How a call ended.
#[derive(Debug)]
pub(super) enum End<'a> {
    Answered(&'a ChatResponse),
    Failed(&'a Error),
    Dropped,
}

impl<'a> End<'a> {
    pub(super) fn of(result: &'a Result<ChatResponse>) -> Self {
        match result {
            Ok(response) => Self::Answered(response),
            Err(error) => Self::Failed(error),
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            given: Limits::default(),
            patience: PATIENCE,
            reported: Reported::default(),
            pace: Pace::default(),
            window: Window::default(),
            outage: Outage::default(),
            load: Load::default(),
            failures: Evidence::default(),
            paused: None,
            in_flight: 0,
            calls: 0,
            refused: 0,
            tokens: 0.0,
            answer: None,
            latency: None,
            gone: (0, ErrorKind::Unavailable),
            barred: None,
            doubtful: 0,
        }
    }
}

impl State {
    /// Takes note of a run that may have this many calls in flight. What was learned of an earlier one stays.
    pub(super) fn expect(&mut self, max_concurrency: usize) {
        if self.calls == 0 {
            self.window = Window::starting(max_concurrency);
        }
    }

    /// Returns how often the provider refused permanently so far; a call in line asks again with this number.
    pub(super) fn refusals(&self) -> u64 {
        self.gone.0
    }

    /// Returns the tokens that a call will probably use.
    pub(super) fn estimate(&self, request: &ChatRequest) -> f64 {
        let bytes: usize = request
            .messages
            .iter()
            .map(|message| message.text.len())
            .sum();
        #[allow(clippy::cast_precision_loss)]
        let (bytes, most) = (
            bytes as f64,
            request.parameters.max_tokens.map(|most| most as f64),
        );
        let answer = self.answer.or(most).unwrap_or(FIRST_ANSWER);
        bytes / BYTES_PER_TOKEN + answer.min(most.unwrap_or(f64::INFINITY))
    }

    pub(super) fn enter(&mut self, rules: Rules, tokens: f64, refusals: u64, now: Instant) -> Step {
        if self.gone.0 != refusals {
            return Step::Never(Error::new(
                self.gone.1,
                "the provider permanently refused a call before this one",
            ));
        }
        if let Some(until) = self.paused.filter(|until| *until > now) {
            if until - now > self.patience {
                return Step::Never(
                    self.impatient("the provider asks for a longer pause", until - now),
                );
            }
            return Step::At(until);
        }
        if self.barred.is_some() && self.in_flight > 0 {
            return Step::Later;
        }
        let mut probe = false;
        if rules == Rules::Adaptive {
            match self.outage.gate(now) {
                Gate::Open => {}
                Gate::Probe => probe = true,
                Gate::Closed { until, since } => {
                    let gives_up = since + self.patience;
                    if now >= gives_up {
                        return Step::Never(
                            self.impatient("the provider is out for longer", now - since),
                        );
                    }
                    return Step::At(until.min(gives_up));
                }
            }
            if self.in_flight >= self.window.size().min(self.load.most()) {
                return Step::Later;
            }
        }
        let wait = self.wait(rules, tokens, now);
        if !wait.is_zero() {
            // The runtime's timers count milliseconds.
            return Step::At(now + wait.max(Duration::from_millis(1)));
        }
        Step::Go(self.send(tokens, probe, now))
    }

    fn impatient(&self, message: &'static str, time: Duration) -> Error {
        Error::new(
            ErrorKind::Unavailable,
            format!("{message} than this rate limiter waits"),
        )
        .with_context("time", format!("{} s", time.as_secs()))
        .with_context("patience", format!("{} s", self.patience.as_secs()))
    }

    /// How long the buckets make the next call wait.
    fn wait(&mut self, rules: Rules, tokens: f64, now: Instant) -> Duration {
        let paced = match (rules, &self.reported.requests) {
            // The provider says what it takes, so there is nothing to guess.
            (_, Some(_)) | (Rules::Limits, _) => Duration::ZERO,
            (Rules::Adaptive, None) if self.load.is_finding_out(self.calls + 1) => Duration::ZERO,
            (Rules::Adaptive, None) => self.pace.wait(now),
        };
        let requests = [&mut self.given.requests, &mut self.reported.requests];
        let requests = requests
            .into_iter()
            .flatten()
            .map(|bucket| bucket.wait(1.0, now));
        let requests = requests.max().unwrap_or_default();
        let of_tokens = [&mut self.given.tokens, &mut self.reported.tokens];
        let of_tokens = of_tokens
            .into_iter()
            .flatten()
            .map(|bucket| bucket.wait(tokens, now));
        paced.max(requests).max(of_tokens.max().unwrap_or_default())
    }

    fn send(&mut self, tokens: f64, probe: bool, now: Instant) -> Ticket {
        for bucket in [&mut self.given.requests, &mut self.reported.requests]
            .into_iter()
            .flatten()
        {
            bucket.take(1.0);
        }
        self.use_tokens(tokens);
        self.pace.sent();
        if probe {
            self.outage.probe_sent(now);
        }
        self.calls += 1;
        self.in_flight += 1;
        self.load.sent(self.calls, now);
        Ticket {
            sent: self.sent(now),
            tokens,
            in_flight: self.in_flight,
            probe,
        }
    }

    fn sent(&self, at: Instant) -> Sent {
        Sent {
            at,
            calls: self.calls,
            tokens: self.tokens,
        }
    }

    /// Takes tokens, or gives them back if negative.
    fn use_tokens(&mut self, tokens: f64) {
        for bucket in [&mut self.given.tokens, &mut self.reported.tokens]
            .into_iter()
            .flatten()
        {
            bucket.give_back(-tokens);
        }
        self.tokens += tokens;
    }

    pub(super) fn end(&mut self, ticket: Ticket, end: &End<'_>, now: Instant) {
        self.in_flight -= 1;
        match end {
            End::Answered(response) => {
                self.barred = self.barred.filter(|first| ticket.sent.calls < *first);
                self.doubtful = 0;
                self.count(ticket, &response.usage);
                self.alive(ticket);
                let latency = now.saturating_duration_since(ticket.sent.at);
                let usual = self.latency.get_or_insert(latency.as_secs_f64());
                *usual += (latency.as_secs_f64() - *usual) * RECENT;
                self.load
                    .answered(ticket.sent.calls, ticket.in_flight, self.calls + 1);
                self.failures.good();
                let sample = ticket.sample(Some(response.usage.output_tokens), now);
                self.window
                    .answered(sample, self.in_flight + 1, self.calls + 1, now);
                self.learn(response.rate.as_ref(), ticket, now);
            }
            End::Failed(error) => {
                self.failed(ticket, error, now);
                self.learn(error.rate(), ticket, now);
            }
            End::Dropped if ticket.probe => self.outage.probe_lost(),
            End::Dropped => {}
        }
    }

    fn failed(&mut self, ticket: Ticket, error: &Error, now: Instant) {
        if let Retry::After(delay) = error.retry() {
            let until = now + delay.min(LONGEST_PAUSE);
            self.paused = Some(self.paused.map_or(until, |paused| paused.max(until)));
        }
        let next = self.calls + 1;
        match error.kind() {
            ErrorKind::RateLimited => {
                self.use_tokens(-ticket.tokens);
                self.alive(ticket);
                let may_be_chance = self.pace.may_be_chance(ticket.sent.at, now);
                let next_is_due =
                    self.paused.map_or(now, |paused| paused.max(now)) + self.pace.interval();
                let too_much = self.load.refused(
                    ticket.sent.calls,
                    ticket.in_flight,
                    next,
                    may_be_chance,
                    next_is_due,
                );
                if too_much {
                    // Little's law, and two standard deviations more since latency varies.
                    let rate = self.pace.per_second().unwrap_or(0.0);
                    let usual = rate * self.latency.unwrap_or(0.0);
                    let needs = usual + 2.0 * usual.sqrt();
                    self.window
                        .refused(ticket.sent.calls, self.in_flight, needs, next);
                }
                let accepted = ticket.sent.calls.saturating_sub(1 + self.refused);
                self.refused += 1;
                self.pace.refused(ticket.sent.at, accepted, too_much, now);
            }
            kind @ (ErrorKind::Overloaded | ErrorKind::Network | ErrorKind::Timeout) => {
                let in_outage = self.outage.is_on();
                match kind {
                    ErrorKind::Overloaded => {
                        self.failures.bad();
                        // A single failure says little about load.
                        if self.failures.is_enough() && !in_outage {
                            self.window.failed(ticket.sent.calls, self.in_flight, next);
                        }
                    }
                    ErrorKind::Timeout if !in_outage => {
                        let sample = ticket.sample(None, now);
                        self.window.timed_out(sample, self.in_flight, next, now);
                    }
                    // A connection that breaks says nothing about load.
                    _ => {}
                }
                self.outage.failed(ticket.call(), now);
            }
            kind @ (ErrorKind::Quota | ErrorKind::Auth | ErrorKind::UnknownModel) => {
                self.doubtful += 1;
                // A key and a model that were answered before are not wrong: one refusal may be a slip, and several are
                // for those who call to judge, who need not all find out at once.
                let answered_before = kind != ErrorKind::Quota && self.latency.is_some();
                if !answered_before {
                    self.gone = (self.gone.0 + 1, kind);
                }
                if !answered_before || self.doubtful >= DOUBTFUL {
                    self.barred = Some(next);
                }
                self.alive(ticket);
            }
            _ => self.alive(ticket),
        }
    }

    /// Something came back that only a working provider says.
    fn alive(&mut self, ticket: Ticket) {
        if self.outage.answered(ticket.call()) {
            self.window.recovered(self.calls + 1);
        } else if !self.outage.is_feared() {
            self.window.working();
        }
    }

    /// Replaces the estimate by what was used, where both halves of that are known.
    fn count(&mut self, ticket: Ticket, usage: &Usage) {
        if usage.input_tokens == 0 || usage.output_tokens == 0 {
            return;
        }
        #[allow(clippy::cast_precision_loss)]
        let (used, answer) = (usage.total() as f64, usage.output_tokens as f64);
        self.use_tokens(used - ticket.tokens);
        let expected = self.answer.unwrap_or(answer);
        self.answer = Some(expected + (answer - expected) * RECENT);
    }

    fn learn(&mut self, rate: Option<&RateSnapshot>, ticket: Ticket, now: Instant) {
        if let Some(rate) = rate {
            let now = self.sent(now);
            self.reported.learn(rate, ticket.sent, now);
        }
    }

    pub(super) fn status(&self, now: Instant) -> super::RateLimiterStatus {
        let requests = [&self.given.requests, &self.reported.requests]
            .into_iter()
            .flatten();
        let learned = match self.reported.requests {
            Some(_) => None,
            None => self.pace.per_second(),
        };
        super::RateLimiterStatus {
            window: self.window.size(),
            in_flight: self.in_flight,
            requests_per_minute: requests
                .map(Bucket::per_second)
                .chain(learned)
                .min_by(f64::total_cmp)
                .map(|per_second| per_second * 60.0),
            paused_for: self
                .paused
                .and_then(|until| until.checked_duration_since(now)),
            out: self.outage.is_on(),
        }
    }
}
