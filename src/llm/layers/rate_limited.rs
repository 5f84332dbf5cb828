//! Keeps to the rate limits of a provider.

use std::sync::Arc;

use async_trait::async_trait;

use super::in_line;
use super::rate_limiter::{RateLimiter, Rules};
use crate::error::Result;
use crate::llm::{ChatRequest, ChatResponse, LlmClient};

/// Keeps to the rate limits of a [`RateLimiter`]: those given, those that the provider reports in its headers, and
/// the pauses it asks for.
///
/// [`Adaptive`](super::Adaptive) does this too, and adapts to what providers do not say; use this one where
/// the limits are known. Put it inside of [`Retrying`](super::Retrying) and outside of
/// [`TimedOut`](super::TimedOut); see [the order of layers](crate::llm::layers#the-order).
///
/// ```
/// use std::sync::Arc;
/// use topicloom::llm::layers::{RateLimiter, RateLimited};
/// # use topicloom::llm::LlmClient;
/// # fn example(client: impl LlmClient) {
/// let limiter = Arc::new(RateLimiter::new("own/model"));
/// limiter.limit_requests(60);
/// limiter.limit_tokens(100_000);
/// let client = RateLimited::new(client, limiter);
/// # }
/// ```
#[derive(Debug)]
pub struct RateLimited<C> {
    inner: C,
    limiter: Arc<RateLimiter>,
}

impl<C> RateLimited<C> {
    /// Creates a layer that keeps to the limits of this rate limiter.
    pub fn new(inner: C, limiter: Arc<RateLimiter>) -> Self {
        Self { inner, limiter }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<C: LlmClient> LlmClient for RateLimited<C> {
    /// Makes one attempt when the rate limiter allows it.
    ///
    /// # Errors
    ///
    /// Those of the client; [`Unavailable`](crate::ErrorKind::Unavailable) where the provider asks for a
    /// longer pause than the rate limiter waits; the provider's own kind where it permanently refused an earlier call.
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let place = in_line::wait(self.limiter.enter(Rules::Limits, request)).await?;
        let result = self.inner.complete(request).await;
        place.end(&result);
        result
    }

    passes_on_the_rest!();
}
