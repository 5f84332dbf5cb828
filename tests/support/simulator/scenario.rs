//! The conditions under which the limits are measured, and the best that could be done in each.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::{Ledger, Outage, Quota, Ramp, RequestBucket, Service, Simulator, Stray, TokenBucket};
use topicloom::ErrorKind;
use topicloom::llm::layers::{Adaptive, ConcurrencyLimited, RateLimiter, Retrying, TimedOut};
use topicloom::llm::{ChatRequest, LlmClient, Message};

/// A prompt of a hundred tokens, at four bytes each.
const PROMPT_TOKENS: usize = 100;

const MINUTE: Duration = Duration::from_secs(60);

/// A provider, a run against it, and the best that could be done.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// What it is about.
    pub(crate) name: &'static str,
    /// How many calls may be in flight, and how many workers want one.
    pub(crate) workers: usize,
    /// How long it lasts; less where a quota ends it.
    pub(crate) lasts: Duration,
    /// From when on wasted calls count.
    pub(crate) warm_up: Duration,
    /// Answers that a client could get that knew everything beforehand.
    pub(crate) optimum: f64,
    /// When an outage ends.
    pub(crate) outage_ends: Option<Duration>,
    /// The share of calls that come to nothing whatever the load.
    pub(crate) by_chance: f64,
    make: fn(Simulator) -> Simulator,
}

/// What came of a scenario.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    /// Answers.
    pub(crate) answered: usize,
    /// Answers as a share of the optimum.
    pub(crate) throughput: f64,
    /// Calls that came to nothing before the warm-up ended.
    pub(crate) wasted_early: usize,
    /// Calls that came to nothing after it, as a share of all calls after it.
    pub(crate) wasted: f64,
    /// From the end of an outage until calls are sent, and accepted, at nine tenths of the rate before it.
    pub(crate) recovery: Option<Duration>,
    /// From the end of an outage to the first answer.
    pub(crate) first_answer: Option<Duration>,
    /// The most calls at the provider at once.
    pub(crate) most_in_flight: usize,
}

impl Scenario {
    /// Runs it, with the layers in the order that the pipeline uses. Needs a runtime with paused time.
    pub(crate) async fn run(&self, seed: u64) -> Figures {
        let provider = Arc::new((self.make)(Simulator::new(seed)));
        let client = TimedOut::new(Arc::clone(&provider), MINUTE);
        let client = ConcurrencyLimited::new(client, Arc::new(Semaphore::new(self.workers)));
        let limiter = Arc::new(RateLimiter::new("simulated/model"));
        let client = Adaptive::new(client, limiter, self.workers);
        let client = Arc::new(Retrying::new(client).seed(seed));

        let started = Instant::now();
        let end = started + self.lasts;
        let mut workers = JoinSet::new();
        for _ in 0..self.workers {
            let client = Arc::clone(&client);
            workers.spawn(async move {
                let text = "four".repeat(PROMPT_TOKENS);
                let request = ChatRequest::new(vec![Message::user(text)]);
                // A fatal error ends the run, any other only the call.
                while !matches!(client.complete(&request).await, Err(error) if error.is_fatal()) {}
            });
        }
        let _ = timeout_at(end, async { while workers.join_next().await.is_some() {} }).await;
        // Before the calls in flight are dropped, as they are not wasted but unfinished.
        let ledger = provider.ledger();
        self.figures(&ledger)
    }

    #[allow(clippy::cast_precision_loss)] // Counts are small.
    fn figures(&self, ledger: &Ledger) -> Figures {
        let late = |times: &[Duration]| times.iter().filter(|at| **at >= self.warm_up).count();
        let (answered, wasted) = (late(&ledger.answered), late(&ledger.wasted));
        Figures {
            answered: ledger.answered.len(),
            throughput: ledger.answered.len() as f64 / self.optimum,
            wasted_early: ledger.wasted.len() - wasted,
            wasted: wasted as f64 / (answered + wasted).max(1) as f64,
            recovery: self
                .outage_ends
                .and_then(|end| recovery(&ledger.accepted, end)),
            first_answer: self.outage_ends.and_then(|end| {
                let first = ledger.answered.iter().find(|at| **at >= end)?;
                Some(first.saturating_sub(end))
            }),
            most_in_flight: ledger.most_in_flight,
        }
    }
}

