//! Gemini's `generateContent`.

mod error;
mod wire;

use async_trait::async_trait;

use super::connection::Connection;
use super::options::ClientOptions;
use super::presets::{self, Path, Preset};
use crate::error::Result;
use crate::llm::OutputMode::{self, Json, Strict, Tool};
use crate::llm::http::Endpoint;
use crate::llm::{Capabilities, ChatRequest, ChatResponse, LlmClient, ModelName};
use crate::schema::Dialect;

pub(super) const BASE_URL: &str = "https://generativelanguage.googleapis.com/v1beta";
pub(super) const BASE_URL_VARIABLES: &[&str] = &[];
pub(super) const KEY_VARIABLES: &[&str] = &["GEMINI_API_KEY", "GOOGLE_API_KEY"];

pub(super) const NAME: &str = "gemini";

/// Its endpoints in OpenAI's format, which embeddings are asked of: <https://ai.google.dev/gemini-api/docs/openai>.
pub(super) const COMPATIBLE: Preset = Preset {
    name: NAME,
    base_url: Some(BASE_URL),
    base_url_variables: BASE_URL_VARIABLES,
    key_variables: KEY_VARIABLES,
    needs_key: true,
    path: Path::BesideOwn,
    ..presets::COMPATIBLE
};

/// `responseJsonSchema` constrains what is generated: <https://ai.google.dev/gemini-api/docs/structured-output>.
const OUTPUT: &[OutputMode] = &[Strict, Tool, Json];

/// A client for Gemini's models, `gemini/...`.
///
/// The key goes into a header and never into the URL. Parameters with `OpenAI`'s names, such as `top_p`, are sent under
/// Gemini's; whatever is not known goes into `generationConfig` as it is.
///
/// One call is one attempt: there are no retries and, but for connecting, no time limits in here.
///
/// ```no_run
/// use topicloom::llm::providers::{ClientOptions, GeminiClient};
///
/// // The key from `GEMINI_API_KEY`.
/// let gemini = GeminiClient::new(&"gemini/gemini-2.5-flash".parse()?, ClientOptions::new())?;
/// # Ok::<(), topicloom::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct GeminiClient {
    connection: Connection,
    capabilities: Capabilities,
}

impl GeminiClient {
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
            .map(|key| ("x-goog-api-key", key.expose().to_owned()));
        let headers = options.headers(auth, &[])?;
        let (modes, dialect) = options.output(OUTPUT, Dialect::Gemini);
        Ok(Self {
            connection: Connection {
                name: name.clone(),
                endpoint: versioned(base).join(&format!("models/{}:generateContent", name.model())),
                key,
                headers,
                transport: options.into_transport(),
                refused: error::refused,
            },
            capabilities: Capabilities::structured(modes, dialect),
        })
    }
}

/// Returns a base URL with the version of the API, which it may leave out.
pub(super) fn versioned(base: Endpoint) -> Endpoint {
    if base.path_contains("/v1") {
        base
    } else {
        base.join("v1beta")
    }
}

#[async_trait]
impl LlmClient for GeminiClient {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        self.connection
            .complete(request, &wire::body(request))
            .await
    }

    fn model(&self) -> &str {
        self.connection.name.as_str()
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }
}
