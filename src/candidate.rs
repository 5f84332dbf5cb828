//! A parsed, valid record that is not accepted yet.

use std::fmt;

use serde_json::{Map, Value};

/// A valid record on its way in: what filters and deduplicators are shown.
///
/// Its `Debug` output names the fields and leaves out what is in them, since record data is not for logs.
///
/// ```
/// use serde_json::json;
/// use topicloom::Candidate;
///
/// let data = json!({"question": "What is overfitting?", "answer": "Learning noise."});
/// let candidate = Candidate::new("machine learning", data.as_object().expect("it is an object"));
/// assert_eq!(candidate.topic(), "machine learning");
/// assert_eq!(candidate.text("question"), Some("What is overfitting?"));
/// assert_eq!(candidate.text("difficulty"), None);
/// ```
#[derive(Clone, Copy)]
pub struct Candidate<'a> {
    topic: &'a str,
    data: &'a Map<String, Value>,
}

impl<'a> Candidate<'a> {
    /// Creates a candidate from the topic it was asked under and its fields.
    #[must_use]
    pub fn new(topic: &'a str, data: &'a Map<String, Value>) -> Self {
        Self { topic, data }
    }

    /// Returns the topic the record was asked under.
    #[must_use]
    pub fn topic(&self) -> &'a str {
        self.topic
    }

    /// Returns the fields in the order the model gave them.
    #[must_use]
    pub fn data(&self) -> &'a Map<String, Value> {
        self.data
    }

    /// Returns a field that holds text; `None` where it is missing or holds something else.
    #[must_use]
    pub fn text(&self, field: &str) -> Option<&'a str> {
        self.data.get(field).and_then(Value::as_str)
    }
}

/// Returns the value at a name or a path; a name with dots in it comes first.
///
/// ```
/// use serde_json::json;
/// use topicloom::record::at_path;
///
/// let data = json!({"meta": {"source": "a book"}, "a.b": 1});
/// let data = data.as_object().expect("it is an object");
/// assert_eq!(at_path(data, "meta.source"), Some(&json!("a book")));
/// assert_eq!(at_path(data, "a.b"), Some(&json!(1)));
/// assert_eq!(at_path(data, "meta.page"), None);
/// ```
#[must_use]
pub fn at_path<'a>(data: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    data.get(path).or_else(|| {
        let (first, rest) = path.split_once('.')?;
        at_path(data.get(first)?.as_object()?, rest)
    })
}

impl fmt::Debug for Candidate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate")
            .field("topic", &self.topic)
            .field("fields", &self.data.keys().collect::<Vec<_>>())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn debug_output_holds_no_record_data() {
        let data = json!({"question": "the secret"});
        let candidate = Candidate::new("history", data.as_object().expect("an object"));
        let shown = format!("{candidate:?}");
        assert!(shown.contains("question") && !shown.contains("secret"));
    }
}
