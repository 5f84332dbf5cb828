//! Records what a model was asked and answered, and plays it back.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::request_key::RequestKey;
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::llm::{
    Capabilities, ChatRequest, ChatResponse, LlmClient, OutputFormat, Parameters, Role,
};

/// Parameters that are written as they are. All others may hold anything, and are left out.
const LISTED_PARAMETERS: [&str; 12] = [
    "frequency_penalty",
    "max_completion_tokens",
    "max_output_tokens",
    "n",
    "presence_penalty",
    "reasoning_effort",
    "response_format",
    "seed",
    "stop",
    "thinking",
    "top_k",
    "top_p",
];

/// Parameters that hold headers, of which the listed ones are written.
const HEADERS: [&str; 2] = ["extra_headers", "headers"];
const LISTED_HEADERS: [&str; 3] = ["anthropic-beta", "anthropic-version", "openai-beta"];

/// How the keys of the providers we know begin; what follows is long and has no spaces.
const KEYS: [&str; 9] = [
    "sk-", "sk_", "gsk_", "xai-", "AIza", "hf_", "nvapi-", "fw_", "Bearer ",
];
const KEY_LENGTH: usize = 16;
const REDACTED: &str = "[redacted]";

/// Writes all requests and answers to a file, a cassette, that [`Replayed`] plays back without a model.
///
/// A cassette holds prompts and answers: that is what it is for. It never holds keys: parameters and headers
/// are written only if they are on a list of harmless ones, and what looks like a key in a text is replaced.
/// [`leaks`](Self::leaks) checks a cassette, for a test over the ones you keep.
///
/// The file has one JSON object a line, each written as soon as its answer arrived.
///
/// ```
/// use topicloom::llm::layers::{Recorded, Replayed};
/// # use topicloom::llm::LlmClient;
/// # fn example(client: impl LlmClient) -> topicloom::Result<()> {
/// let client = Recorded::new(client, "run.cassette.jsonl")?;
/// // later, and without a key:
/// let client = Replayed::open("run.cassette.jsonl")?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Recorded<C> {
    inner: C,
    file: Mutex<File>,
}

impl<C: LlmClient> Recorded<C> {
    /// Creates a new cassette.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] where there is such a file already, or it cannot be written.
    pub fn new(inner: C, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let header = Header {
            cassette: 1,
            model: inner.model().to_owned(),
        };
        let mut file = File::create_new(path).map_err(|error| unusable(path, error))?;
        write(&mut file, &header).map_err(|error| unusable(path, error))?;
        Ok(Self {
            inner,
            file: Mutex::new(file),
        })
    }
}

impl Recorded<()> {
    /// Returns what should not be in a cassette's text: keys, headers and parameters that are not listed.
    /// Each is told by its place and name, never by its value.
    #[must_use]
    pub fn leaks(cassette: &str) -> Vec<String> {
        let mut leaks = Vec::new();
        for (number, line) in cassette.lines().enumerate() {
            let place = number + 1;
            if redact(line) != line {
                leaks.push(format!("line {place}: something that looks like a key"));
            }
            let Ok(line) = serde_json::from_str::<Value>(line) else {
                leaks.push(format!("line {place}: no JSON"));
                continue;
            };
            let extra = line.pointer("/request/extra").and_then(Value::as_object);
            for (name, value) in extra.into_iter().flatten() {
                if listed(name, value).as_ref() != Some(value) {
                    leaks.push(format!("line {place}: parameter `{name}`"));
                }
            }
        }
        leaks
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<C: LlmClient> LlmClient for Recorded<C> {
    /// Makes one attempt and writes it down.
    ///
    /// # Errors
    ///
    /// Those of the client. An answer that cannot be written is returned all the same, since it was paid
    /// for; a warning tells of it.
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let result = self.inner.complete(request).await;
        let take = Take {
            key: key(self.inner.model(), request).to_string(),
            request: Asked::of(request),
            outcome: Outcome::of(&result),
        };
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = write(&mut file, &take) {
            tracing::warn!(model = self.inner.model(), %error, "an answer could not be recorded");
        }
        result
    }

    passes_on_the_rest!();
}

/// Answers from a cassette that [`Recorded`] wrote, without a model.
///
/// A request that was recorded several times is answered in the order it was recorded, the last answer again
/// and again. Errors are played back too. Recorded capabilities are not part of a cassette; set them with
/// [`with_capabilities`](Self::with_capabilities) where the pipeline's choice of output format matters.
pub struct Replayed {
    model: String,
    capabilities: Capabilities,
    takes: Mutex<HashMap<RequestKey, VecDeque<Outcome>>>,
}

impl Replayed {
    /// Opens a cassette.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] where the file cannot be read, or is no cassette.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| unusable(path, error))?;
        let mut lines = text.lines();
        let header = serde_json::from_str(lines.next().unwrap_or_default());
        let header: Header = header.map_err(|error| unusable(path, error))?;
        let mut takes: HashMap<_, VecDeque<_>> = HashMap::new();
        for line in lines {
            let take: Take = serde_json::from_str(line).map_err(|error| unusable(path, error))?;
            let key = take.key.parse().map_err(|error| unusable(path, error))?;
            takes.entry(key).or_default().push_back(take.outcome);
        }
        Ok(Self {
            model: header.model,
            capabilities: Capabilities::default(),
            takes: Mutex::new(takes),
        })
    }

