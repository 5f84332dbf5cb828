//! The exported form of a record: its data with the topic and its labels beside it.

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{JsonRecord, Record};
use crate::error::{Error, ErrorKind, Result};

/// The field that holds the topic.
const TOPIC: &str = "topic";

const NOT_AN_OBJECT: &str = "a record does not serialise to a JSON object";

impl<T: Serialize> Record<T> {
    /// Returns the record as it is exported: its data, and at the end its topic under `topic`, the values of attributes that it
    /// was asked for with, and what is kept of its row of source data. What the data has of its own is left as it is.
    ///
    /// # Errors
    ///
    /// Where the data does not serialise to a JSON object.
    pub fn to_json(&self) -> Result<JsonRecord> {
        let not_an_object = || Error::new(ErrorKind::Sink, NOT_AN_OBJECT);
        match serde_json::to_value(&self.data) {
            Ok(Value::Object(mut data)) => {
                data.extend(self.added_to(&data));
                Ok(data)
            }
            Ok(_) => Err(not_an_object()),
            Err(error) => Err(not_an_object().with_source(error)),
        }
    }

    /// Returns what is written beside the data, unless the data has such of its own.
    fn added_to(&self, data: &JsonRecord) -> JsonRecord {
        let labels = self.topic.labels();
        let labels = labels.map(|(name, value)| (name.to_owned(), value.clone()));
        let labels: JsonRecord = labels.collect();
        let mut added = JsonRecord::new();
        // A label may have the topic's name, and stands for it.
        if !labels.contains_key(TOPIC) {
            added.insert(TOPIC.to_owned(), self.topic.name().into());
        }
        added.extend(labels);
        added.retain(|name, _| !data.contains_key(name));
        added
    }
}

/// Serialises as [`Record::to_json`] does.
impl<T: Serialize> Serialize for Record<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The data itself is written: numbers have the digits that their types give them.
        #[derive(Serialize)]
        struct Exported<'a, T> {
            #[serde(flatten)]
            data: &'a T,
            #[serde(flatten)]
            added: JsonRecord,
        }
        let Ok(Value::Object(own)) = serde_json::to_value(&self.data) else {
            return Err(serde::ser::Error::custom(NOT_AN_OBJECT));
        };
        let exported = Exported {
            data: &self.data,
            added: self.added_to(&own),
        };
        exported.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use serde_json::Map;

    use super::*;
    use crate::record::RecordMeta;
    use crate::topic::{Row, Topic};

    fn exported(data: impl Serialize) -> Result<String, serde_json::Error> {
        exported_under(&Topic::new("graphs"), data)
    }

    fn exported_under(topic: &Topic, data: impl Serialize) -> Result<String, serde_json::Error> {
        let meta = RecordMeta::new(0, 0, "offline/loom");
        serde_json::to_string(&Record::new(topic.clone(), data, meta))
    }

    #[derive(Serialize)]
    struct Plain {
        b: u8,
        #[serde(skip_serializing_if = "Option::is_none")]
        topic: Option<&'static str>,
    }

    #[derive(Serialize)]
    struct Flat {
        a: u8,
        #[serde(flatten)]
        rest: BTreeMap<&'static str, u8>,
    }

    #[derive(Serialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        One { a: u8 },
    }

    #[derive(Serialize)]
    struct Wrapped(Option<Plain>);

    #[test]
    fn everything_that_is_an_object_gets_the_topic_at_its_end() {
        let plain = || Plain { b: 1, topic: None };
        let rest = BTreeMap::from([("z", 2)]);
        assert_eq!(exported(plain()).unwrap(), r#"{"b":1,"topic":"graphs"}"#);
        assert_eq!(
            exported(Wrapped(Some(plain()))).unwrap(),
            r#"{"b":1,"topic":"graphs"}"#
        );
        assert_eq!(
            exported(Flat { a: 1, rest }).unwrap(),
            r#"{"a":1,"z":2,"topic":"graphs"}"#
        );
        assert_eq!(
            exported(Tagged::One { a: 1 }).unwrap(),
            r#"{"kind":"One","a":1,"topic":"graphs"}"#
        );
        assert_eq!(
            exported(BTreeMap::from([(7, 1)])).unwrap(),
            r#"{"7":1,"topic":"graphs"}"#
        );
        assert_eq!(
            exported(BTreeMap::<u8, u8>::new()).unwrap(),
            r#"{"topic":"graphs"}"#
        );
    }

    #[test]
    fn a_topic_of_the_data_stays_where_it_is() {
        let topic = Some("mine");
        assert_eq!(
            exported(Plain { b: 1, topic }).unwrap(),
            r#"{"b":1,"topic":"mine"}"#
        );
        let rest = BTreeMap::from([("topic", 2), ("topics", 3)]);
        assert_eq!(
            exported(Flat { a: 1, rest }).unwrap(),
            r#"{"a":1,"topic":2,"topics":3}"#
        );
    }

    #[test]
    fn labels_follow_the_topic_unless_the_data_has_them() {
        let text = |text: &str| Value::from(text);
        let kept = [("id".to_owned(), text("7")), ("b".to_owned(), text("8"))];
        let row = Arc::new(Row::new(3, Map::new(), kept.into_iter().collect()));
        let level = Map::from_iter([("level".to_owned(), text("hard"))]);
        let topic = Topic::of_row(&row).with_attributes(level);
        assert_eq!(
            exported_under(&topic, Plain { b: 1, topic: None }).unwrap(),
            r#"{"b":1,"topic":"row 3","level":"hard","id":"7"}"#
        );
        assert_eq!(
            exported_under(&topic, BTreeMap::from([("level", 1)])).unwrap(),
            r#"{"level":1,"topic":"row 3","id":"7","b":"8"}"#
        );
    }

    #[test]
    fn what_is_no_object_is_refused() {
        assert!(exported(3).is_err());
        assert!(exported([1, 2]).is_err());
        assert!(exported("text").is_err());
        assert!(exported(Wrapped(None)).is_err());
    }
}
