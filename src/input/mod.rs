//! What is wanted: the one input of a run, built in Rust or read from JSON, validated once.

mod angles;
mod attributes;
mod builder;
mod deduplication;
mod described;
#[cfg(test)]
mod docs;
mod document;
mod documents;
mod encoding;
mod examples;
mod files;
mod filters;
mod form;
mod judge;
mod kind;
mod labels;
mod models;
mod parameters;
mod parquet;
mod path;
mod place;
mod prompts;
mod providers;
mod read;
mod reader;
mod rows;
mod settings;
mod source;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod topic_entry;
mod topics;
mod topics_file;
mod warning;

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

pub use builder::GenerateByTopicInputBuilder;
pub(crate) use files::PROVENANCE_FIELD;
pub use files::{JournalPlace, OutputFile, ProvenanceForm, RecordFormat};
pub use judge::JudgeSettings;
pub use labels::Labels;
pub use reader::InputKey;
pub use rows::Rows;
pub use settings::{RecordsPerRequest, Settings, Storage};
pub use text::InputFormat;
pub use warning::InputWarning;

pub(crate) use source::QUOTE;

use crate::error::{Error, Result};
use crate::filter::RecordKind;
use crate::llm::price::PriceTable;
use crate::llm::{ModelName, Parameters, ProviderSettings};
use crate::plan::{Allocation, Attribute, TopicSpec};
use crate::record::JsonRecord;
use crate::schema::{RecordSchema, canonical};
use crate::topic::Row;
use described::Described as _;
use document::Document;
use examples::Examples;
use form::Form as _;
use place::Notes;
use providers::ProvidersForm;
use read::Source;

const EXAMPLE: &str = include_str!("example.json");

/// What to generate, how much of it, about which topics, in which shape, and with which models.
///
/// `T` is the type of a record: [`JsonRecord`] for an input read from JSON, your own type with
/// [`output`](GenerateByTopicInputBuilder::output). Cheap to clone.
///
/// The JSON form has the ten keys of Starfish's `generate_by_topic` and a few of its own, all of which may be left out;
/// [`guide::input`](crate::guide::input) lists them.
///
/// ```
/// use topicloom::GenerateByTopicInput;
///
/// let input = GenerateByTopicInput::builder()
///     .user_instruction("Q&A pairs about machine learning")
///     .num_records(100)
///     .topics(["supervised learning", "neural networks"])
///     .topic_with_count("reinforcement learning", 3)
///     .generation_model("openai/gpt-4o-mini")
///     .max_concurrency(16)
///     .build()?;
/// assert_eq!(input.allocation().total(), 100);
///
/// let error = GenerateByTopicInput::from_json_str(r#"{"topic": ["tides"]}"#).unwrap_err();
/// assert!(error.message().contains("is not a known key; did you mean `topics`?"));
/// # Ok::<(), topicloom::Error>(())
/// ```
pub struct GenerateByTopicInput<T = JsonRecord> {
    inner: Arc<Inner>,
    record: PhantomData<fn() -> T>,
}

struct Inner {
    document: Document,
    /// Those of the document, with values of the types that fields have.
    attributes: Vec<Attribute>,
    rows: Vec<Arc<Row>>,
    /// Records that are in the output already.
    appended_to: u64,
    allocation: Allocation,
    schema: RecordSchema,
    /// What the model is asked for, where that is another shape.
    asked_schema: Option<RecordSchema>,
    settings: Settings,
    warnings: Vec<InputWarning>,
    files: BTreeMap<PathBuf, String>,
    /// Once it was asked for: many rows take a while.
    fingerprint: OnceLock<u128>,
}

impl GenerateByTopicInput {
    /// Starts to build an input.
    #[must_use]
    pub fn builder() -> GenerateByTopicInputBuilder {
        GenerateByTopicInputBuilder::default()
    }

