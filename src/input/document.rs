//! The keys of an input, and the JSON Schema of all of it.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::deduplication;
use super::described::{Described, described};
use super::form::{Form, Maybe, ModelForm, Text, Whole, object};
use super::parameters::ParametersForm;
use super::place::Place;
use super::providers::{Providers, ProvidersForm};
use super::settings::Settings;
use super::topics::Topics;
use crate::llm::price::PriceTable;
use crate::llm::{ModelName, Parameters};
use crate::plan::{MOST_RECORDS, TopicSpec};

described! {
    pub(super) struct Document {
        /// What to generate, in words.
        user_instruction: Option<String> = None, Text;
        /// Total number of records wanted. With null, each of the given topics gets `records_per_topic`.
        num_records: Option<u64> = Some(10), Whole(0..=u64::MAX);
        /// How many records a topic gets where nothing else decides it.
        records_per_topic: u64 = 10, Whole(0..=u64::MAX);
        /// Names of topics, or names with a count of their own, such as `{"tides": 3}`. Without it, topics are generated.
        topics: Option<Vec<TopicSpec>> = None, Maybe(Topics);
        /// Model that invents topics, as `provider/model`.
        topic_model_name: ModelName = default_model(), ModelForm;
        /// Parameters for it, and whatever else the provider takes; never a key. `temperature` is 1 unless given.
        topic_model_kwargs: Arc<Parameters> = Arc::default(), ParametersForm;
        /// Model that writes records, as `provider/model`.
        generation_model_name: ModelName = default_model(), ModelForm;
        /// Parameters for it, and whatever else the provider takes; never a key.
        generation_model_kwargs: Arc<Parameters> = Arc::default(), ParametersForm;
        /// Shape of a record: a list of fields, or a JSON Schema of any draft.
        output_schema: Value = question_and_answer(), OutputSchema;
        /// How the run is driven: the settings below.
        data_factory_config: Map<String, Value> = Map::new(), Config;
        /// How providers are reached, by the name that stands before the slash of a model's name.
        providers: Providers = Providers::new(), ProvidersForm;
        /// What models cost, by `provider/model` or `provider/*`, in dollars per million tokens.
        prices: Prices = Prices::default(), PricesForm;
    }
}

/// Returns the JSON Schema of an input.
///
/// It knows keys, types and defaults. What depends on several keys together, such as counts that add up to
/// more than `num_records`, is checked when an input is read.
pub(super) fn json_schema() -> Value {
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "GenerateByTopicInput",
        "description": "What to generate, how much of it, and with which models.",
    });
    let all = schema.as_object_mut().expect("it was made as one");
    all.extend(Document::schema().as_object().cloned().unwrap_or_default());
    // The plan checks these, with the topics in view.
    schema["properties"]["num_records"]["minimum"] = json!(1);
    schema["properties"]["num_records"]["maximum"] = json!(MOST_RECORDS);
    schema["properties"][deduplication::KEY] = json!({
        "description": "The same as in `data_factory_config`.",
        "$ref": "#/$defs/Settings/properties/deduplication",
    });
    schema["$defs"] = json!({"Settings": Settings::json_schema()});
    schema
}

fn default_model() -> ModelName {
    let name = "openai/gpt-4o-mini";
    name.parse().expect("it is `provider/model`")
}

fn question_and_answer() -> Value {
    json!([
        {"name": "question", "type": "str"},
        {"name": "answer", "type": "str"},
    ])
}

/// The shape of a record as it is written; what it comes to depends on the builder too.
struct OutputSchema;

impl Form<Value> for OutputSchema {
    fn read(&self, value: Value, _: &mut Place<'_>) -> Option<Value> {
        Some(value)
    }

    fn write(&self, value: &Value) -> Value {
        value.clone()
    }

    fn schema(&self) -> Value {
        let types = ["str", "int", "float", "bool", "list", "dict", "null"];
        let field = json!({
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
        });
        json!({"anyOf": [
            {"type": "array", "description": "Fields, each with a `name` and a `type`.", "minItems": 1, "items": field},
            {"type": "object", "description": "A JSON Schema whose root describes an object."},
        ]})
    }
}

/// The settings as they are written; they are read when the schema is known.
struct Config;

impl Form<Map<String, Value>> for Config {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<Map<String, Value>> {
        object(value, place)
    }

    fn write(&self, value: &Map<String, Value>) -> Value {
        value.clone().into()
    }

    fn schema(&self) -> Value {
        json!({"$ref": "#/$defs/Settings"})
    }
}

/// Prices as they are written, and over those that are known.
pub(super) struct Prices {
    json: Map<String, Value>,
    pub(super) table: PriceTable,
}

impl Default for Prices {
    fn default() -> Self {
        Self {
            json: Map::new(),
            table: PriceTable::known(),
        }
    }
}

struct PricesForm;

impl Form<Prices> for PricesForm {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<Prices> {
        let json = object(value, place)?;
        match PriceTable::known().with_json(&json) {
            Ok(table) => Some(Prices { json, table }),
            Err(error) => place.fault_of(error.message()),
        }
    }

    fn write(&self, prices: &Prices) -> Value {
        if prices.json.is_empty() {
            return Value::Null;
        }
        prices.json.clone().into()
    }

    fn schema(&self) -> Value {
        let rate = |about| json!({"description": about, "type": ["number", "null"], "minimum": 0});
        let price = json!({
            "type": "object",
            "required": ["input", "output"],
            "properties": {
                "input": {"description": "Prompt tokens.", "type": "number", "minimum": 0},
                "output": {"description": "Answer tokens, hidden reasoning included.", "type": "number", "minimum": 0},
                "cached_input": rate("Prompt tokens read from the provider's cache."),
                "cache_write": rate("Prompt tokens written into the provider's cache."),
                "long": {"description": "Prices of a call with a long prompt.", "type": ["object", "null"]},
                "max_output_tokens": {
                    "description": "The most tokens that an answer can have.", "type": ["integer", "null"], "minimum": 1,
                },
            },
            "additionalProperties": false,
        });
        json!({"type": "object", "additionalProperties": price})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
