//! Answers that are known to be plain: records as they were asked for, and nothing else.

use serde_json::Value;

use super::{Answer, Repairs, Shape};

/// Reads the records of an answer that was found clean, if they are all that it can be taken for: objects with each property
/// of a record and no other, in a list under their key, or one alone.
pub(crate) fn plain_records(text: &str, shape: &Shape) -> Option<Answer> {
    let answer = |values| Answer {
        values,
        repairs: Repairs::default(),
        fault: None,
    };
    let is_record = |value: &Value| value.as_object().is_some_and(|it| shape.is_plainly(it));
    let mut value: Value = serde_json::from_str(text).ok()?;
    let key = shape.wrapper_key();
    let records = match value.get_mut(key) {
        Some(records) => std::mem::take(records.as_array_mut()?),
        None => return is_record(&value).then(|| answer(vec![value])),
    };
    let is_alone = value.as_object().is_some_and(|object| object.len() == 1);
    let is_wrapper = !shape.knows(key);
    let are_records = records.iter().all(is_record);
    (is_alone && is_wrapper && are_records).then(|| answer(records))
}
