//! The JSON Schema of an input file, for editors and the command line.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::dedup::Method;

/// Returns the JSON Schema of an input.
///
/// It knows keys, types and defaults. What depends on several keys together, such as counts that add up to
/// more than `num_records`, is checked when an input is read.
pub(super) fn json_schema() -> Value {
    let generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
    generator.into_root_schema_for::<Document>().to_value()
}

/// What to generate, how much of it, and with which models.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "GenerateByTopicInput", inline)]
#[allow(dead_code)] // Never made: it stands for the keys that `input/mod.rs` reads.
struct Document {
    /// What to generate, in words.
    #[schemars(default)]
    user_instruction: Option<String>,
    /// Total number of records wanted. With `null`, each of the given topics gets `records_per_topic`.
    #[schemars(default = "ten", range(min = 1, max = 1_000_000_000))]
    num_records: Option<u64>,
    /// How many records a topic gets where nothing else decides it.
    #[schemars(default = "ten")]
    records_per_topic: Option<u64>,
    /// Names of topics, or names with a count of their own. Without it, topics are generated.
    #[schemars(default, length(min = 1))]
    topics: Option<Vec<TopicEntry>>,
    /// Model that invents topics, as `provider/model`.
    #[schemars(default = "default_model", regex(pattern = ".+/.+"))]
    topic_model_name: Option<String>,
    /// Extra parameters for it. `temperature` is 1 unless given.
    #[schemars(default)]
    topic_model_kwargs: Option<ModelParameters>,
    /// Model that writes records, as `provider/model`.
    #[schemars(default = "default_model", regex(pattern = ".+/.+"))]
    generation_model_name: Option<String>,
    /// Extra parameters for it.
    #[schemars(default)]
    generation_model_kwargs: Option<ModelParameters>,
    /// Shape of a record: a list of fields, or a JSON Schema. A question and an answer unless given.
    #[schemars(default)]
    output_schema: Option<OutputSchema>,
    /// How the run is driven.
    #[schemars(default)]
    data_factory_config: Option<Config>,
    /// How providers are reached, by the name that stands before the slash of a model's name.
    #[schemars(default)]
    providers: Option<std::collections::BTreeMap<String, Provider>>,
    /// What models cost, by `provider/model` or `provider/*`.
    #[schemars(default)]
    prices: Option<std::collections::BTreeMap<String, ModelPrice>>,
    /// What is taken for a repeat; the same as `deduplication` in `data_factory_config`.
    #[schemars(default)]
    deduplication: Option<DeduplicationEntry>,
}

/// How a provider is reached. What is not set comes from the environment and from what is known of it.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code)]
struct Provider {
    /// Where it is, such as `http://10.0.0.7:8000/v1`.
    #[schemars(default)]
    base_url: Option<String>,
    /// The environment variable that holds its key.
    #[schemars(default)]
    api_key_env: Option<String>,
    /// Headers of every request. `$NAME` and `${NAME}` stand for what an environment variable holds.
    #[schemars(default)]
    headers: Option<std::collections::BTreeMap<String, String>>,
    /// The part of JSON Schema that it understands.
    #[schemars(default)]
    dialect: Option<DialectName>,
    /// The firmest way in which it can be asked for structured output.
    #[schemars(default)]
    output_mode: Option<OutputModeName>,
}

/// What a model costs, in dollars per million tokens.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code)]
struct ModelPrice {
    /// Prompt tokens.
    #[schemars(range(min = 0))]
    input: f64,
    /// Answer tokens, hidden reasoning included.
    #[schemars(range(min = 0))]
    output: f64,
    /// Prompt tokens read from the provider's cache.
    #[schemars(default, range(min = 0))]
    cached_input: Option<f64>,
    /// Prompt tokens written into the provider's cache.
    #[schemars(default, range(min = 0))]
    cache_write: Option<f64>,
    /// Prices of a call with a long prompt.
    #[schemars(default)]
    long: Option<serde_json::Map<String, Value>>,
    /// The most tokens that an answer can have.
    #[schemars(default, range(min = 1))]
    max_output_tokens: Option<u64>,
}

/// The name of a dialect.
struct DialectName;

impl JsonSchema for DialectName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Dialect".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"enum": crate::schema::Dialect::ALL})
    }
}