/// When calls are accepted again at nine tenths of the rate in the minutes before the outage.
#[allow(clippy::cast_precision_loss)] // Some thousands of calls.
fn recovery(accepted: &[Duration], end: Duration) -> Option<Duration> {
    const SPAN: Duration = Duration::from_secs(5);
    let count = |from: Duration, until: Duration| {
        accepted
            .iter()
            .filter(|at| (from..until).contains(*at))
            .count()
    };
    // The outages here last two minutes.
    let before = count(
        end.saturating_sub(5 * MINUTE),
        end.saturating_sub(3 * MINUTE),
    ) as f64;
    let needed = 0.9 * before * SPAN.as_secs_f64() / (2 * MINUTE).as_secs_f64();
    (0..240_u32)
        .map(|half_seconds| end + Duration::from_millis(500) * half_seconds)
        .find(|from| count(*from, *from + SPAN) as f64 >= needed)
        .map(|from| from.saturating_sub(end))
}

fn refusing(share: f64) -> Stray {
    Stray::new(ErrorKind::RateLimited, share, 1)
}

/// Answers in a tenth of the usual time.
fn quick() -> Service {
    let mut service = Service::default();
    service.first_token /= 10;
    service.per_token /= 10;
    service
}

/// Takes so many times as long as usual.
fn slower(times: u32) -> Service {
    let mut service = Service::default();
    service.first_token *= times;
    service.per_token *= times;
    service
}

