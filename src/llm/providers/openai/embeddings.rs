//! OpenAI's embeddings, and whoever else speaks that format.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use reqwest::header::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::failure::Call;
use super::super::options::ClientOptions;
use super::{auth_header, endpoint, error, preset_for};
use crate::embedding::Embedder;
use crate::error::{Error, ErrorKind, Result};
use crate::llm::http::{Endpoint, Transport, parse_json};
use crate::llm::{ApiKey, ChatRequest, Message, ModelName, Usage};

/// An [`Embedder`] for every provider that has OpenAI's `/embeddings`.
///
/// Key and base URL are those of the provider's models: from the options, or from the environment by its
/// [preset](crate::llm::providers::presets). OpenAI, Azure, Mistral, Together, Fireworks, Ollama, vLLM, llama.cpp and
/// text-embeddings-inference are known to have the endpoint; not every provider of chat has.
///
/// One call is one attempt, and asks for all texts it is given: [`Batched`](crate::embedding::Batched) and
/// [`Retrying`](crate::llm::layers::Retrying) go around it. What it costs is in no report and under no budget of a
/// run; [`usage`](Self::usage) tells it. A price per token is some hundredth of that of a small model's answers.
///
/// ```no_run
/// use topicloom::llm::providers::{ClientOptions, OpenAiEmbedder};
///
/// let model = "openai/text-embedding-3-small".parse()?;
/// let embedder = OpenAiEmbedder::new(&model, ClientOptions::new())?.dimensions(512);
/// # Ok::<(), topicloom::Error>(())
/// ```
pub struct OpenAiEmbedder {
    model: ModelName,
    /// The model's name, and the dimensions where they were chosen.
    name: String,
    dimensions: Option<u32>,
    endpoint: Endpoint,
    key: Option<ApiKey>,
    headers: HeaderMap,
    transport: Transport,
    tokens: AtomicU64,
}

impl OpenAiEmbedder {
    /// Creates a client for this model.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) where a needed key or base URL is neither in the options nor in the
    /// environment, naming the variable to set, or where one of them cannot be used.
    pub fn new(model: &ModelName, options: ClientOptions) -> Result<Self> {
        let preset = preset_for(model);
        let (base, at_home) =
            options.endpoint(preset.base_url_variables, preset.base_url, model.provider())?;
        let needs_key = preset.needs_key && (at_home || preset.base_url.is_none());
        let key = options.key(preset.key_variables, needs_key, model.provider())?;
        let auth = key.as_ref().map(|key| auth_header(preset, key));
        Ok(Self {
            endpoint: endpoint(preset.path, base, model.model(), "embeddings"),
            name: model.as_str().to_owned(),
            model: model.clone(),
            dimensions: None,
            headers: options.headers(auth, &[])?,
            key,
            transport: options.into_transport(),
            tokens: AtomicU64::new(0),
        })
    }

    /// Asks for vectors of so many dimensions, which models of the `text-embedding-3` family and some others can
    /// shorten. The default is the model's own length.
    #[must_use]
    pub fn dimensions(mut self, dimensions: u32) -> Self {
        self.dimensions = Some(dimensions);
        self.name = format!("{} {dimensions}", self.model.as_str());
        self
    }

    /// Returns the tokens of all calls so far, as the provider counted them.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage::new(self.tokens.load(Ordering::Relaxed), 0)
    }

    fn malformed(&self, message: &'static str) -> Error {
        Error::new(ErrorKind::Malformed, message).with_context("model", self.model.as_str())
    }
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    input: &'a [&'a str],
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u32>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    data: Vec<Embedding>,
    #[serde(default)]
    usage: Option<Tokens>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Embedding {
    #[serde(default)]
    index: Option<usize>,
    embedding: Vec<f32>,
}