/// The name of a way to ask for structured output.
struct OutputModeName;

impl JsonSchema for OutputModeName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OutputMode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        use crate::llm::OutputMode::{Json, Prompt, Schema, Strict, Tool};
        json_schema!({"enum": [Strict, Schema, Tool, Json, Prompt]})
    }
}

// The signatures that schemars asks of a default.
#[allow(clippy::unnecessary_wraps)]
fn ten() -> Option<u64> {
    Some(10)
}

#[allow(clippy::unnecessary_wraps)]
fn default_model() -> Option<String> {
    Some(super::DEFAULT_MODEL.to_owned())
}

/// Parameters of a call: the ones below, and whatever else the provider takes. Never a key.
#[derive(JsonSchema)]
#[allow(dead_code)]
struct ModelParameters {
    /// Sampling temperature.
    #[schemars(default, range(min = 0))]
    temperature: Option<f64>,
    /// The most tokens an answer may have.
    #[schemars(default, range(min = 1))]
    max_tokens: Option<u64>,
}

/// A name, or a name with a count.
struct TopicEntry;

impl JsonSchema for TopicEntry {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TopicEntry".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A name, or a name with its own count.",
            "anyOf": [
                {"type": "string", "pattern": "\\S"},
                {
                    "type": "object",
                    "minProperties": 1,
                    "maxProperties": 1,
                    "additionalProperties": {"type": "integer", "minimum": 0},
                },
            ],
        })
    }
}

/// A list of fields, or a JSON Schema.
struct OutputSchema;

impl JsonSchema for OutputSchema {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OutputSchema".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let types = ["str", "int", "float", "bool", "list", "dict", "null"];
        json_schema!({
            "anyOf": [
                {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["name", "type"],
                        "properties": {
                            "name": {"type": "string"},
                            "type": {"enum": types},
                            "description": {"type": ["string", "null"]},
                            "required": true,
                            "items": true,
                            "properties": true,
                        },
                    },
                },
                {"type": "object", "description": "A JSON Schema whose root describes an object."},
            ],
        })
    }
}

/// How a run is driven.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Settings")]
#[allow(dead_code)]
struct Config {
    /// Calls in flight at once, over the whole run. 10 unless given.
    #[schemars(default, range(min = 1, max = 10_000))]
    max_concurrency: Option<u64>,
    /// Seconds one model call may take, once it is sent. 60 unless given.
    #[schemars(default, range(max = 86_400))]
    task_runner_timeout: Option<f64>,
    /// Attempts in a row that gave nothing before a topic is given up. 3 unless given.
    #[schemars(default, range(min = 1, max = 1_000))]
    dead_queue_threshold: Option<u64>,
    /// Rounds of calls that all fail before the run stops. 3 unless given.
    #[schemars(default, range(min = 1, max = 1_000))]
    job_run_stop_threshold: Option<u64>,
    /// Whether the command line shows progress. True unless given.
    #[schemars(default)]
    show_progress: Option<bool>,
    /// Where the run's answers are kept.
    #[schemars(default)]
    storage: Option<StorageEntry>,
    /// Makes what is left to chance repeat itself.
    #[schemars(default)]
    seed: Option<u64>,
    /// Records asked for in one call. 1 unless given.
    #[schemars(default, range(min = 1, max = 100))]
    records_per_request: Option<u64>,
    /// Times a failed call is made again. 7 unless given.
    #[schemars(default, range(max = 100))]
    max_retries: Option<u64>,
    /// Accepted records of a topic shown in its next prompt, so as not to be repeated. 10 unless given.
    #[schemars(default, range(max = 200))]
    avoid_examples: Option<u64>,
    /// US dollars the run may spend.
    #[schemars(default)]
    max_cost_usd: Option<f64>,
    /// Tokens the run may use, prompts and answers together.
    #[schemars(default, range(min = 1))]
    max_tokens_total: Option<u64>,
    /// Model calls the run may make.
    #[schemars(default, range(min = 1))]
    max_calls: Option<u64>,
    /// Whether the records a given-up topic still owes move to other topics. False unless given.
    #[schemars(default)]
    reallocate: Option<bool>,
    /// Whether a value of another type than the schema asks for is turned into it where nothing is lost. False
    /// unless given.
    #[schemars(default)]
    coerce_types: Option<bool>,
    /// Whether texts that are placeholders are accepted at once, not only when they come again. False unless given.
    #[schemars(default)]
    allow_placeholders: Option<bool>,
    /// Whether a record must keep to the `format` keywords of the schema. False unless given.
    #[schemars(default)]
    assert_formats: Option<bool>,
    /// How far `max_tokens` of the generation model is doubled for a topic whose answer was cut off. Never unless
    /// given.
    #[schemars(default, range(min = 1))]
    max_tokens_ceiling: Option<u64>,
    /// Points of view that take turns in a topic's prompts. None unless given.
    #[schemars(default)]
    angles: Option<AnglesEntry>,
    /// What is taken for a repeat. `near` unless given.
    #[schemars(default)]
    deduplication: Option<DeduplicationEntry>,
    /// JSONL files of records that count as seen. None unless given.
    #[schemars(default)]
    already_seen: Option<Vec<String>>,
    /// Accepted from Starfish files; has no effect.
    #[schemars(default)]
    batch_size: Option<u64>,
    /// Accepted from Starfish files; has no effect.
    #[schemars(default)]
    target_count: Option<u64>,
    /// Accepted from Starfish files; has no effect.
    #[schemars(default)]
    initial_state_values: Option<Value>,
}

