//! `docs/input.md`, written from the description of the input.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value};

use super::described::Described as _;
use super::document::Document;
use super::form::OFF;
use super::{EXAMPLE, GenerateByTopicInput, InputKey, Settings};

const HEAD: &str = "\
# The input

You can write the input in a file (JSON, or YAML and TOML with the feature `formats`), as flags on the command line, or with the builder in
Rust. You can mix all three: a flag wins over the file. Editors can complete an input with the JSON Schema that `topicloom schema` prints.
Every key is optional, and null means the same as leaving it out. `off` or `false` switches off whatever can be switched off. A repeated or
unknown key is a fault that says where. Files named in an input are relative to it. Files that are written, and files named by a flag, are
relative to the current folder.

On the command line `_` becomes `-`: `--num-records 20`, `-n 20`. Separate list items with commas: `--topics tides,currents`. `--set
PATH=VALUE` sets anything: `--set generation_model_kwargs.top_p=0.9`, `--set filters.answer.min_chars=20`. Without a file, the flags are the
input. [The keys in every form](keys.md) lists the flag and the setter of each. This file is generated from the descriptions of the keys in
`src/input`; `UPDATE_INPUT=1 cargo test --all-features --lib input::docs` writes it anew.
";

const SETTINGS: &str = "
## Settings

Settings go in `data_factory_config`, as in Starfish's files, or next to the other keys. Settings marked with a star control how a run is
driven, not what it produces, so a resumed run may change them. If there are two names, the first is Starfish's and the second is that of
the flag and the setter.
";

#[test]
fn the_docs_say_what_is_read() {
    let mut docs = format!("{HEAD}\n```json\n{}\n```\n", EXAMPLE.trim());
    let schema = GenerateByTopicInput::json_schema();
    let keys = properties(&schema).expect("the input is an object");
    let own = keys
        .iter()
        .filter(|(_, schema)| schema.get("$ref").is_none());
    let keys = &own
        .map(|(name, schema)| (name.clone(), schema.clone()))
        .collect();
    docs += &table("key", keys, |name| names(Document::KEYS, name));
    docs += &parts(keys);
    docs += SETTINGS;
    let settings = properties(&schema["$defs"]["Settings"]).expect("they are an object");
    docs += &table("setting", settings, |name| {
        let key = Settings::KEYS.iter().find(|key| key.names[0] == name);
        let star = if key.is_some_and(|key| key.runtime_only) {
            " *"
        } else {
            ""
        };
        names(Settings::KEYS, name) + star
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

/// Returns the other names of a key.
fn names(keys: &[InputKey], name: &str) -> String {
    let key = keys.iter().find(|key| key.names[0] == name);
    let others = key.into_iter().flat_map(|key| &key.names[1..]);
    others.fold(String::new(), |all, other| all + ", `" + other + "`")
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties")?.as_object()
}

/// Returns a table of keys, each with a mark.
fn table(what: &str, keys: &Map<String, Value>, mark: impl Fn(&str) -> String) -> String {
    let mut table =
        format!("\n| {what} | default | bounds | meaning | example |\n|---|---|---|---|---|\n");
    for (name, schema) in keys {
        let default = schema.get("default").map(|default| format!("`{default}`"));
        let default = default.unwrap_or_default();
        let bounds = alternatives(schema).into_iter().map(bounds);
        let bounds: Vec<_> = bounds.filter(|bounds| !bounds.is_empty()).collect();
        let bounds = bounds.join(" or ");
        let mark = mark(name);
        let about = about(schema).replace('|', "\\|");
        let example = schema["examples"]
            .get(0)
            .map(|example| format!("`{example}`"));
        let example = example.unwrap_or_default();
        writeln!(
            table,
            "| `{name}`{mark} | {default} | {bounds} | {about} | {example} |"
        )
        .unwrap();
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
            let items = part.get("items").and_then(properties);
            let is_list = items.is_some();
            let keys = properties(part).or(each).or(items);
            let names = part.get("const").map(|name| vec![name]);
            let names = names.or_else(|| Some(part.get("enum")?.as_array()?.iter().collect()));
            if about(part) == OFF {
                // As the head says, and the table.
            } else if let Some(names) = names.filter(|_| !about(part).is_empty()) {
                let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
                writeln!(list, "- {}: {}", names.join(" or "), about(part)).unwrap();
            } else if let Some(keys) = keys {
                let what = match about(part) {
                    _ if is_list => "In a list, each has these keys:",
                    said if part != schema && !said.is_empty() => said,
                    _ if each.is_some() => "Each has these keys:",
                    _ => "These keys:",
                };
                write!(
                    objects,
                    "\n{what}\n{}",
                    table("key", keys, |_| String::new())
                )
                .unwrap();
                objects += &within(keys);
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

/// Returns what may stand under keys of an object: one of several names, or an object again.
fn within(keys: &Map<String, Value>) -> String {
    let mut told = String::new();
    let mut objects: Vec<(String, Vec<String>)> = Vec::new();
    for (name, schema) in keys {
        let parts = alternatives(schema);
        let choices = parts
            .iter()
            .filter_map(|part| Some((part.get("const")?, about(part))));
        let choices: Vec<_> = choices
            .map(|(name, about)| format!("- `{name}`: {about}\n"))
            .collect();
        if !choices.is_empty() {
            write!(told, "\n`{name}` is one of these:\n\n{}", choices.concat()).unwrap();
        }
        for keys in parts.iter().filter_map(|part| properties(part)) {
            let table = table("key", keys, |_| String::new()) + &within(keys);
            match objects.iter_mut().find(|(same, _)| *same == table) {
                Some((_, names)) => names.push(format!("`{name}`")),
                None => objects.push((table, vec![format!("`{name}`")])),
            }
        }
    }
    for (table, names) in objects {
        let names = names.join(" and ");
        write!(told, "\n{names} may have these keys:\n{table}").unwrap();
    }
    told
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
    if about(schema) == OFF {
        return "`off`".to_owned();
    }
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