    /// Reads the input in a file: JSON, or with the feature `formats` YAML or TOML, by the ending of its name. Files that it
    /// names lie beside it.
    ///
    /// # Errors
    ///
    /// As [`from_json_str`](Self::from_json_str), and where it cannot be read.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        GenerateByTopicInputBuilder::from_file(path)?.build()
    }

    /// Reads an input from JSON text.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) with every fault;
    /// [`InputFaults::of`](crate::InputFaults::of) takes them apart.
    pub fn from_json_str(text: &str) -> Result<Self> {
        // Some editors begin a file with a byte order mark, which is no JSON.
        Self::from_json_slice(text.as_bytes())
    }

    /// Reads an input from JSON bytes: UTF-8, or UTF-16 as some editors write it, with a byte order mark or without.
    ///
    /// # Errors
    ///
    /// As [`from_json_str`](Self::from_json_str).
    pub fn from_json_slice(bytes: &[u8]) -> Result<Self> {
        GenerateByTopicInputBuilder::from_text(bytes, InputFormat::Json)?.build()
    }

    /// Reads an input from a JSON value.
    ///
    /// # Errors
    ///
    /// As [`from_json_str`](Self::from_json_str).
    pub fn from_json_value(value: Value) -> Result<Self> {
        GenerateByTopicInputBuilder::from_json_value(value)?.build()
    }

    /// Returns the JSON Schema of the JSON form, for editors and other tools.
    ///
    /// It knows keys, types and defaults; what depends on several keys together is checked when an input is
    /// read.
    #[must_use]
    pub fn json_schema() -> Value {
        document::json_schema()
    }

    /// Returns the keys that an input has beside its [settings](Settings::keys), for tools that offer them.
    #[must_use]
    pub fn keys() -> &'static [InputKey] {
        Document::KEYS
    }

    /// Returns an input in its JSON form that shows most keys: the start for one of your own.
    ///
    /// ```
    /// use topicloom::GenerateByTopicInput;
    ///
    /// let input: GenerateByTopicInput = GenerateByTopicInput::reference_example().parse()?;
    /// assert_eq!(input.num_records(), Some(100));
    /// # Ok::<(), topicloom::Error>(())
    /// ```
    #[must_use]
    pub fn reference_example() -> &'static str {
        EXAMPLE
    }
}

impl FromStr for GenerateByTopicInput {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::from_json_str(text)
    }
}

impl<T> GenerateByTopicInput<T> {
    fn from_inner(inner: Arc<Inner>) -> Self {
        Self {
            inner,
            record: PhantomData,
        }
    }

