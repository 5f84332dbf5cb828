//! From a document to an input: the one way in, for JSON and for the builder.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::mem;
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};

use super::described::Described;
use super::document::Document;
use super::place::{Notes, Place, SETTINGS};
use super::reader::Reader;
use super::settings::WITHOUT_MEANING;
use super::text::{ADVICE, Written};
use super::topics::TopicSources;
use super::warning::InputWarning;
use super::{Inner, Settings, attributes, deduplication, files, filters, kind, path, source};
use crate::error::{Error, Result};
use crate::fault::{InputFault, InputFaults};
use crate::plan::{Allocation, Attribute, PlanRequest, TopicSpec, allocate};
use crate::schema::{RecordSchema, include_files, kind_of};
use crate::topic::{Row, SOURCE, TEXT};

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
    /// The text it was read from.
    pub(super) written: Option<Written>,
    /// What was put into the document afterwards, as paths, each with who said so.
    pub(super) said_by: Vec<(String, String)>,
}

/// Says what a document is that is not an object.
pub(super) fn not_an_object(value: &Value) -> Error {
    let problem = format!("the input is {}", kind_of(value));
    InputFaults::from(InputFault::new("", problem, ADVICE)).into()
}

pub(super) fn read(mut source: Source) -> Result<Inner> {
    let written = source.written.take();
    let said_by = mem::take(&mut source.said_by);
    Ok(read_all(source).map_err(|mut faults| {
        for fault in faults.iter_mut() {
            let said = |(path, _): &&(String, String)| path::within(&fault.field, path).is_some();
            let who = said_by.iter().rev().find(said).map(|(_, who)| who.clone());
            let place = || written.as_ref()?.place_of(&fault.field);
            fault.written = who.or_else(place);
        }
        faults
    })?)
}

fn read_all(source: Source) -> Result<Inner, InputFaults> {
    let Source {
        mut document,
        schema,
        mut notes,
        ..
    } = source;
    include_schemas(&mut document, &mut notes);
    // `null` leaves the total to the topics, if there are some; without them it says no more than a missing key does.
    let without_total = document.get("num_records").is_some_and(Value::is_null);
    let says_number = document
        .get("num_records")
        .is_some_and(|number| !number.is_null());
    let beside = settings_beside(&mut document);
    notes.beside = beside.keys().cloned().collect();
    let has_schema = document
        .get("output_schema")
        .is_some_and(|schema| !schema.is_null());
    let mut reader = Reader::new(document, Place::new("", &mut notes));
    reader.refuse_unknown_keys(Document::KEYS, &names_of_settings());
    let mut document = Document::read(&mut reader);
    let amounts_are_clear =
        !reader.found_fault_with(&["num_records", "records_per_topic", "topics"]);
    if without_total && document.topics.given.is_some() {
        document.num_records = None;
    }
    // A blank instruction says nothing, as if it were missing.
    let instruction = document.instruction.take();
    document.instruction = instruction.filter(|text| !text.trim().is_empty());
    let topic_parameters = Arc::make_mut(&mut document.topic_model_kwargs);
    topic_parameters
        .temperature
        .get_or_insert(TOPIC_TEMPERATURE);
    let (schema, asked_schema) = read_shape(schema, has_schema, &mut document, &mut notes);
    let told = schema.warnings().iter();
    let told = told.map(|warning| InputWarning::new("output_schema", warning.as_str()));
    notes.warnings.extend(told);
    let mut config = mem::take(&mut document.data_factory_config);
    add_settings(&mut config, beside, &mut notes);
    let settings = Settings::from_json(config, &mut notes);
    deduplication::check(&settings.deduplication, &schema, &mut notes);
    filters::check(&settings, &schema, &mut notes);
    if let Some(judge) = &settings.judge {
        judge.labels.check(&judge.criteria, &schema, &mut notes);
    }
    kind::check(document.kind.as_ref(), &settings, &mut notes);
    if let Some(output) = &settings.output {
        let kept = [&document.source, &document.documents];
        let kept = kept.into_iter().flatten().flat_map(|rows| &rows.keep);
        let labels = document.attributes.iter().map(|it| &it.name).chain(kept);
        files::check(output, &schema, labels.map(String::as_str), &mut notes);
    }
    settings.check_ceiling(document.generation_model_kwargs.max_tokens, &mut notes);
    let attributes = attributes::resolved(&document.attributes, &schema, &mut notes);
    document.examples.settle(&schema, &mut notes);
    let rows = settle_rows(
        &mut document,
        says_number,
        &schema,
        &attributes,
        &settings,
        &mut notes,
    );
    let has_variables = !(attributes.is_empty() && rows.is_empty());
    let has_examples = !document.examples.given.is_empty();
    warn_of_what_is_hidden(&settings, has_variables, has_examples, &mut notes);
    document.data_factory_config = settings.write_set();

    let appended_to = appended_to(&document, &settings, &mut notes);
    let Notes {
        mut faults,
        warnings,
        files,
        ..
    } = notes;
    let allocation = match amounts_are_clear.then(|| share_out(&document, &rows, appended_to)) {
        Some(Ok(allocation)) => allocation,
        Some(Err(others)) => {
            faults.append(others);
            return Err(faults);
        }
        None => return Err(faults),
    };
    faults.or(Inner {
        document,
        attributes,
        rows,
        appended_to,
        allocation,
        schema,
        asked_schema,
        settings,
        warnings,
        files,
        fingerprint: OnceLock::new(),
    })
}

