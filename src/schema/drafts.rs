//! Schemas as people have them, in the words of draft 2020-12.
//!
//! Older drafts and `OpenAPI` say some things in other words, each of which has one meaning: what is a list under `items` is a
//! tuple, what is `true` under `exclusiveMinimum` is a flag. So each is translated where it stands, whatever `$schema` says.
//! A schema may also come in the wrapping in which providers take it, or describe the list of the records.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::traverse;
use crate::closest::closest;

const CURRENT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Translates a schema whose size was checked. Returns what to tell the user.
pub(super) fn translate(schema: &mut Value) -> Vec<String> {
    let mut told = Vec::new();
    unwrap(schema);
    take_items(schema);
    take_components(schema);
    let before = schema.clone();
    let addresses = addresses(schema);
    refer_inside(schema, &addresses, "");
    modernise(schema, "", &mut told);
    follow(schema);
    if let Some(draft) = schema.get_mut("$schema")
        && (*draft != CURRENT && is_known(draft))
    {
        *draft = CURRENT.into();
    }
    if *schema == before {
        unknown_keywords(schema, &mut told);
    } else {
        unknown_keywords(&before, &mut told);
    }
    told
}

/// Whether a dialect is one whose keywords are read here.
pub(super) fn is_known(dialect: &Value) -> bool {
    dialect.as_str().is_some_and(|uri| {
        let uri = uri.trim_end_matches(['#', '/']);
        let uri = uri.split_once("://").map_or(uri, |(_, rest)| rest);
        let draft = uri
            .strip_prefix("json-schema.org/")
            .or_else(|| uri.strip_prefix("www.json-schema.org/"));
        let draft = draft.and_then(|draft| draft.strip_suffix("schema"));
        draft.is_some_and(|draft| {
            matches!(
                draft,
                "" | "draft-03/"
                    | "draft-04/"
                    | "draft-05/"
                    | "draft-06/"
                    | "draft-07/"
                    | "draft/2019-09/"
                    | "draft/2020-12/"
            )
        }) || uri.starts_with("spec.openapis.org/")
    })
}

/// Takes a schema out of the wrapping in which providers take it: `response_format`, `name` and `schema`, a tool.
fn unwrap(schema: &mut Value) {
    const AROUND: [&str; 10] = [
        "response_format",
        "json_schema",
        "text",
        "format",
        "function",
        "tool",
        "schema",
        "parameters",
        "input_schema",
        "response_schema",
    ];
    const BESIDE: [&str; 6] = ["name", "strict", "description", "type", "title", "$schema"];
    for _ in 0..4 {
        let Some(map) = schema.as_object_mut() else {
            return;
        };
        let mut around = map
            .iter()
            .filter(|(key, value)| AROUND.contains(&key.as_str()) && value.is_object());
        let (Some((key, _)), None) = (around.next(), around.next()) else {
            return;
        };
        let wraps = map
            .keys()
            .all(|other| other == key || BESIDE.contains(&other.as_str()))
            && map
                .get("type")
                .is_none_or(|kind| kind == "json_schema" || kind == "function");
        let key = key.clone();
        match map.remove(&key).filter(|_| wraps) {
            Some(inner) => *schema = inner,
            None => return,
        }
    }
}

/// Takes the schema of a record out of the schema of their list.
fn take_items(schema: &mut Value) {
    let Some(map) = schema.as_object_mut() else {
        return;
    };
    if map.get("type") != Some(&json!("array")) || !map.get("items").is_some_and(Value::is_object) {
        return;
    }
    let Some(mut items) = map.remove("items") else {
        return;
    };
    traverse::each_reference_mut(&mut items, &mut |reference| {
        let below = reference.strip_prefix("#/items")?;
        Some(format!("#{below}"))
    });
    for keyword in ["$schema", "$id", "id", "$defs", "definitions"] {
        if let (Some(kept), Some(items)) = (map.remove(keyword), items.as_object_mut()) {
            items.entry(keyword).or_insert(kept);
        }
    }
    *schema = items;
}

