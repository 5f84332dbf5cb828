//! Builds an input in Rust.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::read::{Source, read};
use super::settings::seconds;
use super::{GenerateByTopicInput, angles, deduplication, providers, topics};
use crate::dedup::Deduplication;
use crate::error::Result;
use crate::fault::InputFault;
use crate::llm::ProviderSettings;
use crate::llm::price::Price;
use crate::plan::TopicSpec;
use crate::record::JsonRecord;
use crate::schema::{Field, RecordSchema};
use crate::topic::Angles;

/// Builds a [`GenerateByTopicInput`]; each setter stands for the key of the JSON form.
///
/// What is not set has its default. Nothing is checked before [`build`](Self::build), which reports all faults
/// together.
pub struct GenerateByTopicInputBuilder<T = JsonRecord> {
    source: Source,
    record: PhantomData<fn() -> T>,
}

impl Default for GenerateByTopicInputBuilder {
    fn default() -> Self {
        Self::from_source(Source::default())
    }
}

impl<T> GenerateByTopicInputBuilder<T> {
    pub(super) fn from_source(source: Source) -> Self {
        Self {
            source,
            record: PhantomData,
        }
    }

    /// Sets what to generate, in words.
    #[must_use]
    pub fn user_instruction(self, instruction: impl Into<String>) -> Self {
        self.set("user_instruction", instruction.into())
    }

    /// Sets how many records are wanted in total. The default is 10.
    #[must_use]
    pub fn num_records(self, records: u64) -> Self {
        self.set("num_records", records)
    }

    /// Leaves the total to the topics: each one given gets [`records_per_topic`](Self::records_per_topic).
    #[must_use]
    pub fn no_num_records(self) -> Self {
        self.set("num_records", Value::Null)
    }

    /// Sets how many records a topic gets where nothing else decides it. The default is 10.
    #[must_use]
    pub fn records_per_topic(self, records: u64) -> Self {
        self.set("records_per_topic", records)
    }

    /// Adds topics: names, or pairs of a name and a count. Without any, topics are generated.
    #[must_use]
    pub fn topics<S: Into<TopicSpec>>(mut self, topics: impl IntoIterator<Item = S>) -> Self {
        let added = topics
            .into_iter()
            .map(|topic| topics::to_json(&topic.into()));
        if let Value::Array(entries) = self.entry("topics", || json!([])) {
            entries.extend(added);
        }
        self
    }

    /// Adds a topic.
    #[must_use]
    pub fn topic(self, name: impl Into<String>) -> Self {
        self.topics([name.into()])
    }

    /// Adds a topic that gives this many records.
    #[must_use]
    pub fn topic_with_count(self, name: impl Into<String>, count: u64) -> Self {
        self.topics([(name, count)])
    }

    /// Sets the model that invents topics, as `provider/model`. The default is `openai/gpt-4o-mini`.
    #[must_use]
    pub fn topic_model(self, name: impl Into<String>) -> Self {
        self.set("topic_model_name", name.into())
    }

    /// Sets a parameter for the model that invents topics. The default temperature is 1.
    #[must_use]
    pub fn topic_parameter(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.set_in("topic_model_kwargs", name, value)
    }

    /// Sets all parameters for the model that invents topics: a JSON object.
    #[must_use]
    pub fn topic_parameters(self, parameters: impl Into<Value>) -> Self {
        self.set("topic_model_kwargs", parameters)
    }

    /// Sets the model that writes records, as `provider/model`. The default is `openai/gpt-4o-mini`.
    #[must_use]
    pub fn generation_model(self, name: impl Into<String>) -> Self {
        self.set("generation_model_name", name.into())
    }

    /// Sets a parameter for the model that writes records.
    #[must_use]
    pub fn generation_parameter(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.set_in("generation_model_kwargs", name, value)
    }

    /// Sets all parameters for the model that writes records: a JSON object.
    #[must_use]
    pub fn generation_parameters(self, parameters: impl Into<Value>) -> Self {
        self.set("generation_model_kwargs", parameters)
    }

    /// Sets how a provider is reached, by the name that stands before the slash of a model's name. By default the
    /// environment says so, and what the library knows of the provider.
    #[must_use]
    pub fn provider(self, name: impl Into<String>, settings: &ProviderSettings) -> Self {
        let name = name.into();
        let one = [(name.clone(), settings.clone())].into();
        let settings = providers::to_json(&one)[&name].take();
        self.set_in("providers", name, settings)
    }

    /// Sets what a model costs, named as `provider/model`, or what all models of a provider do, as `provider/*`.
    #[must_use]
    pub fn price(self, model: impl Into<String>, price: &Price) -> Self {
        self.set_in("prices", model, json!(price))
    }