    /// Sets what the recorded model could do.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }
}

impl fmt::Debug for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replayed")
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl LlmClient for Replayed {
    /// Answers as recorded.
    ///
    /// # Errors
    ///
    /// Those that were recorded, and [`ErrorKind::Config`] for a request that was not recorded.
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let mut takes = self.takes.lock().unwrap_or_else(PoisonError::into_inner);
        let outcomes = takes.get_mut(&key(&self.model, request)).ok_or_else(|| {
            Error::new(
                ErrorKind::Config,
                "the cassette has no answer to this request; record it again",
            )
            .with_context("model", &self.model)
        })?;
        let outcome = if outcomes.len() > 1 {
            outcomes.pop_front()
        } else {
            outcomes.front().cloned()
        };
        outcome.expect("a recorded request has an outcome").play()
    }

    fn model(&self) -> &str {
        &self.model
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }
}

#[derive(Serialize, Deserialize)]
struct Header {
    cassette: u32,
    model: String,
}

#[derive(Serialize, Deserialize)]
struct Take {
    key: String,
    request: Asked,
    outcome: Outcome,
}

/// A request as it is written down.
#[derive(Serialize, Deserialize)]
struct Asked {
    messages: Vec<(Role, String)>,
    output: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    extra: Map<String, Value>,
    seed: u64,
}

impl Asked {
    fn of(request: &ChatRequest) -> Self {
        let said = |message: &crate::llm::Message| (message.role, redact(&message.text));
        Self {
            messages: request.messages.iter().map(said).collect(),
            output: match &request.output {
                OutputFormat::Text => "text".to_owned(),
                OutputFormat::Json => "json".to_owned(),
                OutputFormat::Schema(schema) => format!("{:?} {}", schema.mode, schema.name),
            },
            temperature: request.parameters.temperature,
            max_tokens: request.parameters.max_tokens,
            extra: listed_parameters(&request.parameters.extra),
            seed: request.seed,
        }
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Answer(ChatResponse),
    Error {
        kind: ErrorKind,
        message: String,
        fatal: bool,
        retryable: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after_ms: Option<u64>,
    },
}

impl Outcome {
    fn of(result: &Result<ChatResponse>) -> Self {
        match result {
            Ok(response) => {
                let mut response = response.clone();
                response.text = redact(&response.text);
                Self::Answer(response)
            }
            Err(error) => Self::Error {
                kind: error.kind(),
                message: redact(error.message()),
                fatal: error.is_fatal(),
                retryable: error.is_retryable(),
                after_ms: match error.retry() {
                    Retry::After(delay) => {
                        Some(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX))
                    }
                    Retry::Never | Retry::Backoff => None,
                },
            },
        }
    }

    fn play(self) -> Result<ChatResponse> {
        match self {
            Self::Answer(response) => Ok(response),
            Self::Error {
                kind,
                message,
                fatal,
                retryable,
                after_ms,
            } => {
                let retry = match (after_ms, retryable) {
                    (Some(delay), _) => Retry::After(Duration::from_millis(delay)),
                    (None, true) => Retry::Backoff,
                    (None, false) => Retry::Never,
                };
                Err(Error::new(kind, message)
                    .with_retry(retry)
                    .with_fatal(fatal))
            }
        }
    }
}

fn unusable(path: &Path, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Config, "the cassette cannot be read or written")
        .with_context("file", path.display().to_string())
        .with_source(error)
}

fn write(file: &mut File, line: &impl Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(line)?;
    line.push(b'\n');
    file.write_all(&line)
}

/// The key of the request as it is written down, so that it is found again with another key or header.
fn key(model: &str, request: &ChatRequest) -> RequestKey {
    let mut written = request.clone();
    written.parameters = Arc::new(Parameters {
        extra: listed_parameters(&request.parameters.extra),
        ..(*request.parameters).clone()
    });
    RequestKey::of(model, &written)
}

fn listed_parameters(extra: &Map<String, Value>) -> Map<String, Value> {
    let listed = |(name, value): (&String, &Value)| Some((name.clone(), listed(name, value)?));
    extra.iter().filter_map(listed).collect()
}

fn listed(name: &str, value: &Value) -> Option<Value> {
    if LISTED_PARAMETERS.contains(&name) {
        return Some(value.clone());
    }
    let headers = value.as_object().filter(|_| HEADERS.contains(&name))?;
    let is_listed = |(name, _): &(&String, &Value)| {
        LISTED_HEADERS
            .iter()
            .any(|listed| listed.eq_ignore_ascii_case(name))
    };
    let headers = headers.iter().filter(is_listed);
    Some(Value::Object(
        headers
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    ))
}

