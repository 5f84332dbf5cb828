//! Asks as much of a provider as it takes, and less when it struggles.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::in_line;
use super::lane::{Lane, Rules};
use crate::error::{Error, Result};
use crate::llm::{ChatRequest, ChatResponse, LlmClient};

/// Asks as much of a provider as it takes, and less when it struggles: the rules of a [`Lane`], all of them.
///
/// Put it inside of [`Retrying`](super::Retrying) and [`Budgeted`](super::Budgeted), and outside of
/// [`TimedOut`](super::TimedOut), so that waiting here is not charged to the call; see
/// [the order of layers](crate::llm::layers#the-order).
///
/// ```
/// use topicloom::llm::layers::{Adaptive, Lane};
/// # use topicloom::llm::LlmClient;
/// # fn example(client: impl LlmClient) {
/// let lane = Lane::shared(client.model());
/// let client = Adaptive::new(client, lane, 64);
/// # }
/// ```
#[derive(Debug)]
pub struct Adaptive<C> {
    inner: C,
    lane: Arc<Lane>,
    // Taken before the line of the lane, so that one run's ceiling does not hold up another run's calls.
    ceiling: Semaphore,
}

impl<C> Adaptive<C> {
    /// Creates a layer that follows this lane, with at most this many calls in flight or in the lane's line.
    /// A ceiling of 0 means 1.
    pub fn new(inner: C, lane: Arc<Lane>, max_concurrency: usize) -> Self {
        lane.expect(max_concurrency);
        Self {
            inner,
            lane,
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
    /// Makes one attempt when the lane allows it.
    ///
    /// # Errors
    ///
    /// Those of the client; [`Unavailable`](crate::ErrorKind::Unavailable) where the provider is out, or asks
    /// for a pause, for longer than the lane waits; the provider's own kind where it refused an earlier call
    /// permanently.
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let (place, _permit) = in_line::wait(async {
            let permit = self.ceiling.acquire().await.expect("it is never closed");
            let place = self.lane.enter(Rules::Adaptive, request).await?;
            Ok::<_, Error>((place, permit))
        })
        .await?;
        let result = self.inner.complete(request).await;
        place.end(&result);
        result
    }

    passes_on_the_rest!();
}
