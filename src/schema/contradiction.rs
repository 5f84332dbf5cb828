//! What no value can satisfy, where every record has to.

use std::cmp::Ordering;
use std::collections::HashSet;

use serde_json::{Map, Value};

use super::traverse::{self, join};

/// A lower bound, an upper one, whether they may be equal, and of what they are.
const BOUNDS: [(&str, &str, bool, &[&str]); 7] = [
    ("minimum", "maximum", true, &["number", "integer"]),
    ("exclusiveMinimum", "maximum", false, &["number", "integer"]),
    ("minimum", "exclusiveMaximum", false, &["number", "integer"]),
    (
        "exclusiveMinimum",
        "exclusiveMaximum",
        false,
        &["number", "integer"],
    ),
    ("minLength", "maxLength", true, &["string"]),
    ("minItems", "maxItems", true, &["array"]),
    ("minProperties", "maxProperties", true, &["object"]),
];

/// Collects the plain contradictions in a schema, each with its place. What stands behind `anyOf`, `not` and the like is left
/// alone: a record may get around it.
pub(super) fn faults(schema: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let mut seen = HashSet::new();
    let mut open = vec![(String::new(), schema)];
    while let Some((place, value)) = open.pop() {
        let Value::Object(map) = value else { continue };
        if !seen.insert(std::ptr::from_ref(map)) {
            continue;
        }
        faults.extend(bounds(&place, map));
        if map
            .get("enum")
            .and_then(Value::as_array)
            .is_some_and(Vec::is_empty)
        {
            faults.push(format!(
                "{place}/enum: is empty, so that no value is right; list values"
            ));
        }
        faults.extend(required(&place, map));
        if let Some(Value::Object(properties)) = map.get("properties") {
            let named = properties.iter();
            open.extend(named.map(|(name, it)| (join(&place, &["properties", name]), it)));
        }
        if let Some(items) = map.get("items") {
            open.push((join(&place, &["items"]), items));
        }
        for (index, part) in traverse::list(map, "allOf").iter().enumerate() {
            open.push((join(&place, &["allOf", &index.to_string()]), part));
        }
        if let Some(Value::String(reference)) = map.get("$ref")
            && let Some(target) = traverse::resolve(schema, reference)
        {
            open.push((reference.trim_start_matches('#').to_owned(), target));
        }
    }
    faults
}

fn bounds(place: &str, map: &Map<String, Value>) -> Option<String> {
    let applies = |kinds: &[&str]| match map.get("type") {
        Some(Value::String(kind)) => kinds.contains(&kind.as_str()),
        Some(Value::Array(types)) => types
            .iter()
            .any(|kind| kind.as_str().is_some_and(|kind| kinds.contains(&kind))),
        _ => true,
    };
    BOUNDS
        .iter()
        .filter(|(.., kinds)| applies(kinds))
        .find_map(|(least, most, may_be_equal, _)| {
            let (Some(Value::Number(low)), Some(Value::Number(high))) =
                (map.get(*least), map.get(*most))
            else {
                return None;
            };
            let order = match (low.as_i64(), high.as_i64()) {
                (Some(low), Some(high)) => low.cmp(&high),
                _ => low.as_f64()?.partial_cmp(&high.as_f64()?)?,
            };
            let is_wrong =
                order == Ordering::Greater || (order == Ordering::Equal && !may_be_equal);
            is_wrong.then(|| {
                format!("{place}/{least}: is {low}, and `{most}` is {high}, so that no value is right; change one of them")
            })
        })
}

fn required(place: &str, map: &Map<String, Value>) -> Option<String> {
    let properties = map.get("properties").and_then(Value::as_object);
    let is_closed = map.get("additionalProperties") == Some(&Value::Bool(false))
        && !map.contains_key("patternProperties");
    let names = traverse::list(map, "required")
        .iter()
        .filter_map(Value::as_str);
    let mut names = names.filter_map(|name| {
        let why = match properties.and_then(|it| it.get(name)) {
            Some(Value::Bool(false)) => "is required, and its schema is `false`",
            None if is_closed => "is required, and `additionalProperties: false` forbids it",
            _ => return None,
        };
        let place = join(place, &["required"]);
        Some(format!(
            "{place}: `{name}` {why}; describe it under `properties`, or do not require it"
        ))
    });
    names.next()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_no_record_can_satisfy_is_named() {
        let field = |field: Value| json!({"type": "object", "properties": {"a": field}});
        for (schema, place) in [
            (
                field(json!({"type": "integer", "minimum": 5, "maximum": 3})),
                "/properties/a/minimum: is 5",
            ),
            (
                field(json!({"type": "number", "exclusiveMinimum": 5, "maximum": 5.0})),
                "/properties/a/exclusiveMinimum",
            ),
            (
                field(json!({"type": ["string", "null"], "minLength": 9, "maxLength": 8})),
                "/properties/a/minLength",
            ),
            (
                field(json!({"type": "array", "items": {"minItems": 2, "maxItems": 1}})),
                "/properties/a/items/minItems",
            ),
            (
                field(json!({"allOf": [{"enum": []}]})),
                "/properties/a/allOf/0/enum: is empty",
            ),
            (
                json!({"required": ["a"], "properties": {"a": false}}),
                "/required: `a` is required",
            ),
            (
                json!({"required": ["a"], "properties": {"b": {}}, "additionalProperties": false}),
                "/required: `a` is required",
            ),
            (
                json!({"$ref": "#/$defs/a", "$defs": {"a": {"minProperties": 2, "maxProperties": 1, "properties": {"b": {"$ref": "#/$defs/a"}}}}}),
                "/$defs/a/minProperties",
            ),
        ] {
            let told = faults(&schema);
            assert_eq!(told.len(), 1, "{schema}: {told:?}");
            assert!(told[0].starts_with(place), "{told:?}");
        }
    }

    #[test]
    fn what_a_record_can_get_around_is_left_alone() {
        for schema in [
            json!({"properties": {"a": {"anyOf": [{"minimum": 2, "maximum": 1}, {"type": "null"}]}}}),
            json!({"properties": {"a": {"type": "string", "minimum": 2, "maximum": 1}}}),
            json!({"properties": {"a": {"minimum": 1, "maximum": 1}, "b": false}}),
            json!({"not": {"enum": []}, "$defs": {"a": {"enum": []}}}),
            json!({"required": ["x-a"], "patternProperties": {"^x-": {}}, "additionalProperties": false}),
            json!({"exclusiveMinimum": 9_007_199_254_740_992_u64, "maximum": 9_007_199_254_740_993_u64}),
        ] {
            assert_eq!(faults(&schema), Vec::<String>::new(), "{schema}");
        }
    }
}