/// Returns the conditions that issue trackers and providers' documents tell of.
#[allow(clippy::too_many_lines)] // A list.
pub(crate) fn scenarios() -> Vec<Scenario> {
    let service = Service::default();
    let mean = service.mean().as_secs_f64();
    let twenty_minutes = 20 * MINUTE;
    let seconds = twenty_minutes.as_secs_f64();
    let base = Scenario {
        name: "",
        workers: 64,
        lasts: twenty_minutes,
        warm_up: 2 * MINUTE,
        optimum: 0.0,
        outage_ends: None,
        by_chance: 0.0,
        make: |provider| provider,
    };
    // 300 tokens a call on average: 100 of the prompt, 200 of the answer.
    let of_tokens = |per_minute: f64| per_minute / 300.0 * (1.0 + seconds / 60.0);
    vec![
        Scenario {
            name: "600 requests a minute, told in headers",
            optimum: 60.0 + 10.0 * seconds,
            make: |provider| provider.with_rule(RequestBucket::per_minute(600, 60)),
            ..base
        },
        Scenario {
            name: "600 requests a minute, retry-after only",
            optimum: 60.0 + 10.0 * seconds,
            make: |provider| {
                provider.with_rule(RequestBucket::per_minute(600, 60).without_headers())
            },
            ..base
        },
        Scenario {
            name: "600 requests a minute, refused in silence",
            optimum: 60.0 + 10.0 * seconds,
            make: |provider| provider.with_rule(RequestBucket::per_minute(600, 60).in_silence()),
            ..base
        },
        Scenario {
            name: "60 requests a minute, one at once, retry-after only",
            workers: 16,
            optimum: 1.0 + seconds,
            make: |provider| provider.with_rule(RequestBucket::per_minute(60, 1).without_headers()),
            ..base
        },
        Scenario {
            name: "120 000 tokens a minute, told in headers",
            optimum: of_tokens(120_000.0),
            make: |provider| provider.with_rule(TokenBucket::per_minute(120_000)),
            ..base
        },
        Scenario {
            name: "120 000 tokens a minute, retry-after only",
            optimum: of_tokens(120_000.0),
            make: |provider| provider.with_rule(TokenBucket::per_minute(120_000).without_headers()),
            ..base
        },
        Scenario {
            name: "a queue of 16 places, no refusals",
            workers: 128,
            optimum: 16.0 / mean * seconds,
            make: |provider| provider.with_slots(16),
            ..base
        },
        Scenario {
            name: "a queue of 4 places, slow: too many time out",
            workers: 128,
            optimum: 4.0 / (4.0 * mean) * seconds,
            make: |provider| provider.with_slots(4).with_service(slower(4)),
            ..base
        },
        Scenario {
            name: "an outage of two minutes",
            optimum: 64.0 / mean * (seconds - 120.0),
            outage_ends: Some(12 * MINUTE),
            make: |provider| provider.with_rule(Outage::between(10 * MINUTE, 12 * MINUTE)),
            ..base
        },
        Scenario {
            name: "an outage of two minutes at 600 requests a minute",
            optimum: 60.0 + 10.0 * (seconds - 120.0),
            outage_ends: Some(12 * MINUTE),
            make: |provider| {
                provider
                    .with_rule(Outage::between(10 * MINUTE, 12 * MINUTE))
                    .with_rule(RequestBucket::per_minute(600, 60))
            },
            ..base
        },
        Scenario {
            name: "a daily quota of 5 000 calls",
            optimum: 5_000.0,
            make: |provider| provider.with_rule(Quota::of_calls(5_000)),
            ..base
        },
        Scenario {
            name: "a spending limit of 1 500 000 tokens",
            optimum: 5_000.0,
            make: |provider| provider.with_rule(Quota::of_tokens(1_500_000)),
            ..base
        },
        Scenario {
            name: "a load that may only double every ten seconds",
            // 48, 96, 192, then as many as the workers manage.
            optimum: 48.0 + 96.0 + 192.0 + 64.0 / mean * (seconds - 30.0),
            make: |provider| provider.with_rule(Ramp::from(48)),
            ..base
        },
        Scenario {
            name: "no limits at all",
            optimum: 64.0 / mean * seconds,
            ..base
        },
        Scenario {
            name: "1 % refused by chance",
            optimum: 64.0 / mean * seconds,
            by_chance: 0.01,
            make: |provider| provider.with_rule(refusing(0.01)),
            ..base
        },
        Scenario {
            name: "3 % refused by chance",
            optimum: 64.0 / mean * seconds,
            by_chance: 0.03,
            make: |provider| provider.with_rule(refusing(0.03)),
            ..base
        },
        Scenario {
            name: "5 % refused by chance",
            optimum: 64.0 / mean * seconds,
            by_chance: 0.05,
            make: |provider| provider.with_rule(refusing(0.05)),
            ..base
        },
        Scenario {
            name: "3 % refused, 3 % failing and 5 % unreadable by chance",
            optimum: 64.0 / mean * seconds,
            by_chance: 0.11,
            make: |provider| {
                provider
                    .with_rule(refusing(0.03))
                    .with_rule(Stray::new(ErrorKind::Overloaded, 0.03, 2))
                    .with_rule(Stray::new(ErrorKind::Malformed, 0.05, 3))
            },
            ..base
        },
        Scenario {
            name: "3 % refused by chance, answers of 0.25 s",
            lasts: 2 * MINUTE,
            warm_up: MINUTE,
            optimum: 64.0 / (mean / 10.0) * 120.0,
            by_chance: 0.03,
            make: |provider| provider.with_rule(refusing(0.03)).with_service(quick()),
            ..base
        },
        Scenario {
            name: "1 500 requests a minute, refused in silence: hardly less than is asked",
            optimum: 60.0 + 25.0 * seconds,
            make: |provider| provider.with_rule(RequestBucket::per_minute(1_500, 60).in_silence()),
            ..base
        },
        Scenario {
            name: "600 requests a minute, refused in silence, and 3 % by chance",
            optimum: 60.0 + 10.0 * seconds,
            by_chance: 0.03,
            make: |provider| {
                provider
                    .with_rule(refusing(0.03))
                    .with_rule(RequestBucket::per_minute(600, 60).in_silence())
            },
            ..base
        },
        Scenario {
            name: "a queue of 3 places, 20 s an answer: too many time out",
            workers: 96,
            optimum: 3.0 / (8.0 * mean) * seconds,
            make: |provider| provider.with_slots(3).with_service(slower(8)),
            ..base
        },
        Scenario {
            name: "a queue of 10 places, and 2 % refused by chance",
            workers: 200,
            optimum: 10.0 / mean * seconds,
            by_chance: 0.02,
            make: |provider| provider.with_slots(10).with_rule(refusing(0.02)),
            ..base
        },
        Scenario {
            name: "20 requests a minute, one at once, refused in silence",
            workers: 8,
            optimum: 1.0 + seconds / 3.0,
            make: |provider| provider.with_rule(RequestBucket::per_minute(20, 1).in_silence()),
            ..base
        },
        Scenario {
            name: "3 000 requests a minute, two at once, answers of 0.25 s, retry-after only",
            workers: 32,
            lasts: 5 * MINUTE,
            warm_up: MINUTE,
            optimum: 2.0 + 50.0 * 300.0,
            make: |provider| {
                provider
                    .with_service(quick())
                    .with_rule(RequestBucket::per_minute(3_000, 2).without_headers())
            },
            ..base
        },
        Scenario {
            name: "90 requests a minute, five at once, 10 s an answer, refused in silence, and 1 % by chance",
            workers: 48,
            optimum: 5.0 + 1.5 * seconds,
            by_chance: 0.01,
            make: |provider| {
                provider
                    .with_service(slower(4))
                    .with_rule(refusing(0.01))
                    .with_rule(RequestBucket::per_minute(90, 5).in_silence())
            },
            ..base
        },
    ]
}
