//! Merges two schemas that both hold into one, so that no `allOf` is left.

use serde_json::{Map, Value, json};

use crate::schema::traverse;
use crate::schema::types::names;

/// What both schemas together allow.
#[derive(Debug)]
pub(crate) enum Merged {
    /// Nothing satisfies both.
    Never,
    /// One schema, and the keywords of the second that could not be put into it.
    Schema(Map<String, Value>, Vec<String>),
}

/// Returns how many JSON values merging two schemas copies at most: what one says of all further keys or items is
/// written out for each that the other lists.
pub(super) fn cost(first: &Map<String, Value>, second: &Map<String, Value>) -> usize {
    let size = |map: &Map<String, Value>, keyword: &str| map.get(keyword).map_or(0, traverse::size);
    let listed = |map: &Map<String, Value>| {
        let properties = map.get("properties").and_then(Value::as_object);
        (properties.map_or(0, Map::len), prefix(map).len())
    };
    let written_out = |by: &Map<String, Value>, of: &Map<String, Value>| {
        let (properties, positions) = listed(of);
        size(by, "additionalProperties") * properties + size(by, "items") * positions
    };
    let both = first.values().chain(second.values());
    both.map(traverse::size).sum::<usize>()
        + written_out(first, second)
        + written_out(second, first)
}

/// Merges `second` into `first`, both [without `const`](with_enum). Where both describe the value in words,
/// the first speaks.
pub(crate) fn merge(mut first: Map<String, Value>, mut second: Map<String, Value>) -> Merged {
    close_against(&mut first, &mut second);
    let positions = prefix(&first).len().max(prefix(&second).len());
    lengthen(&mut first, positions);
    lengthen(&mut second, positions);
    let mut left_out = Vec::new();
    for (keyword, theirs) in second {
        let Some(ours) = first.get_mut(&keyword) else {
            first.insert(keyword, theirs);
            continue;
        };
        if *ours == theirs {
            continue;
        }
        match combine(&keyword, ours, theirs) {
            Combined::Into(value) => *ours = value,
            Combined::Never => return Merged::Never,
            Combined::Not(theirs) => {
                // Two groups of alternatives fit under the two names there are.
                let other = match keyword.as_str() {
                    "anyOf" => "oneOf",
                    "oneOf" => "anyOf",
                    _ => "",
                };
                if other.is_empty() || first.contains_key(other) {
                    left_out.push(keyword);
                } else {
                    first.insert(other.to_owned(), theirs);
                }
            }
        }
    }
    Merged::Schema(first, left_out)
}

enum Combined {
    Into(Value),
    Never,
    Not(Value),
}

