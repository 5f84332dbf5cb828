//! Every key of an input, from its JSON Schema, each with an input that has it.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use topicloom::{GenerateByTopicInput, JsonRecord};

/// A key and where it stands.
pub(crate) struct Row {
    /// The keys on the way, and its own.
    pub(crate) path: Vec<String>,
    pub(crate) schema: Value,
}

impl Row {
    /// Returns the path, with names that are free in capitals where it is to be read.
    pub(crate) fn written(&self, free: impl Fn(&str) -> String) -> String {
        let mut path = String::new();
        for step in &self.path {
            match step.strip_prefix('=') {
                Some(index) if index.starts_with('[') => path += index,
                Some(name) => path = format!("{path}.{}", free(name)),
                None if path.is_empty() => path.clone_from(step),
                None => path = format!("{path}.{step}"),
            }
        }
        path
    }

    pub(crate) fn path(&self) -> String {
        self.written(ToOwned::to_owned)
    }

    fn is(&self, name: &str) -> bool {
        self.path.last().is_some_and(|last| last == name)
    }

    /// Returns what has to stand there for the key to mean something.
    pub(crate) fn beside(&self) -> Vec<(String, Value)> {
        let inner = self.path.len() > 1;
        let own = match &*self.path[0] {
            "topics" if inner => vec![("topics", json!({}))],
            "source" if inner && !self.is("rows") => {
                vec![("source", json!({"file": "products.csv"}))]
            }
            "documents" if inner => vec![("documents", json!({"path": "manuals"}))],
            "examples" if inner => {
                let example = json!([{"question": "Why?", "answer": "So."}]);
                vec![("examples", json!({"given": example}))]
            }
            "output" if inner => vec![("output", json!({"path": "x"}))],
            "journal" if inner => vec![("journal", json!({"path": "x"}))],
            "prices" if self.path.len() > 3 => {
                let long = json!({"above": 9, "input": 0.3, "output": 0.7});
                let price = json!({"input": 0.3, "output": 0.7, "long": long});
                vec![("prices.house/*", price)]
            }
            "prices" if inner => vec![("prices.house/*", json!({"input": 0.3, "output": 0.7}))],
            "output_schema" if inner => {
                let kinds = [("items", "list"), ("properties", "dict")];
                let kind = kinds.into_iter().find(|(name, _)| self.is(name));
                let kind = kind.map_or("str", |(_, kind)| kind);
                vec![("output_schema", json!([{"name": "x", "type": kind}]))]
            }
            "judge" if inner => {
                let mut criteria = json!(["correct", "clear"]);
                match self.path.get(2).map(|step| &**step) {
                    Some("=[0]") => criteria[0] = json!({"name": "correct"}),
                    // One by itself.
                    Some(_) if self.path[1] == "criteria" => criteria = json!({"name": "correct"}),
                    _ => {}
                }
                vec![(
                    "judge",
                    json!({"criteria": criteria, "accept": "correct >= 4"}),
                )]
            }
            "kind" if self.is("calls") => {
                let tools = json!([{"name": "list"}]);
                vec![("kind", json!({"tool_calls": {"tools": tools}}))]
            }
            "kind" if self.path.iter().any(|step| step == "model_kwargs") => {
                vec![("kind.preference", json!({"rejected_model": "offline/loom"}))]
            }
            "angles" if self.is("most_asks") => {
                vec![("angles", json!({"generated": 3}))]
            }
            _ => vec![],
        };
        own.into_iter()
            .map(|(path, value)| (path.to_owned(), value))
            .collect()
    }
}

/// Returns an input that has only what a key needs, and the key with an example.
pub(crate) fn document(row: &Row, example: &Value) -> Value {
    let mut document = base(row);
    for (path, value) in row.beside() {
        let steps: Vec<String> = path.split('.').map(ToOwned::to_owned).collect();
        put(&mut document, &steps, value);
    }
    put(&mut document, &row.path, example.clone());
    document
}