/// Shares out what is wanted beside the records that are there already; nothing where those are all.
fn share_out(
    document: &Document,
    rows: &[Arc<Row>],
    appended_to: u64,
) -> Result<Allocation, InputFaults> {
    let wanted = document
        .num_records
        .map(|number| number.saturating_sub(appended_to));
    let topics = (!rows.is_empty()).then(|| rows.iter().map(|row| row.name().into()));
    let topics: Option<Vec<TopicSpec>> = topics.map(Iterator::collect);
    let mut request = PlanRequest::new(wanted, document.records_per_topic);
    request.topics = topics.as_deref().or(document.topics.given.as_deref());
    request.generated = document.topics.generated();
    request.has_instruction = document.instruction.is_some();
    if appended_to > 0 && wanted == Some(0) {
        return Ok(Allocation::default());
    }
    allocate(&request).map(|allocation| source::of_rows(allocation, rows))
}

/// Returns how many records are in the output already, where others are to be added.
fn appended_to(document: &Document, settings: &Settings, notes: &mut Notes) -> u64 {
    let Some(output) = settings.output.as_ref().filter(|_| settings.append) else {
        return 0;
    };
    let mut place = Place::new(SETTINGS, notes);
    let ends_as_folder = output
        .path
        .as_os_str()
        .to_string_lossy()
        .ends_with(['/', '\\']);
    if ends_as_folder || output.path.is_dir() {
        let problem = "adds records to a file of JSON Lines, and the output is a folder";
        let advice = "name it `NAME.jsonl`, or export it afterwards";
        place.at("append").fault::<()>(problem, advice);
        return 0;
    }
    let Ok(file) = File::open(&output.path) else {
        return 0;
    };
    // What cannot be read is found out when the output is opened.
    let lines = BufReader::new(file).split(b'\n').map_while(io::Result::ok);
    let there = lines.filter(|line| !line.trim_ascii().is_empty()).count() as u64;
    match document.num_records {
        None => {
            let advice = "set it to how many there are to be in all";
            place
                .at("append")
                .fault::<()>("needs `num_records`", advice);
        }
        Some(number) if number < there => {
            let problem =
                format!("finds {there} records in the output, and `num_records` is {number}");
            place
                .at("append")
                .fault::<()>(problem, "ask for more in all");
        }
        Some(_) => {}
    }
    there
}

