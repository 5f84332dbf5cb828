//! From a model's name to its client.

use std::fmt;
use std::sync::Arc;

use super::{LlmClient, ModelName, OfflineModel};
use crate::closest::closest;
use crate::embedding::Embedder;
use crate::error::{Error, ErrorKind, Result};

#[cfg(feature = "providers")]
use super::providers::{AnthropicClient, ClientOptions, GeminiClient, OpenAiClient, presets};

/// The provider of the embedded model, which needs no key and no network.
pub const OFFLINE: &str = "offline";

type MakeClient = dyn Fn(&ModelName) -> Result<Arc<dyn LlmClient>> + Send + Sync;

/// Returns a client for a model of a known provider; key and base URL come from the environment.
///
/// ```no_run
/// let client = topicloom::llm::models::client_for(&"openai/gpt-4o-mini".parse()?)?;
/// # Ok::<(), topicloom::Error>(())
/// ```
///
/// # Errors
///
/// [`Config`](ErrorKind::Config) for an unknown provider, with the closest known names, and for a missing key
/// or base URL, with the variable to set.
pub fn client_for(name: &ModelName) -> Result<Arc<dyn LlmClient>> {
    ModelRegistry::new().client(name)
}

/// Knows a client for each provider: the library's own, and those a caller adds.
///
/// ```
/// use topicloom::llm::models::ModelRegistry;
/// # #[cfg(feature = "providers")] {
/// use topicloom::llm::providers::ClientOptions;
///
/// let registry = ModelRegistry::new().compatible(
///     "house",
///     ClientOptions::new().base_url("http://localhost:8000/v1"),
/// );
/// let client = registry.client(&"house/qwen3-32b".parse()?)?;
/// assert_eq!(client.model(), "house/qwen3-32b");
/// # }
/// # Ok::<(), topicloom::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct ModelRegistry {
    own: Vec<(String, Arc<MakeClient>)>,
    #[cfg(feature = "providers")]
    http_client: Option<reqwest::Client>,
}

impl ModelRegistry {
    /// Creates a registry of the library's own providers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes clients for names that start with `provider/` in this way. A provider registered later wins over
    /// one registered earlier, and both win over the library's own.
    #[must_use]
    pub fn register<F>(mut self, provider: impl Into<String>, make: F) -> Self
    where
        F: Fn(&ModelName) -> Result<Arc<dyn LlmClient>> + Send + Sync + 'static,
    {
        self.own.push((provider.into(), Arc::new(make)));
        self
    }

    /// Makes OpenAI-compatible clients with these options for names that start with `provider/`: a server of
    /// one's own under a new name, or a known provider set up differently.
    #[cfg(feature = "providers")]
    #[must_use]
    pub fn compatible(self, provider: impl Into<String>, options: ClientOptions) -> Self {
        self.register(provider, move |name| {
            Ok(Arc::new(OpenAiClient::new(name, options.clone())?))
        })
    }

    /// Sends through this client instead of the shared pool, for the library's own providers; see
    /// [`ClientOptions::http_client`].
    #[cfg(feature = "providers")]
    #[must_use]
    pub fn http_client(mut self, client: reqwest::Client) -> Self {
        self.http_client = Some(client);
        self
    }

    /// Returns a client for a model.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) for an unknown provider, with the closest known names, and for a missing
    /// key or base URL, with the variable to set; and whatever a registered maker returns.
    pub fn client(&self, name: &ModelName) -> Result<Arc<dyn LlmClient>> {
        let provider = name.provider();
        if let Some((_, make)) = self.own.iter().rev().find(|(own, _)| own == provider) {
            return make(name);
        }
        if provider == OFFLINE {
            return Ok(Arc::new(OfflineModel::new(name.as_str())));
        }
        self.library_client(name)
            .unwrap_or_else(|| Err(self.unknown(name)))
    }

