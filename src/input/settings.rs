//! How a run is driven: `data_factory_config`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::angles::AnglesForm;
use super::deduplication::DeduplicationForm;
use super::described::{Described, Keys, described};
use super::files::{JournalPlace, OutputFile, Placed};
use super::form::{
    Choice, DOLLARS, FileBeside, Flag, Form, List, Maybe, ModelForm, Named, POSITIVE, PathForm,
    SECONDS, Switch, Whole, is_off, off, parts,
};
use super::judge::{JudgeForm, JudgeSettings};
use super::place::{Notes, Place, SETTINGS};
use super::prompts::PromptsForm;
use super::reader::{InputKey, Reader};
use crate::dedup::Deduplication;
use crate::filter::FieldRule;
use crate::llm::{ModelName, RateLimit};
use crate::prompt::PromptTexts;
use crate::schedule::Scheduling;
use crate::schema::SchemaStyle;
use crate::topic::Angles;

/// Where the run's answers are kept, so that one that was interrupted goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Storage {
    /// Where who drives the run keeps them: the command line beside its output, a pipeline only in a journal it is given.
    #[default]
    Unset,
    /// Nowhere: a killed process starts from the beginning.
    InMemory,
    /// In a journal on this machine, in this directory or in [`Storage::DIRECTORY`].
    Local(Option<PathBuf>),
}

impl Storage {
    /// The directory of local storage that names none.
    pub const DIRECTORY: &'static str = ".topicloom";
}

const STYLES: Choice<SchemaStyle> = parts! {
    SchemaStyle {
        "typescript" => TypeScript, "As a TypeScript type, with comments; short.";
        "annotated_json" => AnnotatedJson, "As a record whose values say what belongs there.";
    }
};

const SCHEDULING: Choice<Scheduling> = parts! {
    Scheduling {
        "round_robin" => RoundRobin, "One topic after the other, so that a run spreads over all from the start.";
        "in_order" => InOrder, "A topic is finished before the next begins.";
    }
};

/// As many as a minute may have.
const A_MINUTE: Whole = Whole(1..=4_294_967_295);

described! {
    impl RateLimit {
        /// Calls a minute.
        #[example("500")]
        requests_per_minute: Option<u32>, Maybe(A_MINUTE);
        /// Tokens a minute, prompts and answers together.
        #[example("200000")]
        tokens_per_minute: Option<u32>, Maybe(A_MINUTE);
    }
}

/// How many records are asked for in one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordsPerRequest {
    /// As many as fit into an answer, ten at most, learned while the run goes on; fewer where that keeps more calls in flight.
    Auto,
    /// This many.
    Fixed(u64),
}

impl RecordsPerRequest {
    // With ten, the part of a prompt that is the same for any number of records costs a tenth for each.
    const MOST_LEARNED: u64 = 10;

    /// Returns the most records that are asked for in one call.
    #[must_use]
    pub fn most(self) -> u64 {
        match self {
            Self::Auto => Self::MOST_LEARNED,
            Self::Fixed(records) => records,
        }
    }
}

impl From<u64> for RecordsPerRequest {
    fn from(records: u64) -> Self {
        Self::Fixed(records)
    }
}

