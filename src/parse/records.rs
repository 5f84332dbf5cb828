//! Records out of a value: alone, in an array, or under a wrapper, told by structure.

use serde_json::{Map, Value};

use super::choose::Taken;
use super::tolerant::Found;
use super::{Limits, Mend, Shape, strict};

/// How many levels of wrapping are undone. Models use one or two.
const MAX_WRAPPING: usize = 6;

/// Keys that announce a list where nothing is known of the record's own keys.
const LIST_KEYS: [&str; 9] = [
    "records", "data", "items", "results", "examples", "samples", "entries", "rows", "output",
];

/// Takes the records out of a value that was found.
pub(super) fn take(found: &mut Found, shape: &Shape, limits: &Limits) -> Taken {
    let mut taker = Taker {
        shape,
        limits,
        taken: Taken::default(),
    };
    let value = std::mem::take(&mut found.value);
    taker.take(value, found.open, MAX_WRAPPING);
    taker.taken
}

struct Taker<'a> {
    shape: &'a Shape,
    limits: &'a Limits,
    taken: Taken,
}

impl Taker<'_> {
    /// Takes what a value gives. Its outermost `open` levels were not closed.
    fn take(&mut self, value: Value, open: usize, depth: usize) {
        if depth == 0 {
            self.taken.strays += 1;
            return;
        }
        match value {
            Value::Array(items) => {
                self.taken.list = true;
                self.taken.values.reserve(items.len());
                let last = items.len().saturating_sub(1);
                for (at, item) in items.into_iter().enumerate() {
                    let open = if at == last {
                        open.saturating_sub(1)
                    } else {
                        0
                    };
                    self.take(item, open, depth - 1);
                }
            }
            Value::Object(mut object) => {
                if !self.shape.is_plainly(&object) {
                    for _ in 0..self.shape.rename(&mut object) {
                        self.taken.mends.add(Mend::RenamedKey);
                    }
                }
                if open > 0 {
                    self.take_unclosed(object, open, depth);
                } else {
                    self.take_object(object, depth);
                }
            }
            Value::String(text) if text.trim_start().starts_with(['{', '[']) => {
                match strict::read(text.trim(), self.limits) {
                    Some((value, mends)) => {
                        self.taken.mends.add(Mend::DoubleEncoded);
                        self.taken.mends.merge(&mends);
                        self.take(value, 0, depth - 1);
                    }
                    None => self.taken.strays += 1,
                }
            }
            _ => self.taken.strays += 1,
        }
    }

    /// An object that was cut off is no record, but its whole children may be, if it is a wrapper.
    fn take_unclosed(&mut self, mut object: Map<String, Value>, open: usize, depth: usize) {
        let last = object.len().saturating_sub(1);
        if self.shape.overlap(&object) > 0 {
            let key = self.shape.wrapper_key();
            if !self.shape.knows(key)
                && let Some(at) = object.keys().position(|other| other == key)
                && let Some(list) = object.remove(key)
                && list.is_array()
            {
                self.take(list, if at == last { open - 1 } else { 0 }, depth - 1);
            }
            return;
        }
        if self.shape.is_open()
            && !object
                .keys()
                .all(|key| LIST_KEYS.contains(&key.as_str()) || key == self.shape.wrapper_key())
        {
            return;
        }
        for (at, (_, child)) in object.into_iter().enumerate() {
            let open = if at == last { open - 1 } else { 0 };
            if child.is_array() || child.is_object() {
                self.take(child, open, depth - 1);
            }
        }
    }

    fn take_object(&mut self, mut object: Map<String, Value>, depth: usize) {
        let plain = self.shape.is_plainly(&object) && !self.shape.knows(self.shape.wrapper_key());
        if plain && !is_placeholder(&object) {
            self.taken.values.push(Value::Object(object));
            return;
        }
        if is_schema(&object, self.shape) {
            match object
                .remove("properties")
                .filter(|inner| self.holds_records(inner))
            {
                Some(inner) => {
                    self.taken.mends.add(Mend::SchemaEcho);
                    self.take(inner, 0, depth - 1);
                }
                None => self.taken.strays += 1,
            }
            return;
        }
        if is_placeholder(&object) {
            self.taken.strays += 1;
            return;
        }
        match self.wrapped(&object) {
            Wrapped::No => self.taken.values.push(Value::Object(object)),
            Wrapped::Under(key) => {
                let mut object = object;
                if let Some(child) = object.remove(&key) {
                    self.take(child, 0, depth - 1);
                }
            }
            Wrapped::Lists => {
                for (_, child) in object {
                    if child.is_array() || self.shape.is_filled_by(&child) {
                        self.take(child, 0, depth - 1);
                    }
                }
            }
            Wrapped::Somewhere => {
                let before = self.taken.values.len();
                for (_, child) in object {
                    if child.is_object() || child.is_array() {
                        self.take(child, 0, depth - 1);
                    } else if let Value::String(text) = &child
                        && text.trim_start().starts_with(['{', '['])
                    {
                        self.take(child, 0, depth - 1);
                    }
                }
                if self.taken.values.len() == before {
                    self.taken.strays += 1;
                }
            }
        }
    }

    /// Whether what stands under a schema's `properties` is a record, or the records under their wrapper.
    fn holds_records(&self, properties: &Value) -> bool {
        properties.as_object().is_some_and(|inner| {
            let record = !self.shape.is_open() && self.shape.is_filled(inner);
            let says = |value: &Value| value.is_string() || value.is_array() || value.is_number();
            (record && inner.values().any(says))
                || inner
                    .get(self.shape.wrapper_key())
                    .is_some_and(holds_objects)
        })
    }

    /// Says whether, and where, a whole object holds the records rather than being one.
    fn wrapped(&self, object: &Map<String, Value>) -> Wrapped {
        let shape = self.shape;
        let own = shape.overlap(object);
        if shape.is_open() {
            let key = std::iter::once(shape.wrapper_key())
                .chain(LIST_KEYS)
                .find(|key| object.get(*key).is_some_and(holds_objects));
            return match key {
                Some(key)
                    if object
                        .iter()
                        .all(|(other, value)| other == key || is_scalar(value)) =>
                {
                    Wrapped::Under(key.to_owned())
                }
                _ => Wrapped::No,
            };
        }
        // With every required key it is a record, unless nothing is required and what it holds fits better.
        let fits = shape.fits(object);
        if fits && shape.has_required() {
            return Wrapped::No;
        }
        let holds_better = |key: &str, value: &Value| {
            let inner = match value {
                Value::Array(items) => items
                    .iter()
                    .filter_map(Value::as_object)
                    .map(|item| shape.overlap(item))
                    .max(),
                _ => None,
            };
            inner.is_some_and(|inner| inner > own && (!shape.knows(key) || own == 1))
        };
        if object
            .get(shape.wrapper_key())
            .is_some_and(|value| holds_better(shape.wrapper_key(), value))
        {
            return Wrapped::Under(shape.wrapper_key().to_owned());
        }
        if object.iter().any(|(key, value)| holds_better(key, value)) {
            return Wrapped::Lists;
        }
        if own > 0 {
            Wrapped::No
        } else {
            Wrapped::Somewhere
        }
    }
}

