//! `judge.labels`: records that people looked at, with what they say of them.

use std::fmt;

use serde_json::{Map, Value, json};

use super::form::Form;
use super::place::{Notes, Place, SETTINGS};
use super::table;
use crate::filter::{Criterion, LabelledRecord};
use crate::schema::{RecordSchema, coerce};

/// The column that says whether a record is good enough.
const ACCEPT: &str = "accept";
const TOPIC: &str = "topic";

/// Rows of records and labels, as they are written.
#[derive(Clone, Default, PartialEq)]
pub struct Labels(Vec<Map<String, Value>>);

/// Says how many there are.
impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Labels").field(&self.len()).finish()
    }
}

/// A list, or the name of a file.
pub(super) struct LabelsForm;

impl Form<Labels> for LabelsForm {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<Labels> {
        let rows = match value {
            Value::String(_) => return table::read(&value, place).map(Labels),
            Value::Array(rows) if !rows.is_empty() => rows,
            other => return place.refuse(&other, "name a file, or write a list of objects"),
        };
        let mut read = Vec::with_capacity(rows.len());
        for (index, row) in rows.into_iter().enumerate() {
            match row {
                Value::Object(row) => read.push(row),
                other => {
                    let mut place = place.at(&format!("[{index}]"));
                    return place.refuse(&other, "write an object");
                }
            }
        }
        Some(Labels(read))
    }

    fn write(&self, labels: &Labels) -> Value {
        match labels.len() {
            0 => Value::Null,
            _ => labels.0.iter().cloned().map(Value::Object).collect(),
        }
    }

    fn schema(&self) -> Value {
        json!({"anyOf": [
            {"type": "string", "description": "The name of a file beside the input: CSV, JSON Lines, a JSON list of objects, or with the feature `parquet` Parquet."},
            {"type": "array", "description": "The rows themselves.", "items": {"type": "object"}},
        ]})
    }
}

impl Labels {
    /// Checks that they can be read.
    pub(super) fn check(&self, criteria: &[Criterion], schema: &RecordSchema, notes: &mut Notes) {
        if let Err((problem, advice)) = self.records(criteria, schema) {
            let mut settings = Place::new(SETTINGS, notes);
            let mut judge = settings.at("judge");
            judge.at("labels").fault::<()>(problem, advice);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes records and labels apart. A row without a label is left out.
    ///
    /// # Errors
    ///
    /// What is wrong, and what to do.
    pub(crate) fn records(
        &self,
        criteria: &[Criterion],
        schema: &RecordSchema,
    ) -> Result<Vec<LabelledRecord>, (String, String)> {
        let names = criteria.iter().map(|criterion| &*criterion.name);
        if let Some(name) = names
            .chain([ACCEPT])
            .find(|name| schema.has_property(name) && !self.0.is_empty())
        {
            let problem = format!(
                "cannot say whether `{name}` is a label: records have a field of that name"
            );
            return Err((problem, "give one of them another name".to_owned()));
        }
        let rows = (1..).zip(&self.0);
        let rows = rows.map(|(number, row)| labelled(number, row.clone(), criteria, schema));
        let mut records = rows.collect::<Result<Vec<_>, _>>()?;
        records.retain(|record| record.accept.is_some() || !record.scores.is_empty());
        if records.is_empty() && !self.0.is_empty() {
            let advice = format!("add a column `{ACCEPT}`, or one with the name of a criterion");
            return Err(("have no label in any row".to_owned(), advice));
        }
        Ok(records)
    }
}

fn labelled(
    number: u64,
    mut row: Map<String, Value>,
    criteria: &[Criterion],
    schema: &RecordSchema,
) -> Result<LabelledRecord, (String, String)> {
    let mut take = |name: &str| {
        let value = row.shift_remove(name);
        value.filter(|value| {
            !value.is_null() && value.as_str().is_none_or(|it| !it.trim().is_empty())
        })
    };
    let accept = match take(ACCEPT) {
        None => None,
        Some(value) => Some(yes_or_no(&value).ok_or_else(|| {
            let problem = format!("have in row {number} no yes or no under `{ACCEPT}`");
            (problem, "write `true` or `false`".to_owned())
        })?),
    };
    let mut record = LabelledRecord::new(number, "", Map::new());
    record.accept = accept;
    for criterion in criteria {
        let Some(value) = take(&criterion.name) else {
            continue;
        };
        let score = value
            .as_i64()
            .or_else(|| value.as_str()?.trim().parse().ok());
        let (lowest, highest) = criterion.scale;
        let Some(score) = score.filter(|score| (lowest..=highest).contains(score)) else {
            let problem = format!("have in row {number} no score under `{}`", criterion.name);
            let advice = format!("write a whole number from {lowest} to {highest}");
            return Err((problem, advice));
        };
        record.scores.insert(criterion.name.clone(), score);
    }
    if !schema.has_property(TOPIC)
        && let Some(Value::String(topic)) = take(TOPIC)
    {
        record.topic = topic;
    }
    if record.accept.is_none() && record.scores.is_empty() {
        return Ok(record);
    }
    // Tables have columns of their own, such as who looked at a record.
    let fields = schema.property_names();
    row.retain(|name, _| fields.is_empty() || fields.contains(name));
    let (whole, _) = coerce(row.into(), schema);
    if let Err(violations) = schema.validate(&whole) {
        let what = violations.first().map(ToString::to_string);
        let problem = format!(
            "have in row {number} no record: {}",
            what.unwrap_or_default()
        );
        return Err((problem, "write it as `output_schema` says".to_owned()));
    }
    if let Value::Object(data) = whole {
        record.data = data;
    }
    Ok(record)
}

/// Reads a yes or no as tables say it.
fn yes_or_no(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(accept) => Some(*accept),
        Value::Number(number) => match number.as_i64()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
        Value::String(text) => match &*text.trim().to_ascii_lowercase() {
            "true" | "yes" | "1" => Some(true),
            "false" | "no" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}
