//! Gives up an attempt that takes too long.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use crate::error::{Error, ErrorKind, Result};
use crate::llm::{ChatRequest, ChatResponse, LlmClient};

/// Gives up an attempt after a time, with [`ErrorKind::Timeout`].
///
/// The time starts when the attempt is made. Put the layers that wait (limits, budget, retries) outside of
/// this one, so that waiting here is not charged to the provider; see
/// [the order of layers](crate::llm::layers#the-order). The attempt's future is dropped, which stops the
/// call; whether the provider bills for it is not known.
///
/// ```
/// use std::time::Duration;
/// use topicloom::llm::layers::TimedOut;
/// # use topicloom::llm::LlmClient;
/// # fn example(client: impl LlmClient) {
/// let client = TimedOut::new(client, Duration::from_secs(60));
/// # }
/// ```
#[derive(Debug)]
pub struct TimedOut<C> {
    inner: C,
    after: Duration,
}

impl<C> TimedOut<C> {
    /// Creates a layer that gives up each attempt after this time.
    pub fn new(inner: C, after: Duration) -> Self {
        Self { inner, after }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<C: LlmClient> LlmClient for TimedOut<C> {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        timeout(self.after, self.inner.complete(request))
            .await
            .unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Timeout, "no answer arrived in time")
                    .with_context("model", self.inner.model())
                    .with_context("after", format!("{:?}", self.after)))
            })
    }

    passes_on_the_rest!();
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::llm::layers::test_client::{TestClient, request};

    #[tokio::test(start_paused = true)]
    async fn a_slow_attempt_is_given_up_on_time_and_may_be_tried_again() {
        let slow = TestClient::default().taking(Duration::from_secs(90));
        let client = TimedOut::new(slow, Duration::from_secs(60));
        let start = Instant::now();
        let error = client.complete(&request()).await.unwrap_err();
        assert_eq!(start.elapsed(), Duration::from_secs(60));
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.is_retryable() && !error.is_fatal());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_in_time_passes() {
        let quick = TestClient::default().taking(Duration::from_secs(59));
        let client = TimedOut::new(quick, Duration::from_secs(60));
        assert!(client.complete(&request()).await.is_ok());
    }
}
