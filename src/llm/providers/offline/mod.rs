//! A stand-in for a language model: no key, no network, no intelligence.

mod number;
mod pattern;
mod sample;
mod subject;
mod text;

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::Result;
use crate::llm::{
    Capabilities, ChatRequest, ChatResponse, LlmClient, OutputFormat, OutputMode, Purpose, Usage,
};
use crate::random::Random;
use crate::schema::Dialect;

use sample::Sampler;
use text::Writer;

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
/// - lines that start with `- `: topics that are not to be invented again;
/// - `text: …`, in a message without a topic: what a `quote` is taken from.
///
/// The names of fields choose what is written into them: a `question` ends in a question mark, an `email` is
/// an address, a `rating` lies from 1 to 5; where a `role` is `user` or `assistant`, they take turns. Lists at the top of the schema have exactly `minItems` items, or
/// one item where that is not given; ask for `n` records by `minItems: n`. The same seed, the same request
/// and the same [`seed`](ChatRequest::seed) of the request give the same answer; one that differs in any of
/// them gives another. Parameters such as the temperature change nothing, and no output limit is obeyed.
///
/// Tokens are counted as one for every four bytes of the messages, the schema and the answer.
///
/// It understands JSON Schema of draft 2020-12 with references inside the schema (recursive ones too), `allOf`,
/// `anyOf`, `oneOf`, `not`, `if`, and patterns without back-references and lookbehind. What it cannot build in it draws
/// until it fits, and what it does not hit it refuses, naming keyword and place; `dependentSchemas` is kept more strictly
/// than it asks.
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
#[derive(Debug, Clone)]
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

    fn answer(&self, request: &ChatRequest, asked: &str) -> Result<String> {
        let schema = schema_of(request);
        let topics = schema.and_then(|schema| schema.pointer("/properties/topics"));
        let asks_for_topics = request.purpose == Purpose::Topics || topics.is_some();
        let mut writer = Writer::new(
            Random::new(self.seed ^ xxh3_64(asked.as_bytes())).nth(request.seed),
            request,
            asks_for_topics,
        );
        Ok(match schema {
            Some(schema) => Sampler::new(schema, &mut writer).value(schema)?.to_string(),
            None if matches!(request.output, OutputFormat::Json) => {
                json!({ "text": writer.text("text", &(0..=usize::MAX)) }).to_string()
            }
            None => writer.text("text", &(0..=usize::MAX)),
        })
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
        let asked = asked(request);
        let text = self
            .answer(request, &asked)
            .map_err(|error| error.with_context("model", &*self.name))?;
        let usage = Usage::new(tokens(asked.len()), tokens(text.len()));
        Ok(ChatResponse::new(text)
            .with_usage(usage)
            .with_provider_model(&*self.name))
    }

    fn model(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::structured(&[OutputMode::Strict], Dialect::Full).repeating_itself()
    }
}

fn schema_of(request: &ChatRequest) -> Option<&Value> {
    match &request.output {
        OutputFormat::Schema(output) => Some(&output.schema),
        _ => None,
    }
}

/// Four bytes a token is what English text comes to with the tokenisers of the day.
fn tokens(bytes: usize) -> u64 {
    bytes.div_ceil(4) as u64
}

/// What was asked, in one text: purpose, messages and schema.
fn asked(request: &ChatRequest) -> String {
    let mut asked = format!("{:?}", request.purpose);
    for message in &request.messages {
        write!(asked, "\n{:?} {}", message.role, message.text).expect("a String takes all");
    }
    if let Some(schema) = schema_of(request) {
        asked.push_str(&schema.to_string());
    }
    asked
}

#[cfg(test)]
mod tests;
