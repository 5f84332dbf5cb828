//! Anthropic's messages.

mod error;
mod wire;

use std::fmt;

use async_trait::async_trait;
use reqwest::header::HeaderMap;

use super::failure::Call;
use super::options::ClientOptions;
use super::parameters;
use crate::error::Result;
use crate::llm::OutputMode::{self, Strict, Tool};
use crate::llm::http::{Endpoint, Reply, Transport, parse_json, rate_anthropic};
use crate::llm::{ApiKey, Capabilities, ChatRequest, ChatResponse, LlmClient, ModelName};
use crate::schema::Dialect;

pub(super) const BASE_URL: &str = "https://api.anthropic.com";
pub(super) const BASE_URL_VARIABLES: &[&str] = &["ANTHROPIC_BASE_URL"];
pub(super) const KEY_VARIABLES: &[&str] = &["ANTHROPIC_API_KEY"];

/// The version of the format: <https://docs.anthropic.com/en/api/versioning>.
const VERSION: &str = "2023-06-01";

/// The output limit that is sent where the caller gives none, since the API insists on one. It is the most that
/// Claude 3.5 takes, later models take more; some thousand words, room for many records.
const DEFAULT_MAX_TOKENS: u64 = 8_192;

/// Models from before structured output, which came with 4.5, know tools; the largest of 2026 refuse to have a tool
/// forced on them (pydantic-ai, `profiles/anthropic.py`).
const OUTPUT: &[(&str, &[OutputMode])] = &[
    ("claude-2", &[]),
    ("claude-3", &[Tool]),
    ("claude-sonnet-4-0", &[Tool]),
    ("claude-sonnet-4-2", &[Tool]),
    ("claude-opus-4-0", &[Tool]),
    ("claude-opus-4-2", &[Tool]),
    ("claude-fable-5", &[Strict]),
    ("claude-mythos", &[Strict]),
    ("", &[Strict, Tool]),
];

/// Models that refuse `temperature` (Opus from 4.7 on; pydantic-ai, `profiles/anthropic.py`).
const NO_TEMPERATURE: &[&str] = &[
    "claude-opus-4-7",
    "claude-opus-4-8",
    "claude-opus-4-9",
    "claude-opus-5",
    "claude-fable-5",
    "claude-mythos",
];

/// A client for Anthropic's models, `anthropic/...`.
///
/// System messages become the system prompt, and a message that ends a stable prefix is marked for the prompt
/// cache. An entry of that cache can be used once the first answer has started, so the
/// [capabilities](LlmClient::capabilities) ask for one call to go ahead. Where no output limit is given, 8 192
/// tokens are sent, since the API insists on one. A temperature is left out for models that are known to refuse it.
///
/// One call is one attempt: there are no retries and, but for connecting, no time limits in here.
///
/// ```no_run
/// use topicloom::llm::providers::{AnthropicClient, ClientOptions};
///
/// // The key from `ANTHROPIC_API_KEY`.
/// let claude = AnthropicClient::new(&"anthropic/claude-haiku-4-5".parse()?, ClientOptions::new())?;
/// # Ok::<(), topicloom::Error>(())
/// ```
#[derive(Clone)]
pub struct AnthropicClient {
    name: ModelName,
    capabilities: Capabilities,
    endpoint: Endpoint,
    key: Option<ApiKey>,
    headers: HeaderMap,
    transport: Transport,
}

impl AnthropicClient {
    /// Creates a client for this model.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) where the key is neither in the options nor in the environment, naming the
    /// variable to set, or where key or base URL cannot be used.
    pub fn new(name: &ModelName, options: ClientOptions) -> Result<Self> {
        let (base, at_home) =
            options.endpoint(BASE_URL_VARIABLES, Some(BASE_URL), name.provider())?;
        let key = options.key(KEY_VARIABLES, at_home, name.provider())?;
        let auth = key
            .as_ref()
            .map(|key| ("x-api-key", key.expose().to_owned()));
        let headers = options.headers(auth, &[("anthropic-version", VERSION)])?;
        let row = OUTPUT
            .iter()
            .find(|(prefix, _)| name.model().starts_with(prefix));
        let modes = row.map_or(&[][..], |(_, modes)| *modes);
        let (modes, dialect) = options.output(modes, Dialect::Anthropic);
        Ok(Self {
            endpoint: if base.path_ends_with("/v1") {
                base.join("messages")
            } else {
                base.join("v1/messages")
            },
            name: name.clone(),
            capabilities: Capabilities::structured(modes, dialect).with_warm_up(),
            key,
            headers,
            transport: options.into_transport(),
        })
    }

    fn body<'a>(&'a self, request: &'a ChatRequest) -> wire::Body<'a> {
        let model = self.name.model();
        let refused = NO_TEMPERATURE
            .iter()
            .any(|prefix| model.starts_with(prefix));
        wire::Body {
            model,
            request,
            max_tokens: request.parameters.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS),
            temperature: request.parameters.temperature.filter(|_| !refused),
        }
    }
}

/// Reads a reply, whatever it is.
fn read(reply: &Reply, call: &Call<'_>) -> Result<ChatResponse> {
    if !reply.is_success() {
        return Err(error::refused(call, reply));
    }
    let answer: wire::Answer = parse_json(&reply.headers, &reply.body)
        .map_err(|error| error.with_context("model", call.model))?;
    if answer.is_failure() {
        return Err(error::refused_within_success(call, reply));
    }
    let rate = rate_anthropic(&reply.headers, reply.at);
    answer
        .into_response()
        .map(|response| response.with_rate(rate))
        .map_err(|error| error.with_context("model", call.model).with_rate(rate))
}

#[async_trait]
impl LlmClient for AnthropicClient {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        parameters::check(&request.parameters, &request.output)?;
        let body = serde_json::to_vec(&self.body(request))
            .expect("text, numbers and JSON values under text keys can be written as JSON");
        let reply = self
            .transport
            .post(&self.endpoint, self.headers.clone(), body)
            .await
            .map_err(|error| error.with_context("model", self.name.as_str()))?;
        let call = Call {
            model: self.name.as_str(),
            key: self.key.as_ref(),
            request,
        };
        read(&reply, &call).map_err(|error| reply.explain(error))
    }

    fn model(&self) -> &str {
        self.name.as_str()
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }
}

/// Shows model and host; no key, no header, no path.
impl fmt::Debug for AnthropicClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnthropicClient")
            .field("model", &self.name.as_str())
            .field("endpoint", &self.endpoint)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
