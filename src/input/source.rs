//! `source`: rows of data, each of which is a topic of its own.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::attributes::{field_of, typed};
use super::described::{Described, Keys, described};
use super::form::{Form, List, Maybe, POSITIVE, Text};
use super::place::{Notes, Place, presentable};
use super::table;
use crate::closest::closest;
use crate::plan::{Allocation, Attribute};
use crate::random::Random;
use crate::schema::RecordSchema;
use crate::topic::{Row, Topic};

pub(super) const KEY: &str = "source";
const FILE: &str = "file";

/// The field that has to stand in the column that is quoted.
pub(crate) const QUOTE: &str = "quote";

type Fields = Map<String, Value>;

/// Rows, and what is made of them.
#[derive(Clone, Default)]
pub(super) struct Source {
    /// Each with its number.
    pub(super) rows: Vec<(u64, Fields)>,
    pub(super) columns: Option<Vec<String>>,
    pub(super) keep: Vec<String>,
    pub(super) quoted: Option<String>,
    pub(super) records_per_row: Option<u64>,
    pub(super) sample: Option<u64>,
}

described! {
    impl Source {
        /// The rows themselves, as objects; by their numbers, where some are missing.
        #[example("[{\"name\": \"Brake pads\", \"price\": 29}]")]
        rows: Vec<(u64, Fields)>, RowsForm;
        /// The columns that a prompt shows. All unless given.
        #[example("[\"name\", \"price\"]")]
        columns: Option<Vec<String>>, Maybe(List(Text));
        /// Columns that are written with each record, beside its fields; a field of that name has to be as the column is.
        #[example("[\"id\"]")]
        keep: Vec<String>, List(Text);
        /// A column in which the field `quote` of a record has to stand, but for white space, case, and the kind of quotation marks
        /// and dashes.
        #[example("\"text\"")]
        quoted: Option<String>, Maybe(Text);
        /// How many records each row gives: 1 unless this or `num_records` says more.
        #[example("2")]
        records_per_row: Option<u64>, POSITIVE;
        /// How many rows are drawn, by the seed; all unless given.
        #[example("500")]
        sample: Option<u64>, POSITIVE;
    }
}

/// An object, or the name of a file.
pub(super) struct SourceForm;

impl Form<Option<Source>> for SourceForm {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<Option<Source>> {
        let mut object = match value {
            Value::Object(object) => object,
            Value::String(file) => Map::from_iter([(FILE.to_owned(), file.into())]),
            Value::Array(rows) => Map::from_iter([("rows".to_owned(), rows.into())]),
            other => return place.refuse(&other, r#"name a file, as in {"file": "rows.csv"}"#),
        };
        let file = object.shift_remove(FILE).filter(|file| !file.is_null());
        let before = place.faults();
        let mut source: Source = Keys.read(object.into(), place)?;
        if let Some(file) = file {
            let mut place = place.at(FILE);
            if !source.rows.is_empty() {
                return place.fault("is said beside `rows`", "leave one of them out");
            }
            source.rows = (1..).zip(table::read(&file, &mut place)?).collect();
        }
        if source.rows.is_empty() && place.faults() == before {
            return place.fault("has no rows", r#"name a file, as in {"file": "rows.csv"}"#);
        }
        Some(Some(source))
    }

    fn write(&self, source: &Option<Source>) -> Value {
        source
            .as_ref()
            .map_or(Value::Null, |source| Keys.write(source))
    }

    fn schema(&self) -> Value {
        let mut object = Source::schema();
        object["properties"][FILE] = json!({
            "description": "A file beside the input: CSV with the names of its columns in the first line, JSON Lines, a JSON list of objects, or with the feature `parquet` Parquet.",
            "type": ["string", "null"],
            "examples": ["rows.csv"],
        });
        object["description"] = json!("A file, and what is made of it:");
        json!({"anyOf": [
            {"type": "string", "description": "The name of a file."},
            {"type": "array", "description": "The rows themselves.", "items": {"type": "object"}},
            object,
        ]})
    }
}

struct RowsForm;

impl Form<Vec<(u64, Fields)>> for RowsForm {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<Vec<(u64, Fields)>> {
        let rows: Vec<(u64, Value)> = match value {
            Value::Array(rows) => (1..).zip(rows).collect(),
            Value::Object(rows) => {
                let mut numbered = Vec::with_capacity(rows.len());
                for (number, row) in rows {
                    let Ok(read) = number.parse() else {
                        return place
                            .at(&presentable(&number))
                            .fault("is no number of a row", "write a list");
                    };
                    numbered.push((read, row));
                }
                numbered
            }
            other => {
                return place.refuse(
                    &other,
                    r#"write a list of objects, such as [{"name": "tides"}]"#,
                );
            }
        };
        let mut read = Vec::with_capacity(rows.len());
        for (number, row) in rows {
            match row {
                Value::Object(row) => read.push((number, row)),
                other => {
                    return place
                        .at(&format!("[{number}]"))
                        .refuse(&other, "write an object");
                }
            }
        }
        Some(read)
    }