/// `in_memory`, `local`, or `local` with a directory.
struct StorageEntry;

impl JsonSchema for StorageEntry {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Storage".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                {"enum": ["in_memory", "local"]},
                {
                    "type": "object",
                    "required": ["local"],
                    "properties": {"local": {"type": "string", "description": "A directory."}},
                    "additionalProperties": false,
                },
            ],
        })
    }
}

/// A method, or an object with its settings.
struct DeduplicationEntry;

impl JsonSchema for DeduplicationEntry {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Deduplication".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let method = json!({"enum": Method::ALL.map(Method::as_str)});
        json_schema!({
            "anyOf": [
                method,
                {
                    "type": "object",
                    "properties": {
                        "method": method,
                        "fields": {
                            "description": "The fields that decide, as names or paths.",
                            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
                        },
                        "scope": {"enum": ["run", "topic"]},
                        "embedding_model": {"type": "string", "description": "As `provider/model`."},
                        "threshold": {"type": "number", "minimum": 0, "maximum": 1},
                    },
                    "additionalProperties": false,
                },
            ],
        })
    }
}

/// `neutral`, a list, or how many are to be generated.
struct AnglesEntry;

impl JsonSchema for AnglesEntry {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Angles".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let count = json!({"type": "integer", "minimum": 1, "maximum": 100});
        json_schema!({
            "anyOf": [
                {"enum": ["neutral"]},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
                {
                    "type": "object",
                    "minProperties": 1,
                    "maxProperties": 2,
                    "properties": {
                        "generated": count,
                        "generated_once": count,
                        "most_asks": {"type": "integer", "minimum": 1},
                    },
                    "additionalProperties": false,
                },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    fn keys(schema: &Value, pointer: &str) -> Vec<String> {
        let object = schema.pointer(pointer).and_then(Value::as_object);
        object.expect("it is an object").keys().cloned().collect()
    }

    #[test]
    fn the_schema_knows_the_keys_that_are_read() {
        let schema = json_schema();
        let mut known = super::super::KEYS.to_vec();
        known.push(super::super::deduplication::KEY);
        assert_eq!(keys(&schema, "/properties"), known);
        assert!(schema.get("required").is_none(), "{schema}");
        let mut settings = keys(&schema, "/$defs/Settings/properties");
        assert_eq!(settings.split_off(Settings::KEYS.len()).len(), 3);
        assert_eq!(settings, Settings::KEYS);
    }

    #[test]
    fn the_schema_accepts_the_example_and_refuses_a_slip() {
        let validator = jsonschema::validator_for(&json_schema()).unwrap();
        let mut example: Value = serde_json::from_str(super::super::EXAMPLE).unwrap();
        assert!(validator.is_valid(&example));
        assert!(validator.is_valid(&serde_json::json!({"topics": null, "num_records": null})));
        example["topcs"] = Value::Null;
        assert!(!validator.is_valid(&example));
    }
}
