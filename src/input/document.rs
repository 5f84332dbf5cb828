//! The keys of an input, and the JSON Schema of all of it.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::attributes::AttributesForm;
use super::described::{Described, described};
use super::documents::DocumentsForm;
use super::examples::{Examples, ExamplesForm};
use super::form::{Form, Maybe, ModelForm, Text, Whole, object};
use super::kind::KindForm;
use super::models::{Models, ModelsForm};
use super::parameters::ParametersForm;
use super::place::Place;
use super::providers::{Providers, ProvidersForm};
use super::settings::Settings;
use super::source::{Source, SourceForm};
use super::topics::{TopicSources, Topics};
use crate::filter::RecordKind;
use crate::llm::price::PriceTable;
use crate::llm::{ModelName, Parameters};
use crate::plan::{Attribute, MOST_RECORDS};

described! {
    pub(super) struct Document {
        /// What to generate, in words.
        #[example("\"Q&A pairs about the sea\"")]
        #[written("user_instruction")]
        instruction: Option<String> = None, Text;
        /// Total number of records wanted. With null, each of the given topics gets `records_per_topic`.
        #[example("100")]
        num_records: Option<u64> = Some(10), Whole(0..=u64::MAX);
        /// How many records a topic gets where nothing else decides it.
        #[example("5")]
        records_per_topic: u64 = 10, Whole(0..=u64::MAX);
        /// Names of topics, or names with a count of their own, such as `{"tides": 3}`; or where they come from. Without it, topics
        /// are generated.
        #[example("[\"tides\", {\"currents\": 3}]")]
        #[example("{\"tree\": [5, 4]}")]
        topics: TopicSources = TopicSources::default(), Topics;
        /// Properties that records differ in, such as a difficulty, each with its values and the share of the records that has each.
        /// They are crossed with the topics, shown in the prompt, and written with each record; a field of that name has to have the
        /// value.
        #[example("{\"difficulty\": {\"easy\": 0.3, \"medium\": 0.5, \"hard\": 0.2}, \"persona\": [\"a student\", \"a teacher\"]}")]
        attributes: Vec<Attribute> = Vec::new(), AttributesForm;
        /// Rows of data, each of which is a topic of its own: its columns are shown in the prompt. A file, or the rows themselves.
        #[example("{\"file\": \"products.csv\", \"columns\": [\"name\", \"price\"], \"keep\": [\"id\"]}")]
        source: Option<Source> = None, SourceForm;
        /// Texts, each part of which is a topic of its own: Markdown or plain text, taken apart at the ends of paragraphs. Where
        /// a record has a field `quote`, it has to stand in the part.
        #[example("{\"path\": \"manuals\", \"chunk_chars\": 1200}")]
        documents: Option<Source> = None, DocumentsForm;
        /// Records as they are wanted, of which each prompt shows some. They count as seen: none is made again.
        #[example("[{\"question\": \"Why is the sea salty?\", \"answer\": \"Rivers carry salt into it.\"}]")]
        examples: Examples = Examples::default(), ExamplesForm;
        /// Model that invents topics, as `provider/model`.
        #[example("\"openai/gpt-4o\"")]
        #[written("topic_model_name")]
        topic_model: ModelName = default_model(), ModelForm;
        /// Parameters for it, and whatever else the provider takes; never a key. `temperature` is 1 unless given.
        #[example("{\"temperature\": 0.7}")]
        topic_model_kwargs: Arc<Parameters> = Arc::default(), ParametersForm;
        /// Model that writes records, as `provider/model`; or several with weights, which share the calls.
        #[example("\"mistral/mistral-small-latest\"")]
        #[example("{\"openai/gpt-4o\": 1, \"openai/gpt-4o-mini\": 3}")]
        #[written("generation_model_name")]
        #[also("models")]
        model: Models = vec![(default_model(), 1)], ModelsForm;
        /// Parameters for it, and whatever else the provider takes; never a key.
        #[example("{\"temperature\": 0.8, \"max_tokens\": 200}")]
        generation_model_kwargs: Arc<Parameters> = Arc::default(), ParametersForm;
        /// Shape of a record: a list of fields, or a JSON Schema of any draft.
        #[example("[{\"name\": \"question\", \"type\": \"str\"}, {\"name\": \"tags\", \"type\": \"list\", \"items\": {\"type\": \"str\"}}]")]
        output_schema: Value = question_and_answer(), OutputSchema;
        /// Records of a kind that is common, in place of `output_schema`: its name, or an object with the name and settings.
        #[example("\"chat\"")]
        #[example("{\"chat\": {\"turns\": [2, 6], \"system\": \"required\"}}")]
        kind: Option<RecordKind> = None, Maybe(KindForm);
        /// How the run is driven: the settings below, which may also stand beside these keys.
        #[example("{\"max_concurrency\": 4, \"task_runner_timeout\": 120}")]
        data_factory_config: Map<String, Value> = Map::new(), Config;
        /// How providers are reached, by the name that stands before the slash of a model's name.
        #[example("{\"house\": {\"base_url\": \"http://10.0.0.7:8000/v1\", \"api_key_env\": \"HOUSE_KEY\"}}")]
        providers: Providers = Providers::new(), ProvidersForm;
        /// What models cost, by `provider/model` or `provider/*`, in dollars per million tokens.
        #[example("{\"house/*\": {\"input\": 0.2, \"output\": 0.6}}")]
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
    let settings = Settings::json_schema();
    for kind in ["properties", "patternProperties"] {
        for name in settings[kind].as_object().into_iter().flat_map(Map::keys) {
            let place = name.replace('^', "%5E").replace('$', "%24");
            schema[kind][name] = json!({"$ref": format!("#/$defs/Settings/{kind}/{place}")});
        }
    }
    schema["$defs"] = json!({"Settings": settings});
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
                "name": {"description": "Its name.", "type": "string", "examples": ["question"]},
                "type": {"description": "Its type.", "enum": types, "examples": ["str"]},
                "description": {
                    "description": "What it is, for the model.", "type": ["string", "null"], "examples": ["one sentence"],
                },
                "required": {
                    "description": "Whether it has to be there; of a dict, or which of its keys have to.", "examples": [false],
                },
                "items": {"description": "The shape of what is in a list.", "examples": [{"type": "str"}]},
                "properties": {
                    "description": "The keys of a dict, each with its shape.", "examples": [{"year": {"type": "int"}}],
                },
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
        let amount = |about: &str, example: f64| json!({"description": about, "type": "number", "minimum": 0, "examples": [example]});
        let rate = |about: &str, example: f64| json!({"description": about, "type": ["number", "null"], "minimum": 0, "examples": [example]});
        let rates = json!({
            "input": amount("Prompt tokens.", 0.15),
            "output": amount("Answer tokens, hidden reasoning included.", 0.6),
            "cached_input": rate("Prompt tokens read from the provider's cache.", 0.075),
            "cache_write": rate("Prompt tokens written into the provider's cache.", 0.19),
        });
        let mut price = json!({
            "type": "object", "required": ["input", "output"], "properties": rates, "additionalProperties": false,
        });
        price["properties"]["long"] = json!({
            "description": "Prices of a call with a long prompt.",
            "type": ["object", "null"],
            "required": ["above", "input", "output"],
            "properties": rates,
            "additionalProperties": false,
            "examples": [{"above": 200_000, "input": 2.5, "output": 15}],
        });
        price["properties"]["long"]["properties"]["above"] = json!({
            "description": "A prompt of more tokens than this is long.", "type": "integer", "minimum": 0, "examples": [200_000],
        });
        price["properties"]["max_output_tokens"] = json!({
            "description": "The most tokens that an answer can have.", "type": ["integer", "null"], "minimum": 1, "examples": [16384],
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
