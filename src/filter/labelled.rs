//! A record that people looked at, to compare a judge with them.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

/// A record, and what people say of it.
#[derive(Clone)]
#[non_exhaustive]
pub struct LabelledRecord {
    /// Its place among others, from 1, by which the report names it.
    pub row: u64,
    /// The topic that it was asked under, where that is known.
    pub topic: String,
    /// Its fields.
    pub data: Map<String, Value>,
    /// Their scores, by criterion.
    pub scores: BTreeMap<String, i64>,
    /// Whether it is good enough. Unless said, the rule of a [`Judge`](super::Judge) says it of their scores, where there is one by each
    /// criterion.
    pub accept: Option<bool>,
}

impl LabelledRecord {
    /// Creates a record of which nothing is said yet.
    pub fn new(row: u64, topic: impl Into<String>, data: Map<String, Value>) -> Self {
        Self {
            row,
            topic: topic.into(),
            data,
            scores: BTreeMap::new(),
            accept: None,
        }
    }
}

/// Leaves out the record.
impl fmt::Debug for LabelledRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LabelledRecord")
            .field("row", &self.row)
            .field("scores", &self.scores)
            .field("accept", &self.accept)
            .finish_non_exhaustive()
    }
}