/// Puts the components of an `OpenAPI` document among the definitions.
fn take_components(schema: &mut Value) {
    let components = schema.get_mut("components").and_then(Value::as_object_mut);
    let Some(Value::Object(schemas)) =
        components.and_then(|components| components.remove("schemas"))
    else {
        return;
    };
    if let Some(Value::Object(definitions)) = schema
        .as_object_mut()
        .map(|map| map.entry("$defs").or_insert_with(|| json!({})))
    {
        definitions.extend(schemas);
    }
    traverse::each_reference_mut(schema, &mut |reference| {
        let name = reference.strip_prefix("#/components/schemas/")?;
        Some(format!("#/$defs/{name}"))
    });
}

/// Returns where in the document each address leads that a schema in it gives itself.
pub(super) fn addresses(schema: &Value) -> HashMap<String, String> {
    let mut found = HashMap::new();
    traverse::each(schema, &mut |place, map| {
        for keyword in ["$id", "id", "$anchor", "$dynamicAnchor"] {
            let Some(address) = map.get(keyword).and_then(Value::as_str) else {
                continue;
            };
            let address = address.trim_end_matches('#');
            let at = format!("#{place}");
            if keyword.contains("nchor") {
                found.entry(format!("#{address}")).or_insert(at);
                continue;
            }
            // A reference may leave out what the address of the document and its own share.
            if let Some((_, name)) = address.rsplit_once('/') {
                found.entry(name.to_owned()).or_insert_with(|| at.clone());
            }
            if let Some((_, path)) = address
                .split_once("://")
                .and_then(|(_, rest)| rest.split_once('/'))
            {
                found
                    .entry(format!("/{path}"))
                    .or_insert_with(|| at.clone());
            }
            found.entry(address.to_owned()).or_insert(at);
        }
    });
    found.retain(|address, _| !address.is_empty());
    found
}

/// Makes references by address point to the place in the document, and takes the addresses away.
fn refer_inside(schema: &mut Value, addresses: &HashMap<String, String>, base: &str) {
    let root = schema.clone();
    let leads = |pointer: &str| {
        traverse::resolve(&root, pointer).is_some_and(|to| to.is_object() || to.is_boolean())
    };
    each_mut(schema, base, &mut |place, map| {
        for (dynamic, plain) in [("$dynamicRef", "$ref"), ("$recursiveRef", "$ref")] {
            if let Some(reference) = map.shift_remove(dynamic) {
                map.insert(plain.to_owned(), reference);
            }
        }
        if let Some(Value::String(reference)) = map.get_mut("$ref")
            && !leads(reference)
        {
            let (address, below) = reference
                .split_once('#')
                .unwrap_or((reference.as_str(), ""));
            let address = address.trim_start_matches("./");
            let known = addresses
                .get(reference.as_str())
                .filter(|_| !reference.is_empty())
                .cloned();
            let by_address = addresses.get(address).map(|at| format!("{at}{below}"));
            // Inside a schema with an address of its own, `#` is that schema.
            let inside = (0..=place.len())
                .rev()
                .filter(|at| place.is_char_boundary(*at));
            let near = inside
                .map(|at| format!("#{}{below}", &place[..at]))
                .filter(|_| address.is_empty() && !below.is_empty());
            let found = known
                .into_iter()
                .chain(by_address)
                .chain(near.take(64))
                .find(|pointer| leads(pointer));
            if let Some(pointer) = found {
                *reference = pointer;
            }
        }
        for keyword in ["$anchor", "$dynamicAnchor", "$recursiveAnchor"] {
            map.shift_remove(keyword);
        }
        for keyword in ["$id", "id"] {
            if map.get(keyword).is_some_and(Value::is_string) {
                map.shift_remove(keyword);
            }
        }
    });
}

