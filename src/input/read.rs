//! From a document to an input: the one way in, for JSON and for the builder.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::reader::{Reader, kind};
use super::warning::InputWarning;
use super::{DEFAULT_MODEL, Inner, KEYS, Settings, deduplication, parameters, providers, topics};
use crate::error::{Error, Result};
use crate::fault::{InputFault, InputFaults};
use crate::llm::ModelName;
use crate::llm::price::PriceTable;
use crate::plan::{PlanRequest, TopicSpec, allocate};
use crate::schema::RecordSchema;

/// Names should differ, so the topic model is asked to be as free as most models are by default.
const TOPIC_TEMPERATURE: f64 = 1.0;

/// What there is to read.
#[derive(Default)]
pub(super) struct Source {
    /// The keys of the JSON form.
    pub(super) document: Map<String, Value>,
    /// The shape of a record, where it does not come out of the document.
    pub(super) schema: Option<Result<RecordSchema>>,
    /// What is wrong already.
    pub(super) faults: InputFaults,
    /// What is to be said already.
    pub(super) warnings: Vec<InputWarning>,
}

/// Says what a document is that is not an object.
pub(super) fn not_an_object(value: &Value) -> Error {
    let problem = format!("the input is {}", kind(value));
    let advice = r#"write an object, such as {"user_instruction": "...", "num_records": 10}"#;
    InputFaults::from(InputFault::new("", problem, advice)).into()
}

/// How much of what, which decides the plan.
struct Amounts {
    num_records: Option<u64>,
    records_per_topic: u64,
    topics: Option<Vec<TopicSpec>>,
}

pub(super) fn read(source: Source) -> Result<Inner> {
    let Source {
        document,
        schema,
        mut faults,
        mut warnings,
    } = source;
    let mut reader = Reader::new(document, "", &mut faults);
    let known: Vec<&str> = KEYS.into_iter().chain([deduplication::KEY]).collect();
    reader.refuse_unknown_keys(&known);
    // A blank instruction says nothing, as if it were missing.
    let user_instruction = reader.text("user_instruction");
    let user_instruction = user_instruction.filter(|text| !text.trim().is_empty());
    let before = reader.faults.len();
    let amounts = read_amounts(&mut reader);
    let amounts_are_clear = reader.faults.len() == before;
    let topic_model = read_model(&mut reader, "topic_model_name", &mut warnings);
    let topic_kwargs = reader.object("topic_model_kwargs").unwrap_or_default();
    let generation_model = read_model(&mut reader, "generation_model_name", &mut warnings);
    let generation_kwargs = reader.object("generation_model_kwargs").unwrap_or_default();
    let schema_json = reader.take("output_schema");
    let providers = providers::read(&mut reader);
    let (prices_json, prices) = read_prices(&mut reader);
    let mut config = reader.object("data_factory_config").unwrap_or_default();
    // What a repeat is belongs to the data as much as to the run, so it is taken beside the schema too.
    if let Some(said) = reader.take(deduplication::KEY) {
        let inner = config.insert(deduplication::KEY.to_owned(), said.clone());
        if inner.is_some_and(|inner| !inner.is_null() && inner != said) {
            reader.fault(
                deduplication::KEY,
                "is said twice, and `data_factory_config` has another",
                "leave one of them out",
            );
        }
    }

    let mut read_parameters =
        |kwargs, path| parameters::read(kwargs, path, &mut faults, &mut warnings);
    let mut topic_parameters = read_parameters(topic_kwargs, "topic_model_kwargs");
    topic_parameters.temperature = topic_parameters.temperature.or(Some(TOPIC_TEMPERATURE));
    let generation_parameters = read_parameters(generation_kwargs, "generation_model_kwargs");
    let (schema, schema_json) = read_schema(schema, schema_json, &mut faults);
    let told = schema.warnings().iter();
    warnings.extend(told.map(|warning| InputWarning::new("output_schema", warning.as_str())));
    let settings = Settings::read(config, &mut faults, &mut warnings);
    deduplication::check(&settings.deduplication, &schema, &mut faults);
    settings.check_ceiling(generation_parameters.max_tokens, &mut faults, &mut warnings);

    let mut request = PlanRequest::new(amounts.num_records, amounts.records_per_topic);
    request.topics = amounts.topics.as_deref();
    request.has_instruction = user_instruction.is_some();
    let allocation = match amounts_are_clear.then(|| allocate(&request)) {
        Some(Ok(allocation)) => allocation,
        Some(Err(others)) => {
            faults.append(others);
            return Err(faults.into());
        }
        None => return Err(faults.into()),
    };
    Ok(faults.or(Inner {
        user_instruction,
        num_records: amounts.num_records,
        records_per_topic: amounts.records_per_topic,
        topics: amounts.topics,
        allocation,
        topic_model,
        topic_parameters: Arc::new(topic_parameters),
        generation_model,
        generation_parameters: Arc::new(generation_parameters),
        schema,
        schema_json,
        settings,
        providers,
        prices_json,
        prices,
        warnings,
    })?)
}

