//! What a model is asked, and what it answers.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::schema::{Dialect, canonical};

use super::{AttemptLog, OutputMode, RateSnapshot, Usage};

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// What holds for the whole conversation.
    System,
    /// What is asked.
    User,
    /// What the model said.
    Assistant,
}

/// One message of a conversation.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said. Shared, since most of a prompt is the same in every call of a run.
    pub text: Arc<str>,
    /// Whether the conversation up to and including this message stays the same over many calls, so that a
    /// provider's prefix cache is worth writing.
    pub ends_stable_prefix: bool,
}

impl Message {
    /// Creates a message.
    pub fn new(role: Role, text: impl Into<Arc<str>>) -> Self {
        Self {
            role,
            text: text.into(),
            ends_stable_prefix: false,
        }
    }

    /// Creates a message that holds for the whole conversation.
    pub fn system(text: impl Into<Arc<str>>) -> Self {
        Self::new(Role::System, text)
    }

    /// Creates a message that asks.
    pub fn user(text: impl Into<Arc<str>>) -> Self {
        Self::new(Role::User, text)
    }

    /// Creates a message that the model said.
    pub fn assistant(text: impl Into<Arc<str>>) -> Self {
        Self::new(Role::Assistant, text)
    }

    /// Marks the end of what stays the same over many calls.
    #[must_use]
    pub fn ending_stable_prefix(mut self) -> Self {
        self.ends_stable_prefix = true;
        self
    }
}

/// Shows role and length, never the text.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({:?}, {} bytes)", self.role, self.text.len())
    }
}

/// What a call is for, for reports and limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Purpose {
    /// Inventing topics.
    Topics,
    /// Writing records.
    #[default]
    Records,
    /// Deciding on records.
    Filters,
}

/// How the answer is to be formed.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub enum OutputFormat {
    /// Any text.
    #[default]
    Text,
    /// Some JSON object; which one, the prompt says.
    Json,
    /// A JSON value that fits a schema.
    Schema(Arc<OutputSchema>),
}

/// A schema for the answer, and how firmly it is asked for.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct OutputSchema {
    /// Its name, of at most 64 letters, digits, `_` and `-`.
    pub name: String,
    /// The schema, in the dialect of the backend it is sent to.
    pub schema: Value,
    /// [`Strict`](OutputMode::Strict), [`Schema`](OutputMode::Schema) or [`Tool`](OutputMode::Tool).
    pub mode: OutputMode,
    fingerprint: u128,
    family: u128,
}

impl OutputSchema {
    /// Creates a schema for an answer.
    pub fn new(name: impl Into<String>, schema: Value, mode: OutputMode) -> Self {
        Self {
            name: name.into(),
            fingerprint: canonical::hash(&schema),
            family: canonical::hash(&of_any_count(&schema)),
            schema,
            mode,
        }
    }

    /// Returns a schema of the same family, which is one where what can be done with one can be done with each: they differ in the
    /// value of a field.
    pub(crate) fn with_schema(&self, schema: Value) -> Self {
        Self {
            name: self.name.clone(),
            fingerprint: canonical::hash(&schema),
            family: self.family,
            schema,
            mode: self.mode,
        }
    }

    /// Returns a hash of the schema without how many items the lists at its top have, which differs from request to request.
    pub(crate) fn family(&self) -> u128 {
        self.family
    }

    /// Returns a hash of the schema, the same for every order of keys.
    #[must_use]
    pub fn fingerprint(&self) -> u128 {
        self.fingerprint
    }
}

fn of_any_count(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for list in properties.values_mut().filter_map(Value::as_object_mut) {
            list.shift_remove("minItems");
            list.shift_remove("maxItems");
        }
    }
    schema
}

/// Shows name and mode; a schema's descriptions are the caller's prompt.
impl fmt::Debug for OutputSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputSchema")
            .field("name", &self.name)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

/// Parameters of a call: the two that the library itself reads, and whatever else the caller passes through.
#[derive(Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Parameters {
    /// Sampling temperature; not sent when absent.
    pub temperature: Option<f64>,
    /// The most tokens the answer may have; not sent when absent.
    pub max_tokens: Option<u64>,
    /// Everything else, sent to the provider as it is.
    pub extra: Map<String, Value>,
}

impl Parameters {
    /// Returns what tells them from others in the key of a filter.
    pub(crate) fn key(&self) -> Value {
        json!([self.temperature, self.max_tokens, self.extra])
    }

    /// Returns the value of a passed-through parameter.
    #[must_use]
    pub fn extra(&self, name: &str) -> Option<&Value> {
        self.extra.get(name)
    }

    /// Returns whether the caller limits how long an answer may be, under whichever name.
    pub(crate) fn limits_output(&self) -> bool {
        self.max_tokens.is_some()
            || Self::LIMITS
                .iter()
                .any(|name| self.extra.contains_key(*name))
    }

    /// Names under which callers pass a limit through.
    pub(crate) const LIMITS: [&str; 5] = [
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "maxOutputTokens",
        "num_predict",
    ];
}

/// Shows what the library reads and the names of the rest.
impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parameters")
            .field("temperature", &self.temperature)
            .field("max_tokens", &self.max_tokens)
            .field("extra", &self.extra.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// The task of a run that a call is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TaskRef {
    /// Its number, unique in the run.
    pub id: u64,
    /// Index of its topic in the plan.
    pub topic: usize,
    /// Records it asks for.
    pub wanted: u64,
    /// The round of misses it belongs to, as the journal keeps it.
    pub round: u32,
}

