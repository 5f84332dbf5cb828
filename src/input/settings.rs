//! How a run is driven: `data_factory_config`.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::reader::{Reader, kind};
use super::warning::InputWarning;
use super::{angles, deduplication};
use crate::dedup::Deduplication;
use crate::fault::{InputFault, InputFaults};
use crate::topic::Angles;

/// Where the run's progress is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Storage {
    /// In memory only: a killed process starts from the beginning.
    #[default]
    InMemory,
    /// On this machine, in this directory, or in the default one of whoever drives the run.
    Local(Option<PathBuf>),
}

/// How a run is driven; `data_factory_config` in JSON.
///
/// | setting | default | bounds | meaning |
/// |---|---|---|---|
/// | `max_concurrency` | 10 | 1 to 10 000 | calls in flight at once, over the whole run |
/// | `task_runner_timeout` | 60 | above 0, up to 86 400 | seconds one model call may take, once it is sent |
/// | `dead_queue_threshold` | 3 | 1 to 1 000 | attempts in a row that gave nothing before a topic is given up |
/// | `job_run_stop_threshold` | 3 | 1 to 1 000 | rounds of calls that all fail before the run stops |
/// | `show_progress` | true | | whether the command line shows progress |
/// | `storage` | `"in_memory"` | | or `"local"`, or `{"local": "directory"}` |
/// | `seed` | drawn | any `u64` | makes the order of topics, and all else that is left to chance here, repeat itself |
/// | `records_per_request` | 1 | 1 to 100 | records asked for in one call |
/// | `max_retries` | 7 | 0 to 100 | times a failed call is made again |
/// | `avoid_examples` | 10 | 0 to 200 | accepted records of a topic shown in its next prompt, so as not to be repeated |
/// | `max_cost_usd` | none | above 0 | US dollars the run may spend |
/// | `max_tokens_total` | none | 1 or more | tokens the run may use, prompts and answers together |
/// | `max_calls` | none | 1 or more | model calls the run may make |
/// | `reallocate` | false | | whether the records a given-up topic still owes move to other topics |
/// | `coerce_types` | false | | whether a value of another type than the schema asks for is turned into it where nothing is lost, such as `"3"` into `3` |
/// | `allow_placeholders` | false | | whether `TODO`, `Example question` and the like, equal texts in a record and the schema's own words are accepted at once; otherwise they are asked for again, and accepted when they come again |
/// | `assert_formats` | false | | whether a record must keep to the `format` keywords of the schema, such as `email` |
/// | `max_tokens_ceiling` | none | at least `max_tokens` | how far `max_tokens` of the generation model is doubled for a topic whose answer was cut off; without it, never |
/// | `angles` | none | up to 100 | points of view that take turns in a topic's prompts: `"neutral"` for a dozen that suit most topics, a list of your own, `{"generated": 8}` to have the topic model invent so many for each topic, or `{"generated_once": 8}` for all |
/// | `deduplication` | `"near"` | | what is taken for a repeat: `"near"`, `"exact"`, `"off"`, or an object, see [`Deduplication`] |
/// | `already_seen` | none | | JSONL files of records that count as seen, such as a test set; a record that repeats one is a duplicate |
///
/// `batch_size`, `target_count` and `initial_state_values`, which files for Starfish may hold, are accepted with
/// a warning that says why they have no effect.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[allow(clippy::struct_excessive_bools)] // Each is a key of the input, and says by itself what it does.
pub struct Settings {
    /// Calls in flight at once, over the whole run.
    pub max_concurrency: usize,
    /// How long one model call may take, once it is sent; whole or fractional seconds in JSON.
    pub task_runner_timeout: Duration,
    /// Attempts in a row that gave nothing before a topic is given up.
    pub dead_queue_threshold: u32,
    /// Rounds of calls that all fail before the run stops.
    pub job_run_stop_threshold: u32,
    /// Whether the command line shows progress.
    pub show_progress: bool,
    /// Where the run's progress is kept.
    pub storage: Storage,
    /// Makes what is left to chance here repeat itself; drawn if `None`.
    pub seed: Option<u64>,
    /// Records asked for in one call.
    pub records_per_request: u64,
    /// Times a failed call is made again.
    pub max_retries: u32,
    /// Accepted records of a topic shown in its next prompt.
    pub avoid_examples: usize,
    /// US dollars the run may spend.
    pub max_cost_usd: Option<f64>,
    /// Tokens the run may use.
    pub max_tokens_total: Option<u64>,
    /// Model calls the run may make.
    pub max_calls: Option<u64>,
    /// Whether the records a given-up topic still owes move to other topics.
    pub reallocate: bool,
    /// Whether a value of another type than the schema asks for is turned into it where nothing is lost.
    pub coerce_types: bool,
    /// Whether texts that are placeholders are accepted at once, not only when they come again.
    pub allow_placeholders: bool,
    /// Whether a record must keep to the `format` keywords of the schema.
    pub assert_formats: bool,
    /// How far `max_tokens` of the generation model is doubled for a topic whose answer was cut off.
    pub max_tokens_ceiling: Option<u64>,
    /// Points of view that take turns in a topic's prompts.
    pub angles: Option<Angles>,
    /// What is taken for a repeat.
    pub deduplication: Deduplication,
    /// JSONL files of records that count as seen.
    pub already_seen: Vec<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // The next five as in Starfish.
            max_concurrency: 10,
            task_runner_timeout: Duration::from_secs(60),
            dead_queue_threshold: 3,
            job_run_stop_threshold: 3,
            show_progress: true,
            storage: Storage::InMemory,
            seed: None,
            // One record gets a model's whole attention, and a failed call costs one record.
            records_per_request: 1,
            // Eight attempts span about a minute, the window in which most providers count.
            max_retries: 7,
            // At some 50 tokens each, 500 tokens of prompt, less than what one duplicate answer costs.
            avoid_examples: 10,
            max_cost_usd: None,
            max_tokens_total: None,
            max_calls: None,
            reallocate: false,
            // A model that writes `"3"` for 3 may have meant a text.
            coerce_types: false,
            // A record of `TODO` fits every schema and is never wanted.
            allow_placeholders: false,
            // As JSON Schema has it: a format is an annotation unless the caller says otherwise.
            assert_formats: false,
            // What an answer may cost at most is the caller's word.
            max_tokens_ceiling: None,
            // They cost tokens or a call, and change what is written about.
            angles: None,
            deduplication: Deduplication::default(),
            already_seen: Vec::new(),
        }
    }
}

