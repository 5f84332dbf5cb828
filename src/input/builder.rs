//! Builds an input in Rust.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::angles::AnglesForm;
use super::deduplication::{self, DeduplicationForm};
use super::described::Described as _;
use super::form::Form as _;
use super::providers::ProvidersForm;
use super::read::{Source, read};
use super::{GenerateByTopicInput, Settings, topics};
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
        let settings = ProvidersForm.write(&one)[&name].take();
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

    /// Keeps the run's answers in a journal in this directory, so that one that was interrupted goes on. By default there is
    /// none.
    #[must_use]
    pub fn local_storage(self, directory: impl Into<PathBuf>) -> Self {
        self.configure("storage", json!({"local": directory.into()}))
    }

    /// Sets how many US dollars the run may spend. By default there is no cap.
    #[must_use]
    pub fn max_cost_usd(mut self, dollars: f64) -> Self {
        if !dollars.is_finite() {
            // JSON has no such number: it would pass for one that was not set.
            self.source.notes.faults.push(InputFault::new(
                "data_factory_config.max_cost_usd",
                format!("is {dollars}"),
                "write an amount above 0, or leave it out for no cap",
            ));
        }
        self.configure("max_cost_usd", dollars)
    }

    /// Sets points of view that take turns in a topic's prompts, so that calls do not start from the same place. There are
    /// none by default.
    ///
    /// Generated ones are asked for once, when the run is planned: one call for each topic, of up to 100 topics.
    #[must_use]
    pub fn angles(self, angles: &Angles) -> Self {
        self.configure("angles", AnglesForm.write(angles))
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
            DeduplicationForm.write(&deduplication.into()),
        )
    }

    /// Sets a setting, a key of `data_factory_config`, in its JSON form.
    #[must_use]
    pub fn setting(self, name: &str, value: impl Into<Value>) -> Self {
        let known = Settings::KEYS.iter().find(|key| key.names.contains(&name));
        self.configure(known.map_or(name, |key| key.names[0]), value)
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

    pub(super) fn configure(self, key: &str, value: impl Into<Value>) -> Self {
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
