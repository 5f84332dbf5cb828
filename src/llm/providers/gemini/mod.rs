//! Gemini's `generateContent`.

mod error;
mod wire;

use std::fmt;

use async_trait::async_trait;
use reqwest::header::HeaderMap;

use super::failure::Call;
use super::options::ClientOptions;
use super::parameters;
use crate::error::Result;
use crate::llm::OutputMode::{self, Json, Strict, Tool};
use crate::llm::http::{Endpoint, Reply, Transport, parse_json};
use crate::llm::{ApiKey, Capabilities, ChatRequest, ChatResponse, LlmClient, ModelName};
use crate::schema::Dialect;

pub(super) const BASE_URL: &str = "https://generativelanguage.googleapis.com/v1beta";
pub(super) const BASE_URL_VARIABLES: &[&str] = &[];
pub(super) const KEY_VARIABLES: &[&str] = &["GEMINI_API_KEY", "GOOGLE_API_KEY"];

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
#[derive(Clone)]
pub struct GeminiClient {
    name: ModelName,
    capabilities: Capabilities,
    endpoint: Endpoint,
    key: Option<ApiKey>,
    headers: HeaderMap,
    transport: Transport,
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
        let base = if base.path_contains("/v1") {
            base
        } else {
            base.join("v1beta")
        };
        Ok(Self {
            endpoint: base.join(&format!("models/{}:generateContent", name.model())),
            name: name.clone(),
            capabilities: Capabilities::structured(modes, dialect),
            key,
            headers,
            transport: options.into_transport(),
        })
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
    answer
        .into_response()
        .map_err(|error| error.with_context("model", call.model))
}

#[async_trait]
impl LlmClient for GeminiClient {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        parameters::check(&request.parameters, &request.output)?;
        let body = serde_json::to_vec(&wire::body(request))
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
impl fmt::Debug for GeminiClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GeminiClient")
            .field("model", &self.name.as_str())
            .field("endpoint", &self.endpoint)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
