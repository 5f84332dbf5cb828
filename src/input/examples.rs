//! `examples`: records as they are wanted.

use serde_json::{Map, Value, json};

use super::described::{Described, Keys, described};
use super::form::{Anything, Form, List, Whole};
use super::place::{Notes, Place};
use super::table;
use crate::schema::{RecordSchema, coerce};

pub(super) const KEY: &str = "examples";
const FILE: &str = "file";

/// Records as they are wanted, and how many of them a prompt shows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Examples {
    pub(crate) given: Vec<Value>,
    pub(crate) shown: usize,
}

impl Default for Examples {
    fn default() -> Self {
        Self {
            given: Vec::new(),
            shown: 3,
        }
    }
}

described! {
    impl Examples {
        /// The records; as a list by itself.
        #[example("[{\"question\": \"Why is the sea salty?\", \"answer\": \"Rivers carry salt into it.\"}]")]
        given: Vec<Value>, List(Anything);
        /// How many of them a prompt shows at most. Others take their turn; where records copy them, fewer are shown, or none.
        #[example("2")]
        shown: usize, Whole(0..=50);
    }
}

/// A list, the name of a file, or an object.
pub(super) struct ExamplesForm;

impl Form<Examples> for ExamplesForm {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<Examples> {
        let mut object = match value {
            Value::Object(object) => object,
            Value::String(file) => Map::from_iter([(FILE.to_owned(), file.into())]),
            Value::Array(given) => Map::from_iter([("given".to_owned(), given.into())]),
            other => {
                return place.refuse(&other, "write a list of records, or name a file of them");
            }
        };
        let file = object.shift_remove(FILE).filter(|file| !file.is_null());
        let mut examples: Examples = Keys.read(object.into(), place)?;
        if let Some(file) = file {
            let rows = table::read(&file, &mut place.at(FILE))?;
            examples.given.extend(rows.into_iter().map(Value::Object));
        }
        if examples.given.is_empty() {
            return place.fault("has no record", "write one, or leave it out");
        }
        Some(examples)
    }

    fn write(&self, examples: &Examples) -> Value {
        if examples.given.is_empty() {
            return Value::Null;
        }
        Keys.write(examples)
    }

    fn schema(&self) -> Value {
        let mut object = Examples::schema();
        object["properties"][FILE] = json!({
            "description": "A file of them beside the input: JSON Lines, CSV with the names of fields in the first line, a JSON list, or with the feature `parquet` Parquet.",
            "type": ["string", "null"],
            "examples": ["examples.jsonl"],
        });
        object["description"] = json!("Records, and how many are shown:");
        json!({"anyOf": [
            {"type": "string", "description": "The name of a file."},
            {"type": "array", "description": "The records themselves.", "items": {"type": "object"}},
            object,
        ]})
    }
}

impl Examples {
    /// Checks that each is a record. What a table or an export adds or cannot say is set right.
    pub(super) fn settle(&mut self, schema: &RecordSchema, notes: &mut Notes) {
        for (index, example) in self.given.iter_mut().enumerate() {
            let (whole, _) = schema.drop_unknown_keys(example.take());
            (*example, _) = coerce(whole, schema);
            if let Err(violations) = schema.validate(example)
                && let Some(violation) = violations.first()
            {
                let problem = format!("is no record: {violation}");
                let advice = "write it as `output_schema` says";
                Place::new(KEY, notes)
                    .at(&format!("[{index}]"))
                    .fault::<()>(problem, advice);
            }
        }
    }
}
