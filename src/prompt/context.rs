//! What a prompt can speak of: one struct for each template, whose fields are the template's variables.

use std::fmt;
use std::sync::LazyLock;

use serde::Serialize;
use serde_json::{Map, Value};

static NO_VARIABLES: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

/// What stays the same over a whole run.
#[derive(Clone, Copy, Serialize)]
#[non_exhaustive]
pub struct SystemContext<'a> {
    /// What to generate, in the caller's words.
    pub instruction: Option<&'a str>,
    /// The shape of a record, as the schema renderer shows it.
    pub schema: &'a str,
    /// The key whose value is the array of records.
    pub wrapper: &'a str,
}

impl<'a> SystemContext<'a> {
    /// The template's variables.
    pub(super) const VARIABLES: &'static [&'static str] = &["instruction", "schema", "wrapper"];

    /// Creates a context without an instruction.
    #[must_use]
    pub fn new(schema: &'a str, wrapper: &'a str) -> Self {
        Self {
            instruction: None,
            schema,
            wrapper,
        }
    }
}

/// What changes with every call for records.
#[derive(Clone, Copy, Serialize)]
#[non_exhaustive]
pub struct RequestContext<'a> {
    /// What to generate, in the caller's words. The system message says it too.
    pub instruction: Option<&'a str>,
    /// The topic's name; of a row of source data `row` and its number.
    pub topic: &'a str,
    /// The number of the row of source data that the topic is.
    pub row: Option<u64>,
    /// What records are asked for with beside the topic: the columns of the row, and the values of attributes.
    pub variables: &'a Map<String, Value>,
    /// How many records are asked for.
    pub count: usize,
    /// A point of view that sets this call apart from others under the same topic.
    pub angle: Option<&'a str>,
    /// Records as they are wanted, as JSON, to be imitated and not to be copied.
    pub examples: &'a [String],
    /// Accepted records of this topic, as text, that are not to be repeated.
    pub avoid: &'a [String],
    /// What was wrong with the last answer.
    pub feedback: Option<&'a str>,
    /// What fields have to be like beyond the schema, a sentence each.
    pub rules: &'a [String],
    /// An answer with its values left open, where nothing else binds the model to the schema.
    pub skeleton: Option<&'a str>,
}

impl<'a> RequestContext<'a> {
    /// The template's variables.
    pub(super) const VARIABLES: &'static [&'static str] = &[
        "instruction",
        "topic",
        "row",
        "variables",
        "count",
        "angle",
        "examples",
        "avoid",
        "feedback",
        "rules",
        "skeleton",
    ];

    /// Asks for this many records under a topic.
    #[must_use]
    pub fn new(topic: &'a str, count: usize) -> Self {
        Self {
            instruction: None,
            topic,
            row: None,
            variables: &NO_VARIABLES,
            count,
            angle: None,
            examples: &[],
            avoid: &[],
            feedback: None,
            rules: &[],
            skeleton: None,
        }
    }
}

/// What a call for topics needs.
#[derive(Clone, Copy, Serialize)]
#[non_exhaustive]
pub struct TopicsContext<'a> {
    /// What to generate, in the caller's words.
    pub instruction: Option<&'a str>,
    /// How many topics are asked for.
    pub count: usize,
    /// Names that are not to be repeated.
    pub existing: &'a [&'a str],
    /// How many more such names there are, that the prompt has no room for.
    pub omitted: usize,
    /// The topic that parts of are asked for.
    pub within: Option<&'a str>,
    /// Whether angles are asked for, points of view to write from, and not topics.
    pub angles: bool,
}

impl<'a> TopicsContext<'a> {
    /// The template's variables.
    pub(super) const VARIABLES: &'static [&'static str] = &[
        "instruction",
        "count",
        "existing",
        "omitted",
        "within",
        "angles",
    ];

    /// Asks for this many topics.
    #[must_use]
    pub fn new(instruction: Option<&'a str>, count: usize) -> Self {
        Self {
            instruction,
            count,
            existing: &[],
            omitted: 0,
            within: None,
            angles: false,
        }
    }

    /// Asks for parts of a topic, or for angles on it.
    #[must_use]
    pub fn within(mut self, topic: Option<&'a str>) -> Self {
        self.within = topic;
        self
    }

    /// Asks for angles rather than topics.
    #[must_use]
    pub fn for_angles(mut self) -> Self {
        self.angles = true;
        self
    }

    /// Sets the names that are not to be repeated, and how many more there are.
    #[must_use]
    pub fn with_existing(mut self, existing: &'a [&'a str], omitted: usize) -> Self {
        self.existing = existing;
        self.omitted = omitted;
        self
    }
}

/// Shows nothing of what the caller wrote.
impl fmt::Debug for SystemContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemContext").finish_non_exhaustive()
    }
}

/// Shows how much there is of everything, and no text.
impl fmt::Debug for RequestContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestContext")
            .field("count", &self.count)
            .field("avoid", &self.avoid.len())
            .finish_non_exhaustive()
    }
}

/// Shows how much there is of everything, and no text.
impl fmt::Debug for TopicsContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicsContext")
            .field("count", &self.count)
            .field("existing", &self.existing.len())
            .field("omitted", &self.omitted)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(context: impl Serialize) -> Vec<String> {
        let value = serde_json::to_value(context).unwrap();
        value.as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn each_field_is_a_variable() {
        assert_eq!(keys(SystemContext::new("", "")), SystemContext::VARIABLES);
        assert_eq!(keys(RequestContext::new("", 1)), RequestContext::VARIABLES);
        assert_eq!(keys(TopicsContext::new(None, 1)), TopicsContext::VARIABLES);
    }
}