    /// Returns the same input with records decoded to another type.
    ///
    /// The shape stays as it is. A record that fits the shape and not the type is rejected when it comes.
    #[must_use]
    pub fn decoded_as<U: DeserializeOwned + Send + 'static>(self) -> GenerateByTopicInput<U> {
        GenerateByTopicInput::from_inner(self.inner)
    }

    /// Returns the same input, of records whose type is told elsewhere.
    pub(crate) fn untyped(&self) -> GenerateByTopicInput {
        GenerateByTopicInput::from_inner(Arc::clone(&self.inner))
    }

    /// Returns a builder with everything set as it is here, to change some of it.
    #[must_use]
    pub fn to_builder(&self) -> GenerateByTopicInputBuilder<T> {
        GenerateByTopicInputBuilder::from_source(Source {
            document: self.document(),
            schema: (self.kind().is_none()).then(|| Ok(self.inner.schema.clone())),
            notes: Notes {
                warnings: self.inner.warnings.clone(),
                files: self.inner.files.clone(),
                ..Notes::default()
            },
            ..Source::default()
        })
    }

    /// Returns what to generate, in words.
    #[must_use]
    pub fn user_instruction(&self) -> Option<&str> {
        self.inner.document.instruction.as_deref()
    }

    /// Returns how many records are wanted in total; `None` where the topics decide it.
    #[must_use]
    pub fn num_records(&self) -> Option<u64> {
        self.inner.document.num_records
    }

    /// Returns how many records a topic gets where nothing else decides it.
    #[must_use]
    pub fn records_per_topic(&self) -> u64 {
        self.inner.document.records_per_topic
    }

    /// Returns the topics as they were given; `None` has all of them generated.
    #[must_use]
    pub fn topics(&self) -> Option<&[TopicSpec]> {
        self.inner.document.topics.given.as_deref()
    }

    /// Returns how many branches a tree of topics has at each level, from the top down, where topics are generated as one.
    #[must_use]
    pub fn topic_tree(&self) -> Option<&[u64]> {
        self.inner.document.topics.tree.as_deref()
    }

    /// Returns the attributes that topics are crossed with.
    #[must_use]
    pub fn attributes(&self) -> &[Attribute] {
        &self.inner.attributes
    }

    /// Returns the rows of source data that are topics.
    pub(crate) fn rows(&self) -> &[Arc<Row>] {
        &self.inner.rows
    }

    /// Returns the column in which the field `quote` of a record has to stand.
    pub(crate) fn quoted(&self) -> Option<&str> {
        self.inner.document.source.as_ref()?.quoted.as_deref()
    }

    /// Returns how many records are in the output already, where others are added to them.
    #[must_use]
    pub fn appended_to(&self) -> u64 {
        self.inner.appended_to
    }

    /// Returns the names of what is written with a record beside its fields, such as attributes.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        let attributes = self.attributes().iter().map(|attribute| &attribute.name);
        let kept = self
            .inner
            .document
            .source
            .iter()
            .flat_map(|source| &source.keep);
        let labels = attributes.chain(kept);
        labels
            .filter(|name| !self.schema().has_property(name))
            .cloned()
            .collect()
    }

    /// Returns the records that show what is wanted.
    pub(crate) fn examples(&self) -> &Examples {
        &self.inner.document.examples
    }

    /// Returns how the records are shared out over the given topics, and how many topics are to be generated.
    #[must_use]
    pub fn allocation(&self) -> &Allocation {
        &self.inner.allocation
    }

    /// Returns whether the model that invents topics is asked at all: for topics, or for angles.
    #[must_use]
    pub fn asks_topic_model(&self) -> bool {
        let allocation = self.allocation();
        let topics = allocation.given.len() + allocation.generated.len();
        let angles = self.settings().angles.as_ref();
        !allocation.generated.is_empty() || angles.is_some_and(|angles| angles.asks(topics) > 0)
    }

    /// Returns the name of the model that invents topics.
    #[must_use]
    pub fn topic_model(&self) -> &ModelName {
        &self.inner.document.topic_model
    }

    /// Returns the parameters of the model that invents topics.
    #[must_use]
    pub fn topic_parameters(&self) -> &Arc<Parameters> {
        &self.inner.document.topic_model_kwargs
    }

    /// Returns the name of the model that writes records; of several, the first.
    #[must_use]
    pub fn generation_model(&self) -> &ModelName {
        &self.generation_models()[0].0
    }

    /// Returns the models that write records, each with its weight.
    #[must_use]
    pub fn generation_models(&self) -> &[(ModelName, u32)] {
        &self.inner.document.model
    }

    /// Returns the parameters of the model that writes records.
    #[must_use]
    pub fn generation_parameters(&self) -> &Arc<Parameters> {
        &self.inner.document.generation_model_kwargs
    }

    /// Returns the shape of a record.
    #[must_use]
    pub fn schema(&self) -> &RecordSchema {
        &self.inner.schema
    }

    /// Returns the shape of what the model is asked to write: a record, or the part of it that nobody else adds.
    pub(crate) fn asked_schema(&self) -> &RecordSchema {
        let asked = self.inner.asked_schema.as_ref();
        asked.unwrap_or(&self.inner.schema)
    }

    /// Returns the model that gives the other answers of pairs, where that is another than the one that writes records.
    pub(crate) fn rejected_model(&self) -> Option<&ModelName> {
        match self.kind()? {
            RecordKind::Preference(preference) => preference.rejected_model.as_ref(),
            _ => None,
        }
    }

    /// Returns whether filters add to a record what the model does not write.
    pub(crate) fn is_completed(&self) -> bool {
        self.inner.asked_schema.is_some()
    }

    /// Returns the kind of the records, where they are of one that is known.
    pub(crate) fn kind(&self) -> Option<&RecordKind> {
        self.inner.document.kind.as_ref()
    }

    /// Returns how the run is driven.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Returns how providers are reached, by their names.
    #[must_use]
    pub fn providers(&self) -> &BTreeMap<String, ProviderSettings> {
        &self.inner.document.providers
    }

    /// Returns what models cost: what the input says, and what is known to this release.
    #[must_use]
    pub fn prices(&self) -> &PriceTable {
        &self.inner.document.prices.table
    }

    /// Returns what was accepted and has no effect.
    #[must_use]
    pub fn warnings(&self) -> &[InputWarning] {
        &self.inner.warnings
    }

    /// Returns the files and folders that it was read from or that it names to be read, each with the place that names it, which is
    /// empty for the input itself.
    ///
    /// ```
    /// use topicloom::GenerateByTopicInput;
    ///
    /// let input = GenerateByTopicInput::builder()
    ///     .topic("tides")
    ///     .already_seen("test.jsonl")
    ///     .build()?;
    /// let (place, file) = input.files_read().next().unwrap();
    /// assert_eq!((place, file.to_str()), ("already_seen[0]", Some("test.jsonl")));
    /// # Ok::<(), topicloom::Error>(())
    /// ```
    pub fn files_read(&self) -> impl Iterator<Item = (&str, &Path)> {
        let files = self.inner.files.iter();
        files.map(|(path, place)| (&**place, &**path))
    }

    /// Returns the JSON form, defaults included. Reading it gives an equal input again, but for headers of providers that
    /// name no environment variable: their values are masked, since this is what journals keep.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut document = self.document();
        if let Some(written) = document.get_mut("providers") {
            let providers = self.providers().iter();
            let masked = providers.map(|(name, settings)| (name.clone(), settings.masked()));
            *written = ProvidersForm.write(&masked.collect());
        }
        document.into()
    }

    /// Returns a hash of everything that decides what comes of a run: the same for every order of keys, on
    /// every platform and in every version.
    ///
    /// What only drives it (concurrency, timeout, retries, caps, storage, progress, where providers are, prices) is left
    /// out, so that a run can be resumed with others.
    #[must_use]
    pub fn fingerprint(&self) -> u128 {
        *self.inner.fingerprint.get_or_init(|| self.hash())
    }

    fn hash(&self) -> u128 {
        let mut document = self.document();
        document.shift_remove("providers");
        document.shift_remove("prices");
        document.insert(
            "data_factory_config".to_owned(),
            self.settings().deciding().into(),
        );
        // The same shape may be written as a list of fields or as a JSON Schema.
        let shape = format!("{:032x}", self.inner.schema.fingerprint());
        document.insert("output_schema".to_owned(), shape.into());
        canonical::hash(&document.into())
    }

    /// Returns the name of the file in which this input's journal is kept in a directory of many.
    ///
    /// Inputs of the same instruction, generation model and shape of a record share it, since a run of one can go on with
    /// the answers to another; see [`FileJournal::open_for`](crate::journal::FileJournal::open_for).
    #[must_use]
    pub fn journal_name(&self) -> String {
        let hash = canonical::hash(&serde_json::json!([
            self.user_instruction(),
            self.generation_model().as_str(),
            format!("{:032x}", self.inner.schema.fingerprint()),
        ]));
        format!("{hash:032x}.journal")
    }

    fn document(&self) -> Map<String, Value> {
        let mut document = self.inner.document.write();
        // Keys that there were not always, so that what was written before is read as the same.
        let later = [
            "providers",
            "prices",
            "attributes",
            "source",
            "documents",
            "examples",
            kind::KEY,
        ];
        document.retain(|key, value| !value.is_null() || !later.contains(&&**key));
        document
    }
}

/// The [JSON form](Self::to_json).
impl<T> Serialize for GenerateByTopicInput<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

/// Reads the JSON form, as [`from_json_value`](GenerateByTopicInput::from_json_value) does.
impl<'de> Deserialize<'de> for GenerateByTopicInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::from_json_value(value).map_err(serde::de::Error::custom)
    }
}

impl<T> Clone for GenerateByTopicInput<T> {
    fn clone(&self) -> Self {
        Self::from_inner(Arc::clone(&self.inner))
    }
}

/// Shows numbers, models and settings, and nothing of what the caller wrote.
impl<T> fmt::Debug for GenerateByTopicInput<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GenerateByTopicInput")
            .field("num_records", &self.num_records())
            .field("records_per_topic", &self.records_per_topic())
            .field("topics", &self.topics().map(<[_]>::len))
            .field("topic_model", &self.topic_model().as_str())
            .field("generation_models", &self.generation_models())
            .field("settings", self.settings())
            .finish_non_exhaustive()
    }
}

const _: fn() = || {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<GenerateByTopicInput>();
};
