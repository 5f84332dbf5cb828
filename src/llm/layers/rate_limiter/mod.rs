//! A rate limiter: what is known of how much one model of one provider takes, shared by all runs of the process.

mod bucket;
mod load;
mod outage;
mod pace;
mod reported;
mod state;
#[cfg(test)]
mod tests;
mod window;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep_until};

use self::bucket::Bucket;
pub(super) use self::state::Rules;
use self::state::{End, State, Step, Ticket};
pub(crate) use self::window::first_calls;
use crate::error::Result;
use crate::llm::{ChatRequest, ChatResponse};

/// What is known of how much one model of one provider takes.
///
/// Calls stand in one line and are sent in the order they came, when the rate limiter allows it. What it knows comes
/// from the caller ([`limit_requests`](Self::limit_requests), [`limit_tokens`](Self::limit_tokens)), from the
/// provider's rate-limit headers, and from how calls end:
///
/// - A delay that the provider asks for pauses the rate limiter, not only the call.
/// - Without headers, the accepted rate is measured between two refusals, and the pace stays at it.
/// - The number of calls in flight starts at a quarter of what the run may have, at least 8 and at most 32, and
///   doubles each round trip; after a decrease it grows by an eighth of itself a round. Refusals that depend on the
///   load, or a growing latency, make it smaller.
/// - Five failures in a row, as in an outage, stop the rate limiter; a probe at least every two seconds finds out when
///   the provider is back.
/// - When the provider refuses permanently (key, quota, unknown model), calls that already wait fail with the
///   same kind and are not sent.
///
/// A rate limiter that would wait for longer than its [`patience`](Self::set_patience) fails with
/// [`Unavailable`](crate::ErrorKind::Unavailable), which ends the run.
///
/// ```
/// use topicloom::llm::layers::{Adaptive, RateLimiter};
/// # use topicloom::llm::LlmClient;
/// # fn example(client: impl LlmClient) {
/// let limiter = RateLimiter::shared("openai/gpt-4o-mini");
/// limiter.limit_requests(500);
/// let client = Adaptive::new(client, limiter, 16);
/// # }
/// ```
pub struct RateLimiter {
    model: String,
    state: Mutex<State>,
    // One call at a time looks whether it may go; the others wait behind it, in order.
    turn: Semaphore,
    changed: Notify,
}

/// What a rate limiter allows at the moment, for display.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct RateLimiterStatus {
    /// How many calls may be in flight.
    pub window: usize,
    /// How many are.
    pub in_flight: usize,
    /// The tightest limit of requests a minute that is known, given or learned.
    pub requests_per_minute: Option<f64>,
    /// For how long the provider asked to pause.
    pub paused_for: Option<Duration>,
    /// Whether the provider seems to be out, so that only probes are sent.
    pub out: bool,
}

impl RateLimiter {
    /// Creates a rate limiter of its own, as a test would want.
    #[must_use]
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            state: Mutex::default(),
            turn: Semaphore::new(1),
            changed: Notify::new(),
        }
    }

    /// Returns the rate limiter of this model, named as `provider/model`, that all runs of the process share. It
    /// lives as long as the process, so that the next run starts with what this one learned.
    #[must_use]
    pub fn shared(model: &str) -> Arc<Self> {
        static SHARED: LazyLock<Mutex<HashMap<String, Arc<RateLimiter>>>> =
            LazyLock::new(Mutex::default);
        let mut limiters = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let limiter = limiters
            .entry(model.to_owned())
            .or_insert_with(|| Arc::new(Self::new(model)));
        Arc::clone(limiter)
    }

    /// Returns the model's name.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Sets how many requests a minute are sent at most. They are spread evenly: what a second allows may go
    /// at once, since some providers count by the second.
    pub fn limit_requests(&self, per_minute: u32) {
        self.state().given.requests = Some(evenly(per_minute));
        self.changed.notify_one();
    }

    /// Sets how many tokens a minute are used at most, prompts and answers together, spread evenly. A call's
    /// tokens are estimated when it is sent and corrected when it ends.
    pub fn limit_tokens(&self, per_minute: u32) {
        self.state().given.tokens = Some(evenly(per_minute));
        self.changed.notify_one();
    }

    /// Sets for how long a call waits at most through an outage, or through a pause that the provider asks
    /// for. The default is ten minutes; waiting for a place in line has no limit.
    pub fn set_patience(&self, patience: Duration) {
        self.state().patience = patience;
        self.changed.notify_one();
    }

    /// Returns what the rate limiter allows at the moment.
    #[must_use]
    pub fn status(&self) -> RateLimiterStatus {
        self.state().status(Instant::now())
    }

    /// Takes note of a run that may have this many calls in flight.
    pub(super) fn expect(&self, max_concurrency: usize) {
        self.state().expect(max_concurrency);
    }

    /// Waits in line until the call may be sent.
    pub(super) async fn enter(
        self: &Arc<Self>,
        rules: Rules,
        request: &ChatRequest,
    ) -> Result<Place> {
        let refusals = self.state().refusals();
        let _turn = self.turn.acquire().await.expect("it is never closed");
        loop {
            let step = {
                let mut state = self.state();
                let tokens = state.estimate(request);
                state.enter(rules, tokens, refusals, Instant::now())
            };
            match step {
                Step::Go(ticket) => {
                    return Ok(Place {
                        limiter: Arc::clone(self),
                        ticket: Some(ticket),
                    });
                }
                Step::At(when) => tokio::select! {
                    () = sleep_until(when) => {}
                    () = self.changed.notified() => {}
                },
                Step::Later => self.changed.notified().await,
                Step::Never(error) => return Err(error.with_context("model", &self.model)),
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn evenly(per_minute: u32) -> Bucket {
    let per_second = f64::from(per_minute) / 60.0;
    Bucket::new(per_second, per_second.max(1.0), Instant::now())
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter")
            .field("model", &self.model)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

/// A call that was let through, until it ends or is dropped.
#[derive(Debug)]
pub(super) struct Place {
    limiter: Arc<RateLimiter>,
    ticket: Option<Ticket>,
}

impl Place {
    /// Tells the rate limiter how the call ended.
    pub(super) fn end(mut self, result: &Result<ChatResponse>) {
        self.leave(&End::of(result));
    }

    fn leave(&mut self, end: &End<'_>) {
        if let Some(ticket) = self.ticket.take() {
            self.limiter.state().end(ticket, end, Instant::now());
            self.limiter.changed.notify_one();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave(&End::Dropped);
    }
}
