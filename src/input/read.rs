//! From a document to an input: the one way in, for JSON and for the builder.

use std::mem;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::described::Described;
use super::document::Document;
use super::place::{Notes, Place};
use super::reader::Reader;
use super::warning::InputWarning;
use super::{Inner, Settings, deduplication};
use crate::error::{Error, Result};
use crate::fault::{InputFault, InputFaults};
use crate::plan::{PlanRequest, allocate};
use crate::schema::{RecordSchema, kind_of};

/// Names should differ, so the topic model is asked to be as free as most models are by default.
const TOPIC_TEMPERATURE: f64 = 1.0;

/// What there is to read.
#[derive(Default)]
pub(super) struct Source {
    /// The keys of the JSON form.
    pub(super) document: Map<String, Value>,
    /// The shape of a record, where it does not come out of the document.
    pub(super) schema: Option<Result<RecordSchema>>,
    /// What there is to say already.
    pub(super) notes: Notes,
}

/// Says what a document is that is not an object.
pub(super) fn not_an_object(value: &Value) -> Error {
    let problem = format!("the input is {}", kind_of(value));
    let advice = r#"write an object, such as {"user_instruction": "...", "num_records": 10}"#;
    InputFaults::from(InputFault::new("", problem, advice)).into()
}

pub(super) fn read(source: Source) -> Result<Inner> {
    let Source {
        mut document,
        schema,
        mut notes,
    } = source;
    // `null` leaves the total to the topics, if there are some; without them it says no more than a missing key does.
    let without_total = document.get("num_records").is_some_and(Value::is_null);
    move_deduplication(&mut document, &mut notes);
    let has_schema = document
        .get("output_schema")
        .is_some_and(|schema| !schema.is_null());
    let mut reader = Reader::new(document, Place::new("", &mut notes));
    reader.refuse_unknown_keys(Document::KEYS, &[deduplication::KEY]);
    let mut document = Document::read(&mut reader);
    let amounts_are_clear =
        !reader.found_fault_with(&["num_records", "records_per_topic", "topics"]);
    if without_total && document.topics.is_some() {
        document.num_records = None;
    }
    // A blank instruction says nothing, as if it were missing.
    let instruction = document.user_instruction.take();
    document.user_instruction = instruction.filter(|text| !text.trim().is_empty());
    let topic_parameters = Arc::make_mut(&mut document.topic_model_kwargs);
    topic_parameters
        .temperature
        .get_or_insert(TOPIC_TEMPERATURE);
    let schema = read_schema(
        schema,
        has_schema,
        &mut document.output_schema,
        &mut notes.faults,
    );
    let told = schema.warnings().iter();
    let told = told.map(|warning| InputWarning::new("output_schema", warning.as_str()));
    notes.warnings.extend(told);
    let settings = Settings::from_json(mem::take(&mut document.data_factory_config), &mut notes);
    deduplication::check(&settings.deduplication, &schema, &mut notes);
    settings.check_ceiling(document.generation_model_kwargs.max_tokens, &mut notes);
    document.data_factory_config = settings.write_set();

    let mut request = PlanRequest::new(document.num_records, document.records_per_topic);
    request.topics = document.topics.as_deref();
    request.has_instruction = document.user_instruction.is_some();
    let Notes {
        mut faults,
        warnings,
    } = notes;
    let allocation = match amounts_are_clear.then(|| allocate(&request)) {
        Some(Ok(allocation)) => allocation,
        Some(Err(others)) => {
            faults.append(others);
            return Err(faults.into());
        }
        None => return Err(faults.into()),
    };
    Ok(faults.or(Inner {
        document,
        allocation,
        schema,
        settings,
        warnings,
    })?)
}

/// Moves what a repeat is to the settings. It belongs to the data as much as to the run, so it is taken beside the schema too.
fn move_deduplication(document: &mut Map<String, Value>, notes: &mut Notes) {
    let Some(said) = document
        .shift_remove(deduplication::KEY)
        .filter(|said| !said.is_null())
    else {
        return;
    };
    let config = document.entry("data_factory_config").or_insert(Value::Null);
    if config.is_null() {
        *config = json!({});
    }
    if let Value::Object(config) = config {
        let inner = config.insert(deduplication::KEY.to_owned(), said.clone());
        if inner.is_some_and(|inner| !inner.is_null() && inner != said) {
            Place::new(deduplication::KEY, notes).fault::<()>(
                "is said twice, and `data_factory_config` has another",
                "leave one of them out",
            );
        }
    }
}

/// Returns the shape of a record: the one that is given, or what is written, which becomes the other.
fn read_schema(
    given: Option<Result<RecordSchema>>,
    is_written: bool,
    written: &mut Value,
    faults: &mut InputFaults,
) -> RecordSchema {
    let is_given = given.is_some();
    let read = given.unwrap_or_else(|| RecordSchema::from_json(written.clone()));
    let schema = read.unwrap_or_else(|error| {
        note_schema_faults(error.message(), faults);
        RecordSchema::default()
    });
    if is_given && !is_written {
        *written = schema.as_json().clone();
    }
    schema
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