described! {
    /// How a run is driven; `data_factory_config` in JSON. [`guide::input`](crate::guide::input) lists the settings with their
    /// bounds.
    #[derive(Debug, Clone, PartialEq)]
    #[non_exhaustive]
    #[allow(clippy::struct_excessive_bools)] // Each is a key of the input, and says by itself what it does.
    pub struct Settings {
        // The defaults of the first five are Starfish's. More connections than that, an operating system does not grant.
        /// Calls in flight at once, over the whole run.
        #[example("32")]
        max_concurrency: usize = 10, Whole(1..=10_000) => (calls: usize), runtime_only;
        /// How long one model call may take, once it is sent; in JSON in seconds, whole or with a fraction.
        #[example("90.5")]
        #[written("task_runner_timeout")]
        call_timeout: Duration = Duration::from_secs(60), SECONDS => (timeout: Duration), runtime_only;
        /// Attempts in a row that gave nothing before a topic is given up. Unless given, what the run and the topic gave so far
        /// says how many are more than bad luck: at most 30 of a topic that never gave a record.
        #[example("5")]
        #[written("dead_queue_threshold")]
        give_up_after: Option<u32> = None, Maybe(Whole(1..=1_000)) => (attempts: u32);
        /// Rounds of calls that all fail before the run stops.
        #[example("2")]
        #[written("job_run_stop_threshold")]
        stop_after_failed_rounds: u32 = 3, Whole(1..=1_000) => (rounds: u32), runtime_only;
        /// Whether the command line shows progress.
        #[example("false")]
        show_progress: bool = true, Flag => (show: bool), runtime_only;
        /// Where the run's answers are kept, so that one that was interrupted goes on. Unless given, the command keeps them in a
        /// journal beside its output, and a pipeline where it is told to.
        #[example("{\"local\": \"journals\"}")]
        storage: Storage = Storage::Unset, StorageForm => (storage: Storage), runtime_only;
        /// Makes the order of topics, and all else that is left to chance here, repeat itself: with the `offline` model, or a
        /// deterministic one and a `max_concurrency` of 1, the whole data set. Drawn unless given.
        #[example("7")]
        seed: Option<u64> = None, Whole(0..=u64::MAX) => (seed: u64);
        // Each call pays for the prompt, and a model repeats itself less in one answer than in many. More than a hundred records do
        // not fit into one answer.
        /// Records asked for in one call; fewer where no more fit into an answer.
        #[example("1")]
        records_per_request: RecordsPerRequest = RecordsPerRequest::Auto, RecordsPerRequestForm
            => (records: impl Into<RecordsPerRequest>);
        // Eight attempts span about a minute, the window in which most providers count.
        /// Times a failed call is made again.
        #[example("2")]
        max_retries: u32 = 7, Whole(0..=100) => (retries: u32), runtime_only;
        // At some 50 tokens each, 200 are 10 000 tokens.
        /// Accepted records of a topic shown in its next prompt, so as not to be repeated. Unless given, the run learns how many: it
        /// starts with none, since some models copy what they are shown.
        #[example("20")]
        avoid_examples: Option<u64> = None, Whole(0..=200) => (records: u64);
        /// US dollars the run may spend. This cap and the next two hold under any concurrency: the worst case is reserved before a
        /// call is sent, with an output limit of our own where `max_tokens` is not set.
        #[example("2.5")]
        max_cost_usd: Option<f64> = None, Switch(DOLLARS), runtime_only;
        /// Tokens the run may use, prompts and answers together.
        #[example("1000000")]
        max_tokens_total: Option<u64> = None, Switch(POSITIVE) => (tokens: u64), runtime_only;
        /// Model calls the run may make.
        #[example("500")]
        max_calls: Option<u64> = None, Switch(POSITIVE) => (calls: u64), runtime_only;
        /// Whether the records a given-up topic still owes move to other topics.
        #[example("true")]
        reallocate: bool = false, Flag => (reallocate: bool);
        // A model that writes `"3"` for 3 may have meant a text.
        /// Whether a value of another type than the schema asks for is turned into it where nothing is lost, such as `"3"` into
        /// `3`. Otherwise such a record is rejected.
        #[example("true")]
        coerce_types: bool = false, Flag => (coerce: bool);
        // A record of `TODO` fits every schema and is never wanted.
        /// Whether `TODO`, `Example question` and the like, equal texts in a record, the schema's own words and lost characters
        /// (U+FFFD) are accepted at once. Otherwise they are asked for again, and accepted when they come again.
        #[example("true")]
        allow_placeholders: bool = false, Flag => (allow: bool);
        // As JSON Schema has it: a format is an annotation unless the caller says otherwise.
        /// Whether a record must keep to the `format` keywords of the schema, such as `email`.
        #[example("true")]
        assert_formats: bool = false, Flag => (assert: bool);
        // What an answer may cost at most is the caller's word.
        /// How far `max_tokens` of the generation model is doubled for a topic whose answer was cut off. Without it, never: fewer
        /// records are asked for at a time.
        #[example("4000")]
        max_tokens_ceiling: Option<u64> = None, Switch(POSITIVE) => (tokens: u64), runtime_only;
        // They cost tokens or a call, and change what is written about.
        /// Points of view that take turns in a topic's prompts, so that calls do not start from the same place.
        #[example("{\"generated\": 8}")]
        #[example("[\"for a child\", \"for an engineer\"]")]
        angles: Option<Angles> = None, Switch(Maybe(AnglesForm));
        /// Templates of one's own for what models are told, in Jinja syntax, each a text or the name of a file, and variables
        /// for them. The library's wording stays where nothing is said.
        #[example("{\"request\": \"Topic: {{ topic }}, for {{ audience }}. {{ count }} records as JSON.\", \"variables\": {\"audience\": \"children\"}}")]
        prompts: PromptTexts = PromptTexts::default(), Switch(PromptsForm);
        /// How a prompt shows the shape of a record.
        #[example("\"annotated_json\"")]
        schema_renderer: SchemaStyle = SchemaStyle::TypeScript, STYLES => (style: SchemaStyle);
        /// Which topic is served next.
        #[example("\"in_order\"")]
        scheduling: Scheduling = Scheduling::RoundRobin, SCHEDULING => (policy: Scheduling);
        /// Models to ask for records, in this order, when the one whose turn it is is out: its retries are used up, its key is
        /// refused or its quota is spent.
        #[example("[\"anthropic/claude-haiku-4-5\", \"groq/llama-3.3-70b-versatile\"]")]
        fallback_models: Vec<ModelName> = Vec::new(), Switch(List(ModelForm)), runtime_only;
        /// What models may be asked a minute, by `provider/model`, `provider/*` or `*`; the closest one counts. What is not said is
        /// found out while they are asked.
        #[example("{\"openai/gpt-4o-mini\": {\"requests_per_minute\": 500, \"tokens_per_minute\": 200000}}")]
        rate_limits: BTreeMap<String, RateLimit> = BTreeMap::new(), Switch(Named(Keys)), runtime_only;
        /// What fields of a record must be like, by their names or paths, and under `*` all its texts together; another is asked
        /// for in place of a record that is not.
        #[example("{\"answer\": {\"min_chars\": 20, \"max_chars\": 400}, \"difficulty\": {\"one_of\": [\"easy\", \"hard\"]}}")]
        #[example("{\"*\": {\"language\": \"en\"}}")]
        filters: BTreeMap<String, FieldRule> = BTreeMap::new(), Switch(Named(Keys)), runtime_only;
        /// A model that scores each record by criteria of yours; another record is asked for in place of one whose scores are not
        /// enough. Its calls count under the caps, and its scores are journalled.
        #[example("{\"criteria\": [\"correct\", \"clear\"], \"accept\": \"correct >= 4 && clear >= 3\"}")]
        judge: Option<JudgeSettings> = None, Switch(Maybe(JudgeForm)), runtime_only;
        // What is accepted may change with it, as with filters: that is judged anew, and nothing is asked again.
        /// What is taken for a repeat: the name of a method, or an object. May also stand beside `output_schema`.
        #[example("{\"method\": \"near\", \"fields\": [\"question\"], \"scope\": \"topic\"}")]
        deduplication: Deduplication = Deduplication::default(), DeduplicationForm, runtime_only;
        // A seed makes a request the same again.
        /// A file in which finished answers are kept, so that the same request, seed included, is not made again by another run.
        #[example("\"answers.jsonl\"")]
        cache: Option<PathBuf> = None, Switch(Maybe(PathForm)), runtime_only;
        /// Where the command writes records, and how: a file, or `-` for standard output, as unless given.
        #[example("\"qa.jsonl\"")]
        #[example("{\"path\": \"qa.csv\", \"escape_formulas\": true}")]
        output: Option<OutputFile> = None, Maybe(Placed), runtime_only;
        /// Whether the records that `output` has already stay in it: they count towards `num_records` and as seen, and those that are
        /// missing are added.
        #[example("true")]
        append: bool = false, Flag => (append: bool);
        /// A file into which the command writes the report, as JSON.
        #[example("\"report.json\"")]
        report: Option<PathBuf> = None, Switch(Maybe(PathForm)), runtime_only;
        /// A file into which the command writes each candidate that is not accepted, as JSON Lines, with the reason.
        #[example("\"rejected.jsonl\"")]
        rejected: Option<PathBuf> = None, Switch(Maybe(PathForm)), runtime_only;
        /// Where the command keeps the run's answers, so that one that was interrupted goes on: a file, or a database, over what
        /// `storage` says.
        #[example("\"qa.journal\"")]
        journal: Option<JournalPlace> = None, JournalForm, runtime_only;
        /// JSONL files of records that count as seen, such as a test set: a record that repeats one is a duplicate. They lie beside
        /// the input.
        #[example("[\"benchmark.jsonl\"]")]
        already_seen: Vec<PathBuf> = Vec::new(), Switch(List(FileBeside));
    }
}

