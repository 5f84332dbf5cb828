//! Whether a schema knows null.

use serde_json::Value;

use crate::schema::traverse;

/// References and compositions followed before the answer is "perhaps".
const MAX_STEPS: usize = 24;

/// Returns whether `schema` may accept null. Where that is hard to say, it may: a null that is kept is
/// judged by validation, one that is taken away is gone.
pub(super) fn knows_null(root: &Value, schema: &Value) -> bool {
    knows(root, schema, MAX_STEPS)
}

fn knows(root: &Value, schema: &Value, steps: usize) -> bool {
    let Value::Object(map) = schema else {
        return schema != &Value::Bool(false);
    };
    if steps == 0 {
        return true;
    }
    let list = |keyword: &str| map.get(keyword).and_then(Value::as_array);
    let refuses_by_type = match map.get("type") {
        Some(Value::String(name)) => name != "null",
        Some(Value::Array(names)) => !names.iter().any(|name| name == "null"),
        _ => false,
    };
    let refuses_by_value = map.get("const").is_some_and(|value| !value.is_null())
        || list("enum").is_some_and(|values| !values.iter().any(Value::is_null));
    if refuses_by_type || refuses_by_value {
        return false;
    }
    if let Some(Value::String(reference)) = map.get("$ref")
        && traverse::resolve(root, reference).is_some_and(|target| !knows(root, target, steps - 1))
    {
        return false;
    }
    let some_knows = |list: &Vec<Value>| list.iter().any(|item| knows(root, item, steps - 1));
    let all_know = |list: &Vec<Value>| list.iter().all(|item| knows(root, item, steps - 1));
    list("anyOf").is_none_or(some_knows)
        && list("oneOf").is_none_or(some_knows)
        && list("allOf").is_none_or(all_know)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn null_is_known_where_some_branch_of_the_schema_takes_it() {
        let root = json!({"$defs": {
            "Text": {"type": "string"},
            "Maybe": {"anyOf": [{"$ref": "#/$defs/Text"}, {"type": "null"}]},
            "Loop": {"$ref": "#/$defs/Loop"},
        }});
        for (schema, expected) in [
            (json!({"type": "array"}), false),
            (json!({"type": ["string", "null"]}), true),
            (json!({"enum": ["a", null]}), true),
            (json!({"const": "a"}), false),
            (json!({"minimum": 3}), true),
            (json!(true), true),
            (json!(false), false),
            (json!({"$ref": "#/$defs/Text"}), false),
            (json!({"$ref": "#/$defs/Maybe"}), true),
            (json!({"$ref": "#/$defs/Loop"}), true),
            (
                json!({"allOf": [{"$ref": "#/$defs/Maybe"}, {"type": "string"}]}),
                false,
            ),
        ] {
            assert_eq!(knows_null(&root, &schema), expected, "{schema}");
        }
    }
}
