//! What a caller's JSON Schema must be, so that records can be made by it.

use serde_json::Value;

use super::{drafts, traverse};

/// Faults told at once; a schema with more was probably not meant as one.
const MAX_FAULTS: usize = 12;

/// Collects what is wrong with `schema`, each fault with its place in it. Its size is checked before.
pub(super) fn faults(schema: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    if let Some(dialect) = schema.get("$schema") {
        check_draft(dialect, &mut faults);
    }
    traverse::each(schema, &mut |place, map| {
        if faults.len() >= MAX_FAULTS {
            return;
        }
        if let Some(Value::String(reference)) = map.get("$ref")
            && let Some(fault) = reference_fault(schema, reference)
        {
            faults.push(format!("{place}/$ref: {fault}"));
        }
    });
    faults
}

fn check_draft(dialect: &Value, faults: &mut Vec<String>) {
    if !drafts::is_known(dialect) {
        faults.push(
            "/$schema: is not a draft known here; leave it out, or write https://json-schema.org/draft/2020-12/schema"
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
    match traverse::resolve(root, reference) {
        Some(Value::Object(_) | Value::Bool(_)) => None,
        Some(_) => Some("leads to something that is not a schema".to_owned()),
        None => Some(
            "leads nowhere; write `#` for the whole schema or `#/$defs/name` for a definition"
                .to_owned(),
        ),
    }
}
