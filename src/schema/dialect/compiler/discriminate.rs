//! Orders the properties of alternatives so that the first key tells which one it is.

use serde_json::{Map, Value};

use super::Part;

/// Puts a key first in each object that no alternative before it has first, if there is one.
///
/// A key whose listed values tell the alternatives apart may be first in all of them.
pub(super) fn tell_apart(parts: &mut [Part]) {
    let discriminator = discriminator(parts);
    let mut taken: Vec<String> = Vec::new();
    for part in parts {
        let Some(Value::Object(properties)) = part.schema.get_mut("properties") else {
            continue;
        };
        let first = match &discriminator {
            Some(name) => Some(name.clone()),
            None => properties
                .keys()
                .find(|name| !taken.contains(name))
                .cloned(),
        };
        if let Some(name) = first {
            taken.push(name.clone());
            move_first(properties, &name);
        }
    }
}

/// Returns a property that all objects have and whose listed values never overlap.
fn discriminator(parts: &[Part]) -> Option<String> {
    let objects: Vec<&Map<String, Value>> = parts
        .iter()
        .filter_map(|part| part.schema.get("properties")?.as_object())
        .collect();
    let values = |object: &Map<String, Value>, name: &str| -> Option<Vec<Value>> {
        Some(object.get(name)?.get("enum")?.as_array()?.clone())
    };
    let (first, others) = objects.split_first()?;
    first
        .keys()
        .find(|name| {
            let Some(mut seen) = values(first, name) else {
                return false;
            };
            others.iter().all(|other| {
                let Some(theirs) = values(other, name) else {
                    return false;
                };
                let apart = theirs.iter().all(|value| !seen.contains(value));
                seen.extend(theirs);
                apart
            })
        })
        .cloned()
}

fn move_first(properties: &mut Map<String, Value>, name: &str) {
    if properties.keys().next().is_some_and(|first| first == name) {
        return;
    }
    if let Some((key, value)) = properties.shift_remove_entry(name) {
        properties.shift_insert(0, key, value);
    }
}
