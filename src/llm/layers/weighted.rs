//! Spreads requests over several models.

use std::sync::Arc;

use async_trait::async_trait;

use super::common_capabilities;
use crate::error::Result;
use crate::llm::{Capabilities, ChatRequest, ChatResponse, LlmClient};
use crate::random::Random;

/// Spreads requests over several models, in proportion to their weights: different models write differently.
///
/// Which model answers depends on the request's seed alone, so that a request that is asked again goes to the
/// same model, and a seeded run makes the same choices. Answers name their model in `provider_model`.
///
/// ```
/// use topicloom::llm::layers::Weighted;
/// # use topicloom::llm::LlmClient;
/// # fn example(usual: impl LlmClient, rare: impl LlmClient) {
/// let client = Weighted::new(usual, 3).or(rare, 1);
/// # }
/// ```
#[derive(Debug)]
pub struct Weighted {
    models: Vec<(Arc<dyn LlmClient>, u32)>,
}

impl Weighted {
    /// Creates a choice of one model.
    pub fn new(client: impl LlmClient, weight: u32) -> Self {
        Self { models: Vec::new() }.or(client, weight)
    }

    /// Adds a model. With a weight of 0 it is never asked, unless all have that weight: then the first is.
    #[must_use]
    pub fn or(mut self, client: impl LlmClient, weight: u32) -> Self {
        self.models.push((Arc::new(client), weight));
        self
    }

    fn choose(&self, seed: u64) -> &dyn LlmClient {
        let total: u64 = self
            .models
            .iter()
            .map(|(_, weight)| u64::from(*weight))
            .sum();
        let mut place = match total {
            0 => 0,
            total => Random::new(seed).fork("weighted").below(total),
        };
        for (client, weight) in &self.models {
            match place.checked_sub(u64::from(*weight)) {
                Some(rest) => place = rest,
                None => return &**client,
            }
        }
        &*self.models[0].0
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl LlmClient for Weighted {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        self.choose(request.seed).complete(request).await
    }

    /// Returns the name of the first model.
    fn model(&self) -> &str {
        self.models[0].0.model()
    }

    /// Returns what all models can do.
    fn capabilities(&self) -> Capabilities {
        common_capabilities(self.models.iter().map(|(client, _)| client.capabilities()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::layers::test_client::{TestClient, request};

    #[tokio::test(start_paused = true)]
    async fn requests_are_spread_by_weight_and_the_same_seed_goes_to_the_same_model() {
        let models = [(); 3].map(|()| Arc::new(TestClient::default()));
        let [usual, rare, never] = models.each_ref().map(Arc::clone);
        let client = Weighted::new(usual, 3).or(rare, 1).or(never, 0);
        let spread = async || {
            for seed in 0..1_000 {
                client.complete(&request().with_seed(seed)).await.unwrap();
            }
            models.each_ref().map(|model| model.calls())
        };
        let [usual, rare, never] = spread().await;
        assert_eq!((usual + rare, never), (1_000, 0));
        // Three standard deviations around 250.
        assert!(rare.abs_diff(250) < 42, "{rare}");
        assert_eq!(spread().await, [2 * usual, 2 * rare, 0]);
    }

    #[test]
    fn weights_of_zero_leave_the_first() {
        let client = Weighted::new(TestClient::default(), 0).or(TestClient::default(), 0);
        assert!(std::ptr::addr_eq(
            client.choose(7),
            &raw const *client.models[0].0
        ));
    }
}
