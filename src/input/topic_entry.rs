//! A topic as it stands in a list.

use serde_json::{Map, Value};

use super::place::whole;
use crate::plan::TopicSpec;
use crate::schema::kind_of;

const ADVICE: &str = r#"write a name, or a name with a count such as {"tides": 3}"#;

/// Reads a name, or a name with a count; says what is wrong with anything else, and what to do.
pub(super) fn read_entry(entry: Value) -> Result<TopicSpec, (String, &'static str)> {
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
