//! The format that records are asked in.

use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::{OutputFormat, OutputMode, OutputSchema};
use crate::schema::{RECORDS_KEY, RecordSchema};

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

    /// Returns the format for exactly `count` records, which is at most what was prepared for.
    pub(crate) fn of(&self, count: u64) -> OutputFormat {
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