    /// Has records of a type of your own made, in the shape that its `schemars` and `serde` attributes describe.
    #[must_use]
    pub fn output<U: JsonSchema + DeserializeOwned + Send + 'static>(
        self,
    ) -> GenerateByTopicInputBuilder<U> {
        let typed = GenerateByTopicInputBuilder::from_source(self.source);
        typed.schema(RecordSchema::from_type::<U>())
    }

    /// Sets the shape of a record as a list of fields. The default is a question and an answer.
    #[must_use]
    pub fn output_fields(self, fields: impl IntoIterator<Item = Field>) -> Self {
        let fields: Vec<Field> = fields.into_iter().collect();
        self.schema(RecordSchema::from_fields(&fields))
    }

    /// Sets the shape of a record as a JSON Schema.
    #[must_use]
    pub fn output_json_schema(self, schema: impl Into<Value>) -> Self {
        let schema = schema.into();
        let mut builder = self.schema(RecordSchema::from_json_schema(schema.clone()));
        builder
            .source
            .document
            .insert("output_schema".to_owned(), schema);
        builder
    }

    /// Sets the shape of a record.
    #[must_use]
    pub fn output_schema(self, schema: RecordSchema) -> Self {
        self.schema(Ok(schema))
    }

    /// Sets how many calls are in flight at once. The default is 10.
    #[must_use]
    pub fn max_concurrency(self, calls: usize) -> Self {
        self.configure("max_concurrency", calls)
    }

    /// Sets how long one model call may take, once it is sent. The default is 60 seconds.
    #[must_use]
    pub fn task_runner_timeout(self, timeout: Duration) -> Self {
        self.configure("task_runner_timeout", seconds(timeout))
    }

    /// Sets how many attempts in a row that gave nothing lead to a topic being given up. The default is 3.
    #[must_use]
    pub fn dead_queue_threshold(self, attempts: u32) -> Self {
        self.configure("dead_queue_threshold", attempts)
    }

    /// Sets after how many rounds of calls that all fail the run stops. The default is 3.
    #[must_use]
    pub fn job_run_stop_threshold(self, rounds: u32) -> Self {
        self.configure("job_run_stop_threshold", rounds)
    }

    /// Sets whether the command line shows progress. It does by default.
    #[must_use]
    pub fn show_progress(self, show: bool) -> Self {
        self.configure("show_progress", show)
    }

    /// Keeps the run's answers in a journal in this directory, so that one that was interrupted goes on. By default there is
    /// none.
    #[must_use]
    pub fn local_storage(self, directory: impl Into<PathBuf>) -> Self {
        self.configure("storage", json!({"local": directory.into()}))
    }

    /// Makes what is left to chance here repeat itself. By default the seed is drawn.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        self.configure("seed", seed)
    }

    /// Sets how many records are asked for in one call. The default is 1.
    #[must_use]
    pub fn records_per_request(self, records: u64) -> Self {
        self.configure("records_per_request", records)
    }

    /// Sets how many times a failed call is made again. The default is 7.
    #[must_use]
    pub fn max_retries(self, retries: u32) -> Self {
        self.configure("max_retries", retries)
    }

    /// Sets how many accepted records of a topic are shown in its next prompt, so as not to be repeated. The
    /// default is 10.
    #[must_use]
    pub fn avoid_examples(self, records: usize) -> Self {
        self.configure("avoid_examples", records)
    }

    /// Sets how many US dollars the run may spend. By default there is no cap.
    #[must_use]
    pub fn max_cost_usd(mut self, dollars: f64) -> Self {
        if !dollars.is_finite() {
            // JSON has no such number: it would pass for one that was not set.
            self.source.faults.push(InputFault::new(
                "data_factory_config.max_cost_usd",
                format!("is {dollars}"),
                "write an amount above 0, or leave it out for no cap",
            ));
        }
        self.configure("max_cost_usd", dollars)
    }

    /// Sets how many tokens the run may use, prompts and answers together. By default there is no cap.
    #[must_use]
    pub fn max_tokens_total(self, tokens: u64) -> Self {
        self.configure("max_tokens_total", tokens)
    }

    /// Sets how many model calls the run may make. By default there is no cap.
    #[must_use]
    pub fn max_calls(self, calls: u64) -> Self {
        self.configure("max_calls", calls)
    }

    /// Sets whether the records that a given-up topic still owes move to other topics. They do not by default.
    #[must_use]
    pub fn reallocate(self, reallocate: bool) -> Self {
        self.configure("reallocate", reallocate)
    }

    /// Sets whether a value of another type than the schema asks for is turned into it where nothing is lost,
    /// such as `"3"` into `3`. Such a record is rejected by default.
    #[must_use]
    pub fn coerce_types(self, coerce: bool) -> Self {
        self.configure("coerce_types", coerce)
    }

    /// Sets whether `TODO`, `Example question` and the like, equal texts in a record and the schema's own words are
    /// accepted at once. By default they are asked for again, and accepted when they come again.
    #[must_use]
    pub fn allow_placeholders(self, allow: bool) -> Self {
        self.configure("allow_placeholders", allow)
    }

    /// Sets whether a record must keep to the `format` keywords of the schema, such as `email`. They are
    /// annotations by default.
    #[must_use]
    pub fn assert_formats(self, assert: bool) -> Self {
        self.configure("assert_formats", assert)
    }

    /// Sets how far `max_tokens` of the generation model is doubled for a topic whose answer was cut off. By
    /// default it never is, and fewer records are asked for at a time.
    #[must_use]
    pub fn max_tokens_ceiling(self, tokens: u64) -> Self {
        self.configure("max_tokens_ceiling", tokens)
    }

    /// Sets points of view that take turns in a topic's prompts, so that calls do not start from the same place. There are
    /// none by default.
    ///
    /// Generated ones are asked for once, when the run is planned: one call for each topic, of up to 100 topics.
    #[must_use]
    pub fn angles(self, angles: &Angles) -> Self {
        self.configure("angles", angles::to_json(angles))
    }

    /// Sets what is taken for a repeat. By default a record that says what another says in slightly other words.
    ///
    /// ```
    /// use topicloom::GenerateByTopicInput;
    /// use topicloom::dedup::{Deduplication, Method};
    ///
    /// let builder = GenerateByTopicInput::builder().deduplication(Method::Exact);
    /// let builder = builder.deduplication(Deduplication::default().fields(["question"]));
    /// ```
    #[must_use]
    pub fn deduplication(self, deduplication: impl Into<Deduplication>) -> Self {
        self.configure(
            deduplication::KEY,
            deduplication::to_json(&deduplication.into()),
        )
    }

    /// Sets what is taken for a repeat, in its JSON form: a word, or an object as [`Deduplication`] describes it.
    #[must_use]
    pub fn deduplication_json(self, deduplication: impl Into<Value>) -> Self {
        self.configure(deduplication::KEY, deduplication)
    }

    /// Adds a JSONL file of records that count as seen, such as a test set that must not leak into the data. A record
    /// that repeats one is a duplicate. There is none by default.
    ///
    /// For records that are in no file see [`PipelineBuilder::already_seen`](crate::PipelineBuilder::already_seen).
    #[must_use]
    pub fn already_seen(mut self, file: impl Into<PathBuf>) -> Self {
        if let Value::Object(config) = self.entry("data_factory_config", || json!({}))
            && let Value::Array(files) = config.entry("already_seen").or_insert_with(|| json!([]))
        {
            files.push(file.into().to_string_lossy().into());
        }
        self
    }

    /// Checks everything and creates the input.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) with every fault;
    /// [`InputFaults::of`](crate::InputFaults::of) takes them apart.
    pub fn build(self) -> Result<GenerateByTopicInput<T>> {
        let inner = Arc::new(read(self.source)?);
        Ok(GenerateByTopicInput::from_inner(inner))
    }

    fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.source.document.insert(key.to_owned(), value.into());
        self
    }

    fn set_in(mut self, key: &str, name: impl Into<String>, value: impl Into<Value>) -> Self {
        // Anything but an object stays, and is reported as what it is.
        if let Value::Object(object) = self.entry(key, || json!({})) {
            object.insert(name.into(), value.into());
        }
        self
    }

    /// Returns the value of a key, after setting one that is missing or null.
    fn entry(&mut self, key: &str, default: impl Fn() -> Value) -> &mut Value {
        let value = self.source.document.entry(key).or_insert(Value::Null);
        if value.is_null() {
            *value = default();
        }
        value
    }

    fn configure(self, key: &str, value: impl Into<Value>) -> Self {
        self.set_in("data_factory_config", key, value)
    }

    fn schema(mut self, schema: Result<RecordSchema>) -> Self {
        self.source.document.shift_remove("output_schema");
        self.source.schema = Some(schema);
        self
    }
}

/// Shows which keys are set, and nothing of what the caller wrote.
impl<T> fmt::Debug for GenerateByTopicInputBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GenerateByTopicInputBuilder")
            .field("set", &self.source.document.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