/// Returns all keys, from the schema: those of an object, and those of what stands under them.
pub(crate) fn rows() -> Vec<Row> {
    let whole = GenerateByTopicInput::<JsonRecord>::json_schema();
    let mut rows = Vec::new();
    for keys in [
        &whole["properties"],
        &whole["$defs"]["Settings"]["properties"],
    ] {
        add_rows(keys, &[], &mut rows);
    }
    rows
}

fn add_rows(keys: &Value, outer: &[String], rows: &mut Vec<Row>) {
    for (name, schema) in keys.as_object().into_iter().flatten() {
        let about = schema["description"].as_str().unwrap_or_default();
        // A setting, which is told where settings are, or one without a meaning here.
        if about.is_empty() || about.starts_with("Accepted from Starfish") {
            continue;
        }
        let path = [outer, std::slice::from_ref(name)].concat();
        rows.push(Row {
            path: path.clone(),
            schema: schema.clone(),
        });
        assert!(schema["examples"].is_array(), "{path:?} has no example");
        for part in alternatives(schema) {
            add_rows(&part["properties"], &path, rows);
            let free = match name.as_str() {
                "providers" => "=house",
                "filters" => "=answer",
                _ => "=house/*",
            };
            for (inner, name) in [("additionalProperties", free), ("items", "=[0]")] {
                for part in alternatives(&part[inner]) {
                    let path = [&path[..], &[name.to_owned()]].concat();
                    add_rows(&part["properties"], &path, rows);
                }
            }
        }
    }
}

fn alternatives(schema: &Value) -> Vec<&Value> {
    let several = schema.get("anyOf").or_else(|| schema.get("oneOf"));
    match several.and_then(Value::as_array) {
        Some(several) => several.iter().flat_map(alternatives).collect(),
        None => vec![schema],
    }
}

/// Writes the files that examples name.
pub(crate) fn write_files(folder: &Path) {
    let table = "id,name,price,text\n1,Brake pads,29,They stop.\n2,A lamp,9,It shines.\n";
    let record = "{\"question\": \"x\", \"answer\": \"y\"}\n";
    fs::create_dir_all(folder.join("manuals")).expect("there is room");
    for (name, text) in [
        ("system.jinja", "{{ instruction }}"),
        ("topics.csv", "topic,count\ntides,\ncurrents,3\n"),
        ("benchmark.jsonl", record),
        ("examples.jsonl", record),
        ("products.csv", table),
        ("rows.csv", table),
        (
            "labels.csv",
            "question,answer,difficulty,accept\nx,y,z,yes\n",
        ),
        ("tools.json", "[{\"name\": \"list\"}]"),
        ("manuals/lamp.md", "A lamp shines.\n\nIt needs a bulb.\n"),
    ] {
        fs::write(folder.join(name), text).expect("there is room");
    }
}

/// An input into which a key is put, without the key.
pub(crate) fn base(row: &Row) -> Value {
    let names: &[&str] = match &*row.path[0] {
        "examples" => &["question", "answer"],
        "source" if row.is("quoted") => &["question", "quote"],
        _ => &["question", "answer", "difficulty"],
    };
    let fields = names
        .iter()
        .map(|name| json!({"name": name, "type": "str"}));
    let fields: Vec<Value> = fields.collect();
    let mut base = json!({
        "user_instruction": "x", "topics": ["a"], "output_schema": fields,
        "generation_model_name": "offline/loom", "generation_model_kwargs": {"max_tokens": 100},
    });
    let keys = base.as_object_mut().expect("it is an object");
    if row.path[0] == "kind" {
        keys.shift_remove("output_schema");
    }
    if row.path.len() == 1 {
        keys.shift_remove(&row.path[0]);
    }
    // Each row is a topic.
    if matches!(&*row.path[0], "source" | "documents") {
        keys.shift_remove("topics");
    }
    base
}

/// Puts a value where a path of a row leads.
pub(crate) fn put(document: &mut Value, path: &[String], value: Value) {
    let there = path
        .iter()
        .fold(document, |there, step| match step.strip_prefix('=') {
            Some("[0]") => &mut there[0],
            Some(name) => &mut there[name],
            None => &mut there[step],
        });
    *there = value;
}
