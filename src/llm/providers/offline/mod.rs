//! A stand-in for a language model: no key, no network, no intelligence.

mod format;
mod number;
mod pattern;
mod sample;
mod text;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use xxhash_rust::xxh3::Xxh3;

use crate::error::Result;
use crate::llm::{
    Capabilities, ChatRequest, ChatResponse, LlmClient, OutputFormat, OutputMode, Purpose, Usage,
};
use crate::random::Random;
use crate::schema::Dialect;

use sample::Sampler;
use text::{Length, Scribe};

/// Answers every request at once, on its own, with made-up data that fits the asked-for schema.
///
/// It is a stand-in and **not a language model**: it understands no instruction, and what it writes is
/// grammatical, varied and meaningless. It is there to try a pipeline out, to test and to measure it, without
/// a key, a network or a cent.
///
/// What it reads of a request is the schema, and of the prompt these lines:
///
/// - `Topic: …` in the last message: what the texts speak of;
/// - what follows `Instruction:` or `# What the data set is about` (else the user's first message): what
///   invented topics are about;
/// - lines that start with `- `: topics that are not to be invented again.
///
/// The names of fields choose what is written into them: a `question` ends in a question mark, an `email` is
/// an address, a `rating` lies from 1 to 5. Lists at the top of the schema have exactly `minItems` items, or
/// one item where that is not given; ask for `n` records by `minItems: n`. The same seed, the same request
/// and the same [`seed`](ChatRequest::seed) of the request give the same answer; one that differs in any of
/// them gives another. Parameters such as the temperature change nothing, and no output limit is obeyed.
///
/// Tokens are counted as one for every four bytes of the messages, the schema and the answer.
///
/// It understands JSON Schema up to draft 2020-12 with references inside the schema (recursive ones too),
/// `allOf`, `anyOf`, `oneOf`, `not`, `if`, and patterns without back-references and lookbehind. What it cannot
/// satisfy it refuses, naming keyword and place; `unevaluatedProperties`, `unevaluatedItems` and
/// `dependentSchemas` are kept more strictly than they ask.
///
/// ```
/// use std::sync::Arc;
/// use serde_json::{json, Value};
/// use topicloom::llm::{
///     ChatRequest, LlmClient, Message, OfflineModel, OutputFormat, OutputMode, OutputSchema,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> topicloom::Result<()> {
/// let schema = json!({
///     "type": "object",
///     "properties": {"city": {"type": "string"}, "rating": {"type": "integer"}},
///     "required": ["city", "rating"],
/// });
/// let schema = OutputSchema::new("place", schema, OutputMode::Strict);
/// let request = ChatRequest::new(vec![Message::user("Topic: travel")])
///     .with_output(OutputFormat::Schema(Arc::new(schema)));
///
/// let answer = OfflineModel::new("offline/loom").with_seed(7).complete(&request).await?;
/// let place: Value = serde_json::from_str(&answer.text).expect("it always answers JSON");
/// assert!(place["city"].is_string());
/// assert!((1..=5).contains(&place["rating"].as_i64().unwrap()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct OfflineModel {
    name: Arc<str>,
    seed: u64,
    latency: Duration,
}

impl OfflineModel {
    /// Creates a model of this name, which changes nothing else. Its seed is 0, and it answers at once.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            seed: 0,
            latency: Duration::ZERO,
        }
    }

    /// Sets the seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Lets every answer take this long, for demonstrations.
    #[must_use]
    pub fn with_latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    fn answer(&self, request: &ChatRequest) -> Result<String> {
        let random = Random::new(self.seed ^ fingerprint(request)).nth(request.seed);
        let asks_for_topics =
            request.purpose == Purpose::Topics || schema_of(request).is_some_and(has_topics);
        let in_use = if asks_for_topics {
            text::topics_in_use(request)
        } else {
            HashSet::new()
        };
        let topic = text::topic_line(request).map(str::to_owned);
        let subject = if topic.is_none() || asks_for_topics {
            text::instruction_subject(request)
        } else {
            None
        };
        let mut scribe = Scribe::new(random, topic, subject, in_use);
        match &request.output {
            OutputFormat::Schema(output) => {
                let value = Sampler::new(&output.schema, &mut scribe).draw()?;
                Ok(value.to_string())
            }
            OutputFormat::Json => {
                Ok(json!({ "text": scribe.text("text", Length::default()) }).to_string())
            }
            OutputFormat::Text => Ok(scribe.text("text", Length::default())),
        }
    }
}

impl Default for OfflineModel {
    fn default() -> Self {
        Self::new("offline/loom")
    }
}

#[async_trait]
impl LlmClient for OfflineModel {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        let text = self
            .answer(request)
            .map_err(|error| error.with_context("model", &*self.name))?;
        let usage = Usage::new(tokens(asked_bytes(request)), tokens(text.len()));
        Ok(ChatResponse::new(text)
            .with_usage(usage)
            .with_served_by(&*self.name))
    }

    fn model(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::structured(&[OutputMode::Strict], Dialect::Full).repeating_itself()
    }
}

impl fmt::Debug for OfflineModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OfflineModel")
            .field("name", &self.name)
            .field("seed", &self.seed)
            .field("latency", &self.latency)
            .finish()
    }
}

fn schema_of(request: &ChatRequest) -> Option<&Value> {
    match &request.output {
        OutputFormat::Schema(output) => Some(&output.schema),
        _ => None,
    }
}

fn has_topics(schema: &Value) -> bool {
    schema
        .get("properties")
        .is_some_and(|properties| properties.get("topics").is_some())
}

/// Four bytes a token is what English text comes to with the tokenisers of the day.
fn tokens(bytes: usize) -> u64 {
    bytes.div_ceil(4) as u64
}

fn asked_bytes(request: &ChatRequest) -> usize {
    let messages: usize = request
        .messages
        .iter()
        .map(|message| message.text.len())
        .sum();
    messages + schema_of(request).map_or(0, json_bytes)
}

/// About how long a value is as JSON, without writing it.
fn json_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 4,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.iter().map(|item| json_bytes(item) + 1).sum::<usize>(),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| name.len() + 4 + json_bytes(value));
            2 + fields.sum::<usize>()
        }
    }
}

/// Hashes what was asked: messages, schema and purpose.
fn fingerprint(request: &ChatRequest) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&[request.purpose as u8]);
    for message in &request.messages {
        hash.update(&[message.role as u8]);
        hash.update(&(message.text.len() as u64).to_le_bytes());
        hash.update(message.text.as_bytes());
    }
    if let Some(schema) = schema_of(request) {
        hash_value(schema, &mut hash);
    }
    hash.digest()
}

fn hash_value(value: &Value, hash: &mut Xxh3) {
    let mut sized = |mark: u8, len: usize| {
        hash.update(&[mark]);
        hash.update(&(len as u64).to_le_bytes());
    };
    match value {
        Value::Null => sized(b'n', 0),
        Value::Bool(is_true) => sized(b'b', usize::from(*is_true)),
        Value::Number(number) => {
            let text = number.to_string();
            sized(b'0', text.len());
            hash.update(text.as_bytes());
        }
        Value::String(text) => {
            sized(b'"', text.len());
            hash.update(text.as_bytes());
        }
        Value::Array(items) => {
            sized(b'[', items.len());
            for item in items {
                hash_value(item, hash);
            }
        }
        Value::Object(fields) => {
            sized(b'{', fields.len());
            for (name, value) in fields {
                hash.update(&(name.len() as u64).to_le_bytes());
                hash.update(name.as_bytes());
                hash_value(value, hash);
            }
        }
    }
}

#[cfg(test)]
mod tests;
