//! Reads a field list from JSON, naming the place of every fault.

use serde_json::{Map, Value};

use super::{Field, FieldType};
use crate::closest::closest;

/// Starfish's own keys.
const KEYS: [&str; 7] = [
    "name",
    "type",
    "description",
    "required",
    "items",
    "properties",
    "required_properties",
];

/// JSON Schema keywords that say more about a value, accepted beside Starfish's keys.
const KEYWORDS: [&str; 20] = [
    "title",
    "default",
    "examples",
    "enum",
    "const",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "additionalProperties",
];

/// What other libraries call these, without case and signs.
const ELSEWHERE: [(&[&str], &str); 8] = [
    (
        &[
            "choices",
            "options",
            "values",
            "allowed",
            "allowedvalues",
            "enumvalues",
            "oneof",
            "literal",
        ],
        r#""enum": [...]"#,
    ),
    (
        &["min", "ge", "gte", "minvalue", "lowerbound", "from"],
        r#""minimum""#,
    ),
    (
        &["max", "le", "lte", "maxvalue", "upperbound", "to"],
        r#""maximum""#,
    ),
    (&["gt"], r#""exclusiveMinimum""#),
    (&["lt"], r#""exclusiveMaximum""#),
    (&["regex", "regexp", "match", "matches"], r#""pattern""#),
    (
        &["optional", "nullable", "allownull", "null"],
        r#""required": false"#,
    ),
    (
        &["length", "size", "maxlen", "minlen"],
        r#""minLength" and "maxLength", or "minItems" and "maxItems" for a list"#,
    ),
];

pub(super) fn list(list: &[Value], place: &str, faults: &mut Vec<String>) -> Vec<Field> {
    let read: Vec<(usize, Field)> = list
        .iter()
        .enumerate()
        .filter_map(|(index, value)| {
            let field = field(value, &format!("{place}[{index}]"), faults)?;
            Some((index, field))
        })
        .collect();
    let names = read.iter().map(|(index, field)| (*index, field.name()));
    super::check_names(names, place, faults);
    read.into_iter().map(|(_, field)| field).collect()
}

pub(super) fn field(value: &Value, place: &str, faults: &mut Vec<String>) -> Option<Field> {
    let Value::Object(map) = value else {
        faults.push(format!(
            r#"{place}: a field is an object such as {{"name": "question", "type": "str"}}, not {}"#,
            kind_of(value)
        ));
        return None;
    };
    for key in map.keys() {
        check_key(key, place, faults);
    }
    let name = name(map, place, faults);
    let kind = kind(map, place, faults);
    let required = kind.map(|kind| required(map, kind, place, faults));
    let (name, kind, (required, required_inside)) = (name?, kind?, required?);
    let mut field = Field::new(name, kind);
    field.required = required;
    for (key, value) in map {
        match key.as_str() {
            "name" | "type" | "required" | "required_properties" => {}
            "description" => description(value, place, &mut field, faults),
            "items" if kind != FieldType::List => faults.push(only_for(place, key, "list")),
            "properties" | "additionalProperties" if kind != FieldType::Dict => {
                faults.push(only_for(place, key, "dict"));
            }
            "items" | "properties" | "additionalProperties" => {
                let here = format!("{place}.{key}");
                if let Some(read) = nested(key, value, &here, faults) {
                    field.keywords.insert(key.clone(), read);
                }
            }
            _ if value.is_null() => {}
            _ => {
                field.keywords.insert(key.clone(), value.clone());
            }
        }
    }
    // A dict with named properties holds these and no others, as the record itself does.
    if field.keywords.contains_key("properties") {
        let open = Value::Bool(false);
        let entry = field.keywords.entry("additionalProperties");
        entry.or_insert(open);
    }
    if let Some(names) = required_inside {
        check_required_inside(&names, &field.keywords, place, faults);
        field.keywords.insert("required".to_owned(), names.into());
    }
    Some(field)
}

fn check_key(key: &str, place: &str, faults: &mut Vec<String>) {
    if KEYS.contains(&key) || KEYWORDS.contains(&key) {
        return;
    }
    let known: Vec<&str> = KEYS.into_iter().chain(KEYWORDS).collect();
    let plain: String = key
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    if let Some((_, instead)) = ELSEWHERE
        .iter()
        .find(|(words, _)| words.contains(&plain.as_str()))
    {
        faults.push(format!(r#"{place}: unknown key "{key}"; write {instead}"#));
        return;
    }
    faults.push(match closest(key, known.iter().copied()) {
        Some(close) => format!(r#"{place}: unknown key "{key}", did you mean "{close}"?"#),
        None => format!(r#"{place}: unknown key "{key}""#),
    });
}

fn name(map: &Map<String, Value>, place: &str, faults: &mut Vec<String>) -> Option<String> {
    match map.get("name") {
        Some(Value::String(name)) if !name.trim().is_empty() => return Some(name.clone()),
        Some(Value::String(_)) => faults.push(format!("{place}.name: must not be blank")),
        None | Some(Value::Null) => faults.push(format!("{place}.name: is missing")),
        Some(other) => faults.push(format!(
            "{place}.name: must be a string, not {}",
            kind_of(other)
        )),
    }
    None
}

fn kind(map: &Map<String, Value>, place: &str, faults: &mut Vec<String>) -> Option<FieldType> {
    match map.get("type") {
        Some(Value::String(name)) => {
            let kind = FieldType::from_name(name);
            if kind.is_none() {
                faults.push(format!("{place}.type: {}", unknown_type(name)));
            }
            return kind;
        }
        None | Some(Value::Null) => faults.push(format!(
            "{place}.type: is missing (one of {})",
            known_types()
        )),
        Some(other) => faults.push(format!(
            "{place}.type: must be one of {}, not {}",
            known_types(),
            kind_of(other)
        )),
    }
    None
}

fn unknown_type(name: &str) -> String {
    let names = FieldType::ALL.map(FieldType::as_str);
    let lower = name.to_lowercase();
    let meant = FieldType::from_json_type(&lower)
        .map(FieldType::as_str)
        .or_else(|| closest(name, names));
    let name: String = name.chars().take(60).collect();
    match meant {
        Some(meant) => format!(r#"unknown type "{name}", did you mean "{meant}"?"#),
        None => format!(r#"unknown type "{name}" (known: {})"#, known_types()),
    }
}

fn known_types() -> String {
    FieldType::ALL.map(FieldType::as_str).join(", ")
}

/// Reads `required`: whether the field is, and for a dict which of its own names are.
fn required(
    map: &Map<String, Value>,
    kind: FieldType,
    place: &str,
    faults: &mut Vec<String>,
) -> (bool, Option<Vec<Value>>) {
    let mut inside = None;
    let required = match map.get("required") {
        None | Some(Value::Null) => true,
        Some(Value::Bool(required)) => *required,
        // As upstream: a list of names means both that these are required, and the dict itself.
        Some(Value::Array(names)) if kind == FieldType::Dict => {
            inside = Some(("required", names));
            true
        }
        Some(other) => {
            faults.push(format!(
                "{place}.required: must be true or false{}, not {}",
                if kind == FieldType::Dict {
                    ", or a list of names"
                } else {
                    ""
                },
                kind_of(other)
            ));
            true
        }
    };
    match map.get("required_properties") {
        None | Some(Value::Null) => {}
        Some(Value::Array(names)) if kind == FieldType::Dict && inside.is_none() => {
            inside = Some(("required_properties", names));
        }
        Some(_) => faults.push(format!(
            "{place}.required_properties: must be the list of names that a dict requires, given once"
        )),
    }
    if let Some((key, names)) = inside {
        for (index, name) in names.iter().enumerate() {
            if !name.is_string() {
                faults.push(format!(
                    "{place}.{key}[{index}]: must be a name, not {}",
                    kind_of(name)
                ));
            }
        }
    }
    (required, inside.map(|(_, names)| names.clone()))
}

fn check_required_inside(
    names: &[Value],
    keywords: &Map<String, Value>,
    place: &str,
    faults: &mut Vec<String>,
) {
    let Some(properties) = keywords.get("properties").and_then(Value::as_object) else {
        return;
    };
    for name in names.iter().filter_map(Value::as_str) {
        if !properties.contains_key(name) {
            faults.push(format!(
                r#"{place}.required: "{name}" is not among the properties"#
            ));
        }
    }
}

fn description(value: &Value, place: &str, field: &mut Field, faults: &mut Vec<String>) {
    match value {
        Value::Null => {}
        // Upstream writes an empty description where there is none.
        Value::String(text) if text.is_empty() => {}
        Value::String(text) => {
            field
                .keywords
                .insert("description".to_owned(), text.as_str().into());
        }
        other => faults.push(format!(
            "{place}.description: must be a string, not {}",
            kind_of(other)
        )),
    }
}

/// Reads what `items`, `properties` or `additionalProperties` of a field holds.
fn nested(key: &str, value: &Value, place: &str, faults: &mut Vec<String>) -> Option<Value> {
    match (key, value) {
        (_, Value::Null) => None,
        ("properties", Value::Object(entries)) => {
            let mut read = Map::new();
            for (name, entry) in entries {
                read.insert(
                    name.clone(),
                    schema(entry, &format!("{place}.{name}"), faults),
                );
            }
            Some(Value::Object(read))
        }
        ("properties", other) => {
            faults.push(format!(
                "{place}: must be an object of schemas, one per name, not {}",
                kind_of(other)
            ));
            None
        }
        ("additionalProperties", Value::Bool(_)) => Some(value.clone()),
        _ => Some(schema(value, place, faults)),
    }
}

/// Reads a schema inside a field: JSON Schema, in which types may also have their Python names, and where a
/// type name alone stands for the schema that says no more than that.
fn schema(value: &Value, place: &str, faults: &mut Vec<String>) -> Value {
    match value {
        Value::String(name) => serde_json::json!({ "type": type_name(name, place, faults) }),
        Value::Object(map) => {
            let mut read = Map::new();
            for (key, value) in map {
                let here = format!("{place}.{key}");
                let value = match (key.as_str(), value) {
                    ("type", Value::String(name)) => type_name(name, &here, faults).into(),
                    ("type", Value::Array(names)) => names
                        .iter()
                        .map(|name| match name {
                            Value::String(name) => type_name(name, &here, faults).into(),
                            other => other.clone(),
                        })
                        .collect(),
                    ("properties", Value::Object(_)) => {
                        nested(key, value, &here, faults).unwrap_or_default()
                    }
                    ("items" | "additionalProperties", Value::Object(_) | Value::String(_)) => {
                        schema(value, &here, faults)
                    }
                    ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(list)) => list
                        .iter()
                        .enumerate()
                        .map(|(index, item)| schema(item, &format!("{here}[{index}]"), faults))
                        .collect(),
                    _ => value.clone(),
                };
                read.insert(key.clone(), value);
            }
            Value::Object(read)
        }
        Value::Bool(_) => value.clone(),
        other => {
            faults.push(format!(
                r#"{place}: must be a schema such as {{"type": "str"}}, not {}"#,
                kind_of(other)
            ));
            Value::Bool(true)
        }
    }
}

fn type_name(name: &str, place: &str, faults: &mut Vec<String>) -> &'static str {
    FieldType::from_name(name)
        .or_else(|| FieldType::from_json_type(name))
        .map_or_else(
            || {
                faults.push(format!("{place}: {}", unknown_type(name)));
                "null"
            },
            FieldType::json_type,
        )
}

fn only_for(place: &str, key: &str, kind: &str) -> String {
    format!(r#"{place}.{key}: belongs to the type "{kind}" only"#)
}

/// Says what kind of value this is, and nothing of the value.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
