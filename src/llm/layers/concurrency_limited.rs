//! Bounds how many attempts are in flight.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::in_line;
use crate::error::{Error, ErrorKind, Result};
use crate::llm::{ChatRequest, ChatResponse, LlmClient};

/// Bounds how many attempts are in flight, over all clients that share the semaphore.
///
/// A permit covers one attempt, from just before it is sent to its answer, failure or cancellation. Callers
/// wait in the order they came. Put [`Retrying`](super::Retrying) outside, so that no permit is held while a
/// retry waits; see [the order of layers](crate::llm::layers#the-order).
///
/// ```
/// use std::sync::Arc;
/// use tokio::sync::Semaphore;
/// use topicloom::llm::layers::ConcurrencyLimited;
/// # use topicloom::llm::LlmClient;
/// # fn example(writer: impl LlmClient, namer: impl LlmClient) {
/// let run = Arc::new(Semaphore::new(10));
/// let writer = ConcurrencyLimited::new(writer, Arc::clone(&run));
/// let namer = ConcurrencyLimited::new(namer, run);
/// # }
/// ```
#[derive(Debug)]
pub struct ConcurrencyLimited<C> {
    inner: C,
    permits: Arc<Semaphore>,
}

impl<C> ConcurrencyLimited<C> {
    /// Creates a layer that takes a permit of this semaphore for each attempt.
    pub fn new(inner: C, permits: Arc<Semaphore>) -> Self {
        Self { inner, permits }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<C: LlmClient> LlmClient for ConcurrencyLimited<C> {
    /// Makes one attempt when a permit is free.
    ///
    /// # Errors
    ///
    /// Those of the client, and [`ErrorKind::Cancelled`] once the semaphore is closed.
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let _permit = in_line::wait(self.permits.acquire())
            .await
            .map_err(|closed| {
                Error::new(ErrorKind::Cancelled, "the run was stopped").with_source(closed)
            })?;
        self.inner.complete(request).await
    }

    passes_on_the_rest!();
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::future::join_all;
    use tokio::time::{Instant, timeout};

    use super::*;
    use crate::llm::layers::test_client::{TestClient, request};

    #[tokio::test(start_paused = true)]
    async fn no_more_attempts_are_in_flight_than_there_are_permits() {
        let slow = TestClient::default().taking(Duration::from_secs(1));
        let client = ConcurrencyLimited::new(slow, Arc::new(Semaphore::new(4)));
        let start = Instant::now();
        let request = request();
        join_all((0..20).map(|_| client.complete(&request))).await;
        assert_eq!(client.inner.most_at_once(), 4);
        assert_eq!(start.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_attempt_gives_its_permit_back() {
        let permits = Arc::new(Semaphore::new(1));
        let slow = TestClient::default().taking(Duration::from_secs(9));
        let client = ConcurrencyLimited::new(slow, Arc::clone(&permits));
        let gone = timeout(Duration::from_secs(1), client.complete(&request())).await;
        assert!(gone.is_err());
        assert_eq!(permits.available_permits(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_semaphore_stops_the_run() {
        let permits = Arc::new(Semaphore::new(1));
        permits.close();
        let client = ConcurrencyLimited::new(TestClient::default(), permits);
        let error = client.complete(&request()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert_eq!(client.inner.calls(), 0);
    }
}
