//! `topics`: given ones, and where others come from.

use serde_json::{Value, json};

use super::described::{Described, described};
use super::form::{Form, List, Maybe, Whole};
use super::place::Place;
use super::reader::Reader;
use super::topic_entry::{read_entry, to_json};
use super::topics_file;
use crate::plan::{MOST_GENERATED_TOPICS, TopicSpec};

/// Where topics come from.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct TopicSources {
    pub(super) given: Option<Vec<TopicSpec>>,
    pub(super) tree: Option<Vec<u64>>,
    pub(super) generated: Option<u64>,
}

described! {
    impl TopicSources {
        /// Names, or names with a count of their own; as a list by itself.
        #[example("[\"tides\", {\"currents\": 3}]")]
        given: Option<Vec<TopicSpec>>, Maybe(Given);
        /// How many topics are generated beside those given. Records are spread over them evenly.
        #[example("20")]
        generated: Option<u64>, Whole(1..=MOST_GENERATED_TOPICS);
        /// Branches at each level of a tree that the topic model grows, from the top down; its leaves are the topics, as many as
        /// there is room for unless `generated` says how many.
        #[example("[5, 4]")]
        tree: Option<Vec<u64>>, Maybe(List(Whole(1..=1_000)));
    }
}

impl TopicSources {
    /// Returns how many topics are generated, where that is said.
    pub(super) fn generated(&self) -> Option<u64> {
        let leaves = || {
            let levels = self.tree.as_ref()?.iter().copied();
            let leaves = levels.reduce(u64::saturating_mul)?;
            Some(leaves.min(MOST_GENERATED_TOPICS))
        };
        self.generated.or_else(leaves)
    }
}

pub(super) struct Topics;

impl Form<TopicSources> for Topics {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<TopicSources> {
        let mut object = match value {
            Value::Object(object) => object,
            list => {
                let given = Given.read(list, place);
                return Some(TopicSources {
                    given,
                    ..TopicSources::default()
                });
            }
        };
        let from_file = object.shift_remove(FILE).filter(|file| !file.is_null());
        let mut reader = Reader::new(object, place.here());
        reader.refuse_unknown_keys(TopicSources::KEYS, &[FILE]);
        let mut sources = TopicSources::read(&mut reader);
        if let Some(file) = from_file {
            let mut place = place.at(FILE);
            let topics = topics_file::read(&file, &mut place)?;
            sources.given.get_or_insert_default().extend(topics);
        }
        Some(sources)
    }

    fn write(&self, sources: &TopicSources) -> Value {
        match sources {
            TopicSources {
                given,
                tree: None,
                generated: None,
            } => Maybe(Given).write(given),
            _ => sources.write_set().into(),
        }
    }

    fn schema(&self) -> Value {
        let mut object = TopicSources::schema();
        object["properties"][FILE] = json!({
            "description": "A file of topics beside the input: a name on each line, CSV with a column of counts, JSON or JSON Lines.",
            "type": ["string", "null"],
            "examples": ["topics.csv"],
        });
        object["description"] = json!("Where they come from:");
        json!({"anyOf": [Given.schema(), object]})
    }
}

const FILE: &str = "file";

/// The list of given topics.
struct Given;

impl Form<Vec<TopicSpec>> for Given {
    /// Reads names, and names with a count. Entries with a fault are left out.
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<Vec<TopicSpec>> {
        let Value::Array(entries) = value else {
            return place.refuse(
                &value,
                r#"write a list, such as ["tides", {"currents": 3}]"#,
            );
        };
        let mut topics = Vec::with_capacity(entries.len());
        for (index, entry) in entries.into_iter().enumerate() {
            match read_entry(entry) {
                Ok(topic) => topics.push(topic),
                Err((problem, advice)) => {
                    place.at(&format!("[{index}]")).fault::<()>(problem, advice);
                }
            }
        }
        Some(topics)
    }

    fn write(&self, topics: &Vec<TopicSpec>) -> Value {
        topics.iter().map(to_json).collect()
    }

    fn schema(&self) -> Value {
        let entry = json!({"anyOf": [
            {"type": "string", "pattern": "\\S"},
            {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 1,
                "additionalProperties": {"type": "integer", "minimum": 0},
            },
        ]});
        json!({"type": "array", "minItems": 1, "items": entry})
    }
}
