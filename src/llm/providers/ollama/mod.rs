//! Ollama: its OpenAI-compatible endpoint, and its own API for what only that one knows.

mod wire;

use std::fmt;

use async_trait::async_trait;

use super::failure::Call;
use super::openai::{OpenAiClient, refused, refused_within_success};
use super::options::ClientOptions;
use super::parameters;
use crate::error::Result;
use crate::llm::http::{Endpoint, Reply, parse_json};
use crate::llm::{Capabilities, ChatRequest, ChatResponse, LlmClient, ModelName};

/// A client for Ollama's models, `ollama/...`.
///
/// The OpenAI-compatible endpoint ignores what it does not know, such as `num_ctx`, `think` and `keep_alive`. A request with
/// such a parameter goes to Ollama's own API, where all of them do what they say: `think`, `keep_alive` and `options` as
/// they are, and any other as one of the `options`.
///
/// One call is one attempt: there are no retries and, but for connecting, no time limits in here.
#[derive(Clone)]
pub struct OllamaClient {
    compatible: OpenAiClient,
    native: Endpoint,
}

impl OllamaClient {
    /// Creates a client for this model.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) where the base URL cannot be used.
    pub fn new(name: &ModelName, options: ClientOptions) -> Result<Self> {
        let compatible = OpenAiClient::new(name, options)?;
        let native = compatible
            .endpoint()
            .without("/chat/completions")
            .without("/v1")
            .join("api/chat");
        Ok(Self { compatible, native })
    }
}

/// Reads a reply, whatever it is.
fn read(reply: &Reply, call: &Call<'_>) -> Result<ChatResponse> {
    if !reply.is_success() {
        return Err(refused(call, reply));
    }
    let answer: serde_json::Value = parse_json(&reply.headers, &reply.body)
        .map_err(|error| error.with_context("model", call.model))?;
    if answer.get("error").is_some_and(|error| !error.is_null()) {
        return Err(refused_within_success(call, reply, answer));
    }
    Ok(wire::response(&answer))
}

#[async_trait]
impl LlmClient for OllamaClient {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        if !wire::is_native(&request.parameters) {
            return self.compatible.complete(request).await;
        }
        parameters::check(&request.parameters, &request.output)?;
        let body = wire::body(self.compatible.name().model(), request);
        let reply = self.compatible.post(&self.native, &body).await?;
        read(&reply, &self.compatible.call(request)).map_err(|error| reply.explain(error))
    }

    fn model(&self) -> &str {
        self.compatible.model()
    }

    fn capabilities(&self) -> Capabilities {
        self.compatible.capabilities()
    }
}

/// Shows model and host; no key, no header, no path.
impl fmt::Debug for OllamaClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OllamaClient")
            .field("model", &self.compatible.name().as_str())
            .field("endpoint", &self.native)
            .finish_non_exhaustive()
    }
}
