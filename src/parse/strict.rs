//! The fast path: text that is valid JSON as it stands.
//!
//! `serde_json` does the reading. What it would let pass in silence is seen on the way: a key that comes
//! twice ends the fast path, and escapes that are LaTeX are undone.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{Limits, Repair, Repairs, latex};

/// Reads text that is one valid JSON value and nothing else.
///
/// Returns `None` for everything else, for duplicate keys, and beyond a limit: the tolerant reader says why.
pub(super) fn read(text: &str, limits: &Limits) -> Option<(Value, Repairs)> {
    let mut node = Node {
        depth_left: limits.max_depth,
        values_left: limits.max_values,
        repairs: Repairs::default(),
        last_len: 0,
    };
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = node.deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    Some((value, node.repairs))
}

/// The most members an object is given room for before they come.
const MAX_RESERVED: usize = 32;

/// The value being read: what is left to it, and what was seen in it.
struct Node {
    depth_left: usize,
    values_left: usize,
    repairs: Repairs,
    /// How many members the last object had: the next one in a list is like it.
    last_len: usize,
}

fn spend<E: serde::de::Error>(left: &mut usize) -> Result<(), E> {
    *left = left
        .checked_sub(1)
        .ok_or_else(|| E::custom("beyond a limit"))?;
    Ok(())
}

impl<'de> DeserializeSeed<'de> for &mut Node {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        spend(&mut self.values_left)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Node {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    // A string without escapes is borrowed, so it cannot hold control characters.
    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        let mut value = value.to_owned();
        for _ in 0..latex::undo_valid(&mut value) {
            self.repairs.add(Repair::LatexEscape);
        }
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        spend(&mut self.depth_left)?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(&mut *self)? {
            items.push(item);
        }
        self.depth_left += 1;
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        spend(&mut self.depth_left)?;
        let mut object = Map::with_capacity(self.last_len);
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(&mut *self)?;
            if object.insert(key, value).is_some() {
                return Err(A::Error::custom("duplicate key"));
            }
        }
        self.last_len = object.len().min(MAX_RESERVED);
        self.depth_left += 1;
        Ok(Value::Object(object))
    }
}
