//! What a caller's JSON Schema must be, so that records can be made by it.

use serde_json::Value;

use super::walk;

/// Faults told at once; a schema with more was probably not meant as one.
const MAX_FAULTS: usize = 12;

/// Collects what is wrong with `schema`, each fault with its place in it. Its size is checked before.
pub(super) fn faults(schema: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    if let Some(dialect) = schema.get("$schema") {
        check_draft(dialect, &mut faults);
    }
    walk::each(schema, &mut |place, map| {
        if faults.len() >= MAX_FAULTS {
            return;
        }
        if let Some(Value::String(reference)) = map.get("$ref")
            && let Some(fault) = reference_fault(schema, reference)
        {
            faults.push(format!("{place}/$ref: {fault}"));
        }
        if !place.is_empty() && map.contains_key("$id") {
            faults.push(format!(
                "{place}/$id: schemas inside a schema cannot have their own address here; refer to them by `#/$defs/…`"
            ));
        }
        for (keyword, instead) in OTHER_DRAFTS {
            if map.contains_key(keyword) {
                faults.push(format!("{place}/{keyword}: {instead}"));
            }
        }
    });
    faults
}

/// Keywords of other drafts, which draft 2020-12 would ignore without a word, and dynamic references.
const OTHER_DRAFTS: [(&str, &str); 4] = [
    (
        "dependencies",
        "belongs to an older draft; use `dependentRequired` or `dependentSchemas`",
    ),
    (
        "additionalItems",
        "belongs to an older draft; use `prefixItems` and `items`",
    ),
    (
        "$recursiveRef",
        "belongs to another draft; use `$ref` with `#`",
    ),
    (
        "$dynamicRef",
        "dynamic references are not supported; use `$ref`",
    ),
];

fn check_draft(dialect: &Value, faults: &mut Vec<String>) {
    // Draft 6 to 2019-09 differ from 2020-12 in keywords that are refused by name, or by the meta-schema.
    const READ_ALIKE: [&str; 4] = [
        "json-schema.org/draft/2020-12/schema",
        "json-schema.org/draft/2019-09/schema",
        "json-schema.org/draft-07/schema",
        "json-schema.org/draft-06/schema",
    ];
    let known = dialect.as_str().is_some_and(|uri| {
        let uri = uri.trim_end_matches('#');
        let uri = uri.split_once("://").map_or(uri, |(_, rest)| rest);
        READ_ALIKE.contains(&uri)
    });
    if !known {
        faults.push(
            "/$schema: is not a draft known here; use https://json-schema.org/draft/2020-12/schema"
                .to_owned(),
        );
    }
}

fn reference_fault(root: &Value, reference: &str) -> Option<String> {
    if !reference.starts_with('#') {
        return Some(
            "leads out of this document; schemas are never fetched from files or the network, so copy it into `$defs`"
                .to_owned(),
        );
    }
    match walk::resolve(root, reference) {
        Some(Value::Object(_) | Value::Bool(_)) => None,
        Some(_) => Some("leads to something that is not a schema".to_owned()),
        None => Some(
            "leads nowhere; write `#` for the whole schema or `#/$defs/name` for a definition"
                .to_owned(),
        ),
    }
}
