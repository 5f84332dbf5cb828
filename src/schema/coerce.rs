//! Turns a value into the type its schema asks for, where nothing is lost by it.
//!
//! Off unless asked for: a model that writes `"3"` for 3 may have meant a text.

use std::fmt;

use serde_json::{Map, Number, Value};

use super::RecordSchema;
use super::traverse::{self, join};
use super::types::{allow, names, type_of};
use super::violation::shortened;

/// One value that was given another type.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Coercion {
    /// Where in the value, as a JSON pointer.
    pub path: String,
    /// What was done.
    pub kind: CoercionKind,
}

/// The ways in which a value is given another type.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CoercionKind {
    /// `"3"` to `3`, where the number is written back the same.
    TextToNumber,
    /// `"true"` to `true`.
    TextToBoolean,
    /// `"null"` to `null`, where a text is not allowed.
    TextToNull,
    /// `3` to `"3"`.
    NumberToText,
    /// `3.0` to `3`.
    WholeNumber,
    /// A single value to a list that holds it.
    OneToList,
    /// A text that is wholly the JSON of a list or an object to that. Done even where no other type is given.
    TextToJson,
}

impl fmt::Display for CoercionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TextToNumber => "text to number",
            Self::TextToBoolean => "text to boolean",
            Self::TextToNull => "text to null",
            Self::NumberToText => "number to text",
            Self::WholeNumber => "whole number",
            Self::OneToList => "one to list",
            Self::TextToJson => "text to JSON",
        })
    }
}

/// Gives each value the type that the schema asks for, where its own is not allowed and nothing is lost.
///
/// A value whose type the schema allows is left alone, and so is one that would not come back the same: `"03"`
/// and `"3.10"` stay texts. Does not enter alternatives unless all but one are null or
/// have a key with another `const`. Does not validate.
///
/// ```
/// use serde_json::json;
/// use topicloom::schema::{Field, FieldType, RecordSchema, coerce};
///
/// let schema = RecordSchema::from_fields(&[
///     Field::int("year"),
///     Field::list("tags", FieldType::Str),
/// ])?;
/// let (value, coercions) = coerce(json!({"year": "1999", "tags": "sea"}), &schema);
/// assert_eq!(value, json!({"year": 1999, "tags": ["sea"]}));
/// assert_eq!(coercions.len(), 2);
/// # Ok::<(), topicloom::Error>(())
/// ```
#[must_use]
pub fn coerce(value: Value, schema: &RecordSchema) -> (Value, Vec<Coercion>) {
    coerced(value, schema, true)
}

/// Reads texts that are wholly JSON where a list or an object belongs, and gives no other value another type.
#[must_use]
pub fn read_json_texts(value: Value, schema: &RecordSchema) -> (Value, Vec<Coercion>) {
    coerced(value, schema, false)
}

fn coerced(value: Value, schema: &RecordSchema, all: bool) -> (Value, Vec<Coercion>) {
    let mut coercing = Coercing {
        root: schema.as_json(),
        all,
        done: Vec::new(),
    };
    let value = coercing.value(value, schema.as_json(), "", 0);
    (value, coercing.done)
}

/// Deeper values are left alone.
const MAX_DEPTH: usize = 128;
/// References and single alternatives followed at one place.
const MAX_STEPS: usize = 16;

struct Coercing<'a> {
    root: &'a Value,
    /// Whether every type is given, or only texts that are JSON are read.
    all: bool,
    done: Vec<Coercion>,
}

impl<'a> Coercing<'a> {
    fn value(&mut self, value: Value, schema: &'a Value, path: &str, depth: usize) -> Value {
        let Some(map) = self.meant(schema, &value) else {
            return value;
        };
        if depth > MAX_DEPTH {
            return value;
        }
        let value = self.retyped(value, map, path, depth);
        match value {
            Value::Object(entries) => {
                let properties = map.get("properties").and_then(Value::as_object);
                let entries = entries.into_iter().map(|(key, item)| {
                    let schema = properties
                        .and_then(|properties| properties.get(&key))
                        .or_else(|| map.get("additionalProperties"));
                    let item = match schema {
                        Some(schema) => self.value(item, schema, &join(path, &[&key]), depth + 1),
                        None => item,
                    };
                    (key, item)
                });
                Value::Object(entries.collect())
            }
            Value::Array(items) if !map.contains_key("prefixItems") => match map.get("items") {
                Some(schema) => {
                    let items = items.into_iter().enumerate().map(|(index, item)| {
                        let here = join(path, &[&index.to_string()]);
                        self.value(item, schema, &here, depth + 1)
                    });
                    Value::Array(items.collect())
                }
                None => Value::Array(items),
            },
            other => other,
        }
    }