/// Settings of Starfish that have no meaning here, and why.
const WITHOUT_MEANING: [(&str, &str); 3] = [
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
    /// The keys of the JSON form that have a meaning, in the order of the table.
    pub(super) const KEYS: [&'static str; 21] = [
        "max_concurrency",
        "task_runner_timeout",
        "dead_queue_threshold",
        "job_run_stop_threshold",
        "show_progress",
        "storage",
        "seed",
        "records_per_request",
        "max_retries",
        "avoid_examples",
        "max_cost_usd",
        "max_tokens_total",
        "max_calls",
        "reallocate",
        "coerce_types",
        "allow_placeholders",
        "assert_formats",
        "max_tokens_ceiling",
        "angles",
        deduplication::KEY,
        "already_seen",
    ];

    /// Keys that say how the run is driven and not what comes of it: a resumed run may change them.
    pub(super) const DRIVING: [&'static str; 11] = [
        // What is accepted may change with it, as with filters: that is judged anew, and nothing is asked again.
        deduplication::KEY,
        "max_concurrency",
        "task_runner_timeout",
        "job_run_stop_threshold",
        "show_progress",
        "storage",
        "max_retries",
        "max_cost_usd",
        "max_tokens_total",
        "max_calls",
        "max_tokens_ceiling",
    ];

    pub(super) fn read(
        object: Map<String, Value>,
        faults: &mut InputFaults,
        warnings: &mut Vec<InputWarning>,
    ) -> Self {
        const PATH: &str = "data_factory_config";
        let mut reader = Reader::new(object, PATH, faults);
        let ignored = WITHOUT_MEANING.iter().map(|(key, _)| *key);
        let known: Vec<&str> = Self::KEYS.into_iter().chain(ignored).collect();
        reader.refuse_unknown_keys(&known);
        for (key, reason) in WITHOUT_MEANING {
            if reader.take(key).is_some() {
                warnings.push(InputWarning::new(format!("{PATH}.{key}"), reason));
            }
        }
        let Self {
            max_concurrency,
            task_runner_timeout,
            dead_queue_threshold,
            job_run_stop_threshold,
            show_progress,
            storage,
            seed: _,
            records_per_request,
            max_retries,
            avoid_examples,
            max_cost_usd: _,
            max_tokens_total: _,
            max_calls: _,
            reallocate,
            coerce_types,
            allow_placeholders,
            assert_formats,
            max_tokens_ceiling: _,
            angles: _,
            deduplication: _,
            already_seen: _,
        } = Self::default();
        Self {
            // More connections than that, an operating system does not grant.
            max_concurrency: small(
                reader.count_within("max_concurrency", 1..=10_000),
                max_concurrency,
            ),
            task_runner_timeout: timeout(&mut reader).unwrap_or(task_runner_timeout),
            dead_queue_threshold: small(
                reader.count_within("dead_queue_threshold", 1..=1_000),
                dead_queue_threshold,
            ),
            job_run_stop_threshold: small(
                reader.count_within("job_run_stop_threshold", 1..=1_000),
                job_run_stop_threshold,
            ),
            show_progress: reader.flag("show_progress").unwrap_or(show_progress),
            storage: read_storage(&mut reader).unwrap_or(storage),
            seed: reader.count("seed"),
            // More than that does not fit into one answer.
            records_per_request: reader
                .count_within("records_per_request", 1..=100)
                .unwrap_or(records_per_request),
            max_retries: small(reader.count_within("max_retries", 0..=100), max_retries),
            // About 10 000 tokens in each prompt.
            avoid_examples: small(
                reader.count_within("avoid_examples", 0..=200),
                avoid_examples,
            ),
            max_cost_usd: cost(&mut reader),
            max_tokens_total: reader.count_within("max_tokens_total", 1..=u64::MAX),
            max_calls: reader.count_within("max_calls", 1..=u64::MAX),
            reallocate: reader.flag("reallocate").unwrap_or(reallocate),
            coerce_types: reader.flag("coerce_types").unwrap_or(coerce_types),
            allow_placeholders: reader
                .flag("allow_placeholders")
                .unwrap_or(allow_placeholders),
            assert_formats: reader.flag("assert_formats").unwrap_or(assert_formats),
            max_tokens_ceiling: reader.count_within("max_tokens_ceiling", 1..=u64::MAX),
            angles: angles::read(&mut reader),
            deduplication: deduplication::read(&mut reader).unwrap_or_default(),
            already_seen: read_paths(&mut reader, "already_seen"),
        }
    }

    /// Checks what is set here against the parameters of the generation model.
    pub(super) fn check_ceiling(
        &self,
        max_tokens: Option<u64>,
        faults: &mut InputFaults,
        warnings: &mut Vec<InputWarning>,
    ) {
        const PATH: &str = "data_factory_config.max_tokens_ceiling";
        match (self.max_tokens_ceiling, max_tokens) {
            (Some(_), None) => {
                let warning = InputWarning::new(
                    PATH,
                    "has no effect: `generation_model_kwargs` sets no `max_tokens` to start from",
                );
                // An input that is built again brings its warnings along.
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
            (Some(ceiling), Some(limit)) if ceiling < limit => faults.push(InputFault::new(
                PATH,
                format!("is {ceiling}, less than `max_tokens`, which is {limit}"),
                "write at least as many tokens, or leave it out",
            )),
            _ => {}
        }
    }

    /// Returns the JSON form, with every setting that has a value.
    pub(super) fn to_json(&self) -> Map<String, Value> {
        let storage = match &self.storage {
            Storage::InMemory => json!("in_memory"),
            Storage::Local(None) => json!("local"),
            Storage::Local(Some(directory)) => json!({"local": directory}),
        };
        let values: [Value; Self::KEYS.len()] = [
            self.max_concurrency.into(),
            seconds(self.task_runner_timeout),
            self.dead_queue_threshold.into(),
            self.job_run_stop_threshold.into(),
            self.show_progress.into(),
            storage,
            self.seed.into(),
            self.records_per_request.into(),
            self.max_retries.into(),
            self.avoid_examples.into(),
            self.max_cost_usd.into(),
            self.max_tokens_total.into(),
            self.max_calls.into(),
            self.reallocate.into(),
            self.coerce_types.into(),
            self.allow_placeholders.into(),
            self.assert_formats.into(),
            self.max_tokens_ceiling.into(),
            self.angles.as_ref().map_or(Value::Null, angles::to_json),
            deduplication::to_json(&self.deduplication),
            paths_to_json(&self.already_seen),
        ];
        let entries = Self::KEYS.map(str::to_owned).into_iter().zip(values);
        entries.filter(|(_, value)| !value.is_null()).collect()
    }
}

fn small<N: TryFrom<u64>>(number: Option<u64>, default: N) -> N {
    number
        .and_then(|number| number.try_into().ok())
        .unwrap_or(default)
}

/// Returns seconds as JSON, whole ones without a fraction.
pub(super) fn seconds(duration: Duration) -> Value {
    if duration.subsec_nanos() == 0 {
        duration.as_secs().into()
    } else {
        duration.as_secs_f64().into()
    }
}

fn timeout(reader: &mut Reader<'_>) -> Option<Duration> {
    /// A day: whoever waits longer for one answer does not mean a timeout.
    const LONGEST: f64 = 86_400.0;
    const KEY: &str = "task_runner_timeout";
    let seconds = reader.number(KEY)?;
    if seconds > 0.0 && seconds <= LONGEST {
        return Some(Duration::from_secs_f64(seconds));
    }
    reader.fault(
        KEY,
        format!("is {seconds}"),
        "write seconds above 0 and up to 86400",
    );
    None
}

fn cost(reader: &mut Reader<'_>) -> Option<f64> {
    const KEY: &str = "max_cost_usd";
    let dollars = reader.number(KEY)?;
    if dollars > 0.0 {
        return Some(dollars);
    }
    reader.fault(
        KEY,
        format!("is {dollars}"),
        "write an amount above 0, or leave it out for no cap",
    );
    None
}

/// Reads a list of files.
fn read_paths(reader: &mut Reader<'_>, key: &str) -> Vec<PathBuf> {
    const ADVICE: &str = r#"write a list of files, such as ["benchmark.jsonl"]"#;
    let Some(value) = reader.take(key) else {
        return Vec::new();
    };
    let Value::Array(entries) = &value else {
        reader.fault(key, format!("is {}", kind(&value)), ADVICE);
        return Vec::new();
    };
    let path = |entry: &Value| {
        let path = entry.as_str().filter(|path| !path.trim().is_empty());
        path.map(PathBuf::from)
    };
    entries
        .iter()
        .map(path)
        .collect::<Option<_>>()
        .unwrap_or_else(|| {
            reader.fault(
                key,
                "is a list of something else than names of files",
                ADVICE,
            );
            Vec::new()
        })
}

fn paths_to_json(paths: &[PathBuf]) -> Value {
    if paths.is_empty() {
        return Value::Null;
    }
    paths.iter().map(|path| path.to_string_lossy()).collect()
}

fn read_storage(reader: &mut Reader<'_>) -> Option<Storage> {
    const KEY: &str = "storage";
    const ADVICE: &str = r#"write "in_memory", "local" or {"local": "directory"}"#;
    let value = reader.take(KEY)?;
    let directory = |object: &Map<String, Value>| {
        let directory = object.get("local")?.as_str()?;
        (object.len() == 1 && !directory.trim().is_empty()).then(|| PathBuf::from(directory))
    };
    match &value {
        Value::String(name) if name == "in_memory" => return Some(Storage::InMemory),
        Value::String(name) if name == "local" => return Some(Storage::Local(None)),
        Value::String(_) => reader.fault(KEY, "is not a known storage", ADVICE),
        Value::Object(object) => match directory(object) {
            Some(directory) => return Some(Storage::Local(Some(directory))),
            None => reader.fault(KEY, "is an object that names no directory", ADVICE),
        },
        other => reader.fault(KEY, format!("is {}", kind(other)), ADVICE),
    }
    None
}