/// Returns the rows that are topics, and says how many records they give where nothing else does.
fn settle_rows(
    document: &mut Document,
    says_number: bool,
    schema: &RecordSchema,
    attributes: &[Attribute],
    settings: &Settings,
    notes: &mut Notes,
) -> Vec<Arc<Row>> {
    let mut key = source::KEY;
    if let Some(mut documents) = document.documents.take() {
        key = "documents";
        if schema.has_property(SOURCE) && !documents.keep.iter().any(|name| name == SOURCE) {
            documents.keep.push(SOURCE.to_owned());
        }
        documents.quoted = schema.has_property(source::QUOTE).then(|| TEXT.to_owned());
        if document.source.replace(documents).is_some() {
            let advice = "leave one of them out";
            Place::new(key, notes).fault::<()>("are said beside `source`", advice);
        }
    }
    let Some(source) = &mut document.source else {
        return Vec::new();
    };
    if document.topics != TopicSources::default() {
        let advice = "leave one of them out: each row is a topic of its own";
        Place::new("topics", notes).fault::<()>(format!("are said beside `{key}`"), advice);
    }
    let rows = source.settle(key, schema, attributes, settings.seed.unwrap_or(0), notes);
    let each = source.records_per_row.take();
    if each.is_some() && says_number {
        let advice = "leave one of them out";
        Place::new(key, notes)
            .at("records_per_row")
            .fault::<()>("is said beside `num_records`", advice);
    }
    if !says_number {
        document.num_records = Some((rows.len() as u64).saturating_mul(each.unwrap_or(1)));
    }
    rows
}

/// Warns of a template of the caller's own that leaves out what a prompt is to show.
fn warn_of_what_is_hidden(
    settings: &Settings,
    has_variables: bool,
    has_examples: bool,
    notes: &mut Notes,
) {
    let request = settings.prompts.request.as_deref();
    let hides = |what: &str| request.is_some_and(|request| !request.contains(what));
    let mut place = Place::new("prompts.request", notes);
    if has_variables && hides("variables") {
        place.warn("has no `variables`: the model sees neither attributes nor rows");
    }
    if has_examples && hides("examples") {
        place.warn("has no `examples`: the model sees none");
    }
}

fn names_of_settings() -> Vec<&'static str> {
    let known = Settings::KEYS.iter().flat_map(|key| key.names).copied();
    known.chain(WITHOUT_MEANING.map(|(name, _)| name)).collect()
}

/// Takes out the settings that stand beside the other keys.
fn settings_beside(document: &mut Map<String, Value>) -> Map<String, Value> {
    let names = names_of_settings().into_iter();
    let taken = names.filter_map(|name| Some((name.to_owned(), document.shift_remove(name)?)));
    taken.filter(|(_, value)| !value.is_null()).collect()
}

/// Adds the settings that stand beside the other keys to those that have a place of their own.
fn add_settings(config: &mut Map<String, Value>, beside: Map<String, Value>, notes: &mut Notes) {
    for (name, value) in beside {
        let other = config.insert(name.clone(), value.clone());
        if other.is_some_and(|other| !other.is_null() && other != value) {
            Place::new(&*name, notes).fault::<()>(
                format!("is said twice, and `{SETTINGS}` has another"),
                "leave one of them out",
            );
        }
    }
}

/// Puts in the schemas that the shape of a record has in other files.
fn include_schemas(document: &mut Map<String, Value>, notes: &mut Notes) {
    let schema = document.get_mut("output_schema");
    let Some(schema) = schema.filter(|schema| schema.is_object()) else {
        return;
    };
    let Some(folder) = &notes.folder else {
        return;
    };
    match include_files(schema, folder) {
        Ok(files) => files
            .into_iter()
            .for_each(|file| notes.reads("output_schema", file)),
        Err(error) => {
            let problem = error.to_string();
            let problem = problem.trim_start_matches("output_schema ");
            let fault = InputFault::new("output_schema", problem, "");
            notes.faults.push(fault);
        }
    }
}

/// Returns the shape of a record, and what the model is asked for where that is another one.
fn read_shape(
    given: Option<Result<RecordSchema>>,
    is_written: bool,
    document: &mut Document,
    notes: &mut Notes,
) -> (RecordSchema, Option<RecordSchema>) {
    let Some(kind) = &document.kind else {
        let (written, faults) = (&mut document.output_schema, &mut notes.faults);
        return (read_schema(given, is_written, written, faults), None);
    };
    if is_written || given.is_some() {
        let advice = "leave one of them out: the kind says what a record is";
        Place::new("output_schema", notes).fault::<()>("is said beside `kind`", advice);
    }
    document.output_schema = Value::Null;
    // It was made once before, when the kind was read.
    let asked = kind.asked_schema().and_then(Result::ok);
    (kind.schema().unwrap_or_default(), asked)
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
