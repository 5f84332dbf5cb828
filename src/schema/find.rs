//! Whether a schema has a field.

use serde_json::Value;

use super::RecordSchema;
use crate::closest::closest;

/// Looks for a field in a schema, named or at a path. Says what is wrong where there is none, and what to do.
pub(crate) fn find_field(schema: &RecordSchema, field: &str) -> Result<(), (&'static str, String)> {
    let (unknown, known) = match find(schema.as_json(), schema.as_json(), field) {
        Ok(()) => return Ok(()),
        Err(unknown) => unknown,
    };
    let advice = match closest(unknown, known.iter().copied()) {
        Some(meant) => format!("did you mean `{}`?", field.replace(unknown, meant)),
        None if known.is_empty() => "name the field that holds it".to_owned(),
        None => format!("write one of these: {}", known.join(", ")),
    };
    Err(("is no field of the schema", advice))
}

/// Looks for a path in a schema. Returns the part that is not there, and the names that are.
fn find<'a>(
    root: &'a Value,
    object: &'a Value,
    path: &'a str,
) -> Result<(), (&'a str, Vec<&'a str>)> {
    let object = match object.get("$ref").and_then(Value::as_str) {
        Some(reference) => match root.pointer(reference.trim_start_matches('#')) {
            Some(object) => object,
            None => return Ok(()),
        },
        None => object,
    };
    let properties = object.get("properties").and_then(Value::as_object);
    if properties.is_some_and(|properties| properties.contains_key(path)) {
        return Ok(());
    }
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    match properties {
        // An object that may hold anything may hold this.
        None if object.get("type").is_none_or(|kind| kind == "object") => Ok(()),
        None => Err((first, Vec::new())),
        Some(properties) => match properties.get(first) {
            Some(_) if rest.is_empty() => Ok(()),
            Some(inner) => find(root, inner, rest),
            None => Err((first, properties.keys().map(String::as_str).collect())),
        },
    }
}
