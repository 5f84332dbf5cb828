//! The keys that a schema allows, at every level where it allows no others.

use std::collections::BTreeMap;

use serde_json::Value;

/// What a value may have below one place.
#[derive(Debug, Default)]
pub(super) struct KnownKeys {
    /// Whether an object has no other keys than these.
    is_closed: bool,
    properties: BTreeMap<String, KnownKeys>,
    items: Option<Box<KnownKeys>>,
}

impl KnownKeys {
    pub(super) fn of(schema: &Value) -> Self {
        let mut known = Self::default();
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            let each = properties.iter();
            known.properties = each
                .map(|(key, below)| (key.clone(), Self::of(below)))
                .collect();
            known.is_closed = schema.get("additionalProperties") == Some(&Value::Bool(false))
                && schema.get("patternProperties").is_none();
        }
        // Beside a tuple, `items` is for what comes after it.
        let items = schema
            .get("items")
            .filter(|_| schema.get("prefixItems").is_none());
        known.items = items.map(|items| Box::new(Self::of(items)));
        known
    }

    /// Takes all other keys away, and returns how many they were.
    pub(super) fn drop_others(&self, value: &mut Value) -> usize {
        match value {
            Value::Object(map) => {
                let mut dropped = 0;
                if self.is_closed && !map.keys().all(|key| self.properties.contains_key(key)) {
                    let before = map.len();
                    map.retain(|key, _| self.properties.contains_key(key));
                    dropped = before - map.len();
                }
                let objects_and_lists = map
                    .iter_mut()
                    .filter(|(_, item)| item.is_object() || item.is_array());
                for (key, item) in objects_and_lists {
                    if let Some(below) = self.properties.get(key) {
                        dropped += below.drop_others(item);
                    }
                }
                dropped
            }
            Value::Array(items) => match &self.items {
                Some(below) => items.iter_mut().map(|item| below.drop_others(item)).sum(),
                None => 0,
            },
            _ => 0,
        }
    }
}
