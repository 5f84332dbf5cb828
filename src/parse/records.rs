//! Records out of a value: alone, in an array, or under a wrapper, told by structure.

use serde_json::{Map, Value};

use super::choose::{Taken, with_open};
use super::machine::Found;
use super::{Limits, Repair, Shape, strict};

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
        match value {
            _ if depth == 0 => self.taken.strays += 1,
            Value::Array(items) => {
                self.taken.list = true;
                self.taken.values.reserve(items.len());
                for (item, open) in with_open(items.into_iter(), open) {
                    self.take(item, open, depth - 1);
                }
            }
            Value::Object(mut object) => {
                if !self.shape.is_plainly(&object) {
                    let renamed = self.shape.rename(&mut object);
                    (0..renamed).for_each(|_| self.taken.repairs.add(Repair::RenamedKey));
                }
                if open > 0 {
                    self.take_unclosed(object, open, depth);
                } else {
                    self.take_object(object, depth);
                }
            }
            value if holds_json(&value) => {
                let text = value.as_str().unwrap_or_default().trim();
                match strict::read(text, self.limits) {
                    Some((value, repairs)) => {
                        self.taken.repairs.add(Repair::DoubleEncoded);
                        self.taken.repairs.merge(&repairs);
                        self.take(value, 0, depth - 1);
                    }
                    None => self.taken.strays += 1,
                }
            }
            _ => self.taken.strays += 1,
        }
    }

    /// An object that was cut off is no record, but its whole children may be, if it is a wrapper.
    fn take_unclosed(&mut self, object: Map<String, Value>, open: usize, depth: usize) {
        let shape = self.shape;
        let wrapper = shape.wrapper_key();
        let is_record = shape.overlap(&object) > 0;
        let is_list_key = |key: &String| LIST_KEYS.contains(&key.as_str()) || key == wrapper;
        if shape.is_open() && !object.keys().all(is_list_key) {
            return;
        }
        for ((key, child), open) in with_open(object.into_iter(), open) {
            let holds = if is_record {
                key == wrapper && !shape.knows(wrapper) && child.is_array()
            } else {
                !is_scalar(&child)
            };
            if holds {
                self.take(child, open, depth - 1);
            }
        }
    }

    fn take_object(&mut self, mut object: Map<String, Value>, depth: usize) {
        let shape = self.shape;
        let placeholder = is_placeholder(&object);
        if !placeholder && shape.is_plainly(&object) && !shape.knows(shape.wrapper_key()) {
            return self.taken.values.push(Value::Object(object));
        }
        if is_schema(&object, shape) {
            let inner = object.remove("properties");
            if let Some(inner) = inner.filter(|inner| self.holds_records(inner)) {
                self.taken.repairs.add(Repair::SchemaEcho);
                return self.take(inner, 0, depth - 1);
            }
            return self.taken.strays += 1;
        }
        if placeholder {
            return self.taken.strays += 1;
        }
        let Some(wrapped) = self.wrapped(&object) else {
            return self.taken.values.push(Value::Object(object));
        };
        let before = self.taken.values.len();
        for (key, child) in object {
            let holds = match &wrapped {
                Wrapped::Under(one) => key == *one,
                Wrapped::Somewhere => !is_scalar(&child) || holds_json(&child),
            };
            if holds {
                self.take(child, 0, depth - 1);
            }
        }
        self.taken.strays += usize::from(self.taken.values.len() == before);
    }

    /// Whether what stands under a schema's `properties` is a record, or the records under their wrapper.
    fn holds_records(&self, properties: &Value) -> bool {
        properties.as_object().is_some_and(|inner| {
            let record = !self.shape.is_open() && self.shape.is_filled(inner);
            let says = |value: &Value| value.is_string() || value.is_array() || value.is_number();
            let wrapped = inner.get(self.shape.wrapper_key());
            (record && inner.values().any(says)) || wrapped.is_some_and(holds_objects)
        })
    }

    /// Says where a whole object holds the records, if it is not one itself, or the nearest thing to one.
    fn wrapped(&self, object: &Map<String, Value>) -> Option<Wrapped> {
        let shape = self.shape;
        let wrapper = shape.wrapper_key();
        if shape.is_open() {
            let mut keys = std::iter::once(wrapper).chain(LIST_KEYS);
            let key = keys.find(|key| object.get(*key).is_some_and(holds_objects))?;
            let mut others = object.iter().filter(|(other, _)| *other != key);
            let alone = others.all(|(_, value)| is_scalar(value));
            return alone.then(|| Wrapped::Under(key.to_owned()));
        }
        // With every required key it is a record, unless nothing is required and what it holds fits better.
        if shape.has_required() && shape.fits(object) {
            return None;
        }
        let own = shape.overlap(object);
        let holds_better = |(key, value): (&String, &Value)| {
            let items = value.as_array().into_iter().flatten();
            let inner = items
                .filter_map(Value::as_object)
                .map(|item| shape.overlap(item));
            inner.max() > Some(own) && (!shape.knows(key) || own == 1)
        };
        if object.get_key_value(wrapper).is_some_and(holds_better) {
            Some(Wrapped::Under(wrapper.to_owned()))
        } else {
            (own == 0).then_some(Wrapped::Somewhere)
        }
    }
}

enum Wrapped {
    Under(String),
    /// Deeper, if anywhere.
    Somewhere,
}

fn is_scalar(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

/// Whether a value is a text that looks like JSON of its own.
fn holds_json(value: &Value) -> bool {
    let text = value.as_str().map(str::trim_start);
    text.is_some_and(|text| text.starts_with(['{', '[']))
}

fn holds_objects(value: &Value) -> bool {
    let items = value.as_array();
    items.is_some_and(|items| !items.is_empty() && items.iter().all(Value::is_object))
}

/// A JSON Schema that was echoed instead of followed.
fn is_schema(object: &Map<String, Value>, shape: &Shape) -> bool {
    let says = |key: &str| object.contains_key(key) && !shape.knows(key);
    says("$schema") || (says("properties") && object["properties"].is_object())
}

/// A template whose values name types or stand for something: `{"question": "string", "answer": "..."}`, or a schema's
/// properties.
fn is_placeholder(object: &Map<String, Value>) -> bool {
    const TYPES: [&str; 13] = [
        "string", "integer", "number", "boolean", "array", "object", "null", "str", "int", "float",
        "bool", "list", "dict",
    ];
    let names_type = |value: &Value| {
        let named = value.get("type").and_then(Value::as_str);
        named.is_some_and(|named| TYPES.contains(&named))
    };
    !object.is_empty()
        && (object.values().all(is_placeholder_text) || object.values().all(names_type))
}

fn is_placeholder_text(value: &Value) -> bool {
    value.as_str().map(str::trim).is_some_and(|text| {
        let in_brackets = text.starts_with('<') && text.ends_with('>') && !text.contains("</");
        matches!(text, "..." | "…" | "string" | "str") || (text.len() <= 64 && in_brackets)
    })
}
