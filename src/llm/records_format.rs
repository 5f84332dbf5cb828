//! The format that records are asked in.

use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::{OutputFormat, OutputMode, OutputSchema};
use crate::schema::{RECORDS_KEY, RecordSchema};

/// Where a record is in what is asked for.
const RECORD: &str = "/properties/records/items";

/// Keywords beside which a value may not be understood.
const COMBINING: [&str; 6] = ["$ref", "anyOf", "oneOf", "allOf", "not", "if"];

/// The format that answers are asked in: an object holding a list of records, made once for each number of them.
pub(crate) struct RecordsFormat {
    wrapped: Value,
    by_count: Vec<OnceLock<OutputFormat>>,
}

impl RecordsFormat {
    /// Prepares the formats for one up to `most` records.
    pub(crate) fn new(schema: &RecordSchema, most: u64) -> Self {
        let most = usize::try_from(most).expect("the input bounds records per request");
        Self {
            wrapped: schema.wrapped(),
            by_count: (0..=most).map(|_| OnceLock::new()).collect(),
        }
    }

    /// Returns the format for exactly `count` records, which is at most what was prepared for. Fields of the names of labels may have
    /// their values alone, where the schema says so plainly what they may hold that this is sure to be understood.
    pub(crate) fn of<'a>(
        &self,
        count: u64,
        labels: impl Iterator<Item = (&'a str, &'a Value)>,
    ) -> OutputFormat {
        let whole = self.of_any(count);
        let mut labels = labels.peekable();
        if labels.peek().is_none() {
            return whole;
        }
        let mut pinned = None;
        let fields = self.wrapped.pointer(&format!("{RECORD}/properties"));
        let is_field = |(name, _): &(&str, &Value)| {
            let field = fields.and_then(|fields| fields.get(*name)?.as_object());
            field.is_some_and(|field| {
                COMBINING
                    .iter()
                    .all(|keyword| !field.contains_key(*keyword))
            })
        };
        for (name, value) in labels.filter(is_field) {
            let OutputFormat::Schema(whole) = &whole else {
                break;
            };
            let schema = pinned.get_or_insert_with(|| whole.schema.clone());
            pin(schema, name, value);
        }
        match (pinned, &whole) {
            (Some(schema), OutputFormat::Schema(any)) => {
                OutputFormat::Schema(Arc::new(any.with_schema(schema)))
            }
            _ => whole,
        }
    }

    fn of_any(&self, count: u64) -> OutputFormat {
        let place = usize::try_from(count)
            .ok()
            .and_then(|count| self.by_count.get(count));
        let cell = place.expect("no task asks for more records than a request may");
        cell.get_or_init(|| {
            let mut schema = self.wrapped.clone();
            if let Some(list) = schema.pointer_mut(&format!("/properties/{RECORDS_KEY}")) {
                list["minItems"] = count.into();
                list["maxItems"] = count.into();
            }
            OutputFormat::Schema(Arc::new(OutputSchema::new(
                "records",
                schema,
                OutputMode::Strict,
            )))
        })
        .clone()
    }
}

/// Lets a field of a record have this value alone.
fn pin(schema: &mut Value, name: &str, value: &Value) {
    let Some(record) = schema.pointer_mut(RECORD) else {
        return;
    };
    let Some(field) = record["properties"]
        .get_mut(name)
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    field.shift_remove("const");
    field.insert("enum".to_owned(), Value::from(vec![value.clone()]));
    // One that may be left out may be null in some dialects, which is another value.
    if let Some(required) = record["required"].as_array_mut()
        && required.iter().all(|known| known != name)
    {
        required.push(name.into());
    }
}
