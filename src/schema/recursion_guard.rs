//! In how many ways a value may be read by a schema that refers to itself.
//!
//! A validator tries every alternative, and for a value that is invalid it tells the faults of each. Where alternatives
//! lead back to the schema, each level of the value multiplies that: twenty levels of two alternatives are a
//! million ways. Counted here before, so that such a value is judged without telling all its faults.

use std::cell::Cell;
use std::collections::HashMap;

use serde_json::{Map, Value};

use super::traverse;
use super::types::{allow, names, type_of};

/// Places of a value at which a part of a schema is tried. Each takes well under a microsecond, and a record of a
/// thousand values is tried at a few thousand.
const MAX_TRIALS: usize = 100_000;
/// References followed in a row without entering the value: more lead in a circle.
const MAX_HOPS: u8 = 32;

/// Returns whether a reference in `root` leads back to itself.
pub(super) fn is_recursive(root: &Value) -> bool {
    let mut known = HashMap::new();
    references(root)
        .into_iter()
        .any(|reference| leads_back(root, reference, &mut known))
}

/// Follows references depth first; `known` says of each whether it was left again. Their chains are bounded.
fn leads_back<'a>(root: &'a Value, reference: &'a str, known: &mut HashMap<&'a str, bool>) -> bool {
    match known.get(reference) {
        Some(was_left) => return !was_left,
        None => known.insert(reference, false),
    };
    let inside = traverse::resolve(root, reference).map_or(Vec::new(), references);
    if inside.into_iter().any(|next| leads_back(root, next, known)) {
        return true;
    }
    known.insert(reference, true);
    false
}

fn references(schema: &Value) -> Vec<&str> {
    let mut found = Vec::new();
    traverse::each_used(schema, &mut |_, map| {
        found.extend(map.get("$ref").and_then(Value::as_str));
    });
    found
}

/// Returns whether a value is read in few enough ways that its faults can be told one by one.
pub(super) fn are_few(root: &Value, value: &Value) -> bool {
    let mut trials = 0;
    let mut open = vec![(root, value, 0)];
    while let Some((schema, value, hops)) = open.pop() {
        trials += 1;
        if trials > MAX_TRIALS {
            return false;
        }
        let Value::Object(map) = schema else { continue };
        if hops < MAX_HOPS {
            let target = map.get("$ref").and_then(Value::as_str);
            let target = target.and_then(|reference| traverse::resolve(root, reference));
            let same_place = ["if", "then", "else", "not"]
                .iter()
                .filter_map(|keyword| map.get(*keyword));
            let alternatives = ["anyOf", "oneOf", "allOf"]
                .iter()
                .flat_map(|keyword| traverse::list(map, keyword));
            for schema in target.into_iter().chain(same_place).chain(alternatives) {
                open.push((schema, value, hops + 1));
            }
        }
        let mut add = |schema, item| open.push((schema, item, 0));
        each_inside(map, value, &mut add);
        each_perhaps_inside(map, value, &mut add);
    }
    true
}

/// Calls `visit` for each item of a value with the part of the schema that describes it.
fn each_inside<'a>(
    map: &'a Map<String, Value>,
    value: &'a Value,
    visit: &mut impl FnMut(&'a Value, &'a Value),
) {
    match value {
        Value::Object(entries) => {
            let properties = map.get("properties").and_then(Value::as_object);
            let rest = map
                .get("additionalProperties")
                .filter(|_| !map.contains_key("patternProperties"));
            for (key, item) in entries {
                let known = properties.and_then(|properties| properties.get(key));
                if let Some(schema) = known.or(rest) {
                    visit(schema, item);
                }
            }
        }
        Value::Array(items) => {
            let first = traverse::list(map, "prefixItems");
            for (index, item) in items.iter().enumerate() {
                if let Some(schema) = first.get(index).or_else(|| map.get("items")) {
                    visit(schema, item);
                }
            }
        }
        _ => {}
    }
}

/// Does the same with the parts of the schema of which it takes more to say whether they describe the item.
fn each_perhaps_inside<'a>(
    map: &'a Map<String, Value>,
    value: &'a Value,
    visit: &mut impl FnMut(&'a Value, &'a Value),
) {
    let patterns = map.get("patternProperties").and_then(Value::as_object);
    let rest = patterns.and_then(|_| map.get("additionalProperties"));
    let schemas: Vec<&Value> = match value {
        Value::Object(_) => patterns
            .into_iter()
            .flat_map(Map::values)
            .chain(rest)
            .chain(map.get("unevaluatedProperties"))
            .collect(),
        Value::Array(_) => ["contains", "unevaluatedItems"]
            .iter()
            .filter_map(|keyword| map.get(*keyword))
            .collect(),
        _ => return,
    };
    let items = value.as_array().into_iter().flatten();
    let entries = value.as_object().into_iter().flat_map(Map::values);
    for item in items.chain(entries) {
        for schema in &schemas {
            visit(schema, item);
        }
    }
}