fn read_amounts(reader: &mut Reader<'_>) -> Amounts {
    let without_total = reader.is_null("num_records");
    let num_records = reader.count("num_records");
    let records_per_topic = reader.count("records_per_topic").unwrap_or(10);
    let topics = topics::read(reader);
    Amounts {
        // `null` leaves the total to the topics, if there are some; without them it says no more than a
        // missing key does.
        num_records: match num_records {
            None if without_total && topics.is_some() => None,
            None => Some(10),
            given => given,
        },
        records_per_topic,
        topics,
    }
}

fn read_model(reader: &mut Reader<'_>, key: &str, warnings: &mut Vec<InputWarning>) -> ModelName {
    let default = || DEFAULT_MODEL.parse().expect("it is `provider/model`");
    let Some(text) = reader.text(key) else {
        return default();
    };
    match text.parse::<ModelName>() {
        Ok(name) => {
            // LiteLLM, and so Starfish, takes such a name.
            if !text.contains('/') {
                let reason = format!("names no provider and is taken for `{name}`");
                warnings.push(InputWarning::new(key, reason));
            }
            name
        }
        Err(error) => {
            let (problem, advice) = error
                .message()
                .split_once("; ")
                .unwrap_or((error.message(), ""));
            reader.fault(key, problem, advice);
            default()
        }
    }
}

/// Reads prices over those that are known.
fn read_prices(reader: &mut Reader<'_>) -> (Map<String, Value>, PriceTable) {
    let json = reader.object("prices").unwrap_or_default();
    let prices = PriceTable::known()
        .with_json(&json)
        .unwrap_or_else(|error| {
            let (problem, advice) = error
                .message()
                .split_once("; ")
                .unwrap_or((error.message(), ""));
            reader.fault("prices", problem, advice);
            PriceTable::known()
        });
    (json, prices)
}

fn read_schema(
    given: Option<Result<RecordSchema>>,
    json: Option<Value>,
    faults: &mut InputFaults,
) -> (RecordSchema, Value) {
    let is_default = given.is_none() && json.is_none();
    let read = given.unwrap_or_else(|| RecordSchema::from_json(json.clone().unwrap_or_default()));
    let schema = read.unwrap_or_else(|error| {
        note_schema_faults(error.message(), faults);
        RecordSchema::default()
    });
    let json = match json {
        Some(json) => json,
        None if is_default => json!([
            {"name": "question", "type": "str"},
            {"name": "answer", "type": "str"},
        ]),
        None => schema.as_json().clone(),
    };
    (schema, json)
}

/// Takes a message apart that lists faults as `output_schema[0].type: what is wrong; output_schema ...`.
fn note_schema_faults(message: &str, faults: &mut InputFaults) {
    const FIELD: &str = "output_schema";
    let Some(message) = message.strip_prefix(FIELD) else {
        faults.push(InputFault::new(FIELD, message, ""));
        return;
    };
    for fault in message.split("; output_schema") {
        let (place, problem) = fault.split_once(": ").unwrap_or(("", fault));
        faults.push(InputFault::new(format!("{FIELD}{place}"), problem, ""));
    }
}
