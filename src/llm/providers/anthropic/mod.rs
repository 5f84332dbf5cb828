//! Anthropic's messages.

mod error;
mod wire;

use async_trait::async_trait;

use super::connection::Connection;
use super::options::ClientOptions;
use crate::error::Result;
use crate::llm::OutputMode::{self, Strict, Tool};
use crate::llm::{Capabilities, ChatRequest, ChatResponse, LlmClient, ModelName};
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

/// A client for Anthropic's models, `anthropic/...`.
///
/// System messages become the system prompt, and a message that ends a stable prefix is marked for the prompt
/// cache. An entry of that cache can be used once the first answer has started, so the
/// [capabilities](LlmClient::capabilities) ask for one call to go ahead. Where no output limit is given, 8 192
/// tokens are sent, since the API insists on one.
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
#[derive(Debug, Clone)]
pub struct AnthropicClient {
    connection: Connection,
    capabilities: Capabilities,
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
        let endpoint = if base.path_ends_with("/v1") {
            base.join("messages")
        } else {
            base.join("v1/messages")
        };
        Ok(Self {
            connection: Connection {
                name: name.clone(),
                endpoint,
                key,
                headers,
                transport: options.into_transport(),
                refused: error::refused,
            },
            capabilities: Capabilities::structured(modes, dialect).with_warm_up(),
        })
    }

    fn body<'a>(&'a self, request: &'a ChatRequest) -> wire::Body<'a> {
        wire::Body {
            model: self.connection.name.model(),
            request,
            max_tokens: request.parameters.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS),
        }
    }
}

#[async_trait]
impl LlmClient for AnthropicClient {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        self.connection.complete(request, &self.body(request)).await
    }

    fn model(&self) -> &str {
        self.connection.name.as_str()
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }
}
