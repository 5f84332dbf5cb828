//! OpenAI's chat completions, and other servers that speak that format.

mod embeddings;
mod error;
mod responses;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use super::connection::Connection;
use super::gemini;
use super::options::ClientOptions;
use super::presets::{Auth, COMPATIBLE, OutputLimit, Path, Preset, preset};
use crate::environment;
use crate::error::Result;
use crate::llm::http::Endpoint;
use crate::llm::{ApiKey, Capabilities, ChatRequest, ChatResponse, LlmClient, ModelName};

pub use embeddings::OpenAiEmbedder;

/// A client for every provider that speaks OpenAI's chat completions.
///
/// The provider part of the name chooses a [preset](super::presets): base URL, key variable, and how the
/// provider differs. A name that no preset has needs a base URL in the options.
///
/// A temperature is left out for models that are known to refuse it. Parameters beyond temperature and output limit
/// are sent as they are; those that the library sets itself (`model`, `messages`, `stream`, `n`, and the output format
/// where one is asked for) are refused, and so are settings of other libraries' clients (`api_key`, `timeout`).
///
/// A model that the provider says chat completions do not reach is asked for
/// [responses](https://platform.openai.com/docs/api-reference/responses) from then on.
///
/// One call is one attempt: there are no retries and, but for connecting, no time limits in here.
///
/// ```no_run
/// use topicloom::llm::providers::{ClientOptions, OpenAiClient};
///
/// // Key and base URL from `OPENAI_API_KEY` and `OPENAI_BASE_URL`.
/// let gpt = OpenAiClient::new(&"openai/gpt-4o-mini".parse()?, ClientOptions::new())?;
/// // A server of one's own.
/// let own = OpenAiClient::new(
///     &"house/qwen3-32b".parse()?,
///     ClientOptions::new().base_url("http://10.0.0.7:8000/v1"),
/// )?;
/// # Ok::<(), topicloom::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct OpenAiClient {
    connection: Connection,
    preset: &'static Preset,
    capabilities: Capabilities,
    /// Whether the endpoint is the provider's own, so that what only it understands may be sent.
    at_home: bool,
    /// Where responses are asked for, and whether the model was found to be reached by them alone.
    responses: Option<Endpoint>,
    by_responses: Arc<AtomicBool>,
}

impl OpenAiClient {
    /// Creates a client for this model.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) where a needed key or base URL is neither in the options nor in the
    /// environment, naming the variable to set, or where one of them cannot be used.
    pub fn new(name: &ModelName, options: ClientOptions) -> Result<Self> {
        let preset = preset_for(name);
        let (modes, dialect) = options.output(preset.output_modes(name.model()), preset.dialect);
        let mut capabilities = Capabilities::structured(modes, dialect);
        if preset.wants_cache_marks(name.model()) {
            capabilities = capabilities.with_warm_up();
        }
        let (connection, at_home, responses) = connect(name, preset, CHAT, options)?;
        Ok(Self {
            connection,
            responses,
            by_responses: Arc::default(),
            preset,
            capabilities,
            at_home,
        })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    fn body<'a>(&'a self, request: &'a ChatRequest) -> wire::Body<'a> {
        let model = self.connection.name.model();
        let reasons = self.preset.reasons(model);
        let new_limit = match self.preset.output_limit {
            OutputLimit::MaxTokens => false,
            // Azure is at home wherever it is, and a deployment's name does not tell whether it reasons.
            OutputLimit::MaxCompletionTokens => {
                self.at_home || self.preset.base_url.is_none() || reasons
            }
        };
        // Reasoning that is switched off makes temperature acceptable again.
        let reasoning_off = request
            .parameters
            .extra("reasoning_effort")
            .is_some_and(|effort| effort == "none");
        wire::Body {
            model,
            request,
            modes: self.capabilities.output_modes,
            limit_name: if new_limit {
                "max_completion_tokens"
            } else {
                "max_tokens"
            },
            temperature: request
                .parameters
                .temperature
                .filter(|_| reasoning_off || !reasons),
            cache_key: request
                .cache_key
                .as_deref()
                .filter(|_| self.preset.prompt_cache_key && self.at_home),
            mark_cache: self.preset.wants_cache_marks(model),
            require_parameters: self.preset.require_parameters,
        }
    }
}

/// Returns the row of the model's provider, or the one for servers that have none.
fn preset_for(name: &ModelName) -> &'static Preset {
    preset(name.provider()).unwrap_or(&COMPATIBLE)
}