/// Returns whether a value has the form that the schema describes, as far as types, listed values and keys tell, and as
/// that can be told in bounded time.
pub(super) fn has_form(root: &Value, value: &Value) -> bool {
    let search = Search {
        root,
        trials_left: Cell::new(10 * MAX_TRIALS),
    };
    search.fits(root, value, 0) && search.trials_left.get() > 0
}

struct Search<'a> {
    root: &'a Value,
    trials_left: Cell<usize>,
}

impl Search<'_> {
    fn fits(&self, schema: &Value, value: &Value, hops: u8) -> bool {
        let Value::Object(map) = schema else {
            return schema != &Value::Bool(false);
        };
        let left = self.trials_left.get();
        self.trials_left.set(left.saturating_sub(1));
        if left == 0 {
            return false;
        }
        if hops > MAX_HOPS {
            return true;
        }
        if !says_so_itself(map, value) {
            return false;
        }
        let here = |schema: &Value| self.fits(schema, value, hops + 1);
        let target = map.get("$ref").and_then(Value::as_str);
        let target = target.and_then(|reference| traverse::resolve(self.root, reference));
        let mut all = target.into_iter().chain(traverse::list(map, "allOf"));
        let mut one_of = ["anyOf", "oneOf"]
            .iter()
            .filter_map(|keyword| map.get(*keyword)?.as_array());
        if !all.all(here) || !one_of.all(|list| list.iter().any(here)) {
            return false;
        }
        let mut inside = Vec::new();
        each_inside(map, value, &mut |schema, item| inside.push((schema, item)));
        // What is no list and no object tells alternatives apart at once.
        inside.sort_by_key(|(_, item): &(&Value, &Value)| item.is_object() || item.is_array());
        inside
            .into_iter()
            .all(|(schema, item)| self.fits(schema, item, 0))
    }
}

/// Whether nothing that a schema says of the value itself, without looking into it, is against it.
fn says_so_itself(map: &Map<String, Value>, value: &Value) -> bool {
    let kind = match value.as_f64() {
        Some(number) if number.fract() == 0.0 => "integer",
        _ => type_of(value),
    };
    let scalar = !value.is_object() && !value.is_array() && !value.is_number();
    map.get("type")
        .is_none_or(|named| allow(&names(named), kind))
        && map
            .get("const")
            .is_none_or(|known| !scalar || known == value)
        && map
            .get("enum")
            .and_then(Value::as_array)
            .is_none_or(|known| !scalar || known.contains(value))
        && value.as_object().is_none_or(|entries| {
            let mut required = traverse::list(map, "required")
                .iter()
                .filter_map(Value::as_str);
            required.all(|name| entries.contains_key(name))
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::schema::RecordSchema;

    use super::*;

    /// Sums and products of sums and products, the operator coming after what it combines.
    fn terms() -> Value {
        let term = |operator: &str| {
            let inside = json!({"$ref": "#/$defs/Term"});
            json!({
                "type": "object",
                "properties": {"left": inside, "right": inside, "operator": {"const": operator}},
                "required": ["left", "right", "operator"],
            })
        };
        json!({
            "type": "object",
            "properties": {"term": {"$ref": "#/$defs/Term"}},
            "$defs": {"Term": {"anyOf": [term("+"), term("*"), {"type": "integer"}]}},
        })
    }

    fn nested(mut leaf: Value, levels: usize) -> Value {
        for level in 0..levels {
            let operator = ["+", "*"][level % 2];
            leaf = json!({"left": leaf, "right": 1, "operator": operator});
        }
        json!({ "term": leaf })
    }

    #[test]
    fn recursion_is_found_wherever_it_leads_back() {
        assert!(is_recursive(&terms()));
        assert!(is_recursive(&json!({"properties": {"a": {"$ref": "#"}}})));
        let twice = json!({
            "properties": {"a": {"$ref": "#/$defs/A"}, "b": {"$ref": "#/$defs/A"}},
            "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"type": "string"}},
        });
        assert!(!is_recursive(&twice));
    }

    #[test]
    fn a_value_with_too_many_ways_is_judged_in_bounded_time() {
        let schema = RecordSchema::from_json(terms()).unwrap();
        for levels in [1, 5, 60] {
            assert_eq!(schema.validate(&nested(json!(1), levels)), Ok(()));
        }
        let shallow = schema.validate(&nested(json!("x"), 3)).unwrap_err();
        assert!(
            shallow
                .iter()
                .all(|violation| violation.path.starts_with("/term"))
        );
        let deep = schema.validate(&nested(json!("x"), 60)).unwrap_err();
        assert_eq!(deep.len(), 1);
        assert_eq!(
            deep[0].to_string(),
            "the record must match the schema, and is nested too deep in alternatives to say where it does not"
        );
    }

    #[test]
    fn references_in_a_circle_end() {
        let circle = json!({
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/A"}},
            "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]}},
        });
        assert!(are_few(&circle, &json!({"a": 1})));
        assert!(has_form(&circle, &json!({"a": 1})));
    }
}
