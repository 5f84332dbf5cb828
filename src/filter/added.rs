//! What a filter puts into a record.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Fields that a filter puts into a record.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Added(Map<String, Value>);

impl Added {
    /// Adds one field.
    pub fn field(name: impl Into<String>, value: impl Into<Value>) -> Self {
        Self(Map::from_iter([(name.into(), value.into())]))
    }

    /// Puts the fields into a record, over those it has under the same names.
    pub(crate) fn put_into(&self, record: &mut Map<String, Value>) {
        let fields = self.0.iter();
        record.extend(fields.map(|(name, value)| (name.clone(), value.clone())));
    }
}

impl From<Map<String, Value>> for Added {
    fn from(fields: Map<String, Value>) -> Self {
        Self(fields)
    }
}

/// Names the fields, and shows nothing of what is in them.
impl fmt::Debug for Added {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
