//! From a model's name to its client.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub use super::known_provider::KnownProvider;

use super::no_calls::NoCalls;
use super::{LlmClient, ModelName, OfflineModel, ProviderSettings};
use crate::closest::closest;
use crate::embedding::Embedder;
#[cfg(feature = "providers")]
use crate::environment;
use crate::error::{Error, ErrorKind, Result};

#[cfg(feature = "providers")]
use super::providers::{
    AnthropicClient, ClientOptions, GeminiClient, OllamaClient, OpenAiClient, base_url_variables,
    preset,
};

/// The provider of the embedded model, which needs no key and no network.
pub const OFFLINE: &str = "offline";

/// What stands before the slash of a static embedding model, whose directory stands behind it.
pub const STATIC: &str = "static";

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

/// Returns the providers that are known by their names, those of a protocol of their own last.
#[must_use]
pub fn known_providers() -> Vec<KnownProvider> {
    #[cfg(feature = "providers")]
    let known = super::providers::known();
    #[cfg(not(feature = "providers"))]
    let known = Vec::new();
    let offline = KnownProvider {
        name: OFFLINE,
        other_names: Vec::new(),
        base_url: None,
        base_url_variables: Vec::new(),
        key_variables: Vec::new(),
        needs_key: false,
    };
    known.into_iter().chain([offline]).collect()
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
    configured: BTreeMap<String, ProviderSettings>,
    without_calls: bool,
    #[cfg(feature = "providers")]
    http_client: Option<reqwest::Client>,
}

impl ModelRegistry {
    /// Creates a registry of the library's own providers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a registry whose models end a run that asks them: for one that makes its records of the answers in a journal, and
    /// needs no key. See [`ReadOnlyJournal`](crate::journal::ReadOnlyJournal).
    #[must_use]
    pub fn without_calls() -> Self {
        Self {
            without_calls: true,
            ..Self::default()
        }
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

    /// Reaches a provider as these settings say: one that is known, or one of a new name that speaks OpenAI's format.
    /// What is registered under the same name wins.
    #[must_use]
    pub fn configure(mut self, provider: impl Into<String>, settings: ProviderSettings) -> Self {
        self.configured.insert(provider.into(), settings);
        self
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
        if self.without_calls {
            return Ok(Arc::new(NoCalls(name.clone())));
        }
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

    /// Returns a client for an embedding model of a known provider that has OpenAI's `/embeddings`, or reads the static model of
    /// the directory behind `static/`, which needs the feature `static-embeddings`.
    ///
    /// # Errors
    ///
    /// As [`client`](Self::client); where there is no client for embeddings, which needs the feature `providers`; and where a
    /// static model cannot be read.
    pub fn embedder(&self, name: &ModelName) -> Result<Arc<dyn Embedder>> {
        // Nobody is asked, so there is no call to leave out.
        if name.provider() == STATIC {
            return static_embedder(name);
        }
        if self.without_calls {
            return Ok(Arc::new(NoCalls(name.clone())));
        }
        #[cfg(feature = "providers")]
        if self.knows(name.provider()) || name.provider() == "gemini" {
            let options = self.options(name.provider())?;
            let embedder = super::providers::OpenAiEmbedder::new(name, options)?;
            return Ok(Arc::new(embedder));
        }
        Err(self.unknown(name))
    }

    /// Returns the names of all known providers, the caller's own first.
    #[must_use]
    pub fn providers(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.own.iter().map(|(name, _)| name.as_str()).collect();
        names.extend(known_providers().iter().map(|known| known.name));
        names
    }

    #[cfg(feature = "providers")]
    fn library_client(&self, name: &ModelName) -> Option<Result<Arc<dyn LlmClient>>> {
        let provider = name.provider();
        let options = match self.options(provider) {
            Ok(options) => options,
            Err(error) => return Some(Err(error)),
        };
        Some(match provider {
            "anthropic" => AnthropicClient::new(name, options).map(shared),
            "gemini" => GeminiClient::new(name, options).map(shared),
            "ollama" => OllamaClient::new(name, options).map(shared),
            _ if self.knows(provider) => OpenAiClient::new(name, options).map(shared),
            _ => return None,
        })
    }

    /// Returns whether there is a way to a provider of OpenAI's format: it is known, or set up here or in the environment.
    #[cfg(feature = "providers")]
    fn knows(&self, provider: &str) -> bool {
        self.configured.contains_key(provider)
            || preset(provider).is_some()
            || has_base_url(provider)
    }

    /// Returns what a provider's clients are made with.
    #[cfg(feature = "providers")]
    fn options(&self, provider: &str) -> Result<ClientOptions> {
        let options = match self.configured.get(provider) {
            Some(settings) => ClientOptions::of(settings, provider)?,
            None => ClientOptions::new(),
        };
        Ok(match &self.http_client {
            Some(client) => options.http_client(client.clone()),
            None => options,
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
        Error::new(
            ErrorKind::Config,
            format!("`{provider}` is no known provider; {}", advice(name, meant)),
        )
        .with_context("model", name.as_str())
    }
}

#[cfg(feature = "static-embeddings")]
fn static_embedder(name: &ModelName) -> Result<Arc<dyn Embedder>> {
    let embedder = crate::embedding::StaticEmbedder::open(name.model())?;
    Ok(Arc::new(embedder))
}

#[cfg(not(feature = "static-embeddings"))]
fn static_embedder(name: &ModelName) -> Result<Arc<dyn Embedder>> {
    let message = "a static embedding model needs the feature `static-embeddings`, without which this was built; build it with \
        that feature, or name an embedding model of a provider";
    Err(Error::new(ErrorKind::Config, message).with_context("model", name.as_str()))
}

#[cfg(not(feature = "providers"))]
fn advice(_: &ModelName, _: Option<&str>) -> String {
    "the library was built without the feature `providers`".to_owned()
}

#[cfg(feature = "providers")]
fn advice(name: &ModelName, meant: Option<&str>) -> String {
    let meant = meant.map_or_else(String::new, |meant| {
        format!("did you mean `{meant}/{}`? If not, ", name.model())
    });
    let variables = base_url_variables(&[], name.provider());
    format!(
        "{meant}for a server that speaks OpenAI's format, set {} to its URL or name it in `providers`; \
         `topicloom models` lists those that are known",
        variables[0]
    )
}

/// Returns whether the environment says where a provider of this name is.
#[cfg(feature = "providers")]
fn has_base_url(provider: &str) -> bool {
    base_url_variables(&[], provider)
        .iter()
        .any(|variable| environment::var(variable).is_some_and(|url| !url.trim().is_empty()))
}

#[cfg(feature = "providers")]
fn shared<C: LlmClient>(client: C) -> Arc<dyn LlmClient> {
    Arc::new(client)
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
        assert!(message("fireworks_a/x").contains("`fireworks_ai/x`"));
        let said = message("nothing-like-it/x");
        assert!(said.contains("NOTHING_LIKE_IT_API_BASE"), "{said}");
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

    #[cfg(feature = "providers")]
    #[test]
    fn gemini_has_embeddings() {
        let name = "gemini/gemini-embedding-001".parse().unwrap();
        if let Err(error) = ModelRegistry::new().embedder(&name) {
            assert!(error.message().contains("GEMINI_API_KEY"), "{error}");
        }
    }
}
