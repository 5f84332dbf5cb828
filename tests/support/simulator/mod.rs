//! Simulated providers on the runtime's clock, with their limits, moods and outages, to measure the layers by.
//!
//! Under paused time a simulated hour takes a moment. Everything is seeded, so a figure that is printed once
//! is printed again. The conditions are simplified from what providers document; what they leave out is the
//! network, and other customers.

#![allow(dead_code, unused_imports)] // A test uses a part of it, and the benchmark another.

mod rules;
mod scenario;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

pub(crate) use rules::{Outage, Quota, Ramp, RequestBucket, Rule, Stray, TokenBucket};
pub(crate) use scenario::{Figures, Scenario, scenarios};

use topicloom::Result;
use topicloom::llm::{ChatRequest, ChatResponse, LlmClient, Usage};
use topicloom::random::Random;

/// What a refusal takes to arrive: a gateway answers in about this time.
const REFUSAL: Duration = Duration::from_millis(100);

/// A provider that plays by rules, and keeps a ledger of what it did.
pub(crate) struct Simulator {
    started: Instant,
    service: Service,
    slots: Option<Arc<Semaphore>>,
    state: Mutex<State>,
}

/// How long an answer takes: some time to the first token, and some for each further one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Service {
    /// Time to the first token.
    pub(crate) first_token: Duration,
    /// Time for each token.
    pub(crate) per_token: Duration,
    /// The fewest tokens of an answer.
    pub(crate) least_tokens: u64,
    /// The most tokens of an answer; all counts between are equally likely.
    pub(crate) most_tokens: u64,
}

impl Default for Service {
    /// Half a second to the first token, then a hundred tokens a second, 50 to 350 tokens: 2.5 s on average.
    fn default() -> Self {
        Self {
            first_token: Duration::from_millis(500),
            per_token: Duration::from_millis(10),
            least_tokens: 50,
            most_tokens: 350,
        }
    }
}

impl Service {
    /// Returns what an answer takes on average.
    pub(crate) fn mean(&self) -> Duration {
        let twice = u32::try_from(self.least_tokens + self.most_tokens).unwrap_or(u32::MAX);
        self.first_token + self.per_token * twice / 2
    }
}

struct State {
    rules: Vec<Box<dyn Rule>>,
    chance: Random,
    ledger: Ledger,
}

/// What a simulated provider did, by the time since its start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    /// When each call arrived that was accepted.
    pub(crate) accepted: Vec<Duration>,
    /// When each answer was sent off.
    pub(crate) answered: Vec<Duration>,
    /// When each call arrived that came to nothing: refused, failed, or nobody waited for its answer.
    pub(crate) wasted: Vec<Duration>,
    /// Tokens of all answers.
    pub(crate) usage: Usage,
    /// Calls being answered now.
    pub(crate) in_flight: usize,
    /// The most calls that were being answered at once, those in line included.
    pub(crate) most_in_flight: usize,
}

impl Simulator {
    /// Creates a provider without limits.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            started: Instant::now(),
            service: Service::default(),
            slots: None,
            state: Mutex::new(State {
                rules: Vec::new(),
                chance: Random::new(seed),
                ledger: Ledger::default(),
            }),
        }
    }

    /// Sets how long answers take.
    pub(crate) fn with_service(mut self, service: Service) -> Self {
        self.service = service;
        self
    }

    /// Lets it work on so many calls at a time; more stand in line and are never refused, as with vLLM.
    pub(crate) fn with_slots(mut self, slots: usize) -> Self {
        self.slots = Some(Arc::new(Semaphore::new(slots)));
        self
    }

    /// Adds a rule that a call must pass.
    pub(crate) fn with_rule(self, rule: impl Rule) -> Self {
        self.state().rules.push(Box::new(rule));
        self
    }

    /// Returns a copy of what it did so far.
    pub(crate) fn ledger(&self) -> Ledger {
        self.state().ledger.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrive(&self, request: &ChatRequest) -> Result<(ChatResponse, Duration)> {
        let at = self.started.elapsed();
        let mut state = self.state();
        let state = &mut *state;
        let service = self.service;
        let spread = service.most_tokens.saturating_sub(service.least_tokens) + 1;
        let tokens = service.least_tokens + state.chance.below(spread);
        // Four bytes a token, as in English text.
        let usage = Usage::new(request.last_text().len() as u64 / 4, tokens);
        for rule in &mut state.rules {
            if let Err(error) = rule.admit(at, &usage) {
                state.ledger.wasted.push(at);
                return Err(error.with_rate(rule.rate(at)));
            }
        }
        let rate = state.rules.iter().find_map(|rule| rule.rate(at));
        let takes =
            service.first_token + service.per_token * u32::try_from(tokens).unwrap_or(u32::MAX);
        let response = ChatResponse::new("an answer")
            .with_usage(usage)
            .with_rate(rate);
        state.ledger.accepted.push(at);
        state.ledger.in_flight += 1;
        state.ledger.most_in_flight = state.ledger.most_in_flight.max(state.ledger.in_flight);
        Ok((response, takes))
    }
}

#[async_trait]
impl LlmClient for Simulator {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let (response, takes) = match self.arrive(request) {
            Ok(accepted) => accepted,
            Err(error) => {
                sleep(REFUSAL).await;
                return Err(error);
            }
        };
        let mut call = InFlight {
            provider: self,
            arrived: self.started.elapsed(),
            answered: None,
        };
        let _slot = match &self.slots {
            Some(slots) => Some(slots.acquire().await.expect("it is never closed")),
            None => None,
        };
        sleep(takes).await;
        call.answered = Some(response.usage);
        Ok(response)
    }

    fn model(&self) -> &'static str {
        "simulated/model"
    }
}

struct InFlight<'a> {
    provider: &'a Simulator,
    arrived: Duration,
    answered: Option<Usage>,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let now = self.provider.started.elapsed();
        let ledger = &mut self.provider.state().ledger;
        ledger.in_flight -= 1;
        match self.answered {
            Some(usage) => {
                ledger.answered.push(now);
                ledger.usage += usage;
            }
            None => ledger.wasted.push(self.arrived),
        }
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}
