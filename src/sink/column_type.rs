//! The type of a column: what the schema says, and JSON text where a value does not fit.

use serde_json::Value;

use crate::schema::{traverse, types};

/// References and levels in a row before a value is written as JSON text.
const MOST_STEPS: usize = 32;

/// The largest whole number up to which a float holds every one.
const LARGEST_EXACT: u64 = 1 << 53;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum ColumnType {
    /// Nothing but null was seen.
    Null,
    Text,
    Integer,
    Float,
    Boolean,
    /// Anything, as text.
    Json,
    List(Box<ColumnType>),
    Struct(Vec<(String, ColumnType)>),
}

impl ColumnType {
    /// Returns the type of a property of a record.
    pub(super) fn of_property(root: &Value, name: &str) -> Self {
        let mut found = Vec::new();
        find(root, root, name, MOST_STEPS, &mut found);
        let mut types = found.iter().map(|schema| of(root, schema, MOST_STEPS));
        match types.next() {
            Some(first) if types.all(|other| other == first) => first,
            Some(_) => Self::Json,
            // The topic, or what no schema names: the values say what it is.
            None => Self::Null,
        }
    }

    /// Becomes a type that holds this value too.
    pub(super) fn fit(&mut self, value: &Value) {
        let fits = match (&mut *self, value) {
            (Self::Json, _)
            | (_, Value::Null)
            | (Self::Text, Value::String(_))
            | (Self::Boolean, Value::Bool(_)) => true,
            (it @ Self::Null, value) => {
                *it = of_value(value);
                it.fit(value);
                true
            }
            (Self::Integer, value) => integer(value).is_some(),
            (Self::Float, value) => float(value).is_some(),
            (Self::List(item), Value::Array(items)) => {
                items.iter().for_each(|value| item.fit(value));
                true
            }
            (Self::Struct(fields), Value::Object(map)) => {
                let known = fields.iter_mut().filter_map(|(name, field)| {
                    field.fit(map.get(name)?);
                    Some(())
                });
                known.count() == map.len()
            }
            _ => false,
        };
        if !fits {
            *self = Self::Json;
        }
    }
}

/// Returns the value of a column of integers, where it is one that is kept as it is.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // Whole, and at most 2⁵³.
pub(super) fn integer(value: &Value) -> Option<i64> {
    let is_whole = |float: &f64| float.fract() == 0.0 && float.abs() <= LARGEST_EXACT as f64;
    let whole = || value.as_f64().filter(is_whole).map(|float| float as i64);
    let number = value.as_number()?;
    number
        .as_i64()
        .or_else(|| number.is_f64().then(whole).flatten())
}

/// Returns the value of a column of floats, where it is one that is kept as it is.
pub(super) fn float(value: &Value) -> Option<f64> {
    let number = value.as_number()?;
    let whole = number
        .as_u64()
        .or_else(|| number.as_i64().map(i64::unsigned_abs));
    if whole.is_some_and(|whole| whole > LARGEST_EXACT) {
        return None;
    }
    number.as_f64()
}

/// Gathers what a schema says of a property, wherever it does.
fn find<'a>(
    root: &'a Value,
    schema: &'a Value,
    name: &str,
    steps: usize,
    found: &mut Vec<&'a Value>,
) {
    if steps == 0 {
        return;
    }
    found.extend(schema.get("properties").and_then(|it| it.get(name)));
    if let Some(target) = target(root, schema) {
        find(root, target, name, steps - 1, found);
    }
    for keyword in ["allOf", "anyOf", "oneOf"] {
        for schema in schema
            .get(keyword)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            find(root, schema, name, steps - 1, found);
        }
    }
}

fn target<'a>(root: &'a Value, schema: &Value) -> Option<&'a Value> {
    traverse::resolve(root, schema.get("$ref")?.as_str()?)
}