/// Settings of Starfish that have no meaning here, and why.
pub(super) const WITHOUT_MEANING: [(&str, &str); 3] = [
    (
        "batch_size",
        "has no effect: each record is written as it arrives",
    ),
    (
        "target_count",
        "has no effect: `num_records` and the topics say how many records there are",
    ),
    (
        "initial_state_values",
        "has no effect: there is no shared state between tasks",
    ),
];

impl Settings {
    /// Returns the settings that an input may have, for tools that offer them.
    #[must_use]
    pub fn keys() -> &'static [InputKey] {
        Self::KEYS
    }

    pub(super) fn from_json(mut object: Map<String, Value>, notes: &mut Notes) -> Self {
        if object.get("journal").is_some_and(is_off) {
            object.shift_remove("journal");
            object.insert("storage".to_owned(), "in_memory".into());
        }
        let mut reader = Reader::new(object, Place::new(SETTINGS, notes));
        reader.refuse_unknown_keys(Self::KEYS, &WITHOUT_MEANING.map(|(key, _)| key));
        for (key, reason) in WITHOUT_MEANING {
            if reader.take(key).is_some() {
                reader.at(key).warn(reason);
            }
        }
        Self::read(&mut reader)
    }

    pub(super) fn json_schema() -> Value {
        let mut schema = Self::schema();
        for (key, reason) in WITHOUT_MEANING {
            schema["properties"][key] =
                json!({"description": format!("Accepted from Starfish files; {reason}.")});
        }
        schema
    }

    /// Returns what decides what comes of a run and is not as it is by default, so that a setting added later changes no
    /// fingerprint.
    pub(super) fn deciding(&self) -> Map<String, Value> {
        let (mut written, default) = (self.write_set(), Self::default().write());
        for key in Self::KEYS {
            let name = key.names[0];
            if key.runtime_only || written.get(name) == default.get(name) {
                written.shift_remove(name);
            }
        }
        written
    }

    /// Checks what is set here against the parameters of the generation model.
    pub(super) fn check_ceiling(&self, max_tokens: Option<u64>, notes: &mut Notes) {
        let mut place = Place::new(SETTINGS, notes);
        let mut place = place.at("max_tokens_ceiling");
        match (self.max_tokens_ceiling, max_tokens) {
            (Some(_), None) => place.warn(
                "has no effect: `generation_model_kwargs` sets no `max_tokens` to start from",
            ),
            (Some(ceiling), Some(limit)) if ceiling < limit => {
                let problem = format!("is {ceiling}, less than `max_tokens`, which is {limit}");
                place.fault::<()>(problem, "write at least as many tokens, or leave it out");
            }
            _ => {}
        }
    }
}

