//! An answer with its values left open, for models that nothing else binds to the schema.

use serde_json::{Map, Value};

use crate::schema::{RECORDS_KEY, RecordSchema, traverse};

/// Objects inside of objects that are shown; what is deeper is left open.
const DEPTH: usize = 4;

/// Returns an answer of one record on one line, as JSON but for its values: nothing in their places is a value that would
/// fit, so that a copy of it is no record.
///
/// Small models copy the notation that they see last, and types are not written as JSON is.
pub(crate) fn skeleton(schema: &RecordSchema) -> String {
    let root = schema.as_json();
    let record = value(root, root, DEPTH);
    format!("{{\"{RECORDS_KEY}\": [{record}]}}")
}

fn value(schema: &Value, root: &Value, depth: usize) -> String {
    let Value::Object(map) = schema else {
        return "...".to_owned();
    };
    if depth == 0 {
        return "...".to_owned();
    }
    if let Some(constant) = map.get("const") {
        return constant.to_string();
    }
    if let Some(Value::Array(options)) = map.get("enum") {
        let options: Vec<String> = options.iter().map(Value::to_string).collect();
        return options.join(" | ");
    }
    if let Some(Value::String(reference)) = map.get("$ref") {
        return match traverse::resolve(root, reference) {
            Some(target) => value(target, root, depth - 1),
            None => "...".to_owned(),
        };
    }
    let of_several = ["anyOf", "oneOf", "allOf"];
    if let Some(Value::Array(list)) = of_several.iter().find_map(|keyword| map.get(*keyword)) {
        return list
            .first()
            .map_or_else(|| "...".to_owned(), |first| value(first, root, depth));
    }
    let kind = match map.get("type") {
        Some(Value::Array(kinds)) => kinds.first(),
        kind => kind,
    };
    match kind.and_then(Value::as_str) {
        Some("string") => "\"...\"".to_owned(),
        Some("null") => "null".to_owned(),
        Some("boolean") => "true | false".to_owned(),
        Some("array") => match map.get("items") {
            Some(items) => format!("[{}]", value(items, root, depth - 1)),
            None => "[...]".to_owned(),
        },
        Some(name @ ("integer" | "number")) => name.to_owned(),
        _ => object(map, root, depth),
    }
}

fn object(map: &Map<String, Value>, root: &Value, depth: usize) -> String {
    let Some(Value::Object(properties)) = map.get("properties") else {
        return "...".to_owned();
    };
    let properties: Vec<String> = properties
        .iter()
        .map(|(name, property)| {
            let name = Value::from(name.as_str());
            format!("{name}: {}", value(property, root, depth - 1))
        })
        .collect();
    format!("{{{}}}", properties.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_skeleton_shows_keys_as_json_has_them_and_no_value_that_fits() {
        let schema = RecordSchema::from_json(json!({
            "type": "object",
            "properties": {
                "question": {"type": "string"},
                "level": {"enum": ["easy", "hard"]},
                "year": {"type": ["integer", "null"]},
                "is_new": {"type": "boolean"},
                "tags": {"type": "array", "items": {"type": "string"}},
                "by": {"$ref": "#/$defs/person"},
            },
            "required": ["question"],
            "$defs": {"person": {"type": "object", "properties": {
                "the name": {"type": "string"}, "child": {"$ref": "#/$defs/person"},
            }}},
        }));
        assert_eq!(
            skeleton(&schema.expect("it is a schema")),
            r#"{"records": [{"question": "...", "level": "easy" | "hard", "year": integer, "is_new": true | false, "tags": ["..."], "by": {"the name": "...", "child": ...}}]}"#
        );
    }
}