    fn retyped(
        &mut self,
        value: Value,
        map: &'a Map<String, Value>,
        path: &str,
        depth: usize,
    ) -> Value {
        let Some(allowed) = allowed_types(map) else {
            return value;
        };
        let allows = |name: &str| allowed.contains(&name);
        let retyped = match &value {
            Value::String(text)
                if !allows("string") && text.trim_start().starts_with(['[', '{']) =>
            {
                from_json_text(text, &allows)
            }
            _ if !self.all => None,
            Value::Number(number) if allows("integer") && !allows("number") => {
                whole(number).map(|number| (number, CoercionKind::WholeNumber))
            }
            Value::Number(number) if allows("string") && !allows("number") => {
                Some((number.to_string().into(), CoercionKind::NumberToText))
            }
            Value::String(text) if !allows("string") => from_text(text, &allows),
            _ => None,
        };
        if let Some((retyped, kind)) = retyped {
            self.note(path, kind);
            return retyped;
        }
        let is_allowed = allow(&allowed, type_of(&value));
        let is_wrapped = self.all && allows("array") && !is_allowed && !value.is_null();
        if is_wrapped
            && map
                .get("items")
                .is_none_or(|item| self.may_be(&value, item, depth))
        {
            self.note(path, CoercionKind::OneToList);
            return Value::Array(vec![value]);
        }
        value
    }

    /// Returns whether `value` is, or can be made, of a type that `schema` allows.
    fn may_be(&mut self, value: &Value, schema: &'a Value, depth: usize) -> bool {
        let notes = self.done.len();
        let value = self.value(value.clone(), schema, "", depth + 1);
        self.done.truncate(notes);
        match self.meant(schema, &value).map(allowed_types) {
            Some(Some(types)) => allow(&types, type_of(&value)),
            Some(None) => true,
            None => schema == &Value::Bool(true),
        }
    }

    fn note(&mut self, path: &str, kind: CoercionKind) {
        self.done.push(Coercion {
            path: shortened(path),
            kind,
        });
    }