    /// Returns a client for an embedding model of a known provider that has OpenAI's `/embeddings`.
    ///
    /// # Errors
    ///
    /// As [`client`](Self::client); and where there is no client for embeddings, which needs the feature `providers`.
    pub fn embedder(&self, name: &ModelName) -> Result<Arc<dyn Embedder>> {
        #[cfg(feature = "providers")]
        if library_providers().any(|known| known == name.provider()) {
            let mut options = ClientOptions::new();
            if let Some(client) = &self.http_client {
                options = options.http_client(client.clone());
            }
            return Ok(Arc::new(super::providers::OpenAiEmbedder::new(
                name, options,
            )?));
        }
        Err(self.unknown(name))
    }

    /// Returns the names of all known providers, the caller's own first.
    #[must_use]
    pub fn providers(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.own.iter().map(|(name, _)| name.as_str()).collect();
        names.extend(library_providers());
        names
    }

    #[cfg(feature = "providers")]
    fn library_client(&self, name: &ModelName) -> Option<Result<Arc<dyn LlmClient>>> {
        let mut options = ClientOptions::new();
        if let Some(client) = &self.http_client {
            options = options.http_client(client.clone());
        }
        Some(match name.provider() {
            "anthropic" => AnthropicClient::new(name, options).map(shared),
            "gemini" => GeminiClient::new(name, options).map(shared),
            provider if presets().iter().any(|preset| preset.name == provider) => {
                OpenAiClient::new(name, options).map(shared)
            }
            _ => return None,
        })
    }

    #[cfg(not(feature = "providers"))]
    #[allow(clippy::unused_self)] // With the feature it looks into the registry.
    fn library_client(&self, _: &ModelName) -> Option<Result<Arc<dyn LlmClient>>> {
        None
    }

    fn unknown(&self, name: &ModelName) -> Error {
        let provider = name.provider();
        let known = self.providers();
        // `together` is near nothing in letters, but the beginning of `together_ai`.
        let meant = closest(provider, known.iter().copied()).or_else(|| {
            known
                .iter()
                .copied()
                .find(|known| known.starts_with(provider) || provider.starts_with(known))
        });
        let advice = if let Some(meant) = meant {
            format!("did you mean `{meant}/{}`?", name.model())
        } else if cfg!(feature = "providers") {
            format!("known are {}", known.join(", "))
        } else {
            "the library was built without the feature `providers`".to_owned()
        };
        Error::new(
            ErrorKind::Config,
            format!("`{provider}` is no known provider; {advice}"),
        )
        .with_context("model", name.as_str())
    }
}

#[cfg(feature = "providers")]
fn shared<C: LlmClient>(client: C) -> Arc<dyn LlmClient> {
    Arc::new(client)
}

fn library_providers<'a>() -> impl Iterator<Item = &'a str> {
    #[cfg(feature = "providers")]
    let names = presets()
        .iter()
        .map(|preset| preset.name)
        .chain(["anthropic", "gemini"]);
    #[cfg(not(feature = "providers"))]
    let names = std::iter::empty();
    names.chain([OFFLINE])
}

/// Shows the names it knows.
impl fmt::Debug for ModelRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelRegistry")
            .field("providers", &self.providers())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: &str) -> String {
        let error = client_for(&name.parse().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        error.message().to_owned()
    }

    #[test]
    fn the_embedded_model_needs_nothing_and_keeps_its_name() {
        let client = client_for(&"offline/mine".parse().unwrap()).unwrap();
        assert_eq!(client.model(), "offline/mine");
    }

    #[cfg(feature = "providers")]
    #[test]
    fn an_unknown_provider_is_answered_with_the_closest_names() {
        assert!(message("opnai/gpt-4").contains("`openai/gpt-4`"));
        assert!(message("together/x").contains("`together_ai/x`"));
        assert!(message("nothing-like-it/x").contains("known are openai, azure"));
    }

    #[test]
    fn the_offline_model_needs_no_feature_and_no_key() {
        let client = client_for(&"offline/loom".parse().unwrap()).unwrap();
        assert_eq!(client.model(), "offline/loom");
    }

    #[test]
    fn a_callers_own_provider_wins() {
        let registry = ModelRegistry::new().register("openai", |_| {
            Err(Error::new(ErrorKind::Plugin, "mine was asked"))
        });
        let error = registry
            .client(&"openai/gpt-4".parse().unwrap())
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Plugin);
    }
}
