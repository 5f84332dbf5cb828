//! Builds an input in Rust.

use std::fmt;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::angles::AnglesForm;
use super::deduplication::{self, DeduplicationForm};
use super::described::{Described as _, Keys};
use super::document::Document;
use super::filters;
use super::form::{Form as _, PathForm};
use super::path::{self, Step};
use super::place::SETTINGS;
use super::providers::ProvidersForm;
use super::read::{self, Source};
use super::text::{InputFormat, Written};
use super::{GenerateByTopicInput, InputKey, JudgeSettings, Settings, topic_entry};
use crate::dedup::Deduplication;
use crate::error::{Error, ErrorKind, Result};
use crate::fault::InputFault;
use crate::filter::FieldRule;
use crate::llm::price::Price;
use crate::llm::{ProviderSettings, RateLimit};
use crate::plan::TopicSpec;
use crate::prompt::PromptTexts;
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

impl GenerateByTopicInputBuilder {
    /// Starts with the input in a file, to change some of it: JSON, or with the feature `formats` YAML or TOML, by the ending of its
    /// name. Files that it names lie beside it.
    ///
    /// ```no_run
    /// use topicloom::input::GenerateByTopicInputBuilder;
    ///
    /// let builder = GenerateByTopicInputBuilder::from_file("job.yaml")?;
    /// let input = builder.num_records(20).build()?;
    /// # Ok::<(), topicloom::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Where it cannot be read, or is no object of that format. What is wrong in it is said by [`build`](Self::build).
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "the input cannot be read")
                .with_context("file", path.display().to_string())
                .with_source(error)
        })?;
        let format = InputFormat::of_file(path).unwrap_or_else(|| InputFormat::of_text(&bytes));
        let mut builder = Self::from_text(&bytes, format)?;
        builder.source.notes.reads("", path.to_owned());
        Ok(builder.files_in(path.parent().unwrap_or(Path::new(""))))
    }

    /// Starts with an input as it is written down, to change some of it: UTF-8, or UTF-16 as some editors write it.
    ///
    /// # Errors
    ///
    /// Where it is no object of that format. What is wrong in it is said by [`build`](Self::build).
    pub fn from_text(bytes: &[u8], format: InputFormat) -> Result<Self> {
        let written = Written::new(bytes, format)?;
        let mut builder = Self::from_json_value(written.read()?)?;
        builder.source.written = Some(written);
        Ok(builder)
    }

    /// Starts with an input in JSON, to change some of it.
    ///
    /// # Errors
    ///
    /// Where it is no object. What is wrong in it is said by [`build`](Self::build).
    pub fn from_json_value(value: Value) -> Result<Self> {
        let Value::Object(document) = value else {
            return Err(read::not_an_object(&value));
        };
        Ok(Self::from_source(Source {
            document,
            ..Source::default()
        }))
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
    pub fn topics<S: Into<TopicSpec>>(self, topics: impl IntoIterator<Item = S>) -> Self {
        let topics = topics.into_iter();
        // Beside where else they come from.
        let is_object = self
            .source
            .document
            .get("topics")
            .is_some_and(Value::is_object);
        let path = if is_object { "topics.given" } else { "topics" };
        self.add(
            path,
            topics.map(|topic| topic_entry::to_json(&topic.into())),
        )
    }

    /// Has topics generated beside those given, this many, and spreads the records over them evenly.
    #[must_use]
    pub fn generated_topics(self, topics: u64) -> Self {
        self.topic_source("generated", topics)
    }

    /// Has topics generated as the leaves of a tree with this many branches at each level, from the top down; see
    /// [`TopicTree`](crate::topic::TopicTree).
    #[must_use]
    pub fn topic_tree(self, branches: impl IntoIterator<Item = u64>) -> Self {
        self.topic_source("tree", branches.into_iter().collect::<Value>())
    }

    /// Takes topics from a file: a name on each line, CSV with a column of counts, JSON or JSON Lines. It is looked for in the
    /// folder of [`files_in`](Self::files_in).
    #[must_use]
    pub fn topics_file(self, file: impl Into<PathBuf>) -> Self {
        self.topic_source("file", PathForm.write(&file.into()))
    }

    fn topic_source(mut self, key: &str, value: impl Into<Value>) -> Self {
        let topics = self.source.document.entry("topics").or_insert(Value::Null);
        if topics.is_array() {
            *topics = json!({"given": topics.take()});
        }
        self.set_in("topics", key, value)
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

    /// Adds an attribute: values with the share of the records that each gets, or a list of values that get equal ones. Topics are
    /// crossed with all attributes.
    ///
    /// ```
    /// use serde_json::json;
    /// use topicloom::GenerateByTopicInput;
    ///
    /// let builder = GenerateByTopicInput::builder()
    ///     .attribute("difficulty", json!({"easy": 0.3, "medium": 0.5, "hard": 0.2}))
    ///     .attribute("persona", json!(["a student", "a teacher"]));
    /// ```
    #[must_use]
    pub fn attribute(self, name: impl Into<String>, values: impl Into<Value>) -> Self {
        self.set_in("attributes", name, values)
    }

    /// Sets rows of data, each of which is a topic of its own: the rows, the name of a file beside the input
    /// ([`files_in`](Self::files_in) says where), or an object as the JSON form has it.
    ///
    /// ```
    /// use serde_json::json;
    /// use topicloom::GenerateByTopicInput;
    ///
    /// let input = GenerateByTopicInput::builder()
    ///     .source(json!([{"id": 1, "name": "Brake pads"}, {"id": 2, "name": "A bell"}]))
    ///     .set("source", json!({"rows": [{"id": 1, "name": "Brake pads"}], "columns": ["name"], "keep": ["id"]}))
    ///     .build()?;
    /// assert_eq!(input.allocation().total(), 1);
    /// # Ok::<(), topicloom::Error>(())
    /// ```
    #[must_use]
    pub fn source(self, source: impl Into<Value>) -> Self {
        self.set("source", source)
    }

    /// Sets texts, each part of which is a topic of its own: the name of a file or a folder, or an object as the JSON form has it.
    /// [`files_in`](Self::files_in) says where it lies.
    #[must_use]
    pub fn documents(self, documents: impl Into<Value>) -> Self {
        self.set("documents", documents)
    }

    /// Sets records as they are wanted: the records, the name of a file of them, or an object as the JSON form has it.
    #[must_use]
    pub fn examples(self, examples: impl Into<Value>) -> Self {
        self.set("examples", examples)
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

    /// Sets models that share the calls for records, each with its weight.
    #[must_use]
    pub fn generation_models<N: Into<String>>(
        self,
        models: impl IntoIterator<Item = (N, u32)>,
    ) -> Self {
        let models = models
            .into_iter()
            .map(|(name, weight)| (name.into(), Value::from(weight)));
        self.set("generation_model_name", models.collect::<Value>())
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

    /// Sets a kind of record that is common, in place of a shape: `chat`, `tool_calls` or `preference`, or an object as the JSON form
    /// has it.
    ///
    /// ```
    /// use serde_json::json;
    /// use topicloom::GenerateByTopicInput;
    ///
    /// let input = GenerateByTopicInput::builder()
    ///     .topics(["a parcel that is late"])
    ///     .kind(json!({"chat": {"turns": [2, 6], "system": "required"}}))
    ///     .build()?;
    /// assert_eq!(input.schema().property_names(), ["messages"]);
    /// # Ok::<(), topicloom::Error>(())
    /// ```
    #[must_use]
    pub fn kind(self, kind: impl Into<Value>) -> Self {
        self.set("kind", kind)
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

    /// Adds a JSONL file of records that count as seen, such as a test set that must not leak into the data. A record
    /// that repeats one is a duplicate. There is none by default. Where the input comes from a file, or [`files_in`](Self::files_in) names a
    /// folder, a path is relative to that folder, and else to the current one.
    ///
    /// For records that are in no file see [`PipelineBuilder::already_seen`](crate::PipelineBuilder::already_seen).
    #[must_use]
    pub fn already_seen(self, file: impl Into<PathBuf>) -> Self {
        self.add("already_seen", [file.into().to_string_lossy().into()])
    }

    /// Adds a model to ask for records when the one whose turn it is is out, after those added before it. There is none by
    /// default.
    #[must_use]
    pub fn fallback_model(self, name: impl Into<String>) -> Self {
        self.add("fallback_models", [name.into().into()])
    }

    /// Sets what a model may be asked a minute, named as `provider/model`, `provider/*` or `*`.
    #[must_use]
    pub fn rate_limit(self, model: impl Into<String>, limit: &RateLimit) -> Self {
        let path = ["rate_limits".into(), Step::Key(model.into())];
        self.put(&path, Keys.write(limit), None)
    }

    /// Sets what a field of a record must be like, named or at a path such as `meta.source`.
    #[must_use]
    pub fn field_rule(self, field: impl Into<String>, rule: &FieldRule) -> Self {
        let path = [filters::KEY.into(), Step::Key(field.into())];
        self.put(&path, Keys.write(rule), None)
    }

    /// Has a model score each record, and asks for another in place of one whose scores are not enough.
    #[must_use]
    pub fn judge(self, judge: &JudgeSettings) -> Self {
        self.configure("judge", Keys.write(judge))
    }

    /// Sets templates of your own for what models are told.
    #[must_use]
    pub fn prompts(self, texts: &PromptTexts) -> Self {
        self.configure("prompts", Keys.write(texts))
    }

    /// Keeps finished answers in a file, so that the same request, seed included, is not made again by another run.
    #[must_use]
    pub fn cache(self, file: impl Into<PathBuf>) -> Self {
        self.configure("cache", PathForm.write(&file.into()))
    }

    /// Has the command write records to this file, or to standard output as `-`; in Rust, a [`Sink`](crate::sink::Sink) does.
    #[must_use]
    pub fn output_file(self, file: impl Into<PathBuf>) -> Self {
        self.configure("output", PathForm.write(&file.into()))
    }

    /// Has the command write the report to this file, as JSON.
    #[must_use]
    pub fn report(self, file: impl Into<PathBuf>) -> Self {
        self.configure("report", PathForm.write(&file.into()))
    }

    /// Has the command write each candidate that is not accepted to this file, as JSON Lines, with the reason.
    #[must_use]
    pub fn rejected(self, file: impl Into<PathBuf>) -> Self {
        self.configure("rejected", PathForm.write(&file.into()))
    }

    /// Has the command keep the run's answers in this file, or in the database of this URL; in Rust,
    /// [`PipelineBuilder::journal`](crate::PipelineBuilder::journal) does.
    #[must_use]
    pub fn journal(self, file_or_url: impl Into<String>) -> Self {
        self.configure("journal", file_or_url.into())
    }

    /// Sets anything by its path in the JSON form, such as `generation_model_kwargs.temperature`, `topics[2]` or
    /// `prices."openai/gpt-4.1".input`; a setting may be named with or without `data_factory_config`.
    ///
    /// ```
    /// use topicloom::GenerateByTopicInput;
    ///
    /// let input = GenerateByTopicInput::builder()
    ///     .topic("tides")
    ///     .set("generation_model_kwargs.temperature", 0.3)
    ///     .set("max_retries", 2)
    ///     .build()?;
    /// assert_eq!(input.settings().max_retries, 2);
    /// # Ok::<(), topicloom::Error>(())
    /// ```
    #[must_use]
    pub fn set(self, path: &str, value: impl Into<Value>) -> Self {
        self.put(&path::steps(path), value.into(), None)
    }

    /// Sets anything by its path, and has faults name who said so, such as the flag of a command line.
    #[must_use]
    pub fn set_by(self, who: &str, path: &str, value: impl Into<Value>) -> Self {
        self.put(&path::steps(path), value.into(), Some(who))
    }

    /// Reads the files that the input names, such as those of schemas and topics, when it is built. They are looked for in this
    /// folder, as those of `already_seen` are when a run begins. By default none is read, unless the input itself comes from a file.
    #[must_use]
    pub fn files_in(mut self, folder: impl Into<PathBuf>) -> Self {
        self.source.notes.folder = Some(folder.into());
        self
    }

    /// Checks everything and creates the input.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) with every fault;
    /// [`InputFaults::of`](crate::InputFaults::of) takes them apart.
    pub fn build(self) -> Result<GenerateByTopicInput<T>> {
        let inner = Arc::new(read::read(self.source)?);
        Ok(GenerateByTopicInput::from_inner(inner))
    }

    fn set_in(self, key: &str, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.put(&[key.into(), Step::Key(name.into())], value.into(), None)
    }

    pub(super) fn configure(self, key: &str, value: impl Into<Value>) -> Self {
        self.put(&[key.into()], value.into(), None)
    }

    fn put(mut self, path: &[Step], value: Value, said_by: Option<&str>) -> Self {
        let path = self.in_place(path);
        if path.first() == Some(&"output_schema".into()) {
            self.source.schema = None;
        }
        match path::at(&mut self.source.document, &path) {
            Ok(there) => *there = value,
            Err(fault) => self.source.notes.faults.push(fault),
        }
        if let Some(who) = said_by {
            let said = (path::shown(&path), who.to_owned());
            self.source.said_by.push(said);
        }
        self
    }

    /// Returns the path as it is in the document, where a key may have another of its names, and a setting may stand beside the
    /// other keys.
    fn in_place(&self, path: &[Step]) -> Vec<Step> {
        let Some((Step::Key(first), rest)) = path.split_first() else {
            return path.to_vec();
        };
        let document = &self.source.document;
        let find = |keys: &'static [InputKey], name: &str| {
            keys.iter().find(|key| key.names.contains(&name))
        };
        if let (SETTINGS, Some(Step::Key(setting))) = (&**first, rest.first())
            && find(Settings::KEYS, setting).is_some()
        {
            return self.in_place(rest);
        }
        let written_in = |object: &Map<String, Value>, key: &InputKey| {
            let mut names = key.names.iter();
            let is_there = |name: &&&str| object.get(**name).is_some_and(|value| !value.is_null());
            names.find(is_there).copied()
        };
        let place: Vec<Step> = if let Some(key) = find(Document::KEYS, first) {
            vec![written_in(document, key).unwrap_or(key.names[0]).into()]
        } else if let Some(key) = find(Settings::KEYS, first) {
            let inside = document.get(SETTINGS).and_then(Value::as_object);
            if let Some(name) = written_in(document, key) {
                vec![name.into()]
            } else {
                let name = inside.and_then(|inside| written_in(inside, key));
                vec![SETTINGS.into(), name.unwrap_or(key.names[0]).into()]
            }
        } else {
            vec![first.as_str().into()]
        };
        [place.as_slice(), rest].concat()
    }

    /// Adds to the list that a key has.
    fn add(mut self, path: &str, more: impl IntoIterator<Item = Value>) -> Self {
        let path = self.in_place(&path::steps(path));
        // Anything but a list stays, and is reported as what it is.
        if let Ok(list) = path::at(&mut self.source.document, &path) {
            match list {
                Value::Null => *list = json!([]),
                Value::String(_) => *list = json!([list.take()]),
                _ => {}
            }
            if let Value::Array(items) = list {
                items.extend(more);
            }
        }
        self
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
