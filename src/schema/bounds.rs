//! How large a schema may be, so that no walk over it can overflow the stack or run away.

use serde_json::Value;

use super::traverse;

/// JSON levels. The depth at which `serde_json` itself stops reading is 128; schemas for people and models
/// stay below a dozen.
const MAX_DEPTH: usize = 100;
/// JSON values of all kinds. The largest limit a provider documents is 5 000 properties (OpenAI), some
/// three to ten values each.
const MAX_VALUES: usize = 100_000;
/// Bytes of keys and strings. OpenAI takes 120 000 characters of names; descriptions come on top.
const MAX_TEXT_BYTES: usize = 4 << 20;
/// Definitions that refer one to the next. Validators follow such a chain by recursion.
const MAX_CHAIN: usize = 400;
/// Schemas there would be if every reference were written out. Sharing can double this with each
/// definition, and validators and providers alike write some references out.
const MAX_EXPANDED: u64 = 200_000;

/// Checks the size of `schema`, giving it back only if it is within bounds.
pub(super) fn check(schema: Value) -> Result<Value, String> {
    match fault(&schema) {
        Some(fault) => {
            dismantle(schema);
            Err(fault)
        }
        None => Ok(schema),
    }
}

/// Returns in what way `schema` is too large, if it is.
pub(super) fn fault(schema: &Value) -> Option<String> {
    let mut values = 0;
    let mut text = 0;
    let mut open = vec![(schema, 1)];
    while let Some((value, depth)) = open.pop() {
        values += 1;
        match value {
            Value::String(string) => text += string.len(),
            Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(map) => {
                text += map.keys().map(String::len).sum::<usize>();
                open.extend(map.values().map(|item| (item, depth + 1)));
            }
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Some(format!("is nested deeper than {MAX_DEPTH} levels"));
        }
        if values > MAX_VALUES {
            return Some(format!("has more than {MAX_VALUES} values"));
        }
        if text > MAX_TEXT_BYTES {
            return Some(format!("has more than {MAX_TEXT_BYTES} bytes of text"));
        }
    }
    None
}

/// Checks how many schemas writing out every reference would give.
pub(super) fn check_expansion(root: &Value) -> Result<(), String> {
    let mut known = std::collections::HashMap::new();
    if expanded(root, root, &mut known, 0) > MAX_EXPANDED {
        return Err(format!(
            "would have more than {MAX_EXPANDED} parts, or a chain of more than {MAX_CHAIN}, with its references written out"
        ));
    }
    Ok(())
}

/// Counts the schemas under `schema` with references written out; recursion counts once.
fn expanded<'a>(
    root: &'a Value,
    schema: &'a Value,
    known: &mut std::collections::HashMap<&'a str, Option<u64>>,
    depth: usize,
) -> u64 {
    let mut references = Vec::new();
    let mut count = 0_u64;
    traverse::each_used(schema, &mut |_, map| {
        count += 1;
        if let Some(Value::String(reference)) = map.get("$ref") {
            references.push(reference.as_str());
        }
    });
    for reference in references {
        let inside = match known.get(reference) {
            Some(Some(inside)) => *inside,
            Some(None) => 1,
            None if depth >= MAX_CHAIN => MAX_EXPANDED,
            None => {
                known.insert(reference, None);
                let inside = traverse::resolve(root, reference)
                    .map_or(1, |target| expanded(root, target, known, depth + 1));
                known.insert(reference, Some(inside));
                inside
            }
        };
        count = count.saturating_add(inside);
    }
    count
}

/// Drops a value without recursion: dropping one that is nested a million deep overflows the stack.
fn dismantle(value: Value) {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(map) => open.extend(map.into_iter().map(|(_, item)| item)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_million_levels_are_refused_without_overflowing_the_stack() {
        let mut schema = json!({"type": "object"});
        for _ in 0..1_000_000 {
            schema = Value::Array(vec![schema]);
        }
        assert_eq!(
            check(schema),
            Err("is nested deeper than 100 levels".to_owned())
        );
    }

    #[test]
    fn too_many_values_and_too_much_text_are_refused() {
        let many = json!({"enum": vec![0; MAX_VALUES]});
        assert!(check(many).unwrap_err().contains("values"));
        let long = json!({"description": "x".repeat(MAX_TEXT_BYTES + 1)});
        assert!(check(long).unwrap_err().contains("text"));
    }

    #[test]
    fn definitions_that_double_are_refused() {
        let mut definitions = serde_json::Map::new();
        for level in 0..40 {
            let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
            definitions.insert(
                format!("d{level}"),
                json!({"type": "object", "properties": {"a": next, "b": next}}),
            );
        }
        definitions.insert("d40".to_owned(), json!({"type": "string"}));
        let schema = json!({"$ref": "#/$defs/d0", "$defs": definitions});
        assert!(check_expansion(&schema).is_err());
    }

    #[test]
    fn a_chain_of_references_is_followed_only_so_far() {
        for (length, is_accepted) in [(MAX_CHAIN - 2, true), (50_000, false)] {
            let mut definitions = serde_json::Map::new();
            for level in 0..length {
                let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
                let schema = json!({"type": "object", "properties": {"a": next}});
                definitions.insert(format!("d{level}"), schema);
            }
            definitions.insert(format!("d{length}"), json!({"type": "string"}));
            let first = json!({"$ref": "#/$defs/d0"});
            let schema = json!({"properties": {"a": first}, "$defs": definitions});
            let schema = crate::schema::RecordSchema::from_json_schema(schema);
            assert_eq!(schema.is_ok(), is_accepted);
            if let Ok(schema) = schema {
                assert!(schema.validate(&json!({"a": {"a": {"a": 1}}})).is_err());
            }
        }
    }

    #[test]
    fn recursion_is_not_growth() {
        let tree = json!({
            "type": "object",
            "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}},
        });
        assert_eq!(check_expansion(&tree), Ok(()));
    }
}