/// Connects to a service of a provider. Returns also whether that is at the provider's own URL, and where responses are
/// beside it.
fn connect(
    name: &ModelName,
    preset: &Preset,
    service: &str,
    options: ClientOptions,
) -> Result<(Connection, bool, Option<Endpoint>)> {
    let (base, at_home) =
        options.endpoint(preset.base_url_variables, preset.base_url, name.provider())?;
    // A server that stands in for a provider often has no key. Azure is nowhere but at its users' own URLs.
    let needs_key = preset.needs_key && (at_home || preset.base_url.is_none());
    let key = options.key(preset.key_variables, needs_key, name.provider())?;
    let auth = key.as_ref().map(|key| auth_header(preset, key));
    let responses = (!base.path_ends_with(service))
        .then(|| endpoint(preset.path, base.clone(), name.model(), "responses"));
    let connection = Connection {
        name: name.clone(),
        endpoint: endpoint(preset.path, base, name.model(), service),
        headers: options.headers(auth, &[])?,
        key,
        transport: options.into_transport(),
        refused: error::refused,
    };
    Ok((connection, at_home, responses))
}

fn auth_header(preset: &Preset, key: &ApiKey) -> (&'static str, String) {
    match preset.auth {
        Auth::Bearer => ("authorization", format!("Bearer {}", key.expose())),
        Auth::ApiKey => ("api-key", key.expose().to_owned()),
    }
}

const CHAT: &str = "chat/completions";

/// Returns where `service` is below a base URL, which may also be the whole URL.
fn endpoint(path: Path, base: Endpoint, model: &str, service: &str) -> Endpoint {
    if base.path_ends_with(service) {
        return base;
    }
    match path {
        Path::Plain => base.join(service),
        Path::BesideOwn if base.path_contains("/openai") => base.join(service),
        Path::BesideOwn => gemini::versioned(base).join("openai").join(service),
        Path::BelowV1 if base.path_ends_with("/v1") => base.join(service),
        Path::BelowV1 => base.join("v1").join(service),
        Path::Azure => {
            let base = match environment::var("AZURE_API_VERSION") {
                Some(version) if !version.is_empty() && !base.has_query("api-version") => {
                    base.with_query("api-version", &version)
                }
                _ => base,
            };
            if base.path_ends_with("/openai/v1") || base.path_contains("/openai/deployments/") {
                base.join(service)
            } else if base.has_query("api-version") {
                base.join(&format!("openai/deployments/{model}"))
                    .join(service)
            } else {
                base.join("openai/v1").join(service)
            }
        }
    }
}

#[async_trait]
impl LlmClient for OpenAiClient {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let chat = self.body(request);
        if !self.by_responses.load(Ordering::Relaxed) {
            let result = self.connection.complete(request, &chat).await;
            match &result {
                Err(error) if error.message() == error::NO_CHAT && self.responses.is_some() => {
                    self.by_responses.store(true, Ordering::Relaxed);
                }
                _ => return result,
            }
        }
        let endpoint = self
            .responses
            .as_ref()
            .expect("it is there where it was chosen");
        let connection = Connection {
            endpoint: endpoint.clone(),
            ..self.connection.clone()
        };
        connection.complete(request, &responses::body(&chat)).await
    }

    fn model(&self) -> &str {
        self.connection.name.as_str()
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn url(provider: &str, base: &str) -> String {
        let path = preset(provider).unwrap().path;
        endpoint(path, Endpoint::parse(base).unwrap(), "gpt", CHAT)
            .url()
            .to_string()
    }

    #[test]
    fn every_usual_form_of_a_base_url_leads_to_the_chat() {
        for (provider, base, expected) in [
            ("openai", "http://h/v1", "http://h/v1/chat/completions"),
            ("openai", "http://h/v1/", "http://h/v1/chat/completions"),
            (
                "openai",
                "http://h/v1/chat/completions",
                "http://h/v1/chat/completions",
            ),
            (
                "ollama",
                "http://h:11434",
                "http://h:11434/v1/chat/completions",
            ),
            (
                "ollama",
                "http://h:11434/v1",
                "http://h:11434/v1/chat/completions",
            ),
            (
                "azure",
                "https://x.openai.azure.com",
                "https://x.openai.azure.com/openai/v1/chat/completions",
            ),
            (
                "azure",
                "https://x.openai.azure.com/openai/v1/",
                "https://x.openai.azure.com/openai/v1/chat/completions",
            ),
            (
                "azure",
                "https://x.openai.azure.com/?api-version=2024-10-21",
                "https://x.openai.azure.com/openai/deployments/gpt/chat/completions?api-version=2024-10-21",
            ),
        ] {
            assert_eq!(url(provider, base), expected);
        }
    }

    #[test]
    fn a_name_no_preset_has_needs_a_base_url() {
        let name: ModelName = "house/model".parse().unwrap();
        let error = OpenAiClient::new(&name, ClientOptions::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let options = ClientOptions::new().base_url("http://localhost:1/v1");
        assert!(OpenAiClient::new(&name, options).is_ok());
    }
}