    /// Follows references, and alternatives of which only one is not null.
    fn meant(&self, mut schema: &'a Value, value: &Value) -> Option<&'a Map<String, Value>> {
        for _ in 0..MAX_STEPS {
            let map = schema.as_object()?;
            if let Some(Value::String(reference)) = map.get("$ref") {
                schema = traverse::resolve(self.root, reference)?;
                continue;
            }
            let Some(Value::Array(list)) = map.get("anyOf").or_else(|| map.get("oneOf")) else {
                return (!map.contains_key("allOf")).then_some(map);
            };
            let is_null = |item: &&Value| item.get("type") == Some(&Value::from("null"));
            let mut others: Vec<&Value> = list.iter().filter(|item| !is_null(item)).collect();
            if others.len() > 1 {
                others.retain(|item| !names_another(item, value));
            }
            let [only] = others[..] else {
                return None;
            };
            schema = only;
        }
        None
    }
}

/// Returns whether one of several objects has another value under a key that tells them apart, such as its kind.
fn names_another(schema: &Value, value: &Value) -> bool {
    let properties = schema.get("properties").and_then(Value::as_object);
    let mut fixed = properties.into_iter().flatten();
    fixed.any(|(key, below)| match (below.get("const"), value.get(key)) {
        (Some(wanted), Some(given)) => wanted != given,
        _ => false,
    })
}

/// Returns the types a schema allows by `type`, or by the values it lists; nothing if it allows all.
fn allowed_types(map: &Map<String, Value>) -> Option<Vec<&str>> {
    if let Some(kind) = map.get("type") {
        return Some(names(kind));
    }
    if let Some(value) = map.get("const") {
        return Some(vec![type_of(value)]);
    }
    let listed = map.get("enum")?.as_array()?;
    Some(listed.iter().map(type_of).collect())
}

/// Reads a text that is the JSON of a list or an object, if that is what is allowed.
fn from_json_text(text: &str, allows: &impl Fn(&str) -> bool) -> Option<(Value, CoercionKind)> {
    let value: Value = serde_json::from_str(text).ok()?;
    allows(type_of(&value)).then_some((value, CoercionKind::TextToJson))
}

fn from_text(text: &str, allows: &impl Fn(&str) -> bool) -> Option<(Value, CoercionKind)> {
    match text {
        "true" if allows("boolean") => return Some((true.into(), CoercionKind::TextToBoolean)),
        "false" if allows("boolean") => return Some((false.into(), CoercionKind::TextToBoolean)),
        "null" if allows("null") => return Some((Value::Null, CoercionKind::TextToNull)),
        _ => {}
    }
    let number: Number = text.parse().ok()?;
    let is_whole = number.is_i64() || number.is_u64();
    let is_wanted = allows("number") || (allows("integer") && is_whole);
    (is_wanted && number.to_string() == text)
        .then(|| (Value::Number(number), CoercionKind::TextToNumber))
}

/// Returns `3` for `3.0`. Up to two to the power of 53, every whole number is exact as a float.
fn whole(number: &Number) -> Option<Value> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.is_i64() || number.is_u64() {
        return None;
    }
    let float = number.as_f64()?;
    if float.fract() != 0.0 || float.abs() > EXACT {
        return None;
    }
    #[allow(
        clippy::cast_possible_truncation,
        reason = "whole and within the exact range"
    )]
    let whole = float as i64;
    Some(whole.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn coerced(schema: &Value, value: &Value) -> (Value, Vec<CoercionKind>) {
        let schema = json!({"type": "object", "properties": {"x": schema}, "$defs": {
            "Count": {"type": "integer"}}});
        let schema = RecordSchema::from_json(schema).unwrap();
        let (value, coercions) = coerce(json!({ "x": value }), &schema);
        let kinds = coercions.iter().map(|coercion| coercion.kind).collect();
        (value["x"].clone(), kinds)
    }

    #[test]
    fn what_comes_back_the_same_is_coerced() {
        use CoercionKind::*;
        let text = json!({"type": "string"});
        let count = json!({"$ref": "#/$defs/Count"});
        let maybe = json!({"anyOf": [{"type": "integer"}, {"type": "null"}]});
        let list = json!({"type": "array", "items": {"type": "integer"}});
        for (schema, value, expected, kinds) in [
            (count.clone(), json!("3"), json!(3), vec![TextToNumber]),
            (count.clone(), json!(3.0), json!(3), vec![WholeNumber]),
            (maybe, json!("-7"), json!(-7), vec![TextToNumber]),
            (
                json!({"type": "number"}),
                json!("0.5"),
                json!(0.5),
                vec![TextToNumber],
            ),
            (
                json!({"type": "boolean"}),
                json!("true"),
                json!(true),
                vec![TextToBoolean],
            ),
            (
                json!({"type": ["integer", "null"]}),
                json!("null"),
                json!(null),
                vec![TextToNull],
            ),
            (
                json!({"enum": [1, 2]}),
                json!("2"),
                json!(2),
                vec![TextToNumber],
            ),
            (text, json!(12), json!("12"), vec![NumberToText]),
            (list.clone(), json!(5), json!([5]), vec![OneToList]),
            (
                list.clone(),
                json!("5"),
                json!([5]),
                vec![OneToList, TextToNumber],
            ),
            (list, json!(["5", 6]), json!([5, 6]), vec![TextToNumber]),
        ] {
            assert_eq!(coerced(&schema, &value), (expected, kinds));
        }
    }

    #[test]
    fn what_is_allowed_or_would_lose_something_is_left_alone() {
        let count = json!({"type": "integer"});
        for (schema, value) in [
            (count.clone(), json!("03")),
            (count.clone(), json!("3.0")),
            (count.clone(), json!(" 3")),
            (count.clone(), json!("three")),
            (count.clone(), json!(3.5)),
            (count, json!(true)),
            (json!({"type": "number"}), json!("3.10")),
            (json!({"type": "number"}), json!(3.0)),
            (json!({"type": ["string", "integer"]}), json!("3")),
            (json!({"type": "boolean"}), json!("True")),
            (
                json!({"anyOf": [{"type": "integer"}, {"type": "boolean"}]}),
                json!("3"),
            ),
            (
                json!({"type": "array", "items": {"type": "integer"}}),
                json!("many"),
            ),
            (json!({"type": "array"}), json!(null)),
            (json!({"type": ["number", "array"]}), json!(3)),
            (json!(true), json!("3")),
        ] {
            assert_eq!(coerced(&schema, &value), (value, vec![]));
        }
    }
}
