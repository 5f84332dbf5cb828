//! Answers that are known to be plain: records as they were asked for, and nothing else.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{Answer, Repairs, Shape};

/// Reads the records of an answer that was found clean, if they are all that it can be taken for: objects with each property
/// of a record and no other, in a list under their key, or one alone.
pub(crate) fn plain_records(text: &str, shape: &Shape) -> Option<Answer> {
    if shape.knows(shape.wrapper_key()) {
        return None;
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let values = json.deserialize_map(PlainAnswer(shape)).ok()?;
    json.end().ok()?;
    Some(Answer {
        values,
        repairs: Repairs::default(),
        fault: None,
    })
}

/// Reads records where they stand, so that nothing but them is built.
#[derive(Clone, Copy)]
struct PlainAnswer<'a>(&'a Shape);

#[derive(Clone, Copy)]
struct PlainList<'a>(&'a Shape);

#[derive(Clone, Copy)]
struct PlainRecord<'a>(&'a Shape);

impl<'de> Visitor<'de> for PlainAnswer<'_> {
    type Value = Vec<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("records")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Vec<Value>, A::Error> {
        let Self(shape) = self;
        // A key with an escape in it is left to others.
        let first: Option<&str> = members.next_key()?;
        if first != Some(shape.wrapper_key()) {
            let first = first.map(str::to_owned);
            return Ok(vec![PlainRecord(shape).read(first, members)?]);
        }
        let records = members.next_value_seed(PlainList(shape))?;
        match members.next_key::<String>()? {
            None => Ok(records),
            Some(_) => Err(A::Error::custom("more than records")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for PlainList<'_> {
    type Value = Vec<Value>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Vec<Value>, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for PlainList<'_> {
    type Value = Vec<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<Value>, A::Error> {
        let mut records = Vec::new();
        while let Some(record) = items.next_element_seed(PlainRecord(self.0))? {
            if records.is_empty() {
                // One is what many answers hold.
                records.reserve_exact(1);
            }
            records.push(record);
        }
        Ok(records)
    }
}

impl PlainRecord<'_> {
    /// Reads a record whose first key is read.
    fn read<'de, A: MapAccess<'de>>(
        self,
        first: Option<String>,
        mut fields: A,
    ) -> Result<Value, A::Error> {
        let Self(shape) = self;
        let mut record = Map::with_capacity(shape.len());
        let mut next = first;
        while let Some(key) = next {
            if !shape.knows(&key) {
                return Err(A::Error::custom("a key that no record has"));
            }
            record.insert(key, fields.next_value()?);
            next = fields.next_key()?;
        }
        if record.len() == shape.len() && !record.is_empty() {
            Ok(Value::Object(record))
        } else {
            Err(A::Error::custom("a part of a record"))
        }
    }
}

impl<'de> DeserializeSeed<'de> for PlainRecord<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for PlainRecord<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let first = fields.next_key()?;
        self.read(first, fields)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_can_be_taken_for_nothing_else_is_plain() {
        let shape = Shape::new(["q", "a"]);
        let one = json!([{"q": "x", "a": 1}]);
        for (text, records) in [
            (r#"{"records": [{"q": "x", "a": 1}]}"#, Some(&one)),
            (r#" {"q": "x", "a": 1} "#, Some(&one)),
            (r#"{"records": []}"#, Some(&json!([]))),
            (r#"{"records": [{"q": "x"}]}"#, None),
            (r#"{"records": [{"q": "x", "a": 1, "b": 2}]}"#, None),
            (r#"{"records": [{"q": "x", "a": 1}], "note": 1}"#, None),
            (r#"{"records": {"q": "x", "a": 1}}"#, None),
            (r#"{"records": [{"q": "x", "a": 1}]} and more"#, None),
            (r#"{"q": "x"}"#, None),
            (r#"[{"q": "x", "a": 1}]"#, None),
            ("{}", None),
        ] {
            let found = plain_records(text, &shape).map(|answer| json!(answer.values));
            assert_eq!(found.as_ref(), records, "{text}");
        }
        let shape = Shape::new(["records"]);
        assert!(plain_records(r#"{"records": [1]}"#, &shape).is_none());
    }
}