    fn write(&self, rows: &Vec<(u64, Fields)>) -> Value {
        let values = || rows.iter().map(|(_, row)| Value::from(row.clone()));
        if rows
            .iter()
            .map(|(number, _)| *number)
            .eq(1..=rows.len() as u64)
        {
            return values().collect();
        }
        let numbers = rows.iter().map(|(number, _)| number.to_string());
        numbers.zip(values()).collect::<Fields>().into()
    }

    fn schema(&self) -> Value {
        let row = json!({"type": "object"});
        json!({"anyOf": [{"type": "array", "items": row}, {"type": "object", "additionalProperties": row}]})
    }
}

impl Source {
    /// Checks the columns, draws the sample, leaves out what nobody wants, and returns the rows.
    pub(super) fn settle(
        &mut self,
        key: &str,
        schema: &RecordSchema,
        attributes: &[Attribute],
        seed: u64,
        notes: &mut Notes,
    ) -> Vec<Arc<Row>> {
        self.check(key, schema, attributes, notes);
        self.set_types(key, schema, notes);
        let sample = self
            .sample
            .take()
            .and_then(|sample| usize::try_from(sample).ok());
        if let Some(sample) = sample.filter(|sample| *sample < self.rows.len()) {
            Random::new(seed).fork("rows").shuffle(&mut self.rows);
            self.rows.truncate(sample);
            self.rows.sort_unstable_by_key(|(number, _)| *number);
        }
        let wanted = |name: &str| {
            self.columns
                .as_ref()
                .is_none_or(|columns| columns.iter().any(|it| it == name))
        };
        let kept = |name: &str| self.keep.iter().any(|it| it == name);
        let quoted = self.quoted.as_deref();
        let mut rows = Vec::with_capacity(self.rows.len());
        for (number, row) in &mut self.rows {
            row.retain(|name, value| {
                !value.is_null() && (wanted(name) || kept(name) || quoted == Some(name))
            });
            let part = |is_in: &dyn Fn(&str) -> bool| -> Fields {
                let columns = row.iter().filter(|(name, _)| is_in(name));
                columns
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect()
            };
            let shown = part(&|name| wanted(name) || quoted == Some(name));
            rows.push(Arc::new(Row::new(*number, shown, part(&kept))));
        }
        rows
    }

    /// Gives columns that are kept the types of fields of their names, which have to be the same.
    fn set_types(&mut self, key: &str, schema: &RecordSchema, notes: &mut Notes) {
        for name in &self.keep {
            let Some(field) = field_of(name, schema) else {
                continue;
            };
            for (number, row) in &mut self.rows {
                let Some(value) = row.get_mut(name).filter(|value| !value.is_null()) else {
                    continue;
                };
                if let Some(typed) = typed(value, Some(&field)) {
                    *value = typed;
                    continue;
                }
                let problem =
                    format!("has in row {number} what the field of that name cannot hold");
                let mut place = Place::new(key, notes);
                let mut place = place.at(&presentable(name));
                place.fault::<()>(problem, "change the field in `output_schema`, or the row");
                break;
            }
        }
    }

    fn check(&self, key: &str, schema: &RecordSchema, attributes: &[Attribute], notes: &mut Notes) {
        // Most often the first row has it.
        let is_there = |name: &String| self.rows.iter().any(|(_, row)| row.contains_key(name));
        let named = [
            ("columns", self.columns.as_deref().unwrap_or_default()),
            ("keep", &self.keep),
            ("quoted", self.quoted.as_slice()),
        ];
        for (list, names) in named {
            for name in names.iter().filter(|name| !is_there(name)) {
                let there = self.rows.iter().flat_map(|(_, row)| row.keys());
                let there: BTreeSet<&str> = there.map(String::as_str).collect();
                let advice = match closest(name, there) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => "name a column of the rows".to_owned(),
                };
                let problem = format!("names `{}`, which no row has", presentable(name));
                Place::new(key, notes).at(list).fault::<()>(problem, advice);
            }
        }
        let attributes = attributes.iter().map(|attribute| &attribute.name);
        for name in attributes.filter(|name| is_there(name)) {
            let problem = format!(
                "has a column `{}`, which is an attribute too",
                presentable(name)
            );
            Place::new(key, notes).fault::<()>(problem, "give one of them another name");
        }
        if self.quoted.is_some() && !schema.has_property(QUOTE) {
            let problem = format!("asks for a quote, and a record has no field `{QUOTE}`");
            let advice = "add it to `output_schema`, as a text";
            Place::new(key, notes)
                .at("quoted")
                .fault::<()>(problem, advice);
        }
    }
}

/// Puts the rows in the place of topics of their names.
pub(super) fn of_rows(mut allocation: Allocation, rows: &[Arc<Row>]) -> Allocation {
    let by_name: HashMap<String, &Arc<Row>> = rows.iter().map(|row| (row.name(), row)).collect();
    let given = allocation
        .given
        .iter_mut()
        .map(|planned| &mut planned.topic);
    for topic in given.chain(&mut allocation.dropped) {
        if let Some(row) = by_name.get(topic.name()) {
            *topic = Topic::of_row(row);
        }
    }
    allocation
}