struct RecordsPerRequestForm;

impl RecordsPerRequestForm {
    const FIXED: Whole = Whole(1..=100);
}

impl Form<RecordsPerRequest> for RecordsPerRequestForm {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<RecordsPerRequest> {
        match value {
            Value::String(word) if word == "auto" => Some(RecordsPerRequest::Auto),
            Value::String(_) => place.fault("is a string", "write a whole number, or \"auto\""),
            value => Form::<u64>::read(&Self::FIXED, value, place).map(Into::into),
        }
    }

    fn write(&self, records: &RecordsPerRequest) -> Value {
        match records {
            RecordsPerRequest::Auto => json!("auto"),
            RecordsPerRequest::Fixed(records) => json!(records),
        }
    }

    fn schema(&self) -> Value {
        json!({"oneOf": [
            Form::<u64>::schema(&Self::FIXED),
            {
                "const": "auto",
                "description": "As many as fit into an answer, ten at most, learned from the answers of each model; fewer where that keeps more calls in flight.",
            },
        ]})
    }
}

/// A place; where there is to be none, is said by `storage`.
struct JournalForm;

impl Form<Option<JournalPlace>> for JournalForm {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<Option<JournalPlace>> {
        Maybe(Placed).read(value, place)
    }

    fn write(&self, journal: &Option<JournalPlace>) -> Value {
        Maybe(Placed).write(journal)
    }

