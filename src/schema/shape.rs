//! What the root of a schema says about a record: that it is an object, and which properties it has.

use serde_json::Value;

use super::traverse;

/// References and compositions in a row before the root is given up as not describing anything.
const MAX_STEPS: usize = 16;

/// Returns whether every value the schema allows is an object, as far as its root says so.
///
/// `properties` without a `type` counts: that is how people write it.
pub(super) fn describes_object(root: &Value) -> bool {
    is_object(root, root, MAX_STEPS)
}

fn is_object(root: &Value, schema: &Value, steps: usize) -> bool {
    let Value::Object(map) = schema else {
        return false;
    };
    if steps == 0 {
        return false;
    }
    match map.get("type") {
        Some(Value::String(name)) => return name == "object",
        Some(Value::Array(names)) => return names.len() == 1 && names[0] == "object",
        _ => {}
    }
    let any = |keyword: &str, all: bool| {
        map.get(keyword)
            .and_then(Value::as_array)
            .filter(|list| !list.is_empty())
            .is_some_and(|list| {
                let mut objects = list.iter().map(|item| is_object(root, item, steps - 1));
                if all {
                    objects.all(|object| object)
                } else {
                    objects.any(|object| object)
                }
            })
    };
    map.get("properties").is_some_and(Value::is_object)
        || target(root, schema).is_some_and(|target| is_object(root, target, steps - 1))
        || any("allOf", false)
        || any("anyOf", true)
        || any("oneOf", true)
}

/// Whether a schema that names no property says nothing else of an object either.
pub(super) fn accepts_everything(root: &Value) -> bool {
    const SAYING_NOTHING: [&str; 8] = [
        "type",
        "title",
        "description",
        "properties",
        "required",
        "additionalProperties",
        "default",
        "examples",
    ];
    root.as_object().is_some_and(|map| {
        map.iter().all(|(key, value)| {
            let saying = match key.as_str() {
                // A map of values that have a schema is a record too.
                "additionalProperties" => {
                    value.as_object().is_some_and(|schema| !schema.is_empty()) || *value == false
                }
                _ => false,
            };
            !saying
                && (SAYING_NOTHING.contains(&key.as_str())
                    || key.starts_with('$')
                    || traverse::is_definitions(key))
        })
    })
}

fn target<'a>(root: &'a Value, schema: &Value) -> Option<&'a Value> {
    traverse::resolve(root, schema.get("$ref")?.as_str()?)
}

fn list<'a>(schema: &'a Value, keyword: &str) -> &'a [Value] {
    schema
        .as_object()
        .map_or(&[], |map| traverse::list(map, keyword))
}

/// Returns the names the root knows, in the order they are written, and those it always requires.
pub(super) fn names(root: &Value) -> (Vec<String>, Vec<String>) {
    let mut known = Vec::new();
    collect_known(root, root, MAX_STEPS, &mut known);
    let required = required(root, root, MAX_STEPS);
    (known, required)
}

fn collect_known(root: &Value, schema: &Value, steps: usize, known: &mut Vec<String>) {
    if steps == 0 {
        return;
    }
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        for name in properties.keys() {
            if !known.contains(name) {
                known.push(name.clone());
            }
        }
    }
    if let Some(target) = target(root, schema) {
        collect_known(root, target, steps - 1, known);
    }
    for keyword in ["allOf", "anyOf", "oneOf"] {
        for item in list(schema, keyword) {
            collect_known(root, item, steps - 1, known);
        }
    }
}

fn required(root: &Value, schema: &Value, steps: usize) -> Vec<String> {
    if steps == 0 {
        return Vec::new();
    }
    let mut names: Vec<String> = list(schema, "required")
        .iter()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    let mut add = |more: Vec<String>| {
        for name in more {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    };
    if let Some(target) = target(root, schema) {
        add(required(root, target, steps - 1));
    }
    for item in list(schema, "allOf") {
        add(required(root, item, steps - 1));
    }
    for keyword in ["anyOf", "oneOf"] {
        let mut alternatives = list(schema, keyword).iter();
        if let Some(first) = alternatives.next() {
            let mut common = required(root, first, steps - 1);
            for item in alternatives {
                let other = required(root, item, steps - 1);
                common.retain(|name| other.contains(name));
            }
            add(common);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_object_may_be_said_in_many_ways() {
        let named = json!({"$ref": "#/$defs/A", "$defs": {"A": {"type": "object"}}});
        let tagged = json!({"oneOf": [{"type": "object"}, {"properties": {"b": true}}]});
        let maybe = json!({"anyOf": [{"type": "object"}, {"type": "string"}]});
        assert!(describes_object(&json!({"type": ["object"]})));
        assert!(describes_object(&named));
        assert!(describes_object(&tagged));
        assert!(!describes_object(&maybe));
        assert!(!describes_object(&json!({"$ref": "#"})));
        assert!(!describes_object(&json!({"question": "str"})));
        assert!(!describes_object(&json!({"type": "array", "items": {}})));
    }

    #[test]
    fn alternatives_require_what_they_have_in_common() {
        let schema = json!({
            "properties": {"id": {}},
            "required": ["id"],
            "oneOf": [
                {"properties": {"kind": {}, "a": {}}, "required": ["kind", "a"]},
                {"properties": {"kind": {}, "b": {}}, "required": ["b", "kind"]},
            ],
        });
        let (known, required) = names(&schema);
        assert_eq!(known, ["id", "kind", "a", "b"]);
        assert_eq!(required, ["id", "kind"]);
    }
}