enum Wrapped {
    /// The object is a record, or the nearest thing to one.
    No,
    Under(String),
    /// In the lists under its keys.
    Lists,
    /// Deeper, if anywhere.
    Somewhere,
}

fn is_scalar(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

fn holds_objects(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|items| !items.is_empty() && items.iter().all(Value::is_object))
}

/// A JSON Schema that was echoed instead of followed.
fn is_schema(object: &Map<String, Value>, shape: &Shape) -> bool {
    let says = |key: &str| object.contains_key(key) && !shape.knows(key);
    says("$schema")
        || (says("properties")
            && object["properties"].is_object()
            && (says("type") || says("required")))
        || (says("type") && object["type"] == "array" && says("items"))
}

/// A template whose values name types or stand for something: `{"question": "string", "answer": "..."}`, or a schema's
/// properties.
fn is_placeholder(object: &Map<String, Value>) -> bool {
    !object.is_empty()
        && (object.values().all(is_placeholder_text)
            || object.values().all(|value| {
                value
                    .as_object()
                    .and_then(|inner| inner.get("type"))
                    .is_some_and(|named| named.as_str().is_some_and(is_type_name))
            }))
}

fn is_placeholder_text(value: &Value) -> bool {
    let Value::String(text) = value else {
        return false;
    };
    let text = text.trim();
    matches!(text, "..." | "…" | "string" | "str")
        || (text.len() <= 64
            && text.starts_with('<')
            && text.ends_with('>')
            && !text.contains("</"))
}

fn is_type_name(name: &str) -> bool {
    matches!(
        name,
        "string"
            | "integer"
            | "number"
            | "boolean"
            | "array"
            | "object"
            | "null"
            | "str"
            | "int"
            | "float"
            | "bool"
            | "list"
            | "dict"
    )
}
