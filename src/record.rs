//! Accepted records.

mod decoder;
mod export;
mod provenance;
mod shape;
mod split;

use std::sync::Arc;

use serde_json::{Map, Value};

pub(crate) use self::decoder::{Decoded, DecodedRecord, Decoder};
pub use self::provenance::{AnswerOrigin, Provenance};
pub use self::shape::Shape;
pub use self::split::Split;
pub use crate::candidate::at_path;
use crate::scores::Scores;
use crate::topic::Topic;

/// A record whose shape is known at run time only: a JSON object, its keys in the order the model wrote them.
pub type JsonRecord = Map<String, Value>;

/// An accepted record: valid, and a duplicate of no other.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Record<T = JsonRecord> {
    /// The topic it was asked under.
    pub topic: Topic,
    /// What was asked for.
    pub data: T,
    /// Where it comes from.
    pub meta: RecordMeta,
}

/// Where a record comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordMeta {
    /// Its number in the run, counting from 0 in the order of acceptance.
    pub ordinal: u64,
    /// The task that asked for it.
    pub task: u64,
    /// Its place among the candidates of its answer, from 0.
    pub candidate: u32,
    /// The model that wrote it, as `provider/model`.
    pub model: Arc<str>,
    /// What a judge gave it, where there is one; of several, the last.
    pub scores: Option<Arc<Scores>>,
    /// The answer that it was found in.
    pub answer: Arc<AnswerOrigin>,
}

impl<T> Record<T> {
    /// Creates a record; for tests of sinks and the like, since a run makes its own.
    pub fn new(topic: Topic, data: T, meta: RecordMeta) -> Self {
        Self { topic, data, meta }
    }
}

impl RecordMeta {
    /// Creates the origin of a record.
    pub fn new(ordinal: u64, task: u64, model: impl Into<Arc<str>>) -> Self {
        Self {
            ordinal,
            task,
            candidate: 0,
            model: model.into(),
            scores: None,
            answer: Arc::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(data: &Value) -> Record {
        let data = data.as_object().expect("the test gives an object").clone();
        Record::new(
            Topic::new("graphs"),
            data,
            RecordMeta::new(0, 0, "offline/loom"),
        )
    }

    #[test]
    fn the_topic_is_written_beside_the_data() {
        let text = serde_json::to_string(&record(&json!({"b": 1, "a": 2}))).expect("it is JSON");
        assert_eq!(text, r#"{"b":1,"a":2,"topic":"graphs"}"#);
    }

    #[test]
    fn a_topic_of_the_callers_own_is_kept() {
        let text = serde_json::to_string(&record(&json!({"topic": "mine"}))).expect("it is JSON");
        assert_eq!(text, r#"{"topic":"mine"}"#);
    }
}
