//! `docs/input.md`, written from the description of the input.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value};

use super::described::Described as _;
use super::{EXAMPLE, GenerateByTopicInput, Settings};

const HEAD: &str = "\
# The input

Built in Rust, where each key has a setter, or read from JSON. `topicloom schema` prints the JSON Schema of it. Every key may be left
out, and null is the same as that. This file is written from the description of the keys in `src/input`;
`UPDATE_INPUT=1 cargo test --all-features --lib input::docs` writes it anew.
";

const SETTINGS: &str = "
## Settings

The keys of `data_factory_config`, which `--set KEY=VALUE` sets on the command line. Those with a star say how a run is driven and
not what comes of it, so a resumed run may change them. Where there are two names, the first is Starfish's, and the second is the one
in Rust.
";

#[test]
fn the_docs_say_what_is_read() {
    let mut docs = format!("{HEAD}\n```json\n{}\n```\n", EXAMPLE.trim());
    let schema = GenerateByTopicInput::json_schema();
    let keys = properties(&schema).expect("the input is an object");
    docs += &table("key", keys, |_| String::new());
    docs += &parts(keys);
    docs += SETTINGS;
    let settings = properties(&schema["$defs"]["Settings"]).expect("they are an object");
    docs += &table("setting", settings, |name| {
        let Some(key) = Settings::KEYS.iter().find(|key| key.names[0] == name) else {
            return String::new();
        };
        let other = key.names.get(1).map(|other| format!(", `{other}`"));
        other.unwrap_or_default() + if key.runtime_only { " *" } else { "" }
    });
    docs += &parts(settings);

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/input.md");
    if std::env::var_os("UPDATE_INPUT").is_some() {
        std::fs::write(&path, &docs).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == docs,
        "docs/input.md differs; UPDATE_INPUT=1 writes it anew:\n{docs}"
    );
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties")?.as_object()
}

/// Returns a table of keys, each with a mark.
fn table(what: &str, keys: &Map<String, Value>, mark: impl Fn(&str) -> String) -> String {
    let mut table = format!("\n| {what} | default | bounds | meaning |\n|---|---|---|---|\n");
    for (name, schema) in keys {
        let default = schema.get("default").map(|default| format!("`{default}`"));
        let default = default.unwrap_or_default();
        let (mark, bounds) = (mark(name), bounds(schema));
        let about = about(schema).replace('|', "\\|");
        writeln!(table, "| `{name}`{mark} | {default} | {bounds} | {about} |").unwrap();
    }
    table
}

/// Returns a section for each key under which one of several things may stand, or an object with keys of its own.
fn parts(keys: &Map<String, Value>) -> String {
    let mut sections = String::new();
    for (name, schema) in keys {
        let (mut list, mut objects) = (String::new(), String::new());
        for part in alternatives(schema) {
            let each = part.get("additionalProperties").and_then(properties);
            let keys = properties(part).or(each);
            if let Some(name) = part.get("const") {
                writeln!(list, "- `{name}`: {}", about(part)).unwrap();
            } else if let Some(keys) = keys {
                let what = if each.is_some() {
                    "Each has these keys:"
                } else {
                    "These keys:"
                };
                let what = if part == schema { what } else { about(part) };
                write!(
                    objects,
                    "\n{what}\n{}",
                    table("key", keys, |_| String::new())
                )
                .unwrap();
                for (name, schema) in keys {
                    let parts = alternatives(schema).into_iter();
                    let parts = parts.filter_map(|part| Some((part.get("const")?, about(part))));
                    let parts: Vec<_> = parts
                        .map(|(name, about)| format!("- `{name}`: {about}\n"))
                        .collect();
                    if !parts.is_empty() {
                        write!(objects, "\n`{name}` is one of these:\n\n{}", parts.concat())
                            .unwrap();
                    }
                }
            } else if !about(part).is_empty() && part != schema {
                let kind = if part["type"] == "array" {
                    "a list"
                } else {
                    "an object"
                };
                writeln!(list, "- {kind}: {}", about(part)).unwrap();
            }
        }
        let section = list + &objects;
        if !section.is_empty() {
            write!(sections, "\n### `{name}`\n\n{}", section.trim_start()).unwrap();
        }
    }
    sections
}

fn about(schema: &Value) -> &str {
    schema
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Returns what may stand somewhere, one by one.
fn alternatives(schema: &Value) -> Vec<&Value> {
    let several = schema.get("anyOf").or_else(|| schema.get("oneOf"));
    match several.and_then(Value::as_array) {
        Some(several) => several.iter().flat_map(alternatives).collect(),
        None => vec![schema],
    }
}

fn bounds(schema: &Value) -> String {
    let number = |key: &str| schema.get(key).map(readable);
    let least = number("minimum").filter(|least| least != "0" || schema.get("maximum").is_some());
    match (least, number("exclusiveMinimum"), number("maximum")) {
        (Some(least), _, Some(most)) => format!("{least} to {most}"),
        (_, Some(above), Some(most)) => format!("above {above}, up to {most}"),
        (_, Some(above), None) => format!("above {above}"),
        (Some(least), _, None) => format!("at least {least}"),
        (None, None, most) => most.map_or_else(String::new, |most| format!("up to {most}")),
    }
}

/// Returns a number with a space between thousands.
fn readable(number: &Value) -> String {
    let digits = number.to_string();
    let digits = digits.strip_suffix(".0").unwrap_or(&digits);
    let mut readable = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            readable.push(' ');
        }
        readable.push(digit);
    }
    readable
}
