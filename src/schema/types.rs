//! The names of JSON types, as JSON Schema has them.

use serde_json::Value;

/// Returns the name of a value's type; a number that is stored as an integer is one.
pub(crate) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Returns the names that a `type` keyword lists, be it one or several.
pub(crate) fn names(kind: &Value) -> Vec<&str> {
    match kind {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Returns whether one of the types `names` allows a value whose type is called `kind`.
pub(crate) fn allow(names: &[&str], kind: &str) -> bool {
    names.contains(&kind) || (kind == "integer" && names.contains(&"number"))
}
