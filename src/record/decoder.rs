//! Turns valid records into the caller's type, behind one type for all of them: so the engine is compiled once.

use std::any::{Any, TypeId};
use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{JsonRecord, Record};
use crate::schema::{DecodeFault, decode};

/// The data of a record on its way to the caller.
pub(crate) enum Decoded {
    /// A record whose type is JSON itself.
    Json(JsonRecord),
    /// A value of the caller's type.
    Typed(Box<dyn Any + Send>),
}

/// Shows nothing of the record.
impl fmt::Debug for Decoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoded").finish_non_exhaustive()
    }
}

/// A record on its way to the caller.
pub(crate) type DecodedRecord = Record<Decoded>;

impl Decoded {
    /// Returns the data as what it was decoded to.
    pub(crate) fn into_inner<T: 'static>(self) -> T {
        let typed = match self {
            Self::Typed(data) => data.downcast::<T>().ok().map(|data| *data),
            Self::Json(record) => {
                let record: &mut dyn Any = &mut Some(record);
                record.downcast_mut::<Option<T>>().and_then(Option::take)
            }
        };
        typed.expect("a run decodes to the type of its input")
    }
}

impl Record<Decoded> {
    pub(crate) fn into_typed<T: 'static>(self) -> Record<T> {
        Record::new(self.topic, self.data.into_inner(), self.meta)
    }
}

type Decode = fn(&Value) -> Result<Decoded, DecodeFault>;

/// Decodes to one type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decoder {
    /// `None` where a record is taken as it is.
    decode: Option<Decode>,
}

impl Decoder {
    /// Creates the decoder of a type.
    pub(crate) fn to<T: DeserializeOwned + Send + 'static>() -> Self {
        let is_json = TypeId::of::<T>() == TypeId::of::<JsonRecord>();
        let to_type = |value: &Value| Ok(Decoded::Typed(Box::new(decode::<T>(value)?)));
        Self {
            decode: (!is_json).then_some(to_type as Decode),
        }
    }

    /// Decodes a valid record; `None` where it decodes to itself.
    pub(crate) fn decode(self, value: &Value) -> Result<Option<Decoded>, DecodeFault> {
        self.decode.map(|decode| decode(value)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_becomes_the_callers_type_or_stays_what_it_is() {
        let value = json!({"a": 1});
        let typed = Decoder::to::<std::collections::BTreeMap<String, u8>>().decode(&value);
        let typed = typed.ok().flatten().expect("it decodes");
        let map: std::collections::BTreeMap<String, u8> = typed.into_inner();
        assert_eq!(map["a"], 1);
        assert!(matches!(
            Decoder::to::<JsonRecord>().decode(&value),
            Ok(None)
        ));
        let same: JsonRecord =
            Decoded::Json(value.as_object().expect("it is one").clone()).into_inner();
        assert_eq!(Value::Object(same), value);
        assert!(Decoder::to::<Vec<u8>>().decode(&value).is_err());
    }
}
