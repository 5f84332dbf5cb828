//! `attributes`: properties that records differ in, with the share of each value.

use serde_json::{Map, Value, json};

use super::form::{Form, object};
use super::place::{Notes, Place, presentable};
use crate::plan::Attribute;
use crate::schema::{PartValidator, RecordSchema, kind_of};
use crate::topic::value_text;

pub(super) const KEY: &str = "attributes";

const ADVICE: &str = r#"write values with shares, such as {"easy": 0.3, "hard": 0.7}, or a list of values that get equal ones"#;

/// How far shares may be from 1 together: a third may be written as 0.333.
const MOST_OFF: f64 = 0.002;

/// Attributes as they are written; see [`resolved`].
pub(super) struct AttributesForm;

impl Form<Vec<Attribute>> for AttributesForm {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<Vec<Attribute>> {
        let mut attributes = Vec::new();
        for (name, values) in object(value, place)? {
            let mut place = place.at(&presentable(&name));
            if name.trim().is_empty() || name == "topic" {
                let problem = "is no name that an attribute can have";
                place.fault::<()>(problem, "choose another");
            } else if let Some(values) = read_values(values, &mut place) {
                attributes.push(Attribute { name, values });
            }
        }
        Some(attributes)
    }

    fn write(&self, attributes: &Vec<Attribute>) -> Value {
        if attributes.is_empty() {
            return Value::Null;
        }
        let write = |attribute: &Attribute| {
            let values = &attribute.values;
            let are_equal = values
                .windows(2)
                .all(|pair| (pair[0].1 - pair[1].1).abs() < 1e-12);
            let written: Value = if are_equal {
                values.iter().map(|(value, _)| value.clone()).collect()
            } else {
                let shares = values.iter();
                let shares = shares.map(|(value, share)| (value_text(value), Value::from(*share)));
                shares.collect::<Map<_, _>>().into()
            };
            (attribute.name.clone(), written)
        };
        attributes.iter().map(write).collect::<Map<_, _>>().into()
    }

    fn schema(&self) -> Value {
        let shares = json!({"type": "object", "minProperties": 1, "additionalProperties": {"type": "number", "minimum": 0}});
        let values = json!({"type": "array", "minItems": 1, "items": {"type": ["string", "number", "boolean"]}});
        json!({"type": "object", "additionalProperties": {"anyOf": [shares, values]}})
    }
}

fn read_values(values: Value, place: &mut Place<'_>) -> Option<Vec<(Value, f64)>> {
    let values: Vec<(Value, f64)> = match values {
        Value::Array(values) => {
            let others =
                |value: &&Value| !(value.is_string() || value.is_number() || value.is_boolean());
            if let Some(other) = values.iter().find(others) {
                return place.fault(format!("has {} as a value", kind_of(other)), ADVICE);
            }
            #[allow(clippy::cast_precision_loss)] // Nobody lists 2⁵³ values.
            let share = 1.0 / values.len() as f64;
            values.into_iter().map(|value| (value, share)).collect()
        }
        Value::Object(shares) => {
            let mut read = Vec::with_capacity(shares.len());
            for (value, share) in shares {
                let Some(share) = share.as_f64().filter(|share| *share >= 0.0) else {
                    let advice = "write a share of 0 or more, such as 0.3 for 30 %";
                    let problem = format!("is {share}");
                    return place.at(&presentable(&value)).fault(problem, advice);
                };
                read.push((Value::from(value), share));
            }
            read
        }
        other => return place.refuse(&other, ADVICE),
    };
    let all: f64 = values.iter().map(|(_, share)| share).sum();
    if values.is_empty() {
        return place.fault("has no value", ADVICE);
    }
    if (all - 1.0).abs() > MOST_OFF {
        let problem = format!("has shares that add up to {}", rounded(all));
        let (first, share) = &values[0];
        let first = presentable(&value_text(first));
        let example = format!(
            "such as {} for `{first}`",
            rounded(share / all.max(f64::MIN_POSITIVE))
        );
        return place.fault(problem, format!("write parts of 1, {example}"));
    }
    let mut texts: Vec<String> = values.iter().map(|(value, _)| value_text(value)).collect();
    texts.sort_unstable();
    if let Some([twice, _]) = texts.windows(2).find(|pair| pair[0] == pair[1]) {
        let problem = format!("has `{}` twice", presentable(twice));
        return place.fault(problem, "leave one of them out");
    }
    Some(values)
}

fn rounded(share: f64) -> f64 {
    (share * 1_000.0).round() / 1_000.0
}

/// Returns a value with the type that a field has: a key of an object, or a cell of a table, is always a text. `None` where the field
/// cannot hold it.
pub(super) fn typed(value: &Value, field: Option<&PartValidator>) -> Option<Value> {
    let fits = |value: &Value| field.is_none_or(|field| field.is_valid(value));
    if fits(value) {
        return Some(value.clone());
    }
    let meant: Value = serde_json::from_str(value.as_str()?).ok()?;
    fits(&meant).then_some(meant)
}

/// Returns what checks the field of this name, where there is one.
pub(super) fn field_of(name: &str, schema: &RecordSchema) -> Option<PartValidator> {
    let field = schema.as_json()["properties"].get(name)?;
    PartValidator::new(field, schema.as_json())
}

/// Returns the attributes with values of the types that fields of their names have, and checks that these can hold them.
pub(super) fn resolved(
    given: &[Attribute],
    schema: &RecordSchema,
    notes: &mut Notes,
) -> Vec<Attribute> {
    let resolve = |attribute: &Attribute| {
        let name = &attribute.name;
        let field = field_of(name, schema);
        let values = attribute.values.iter().map(|(value, share)| {
            if let Some(value) = typed(value, field.as_ref()) {
                return (value, *share);
            }
            let mut place = Place::new(KEY, notes);
            let mut place = place.at(&presentable(name));
            let problem = format!("has `{}`", presentable(&value_text(value)));
            let problem = problem + ", which the field of that name cannot hold";
            place.fault::<()>(problem, "change the field in `output_schema`, or the value");
            (value.clone(), *share)
        });
        Attribute::new(name, values.collect::<Vec<_>>())
    };
    given.iter().map(resolve).collect()
}
