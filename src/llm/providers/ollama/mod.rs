//! Ollama: its OpenAI-compatible endpoint, and its own API for what only that one knows.

mod wire;

use async_trait::async_trait;

use super::connection::Connection;
use super::openai::OpenAiClient;
use super::options::ClientOptions;
use crate::error::Result;
use crate::llm::{Capabilities, ChatRequest, ChatResponse, LlmClient, ModelName};

/// A client for Ollama's models, `ollama/...`.
///
/// The OpenAI-compatible endpoint ignores what it does not know, such as `num_ctx`, `think` and `keep_alive`. A request with
/// such a parameter goes to Ollama's own API, where all of them do what they say: `think`, `keep_alive` and `options` as
/// they are, and any other as one of the `options`.
///
/// One call is one attempt: there are no retries and, but for connecting, no time limits in here.
#[derive(Debug, Clone)]
pub struct OllamaClient {
    compatible: OpenAiClient,
    native: Connection,
}

impl OllamaClient {
    /// Creates a client for this model.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) where the base URL cannot be used.
    pub fn new(name: &ModelName, options: ClientOptions) -> Result<Self> {
        let compatible = OpenAiClient::new(name, options)?;
        let connection = compatible.connection();
        let native = Connection {
            endpoint: connection
                .endpoint
                .without("/chat/completions")
                .without("/v1")
                .join("api/chat"),
            ..connection.clone()
        };
        Ok(Self { compatible, native })
    }
}

#[async_trait]
impl LlmClient for OllamaClient {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        if !wire::is_native(&request.parameters) {
            return self.compatible.complete(request).await;
        }
        let body = wire::body(self.native.name.model(), request);
        self.native.complete(request, &body).await
    }

    fn model(&self) -> &str {
        self.compatible.model()
    }

    fn capabilities(&self) -> Capabilities {
        self.compatible.capabilities()
    }
}