/// Returns the type that a schema says, JSON text where it says none that a column can have.
fn of(root: &Value, schema: &Value, steps: usize) -> ColumnType {
    if steps == 0 {
        return ColumnType::Json;
    }
    let below = |schema: &Value| of(root, schema, steps - 1);
    if let Some(target) = target(root, schema) {
        return below(target);
    }
    for keyword in ["anyOf", "oneOf", "allOf"] {
        let Some(several) = schema.get(keyword).and_then(Value::as_array) else {
            continue;
        };
        let mut types = several
            .iter()
            .map(below)
            .filter(|it| *it != ColumnType::Null);
        let first = types.next().unwrap_or(ColumnType::Null);
        let is_one = types.all(|other| other == first);
        return if is_one { first } else { ColumnType::Json };
    }
    let values = schema.get("enum").and_then(Value::as_array);
    let values = values.map_or_else(
        || schema.get("const").into_iter().collect(),
        |it| it.iter().collect::<Vec<_>>(),
    );
    if !values.is_empty() {
        let mut column = ColumnType::Null;
        values.into_iter().for_each(|value| column.fit(value));
        return column;
    }
    let mut names = schema.get("type").map(types::names).unwrap_or_default();
    names.retain(|name| *name != "null");
    match names[..] {
        [] if schema["type"] == "null" => ColumnType::Null,
        ["string"] => ColumnType::Text,
        ["integer"] => ColumnType::Integer,
        ["number"] | ["integer", "number"] | ["number", "integer"] => ColumnType::Float,
        ["boolean"] => ColumnType::Boolean,
        ["array"] if schema.get("prefixItems").is_none() && schema["items"].is_object() => {
            ColumnType::List(Box::new(below(&schema["items"])))
        }
        ["object"] => match schema.get("properties").and_then(Value::as_object) {
            Some(properties) if !properties.is_empty() => {
                let fields = properties.iter();
                ColumnType::Struct(fields.map(|(name, it)| (name.clone(), below(it))).collect())
            }
            _ => ColumnType::Json,
        },
        _ => ColumnType::Json,
    }
}

fn of_value(value: &Value) -> ColumnType {
    match value {
        Value::Null => ColumnType::Null,
        Value::Bool(_) => ColumnType::Boolean,
        Value::String(_) => ColumnType::Text,
        Value::Number(number) if number.is_f64() => ColumnType::Float,
        Value::Number(_) => ColumnType::Integer,
        Value::Array(_) | Value::Object(_) => ColumnType::Json,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of_schema(schema: &Value) -> ColumnType {
        let root = json!({
            "properties": {"a": schema},
            "$defs": {"Word": {"type": "string"}, "Tree": {"type": "object", "properties": {"below": {"$ref": "#/$defs/Tree"}}}},
        });
        ColumnType::of_property(&root, "a")
    }

    #[test]
    fn a_column_has_the_type_of_its_schema() {
        use ColumnType::{Boolean, Float, Integer, Json, List, Null, Struct, Text};
        for (schema, expected) in [
            (json!({"type": "string"}), Text),
            (json!({"type": ["integer", "null"]}), Integer),
            (json!({"type": ["integer", "number"]}), Float),
            (
                json!({"anyOf": [{"type": "boolean"}, {"type": "null"}]}),
                Boolean,
            ),
            (json!({"$ref": "#/$defs/Word"}), Text),
            (json!({"enum": ["a", "b", null]}), Text),
            (json!({"enum": ["a", 1]}), Json),
            (json!({"const": 3}), Integer),
            (json!({"type": ["string", "integer"]}), Json),
            (
                json!({"oneOf": [{"type": "string"}, {"type": "integer"}]}),
                Json,
            ),
            (
                json!({"type": "array", "items": {"type": "number"}}),
                List(Box::new(Float)),
            ),
            (json!({"type": "array"}), Json),
            (json!({"type": "object"}), Json),
            (
                json!({"type": "object", "properties": {"b": {"type": "integer"}}}),
                Struct(vec![("b".to_owned(), Integer)]),
            ),
            (json!({"type": "null"}), Null),
            (json!({}), Json),
        ] {
            assert_eq!(of_schema(&schema), expected, "{schema}");
        }
        // A schema that refers to itself has an end.
        assert!(matches!(
            of_schema(&json!({"$ref": "#/$defs/Tree"})),
            Struct(_)
        ));
    }

    #[test]
    fn a_value_that_does_not_fit_makes_its_column_text_and_no_other() {
        let mut column = ColumnType::Struct(vec![
            ("a".to_owned(), ColumnType::Integer),
            (
                "b".to_owned(),
                ColumnType::List(Box::new(ColumnType::Float)),
            ),
        ]);
        column.fit(&json!({"a": 3.0, "b": [1, 2.5, null]}));
        column.fit(&Value::Null);
        let before = column.clone();
        column.fit(&json!({"b": [9_007_199_254_740_993_u64]}));
        assert_ne!(column, before);
        let ColumnType::Struct(fields) = &column else {
            panic!("it is still a struct");
        };
        assert_eq!(fields[0].1, ColumnType::Integer);
        assert_eq!(fields[1].1, ColumnType::List(Box::new(ColumnType::Json)));
        column.fit(&json!({"c": 1}));
        assert_eq!(column, ColumnType::Json);
        let mut integers = ColumnType::Integer;
        integers.fit(&json!(u64::MAX));
        assert_eq!(integers, ColumnType::Json);
    }
}
