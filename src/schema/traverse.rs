//! How a JSON Schema is walked: which keywords hold schemas, where a pointer leads, what a `$ref` means.
//!
//! A walk must know keywords, or else a property that happens to be called `items` is taken for one.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Map, Value};

/// How a keyword holds further schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    /// One schema, as `items` does.
    One,
    /// A list of them, as `anyOf` does.
    List,
    /// A map of them, as `properties` does.
    Map,
}

/// Returns how `keyword` holds schemas in draft 2020-12, if it does.
pub(crate) fn holds(keyword: &str) -> Option<Holds> {
    match keyword {
        "items"
        | "additionalProperties"
        | "propertyNames"
        | "contains"
        | "not"
        | "if"
        | "then"
        | "else"
        | "unevaluatedItems"
        | "unevaluatedProperties"
        | "contentSchema" => Some(Holds::One),
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => Some(Holds::List),
        // `definitions` is the older name of `$defs` and still a place that pointers lead to.
        "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => {
            Some(Holds::Map)
        }
        _ => None,
    }
}

/// Calls `visit` for every schema inside `schema` and for itself, parents first, with its JSON pointer.
pub(crate) fn each<'a>(schema: &'a Value, visit: &mut impl FnMut(&str, &'a Map<String, Value>)) {
    each_under(schema, |_| true, visit);
}

/// Does the same, but does not enter definitions: they count only where they are referred to.
pub(crate) fn each_used<'a>(
    schema: &'a Value,
    visit: &mut impl FnMut(&str, &'a Map<String, Value>),
) {
    each_under(schema, |keyword| !is_definitions(keyword), visit);
}

/// Returns the names that `required` lists, for a schema whose properties may be thousands.
pub(crate) fn required(schema: &Map<String, Value>) -> HashSet<&str> {
    list(schema, "required")
        .iter()
        .filter_map(Value::as_str)
        .collect()
}

/// Returns how many JSON values there are in `value`, itself among them.
pub(crate) fn size(value: &Value) -> usize {
    let mut count = 0;
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        count += 1;
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(map) => open.extend(map.values()),
            _ => {}
        }
    }
    count
}

/// Returns whether `keyword` only stores schemas for others to refer to.
pub(crate) fn is_definitions(keyword: &str) -> bool {
    matches!(keyword, "$defs" | "definitions")
}

fn each_under<'a>(
    schema: &'a Value,
    enters: impl Fn(&str) -> bool,
    visit: &mut impl FnMut(&str, &'a Map<String, Value>),
) {
    let mut open = vec![(String::new(), schema)];
    while let Some((place, schema)) = open.pop() {
        let Value::Object(map) = schema else { continue };
        visit(&place, map);
        let first_child = open.len();
        for (keyword, value) in map.iter().filter(|(keyword, _)| enters(keyword)) {
            match (holds(keyword), value) {
                (Some(Holds::One), _) => open.push((join(&place, &[keyword]), value)),
                (Some(Holds::List), Value::Array(list)) => {
                    for (index, item) in list.iter().enumerate() {
                        open.push((join(&place, &[keyword, &index.to_string()]), item));
                    }
                }
                (Some(Holds::Map), Value::Object(entries)) => {
                    for (name, item) in entries {
                        open.push((join(&place, &[keyword, name]), item));
                    }
                }
                _ => {}
            }
        }
        open[first_child..].reverse();
    }
}

/// Returns the list a keyword holds; an empty one if it holds none.
pub(crate) fn list<'a>(schema: &'a Map<String, Value>, keyword: &str) -> &'a [Value] {
    schema
        .get(keyword)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Offers every `$ref` under `schema` to `change`, and writes what it returns.
pub(crate) fn each_reference_mut(
    schema: &mut Value,
    change: &mut impl FnMut(&str) -> Option<String>,
) {
    let Value::Object(map) = schema else { return };
    for (keyword, value) in map {
        match (holds(keyword), value) {
            (Some(Holds::One), value) => each_reference_mut(value, change),
            (Some(Holds::List), Value::Array(list)) => {
                for item in list {
                    each_reference_mut(item, change);
                }
            }
            (Some(Holds::Map), Value::Object(entries)) => {
                for item in entries.values_mut() {
                    each_reference_mut(item, change);
                }
            }
            (None, Value::String(reference)) if keyword == "$ref" => {
                if let Some(changed) = change(reference) {
                    *reference = changed;
                }
            }
            _ => {}
        }
    }
}

/// Returns `place` with further JSON pointer segments.
pub(crate) fn join(place: &str, segments: &[&str]) -> String {
    let mut joined = place.to_owned();
    for segment in segments {
        joined.push('/');
        joined.push_str(&segment.replace('~', "~0").replace('/', "~1"));
    }
    joined
}

/// Returns what a reference inside the document leads to: `#`, or `#/` and a JSON pointer.
pub(crate) fn resolve<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    root.pointer(&percent_decoded(reference.strip_prefix('#')?))
}

fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(code.unwrap_or(bytes[at]));
        at += if code.is_some() { 3 } else { 1 };
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_property_called_items_is_not_the_keyword() {
        let schema = json!({
            "properties": {"items": {"enum": [{"not": "a schema"}]}},
            "items": {"anyOf": [{"type": "null"}]},
        });
        let mut places = Vec::new();
        each(&schema, &mut |place, _| places.push(place.to_owned()));
        assert_eq!(
            places,
            ["", "/properties/items", "/items", "/items/anyOf/0"]
        );
    }

    #[test]
    fn references_are_pointers_with_both_kinds_of_escape() {
        let schema = json!({"$defs": {"a/b<c>": {"type": "null"}}});
        let found = resolve(&schema, "#/$defs/a~1b%3Cc%3E");
        assert_eq!(found, Some(&json!({"type": "null"})));
        assert_eq!(resolve(&schema, "#"), Some(&schema));
        assert_eq!(resolve(&schema, "other.json"), None);
        assert_eq!(resolve(&schema, "#/$defs/100%"), None);
    }
}
