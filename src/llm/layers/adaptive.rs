//! Asks as much of a provider as it takes, and less when it struggles.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::in_line;
use super::rate_limiter::{RateLimiter, Rules};
use crate::error::{Error, Result};
use crate::llm::{ChatRequest, ChatResponse, LlmClient};

/// Asks as much of a provider as it takes, and less when it struggles: the rules of a [`RateLimiter`], all of them.
///
/// Put it inside of [`Retrying`](super::Retrying) and [`Budgeted`](super::Budgeted), and outside of
/// [`TimedOut`](super::TimedOut), so that waiting here is not charged to the call; see
/// [the order of layers](crate::llm::layers#the-order).
///
/// ```
/// use topicloom::llm::layers::{Adaptive, RateLimiter};
/// # use topicloom::llm::LlmClient;
/// # fn example(client: impl LlmClient) {
/// let limiter = RateLimiter::shared(client.model());
/// let client = Adaptive::new(client, limiter, 64);
/// # }
/// ```
#[derive(Debug)]
pub struct Adaptive<C> {
    inner: C,
    limiter: Arc<RateLimiter>,
    // Taken before the line of the rate limiter, so that one run's ceiling does not hold up another run's calls.
    ceiling: Semaphore,
}

impl<C> Adaptive<C> {
    /// Creates a layer that follows this rate limiter, with at most this many calls in flight or in the rate limiter's line.
    /// A ceiling of 0 means 1.
    pub fn new(inner: C, limiter: Arc<RateLimiter>, max_concurrency: usize) -> Self {
        limiter.expect(max_concurrency);
        Self {
            inner,
            limiter,
            ceiling: Semaphore::new(max_concurrency.clamp(1, Semaphore::MAX_PERMITS)),
        }
    }
}

#[cfg(test)]
impl<C> Adaptive<C> {
    pub(super) fn inner(&self) -> &C {
        &self.inner
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<C: LlmClient> LlmClient for Adaptive<C> {
    /// Makes one attempt when the rate limiter allows it.
    ///
    /// # Errors
    ///
    /// Those of the client; [`Unavailable`](crate::ErrorKind::Unavailable) where the provider is out, or asks
    /// for a pause, for longer than the rate limiter waits; the provider's own kind where it refused an earlier call
    /// permanently.
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let (place, _permit) = in_line::wait(async {
            let permit = self.ceiling.acquire().await.expect("it is never closed");
            let place = self.limiter.enter(Rules::Adaptive, request).await?;
            Ok::<_, Error>((place, permit))
        })
        .await?;
        let result = self.inner.complete(request).await;
        place.end(&result);
        result
    }

    passes_on_the_rest!();
}
