//! OpenAI's embeddings, and other servers that speak that format.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use data_encoding::BASE64_NOPAD;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::connection::Connection;
use super::super::gemini;
use super::super::options::ClientOptions;
use super::{connect, error, preset_for};
use crate::embedding::Embedder;
use crate::error::{Error, ErrorKind, Result};
use crate::llm::{ChatRequest, Message, ModelName, Usage};

/// An [`Embedder`] for every provider that has OpenAI's `/embeddings`.
///
/// Key and base URL are those of the provider's models: from the options, or from the environment by its
/// [preset](crate::llm::providers::presets). OpenAI, Azure, Gemini, Mistral, Together, Fireworks, Ollama, vLLM, llama.cpp
/// and text-embeddings-inference are known to have the endpoint; not every provider of chat has. Gemini's is `openai/embeddings`
/// below its own base URL.
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
    connection: Connection,
    /// The model's name, and the dimensions where they were chosen.
    name: String,
    dimensions: Option<u32>,
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
        let preset = match model.provider() {
            gemini::NAME => &gemini::COMPATIBLE,
            _ => preset_for(model),
        };
        let (connection, ..) = connect(model, preset, "embeddings", options)?;
        Ok(Self {
            connection,
            name: model.as_str().to_owned(),
            dimensions: None,
            tokens: AtomicU64::new(0),
        })
    }

    /// Asks for vectors of this many dimensions, which models of the `text-embedding-3` family and some others can
    /// shorten. The default is the model's own length.
    #[must_use]
    pub fn dimensions(mut self, dimensions: u32) -> Self {
        self.dimensions = Some(dimensions);
        self.name = format!("{} {dimensions}", self.connection.name.as_str());
        self
    }

    /// Returns the tokens of all calls so far, as the provider counted them.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage::new(self.tokens.load(Ordering::Relaxed), 0)
    }

    fn malformed(&self, message: &'static str) -> Error {
        Error::new(ErrorKind::Malformed, message)
            .with_context("model", self.connection.name.as_str())
    }
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    input: &'a [&'a str],
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u32>,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Embedder for OpenAiEmbedder {
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let body = Body {
            model: self.connection.name.model(),
            input: texts,
            dimensions: self.dimensions,
        };
        // Told only so that a refusal can be shown without what it echoes.
        let request = ChatRequest::new(texts.iter().copied().map(Message::user).collect());
        let (reply, values) = self.connection.post(&request, &body).await?;
        let answer = values.first().expect("a body without JSON is an error");
        let vectors = vectors(answer);
        if let Some(error) = answer.get("error").filter(|error| !error.is_null())
            && vectors.is_empty()
        {
            let call = self.connection.call(&request);
            return Err(error::refused(&call, &reply, &json!({ "error": error })));
        }
        self.tokens.fetch_add(tokens(answer), Ordering::Relaxed);
        if vectors.len() != texts.len() {
            return Err(self
                .malformed("the provider returned another number of embeddings than of texts")
                .with_context("texts", texts.len().to_string())
                .with_context("embeddings", vectors.len().to_string()));
        }
        // In the order of the texts, whatever the order they came in; servers that give no index keep it.
        let mut placed = vec![None; texts.len()];
        for (at, (index, vector)) in vectors.into_iter().enumerate() {
            if let Some(place) = placed.get_mut(index.unwrap_or(at)) {
                *place = Some(vector);
            }
        }
        placed
            .into_iter()
            .collect::<Option<_>>()
            .ok_or_else(|| self.malformed("the provider's embeddings have wrong indices"))
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// Finds the vectors in an answer, each with its index where it has one: OpenAI's `data`, Ollama's and Cohere's
/// `embeddings`, or the bare list of text-embeddings-inference, whatever they are wrapped in.
fn vectors(answer: &Value) -> Vec<(Option<usize>, Vec<f32>)> {
    let item = |item: &Value| {
        let index = item["index"]
            .as_u64()
            .and_then(|index| usize::try_from(index).ok());
        let inner = ["embedding", "values", "vector", "float"]
            .iter()
            .find_map(|key| item.get(*key));
        Some((index, vector(inner.unwrap_or(item))?))
    };
    match answer {
        Value::Array(list) => {
            let found: Option<Vec<_>> = list.iter().map(item).collect();
            match found {
                Some(vectors) => vectors,
                // One vector, or several lists around them.
                None => vector(answer).map_or_else(
                    || {
                        list.iter()
                            .map(vectors)
                            .find(|found| !found.is_empty())
                            .unwrap_or_default()
                    },
                    |one| vec![(None, one)],
                ),
            }
        }
        Value::Object(object) => match item(answer) {
            Some(one) => vec![one],
            None => object
                .values()
                .map(vectors)
                .find(|found| !found.is_empty())
                .unwrap_or_default(),
        },
        _ => Vec::new(),
    }
}

/// Reads a vector: a list of numbers, such a list in a list of its own, or the bytes of its numbers in base 64.
fn vector(value: &Value) -> Option<Vec<f32>> {
    match value {
        Value::Array(list) if list.len() == 1 && list[0].is_array() => vector(&list[0]),
        Value::Array(list) if !list.is_empty() => {
            #[allow(clippy::cast_possible_truncation)] // Vectors are sent with the digits of `f64`.
            let number = |value: &Value| value.as_f64().map(|number| number as f32);
            list.iter()
                .map(number)
                .collect::<Option<_>>()
                .and_then(finite)
        }
        Value::Object(inner) => ["embedding", "values", "vector", "float"]
            .iter()
            .find_map(|key| vector(inner.get(*key)?)),
        Value::String(text) => floats(text).and_then(finite),
        _ => None,
    }
}

fn finite(vector: Vec<f32>) -> Option<Vec<f32>> {
    vector.iter().all(|x| x.is_finite()).then_some(vector)
}

fn floats(text: &str) -> Option<Vec<f32>> {
    let bytes = BASE64_NOPAD
        .decode(text.trim_end_matches('=').as_bytes())
        .ok()?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    let vector = || numbers.iter().copied().map(f32::from_le_bytes).collect();
    (!numbers.is_empty() && rest.is_empty()).then(vector)
}

/// Returns the tokens of a call, where they are told.
fn tokens(answer: &Value) -> u64 {
    let usage = answer.get("usage");
    let count = |name: &str| usage?.get(name)?.as_u64();
    count("prompt_tokens")
        .or_else(|| count("total_tokens"))
        .unwrap_or(0)
}

/// Shows model and host; no key, no header, no path.
impl fmt::Debug for OpenAiEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiEmbedder")
            .field("model", &self.name)
            .field("connection", &self.connection)
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
    async fn vectors_are_found_in_every_form() {
        for body in [
            r#"{"data": [{"index": 0, "embedding": [1, 2]}, {"index": 1, "embedding": [3, 4]}], "usage": null}"#,
            r#"{"data": [{"index": "0", "embedding": [1, 2]}, {"embedding": [3, 4]}], "usage": {"prompt_tokens": -1}}"#,
            r#"{"data": [{"embedding": "AACAPwAAAEA="}, {"embedding": "AABAQAAAgEA="}], "model": {}, "usage": "x"}"#,
            r#"{"data": [{"embedding": [[1, 2]]}, {"embedding": [[3, 4]]}], "error": null}"#,
            r#"{"data": {"data": [{"embedding": {"values": [1, 2]}}, {"embedding": {"values": [3, 4]}}]}}"#,
            r#"[{"index": 1, "embedding": [[3, 4]]}, {"index": 0, "embedding": [[1, 2]]}]"#,
            r#"{"model": "m", "embeddings": [[1, 2], [3, 4]], "prompt_eval_count": 3}"#,
            r#"{"id": "x", "embeddings": {"float": [[1, 2], [3, 4]]}, "texts": ["one", "two"]}"#,
            "[[1, 2], [3, 4]]",
            "\u{feff}[[1.0, 2e0], [3, 4]]\n",
        ] {
            let (vectors, ..) = embed(&["one", "two"], 200, body).await;
            let vectors = vectors.unwrap_or_else(|error| panic!("{body}: {error}"));
            assert_eq!(vectors, [[1.0, 2.0], [3.0, 4.0]], "{body}");
        }
        for body in [
            r#"{"embedding": [1, 2]}"#,
            r#"{"data": {"embedding": [1, 2]}}"#,
        ] {
            let (vectors, ..) = embed(&["one"], 200, body).await;
            assert_eq!(vectors.unwrap(), [[1.0, 2.0]], "{body}");
        }
    }

    #[tokio::test]
    async fn what_is_no_answer_to_the_texts_is_malformed() {
        for body in [
            r#"{"data": [{"embedding": [1, 2]}]}"#,
            r#"{"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]}"#,
            r#"{"data": [{"index": 0, "embedding": [1]}, {"index": 9, "embedding": [1]}]}"#,
            r#"{"data": [{"embedding": "AAAA"}, {"embedding": [1]}]}"#,
            r#"{"data": [{"embedding": [1]}, {"embedding": [null]}]}"#,
            r#"{"data": [{"embedding": [1]}, {"embedding": [1e300]}]}"#,
            r#"{"data": [{"embedding": "AACAPw=="}, {"embedding": "AADAfw=="}]}"#,
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

    #[test]
    fn gemini_has_them_below_openai() {
        let google = "https://generativelanguage.googleapis.com";
        for (base, path) in [
            (None, format!("{google}/v1beta/openai/embeddings")),
            (Some(google), format!("{google}/v1beta/openai/embeddings")),
            (
                Some("http://localhost:1/v1beta"),
                "http://localhost:1/v1beta/openai/embeddings".to_owned(),
            ),
            (
                Some("http://localhost:1/v1beta/openai/"),
                "http://localhost:1/v1beta/openai/embeddings".to_owned(),
            ),
        ] {
            let options = ClientOptions::new().api_key("a-key-for-tests");
            let options = match base {
                Some(base) => options.base_url(base),
                None => options,
            };
            let model = "gemini/gemini-embedding-001".parse().unwrap();
            let embedder = OpenAiEmbedder::new(&model, options).unwrap();
            assert_eq!(embedder.connection.endpoint.url().as_str(), path);
            let key = embedder.connection.headers.get("authorization").unwrap();
            assert_eq!(key, "Bearer a-key-for-tests");
        }
    }
}