#[derive(Deserialize)]
struct Tokens {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    total_tokens: Option<u64>,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Embedder for OpenAiEmbedder {
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let body = Body {
            model: self.model.model(),
            input: texts,
            dimensions: self.dimensions,
        };
        let body = serde_json::to_vec(&body).expect("texts and numbers can be written as JSON");
        let reply = self
            .transport
            .post(&self.endpoint, self.headers.clone(), body)
            .await
            .map_err(|error| error.with_context("model", self.model.as_str()))?;
        // Told only so that a refusal can be shown without what it echoes.
        let refused = |within_success: Option<Value>| {
            let request = ChatRequest::new(texts.iter().copied().map(Message::user).collect());
            let call = Call {
                model: self.model.as_str(),
                key: self.key.as_ref(),
                request: &request,
            };
            match within_success {
                Some(body) => error::refused_within_success(&call, &reply, body),
                None => error::refused(&call, &reply),
            }
        };
        if !reply.is_success() {
            return Err(refused(None));
        }
        let answer: Answer = parse_json(&reply.headers, &reply.body)
            .map_err(|error| error.with_context("model", self.model.as_str()))?;
        if let Some(failure) = answer.error {
            return Err(refused(Some(serde_json::json!({ "error": failure }))));
        }
        if let Some(usage) = &answer.usage {
            let tokens = usage.prompt_tokens.or(usage.total_tokens).unwrap_or(0);
            self.tokens.fetch_add(tokens, Ordering::Relaxed);
        }
        if answer.data.len() != texts.len() {
            return Err(self
                .malformed("the provider returned another number of embeddings than of texts")
                .with_context("texts", texts.len().to_string())
                .with_context("embeddings", answer.data.len().to_string()));
        }
        // In the order of the texts, whatever the order they came in; servers that give no index keep it.
        let mut vectors = vec![None; texts.len()];
        for (at, embedding) in answer.data.into_iter().enumerate() {
            if let Some(place) = vectors.get_mut(embedding.index.unwrap_or(at)) {
                *place = Some(embedding.embedding);
            }
        }
        vectors
            .into_iter()
            .collect::<Option<_>>()
            .ok_or_else(|| self.malformed("the provider's embeddings have wrong indices"))
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// Shows model and host; no key, no header, no path.
impl fmt::Debug for OpenAiEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiEmbedder")
            .field("model", &self.name)
            .field("endpoint", &self.endpoint)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one call with `status` and `body`; returns what came of it, and what was sent.
    async fn embed(
        texts: &[&str],
        status: u16,
        body: &str,
    ) -> (Result<Vec<Vec<f32>>>, String, OpenAiEmbedder) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut sent = String::new();
            while !sent.ends_with('}') {
                let mut buffer = [0; 4096];
                let read = stream.read(&mut buffer).await.unwrap();
                sent.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
            }
            let head = format!(
                "HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all((head + body).as_bytes()).await.unwrap();
            sent
        };
        let options = ClientOptions::new()
            .base_url(format!("http://{address}/v1"))
            .api_key("sk-a-key-for-tests");
        let model = "openai/text-embedding-3-small".parse().unwrap();
        let embedder = OpenAiEmbedder::new(&model, options).unwrap().dimensions(2);
        let (vectors, sent) = tokio::join!(embedder.embed(texts), serve);
        (vectors, sent, embedder)
    }

    #[tokio::test]
    async fn vectors_come_in_the_order_of_the_texts_and_tokens_are_counted() {
        let body = r#"{"object": "list", "data": [
            {"object": "embedding", "index": 1, "embedding": [0.5, -1e-3]},
            {"object": "embedding", "index": 0, "embedding": [1, 2]}
        ], "usage": {"prompt_tokens": 7, "total_tokens": 7}}"#;
        let (vectors, sent, embedder) = embed(&["one", "two"], 200, body).await;
        assert_eq!(vectors.unwrap(), [[1.0, 2.0], [0.5, -1e-3]]);
        assert_eq!(embedder.usage(), Usage::new(7, 0));
        assert_eq!(embedder.name(), "openai/text-embedding-3-small 2");
        let (head, body) = sent.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /v1/embeddings HTTP/1.1\r\n"));
        assert!(head.contains("authorization: Bearer sk-a-key-for-tests"));
        let expected = r#"{"model":"text-embedding-3-small","input":["one","two"],"dimensions":2}"#;
        assert_eq!(body, expected);
    }

    #[tokio::test]
    async fn what_is_no_answer_to_the_texts_is_malformed() {
        for body in [
            r#"{"data": [{"embedding": [1, 2]}]}"#,
            r#"{"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]}"#,
            r#"{"data": [{"index": 0, "embedding": [1]}, {"index": 9, "embedding": [1]}]}"#,
            r#"{"data": [{"embedding": "AAAA"}, {"embedding": [1]}]}"#,
        ] {
            let (vectors, ..) = embed(&["one", "two"], 200, body).await;
            assert_eq!(vectors.unwrap_err().kind(), ErrorKind::Malformed, "{body}");
        }
    }

    #[tokio::test]
    async fn refusals_are_told_apart_as_those_of_chats_are_and_show_no_text() {
        for (status, body, kind) in [
            (
                429,
                r#"{"error": {"code": "insufficient_quota", "message": "secret-text-here"}}"#,
                ErrorKind::Quota,
            ),
            (
                400,
                r#"{"error": {"message": "This model's maximum context length is 8192 tokens"}}"#,
                ErrorKind::ContextLength,
            ),
            (
                404,
                r#"{"error": {"code": "secret-text-here"}}"#,
                ErrorKind::UnknownModel,
            ),
            (
                200,
                r#"{"error": {"code": 502, "message": "upstream"}}"#,
                ErrorKind::Overloaded,
            ),
        ] {
            let (vectors, _, embedder) = embed(&["secret-text-here"], status, body).await;
            let error = vectors.unwrap_err();
            assert_eq!(error.kind(), kind, "{body}");
            for shown in [format!("{error:?}"), format!("{embedder:?}")] {
                assert!(
                    !shown.contains("secret") && !shown.contains("sk-a"),
                    "{shown}"
                );
            }
        }
    }
}
