//! The list of given topics in its JSON form.

use serde_json::{Map, Value, json};

use super::form::Form;
use super::place::{Place, whole};
use crate::plan::TopicSpec;
use crate::schema::kind_of;

const ADVICE: &str = r#"write a name, or a name with a count such as {"tides": 3}"#;

pub(super) struct Topics;

impl Form<Vec<TopicSpec>> for Topics {
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

fn read_entry(entry: Value) -> Result<TopicSpec, (String, &'static str)> {
    let object = match entry {
        Value::String(name) => return Ok(name.into()),
        Value::Object(object) => object,
        other => return Err((format!("is {}", kind_of(&other)), ADVICE)),
    };
    if object.len() != 1 {
        return Err((format!("is an object of {} keys", object.len()), ADVICE));
    }
    let (name, count) = object
        .into_iter()
        .next()
        .expect("it has one key, checked above");
    match whole(&count) {
        Ok(count) => Ok((name, count).into()),
        Err((problem, advice)) => Err((format!("has a count that {problem}"), advice)),
    }
}

/// Returns the JSON form of a topic.
pub(super) fn to_json(topic: &TopicSpec) -> Value {
    match topic.count {
        None => Value::String(topic.name.clone()),
        Some(count) => Value::Object(Map::from_iter([(topic.name.clone(), count.into())])),
    }
}