/// Replaces what looks like a key.
fn redact(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, start)) = KEYS
        .iter()
        .filter_map(|start| Some((rest.find(start)?, *start)))
        .min()
    {
        let secret = at + start.len();
        let end = rest[secret..]
            .find(|c| !is_part(c))
            .map_or(rest.len(), |length| secret + length);
        // A key stands by itself: `task-` and `risk-` end in the letters of one.
        let alone = !rest[..at].ends_with(is_part);
        if alone && end - secret >= KEY_LENGTH {
            out.push_str(&rest[..at]);
            out.push_str(REDACTED);
            rest = &rest[end..];
        } else {
            out.push_str(&rest[..secret]);
            rest = &rest[secret..];
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::llm::Message;
    use crate::llm::layers::test_client::{TestClient, request};

    const SECRET: &str = "sk-proj-0123456789abcdefMARKER";

    fn with(extra: Value) -> ChatRequest {
        request().with_parameters(Parameters {
            extra: serde_json::from_value(extra).unwrap(),
            ..Parameters::default()
        })
    }

    fn cassette() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.cassette.jsonl");
        (folder, path)
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_recorded_is_played_back_in_order_errors_too() {
        let (_folder, path) = cassette();
        let delay = Retry::After(Duration::from_millis(1_500));
        let script = vec![
            Err(Error::new(ErrorKind::RateLimited, "slow down").with_retry(delay)),
            Ok(ChatResponse::new("one")),
            Ok(ChatResponse::new("two")),
        ];
        let recorded = Recorded::new(TestClient::answering(script), &path).unwrap();
        for _ in 0..3 {
            let _ = recorded.complete(&request()).await;
        }
        let replayed = Replayed::open(&path).unwrap();
        assert_eq!(replayed.model(), "test/model");
        let error = replayed.complete(&request()).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.retry()),
            (ErrorKind::RateLimited, delay)
        );
        for text in ["one", "two", "two"] {
            assert_eq!(replayed.complete(&request()).await.unwrap().text, text);
        }
        let unknown = replayed
            .complete(&request().with_seed(7))
            .await
            .unwrap_err();
        assert_eq!(unknown.kind(), ErrorKind::Config);
    }

    #[tokio::test(start_paused = true)]
    async fn no_key_gets_into_a_cassette_and_it_is_played_back_with_another() {
        let (_folder, path) = cassette();
        let keys = |key: &str| {
            let mut request = with(json!({
                "api_key": key,
                "top_p": 0.5,
                "extra_headers": {"Authorization": format!("Bearer {key}"), "X-Own": key, "Anthropic-Beta": "x-1"},
                "custom": {"token": key},
            }));
            request.messages.push(Message::user("and a question"));
            request
        };
        let leaky = Error::new(ErrorKind::Auth, format!("the key {SECRET} is wrong"));
        let script = vec![
            Ok(ChatResponse::new(format!("your key is {SECRET}."))),
            Err(leaky),
        ];
        let recorded = Recorded::new(TestClient::answering(script), &path).unwrap();
        let mut telling = keys(SECRET);
        telling
            .messages
            .push(Message::user(format!("my key: {SECRET}")));
        let _ = recorded.complete(&keys(SECRET)).await;
        let _ = recorded.complete(&telling).await;

        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            !text.contains("MARKER") && !text.contains("X-Own") && !text.contains("api_key"),
            "{text}"
        );
        assert!(
            text.contains("Anthropic-Beta") && text.contains("top_p"),
            "{text}"
        );
        assert_eq!(Recorded::leaks(&text), [""; 0]);
        let replayed = Replayed::open(&path).unwrap();
        assert!(replayed.complete(&keys("another")).await.is_ok());
    }

    #[test]
    fn the_check_finds_what_was_put_in_by_hand() {
        let line = |extra: Value| json!({"request": {"extra": extra}}).to_string();
        assert_eq!(Recorded::leaks(&line(json!({"top_p": 0.5}))), [""; 0]);
        assert_eq!(
            Recorded::leaks(&line(json!({"api_key": "x"}))),
            ["line 1: parameter `api_key`"]
        );
        let header = json!({"extra_headers": {"cookie": "x"}});
        assert_eq!(
            Recorded::leaks(&line(header)),
            ["line 1: parameter `extra_headers`"]
        );
        let key = json!({"text": format!("it is {SECRET}")}).to_string();
        assert_eq!(
            Recorded::leaks(&key),
            ["line 1: something that looks like a key"]
        );
        assert_eq!(Recorded::leaks("no json"), ["line 1: no JSON"]);
    }

    #[test]
    fn only_what_looks_like_a_key_is_replaced() {
        assert_eq!(redact(&format!("a {SECRET}, b")), "a [redacted], b");
        assert_eq!(redact("Bearer abcdefghijklmnop.qrst"), "[redacted]");
        for text in [
            "risk-averse-investors-everywhere",
            "sk-short",
            "a task-oriented-dialogue-system",
            "日本 sk-",
        ] {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn a_cassette_is_not_written_over() {
        let (_folder, path) = cassette();
        drop(Recorded::new(TestClient::default(), &path).unwrap());
        assert!(Recorded::new(TestClient::default(), &path).is_err());
    }
}
