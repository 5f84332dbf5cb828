//! The exported form of a record: its data with the topic beside it, written through without a copy.

use std::fmt::{self, Write as _};
use std::iter;

use serde::ser::{Impossible, SerializeMap, SerializeStruct};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::topic::Topic;

/// The field that holds the topic.
const TOPIC: &str = "topic";

/// Serialises data that is a map or a struct, with a topic and its labels as its last fields unless it has such of its own.
pub(super) struct WithTopic<'a, S> {
    pub(super) inner: S,
    pub(super) topic: &'a Topic,
}

/// The fields of a record as they are written.
pub(super) struct Fields<'a, M> {
    inner: M,
    topic: &'a Topic,
    /// Those of the fields to add that the data has.
    own: Vec<&'a str>,
}

impl<M: SerializeMap> Fields<'_, M> {
    fn note<T: Serialize + ?Sized>(&mut self, key: &T) {
        let topic = self.topic;
        let names = topic.labels().map(|(name, _)| name);
        let own = iter::once(TOPIC).chain(names).filter(|name| is(key, name));
        self.own.extend(own);
    }

    fn add(mut self) -> Result<M::Ok, M::Error> {
        let topic = self.topic;
        let name = Value::from(topic.name());
        // A label may have the topic's name, and stands for it.
        let mut fields: Vec<(&str, &Value)> = topic.labels().collect();
        if fields.iter().all(|(name, _)| *name != TOPIC) {
            fields.insert(0, (TOPIC, &name));
        }
        for (name, value) in fields {
            if !self.own.contains(&name) {
                self.inner.serialize_entry(name, value)?;
            }
        }
        self.inner.end()
    }
}

fn not_an_object<T, E: serde::ser::Error>() -> Result<T, E> {
    Err(E::custom("a record does not serialise to a JSON object"))
}

macro_rules! refuse {
    ($($method:ident($($argument:ty),*);)*) => {
        $(fn $method(self, $(_: $argument),*) -> Result<S::Ok, S::Error> {
            not_an_object()
        })*
    };
}

impl<'a, S: Serializer> Serializer for WithTopic<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Impossible<S::Ok, S::Error>;
    type SerializeTuple = Impossible<S::Ok, S::Error>;
    type SerializeTupleStruct = Impossible<S::Ok, S::Error>;
    type SerializeTupleVariant = Impossible<S::Ok, S::Error>;
    type SerializeMap = Fields<'a, S::SerializeMap>;
    type SerializeStruct = Fields<'a, S::SerializeMap>;
    type SerializeStructVariant = Impossible<S::Ok, S::Error>;

    // How many fields there will be is not told, since whether the topic is one of them is not known yet.
    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        Ok(Fields {
            inner: self.inner.serialize_map(None)?,
            topic: self.topic,
            own: Vec::new(),
        })
    }

    fn serialize_struct(
        self,
        _: &'static str,
        fields: usize,
    ) -> Result<Self::SerializeStruct, S::Error> {
        self.serialize_map(Some(fields))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        value.serialize(self)
    }

    refuse! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(&'static str);
        serialize_unit_variant(&'static str, u32, &'static str);
    }

    // A variant with content is an object of one key, which is no record: internally tagged enums are, and
    // they serialise as maps.
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<S::Ok, S::Error> {
        not_an_object()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        not_an_object()
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, S::Error> {
        not_an_object()
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        not_an_object()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        not_an_object()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        not_an_object()
    }
}

impl<M: SerializeMap> SerializeMap for Fields<'_, M> {
    type Ok = M::Ok;
    type Error = M::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), M::Error> {
        self.note(key);
        self.inner.serialize_key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), M::Error> {
        self.inner.serialize_value(value)
    }

    fn end(self) -> Result<M::Ok, M::Error> {
        self.add()
    }
}

impl<M: SerializeMap> SerializeStruct for Fields<'_, M> {
    type Ok = M::Ok;
    type Error = M::Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), M::Error> {
        self.note(key);
        self.inner.serialize_entry(key, value)
    }

    fn end(self) -> Result<M::Ok, M::Error> {
        SerializeMap::end(self)
    }
}

/// Whether a key has this name. Keys are texts, numbers or unit variants, all of which can be displayed.
fn is<T: Serialize + ?Sized>(key: &T, name: &str) -> bool {
    struct Shown<'a, T: ?Sized>(&'a T);
    impl<T: Serialize + ?Sized> fmt::Display for Shown<'_, T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.serialize(f)
        }
    }
    struct Compared<'a>(&'a str);
    impl fmt::Write for Compared<'_> {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            self.0 = self.0.strip_prefix(part).ok_or(fmt::Error)?;
            Ok(())
        }
    }
    let mut rest = Compared(name);
    write!(rest, "{}", Shown(key)).is_ok() && rest.0.is_empty()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use serde_json::Map;

    use super::*;
    use crate::topic::Row;

    fn exported(data: impl Serialize) -> Result<String, serde_json::Error> {
        exported_under(&Topic::new("graphs"), data)
    }

    fn exported_under(topic: &Topic, data: impl Serialize) -> Result<String, serde_json::Error> {
        let mut text = Vec::new();
        data.serialize(WithTopic {
            inner: &mut serde_json::Serializer::new(&mut text),
            topic,
        })?;
        Ok(String::from_utf8(text).expect("JSON is UTF-8"))
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