/// Makes references follow what was moved to the place of another keyword.
fn follow(schema: &mut Value) {
    const MOVED: [(&str, &str); 2] = [
        ("/items/", "/prefixItems/"),
        ("/dependencies/", "/dependentSchemas/"),
    ];
    let root = schema.clone();
    traverse::each_reference_mut(schema, &mut |reference| {
        let leads = |to: &str| traverse::resolve(&root, to).is_some();
        let moved = MOVED.iter().map(|(from, to)| reference.replace(from, to));
        moved.filter(|_| !leads(reference)).find(|to| leads(to))
    });
}

/// Says in the words of draft 2020-12 what each schema says in others.
fn modernise(schema: &mut Value, base: &str, told: &mut Vec<String>) {
    each_mut(schema, base, &mut |place, map| {
        tuple(map);
        dependencies(map);
        limits(map);
        required_members(map, place, told);
        nullable(map);
        if map.get("type").is_some_and(|kind| kind == "any") {
            map.shift_remove("type");
        }
        if let Some(step) = map.shift_remove("divisibleBy") {
            map.insert("multipleOf".to_owned(), step);
        }
    });
}

fn tuple(map: &mut Map<String, Value>) {
    let rest = map.shift_remove("additionalItems");
    if map.get("items").is_some_and(Value::is_array) {
        let items = map.shift_remove("items").unwrap_or_default();
        // An empty tuple says nothing, and none may be empty in the newer draft.
        if items.as_array().is_some_and(|items| !items.is_empty()) {
            map.insert("prefixItems".to_owned(), items);
        }
        if let Some(rest) = rest {
            map.insert("items".to_owned(), rest);
        }
    }
}

fn dependencies(map: &mut Map<String, Value>) {
    let Some(Value::Object(entries)) = map.get("dependencies") else {
        return;
    };
    let (names, schemas): (Map<_, _>, Map<_, _>) = entries
        .clone()
        .into_iter()
        .partition(|(_, needs)| !needs.is_object());
    map.shift_remove("dependencies");
    for (keyword, entries) in [("dependentRequired", names), ("dependentSchemas", schemas)] {
        if entries.is_empty() {
            continue;
        }
        if let Value::Object(known) = map.entry(keyword).or_insert_with(|| json!({})) {
            known.extend(entries.into_iter().map(|(name, needs)| match needs {
                Value::String(only) => (name, json!([only])),
                needs => (name, needs),
            }));
        }
    }
}

fn limits(map: &mut Map<String, Value>) {
    for (limit, exclusive) in [
        ("minimum", "exclusiveMinimum"),
        ("maximum", "exclusiveMaximum"),
    ] {
        if let Some(Value::Bool(excludes)) = map.get(exclusive).cloned() {
            map.shift_remove(exclusive);
            if let Some(value) = map.get(limit).filter(|_| excludes).cloned() {
                map.shift_remove(limit);
                map.insert(exclusive.to_owned(), value);
            }
        }
    }
}

/// Draft 3, and many by mistake, say in each property whether it is required.
fn required_members(map: &mut Map<String, Value>, place: &str, told: &mut Vec<String>) {
    let mut names = Vec::new();
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        for (name, member) in properties {
            if let Some(Value::Bool(required)) = member.get("required").cloned() {
                if let Some(member) = member.as_object_mut() {
                    member.shift_remove("required");
                }
                names.extend(required.then(|| name.clone()));
            }
        }
    }
    if names.is_empty() {
        return;
    }
    if let Value::Array(required) = map.entry("required").or_insert_with(|| json!([])) {
        required.extend(names.into_iter().map(Value::from).filter(Value::is_string));
        let mut seen = std::collections::HashSet::new();
        required.retain(|name| seen.insert(name.clone()));
        told.push(format!("{place}/properties: `required: true` in a property is read as the list `required` beside them"));
    }
}

