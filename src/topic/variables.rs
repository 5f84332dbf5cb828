//! What sets topics of one name apart: a row of source data, and the values of attributes.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use xxhash_rust::xxh3::xxh3_64;

type Fields = Map<String, Value>;

/// The columns of a part of a document: the name of the file, and the text.
pub(crate) const SOURCE: &str = "source";
pub(crate) const TEXT: &str = "text";

/// A row of source data. Its `Debug` output has its number alone.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Row {
    number: u64,
    /// Tells it from another row of the same number, where a run goes on with a file that has changed.
    hash: u64,
    /// What a prompt shows of it. A plan in a journal has neither this nor what is kept: the input has both.
    #[serde(skip)]
    shown: Fields,
    /// What is written with each record.
    #[serde(skip)]
    kept: Fields,
}

impl Row {
    /// Creates the row of this number, counting from 1.
    pub(crate) fn new(number: u64, shown: Fields, kept: Fields) -> Self {
        let text = serde_json::to_string(&(&shown, &kept)).unwrap_or_default();
        Self {
            number,
            hash: xxh3_64(text.as_bytes()),
            shown,
            kept,
        }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Returns the name of the topic that it is, which tells nothing of its content.
    pub(crate) fn name(&self) -> String {
        format!("row {}", self.number)
    }

    /// Returns the document that it is a part of, where it is one.
    pub(crate) fn document(&self) -> Option<&str> {
        let is_chunk = self.shown.contains_key(TEXT);
        self.shown.get(SOURCE)?.as_str().filter(|_| is_chunk)
    }

    pub(crate) fn shown(&self) -> &Fields {
        &self.shown
    }

    pub(crate) fn kept(&self) -> &Fields {
        &self.kept
    }

    fn is(&self, other: &Self) -> bool {
        (self.number, self.hash) == (other.number, other.hash)
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Row({})", self.number)
    }
}

/// What a topic has beside its name. Two are equal if row and values are.
#[derive(Clone, Default)]
pub(super) struct Variables {
    pub(super) row: Option<Arc<Row>>,
    pub(super) attributes: Fields,
    /// Names the row and the values.
    pub(super) key: String,
}

impl Variables {
    pub(super) fn new(row: Option<Arc<Row>>, attributes: Fields) -> Self {
        let row_key = row.as_ref().map(|row| (row.number, row.hash));
        // In the order of their names.
        let values: BTreeMap<&String, &Value> = attributes.iter().collect();
        let key = serde_json::to_string(&(row_key, values)).unwrap_or_default();
        Self {
            row,
            attributes,
            key,
        }
    }

    /// Takes the content of the row of the same number and hash.
    pub(super) fn with_content_of(&self, row: &Arc<Row>) -> Option<Self> {
        let is_it = self.row.as_ref().is_some_and(|mine| mine.is(row));
        is_it.then(|| Self {
            row: Some(Arc::clone(row)),
            ..self.clone()
        })
    }
}

impl PartialEq for Variables {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Variables {}

impl Hash for Variables {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl PartialOrd for Variables {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Variables {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)
    }
}

/// Returns a value as a prompt or a report shows it: a text as it is, all else as JSON.
pub(crate) fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