impl TaskRef {
    /// Creates a reference to a task.
    #[must_use]
    pub fn new(id: u64, topic: usize, wanted: u64, round: u32) -> Self {
        Self {
            id,
            topic,
            wanted,
            round,
        }
    }
}

/// One question to a model. Cheap to clone: texts, schema and parameters are shared.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ChatRequest {
    /// The conversation, oldest first.
    pub messages: Vec<Message>,
    /// How the answer is to be formed.
    pub output: OutputFormat,
    /// Temperature, output limit and whatever the caller passes through.
    pub parameters: Arc<Parameters>,
    /// Names the stable prefix, so that a provider can route alike requests to the same cache.
    pub cache_key: Option<Arc<str>>,
    /// What the call is for.
    pub purpose: Purpose,
    /// Tells calls apart where a backend is deterministic: the same request with another seed may be
    /// answered differently. Not sent to providers.
    pub seed: u64,
    /// The task it is asked for, where records are. Not part of what is asked, and not sent to providers.
    pub task: Option<TaskRef>,
    /// Where the attempts are booked that are made for it, where somebody asks.
    pub(crate) attempts: Option<AttemptLog>,
}

impl ChatRequest {
    /// Creates a request for text.
    #[must_use]
    pub fn new(messages: Vec<Message>) -> Self {
        Self {
            messages,
            ..Self::default()
        }
    }

    /// Sets how the answer is to be formed.
    #[must_use]
    pub fn with_output(mut self, output: OutputFormat) -> Self {
        self.output = output;
        self
    }

    /// Sets the parameters.
    #[must_use]
    pub fn with_parameters(mut self, parameters: impl Into<Arc<Parameters>>) -> Self {
        self.parameters = parameters.into();
        self
    }

    /// Sets what the call is for.
    #[must_use]
    pub fn with_purpose(mut self, purpose: Purpose) -> Self {
        self.purpose = purpose;
        self
    }

    /// Sets the seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the task it is asked for.
    #[must_use]
    pub fn with_task(mut self, task: TaskRef) -> Self {
        self.task = Some(task);
        self
    }

    /// Has the attempts that are made for it booked.
    pub(crate) fn with_attempts(mut self, attempts: AttemptLog) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// Names the stable prefix.
    #[must_use]
    pub fn with_cache_key(mut self, key: impl Into<Arc<str>>) -> Self {
        self.cache_key = Some(key.into());
        self
    }

    /// Returns the text of the last message, or an empty text.
    #[must_use]
    pub fn last_text(&self) -> &str {
        self.messages.last().map_or("", |message| &message.text)
    }
}

/// Why the answer ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FinishReason {
    /// The model was done.
    #[default]
    Stop,
    /// The output limit or the context was full.
    Length,
    /// The provider's content filter stopped it.
    ContentFilter,
    /// The model declined.
    Refusal,
    /// Something else, or not said.
    Other,
}

/// One answer of a model. It was paid for, whatever it is worth.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChatResponse {
    /// The text; for a forced tool call, the arguments of the call.
    pub text: String,
    /// Tokens used, as the provider counted them; zero where it did not say.
    #[serde(default)]
    pub usage: Usage,
    /// Why the answer ended.
    #[serde(default)]
    pub finish_reason: FinishReason,
    /// The model that answered, as the provider names it, where it said so.
    #[serde(default, alias = "served_by", skip_serializing_if = "Option::is_none")]
    pub provider_model: Option<String>,
    /// How structured output was asked for, and in which dialect; set by the layer that chose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<(OutputMode, Dialect)>,
    /// The backend that answered, as `provider/model`, where a run could choose between several; set by the
    /// layers of the run, whose journal keeps it beside the answer.
    #[serde(skip)]
    pub backend: Option<Arc<str>>,
    /// What the provider said about its limits; not stored, since it is true only for a moment.
    #[serde(skip)]
    pub rate: Option<RateSnapshot>,
}

impl ChatResponse {
    /// Creates a finished answer of unknown usage.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// Sets the tokens used.
    #[must_use]
    pub fn with_usage(mut self, usage: Usage) -> Self {
        self.usage = usage;
        self
    }

    /// Sets why the answer ended.
    #[must_use]
    pub fn with_finish_reason(mut self, finish_reason: FinishReason) -> Self {
        self.finish_reason = finish_reason;
        self
    }

    /// Sets what the provider said about its limits.
    #[must_use]
    pub fn with_rate(mut self, rate: Option<RateSnapshot>) -> Self {
        self.rate = rate;
        self
    }

    /// Returns the name of the backend that answered, which is `client` unless another one is named.
    pub(crate) fn backend_or<'a>(&'a self, client: &'a dyn super::LlmClient) -> &'a str {
        self.backend.as_deref().unwrap_or(client.model())
    }

    /// Sets the model that answered, as the provider names it.
    #[must_use]
    pub fn with_provider_model(mut self, model: impl Into<String>) -> Self {
        self.provider_model = Some(model.into());
        self
    }
}

/// Shows everything but the text.
impl fmt::Debug for ChatResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatResponse")
            .field("text", &format_args!("{} bytes", self.text.len()))
            .field("usage", &self.usage)
            .field("finish_reason", &self.finish_reason)
            .field("provider_model", &self.provider_model)
            .field("asked", &self.asked)
            .field("backend", &self.backend)
            .field("rate", &self.rate)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_no_text() {
        let request = ChatRequest::new(vec![Message::user("a secret prompt")]);
        let response = ChatResponse::new("a secret answer");
        assert!(!format!("{request:?} {response:?}").contains("secret"));
    }
}