/// `OpenAPI` says of a type that null is allowed beside it.
fn nullable(map: &mut Map<String, Value>) {
    let says = ["nullable", "x-nullable"].map(|keyword| map.shift_remove(keyword));
    if !says.iter().flatten().any(|value| *value == true) {
        return;
    }
    if let Some(Value::Array(values)) = map.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
    let composed = ["$ref", "allOf", "anyOf", "oneOf", "const"]
        .iter()
        .any(|keyword| map.contains_key(*keyword));
    match map.get_mut("type") {
        Some(Value::String(name)) if name != "null" => {
            let name = std::mem::take(name);
            map.insert("type".to_owned(), json!([name, "null"]));
        }
        Some(Value::Array(names)) if !names.contains(&json!("null")) => names.push("null".into()),
        None if composed => {
            let meant = std::mem::take(map);
            map.insert("anyOf".to_owned(), json!([meant, {"type": "null"}]));
        }
        _ => {}
    }
}

/// Warns of keywords that are none, where one that is lies near.
fn unknown_keywords(schema: &Value, told: &mut Vec<String>) {
    const MOST: usize = 8;
    let mut seen = std::collections::HashSet::new();
    traverse::each(schema, &mut |place, map| {
        for key in map.keys() {
            if KEYWORDS.contains(&key.as_str())
                || key.starts_with("x-")
                || traverse::holds(key).is_some()
            {
                continue;
            }
            if let Some(close) = closest(key, KEYWORDS)
                && seen.len() < MOST
                && seen.insert(key.clone())
            {
                let key: String = key.chars().take(60).collect();
                told.push(format!("{place}/{key}: is no keyword of JSON Schema and is ignored; did you mean `{close}`?"));
            }
        }
    });
}

/// Keywords that are read, or are known to say nothing about values.
const KEYWORDS: [&str; 62] = [
    "$schema",
    "$id",
    "id",
    "$ref",
    "$defs",
    "definitions",
    "$comment",
    "$anchor",
    "$dynamicRef",
    "$dynamicAnchor",
    "$recursiveRef",
    "$recursiveAnchor",
    "$vocabulary",
    "type",
    "enum",
    "const",
    "title",
    "description",
    "default",
    "examples",
    "example",
    "deprecated",
    "readOnly",
    "writeOnly",
    "format",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "divisibleBy",
    "items",
    "additionalItems",
    "prefixItems",
    "minItems",
    "maxItems",
    "uniqueItems",
    "contains",
    "minContains",
    "maxContains",
    "properties",
    "required",
    "additionalProperties",
    "patternProperties",
    "minProperties",
    "maxProperties",
    "dependencies",
    "dependentRequired",
    "nullable",
    "contentEncoding",
    "contentMediaType",
    "discriminator",
    "xml",
    "externalDocs",
    "options",
    "version",
    "name",
    "tags",
    "order",
];

/// Calls `change` for every schema inside `schema`, the inner ones first, and for itself, with its JSON pointer.
fn each_mut(
    schema: &mut Value,
    place: &str,
    change: &mut impl FnMut(&str, &mut Map<String, Value>),
) {
    let Value::Object(map) = schema else { return };
    for (keyword, value) in map.iter_mut() {
        let tuple = keyword == "items" && value.is_array();
        match (traverse::holds(keyword), value) {
            (Some(traverse::Holds::One), value) if !tuple => {
                each_mut(value, &traverse::join(place, &[keyword]), change);
            }
            (Some(_), Value::Array(list)) => {
                for (index, item) in list.iter_mut().enumerate() {
                    each_mut(
                        item,
                        &traverse::join(place, &[keyword, &index.to_string()]),
                        change,
                    );
                }
            }
            (Some(traverse::Holds::Map), Value::Object(entries)) => {
                for (name, item) in entries.iter_mut() {
                    each_mut(item, &traverse::join(place, &[keyword, name]), change);
                }
            }
            (None, Value::Object(entries)) if keyword == "dependencies" => {
                for (name, item) in entries.iter_mut() {
                    each_mut(item, &traverse::join(place, &[keyword, name]), change);
                }
            }
            (None, item @ Value::Object(_)) if keyword == "additionalItems" => {
                each_mut(item, &traverse::join(place, &[keyword]), change);
            }
            _ => {}
        }
    }
    change(place, map);
}