fn combine(keyword: &str, ours: &Value, theirs: Value) -> Combined {
    use Combined::{Into, Never, Not};
    match keyword {
        "description" => Into(ours.clone()),
        "type" => match common_types(ours, &theirs) {
            Some(types) => Into(types),
            None => Never,
        },
        "enum" => {
            let common: Vec<Value> = items(ours)
                .iter()
                .filter(|value| items(&theirs).contains(value))
                .cloned()
                .collect();
            if common.is_empty() {
                Never
            } else {
                Into(common.into())
            }
        }
        "required" => {
            let mut names = items(ours).to_vec();
            for name in items(&theirs) {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
            Into(names.into())
        }
        "properties" | "patternProperties" => match (ours, theirs) {
            (Value::Object(ours), Value::Object(theirs)) => {
                let mut both = ours.clone();
                for (name, schema) in theirs {
                    let merged = match both.get(&name) {
                        Some(ours) => all_of(ours, &schema),
                        None => schema,
                    };
                    both.insert(name, merged);
                }
                Into(Value::Object(both))
            }
            (_, theirs) => Not(theirs),
        },
        "prefixItems" => {
            let both = items(ours).iter().zip(items(&theirs));
            Into(both.map(|(ours, theirs)| all_of(ours, theirs)).collect())
        }
        "items" | "additionalProperties" | "propertyNames" => Into(all_of(ours, &theirs)),
        "minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties" => {
            Into(extreme(ours, &theirs, |a, b| a < b))
        }
        "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties" => {
            Into(extreme(ours, &theirs, |a, b| a > b))
        }
        "uniqueItems" => Into(Value::Bool(true)),
        "not" => Into(json!({"anyOf": [ours, theirs]})),
        _ => Not(theirs),
    }
}

/// Writes `const` as an enum of one value, which every dialect takes.
pub(crate) fn with_enum(mut map: Map<String, Value>) -> Map<String, Value> {
    if let Some(value) = map.shift_remove("const") {
        let one = Value::Array(vec![value.clone()]);
        match map.get_mut("enum") {
            Some(Value::Array(values)) => values.retain(|known| *known == value),
            _ => {
                map.insert("enum".to_owned(), one);
            }
        }
    }
    map
}

/// Applies what each schema says about keys it does not list to the properties that only the other lists.
fn close_against(first: &mut Map<String, Value>, second: &mut Map<String, Value>) {
    let before = second.clone();
    restrict(second, first);
    restrict(first, &before);
}

fn prefix(map: &Map<String, Value>) -> &[Value] {
    traverse::list(map, "prefixItems")
}

/// Writes what a list says of its further items for each of the first `positions` too.
fn lengthen(map: &mut Map<String, Value>, positions: usize) {
    let mut first = prefix(map).to_vec();
    if first.len() < positions && (map.contains_key("items") || !first.is_empty()) {
        let rest = map.get("items").cloned().unwrap_or(Value::Bool(true));
        first.resize(positions, rest);
        map.insert("prefixItems".to_owned(), first.into());
    }
}

fn restrict(properties_of: &mut Map<String, Value>, by: &Map<String, Value>) {
    let Some(rest) = by.get("additionalProperties") else {
        return;
    };
    if rest == &Value::Bool(true) || by.contains_key("patternProperties") {
        return;
    }
    let listed = by.get("properties").and_then(Value::as_object);
    let Some(Value::Object(properties)) = properties_of.get_mut("properties") else {
        return;
    };
    for (name, schema) in properties.iter_mut() {
        if !listed.is_some_and(|listed| listed.contains_key(name)) {
            *schema = all_of(rest, schema);
        }
    }
}

fn all_of(ours: &Value, theirs: &Value) -> Value {
    match (ours, theirs) {
        (Value::Bool(false), _) | (_, Value::Bool(false)) => Value::Bool(false),
        (Value::Bool(true), other) | (other, Value::Bool(true)) => other.clone(),
        (ours, theirs) if ours == theirs => ours.clone(),
        (ours, theirs) => {
            let both = vec![ours.clone(), theirs.clone()];
            Map::from_iter([("allOf".to_owned(), both.into())]).into()
        }
    }
}

fn extreme(ours: &Value, theirs: &Value, theirs_wins: impl Fn(f64, f64) -> bool) -> Value {
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    if theirs_wins(number(ours), number(theirs)) {
        theirs.clone()
    } else {
        ours.clone()
    }
}

fn common_types(ours: &Value, theirs: &Value) -> Option<Value> {
    let (ours, theirs) = (names(ours), names(theirs));
    let mut common: Vec<&str> = Vec::new();
    for name in &ours {
        if theirs.contains(name) || (*name == "integer" && theirs.contains(&"number")) {
            common.push(name);
        } else if *name == "number" && theirs.contains(&"integer") {
            common.push("integer");
        }
    }
    match common.as_slice() {
        [] => None,
        [one] => Some((*one).into()),
        several => Some(several.iter().map(|name| Value::from(*name)).collect()),
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(first: Value, second: Value) -> Option<Value> {
        let (Value::Object(first), Value::Object(second)) = (first, second) else {
            panic!("two objects");
        };
        match merge(with_enum(first), with_enum(second)) {
            Merged::Never => None,
            Merged::Schema(map, left_out) => {
                assert!(left_out.is_empty(), "{left_out:?}");
                Some(Value::Object(map))
            }
        }
    }

    #[test]
    fn the_tighter_bound_holds() {
        assert_eq!(
            merged(
                json!({"type": "number", "minimum": 1, "maxLength": 5}),
                json!({"type": ["integer", "null"], "minimum": 2, "maxLength": 9, "description": "x"})
            ),
            Some(json!({"type": "integer", "minimum": 2, "maxLength": 5, "description": "x"}))
        );
    }

    #[test]
    fn what_excludes_each_other_is_never() {
        assert_eq!(
            merged(json!({"type": "string"}), json!({"type": "integer"})),
            None
        );
        assert_eq!(merged(json!({"const": 1}), json!({"enum": [2, 3]})), None);
    }

    #[test]
    fn items_hold_for_the_positions_of_the_other() {
        let both = merged(
            json!({"prefixItems": [true, {"type": "integer"}]}),
            json!({"items": {"type": "string"}}),
        );
        let two = json!({"allOf": [{"type": "integer"}, {"type": "string"}]});
        assert_eq!(
            both,
            Some(json!({"prefixItems": [{"type": "string"}, two], "items": {"type": "string"}}))
        );
    }

    #[test]
    fn a_closed_object_closes_the_other() {
        assert_eq!(
            merged(
                json!({"properties": {"a": true}, "additionalProperties": false}),
                json!({"properties": {"a": {"type": "string"}, "b": true}})
            ),
            Some(json!({
                "properties": {"a": {"type": "string"}, "b": false},
                "additionalProperties": false,
            }))
        );
    }
}
