//! The list of given topics in its JSON form.

use serde_json::{Map, Value};

use super::reader::{Reader, kind, whole};
use crate::plan::TopicSpec;

const ADVICE: &str = r#"write a name, or a name with a count such as {"tides": 3}"#;

/// Reads the list: names, and names with a count. Entries with a fault are left out.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<Vec<TopicSpec>> {
    match reader.take("topics")? {
        Value::Array(entries) => {
            let mut topics = Vec::with_capacity(entries.len());
            for (index, entry) in entries.into_iter().enumerate() {
                match read_entry(entry) {
                    Ok(topic) => topics.push(topic),
                    Err((problem, advice)) => {
                        reader.fault(&format!("topics[{index}]"), problem, advice);
                    }
                }
            }
            Some(topics)
        }
        other => {
            let problem = format!("is {}", kind(&other));
            reader.fault(
                "topics",
                problem,
                r#"write a list, such as ["tides", {"currents": 3}]"#,
            );
            None
        }
    }
}

fn read_entry(entry: Value) -> Result<TopicSpec, (String, &'static str)> {
    let object = match entry {
        Value::String(name) => return Ok(name.into()),
        Value::Object(object) => object,
        other => return Err((format!("is {}", kind(&other)), ADVICE)),
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
