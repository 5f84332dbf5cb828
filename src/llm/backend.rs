//! Who is asked: backends, and models that are a choice of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::layers::{Fallback, RateLimiter, Weighted};
use super::models::{ModelRegistry, OFFLINE};
use super::{Capabilities, ChatRequest, ChatResponse, LlmClient, ModelName, Parameters, RateLimit};
use crate::error::Result;

/// A client, and what its provider is known to take.
#[derive(Clone)]
pub(crate) struct Backend {
    pub(crate) client: Arc<dyn LlmClient>,
    /// `None` asks as much as the run wants.
    pub(crate) limiter: Option<Arc<RateLimiter>>,
    /// Whether another process makes the calls, which then has the layers that are about one call: time-out, rate limiter
    /// and fallbacks of output mode and parameters.
    pub(crate) is_leased: bool,
}

/// Who is asked, and how.
#[derive(Clone)]
pub(crate) struct Model {
    /// Backends with their weights; at least one.
    pub(crate) choices: Vec<(Backend, u32)>,
    /// Who is asked, in order, when the chosen backend is out.
    pub(crate) fallbacks: Vec<Backend>,
    pub(crate) parameters: Arc<Parameters>,
}

impl Backend {
    pub(crate) fn new(client: impl LlmClient) -> Self {
        Self {
            client: Arc::new(client),
            limiter: None,
            is_leased: false,
        }
    }

    /// Finds a client by its name. All runs of the process share the rate limiter of a provider's model, as they share
    /// its limits; the embedded model has none.
    pub(crate) fn named(
        name: &ModelName,
        models: &ModelRegistry,
        limits: &BTreeMap<String, RateLimit>,
    ) -> Result<Self> {
        let of_provider = format!("{}/*", name.provider());
        let said = [name.as_str(), &of_provider, "*"];
        let limit = said.into_iter().find_map(|named| limits.get(named));
        let limiter = if name.provider() == OFFLINE {
            limit.map(|_| Arc::new(RateLimiter::new(name.as_str())))
        } else {
            Some(RateLimiter::shared(name.as_str()))
        };
        if let (Some(limiter), Some(limit)) = (&limiter, limit) {
            limit.apply(limiter);
        }
        Ok(Self {
            client: models.client(name)?,
            limiter,
            is_leased: false,
        })
    }

    /// Returns whether this is the same client in the same rate limiter.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let limiter = |backend: &Self| backend.limiter.as_ref().map(Arc::as_ptr);
        Arc::ptr_eq(&self.client, &other.client) && limiter(self) == limiter(other)
    }
}

impl Model {
    /// Returns every backend, the choices first.
    pub(crate) fn backends(&self) -> impl Iterator<Item = &Backend> {
        let choices = self.choices.iter().map(|(backend, _)| backend);
        choices.chain(&self.fallbacks)
    }

    /// Returns a client that spreads calls over the backends, each with its layers.
    pub(crate) fn client(
        &self,
        layers: impl Fn(&Backend) -> Arc<dyn LlmClient>,
    ) -> Arc<dyn LlmClient> {
        if let ([(alone, _)], []) = (&*self.choices, &*self.fallbacks) {
            return layers(alone);
        }
        let leaf = |backend: &Backend| -> Arc<dyn LlmClient> {
            let inner = layers(backend);
            let name = inner.model().into();
            Arc::new(Labelled { inner, name })
        };
        let fallbacks: Vec<_> = self.fallbacks.iter().map(leaf).collect();
        // One chain for each choice, so that a choice that is out does not take the others with it.
        let mut chains = self.choices.iter().map(|(backend, weight)| {
            let first = leaf(backend);
            if fallbacks.is_empty() {
                return (first, *weight);
            }
            let chain = fallbacks.iter().fold(Fallback::new(first), |chain, next| {
                chain.then(Arc::clone(next))
            });
            (Arc::new(chain) as Arc<dyn LlmClient>, *weight)
        });
        let (first, weight) = chains.next().expect("a model has at least one backend");
        if self.choices.len() == 1 {
            return first;
        }
        let spread = chains.fold(Weighted::new(first, weight), |spread, (client, weight)| {
            spread.or(client, weight)
        });
        Arc::new(spread)
    }
}

/// Writes on each answer which backend gave it, where there are several.
#[derive(Debug)]
struct Labelled {
    inner: Arc<dyn LlmClient>,
    name: Arc<str>,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl LlmClient for Labelled {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let mut response = self.inner.complete(request).await?;
        response.backend = Some(Arc::clone(&self.name));
        Ok(response)
    }

    fn model(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}