    fn schema(&self) -> Value {
        let place = Form::<JournalPlace>::schema(&Placed);
        json!({"anyOf": [place, off("None is kept: the same as `storage: off`.")]})
    }
}

#[derive(Default)]
struct LocalStorage {
    local: Option<PathBuf>,
}

described! {
    impl LocalStorage {
        /// The directory.
        #[example("\"journals\"")]
        local: Option<PathBuf>, Maybe(PathForm);
    }
}

struct StorageForm;

impl Form<Storage> for StorageForm {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<Storage> {
        const ADVICE: &str = r#"write "in_memory", "local" or {"local": "directory"}"#;
        match &value {
            off if is_off(off) => Some(Storage::InMemory),
            Value::String(name) if name == "in_memory" => Some(Storage::InMemory),
            Value::String(name) if name == "local" => Some(Storage::Local(None)),
            Value::String(_) => place.fault("is not a known storage", ADVICE),
            Value::Object(_) => {
                let before = place.faults();
                let local: LocalStorage = Keys.read(value, place)?;
                let place = (place.faults() == before).then_some(place)?;
                match local.local {
                    Some(directory) => Some(Storage::Local(Some(directory))),
                    None => place.fault("is an object that names no directory", ADVICE),
                }
            }
            other => place.refuse(other, ADVICE),
        }
    }

    fn write(&self, storage: &Storage) -> Value {
        match storage {
            Storage::Unset => Value::Null,
            Storage::InMemory => json!("in_memory"),
            Storage::Local(None) => json!("local"),
            Storage::Local(Some(directory)) => json!({"local": directory}),
        }
    }

    fn schema(&self) -> Value {
        let mut local = LocalStorage::schema();
        local["description"] = json!("In a journal on this machine, in a directory of your own:");
        json!({"oneOf": [
            {"const": "in_memory", "description": "Nowhere, not even in the journal that the command keeps by itself."},
            {"enum": ["off", false], "description": "The same as `in_memory`."},
            {"const": "local", "description": "In a journal on this machine, in `.topicloom`, or beside the command's output."},
            local,
        ]})
    }
}
